//! What a test shows by now, in a word and in a sentence. Nothing is preselected: the sentence says what is known, a person decides.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::analysis::{Analysis, Outcome, Question};
use super::guardrail::{GuardrailVerdict, Reading};

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

/// The verdict in plain words, with the figures that it rests on.
pub(super) fn sentence(question: &Question, analysis: &Analysis, verdict: &Verdict) -> String {
    let share = analysis.share_of_plan;
    match verdict {
        Verdict::SampleRatioMismatch { since } => {
            let since = since.map_or_else(String::new, |since| format!(" since {}", since.format("%Y-%m-%d %H:%M UTC")));
            format!(
                "do not trust these numbers: sample-ratio mismatch{since}, the arms have {} units where {} were expected",
                list(analysis.srm.observed.iter()),
                list(analysis.srm.expected.iter().map(|units| format!("{units:.0}")))
            )
        }
        Verdict::TooFewUnits { variant, units, needed } => {
            format!("too early to tell: `{variant}` has {units} units, at least {needed} in each arm are needed")
        }
        Verdict::GuardrailHarmed { variant, metric } => {
            let answer = analysis.comparisons[0].guardrails.iter().find(|answer| answer.metric == *metric);
            let margin = answer.map_or(0.0, |answer| answer.margin);
            format!("stop: `{variant}` lowers {metric} by more than the {} that are bearable", percent(margin, 0))
        }
        Verdict::Winner { variant, unclear_guardrails, .. } => winner(analysis, variant, unclear_guardrails),
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
            format!("inconclusive: {reached} and no difference was found{}", ruled_out(analysis))
        }
        Verdict::KeepRunning { share } => {
            let hint = if question.reading == Reading::Sequential { "" } else { "; read the result when the sample is complete" };
            format!("keep running: {} of the planned sample{hint}", percent(share.min(0.99), 0))
        }
    }
}

fn winner(analysis: &Analysis, variant: &str, unclear_guardrails: &[String]) -> String {
    let of_variant = analysis.comparisons.iter().find(|comparison| comparison.variant == variant);
    let effect = of_variant.map_or_else(String::new, |comparison| {
        let bounds = comparison.always_valid.lift_interval.or(comparison.difference.lift.and_then(|lift| lift.interval));
        match (comparison.difference.lift, bounds) {
            (Some(lift), Some(interval)) => {
                let high = interval.high.map_or_else(|| "no upper bound".to_owned(), |high| signed_percent(high, 1));
                format!("{} ({} to {high})", signed_percent(lift.estimate, 1), signed_percent(interval.low, 1))
            }
            (Some(lift), None) => signed_percent(lift.estimate, 1),
            _ => format!("{:+.4} per unit", comparison.difference.absolute.estimate),
        }
    });
    let rivals = analysis.comparisons.iter().filter(|comparison| comparison.outcome == Outcome::Better).count();
    let among = if rivals > 1 { format!(", the best of {rivals} that beat the control") } else { String::new() };
    let unclear = match unclear_guardrails {
        [] => String::new(),
        names => format!("; not shown yet that it keeps {}", names.join(" and ")),
    };
    format!("`{variant}` wins: {effect}{among}{unclear}")
}

/// What an inconclusive test has excluded all the same; the narrowest that holds for all variants.
fn ruled_out(analysis: &Analysis) -> String {
    let intervals: Option<Vec<_>> = analysis.comparisons.iter().map(|comparison| comparison.always_valid.lift_interval).collect();
    let intervals = intervals.unwrap_or_default();
    let low = intervals.iter().map(|interval| interval.low).reduce(f64::min);
    let high = intervals.iter().map(|interval| interval.high).reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b))).flatten();
    low.zip(high).map_or_else(String::new, |(low, high)| {
        format!("; lifts below {} or above {} are ruled out", signed_percent(low, 1), signed_percent(high, 1))
    })
}

fn list(values: impl Iterator<Item = impl ToString>) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(" / ")
}

fn percent(share: f64, digits: usize) -> String {
    format!("{:.digits$} %", share * 100.0)
}

fn signed_percent(share: f64, digits: usize) -> String {
    format!("{:+.digits$} %", share * 100.0)
}
