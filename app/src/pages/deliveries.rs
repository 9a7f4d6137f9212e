//! The webhooks that came in and what became of them. The URL holds the filter and the page.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{
    api::{Delivery, DeliveryList, ReplayDeadDeliveries, ReplayDelivery, list_deliveries, list_partners, use_viewer},
    components::{
        ButtonLink, DataTable, DoneNotice, EmptyState, ErrorNote, FilterBar, FormError, LiveIndicator, NumberCell, PageHeader, Panel,
        SelectField, StateBadge, Steps, SubmitButton, TableSkeleton, Time, choices, count, failure, with_all,
    },
};

/// What the query asks for; empty texts ask for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Filter {
    state: String,
    partner: String,
    before: String,
}

impl Filter {
    fn is_empty(&self) -> bool {
        self.state.is_empty() && self.partner.is_empty()
    }

    /// The page of older deliveries under the same filter. State and partner come from our own lists, so nothing needs escaping.
    fn older(&self, before: &str) -> String {
        format!("/deliveries?state={}&partner={}&before={before}", self.state, self.partner)
    }

    fn newest(&self) -> String {
        format!("/deliveries?state={}&partner={}", self.state, self.partner)
    }
}

#[component]
pub fn DeliveriesPage() -> impl IntoView {
    let query = use_query_map();
    let filter = Memo::new(move |_| {
        query.with(|query| {
            let text = |key: &str| query.get(key).unwrap_or_default();
            Filter { state: text("state"), partner: text("partner"), before: text("before") }
        })
    });
    let replay = ServerAction::<ReplayDelivery>::new();
    let replay_dead = ServerAction::<ReplayDeadDeliveries>::new();
    let page = Resource::new(
        move || (filter.get(), replay.version().get(), replay_dead.version().get()),
        |(filter, ..)| list_deliveries(filter.state, filter.partner, filter.before),
    );
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));

    view! {
        <PageHeader title="Webhook deliveries" lead="What partners sent, and what became of it. Times are UTC.">
            <LiveIndicator topics="delivery"/>
        </PageHeader>
        <div class="deliveries__bar">
            <FilterForm filter/>
            <Show when=move || may_operate.get() && filter.with(|filter| filter.state == "dead")>
                <ActionForm action=replay_dead>
                    <input type="hidden" name="partner" value=move || filter.get().partner/>
                    <SubmitButton label="Replay all that were given up" pending=replay_dead.pending()/>
                </ActionForm>
            </Show>
        </div>
        <DoneNotice/>
        <FormError failure=failure(replay)/>
        <FormError failure=failure(replay_dead)/>
        <div id="deliveries" class="stack" data-live-region>
            <Transition fallback=|| view! { <Panel title="Deliveries"><TableSkeleton rows=10/></Panel> }>
                {move || Suspend::new(async move {
                    match page.await {
                        Ok(list) => view! { <Deliveries list filter=filter.get() replay may_operate=may_operate.get()/> }.into_any(),
                        Err(error) => view! {
                            <ErrorNote error/>
                            <p class="pager"><ButtonLink href="/deliveries">"Show all deliveries"</ButtonLink></p>
                        }
                        .into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn FilterForm(filter: Memo<Filter>) -> impl IntoView {
    let partners = Resource::new(|| (), |()| list_partners());
    let states = || {
        choices([
            ("", "Every state"),
            ("received", "Received"),
            ("processed", "Processed"),
            ("ignored", "Ignored"),
            ("retrying", "Retrying"),
            ("dead", "Given up"),
        ])
    };
    view! {
        <Transition>
            {move || Suspend::new(async move {
                let partners = partners.await.map(|list| list.names).unwrap_or_default();
                let chosen = filter.get();
                view! {
                    <FilterBar action="/deliveries" filtered=!chosen.is_empty()>
                        <SelectField name="state" label="State" options=states() value=chosen.state/>
                        <SelectField name="partner" label="Partner" options=with_all("Every partner", partners) value=chosen.partner/>
                    </FilterBar>
                }
            })}
        </Transition>
    }
}

/// What was stored, under what was turned away and is not.
#[component]
fn Deliveries(list: DeliveryList, filter: Filter, replay: ServerAction<ReplayDelivery>, may_operate: bool) -> impl IntoView {
    let refusals = list.refusals.clone();
    view! {
        {(!refusals.is_empty()).then(|| view! { <div inner_html=refusals></div> })}
        <Panel title="Deliveries" hint="the newest first, 50 a page" flush=true>
            <DeliveryTable list filter replay may_operate/>
        </Panel>
    }
}

#[component]
fn DeliveryTable(list: DeliveryList, filter: Filter, replay: ServerAction<ReplayDelivery>, may_operate: bool) -> impl IntoView {
    let is_first_page = filter.before.is_empty();
    if list.deliveries.is_empty() {
        return view! {
            <EmptyState title=if filter.is_empty() && is_first_page { "No deliveries yet" } else { "No delivery fits" }>
                {if filter.is_empty() && is_first_page {
                    view! { <p>"They appear here as partners send them. A "<a href="/partners">"partner's page"</a>" can send a test."</p> }.into_any()
                } else {
                    view! { <p>"Choose another state or partner, or "<a href="/deliveries">"show all"</a>"."</p> }.into_any()
                }}
            </EmptyState>
        }
        .into_any();
    }
    let older = list.next.map(|next| filter.older(&next.to_string()));
    let rows = list.deliveries.into_iter().map(|delivery| view! { <DeliveryLine delivery replay may_operate/> }).collect_view();
    view! {
        <DataTable
            caption="Webhook deliveries"
            cards=true
            columns=vec!["State", "Event", "Partner", "Message", "Outcome", "#Tries", "#Repeats", "Received", "Replay"]
        >
            {rows}
        </DataTable>
        <Steps first=(!is_first_page).then(|| filter.newest()) next=older/>
    }
    .into_any()
}

#[component]
fn DeliveryLine(delivery: Delivery, replay: ServerAction<ReplayDelivery>, may_operate: bool) -> impl IntoView {
    let id = delivery.webhook_delivery_id.to_string();
    let failed = delivery.last_error.is_some();
    let outcome = delivery.last_error.or(delivery.outcome).unwrap_or_else(|| "–".to_owned());
    let event = delivery.event_type.unwrap_or_else(|| "unknown event".to_owned());
    let href = format!("/deliveries/{id}");
    let message = delivery.message_id.clone();
    let replayed = may_operate.then(|| id.clone());
    view! {
        <tr data-delivery-id=id>
            <td data-label="State"><StateBadge state=delivery.state/></td>
            <td data-label="Event"><a href=href>{event}</a></td>
            <td data-label="Partner"><a href=format!("/partners/{}", delivery.partner_id)>{delivery.partner_id.to_string()}</a></td>
            <td data-label="Message"><code class="deliveries__message" title=message>{delivery.message_id}</code></td>
            <td data-label="Outcome"><span class="deliveries__outcome" data-failed=failed.then_some("true")>{outcome}</span></td>
            <NumberCell label="Tries">{count(delivery.attempts.into())}</NumberCell>
            <NumberCell label="Repeats">{count(delivery.duplicates.into())}</NumberCell>
            <td data-label="Received"><Time at=delivery.received_at/></td>
            <td data-label="Replay">
                {match replayed {
                    Some(id) => view! { <ReplayForm id replay/> }.into_any(),
                    None => view! { <span class="muted">"–"</span> }.into_any(),
                }}
            </td>
        </tr>
    }
}

/// Replaying is safe: what a delivery already did is not done twice.
#[component]
pub fn ReplayForm(id: String, replay: ServerAction<ReplayDelivery>) -> impl IntoView {
    view! {
        <ActionForm action=replay>
            <input type="hidden" name="id" value=id/>
            <button type="submit" class="button" title="Process it again. What it already did is not done twice.">"Replay"</button>
        </ActionForm>
    }
}
