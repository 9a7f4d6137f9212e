//! Tests side by side. Which ones stands in the URL.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{
    api::{ExperimentComparison, compare_experiments},
    components::{ButtonLink, EmptyState, ErrorNote, LiveIndicator, PageHeader, Panel, TableSkeleton},
};

#[component]
pub fn ExperimentComparisonPage() -> impl IntoView {
    let query = use_query_map();
    let keys = Memo::new(move |_| query.with(|query| query.get_all("key").unwrap_or_default()));
    let compared = Resource::new(move || keys.get(), compare_experiments);
    view! {
        <PageHeader title="Compare tests" lead="What each test found, side by side. Lifts of different tests do not add up.">
            <LiveIndicator topics="experiment"/>
            <ButtonLink href="/experiments">"All tests"</ButtonLink>
        </PageHeader>
        <Transition fallback=|| view! { <TableSkeleton/> }>
            {move || Suspend::new(async move {
                match compared.await {
                    Ok(compared) => view! { <Compared compared keys=keys.get()/> }.into_any(),
                    Err(error) => view! {
                        <ErrorNote error/>
                        <p><ButtonLink href="/experiments/compare">"Choose anew"</ButtonLink></p>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn Compared(compared: ExperimentComparison, keys: Vec<String>) -> impl IntoView {
    if compared.all.is_empty() {
        return view! {
            <Panel title="Tests">
                <EmptyState title="No test has begun yet"><p>"Tests can be compared once they have been started."</p></EmptyState>
            </Panel>
        }
        .into_any();
    }
    let boxes = compared
        .all
        .into_iter()
        .map(|(key, name)| {
            let id = format!("compare-{key}");
            let checked = keys.contains(&key);
            view! {
                <li class="experiment-form__tick">
                    <input class="choice" type="checkbox" name="key" id=id.clone() value=key checked=checked/>
                    <label for=id>{name}</label>
                </li>
            }
        })
        .collect_view();
    view! {
        <Panel title="Tests to compare">
            <form method="get" action="/experiments/compare" class="stack">
                <ul class="experiment-form__ticks">{boxes}</ul>
                <div class="row"><button type="submit" class="button" data-kind="primary">"Compare"</button></div>
            </form>
        </Panel>
        <Panel title="Comparison" hint="each test's primary metric, its best variant against its control" flush=true>
            {match compared.table {
                Some(table) => view! { <div id="experiment-comparison" data-live-region inner_html=table></div> }.into_any(),
                None => view! { <EmptyState title="Choose two tests or more"><p>"Tick them above."</p></EmptyState> }.into_any(),
            }}
        </Panel>
    }
    .into_any()
}
