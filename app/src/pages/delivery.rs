//! One webhook delivery: what came in, what happened to it when, and how it ended.

use domain::webhook::DeliveryState;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::deliveries::{ReplayForm, StateBadge};
use crate::{
    api::{Delivery, DeliveryDetail, ReplayDelivery, find_delivery, use_viewer},
    components::{
        ButtonLink, CodeBlock, ErrorNote, FormError, LiveIndicator, Notice, PageHeader, Panel, TableSkeleton, Time, Tone, failure,
    },
    live::use_live,
};

#[component]
pub fn DeliveryPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let replay = ServerAction::<ReplayDelivery>::new();
    let live = use_live();
    let delivery = Resource::new(move || (id.get(), live.deliveries.get(), replay.version().get()), |(id, ..)| find_delivery(id));
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
    let DeliveryDetail { delivery, headers, body, pretty_body } = detail;
    let event = delivery.event_type.clone().unwrap_or_else(|| "unknown event".to_owned());
    let id = delivery.webhook_delivery_id.to_string();
    let moments = delivery.clone();
    let is_empty = headers.is_empty();
    let headers = headers
        .into_iter()
        .map(|(name, value)| view! { <div><dt class="mono">{name}</dt><dd class="mono">{value}</dd></div> })
        .collect_view();
    view! {
        <div class="stack">
            <PageHeader title=event lead=format!("From {}", delivery.partner_id)>
                <LiveIndicator/>
                <ButtonLink href="/deliveries">"All deliveries"</ButtonLink>
                {may_operate.then(|| view! { <ReplayForm id=id.clone() replay/> })}
            </PageHeader>
            <FormError failure=failure(replay)/>
            <Outcome delivery=delivery.clone()/>
            <div class="columns">
                <Panel title="Delivery"><Facts delivery/></Panel>
                <Panel title="What happened"><Timeline delivery=moments/></Panel>
            </div>
            <Panel title="Headers" hint="signatures are not kept">
                {if is_empty {
                    view! { <p class="muted">"It came without headers that are kept, as postbacks do."</p> }.into_any()
                } else {
                    view! { <dl class="facts">{headers}</dl> }.into_any()
                }}
            </Panel>
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

#[component]
fn Outcome(delivery: Delivery) -> impl IntoView {
    let tone = match delivery.state {
        DeliveryState::Dead => Tone::Bad,
        DeliveryState::Retrying => Tone::Warning,
        DeliveryState::Processed => Tone::Good,
        DeliveryState::Received | DeliveryState::Ignored => Tone::Neutral,
    };
    let words = match delivery.state {
        DeliveryState::Dead => "Given up",
        DeliveryState::Retrying => "It failed and will be tried again",
        DeliveryState::Processed => "Processed",
        DeliveryState::Ignored => "Without effect, on purpose",
        DeliveryState::Received => "Waits for a worker",
    };
    let reason = delivery.last_error.or(delivery.outcome).filter(|_| delivery.state != DeliveryState::Received);
    view! {
        <Notice tone>
            <strong>{words}</strong>
            {reason.map(|reason| format!(": {reason}"))}
        </Notice>
    }
}

#[component]
fn Facts(delivery: Delivery) -> impl IntoView {
    let partner = delivery.partner_id.to_string();
    view! {
        <dl class="facts">
            <div><dt>"State"</dt><dd><StateBadge state=delivery.state/></dd></div>
            <div><dt>"Partner"</dt><dd><a href=format!("/partners/{partner}")>{partner.clone()}</a></dd></div>
            <div><dt>"Endpoint"</dt><dd class="mono">{format!("/webhooks/{partner}/{}", delivery.event_path)}</dd></div>
            <div><dt>"Message"</dt><dd class="mono">{delivery.message_id}</dd></div>
            <div><dt>"Delivery"</dt><dd class="mono">{delivery.webhook_delivery_id.to_string()}</dd></div>
            <div><dt>"Tries"</dt><dd>{delivery.attempts.to_string()}</dd></div>
            <div><dt>"Repeats"</dt><dd>{delivery.duplicates.to_string()}</dd></div>
        </dl>
    }
}

/// The moments that are known: only the last try is kept.
#[component]
fn Timeline(delivery: Delivery) -> impl IntoView {
    let tries = match delivery.attempts {
        1 => "1 try".to_owned(),
        tries => format!("{tries} tries"),
    };
    let end = match delivery.state {
        DeliveryState::Received if delivery.processed_at.is_some() => "Processed before; replayed since",
        DeliveryState::Processed => "Processed",
        DeliveryState::Ignored => "Ignored",
        DeliveryState::Dead => "Given up",
        DeliveryState::Received | DeliveryState::Retrying => "Tried",
    };
    let next = (delivery.state == DeliveryState::Retrying).then_some(delivery.next_attempt_at);
    view! {
        <ol class="timeline">
            <li><Time at=delivery.received_at/><span>"Received, checked and stored"</span></li>
            {delivery.processed_at.map(|at| view! { <li><Time at/><span>{end}" after "{tries.clone()}</span></li> })}
            {next.map(|at| view! { <li data-next="true"><Time at/><span>"Next try, after "{tries}</span></li> })}
        </ol>
    }
}
