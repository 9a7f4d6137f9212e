//! The verification queue and all successes. The URL holds filter, search and page.

use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, location::Url};

use crate::{
    api::{SuccessList, SuccessQuery, SuccessQueue, list_partners, list_successes, list_waiting_successes},
    components::{
        ButtonLink, EmptyState, ErrorNote, FilterBar, FormField, LiveIndicator, PageHeader, Panel, SelectField, Steps, TableSkeleton,
        choices, count, with_all,
    },
};

/// The list's address under a query, without its page.
fn address(query: &SuccessQuery) -> String {
    let SuccessQuery { state, partner, metric, search, .. } = query;
    let [state, partner, metric, search] = [state, partner, metric, search].map(|text| Url::escape(text));
    format!("/successes?state={state}&partner={partner}&metric={metric}&search={search}")
}

fn is_filtered(query: &SuccessQuery) -> bool {
    [&query.state, &query.partner, &query.metric, &query.search].into_iter().any(|text| !text.is_empty())
}

#[component]
pub fn SuccessesPage() -> impl IntoView {
    let parameters = use_query_map();
    let query = Memo::new(move |_| {
        parameters.with(|parameters| {
            let text = |key: &str| parameters.get(key).unwrap_or_default();
            SuccessQuery {
                state: text("state"),
                partner: text("partner"),
                metric: text("metric"),
                search: text("search"),
                before: text("before"),
            }
        })
    });
    let queue = Resource::new(|| (), |()| list_waiting_successes());
    let partners = Resource::new(|| (), |()| list_partners());
    let list = Resource::new(move || query.get(), list_successes);
    view! {
        <PageHeader title="Successes" lead="What developers reached with partners, and what of it waits for verification. Times are UTC.">
            <LiveIndicator topics="success"/>
        </PageHeader>
        <Panel title="Verification queue" hint="the oldest first; unverified successes multiply no commission" flush=true>
            <div id="success-queue" data-live-region>
                <Transition fallback=|| view! { <TableSkeleton rows=3/> }>
                    {move || Suspend::new(async move {
                        match queue.await {
                            Ok(queue) => view! { <Queue queue/> }.into_any(),
                            Err(error) => view! { <ErrorNote error/> }.into_any(),
                        }
                    })}
                </Transition>
            </div>
        </Panel>
        <Panel title="All successes" hint="the newest first, 50 a page" flush=true>
            <Transition fallback=|| view! { <TableSkeleton rows=10/> }>
                {move || Suspend::new(async move {
                    let partners = partners.await.map(|list| list.names).unwrap_or_default();
                    match list.await {
                        Ok(list) => view! { <List list query=query.get() partners/> }.into_any(),
                        Err(error) => view! {
                            <ErrorNote error/>
                            <p class="pager"><ButtonLink href="/successes">"Show all successes"</ButtonLink></p>
                        }
                        .into_any(),
                    }
                })}
            </Transition>
        </Panel>
    }
}

#[component]
fn Queue(queue: SuccessQueue) -> impl IntoView {
    if queue.table.is_empty() {
        return view! {
            <EmptyState title="Nothing waits">
                <p>"Successes that need verification appear here until the partner's signed webhook or an operator confirms them."</p>
            </EmptyState>
        }
        .into_any();
    }
    let words = if queue.waiting == 1 { "1 success waits.".to_owned() } else { format!("{} successes wait.", count(queue.waiting)) };
    view! {
        <p class="successes__waiting">{words}" "<a href="/successes?state=unverified">"Show all that wait"</a></p>
        <div inner_html=queue.table></div>
    }
    .into_any()
}

#[component]
fn List(list: SuccessList, query: SuccessQuery, partners: Vec<(String, String)>) -> impl IntoView {
    let SuccessList { table, next, metrics } = list;
    let (here, filtered, first_page) = (address(&query), is_filtered(&query), query.before.is_empty());
    let older = next.map(|next| format!("{here}&before={next}"));
    view! {
        <div class="successes__filter"><FilterForm query partners metrics/></div>
        <div id="successes" data-live-region>
            {if table.is_empty() {
                view! { <NothingFound filtered=filtered || !first_page/> }.into_any()
            } else {
                view! { <div inner_html=table></div> }.into_any()
            }}
            <Steps first=(!first_page).then_some(here) next=older/>
        </div>
    }
}

#[component]
fn NothingFound(filtered: bool) -> impl IntoView {
    if filtered {
        view! { <EmptyState title="No success fits"><p>"Choose other filters, or "<a href="/successes">"show all"</a>"."</p></EmptyState> }
            .into_any()
    } else {
        view! {
            <EmptyState title="No successes yet">
                <p>"Partners send them as "<code>"success.achieved"</code>" webhooks, our services by "<code>"POST /api/v1/successes"</code>"."</p>
            </EmptyState>
        }
        .into_any()
    }
}

#[component]
fn FilterForm(query: SuccessQuery, partners: Vec<(String, String)>, metrics: Vec<(String, String)>) -> impl IntoView {
    let filtered = is_filtered(&query);
    let states = choices([("", "Every state"), ("unverified", "Unverified"), ("verified", "Verified"), ("rejected", "Rejected")]);
    let SuccessQuery { state, partner, metric, search, .. } = query;
    view! {
        <FilterBar action="/successes" filtered>
            <SelectField name="state" label="State" options=states value=state/>
            <SelectField name="partner" label="Partner" options=with_all("Every partner", partners) value=partner/>
            <SelectField name="metric" label="Metric" options=with_all("Every metric", metrics) value=metric/>
            <FormField name="search" label="Search" kind="search" value=search placeholder="External id, referral code, developer"/>
        </FilterBar>
    }
}
