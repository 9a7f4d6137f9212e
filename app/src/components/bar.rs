//! A share as the length of a bar. The number itself stands beside it in text.

use leptos::prelude::*;

/// `percent` is from 0 to 100; decoration, since the figure is written out.
#[component]
pub fn Bar(percent: f64) -> impl IntoView {
    let width = format!("{:.2}", percent.clamp(0.0, 100.0));
    view! {
        <svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" focusable="false">
            <rect width=width height="1"></rect>
        </svg>
    }
}
