//! The numbers of each variant, under one metric.

use domain::experiment::{
    Metric, MetricResult, Results, VariantTotals,
    statistics::{ArmSummary, Comparison, Outcome},
};
use leptos::prelude::*;

use super::figures::{chance, deciding_interval, difference, expected_loss, is_of_difference, lift, p, value};
use crate::components::{Badge, DataTable, NumberCell, Tone, count};

/// What of a variant's units the metric counts.
fn counted(metric: Metric) -> &'static str {
    match metric {
        Metric::ClickRate => "#Clicked",
        Metric::ConversionRate => "#Converted",
        Metric::SuccessRate => "#Succeeded",
        Metric::ClicksPerUnit => "#Clicks",
        Metric::CommissionPerUnit => "#Conversions",
    }
}

fn count_of(metric: Metric, totals: &VariantTotals) -> i64 {
    match metric {
        Metric::ClickRate => totals.clicked,
        Metric::ConversionRate => totals.converted,
        Metric::SuccessRate => totals.succeeded,
        Metric::ClicksPerUnit => totals.clicks,
        Metric::CommissionPerUnit => totals.conversions,
    }
}

#[component]
pub fn VariantTable(results: Results, shown: MetricResult) -> impl IntoView {
    let MetricResult { metric, analysis } = shown;
    let mut columns = vec!["Variant", "#Units", counted(metric), if metric.is_rate() { "#Rate" } else { "#Per unit" }];
    if metric != Metric::CommissionPerUnit {
        columns.push("#Revenue per unit");
    }
    columns.extend(["#Difference", "#Lift", "#p, any time", "#p, once", "#Chance to win", "#Expected loss"]);
    let alpha = analysis.alpha;
    let several = analysis.comparisons.len() > 1;
    let rows = results
        .variants
        .iter()
        .zip(analysis.arms)
        .map(|(totals, arm)| {
            let comparison = analysis.comparisons.iter().find(|comparison| comparison.variant == totals.key).cloned();
            view! { <Row results=results.clone() totals=totals.clone() metric arm comparison alpha several/> }
        })
        .collect_view();
    view! { <DataTable caption="Figures of each variant" cards=true columns>{rows}</DataTable> }
}

#[component]
fn Row(
    results: Results,
    totals: VariantTotals,
    metric: Metric,
    arm: ArmSummary,
    comparison: Option<Comparison>,
    alpha: f64,
    /// p-values are corrected for the number of variants.
    several: bool,
) -> impl IntoView {
    let currency = results.currency;
    let place = results.variants.iter().position(|variant| variant.key == totals.key).unwrap_or_default();
    let counted_label = counted(metric).trim_start_matches('#');
    let number = count(count_of(metric, &totals));
    let mean = arm.mean.map_or_else(|| "–".to_owned(), |mean| value(metric, currency, mean));
    let spread = arm.interval.map(|interval| {
        let high = interval.high.map_or_else(|| "no bound".to_owned(), |high| value(metric, currency, high));
        format!("{} to {high}", value(metric, currency, interval.low))
    });
    let revenue = (totals.exposures > 0)
        .then(|| value(Metric::CommissionPerUnit, currency, totals.commission_minor as f64 / totals.exposures as f64));
    let revenue_cell = (metric != Metric::CommissionPerUnit).then(|| {
        view! { <NumberCell label="Revenue per unit">{revenue.unwrap_or_else(|| "–".to_owned())}</NumberCell> }
    });
    let outcome = comparison.as_ref().map(|comparison| match comparison.outcome {
        Outcome::Better => (Tone::Good, "better"),
        Outcome::Worse => (Tone::Bad, "worse"),
        Outcome::Open => (Tone::Neutral, "open"),
    });
    let role = match outcome {
        Some((tone, word)) => view! { <Badge tone>{word}</Badge> }.into_any(),
        None => view! { <span class="muted">"control"</span> }.into_any(),
    };
    let against = match comparison {
        Some(comparison) => view! { <Against comparison metric currency alpha several/> }.into_any(),
        None => view! {
            <NumberCell label="Difference"><span class="muted">"–"</span></NumberCell>
            <NumberCell label="Lift"><span class="muted">"–"</span></NumberCell>
            <NumberCell label="p, any time"><span class="muted">"–"</span></NumberCell>
            <NumberCell label="p, once"><span class="muted">"–"</span></NumberCell>
            <NumberCell label="Chance to win"><span class="muted">"–"</span></NumberCell>
            <NumberCell label="Expected loss"><span class="muted">"–"</span></NumberCell>
        }
        .into_any(),
    };
    view! {
        <tr data-variant=totals.key.clone()>
            <td data-label="Variant">
                <span class="two-lines">
                    <span class="experiment__variant"><span class="plot__swatch" data-place=place.to_string()></span>{totals.name}</span>
                    <span class="books__small">{role}</span>
                </span>
            </td>
            <NumberCell label="Units">{count(totals.exposures)}</NumberCell>
            <NumberCell label=counted_label>{number}</NumberCell>
            <NumberCell label="Rate">
                <span class="two-lines"><span>{mean}</span>{spread.map(|spread| view! { <span class="books__small">{spread}</span> })}</span>
            </NumberCell>
            {revenue_cell}
            {against}
        </tr>
    }
}

#[component]
fn Against(comparison: Comparison, metric: Metric, currency: domain::Currency, alpha: f64, several: bool) -> impl IntoView {
    let Comparison { difference: found, p_adjusted, always_valid, smallest_p, smallest_p_adjusted, beliefs, .. } = comparison;
    let lift_words = found.lift.map_or_else(|| "–".to_owned(), |found| lift(found.estimate));
    let interval = deciding_interval(metric, currency, always_valid).map(|interval| view! { <span class="books__small">{interval}</span> });
    let (of_difference, of_lift) = if is_of_difference(always_valid) { (interval, None) } else { (None, interval) };
    let any_time = if several { smallest_p_adjusted } else { smallest_p };
    let once = if several { p_adjusted.or(found.p) } else { found.p };
    let corrected = several.then_some("corrected for the number of variants (Holm)");
    let is_clear = any_time <= alpha;
    let loss = beliefs.map_or_else(|| "–".to_owned(), |beliefs| expected_loss(metric, currency, beliefs.loss_of_shipping));
    view! {
        <NumberCell label="Difference">
            <span class="two-lines">
                <span>{difference(metric, currency, found.absolute.estimate)}</span>
                {of_difference}
            </span>
        </NumberCell>
        <NumberCell label="Lift">
            <span class="two-lines"><strong>{lift_words}</strong>{of_lift}</span>
        </NumberCell>
        <td data-kind="number" data-label="p, any time" title=corrected>
            {if is_clear { view! { <strong>{p(any_time)}</strong> }.into_any() } else { p(any_time).into_any() }}
        </td>
        <td data-kind="number" data-label="p, once" title=corrected><span class="muted">{once.map_or_else(|| "–".to_owned(), p)}</span></td>
        <NumberCell label="Chance to win">{beliefs.map_or_else(|| "–".to_owned(), |beliefs| chance(beliefs.chance_to_win))}</NumberCell>
        <NumberCell label="Expected loss">{loss}</NumberCell>
    }
}
