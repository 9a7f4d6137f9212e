//! One figure, and how it stands to the period before.

use domain::dashboard::{Compared, growth};
use leptos::prelude::*;

use super::format::percent;

/// A figure with its label; the delta and the hint may be absent.
#[component]
pub fn KpiCard(
    #[prop(into)] label: String,
    #[prop(into)] value: String,
    /// What the figure counts, or what it was before.
    #[prop(optional, into)]
    hint: Option<String>,
    /// How it changed.
    #[prop(optional)]
    delta: Option<Compared<i64>>,
    /// More of it is worse.
    #[prop(optional)]
    lower_is_better: bool,
    /// Larger, for the one figure that matters most.
    #[prop(optional)]
    lead: bool,
) -> impl IntoView {
    view! {
        <article class="kpi-card" data-lead=lead.then_some("true")>
            <h3 class="kpi-card__label">{label}</h3>
            <p class="kpi-card__row">
                <span class="kpi-card__value">{value}</span>
                {delta.map(|change| view! { <Delta change lower_is_better/> })}
            </p>
            {hint.map(|hint| view! { <p class="kpi-card__hint">{hint}</p> })}
        </article>
    }
}

/// `+12.3 %`, `-4.0 %`, `no change`, or `new` where there was nothing before. The sign carries the meaning, colour repeats it.
#[component]
pub fn Delta(change: Compared<i64>, #[prop(optional)] lower_is_better: bool) -> impl IntoView {
    let Compared { now, before } = change;
    let direction = match now.cmp(&before) {
        std::cmp::Ordering::Equal => "same",
        std::cmp::Ordering::Greater if lower_is_better => "worse",
        std::cmp::Ordering::Less if !lower_is_better => "worse",
        _ => "better",
    };
    let text = match growth(now, before) {
        _ if now == before => "no change".to_owned(),
        Some(ratio) if now > before => format!("+{}", percent(ratio)),
        Some(ratio) => percent(ratio),
        None => "new".to_owned(),
    };
    view! { <span class="delta" data-direction=direction title="against the period before">{text}</span> }
}
