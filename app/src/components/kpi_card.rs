//! One figure, and how it stands to the period before.

use domain::dashboard::{Compared, Growth, growth};
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
    /// How it changed; `None` where there is nothing to compare.
    #[prop(optional_no_strip, into)]
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

/// `+12.3 %`, `-4.0 %`, `no change`, `new` where there was nothing before, `up` or `down` where that was below zero. The words carry the
/// meaning, colour repeats it.
#[component]
pub fn Delta(change: Compared<i64>, #[prop(optional)] lower_is_better: bool) -> impl IntoView {
    let Compared { now, before } = change;
    let direction = match now.cmp(&before) {
        std::cmp::Ordering::Equal => "same",
        std::cmp::Ordering::Greater if lower_is_better => "worse",
        std::cmp::Ordering::Less if !lower_is_better => "worse",
        _ => "better",
    };
    view! { <span class="delta" data-direction=direction title="against the period before">{words(change)}</span> }
}

fn words(Compared { now, before }: Compared<i64>) -> String {
    match growth(now, before) {
        Growth::By(ratio) if now > before => format!("+{}", percent(ratio)),
        Growth::By(ratio) => percent(ratio),
        Growth::Same => "no change".to_owned(),
        Growth::New => "new".to_owned(),
        Growth::Up => "up".to_owned(),
        Growth::Down => "down".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_follows_nothing_is_new() {
        let words = |now, before| words(Compared { now, before });
        assert_eq!([words(15, 10), words(6, 10), words(5, 5)], ["+50.0 %", "-40.0 %", "no change"]);
        assert_eq!([words(10, 0), words(1000, -5000), words(-6000, -5000)], ["new", "up", "down"]);
    }
}
