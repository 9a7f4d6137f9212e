//! What was done to a test, and by whom.

use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::{
    api::find_experiment_log,
    components::{ButtonLink, EmptyState, ErrorNote, LiveIndicator, PageHeader, Panel, TableSkeleton},
};

#[component]
pub fn ExperimentLogPage() -> impl IntoView {
    let (params, query) = (use_params_map(), use_query_map());
    let asked = Memo::new(move |_| {
        let before = query.with(|query| query.get("before").unwrap_or_default());
        (params.with(|params| params.get("key").unwrap_or_default()), before)
    });
    let log = Resource::new(move || asked.get(), |(key, before)| find_experiment_log(key, before));
    view! {
        <Transition fallback=|| view! { <Panel title="Log"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                let (key, before) = asked.get();
                let page = format!("/experiments/{key}");
                match log.await {
                    Ok(log) => {
                        let title = format!("Log of {}", log.name);
                        let older = log.next.map(|next| format!("{page}/log?before={next}"));
                        let newest = (!before.is_empty()).then(|| format!("{page}/log"));
                        view! {
                            <PageHeader title lead="Every change of the test, newest first. The plan's hash is taken when it starts. Times are UTC.">
                                <LiveIndicator topics="experiment"/>
                                <ButtonLink href=page>"Back to the test"</ButtonLink>
                            </PageHeader>
                            <Panel title="Changes" flush=true>
                                {match log.table {
                                    Some(table) => view! { <div id="experiment-log" data-live-region inner_html=table></div> }.into_any(),
                                    None => view! {
                                        <EmptyState title="Nothing here"><p>"No change of this test is on this page of the audit log."</p></EmptyState>
                                    }
                                    .into_any(),
                                }}
                            </Panel>
                            <div class="row">
                                {newest.map(|href| view! { <ButtonLink href>"Newest"</ButtonLink> })}
                                {older.map(|href| view! { <ButtonLink href>"Older"</ButtonLink> })}
                            </div>
                        }
                        .into_any()
                    }
                    Err(error) => view! {
                        <PageHeader title="Log"><ButtonLink href="/experiments">"All tests"</ButtonLink></PageHeader>
                        <ErrorNote error/>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}
