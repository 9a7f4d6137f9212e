//! Who changed what. The URL holds the filter and the page.

use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, location::Url};

use crate::{
    api::{AuditList, AuditQuery, list_audit},
    components::{ButtonLink, EmptyState, ErrorNote, FilterBar, FormField, PageHeader, Panel, SelectField, Steps, TableSkeleton, with_all},
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
    view! {
        <FilterForm query actions=list.actions actors=list.actors/>
        <Panel title="Entries" hint="the newest first, 50 a page" flush=true>
            {body}
            <Steps first=newest next=older/>
        </Panel>
    }
}

#[component]
fn FilterForm(query: AuditQuery, actions: Vec<String>, actors: Vec<String>) -> impl IntoView {
    let filtered = query != AuditQuery::default();
    let choices = |all, values: Vec<String>| with_all(all, values.into_iter().map(|value| (value.clone(), value)).collect());
    view! {
        <FilterBar action="/audit" filtered>
            <FormField name="search" label="Search" kind="search" value=query.search placeholder="partner, statement, reason"/>
            <SelectField name="action" label="What" options=choices("Everything", actions) value=query.action/>
            <SelectField name="actor" label="Who" options=choices("Everyone", actors) value=query.actor/>
        </FilterBar>
    }
}
