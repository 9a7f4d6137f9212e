//! One test: what it says, in words before numbers, and what can be done about it. The URL holds metric and phase.

mod actions;
mod compare;
mod editor;
mod fields;
mod log;

use domain::experiment::Status;
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

pub use compare::ExperimentComparisonPage;
pub use editor::{EditExperimentPage, NewExperimentPage};
pub use log::ExperimentLogPage;

use crate::{
    api::{ExperimentDetail, find_experiment, use_viewer},
    components::{
        ButtonLink, DoneNotice, ErrorNote, FormError, LiveIndicator, PageHeader, Panel, StatusBadge, Tab, TableSkeleton, Tabs, failure,
    },
};
use actions::{Actions, Ship, Steps};

#[component]
pub fn ExperimentPage() -> impl IntoView {
    let (params, query) = (use_params_map(), use_query_map());
    let asked = Memo::new(move |_| {
        let text = |name: &str| query.with(|query| query.get(name).unwrap_or_default());
        (params.with(|params| params.get("key").unwrap_or_default()), text("metric"), text("phase"))
    });
    let actions = Actions::new();
    let detail = Resource::new(move || (asked.get(), actions.version()), |((key, metric, phase), _)| find_experiment(key, metric, phase));
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));
    view! {
        <Transition fallback=|| view! { <Panel title="Test"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match detail.await {
                    Ok(detail) => view! { <Detail detail actions may_operate=may_operate.get()/> }.into_any(),
                    Err(error) => view! {
                        <PageHeader title="Test"><ButtonLink href="/experiments">"All tests"</ButtonLink></PageHeader>
                        <ErrorNote error/>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn Detail(detail: ExperimentDetail, actions: Actions, may_operate: bool) -> impl IntoView {
    let tabs = metric_tabs(&detail);
    let phases = phase_tabs(&detail);
    let ExperimentDetail { key, name, lead, status, verdict, results, design, choices, shipped, has_results, .. } = detail;
    let is_open = !matches!(status, Status::Stopped | Status::Archived);
    let may_ship = may_operate && !matches!(status, Status::Draft | Status::Archived);
    let log = format!("/experiments/{key}/log");
    let edit = format!("/experiments/{key}/edit");
    view! {
        <PageHeader title=name lead>
            <LiveIndicator topics="experiment"/>
            {(may_operate && is_open).then(|| view! { <ButtonLink href=edit>"Edit"</ButtonLink> })}
            <ButtonLink href=log>"Log"</ButtonLink>
            <ButtonLink href="/experiments">"All tests"</ButtonLink>
        </PageHeader>
        <DoneNotice/>
        <FormError failure=failure(actions.step)/>
        <FormError failure=failure(actions.ship)/>
        <div class="experiment__standing" id="experiment-state" data-live-region>
            <StatusBadge status/>
            {may_operate.then(|| view! { <Steps key=key.clone() status actions/> })}
        </div>
        <div id="experiment-verdict" data-live-region inner_html=verdict></div>
        {may_ship.then(|| view! { <Ship key choices shipped status actions/> })}
        {(!phases.is_empty()).then(|| view! { <Tabs label="Phases" tabs=phases/> })}
        <div class="experiment__live" id="experiment-metrics" data-live-region>{has_results.then(|| view! { <Tabs label="Metrics" tabs/> })}</div>
        <div class="experiment__live" id="experiment-results" data-live-region inner_html=results></div>
        <div id="experiment-design" data-live-region inner_html=design></div>
    }
}

fn metric_tabs(detail: &ExperimentDetail) -> Vec<Tab> {
    let phase = detail.phase.filter(|phase| *phase != detail.phases).map(|phase| format!("&phase={phase}")).unwrap_or_default();
    let tab = |(value, label): &(String, String)| {
        let (label, note) = label.split_once(" · ").unwrap_or((label, ""));
        Tab {
            label: label.to_owned(),
            href: format!("/experiments/{}?metric={value}{phase}", detail.key),
            note: note.to_owned(),
            current: *value == detail.metric,
        }
    };
    detail.metrics.iter().map(tab).collect()
}

/// The phases, the latest first, if there is more than one.
fn phase_tabs(detail: &ExperimentDetail) -> Vec<Tab> {
    if detail.phases < 2 {
        return Vec::new();
    }
    let tab = |phase: i32| Tab {
        label: format!("Phase {phase}"),
        href: format!("/experiments/{}?metric={}&phase={phase}", detail.key, detail.metric),
        note: if phase == detail.phases { "latest".to_owned() } else { String::new() },
        current: detail.phase == Some(phase),
    };
    (1..=detail.phases).rev().map(tab).collect()
}
