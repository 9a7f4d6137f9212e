//! Chooses the period of a page. It is links and a form, so it works without script, and the URL is its state.

use domain::dashboard::Range;
use leptos::prelude::*;

use super::FormField;

/// Links to `path` with another range in the query.
#[component]
pub fn RangePicker(#[prop(into)] path: String, #[prop(into)] range: Signal<Range>) -> impl IntoView {
    let links = Range::NAMED.map(|named| {
        let current = move || (range.get() == named).then_some("true");
        let label = named.name().unwrap_or_default();
        view! { <a class="range-picker__link" href=format!("{path}?{named}") aria-current=current aria-label=format!("{label}, {}", named.words())>{label}</a> }
    });
    let is_custom = move || matches!(range.get(), Range::Custom { .. });
    let custom = move |first: bool| match range.get() {
        Range::Custom { from, to } => if first { from } else { to }.to_string(),
        _ => String::new(),
    };
    let label = move || if is_custom() { range.get().words() } else { "Custom".to_owned() };
    view! {
        <div class="range-picker" role="group" aria-label="Period, in UTC">
            {links.into_iter().collect_view()}
            <details class="range-picker__custom">
                <summary class="range-picker__link" aria-current=move || is_custom().then_some("true")>{label}</summary>
                <div class="range-picker__form">
                    <form method="get" action=path>
                        {move || view! {
                            <FormField name="from" label="From" kind="date" value=custom(true) required=true/>
                            <FormField name="to" label="To (included)" kind="date" value=custom(false) required=true/>
                        }}
                        <button type="submit" class="button" data-kind="primary">"Show"</button>
                    </form>
                </div>
            </details>
        </div>
    }
}
