//! What a test has shown: the verdict in plain words, the numbers of each variant, guardrails, and how it went day by day.

mod figures;
mod health;
mod table;

use domain::experiment::{
    Experiment, Metric, MetricResult, Results, Status, VariantTotals,
    statistics::{Analysis, Verdict},
};
use leptos::prelude::*;

pub use figures::{best, chance, difference, lift, value};
use health::{Guardrails, Ratio};
use table::VariantTable;

use crate::{
    charts,
    components::{
        Badge, Bar, DataTable, EmptyState, Notice, NumberCell, Panel, Symbol, Tone, count, date_time, metric_meaning, metric_word,
        share_words,
    },
    panels::{capitalised, html},
};

/// What the test says, or what has to happen before it says anything. `demo` is a page with the widget, if there is a site.
pub fn verdict(experiment: &Experiment, results: Option<&Results>, demo: Option<&str>) -> String {
    html(view! { <Standing experiment=experiment.clone() results=results.cloned() demo=demo.map(str::to_owned)/> })
}

/// The numbers under one metric. Charts are of the primary metric, whichever is shown.
pub fn results(results: &Results, metric: Metric) -> String {
    let shown = std::iter::once(&results.primary).chain(&results.secondary).find(|result| result.metric == metric);
    let shown = shown.unwrap_or(&results.primary).clone();
    html(view! { <Numbers results=results.clone() shown/> })
}

/// Tests side by side, by their primary metric.
pub fn comparison_table(tests: Vec<(Experiment, Results)>) -> String {
    html(view! { <Comparison tests/> })
}

/// What a verdict means for the reader.
pub fn tone(verdict: &Verdict) -> (Tone, &'static str) {
    match verdict {
        Verdict::SampleRatioMismatch { .. } => (Tone::Bad, "do not trust"),
        Verdict::TooFewUnits { .. } => (Tone::Neutral, "too few units"),
        Verdict::GuardrailHarmed { .. } => (Tone::Bad, "guardrail harmed"),
        Verdict::Winner { .. } => (Tone::Good, "winner"),
        Verdict::ControlWins => (Tone::Accent, "control wins"),
        Verdict::Inconclusive { .. } => (Tone::Neutral, "inconclusive"),
        Verdict::KeepRunning { .. } => (Tone::Accent, "keep running"),
    }
}

/// The verdict in a sentence that begins with a capital, with the names of variants and metrics in the place of their keys.
pub fn sentence(analysis: &Analysis, variants: &[VariantTotals]) -> String {
    let named = variants.iter().fold(analysis.sentence.clone(), |text, variant| text.replace(&format!("`{}`", variant.key), &variant.name));
    let named = Metric::ALL.into_iter().fold(named, |text, metric| {
        let word = metric_word(metric).to_lowercase();
        text.replace(&format!("`{}`", metric.as_str()), &word).replace(metric.as_str(), &word)
    });
    let text = capitalised(&named.replace('`', ""));
    if text.ends_with('.') { text } else { format!("{text}.") }
}

#[component]
fn Standing(experiment: Experiment, results: Option<Results>, demo: Option<String>) -> impl IntoView {
    let units = results.as_ref().map_or(0, |results| results.planner.units);
    match (experiment.status, results) {
        (Status::Archived, None) => view! { <Notice>"It was archived before it was started: there is nothing to say."</Notice> }.into_any(),
        (Status::Draft, _) | (_, None) => view! { <Notice>"A draft: nobody sees it. Its results begin when it is started, and what is planned is then on record."</Notice> }.into_any(),
        (status, Some(_)) if units == 0 => view! { <NobodyYet status demo/> }.into_any(),
        (status, Some(results)) => view! { <Says experiment results status/> }.into_any(),
    }
}

/// What has to happen before there is anything to say.
#[component]
fn NobodyYet(status: Status, demo: Option<String>) -> impl IntoView {
    let (title, words) = match status {
        Status::Running => (
            "Nobody has seen it yet",
            "A visitor counts once an offer of the test was in view for a second, on a site with the widget. It shows here at once.",
        ),
        Status::Paused => {
            ("Nobody has seen it yet", "The test is paused: resume it, and the first visitor who sees an offer shows here at once.")
        }
        Status::Draft | Status::Stopped | Status::Archived => {
            ("Nobody has seen it", "The test was stopped before a visitor saw an offer of it.")
        }
    };
    let demo = demo.filter(|_| status == Status::Running);
    view! {
        <Panel title="Results">
            <EmptyState title symbol=Symbol::Experiments>
                <p>{words}</p>
                {demo.map(|href| view! { <a class="button" href=href rel="external" target="_blank">"Be the first: open the demo page"</a> })}
            </EmptyState>
        </Panel>
    }
}

#[component]
fn Says(experiment: Experiment, results: Results, status: Status) -> impl IntoView {
    let analysis = &results.primary.analysis;
    let (tone, word) = tone(&analysis.verdict);
    let share = analysis.share_of_plan;
    let phase = results.phases.iter().find(|phase| phase.phase == results.phase);
    let is_earlier = results.phases.last().is_some_and(|last| last.phase != results.phase);
    let over = phase.and_then(|phase| phase.ended_at).map(|ended| {
        let words = if is_earlier { "This phase ended" } else { "It ended" };
        format!("{words} on {}. Late conversions are still credited to those who saw it.", date_time(ended))
    });
    let paused = (status == Status::Paused && !is_earlier)
        .then(|| "The test is paused: everybody sees what is shown without it, and nobody new is counted.".to_owned());
    let note = over.or(paused).map(|words| view! { <p class="verdict__note">{words}</p> });
    let bandit = experiment.design.bandit.map(|_| {
        view! { <p class="verdict__note">"Weights follow the results, so the lift leans towards variants that were lucky early. Believe the chance to win first."</p> }
    });
    let progress = format!("{} of {} planned units", count(whole(results.planner.units)), count(whole(results.planner.planned_units)));
    let facts = pace(&results, status == Status::Running && !is_earlier);
    view! {
        <section class="verdict" data-tone=tone.name() aria-label="Verdict">
            <p class="verdict__head"><Badge tone>{word}</Badge><span class="muted">{format!("by {}", metric_word(results.primary.metric).to_lowercase())}</span></p>
            <p class="verdict__sentence">{sentence(analysis, &results.variants)}</p>
            <div class="verdict__progress">
                <Bar percent={share * 100.0}/>
                <p class="verdict__facts"><strong>{progress}</strong>{facts.into_iter().map(|fact| view! { <span>{fact}</span> }).collect_view()}</p>
            </div>
            {note}
            {bandit}
        </section>
    }
}

/// How fast the units come, and what they are enough for.
fn pace(results: &Results, is_running: bool) -> Vec<String> {
    let planner = &results.planner;
    let mut facts = Vec::new();
    if is_running && planner.units_per_day > 0.0 {
        facts.push(format!("{} a day", figures::round_count(planner.units_per_day)));
        match planner.days_left {
            Some(0) | None => {}
            Some(1) => facts.push("1 day left".to_owned()),
            Some(days) => facts.push(format!("{} days left", count(whole(days)))),
        }
    }
    if let Some(found) = planner.detectable_lift {
        facts.push(format!("finds a lift of {} or more", lift(found)));
    }
    if let (Some(units), Some(found)) = (planner.units_by_end, planner.detectable_lift_by_end) {
        facts.push(format!("{} units by its end find {}", count(whole(units)), lift(found)));
    }
    if let Some(needed) = planner.needed_units.filter(|needed| *needed > planner.planned_units) {
        facts.push(format!("the planned lift would take {} units", count(whole(needed))));
    }
    facts
}

#[component]
fn Numbers(results: Results, shown: MetricResult) -> impl IntoView {
    let is_primary = shown.metric == results.primary.metric;
    let secondary = (!is_primary).then(|| {
        let words = format!(
            "{} decides nothing: the test was planned for {}, and whoever looks at many metrics finds something by chance in one of them.",
            metric_word(shown.metric),
            metric_word(results.primary.metric).to_lowercase()
        );
        view! { <Notice>{words}</Notice> }
    });
    let adjusted = shown.analysis.variance_reduction.map(|reduction| {
        let words = format!(
            "Adjusted by what units did in the 28 days before they saw the test: {:.0} % of the noise is gone, as if there were {:.0} % more units.",
            reduction.reduction * 100.0,
            (1.0 / (1.0 - reduction.reduction).max(0.01) - 1.0) * 100.0
        );
        view! { <p class="experiment__note">{words}</p> }
    });
    let hint = format!("{}, each variant against the control", metric_meaning(shown.metric));
    let rails = results.primary.analysis.comparisons.iter().any(|comparison| !comparison.guardrails.is_empty());
    let analysis = results.primary.analysis.clone();
    let alpha = shown.analysis.alpha;
    let table = results.clone();
    let names: Vec<(String, String)> = results.variants.iter().map(|variant| (variant.key.clone(), variant.name.clone())).collect();
    view! {
        <div class="stack">
            {secondary}
            <Panel title=metric_word(shown.metric) hint flush=true>
                <VariantTable results=table shown/>
                <div class="experiment__under">{adjusted}<Meanings alpha/></div>
            </Panel>
            <div class="columns">
                {rails.then(|| view! { <Guardrails analysis=analysis.clone() names=names.clone()/> })}
                <Ratio srm=analysis.srm verdict=analysis.verdict names/>
            </div>
            <Charts results/>
        </div>
    }
}

/// What the columns mean, for somebody who is no statistician.
#[component]
fn Meanings(alpha: f64) -> impl IntoView {
    let (level, rest) = (share_words(alpha), share_words(1.0 - alpha));
    let lift = format!(
        "How much more the variant has than the control, relative to it. The interval stands below the figure that decides, the lift of a plain rate or else the difference. It holds at every moment: in {rest} of all tests the true value never leaves it."
    );
    let any_time = format!(
        "How often chance alone would ever look this different, however often you look. At {level} or less the test calls it a difference; where there is none, that happens in at most {level} of all tests."
    );
    let meanings = [
        ("Lift", lift),
        ("p, any time", any_time),
        ("p, once", "The same for somebody who looks a single time, at the planned end. Do not stop a test by it.".to_owned()),
        ("Chance to win", "How likely the variant is better than the control, given these numbers and no other knowledge.".to_owned()),
        ("Expected loss", "What shipping the variant costs per unit on average, if it is not better after all.".to_owned()),
    ];
    let meanings = meanings.map(|(term, meaning)| view! { <div><dt>{term}</dt><dd>{meaning}</dd></div> });
    view! {
        <details class="chart__data">
            <summary>"What do these columns mean?"</summary>
            <dl class="facts experiment__meanings">{meanings.into_iter().collect_view()}</dl>
        </details>
    }
}

#[component]
fn Charts(results: Results) -> impl IntoView {
    let names: Vec<String> = results.variants.iter().map(|variant| variant.name.clone()).collect();
    let lifts: Vec<_> = results
        .variants
        .iter()
        .enumerate()
        .skip(1)
        .filter_map(|(index, variant)| Some((variant.name.clone(), charts::lift(&results.days, &variant.key, index)?)))
        .collect();
    let metric = metric_word(results.primary.metric).to_lowercase();
    let lifts = lifts
        .into_iter()
        .map(|(name, drawing)| {
            view! { <Panel title=format!("Lift of {name}") hint=format!("{metric}, with the interval that holds on all days")><div class="plot" inner_html=drawing></div></Panel> }
        })
        .collect_view();
    let key = view! { <Key names=names.clone()/> }.into_any();
    let second_key = view! { <Key names=names.clone()/> }.into_any();
    let third_key = view! { <Key names=names.clone()/> }.into_any();
    let conversions = charts::conversions(&results.days, &names);
    let exposures = charts::exposures(&results.days, &names);
    let weights = charts::weights(&results.weights, &names);
    view! {
        <div class="columns experiment__charts">
            {lifts}
            {conversions.map(|drawing| view! {
                <Panel title="Conversions" hint="attributed, so far">{key}<div class="plot" inner_html=drawing></div></Panel>
            })}
            {exposures.map(|drawing| view! {
                <Panel title="Units" hint="that saw it first, each day (UTC)">{second_key}<div class="plot" inner_html=drawing></div></Panel>
            })}
            {weights.map(|drawing| view! {
                <Panel title="Weights" hint="after each change by the bandit">{third_key}<div class="plot" inner_html=drawing></div></Panel>
            })}
            <Days results/>
        </div>
    }
}

#[component]
fn Key(names: Vec<String>) -> impl IntoView {
    let items = names.into_iter().enumerate().map(|(place, name)| {
        view! { <li><span class="plot__swatch" data-place=place.to_string()></span>{name}</li> }
    });
    view! { <ul class="plot__key">{items.collect_view()}</ul> }
}

/// What the charts show, as numbers.
#[component]
fn Days(results: Results) -> impl IntoView {
    if results.days.is_empty() {
        return ().into_any();
    }
    let metric = results.primary.metric;
    let (currency, variants) = (results.currency, results.variants);
    let rows = results
        .days
        .into_iter()
        .rev()
        .flat_map(|day| {
            let variants = variants.clone();
            let date = day.day;
            variants.into_iter().enumerate().map(move |(place, variant)| {
                let lift_of = day.lifts.iter().find(|lift| lift.variant == variant.key);
                let lift_words = lift_of.and_then(|day| day.lift).map_or_else(|| "–".to_owned(), lift);
                let interval = lift_of.and_then(|day| day.interval).map_or_else(|| "–".to_owned(), figures::lift_interval);
                let units = count(day.exposures.get(place).copied().unwrap_or_default());
                let conversions = count(day.conversions.get(place).copied().unwrap_or_default());
                let mean = day.means.get(place).copied().flatten().map_or_else(|| "–".to_owned(), |mean| value(metric, currency, mean));
                view! {
                    <tr>
                        <td data-label="Day">{crate::components::day(date)}</td>
                        <td data-label="Variant">{variant.name}</td>
                        <NumberCell label="Units that day">{units}</NumberCell>
                        <NumberCell label="Conversions so far">{conversions}</NumberCell>
                        <NumberCell label="So far">{mean}</NumberCell>
                        <NumberCell label="Lift">{lift_words}</NumberCell>
                        <NumberCell label="Interval">{interval}</NumberCell>
                    </tr>
                }
            })
        })
        .collect_view();
    view! {
        <Panel title="Day by day" hint="the newest first" flush=true class="experiment__days">
            <DataTable caption="Days" cards=true columns=vec!["Day", "Variant", "#Units that day", "#Conversions so far", "#Metric so far", "#Lift", "#Interval"]>{rows}</DataTable>
        </Panel>
    }
    .into_any()
}

#[component]
fn Comparison(tests: Vec<(Experiment, Results)>) -> impl IntoView {
    let rows = tests
        .into_iter()
        .map(|(experiment, results)| {
            let analysis = &results.primary.analysis;
            let (tone, word) = tone(&analysis.verdict);
            let best = best(analysis);
            let name = best.map(|best| {
                results
                    .variants
                    .iter()
                    .find(|variant| variant.key == best.variant)
                    .map_or(best.variant.clone(), |variant| variant.name.clone())
            });
            let best_lift = best.and_then(|best| best.difference.lift).map_or_else(|| "–".to_owned(), |found| lift(found.estimate));
            let interval = best.and_then(|best| figures::deciding_interval(results.primary.metric, results.currency, best.always_valid));
            let interval = interval.unwrap_or_else(|| "–".to_owned());
            let chance = best.and_then(|best| best.beliefs).map_or_else(|| "–".to_owned(), |beliefs| chance(beliefs.chance_to_win));
            view! {
                <tr>
                    <td data-label="Test"><a href=format!("/experiments/{}", experiment.key)>{experiment.design.name.clone()}</a></td>
                    <td data-label="Metric">{metric_word(results.primary.metric)}</td>
                    <NumberCell label="Units">{count(whole(results.planner.units))}</NumberCell>
                    <td data-label="Best variant">{name.unwrap_or_else(|| "–".to_owned())}</td>
                    <NumberCell label="Lift">{best_lift}</NumberCell>
                    <NumberCell label="Interval">{interval}</NumberCell>
                    <NumberCell label="Chance to win">{chance}</NumberCell>
                    <td data-label="Verdict"><Badge tone title=sentence(analysis, &results.variants)>{word}</Badge></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <DataTable
            caption="Comparison of tests"
            cards=true
            columns=vec!["Test", "Metric", "#Units", "Best variant", "#Lift", "#Interval", "#Chance to win", "Verdict"]
        >
            {rows}
        </DataTable>
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
