//! What a test shows by now, in a word and in a sentence. Nothing is preselected: the sentence says what is known, a person decides.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    analysis::{Analysis, Comparison, Outcome, Question},
    arm::MetricKind,
    difference::{Interval, Method},
    guardrail::{GuardrailVerdict, Reading},
    sequential::AlwaysValidMethod,
};

/// In the order in which they are looked for: the first that applies is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// The arms do not have the units that their weights promise.
    SampleRatioMismatch { since: Option<DateTime<Utc>> },
    /// An arm has fewer units than any approximation needs.
    TooFewUnits { variant: String, units: u64, needed: u64 },
    /// Every variant, or the only one, harms a guardrail by more than its margin.
    GuardrailHarmed { variant: String, metric: String },
    /// Better than the control, no guardrail harmed; the best if several are.
    Winner { variant: String, lift: Option<f64>, unclear_guardrails: Vec<String> },
    /// Every variant is worse.
    ControlWins,
    /// The planned sample is reached, or the test is over, and no difference was found.
    Inconclusive { is_plan_reached: bool },
    /// `share` of the planned sample is there, below 1.
    KeepRunning { share: f64 },
}

pub(super) fn verdict(question: &Question, analysis: &Analysis) -> Verdict {
    if analysis.srm.is_alarm || question.mismatch_since.is_some() {
        return Verdict::SampleRatioMismatch { since: question.mismatch_since };
    }
    if let Some(arm) = analysis.arms.iter().find(|arm| arm.units < question.units_min) {
        return Verdict::TooFewUnits { variant: arm.key.clone(), units: arm.units, needed: question.units_min };
    }
    let harmed = |index: usize| analysis.comparisons[index].guardrails.iter().find(|answer| answer.verdict == GuardrailVerdict::Harmed);
    let unharmed: Vec<usize> = (0..analysis.comparisons.len()).filter(|index| harmed(*index).is_none()).collect();
    if let (true, Some(answer)) = (unharmed.is_empty(), (!analysis.comparisons.is_empty()).then(|| harmed(0)).flatten()) {
        return Verdict::GuardrailHarmed { variant: analysis.comparisons[0].variant.clone(), metric: answer.metric.clone() };
    }
    let is_readable = question.reading == Reading::Sequential || analysis.share_of_plan >= 1.0 || question.is_over;
    if is_readable {
        let better = unharmed.iter().map(|index| &analysis.comparisons[*index]).filter(|comparison| comparison.outcome == Outcome::Better);
        let best = better.max_by(|a, b| a.difference.absolute.estimate.total_cmp(&b.difference.absolute.estimate));
        if let Some(best) = best {
            let unclear = best.guardrails.iter().filter(|answer| answer.verdict == GuardrailVerdict::Unclear);
            return Verdict::Winner {
                variant: best.variant.clone(),
                lift: best.difference.lift.map(|lift| lift.estimate),
                unclear_guardrails: unclear.map(|answer| answer.metric.clone()).collect(),
            };
        }
        if !analysis.comparisons.is_empty() && analysis.comparisons.iter().all(|comparison| comparison.outcome == Outcome::Worse) {
            return Verdict::ControlWins;
        }
    }
    if analysis.share_of_plan >= 1.0 || question.is_over {
        return Verdict::Inconclusive { is_plan_reached: analysis.share_of_plan >= 1.0 };
    }
    Verdict::KeepRunning { share: analysis.share_of_plan }
}

/// The verdict in plain words, with the figures that it rests on, and which variants do harm whatever it is.
pub(super) fn sentence(question: &Question, analysis: &Analysis, verdict: &Verdict) -> String {
    let share = analysis.share_of_plan;
    let said = match verdict {
        Verdict::SampleRatioMismatch { since } => {
            let since = since.map_or_else(String::new, |since| format!(" since {}", since.format("%Y-%m-%d %H:%M UTC")));
            format!(
                "do not trust these numbers: sample-ratio mismatch{since}, the arms have {} units where {} were expected",
                list(analysis.srm.observed.iter(), " / "),
                list(analysis.srm.expected.iter().map(|units| format!("{units:.0}")), " / ")
            )
        }
        Verdict::TooFewUnits { variant, units, needed } => {
            format!("too early to tell: `{variant}` has {units} units, at least {needed} in each arm are needed")
        }
        Verdict::GuardrailHarmed { .. } => {
            let harmful =
                analysis.comparisons.iter().filter_map(|comparison| Some(format!("`{}` lowers {}", comparison.variant, harm(comparison)?)));
            format!("stop: {}", list(harmful, ", "))
        }
        Verdict::Winner { variant, unclear_guardrails, .. } => winner(question, analysis, variant, unclear_guardrails),
        Verdict::ControlWins => {
            let what = if analysis.comparisons.len() == 1 { "the variant is" } else { "all variants are" };
            format!("`{}` wins: {what} worse, keep what there is", analysis.arms[0].key)
        }
        Verdict::Inconclusive { is_plan_reached } => {
            let reached = if *is_plan_reached {
                "the planned sample is reached".to_owned()
            } else {
                format!("the test is over at {} of the planned sample", percent(share, 0))
            };
            format!("inconclusive: {reached}{}", at_the_end(question, analysis))
        }
        Verdict::KeepRunning { share } => {
            let so_far = match question.reading {
                Reading::Sequential => found(analysis),
                Reading::FixedHorizon => "; read the result when the sample is complete".to_owned(),
            };
            format!("keep running: {} of the planned sample{so_far}", percent(share.min(0.99), 0))
        }
    };
    match verdict {
        Verdict::SampleRatioMismatch { .. } | Verdict::GuardrailHarmed { .. } => said,
        _ => format!("{said}{}", take_out(question, analysis)),
    }
}

/// The guardrails that a variant harms; nothing if none.
fn harm(comparison: &Comparison) -> Option<String> {
    let harmed = comparison.guardrails.iter().filter(|answer| answer.verdict == GuardrailVerdict::Harmed);
    // As it was typed: half a per cent is not none.
    let bearable = |margin: f64| (margin * 1e6).round() / 1e4;
    let harmed = list(harmed.map(|answer| format!("{} by more than the {} %", answer.metric, bearable(answer.margin))), " and ");
    (!harmed.is_empty()).then(|| format!("{harmed} that are bearable"))
}

/// What to do about each variant that harms a guardrail, if it has the units to say so.
fn take_out(question: &Question, analysis: &Analysis) -> String {
    let has_units = |index: usize| analysis.arms[index].units >= question.units_min;
    let of_enough = analysis.comparisons.iter().enumerate().filter(|(place, _)| has_units(0) && has_units(place + 1));
    let harmful =
        of_enough.filter_map(|(_, comparison)| Some(format!("; take `{}` out: it lowers {}", comparison.variant, harm(comparison)?)));
    harmful.collect()
}

fn variants(analysis: &Analysis, outcome: Outcome) -> Vec<String> {
    let of_outcome = analysis.comparisons.iter().filter(|comparison| comparison.outcome == outcome);
    of_outcome.map(|comparison| format!("`{}`", comparison.variant)).collect()
}

/// The variants of which something is known though it decides nothing: one that is better and no winner harms a guardrail.
fn found(analysis: &Analysis) -> String {
    let said = |outcome: Outcome, word: &str| match &variants(analysis, outcome)[..] {
        [] => String::new(),
        [variant] => format!("; {variant} is {word}"),
        several => format!("; {} are {word}", several.join(" and ")),
    };
    said(Outcome::Better, "better") + &said(Outcome::Worse, "worse")
}

/// What is known of the variants at the end of a test that nobody wins.
fn at_the_end(question: &Question, analysis: &Analysis) -> String {
    let (found, open) = (found(analysis), variants(analysis, Outcome::Open));
    if found.is_empty() {
        format!(" and no difference was found{}", ruled_out(question, analysis))
    } else if open.is_empty() {
        found
    } else {
        format!("{found}; for {} no difference was found{}", open.join(" and "), ruled_out(question, analysis))
    }
}

fn winner(question: &Question, analysis: &Analysis, variant: &str, unclear_guardrails: &[String]) -> String {
    let of_variant = analysis.comparisons.iter().find(|comparison| comparison.variant == variant);
    let effect = of_variant.map_or_else(String::new, |comparison| effect(question, comparison));
    let is_rival = |comparison: &&Comparison| comparison.outcome == Outcome::Better && harm(comparison).is_none();
    let rivals = analysis.comparisons.iter().filter(is_rival).count();
    let among = if rivals > 1 { format!(", the best of {rivals} that beat the control") } else { String::new() };
    let is_of_before = |comparison: &Comparison| question.reading == Reading::Sequential && comparison.always_valid.p > question.plan.alpha;
    let when = if of_variant.is_some_and(is_of_before) { "; an earlier look showed it, the figures of now alone would not" } else { "" };
    let unclear = match unclear_guardrails {
        [] => String::new(),
        names => format!("; not shown yet that it keeps {}", names.join(" and ")),
    };
    format!("`{variant}` wins: {effect}{among}{when}{unclear}")
}

/// How much better a variant is, with an interval on the scale that it was decided on.
fn effect(question: &Question, comparison: &Comparison) -> String {
    let (difference, lift) = (comparison.difference.absolute, comparison.difference.lift);
    let (is_absolute, difference_interval, lift_interval) = match question.reading {
        Reading::Sequential => {
            let always = comparison.always_valid;
            (always.method == AlwaysValidMethod::Absolute, always.interval, always.lift_interval)
        }
        Reading::FixedHorizon => (comparison.difference.method == Method::Welch, difference.interval, None),
    };
    let in_units = || {
        let scale = Scale::of(question, difference.estimate);
        let interval =
            difference_interval.and_then(|interval| Some(format!(" ({} to {})", scale.signed(interval.low), scale.signed(interval.high?))));
        format!("{} {}{}", scale.signed(difference.estimate), scale.unit, interval.unwrap_or_default())
    };
    match lift {
        None => in_units(),
        Some(lift) if is_absolute => format!("{}, that is {}", signed_percent(lift.estimate, 1), in_units()),
        Some(lift) => {
            let interval = lift_interval.or(lift.interval).map_or_else(String::new, |interval| {
                let high = interval.high.map_or_else(|| "no upper bound".to_owned(), |high| signed_percent(high, 1));
                format!(" ({} to {high})", signed_percent(interval.low, 1))
            });
            format!("{}{interval}", signed_percent(lift.estimate, 1))
        }
    }
}

/// What an inconclusive test has excluded all the same, on the scale that decides; the narrowest that holds for all variants that are open.
fn ruled_out(question: &Question, analysis: &Analysis) -> String {
    let open =
        || analysis.comparisons.iter().filter(|comparison| comparison.outcome == Outcome::Open).map(|comparison| comparison.always_valid);
    let is_absolute = open().any(|always| always.method == AlwaysValidMethod::Absolute);
    let intervals: Option<Vec<Interval>> = open().map(|always| if is_absolute { always.interval } else { always.lift_interval }).collect();
    let intervals = intervals.unwrap_or_default();
    let low = intervals.iter().map(|interval| interval.low).reduce(f64::min);
    let high = intervals.iter().map(|interval| interval.high).reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b))).flatten();
    low.zip(high).map_or_else(String::new, |(low, high)| {
        let scale = Scale::of(question, low.abs().max(high.abs()));
        if is_absolute {
            format!("; differences below {} or above {} {} are ruled out", scale.signed(low), scale.signed(high), scale.unit)
        } else {
            format!("; lifts below {} or above {} are ruled out", signed_percent(low, 1), signed_percent(high, 1))
        }
    })
}

/// How absolute differences of the metric are written.
struct Scale {
    factor: f64,
    unit: String,
    places: usize,
}

impl Scale {
    /// With three digits for a difference of this size.
    fn of(question: &Question, size: f64) -> Self {
        let (factor, unit) = match (question.kind, question.currency) {
            (MetricKind::Rate, _) => (100.0, "pp".to_owned()),
            (MetricKind::Mean, Some(currency)) => (0.1_f64.powf(currency.exponent().into()), format!("{} per unit", currency.code())),
            (MetricKind::Mean, None) => (1.0, "per unit".to_owned()),
        };
        let (mut digits, mut places) = ((size * factor).abs(), 0);
        while digits < 100.0 && places < 8 {
            digits *= 10.0;
            places += 1;
        }
        Self { factor, unit, places }
    }

    fn signed(&self, difference: f64) -> String {
        format!("{:+.*}", self.places, difference * self.factor)
    }
}

fn list(values: impl Iterator<Item = impl ToString>, between: &str) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(between)
}

fn percent(share: f64, digits: usize) -> String {
    format!("{:.digits$} %", share * 100.0)
}

fn signed_percent(share: f64, digits: usize) -> String {
    format!("{:+.digits$} %", share * 100.0)
}
