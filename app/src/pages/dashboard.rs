//! The first page: how much was earned, from what, and whether everything runs. Kept up to date by live events.

use domain::dashboard::{InvalidRange, Range};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};

use crate::{
    api::{Chart, Dashboard, find_dashboard},
    components::{ChartSkeleton, ErrorNote, KpiSkeleton, LiveIndicator, Notice, PageHeader, Panel, RangePicker, TableSkeleton, Tone},
};

#[component]
pub fn DashboardPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| query.with(read_range));
    let range = Memo::new(move |_| asked.with(|asked| asked.as_ref().copied().unwrap_or_default()));
    let dashboard = Resource::new(move || range.get(), |range| find_dashboard(range.to_string()));

    view! {
        <PageHeader title="Dashboard" lead="What partners' offers earn. A sale counts when it happened, also if it came in later. All times are UTC.">
            <LiveIndicator topics="conversion traffic delivery success books"/>
            <RangePicker path="/" range/>
        </PageHeader>
        {move || asked.with(|asked| asked.as_ref().err().map(ToString::to_string)).map(|reason| view! {
            <Notice tone=Tone::Warning>
                <strong>"This period cannot be shown: "</strong>{reason}". Here are the last 30 days instead."
            </Notice>
        })}
        <Transition fallback=DashboardSkeleton>
            {move || Suspend::new(async move {
                match dashboard.await {
                    Ok(dashboard) => view! { <div class="stack" id="dashboard" data-live-region><Panels dashboard range=range.get()/></div> }.into_any(),
                    Err(error) => view! { <ErrorNote error/> }.into_any(),
                }
            })}
        </Transition>
    }
}

fn read_range(query: &ParamsMap) -> Result<Range, InvalidRange> {
    Range::parse(query.get_str("range"), query.get_str("from"), query.get_str("to"))
}

#[component]
fn Panels(dashboard: Dashboard, range: Range) -> impl IntoView {
    let words = range.words();
    let funnel_hint = format!("{words}, logarithmic bars, shares of the step before");
    view! {
        <section aria-label="Key figures">
            <h2 class="visually-hidden">"Key figures"</h2>
            <div class="kpi-grid" inner_html=dashboard.key_figures></div>
        </section>
        <div class="dashboard__charts">
            <Panel title="Commission over time" hint=format!("{}, {words}", dashboard.currency)>{chart(dashboard.commission)}</Panel>
            <Panel title="Funnel" hint=funnel_hint>{chart(dashboard.funnel)}</Panel>
        </div>
        <Panel title="Recent conversions" hint="the newest 20, whatever the period" flush=true>
            <div inner_html=dashboard.conversions></div>
        </Panel>
        <div class="dashboard__foot">
            <Panel title="Top partners" hint=dashboard.partners_hint flush=true>
                <div inner_html=dashboard.partners></div>
            </Panel>
            <Panel title="System health" hint=format!("as of {}", dashboard.as_of)>
                <div inner_html=dashboard.health></div>
            </Panel>
        </div>
    }
}

/// A drawing, and its numbers as a table that stays open while the figures change.
fn chart(chart: Chart) -> impl IntoView {
    let Chart { drawing, table } = chart;
    view! {
        <div class="chart" inner_html=drawing></div>
        {table.map(|table| view! {
            <details class="chart__data">
                <summary>"Show as table"</summary>
                <div inner_html=table></div>
            </details>
        })}
    }
}

#[component]
fn DashboardSkeleton() -> impl IntoView {
    view! {
        <KpiSkeleton cards=16/>
        <div class="dashboard__charts">
            <Panel title="Commission over time"><ChartSkeleton/></Panel>
            <Panel title="Funnel"><ChartSkeleton/></Panel>
        </div>
        <Panel title="Recent conversions"><TableSkeleton/></Panel>
    }
}
