//! Whether the numbers may be trusted, and whether anything got worse.

use domain::experiment::{
    Metric,
    statistics::{Analysis, GuardrailAnswer, GuardrailVerdict, Srm, Verdict},
};
use leptos::prelude::*;

use super::figures::{lift, p, round_count};
use crate::components::{Badge, DataTable, Notice, NumberCell, Panel, Tone, count, date_time, metric_word, share_words};

/// The metrics that must not fall, for each variant.
#[component]
pub fn Guardrails(analysis: Analysis, names: Vec<(String, String)>) -> impl IntoView {
    let rows = analysis
        .comparisons
        .into_iter()
        .flat_map(|comparison| {
            let name = name_of(&names, &comparison.variant);
            comparison.guardrails.into_iter().map(move |answer| view! { <Rail name=name.clone() answer/> })
        })
        .collect_view();
    view! {
        <Panel title="Guardrails" hint="what must not get worse" flush=true>
            <DataTable caption="Guardrails of each variant" cards=true columns=vec!["Metric", "Variant", "#Bearable", "#Lift", "Answer"]>{rows}</DataTable>
        </Panel>
    }
}

#[component]
fn Rail(name: String, answer: GuardrailAnswer) -> impl IntoView {
    let metric = Metric::ALL.into_iter().find(|metric| metric.as_str() == answer.metric);
    let metric = metric.map_or(answer.metric, |metric| metric_word(metric).to_owned());
    let (tone, word, meaning) = match answer.verdict {
        GuardrailVerdict::Holds => (Tone::Good, "holds", "a drop of more than the margin is ruled out"),
        GuardrailVerdict::Harmed => (Tone::Bad, "harmed", "it has dropped by more than the margin"),
        GuardrailVerdict::Unclear => (Tone::Neutral, "unclear", "neither a harm nor its absence is shown yet"),
    };
    let low = answer.lift_low.map(|low| format!("at least {}", lift(low)));
    let found = answer.lift.map_or_else(|| "–".to_owned(), lift);
    view! {
        <tr>
            <td data-label="Metric">{metric}</td>
            <td data-label="Variant">{name}</td>
            <NumberCell label="Bearable">{format!("−{}", share_words(answer.margin))}</NumberCell>
            <NumberCell label="Lift"><span class="two-lines"><span>{found}</span>{low.map(|low| view! { <span class="books__small">{low}</span> })}</span></NumberCell>
            <td data-label="Answer"><Badge tone title=meaning>{word}</Badge></td>
        </tr>
    }
}

/// Whether the variants have the units that their weights promise.
#[component]
pub fn Ratio(srm: Srm, verdict: Verdict, names: Vec<(String, String)>) -> impl IntoView {
    let since = match verdict {
        Verdict::SampleRatioMismatch { since } => Some(since),
        _ => None,
    };
    let is_alarm = since.is_some() || srm.is_alarm;
    let message = if is_alarm {
        let moment = since.flatten().map(|at| format!(" First seen on {}.", date_time(at))).unwrap_or_default();
        view! {
            <Notice tone=Tone::Bad>
                <strong>"The variants do not have the units that their weights promise."</strong>
                <p>{moment}" Something loses or adds units of one variant: a redirect, a crash, a bot, a change of the pages. Find it before you believe any number here; a new phase begins with a clean count."</p>
            </Notice>
        }
        .into_any()
    } else {
        view! { <Notice tone=Tone::Good>"The units are shared out as the weights promise."</Notice> }.into_any()
    };
    let rows = names
        .into_iter()
        .zip(srm.observed)
        .zip(srm.expected)
        .map(|(((_, name), observed), expected)| {
            view! {
                <tr>
                    <td data-label="Variant">{name}</td>
                    <NumberCell label="Units">{count(i64::try_from(observed).unwrap_or(i64::MAX))}</NumberCell>
                    <NumberCell label="Expected">{round_count(expected)}</NumberCell>
                </tr>
            }
        })
        .collect_view();
    let level = format!("p at any time {}, p once {}. An alarm is raised below 0.001, and stays.", p(srm.p_sequential), p(srm.p));
    view! {
        <Panel title="Is the deal fair?" hint="sample-ratio check">
            <div class="stack">
                {message}
                <details class="chart__data" open=is_alarm>
                    <summary>"Units and what was expected"</summary>
                    <DataTable caption="Units and what was expected" columns=vec!["Variant", "#Units", "#Expected"]>{rows}</DataTable>
                    <p class="experiment__note experiment__line">{level}</p>
                </details>
            </div>
        </Panel>
    }
}

fn name_of(names: &[(String, String)], key: &str) -> String {
    names.iter().find(|(known, _)| known == key).map_or_else(|| key.to_owned(), |(_, name)| name.clone())
}
