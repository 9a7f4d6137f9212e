//! The list of tests, each with how far it is, whether it is well, and what it says.

use domain::experiment::{
    Experiment, Results, Status,
    statistics::{GuardrailVerdict, Verdict},
};
use leptos::prelude::*;

use super::results::{difference, lift, sentence, tone};
use crate::{
    components::{Badge, Bar, DataTable, NumberCell, StatusBadge, Tone, count, kind_word, metric_word},
    panels::html,
};

/// A test with its results, once it has begun.
pub struct Listed {
    pub experiment: Experiment,
    pub results: Option<Results>,
}

pub fn experiment_table(tests: Vec<Listed>) -> String {
    html(view! { <ExperimentTable tests/> })
}

#[component]
fn ExperimentTable(tests: Vec<Listed>) -> impl IntoView {
    let rows = tests.into_iter().map(|listed| view! { <Row listed/> }).collect_view();
    view! {
        <DataTable caption="Tests with their state and result" cards=true columns=vec!["Test", "State", "Owner", "#Units", "Of the plan", "Health", "Primary result"]>{rows}</DataTable>
    }
}

#[component]
fn Row(listed: Listed) -> impl IntoView {
    let Listed { experiment, results } = listed;
    let design = &experiment.design;
    let what = format!("{} · {}", kind_word(design.kind), metric_word(design.primary_metric).to_lowercase());
    let units = results.as_ref().map_or_else(|| "–".to_owned(), |results| count(whole(results.planner.units)));
    let progress = match &results {
        Some(results) => {
            let share = results.primary.analysis.share_of_plan;
            let words = format!("{:.0} % of {}", share * 100.0, count(whole(results.planner.planned_units)));
            view! { <span class="experiment__progress"><Bar percent={share * 100.0}/><span class="books__small">{words}</span></span> }
                .into_any()
        }
        None => view! { <span class="muted">{format!("{} planned", count(whole(design.plan.planned_units)))}</span> }.into_any(),
    };
    let health = results.as_ref().map_or_else(|| view! { <span class="muted">"–"</span> }.into_any(), |results| health(results).into_any());
    let result = match (&results, &experiment.shipped_variant) {
        (_, Some(key)) => {
            let name = design.variants.iter().find(|variant| variant.key == *key).map_or(key.clone(), |variant| variant.name.clone());
            view! { <span class="experiment__result"><Badge tone=Tone::Good>"shipped"</Badge><span>{name}</span></span> }.into_any()
        }
        (Some(results), None) => one_line(results).into_any(),
        (None, None) => view! { <span class="muted">"Not started"</span> }.into_any(),
    };
    let status = experiment.status;
    let phase = experiment.phase.as_ref().filter(|phase| phase.number > 1).map(|phase| format!("phase {}", phase.number));
    view! {
        <tr data-experiment=experiment.key.clone()>
            <td data-label="Test">
                <span class="two-lines">
                    <a class="experiment__name" href=format!("/experiments/{}", experiment.key)>{design.name.clone()}</a>
                    <span class="books__small">{what}</span>
                </span>
            </td>
            <td data-label="State"><span class="two-lines"><span><StatusBadge status/></span>{phase.filter(|_| status != Status::Archived).map(|phase| view! { <span class="books__small">{phase}</span> })}</span></td>
            <td data-label="Owner"><span class="experiment__owner" title=experiment.owner.clone()>{short_owner(&experiment.owner)}</span></td>
            <NumberCell label="Units">{units}</NumberCell>
            <td data-label="Of the plan">{progress}</td>
            <td data-label="Health">{health}</td>
            <td data-label="Primary result">{result}</td>
        </tr>
    }
}

/// The part of an address before the `@`.
fn short_owner(owner: &str) -> String {
    owner.split('@').next().unwrap_or(owner).to_owned()
}

/// Whether the deal is fair and no guardrail is harmed.
fn health(results: &Results) -> impl IntoView + use<> {
    let analysis = &results.primary.analysis;
    let is_mismatch = analysis.srm.is_alarm || matches!(analysis.verdict, Verdict::SampleRatioMismatch { .. });
    let harmed =
        analysis.comparisons.iter().flat_map(|comparison| &comparison.guardrails).any(|rail| rail.verdict == GuardrailVerdict::Harmed);
    let (tone, word, meaning) = if is_mismatch {
        (Tone::Bad, "unfair deal", "the variants do not have the units that their weights promise")
    } else if harmed {
        (Tone::Bad, "guardrail harmed", "a metric that must not get worse has, for one variant at least")
    } else if results.planner.units == 0 {
        (Tone::Neutral, "no units yet", "nobody has seen it")
    } else {
        (Tone::Good, "well", "the deal is fair, and no guardrail is harmed")
    };
    view! { <Badge tone title=meaning>{word}</Badge> }
}

/// The verdict in a word, with the best variant's lift.
fn one_line(results: &Results) -> impl IntoView + use<> {
    let analysis = &results.primary.analysis;
    let (tone, word) = tone(&analysis.verdict);
    let best = super::results::best(analysis).filter(|_| results.planner.units > 0);
    let figure = best.map(|best| {
        let name = results
            .variants
            .iter()
            .find(|variant| variant.key == best.variant)
            .map_or(best.variant.clone(), |variant| variant.name.clone());
        let figure = match best.difference.lift {
            Some(found) => lift(found.estimate),
            None => difference(results.primary.metric, results.currency, best.difference.absolute.estimate),
        };
        format!("{name} {figure}")
    });
    view! {
        <span class="experiment__result" title=sentence(analysis, &results.variants)><Badge tone>{word}</Badge>{figure.map(|figure| view! { <span>{figure}</span> })}</span>
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
