//! Tests: the list, what the planner says, and which variants a unit has. Results and designs are apart.

mod design;
mod list;
mod results;

use domain::experiment::{Assignment, Experiment};
use leptos::prelude::*;

pub use design::design;
pub use list::{Listed, experiment_table};
pub use results::{chance, comparison_table, lift, results, verdict};

use super::html;
use crate::components::{Badge, DataTable, Notice, NumberCell, Tone, count, kind_word, payload_words, reason_word, share_words, unit_word};

/// What the planner can say.
pub enum Answer {
    /// Something is missing that it needs.
    Asks(&'static str),
    /// Why no number of units would do.
    Impossible(String),
    Takes(Box<Takes>),
}

/// What a test takes.
pub struct Takes {
    pub lift: String,
    pub power: String,
    /// Name and units of each variant, read at any time.
    pub per_arm: Vec<(String, u64)>,
    /// Units and days for a result that is read once.
    pub once: (u64, Option<u64>),
    /// Units and days for one that may be read at any time.
    pub always: (u64, Option<u64>),
    /// The units planned, with their days.
    pub planned: (u64, Option<u64>),
    /// The smallest lift that the planned units find.
    pub achievable: Option<f64>,
    /// What there is until the end, if the test has one and units come.
    pub by_end: Option<ByEnd>,
    /// Units a day that take part.
    pub daily: Option<String>,
}

/// What a test finds that ends at a given time.
pub struct ByEnd {
    pub end: String,
    pub units: String,
    /// The smallest lift that those units find.
    pub lift: Option<f64>,
    /// They find the lift that is planned for.
    pub is_enough: bool,
}

pub struct Planned {
    pub answer: Answer,
    /// What is known of the traffic.
    pub traffic: String,
}

pub fn planner(planned: Planned) -> String {
    html(view! { <Planner planned/> })
}

/// What every test says of one unit.
pub fn unit_table(answers: Vec<(Experiment, Assignment)>) -> String {
    html(view! { <UnitTable answers/> })
}

#[component]
fn Planner(planned: Planned) -> impl IntoView {
    let Planned { answer, traffic } = planned;
    let body = match answer {
        Answer::Asks(words) => view! { <Notice>{words}</Notice> }.into_any(),
        Answer::Impossible(reason) => {
            view! { <Notice tone=Tone::Warning>{format!("This cannot be planned: {reason}.")}</Notice> }.into_any()
        }
        Answer::Takes(takes) => {
            let Takes { lift, power, per_arm, once, always, planned, achievable, by_end, daily } = *takes;
            let (tone, achievable) = match achievable {
                Some(found) if planned.0 >= always.0 => {
                    (Tone::Good, format!("The planned {} units find a lift of {} or more.", whole(planned.0), lift_words(found)))
                }
                Some(found) => (
                    Tone::Warning,
                    format!(
                        "The planned {} units find a lift of {} or more, but not one of {lift}: that takes {} units.",
                        whole(planned.0),
                        lift_words(found),
                        whole(always.0)
                    ),
                ),
                None => (Tone::Warning, format!("The planned {} units are too few to find anything.", whole(planned.0))),
            };
            let arms = per_arm.into_iter().map(|(name, units)| view! { <div><dt>{name}</dt><dd>{whole(units)}</dd></div> }).collect_view();
            let rows = [
                ("Read at any time", "stops as soon as it is clear, right however often it is looked at", always),
                ("Read once, at the end", "fewer units, but every look before the end misleads", once),
                ("As planned now", "what stands in the field above", planned),
            ];
            let rows = rows.map(|(name, meaning, (units, days))| {
                view! {
                    <tr>
                        <td data-label="Way"><span class="two-lines"><span>{name}</span><span class="books__small">{meaning}</span></span></td>
                        <NumberCell label="Units">{whole(units)}</NumberCell>
                        <NumberCell label="Days">{days.map_or_else(|| "–".to_owned(), day_words)}</NumberCell>
                    </tr>
                }
            });
            let by_day = daily.map(|daily| format!("About {daily} units a day take part. ")).unwrap_or_default();
            view! {
                <p class="experiment__note">{format!("{by_day}To find a lift of {lift} with a chance of {power} takes:")}</p>
                <div class="partner__bleed">
                    <DataTable caption="What the test takes" cards=true columns=vec!["Way", "#Units", "#Days"]>{rows.into_iter().collect_view()}</DataTable>
                </div>
                <Notice tone>{achievable}</Notice>
                {by_end.map(|by_end| {
                    let tone = if by_end.is_enough { Tone::Good } else { Tone::Warning };
                    view! { <Notice tone>{end_words(&by_end)}</Notice> }
                })}
                <details class="chart__data">
                    <summary>"Units of each variant"</summary>
                    <dl class="facts experiment__arms">{arms}</dl>
                </details>
            }
            .into_any()
        }
    };
    view! { <div class="stack"><p class="experiment__note">{traffic}</p>{body}</div> }
}

fn end_words(ByEnd { end, units, lift, .. }: &ByEnd) -> String {
    let found =
        lift.map_or_else(|| "too few to find anything".to_owned(), |lift| format!("they find a lift of {} or more", lift_words(lift)));
    format!("Until the end, {end}, about {units} units take part: {found}.")
}

fn lift_words(lift: f64) -> String {
    format!("+{:.1} %", lift * 100.0)
}

fn day_words(days: u64) -> String {
    match days {
        0..=1 => "1 day".to_owned(),
        2..=1_000 => format!("{days} days"),
        _ => "over 1,000 days".to_owned(),
    }
}

fn whole(number: u64) -> String {
    count(i64::try_from(number).unwrap_or(i64::MAX))
}

#[component]
fn UnitTable(answers: Vec<(Experiment, Assignment)>) -> impl IntoView {
    let rows = answers.into_iter().map(|(experiment, assignment)| view! { <UnitRow experiment assignment/> }).collect_view();
    view! {
        <DataTable caption="Tests" cards=true columns=vec!["Test", "Answer", "Variant", "Why", "#Buckets"]>{rows}</DataTable>
    }
}

#[component]
fn UnitRow(experiment: Experiment, assignment: Assignment) -> impl IntoView {
    let (tone, word) = reason_word(assignment.reason);
    let design = &experiment.design;
    let variant = assignment.variant.and_then(|index| design.variants.get(index)).map(|variant| {
        view! { <span class="two-lines"><span>{variant.name.clone()}</span><span class="books__small">{payload_words(&variant.payload)}</span></span> }
    });
    let variant = match variant {
        Some(variant) => variant.into_any(),
        None => view! { <span class="muted">"As without a test"</span> }.into_any(),
    };
    let phase = experiment.phase.as_ref();
    let seed = phase.map(|phase| phase.seed.clone()).unwrap_or_default();
    let weights: Vec<f64> = phase.map(|phase| phase.weights.clone()).unwrap_or_default();
    let mut start = 0.0;
    let parts = design.variants.iter().zip(weights).map(|(variant, weight)| {
        let part = format!("{} from {start:.4} to {:.4}", variant.key, start + weight);
        start += weight;
        part
    });
    let parts = parts.collect::<Vec<_>>().join(", ");
    let group = design.exclusion_group.as_ref();
    let buckets = [
        ("variant", assignment.bucket, parts),
        ("traffic", assignment.traffic_bucket, format!("takes part below {:.4}", design.traffic_allocation)),
        (
            "group",
            assignment.exclusion_bucket,
            group.map(|group| format!("this test's from {:.4} to {:.4}", group.start, group.end)).unwrap_or_default(),
        ),
        ("holdout", assignment.holdout_bucket, "held out below the holdout's share".to_owned()),
    ];
    let buckets = buckets.into_iter().filter_map(|(name, bucket, meaning)| {
        bucket.map(|bucket| view! { <div title=meaning><dt>{name}</dt><dd>{format!("{bucket:.4}")}</dd></div> })
    });
    let buckets = buckets.collect_view();
    let kind = format!("{}, by {}, {} of them", kind_word(design.kind), unit_word(design.unit), share_words(design.traffic_allocation));
    view! {
        <tr>
            <td data-label="Test">
                <span class="two-lines">
                    <a class="experiment__name" href=format!("/experiments/{}", experiment.key)>{design.name.clone()}</a>
                    <span class="books__small">{kind}</span>
                </span>
            </td>
            <td data-label="Answer"><Badge tone>{word}</Badge></td>
            <td data-label="Variant">{variant}</td>
            <td data-label="Why"><span class="books__wrap">{assignment.reason.sentence()}<span class="books__small experiment__seed">{format!("Phase {}, seed ", phase.map_or(0, |phase| phase.number))}<code>{seed}</code></span></span></td>
            <td data-kind="number" data-label="Buckets"><dl class="experiment__buckets">{buckets}</dl></td>
        </tr>
    }
}
