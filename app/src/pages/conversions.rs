//! All conversions under a filter. The URL holds the filter, the order and the page, and the CSV file takes the same.

use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};

use crate::{
    api::{ConversionList, ConversionQuery, list_conversions, list_partners},
    components::{
        ButtonLink, ErrorNote, FilterBar, FormField, LiveIndicator, PageHeader, Panel, SelectField, Steps, TableSkeleton, choices, with_all,
    },
};

#[component]
pub fn ConversionsPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| query.with(read_query));
    let page = Resource::new(move || asked.get(), list_conversions);
    let file = move || format!("/conversions.csv{}", query.with(|query| without_page(query).to_query_string()));

    view! {
        <PageHeader title="Conversions" lead="What partners reported, who is credited, and what it earns. Times are UTC.">
            <LiveIndicator topics="conversion books"/>
            <ButtonLink href="/conversions/unattributed">"What earns nothing"</ButtonLink>
            <ButtonLink href="/attribution/what-if">"What if"</ButtonLink>
            <a class="button" href=file rel="external" download="conversions.csv">"Export CSV"</a>
        </PageHeader>
        <FilterForm asked/>
        <Panel title="Conversions" hint="50 a page; amounts are compared within their currency" flush=true>
            <div id="conversions" data-live-region>
                <Transition fallback=|| view! { <TableSkeleton rows=10/> }>
                    {move || Suspend::new(async move {
                        match page.await {
                            Ok(list) => view! { <Lines list path="/conversions" query=query.get()/> }.into_any(),
                            Err(error) => view! {
                                <ErrorNote error/>
                                <p class="pager"><ButtonLink href="/conversions">"Show all conversions"</ButtonLink></p>
                            }
                            .into_any(),
                        }
                    })}
                </Transition>
            </div>
        </Panel>
    }
}

/// What the URL asks for.
pub fn read_query(query: &ParamsMap) -> ConversionQuery {
    let text = |key: &str| query.get(key).unwrap_or_default();
    ConversionQuery {
        partner: text("partner"),
        state: text("state"),
        kind: text("type"),
        source: text("source"),
        from: text("from"),
        to: text("to"),
        search: text("search"),
        sort: text("sort"),
        after: text("after"),
    }
}

/// The same list from its beginning, without what is empty.
fn without_page(query: &ParamsMap) -> ParamsMap {
    let kept = query.clone().into_iter().filter(|(key, value)| key != "after" && !value.is_empty());
    kept.collect()
}

/// A page of the list, and the links to the others.
#[component]
pub fn Lines(list: ConversionList, path: &'static str, query: ParamsMap) -> impl IntoView {
    let is_first_page = query.get("after").is_none_or(|after| after.is_empty());
    let first = without_page(&query);
    let next = list.next.map(|next| {
        let mut query = first.clone();
        query.replace("after", next);
        format!("{path}{}", query.to_query_string())
    });
    let first = (!is_first_page).then(|| format!("{path}{}", first.to_query_string()));
    view! {
        <div inner_html=list.table></div>
        <Steps first next words=["First page", "Next page"]/>
    }
}

#[component]
fn FilterForm(asked: Memo<ConversionQuery>) -> impl IntoView {
    let partners = Resource::new(|| (), |()| list_partners());
    view! {
        <Transition>
            {move || Suspend::new(async move {
                let partners = partners.await.map(|list| list.names).unwrap_or_default();
                let chosen = asked.get();
                view! {
                    <FilterBar action="/conversions" filtered={chosen != ConversionQuery::default()}>
                        <FormField name="search" label="Search" kind="search" value=chosen.search placeholder="id, code or customer"/>
                        <SelectField name="partner" label="Partner" options=with_all("Every partner", partners) value=chosen.partner/>
                        <SelectField name="state" label="State" options=states() value=chosen.state/>
                        <SelectField name="type" label="Type" options=types() value=chosen.kind/>
                        <SelectField name="source" label="Came by" options=sources() value=chosen.source/>
                        <FormField name="from" label="From" kind="date" value=chosen.from/>
                        <FormField name="to" label="To (included)" kind="date" value=chosen.to/>
                        <SelectField name="sort" label="Order" options=orders() value=chosen.sort/>
                    </FilterBar>
                }
            })}
        </Transition>
    }
}

fn states() -> Vec<(String, String)> {
    choices([
        ("", "Every state"),
        ("attributed", "Attributed"),
        ("unattributed", "Unattributed"),
        ("expired", "Expired"),
        ("refused", "Refused"),
        ("held", "Held"),
    ])
}

fn types() -> Vec<(String, String)> {
    choices([
        ("", "Every type"),
        ("lead", "Lead"),
        ("sale", "Sale"),
        ("renewal", "Renewal"),
        ("upgrade", "Upgrade"),
        ("custom", "Custom event"),
    ])
}

fn sources() -> Vec<(String, String)> {
    choices([("", "Every way"), ("webhook", "Webhook"), ("postback", "Postback"), ("api", "API"), ("csv", "File")])
}

fn orders() -> Vec<(String, String)> {
    choices([("", "Newest first"), ("oldest", "Oldest first"), ("value", "Largest value"), ("commission", "Largest commission")])
}
