//! What stands in the place of things that still load, in their size, so that nothing jumps.

use leptos::prelude::*;

#[component]
pub fn TableSkeleton(#[prop(default = 6)] rows: usize) -> impl IntoView {
    view! {
        <div class="skeleton" role="status" aria-label="Loading">
            {(0..rows).map(|_| view! { <div class="skeleton__row"></div> }).collect_view()}
        </div>
    }
}

#[component]
pub fn ChartSkeleton() -> impl IntoView {
    view! { <div class="skeleton skeleton__chart" role="status" aria-label="Loading"></div> }
}

#[component]
pub fn KpiSkeleton(#[prop(default = 8)] cards: usize) -> impl IntoView {
    view! {
        <div class="kpi-grid" role="status" aria-label="Loading">
            {(0..cards).map(|_| view! { <div class="kpi-card skeleton skeleton__card"></div> }).collect_view()}
        </div>
    }
}
