//! One statement: its amounts, what becomes of it, and its lines.

use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::{
    api::{StatementDetail, find_statement},
    components::{ButtonLink, ErrorNote, LiveIndicator, PageHeader, Pager, Panel, TableSkeleton},
};

#[component]
pub fn StatementPage() -> impl IntoView {
    let (params, query) = (use_params_map(), use_query_map());
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let page = Memo::new(move |_| query.with(|query| query.get("page").unwrap_or_default()));
    let statement = Resource::new(move || (id.get(), page.get()), |(id, page)| find_statement(id, page));
    view! {
        <Transition fallback=|| view! { <Panel title="Statement"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match statement.await {
                    Ok(detail) => view! { <StatementView detail/> }.into_any(),
                    Err(error) => view! {
                        <PageHeader title="Statement"><ButtonLink href="/statements">"All statements"</ButtonLink></PageHeader>
                        <ErrorNote error/>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn StatementView(detail: StatementDetail) -> impl IntoView {
    let StatementDetail { id, number, lead, story, lines, line_count, page, pages } = detail;
    let file = |kind: &str| format!("/statements/{id}/statement.{kind}");
    let (html, csv, json) = (file("html"), file("csv"), file("json"));
    let href = format!("/statements/{id}?of=lines");
    view! {
        <div class="stack">
            <PageHeader title=number lead>
                <LiveIndicator topics="books"/>
                <a class="button" href=html rel="external">"Print"</a>
                <a class="button" href=csv rel="external">"CSV"</a>
                <a class="button" href=json rel="external">"JSON"</a>
                <ButtonLink href="/statements">"All statements"</ButtonLink>
            </PageHeader>
            <div id="statement-story" data-live-region inner_html=story></div>
            <Panel title="Lines" hint="in the order of booking, 50 a page; the files have all" flush=true>
                <div inner_html=lines></div>
                <Pager page pages total=line_count href/>
            </Panel>
        </div>
    }
}
