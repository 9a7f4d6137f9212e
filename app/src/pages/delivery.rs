//! One webhook delivery: what came in, what happened to it when, and how it ended.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::deliveries::ReplayForm;
use crate::{
    api::{DeliveryDetail, ReplayDelivery, find_delivery, use_viewer},
    components::{ButtonLink, CodeBlock, DoneNotice, ErrorNote, FormError, LiveIndicator, PageHeader, Panel, TableSkeleton, failure},
};

#[component]
pub fn DeliveryPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let replay = ServerAction::<ReplayDelivery>::new();
    let delivery = Resource::new(move || (id.get(), replay.version().get()), |(id, ..)| find_delivery(id));
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));

    view! {
        <Transition fallback=|| view! { <Panel title="Delivery"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match delivery.await {
                    Ok(detail) => view! { <DeliveryView detail replay may_operate=may_operate.get()/> }.into_any(),
                    Err(error) => view! {
                        <PageHeader title="Delivery"><ButtonLink href="/deliveries">"All deliveries"</ButtonLink></PageHeader>
                        <ErrorNote error/>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn DeliveryView(detail: DeliveryDetail, replay: ServerAction<ReplayDelivery>, may_operate: bool) -> impl IntoView {
    let DeliveryDetail { id, event, partner, story, body, pretty_body } = detail;
    view! {
        <div class="stack">
            <PageHeader title=event lead=format!("From {partner}")>
                <LiveIndicator topics="delivery"/>
                <ButtonLink href="/deliveries">"All deliveries"</ButtonLink>
                {may_operate.then(|| view! { <ReplayForm id replay/> })}
            </PageHeader>
            <DoneNotice/>
            <FormError failure=failure(replay)/>
            <div id="delivery-story" data-live-region inner_html=story></div>
            <Panel title="Body">
                {match pretty_body {
                    Some(pretty) => view! {
                        <div class="stack">
                            <CodeBlock label="JSON, indented" text=pretty/>
                            <details><summary>"As it was received"</summary><CodeBlock label="Raw body" text=body/></details>
                        </div>
                    }
                    .into_any(),
                    None => view! { <CodeBlock label="Raw body" text=body/> }.into_any(),
                }}
            </Panel>
        </div>
    }
}
