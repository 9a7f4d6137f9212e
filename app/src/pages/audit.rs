//! Who changed what. The URL holds the filter and the page.

use leptos::prelude::*;
use leptos_router::{components::Form, hooks::use_query_map, location::Url};

use crate::{
    api::{AuditList, AuditQuery, list_audit},
    components::{ButtonLink, EmptyState, ErrorNote, FormField, PageHeader, Panel, SelectField, TableSkeleton},
};

#[component]
pub fn AuditPage() -> impl IntoView {
    let query = use_query_map();
    let query = Memo::new(move |_| {
        query.with(|query| {
            let text = |key: &str| query.get(key).unwrap_or_default();
            AuditQuery { action: text("action"), actor: text("actor"), search: text("search"), before: text("before") }
        })
    });
    let list = Resource::new(move || query.get(), list_audit);
    view! {
        <PageHeader title="Audit log" lead="Who changed what, and what it was before. Times are UTC."/>
        <Transition fallback=|| view! { <TableSkeleton rows=10/> }>
            {move || Suspend::new(async move {
                match list.await {
                    Ok(list) => view! { <Listing list query=query.get()/> }.into_any(),
                    Err(error) => view! {
                        <ErrorNote error/>
                        <p><ButtonLink href="/audit">"Show the whole log"</ButtonLink></p>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn Listing(list: AuditList, query: AuditQuery) -> impl IntoView {
    let parameters =
        format!("action={}&actor={}&search={}", Url::escape(&query.action), Url::escape(&query.actor), Url::escape(&query.search));
    let newest = (!query.before.is_empty()).then(|| format!("/audit?{parameters}"));
    let older = list.next.map(|next| format!("/audit?{parameters}&before={next}"));
    let body = if list.is_empty {
        view! { <EmptyState title="No entry fits"><p>"Choose another filter, or "<a href="/audit">"show the whole log"</a>"."</p></EmptyState> }.into_any()
    } else {
        view! { <div inner_html=list.table></div> }.into_any()
    };
    let has_pages = newest.is_some() || older.is_some();
    view! {
        <FilterForm query actions=list.actions actors=list.actors/>
        <Panel title="Entries" hint="the newest first, 50 a page" flush=true>
            {body}
            {has_pages.then(|| view! {
                <nav class="pager" aria-label="Pages">
                    {newest.map(|href| view! { <ButtonLink href>"Newest"</ButtonLink> })}
                    {older.map(|href| view! { <ButtonLink href>"Older"</ButtonLink> })}
                </nav>
            })}
        </Panel>
    }
}

/// A plain GET form: what is chosen stands in the URL.
#[component]
fn FilterForm(query: AuditQuery, actions: Vec<String>, actors: Vec<String>) -> impl IntoView {
    let filtered = query != AuditQuery::default();
    let choices = |every: &str, values: Vec<String>| {
        let mut choices = vec![(String::new(), every.to_owned())];
        choices.extend(values.into_iter().map(|value| (value.clone(), value)));
        choices
    };
    view! {
        <Form method="GET" action="/audit" attr:class="filter-bar">
            <FormField name="search" label="Search" kind="search" value=query.search placeholder="partner, statement, reason"/>
            <SelectField name="action" label="What" options=choices("Everything", actions) value=query.action/>
            <SelectField name="actor" label="Who" options=choices("Everyone", actors) value=query.actor/>
            <button type="submit" class="button">"Show"</button>
            {filtered.then(|| view! { <ButtonLink href="/audit" kind="quiet">"Clear"</ButtonLink> })}
        </Form>
    }
}
