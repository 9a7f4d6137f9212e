//! All numbers of a test together, each variant against the control.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::Plan;
use super::{
    arm::{ArmStatistics, InvalidStatistics, MetricKind, Moments, float},
    bayes::{self, Beliefs, LiftPrior},
    correction::{self, Correction},
    cuped::{self, VarianceReduction},
    difference::{self, Cells, Difference, Interval},
    exact,
    guardrail::{self, GuardrailAnswer, Reading},
    quadrature::Posterior,
    sequential::{self, AlwaysValid, CELL_MIN},
    special,
    srm::{self, Srm, SrmRule, WeightPeriod},
    verdict::{self, Verdict},
};
use crate::Currency;

/// Below it in any arm no verdict is given: the approximations are of large samples.
pub const UNITS_MIN: u64 = 100;

/// What is asked of a phase of a test. Build it with [`Question::new`] and set what differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub kind: MetricKind,
    /// Of a metric that is money, in minor units of it; only for words.
    pub currency: Option<Currency>,
    /// The first is the control.
    pub arms: Vec<Arm>,
    /// Units by arm and period of weights, for the sample-ratio check. One period usually; a bandit has many.
    pub periods: Vec<WeightPeriod>,
    pub guardrails: Vec<GuardrailQuestion>,
    pub plan: Plan,
    pub reading: Reading,
    pub correction: Correction,
    pub prior: Option<LiftPrior>,
    pub srm_rule: SrmRule,
    /// When a look first found a mismatch, if one did: the alarm never needs resetting.
    pub mismatch_since: Option<DateTime<Utc>>,
    /// Units of control and variant together at which the confidence sequence is narrowest; without it the pair's part of the planned units. Fixed
    /// before the test starts.
    pub tuned_units: Option<f64>,
    pub units_min: u64,
    /// No more units will come.
    pub is_over: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    pub key: String,
    pub statistics: ArmStatistics,
    /// The strongest of the looks before, which stays valid; nothing for the control.
    pub evidence_before: Option<Evidence>,
}

/// The smallest always-valid p of all looks so far, and what it speaks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    pub p: f64,
    /// The difference at that look. The p-value is evidence for its sign alone, whatever the difference has become since.
    pub difference: f64,
}

/// What later looks need of a look.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// By arm, with that of the looks before; nothing for the control.
    pub evidence: Vec<Option<Evidence>>,
    pub srm: Srm,
}

/// A guardrail with the statistics of its own metric, by arm.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardrailQuestion {
    /// Names it in the answer.
    pub metric: String,
    pub kind: MetricKind,
    /// From 0 to below 1.
    pub margin: f64,
    pub arms: Vec<ArmStatistics>,
}

/// The numbers of a test. All are finite; what cannot be said is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    pub kind: MetricKind,
    pub arms: Vec<ArmSummary>,
    /// Each variant against the control, in the order of the arms.
    pub comparisons: Vec<Comparison>,
    pub srm: Srm,
    /// Present if the numbers are adjusted by the units' history.
    pub variance_reduction: Option<VarianceReduction>,
    pub alpha: f64,
    pub units: u64,
    pub planned_units: u64,
    /// May be above 1.
    pub share_of_plan: f64,
    pub verdict: Verdict,
    /// The verdict in plain words.
    pub sentence: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmSummary {
    pub key: String,
    pub units: u64,
    /// Successes, or the metric's total.
    pub sum: f64,
    /// The rate, or the metric per unit, as it was observed; absent without units.
    pub mean: Option<f64>,
    /// Of one unit.
    pub deviation: Option<f64>,
    /// Wilson's for a rate, Student's for a mean.
    pub interval: Option<Interval>,
    /// Among all arms; under a prior on the lift too it is the one without.
    pub chance_to_be_best: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub variant: String,
    /// For somebody who looks once.
    pub difference: Difference,
    /// `difference.p`, corrected for the number of variants.
    pub p_adjusted: Option<f64>,
    /// For somebody who looks whenever they like.
    pub always_valid: AlwaysValid,
    /// The smallest so far, by what the question tells of earlier looks.
    pub smallest_p: f64,
    /// The absolute difference when it was smallest: the side that it is evidence for.
    pub smallest_p_difference: f64,
    /// `smallest_p`, corrected for the number of variants.
    pub smallest_p_adjusted: f64,
    pub beliefs: Option<Beliefs>,
    pub guardrails: Vec<GuardrailAnswer>,
    pub outcome: Outcome,
}

/// What a comparison shows at the level of the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Better,
    Worse,
    Open,
}

impl Question {
    /// For arms with their weights, which did not change; everything else as it is by default.
    pub fn new(kind: MetricKind, arms: Vec<(String, ArmStatistics)>, weights: Vec<f64>, plan: Plan) -> Self {
        let units = arms.iter().map(|(_, statistics)| statistics.units).collect();
        Self {
            kind,
            currency: None,
            arms: arms.into_iter().map(|(key, statistics)| Arm { key, statistics, evidence_before: None }).collect(),
            periods: vec![WeightPeriod { weights, units }],
            guardrails: Vec::new(),
            plan,
            reading: Reading::Sequential,
            correction: Correction::Holm,
            prior: None,
            srm_rule: SrmRule::default(),
            mismatch_since: None,
            tuned_units: None,
            units_min: UNITS_MIN,
            is_over: false,
        }
    }

    fn check(&self) -> Result<(), InvalidStatistics> {
        let invalid = |field: String, reason: String| Err(InvalidStatistics { field, reason });
        let count = self.arms.len();
        if count < 2 {
            return invalid("arms".into(), format!("{count} arms: a comparison takes a control and a variant"));
        }
        let Plan { alpha, planned_units, .. } = self.plan;
        if !(alpha > 0.0 && alpha < 1.0) {
            return invalid("alpha".into(), format!("alpha {alpha} must be above 0 and below 1"));
        }
        if planned_units == 0 {
            return invalid("planned_units".into(), "0 units: a test takes at least one".into());
        }
        if let Some(tuned) = self.tuned_units.filter(|tuned| !(*tuned > 0.0 && tuned.is_finite())) {
            return invalid("tuned_units".into(), format!("{tuned} units must be above 0"));
        }
        if let Some(prior) = self.prior.filter(|prior| !(prior.mean.is_finite() && prior.deviation > 0.0 && prior.deviation.is_finite())) {
            return invalid(
                "prior".into(),
                format!("mean {} and deviation {} must be finite, the latter above 0", prior.mean, prior.deviation),
            );
        }
        let SrmRule { level, concentration } = self.srm_rule;
        if !(level > 0.0 && level < 1.0 && concentration > 0.0 && concentration.is_finite()) {
            return invalid("srm_rule".into(), format!("level {level} must be above 0 and below 1, concentration {concentration} above 0"));
        }
        if let Some((index, period)) = self.periods.iter().enumerate().find(|(_, period)| period.units.len() != count) {
            return invalid(format!("periods.{index}.units"), format!("{} counts for {count} arms", period.units.len()));
        }
        for (index, guardrail) in self.guardrails.iter().enumerate() {
            if guardrail.arms.len() != count {
                return invalid(format!("guardrails.{index}.arms"), format!("{} statistics for {count} arms", guardrail.arms.len()));
            }
            if !(0.0..1.0).contains(&guardrail.margin) {
                return invalid(
                    format!("guardrails.{index}.margin"),
                    format!("margin {} must be at least 0 and below 1", guardrail.margin),
                );
            }
        }
        Ok(())
    }
}

/// Everything that the statistics of a phase say.
///
/// # Errors
/// [`InvalidStatistics`] with the path of the field (`arms.1.sum`) if the sums are impossible, or the question does not fit together.
pub fn analyse(question: &Question) -> Result<Analysis, InvalidStatistics> {
    question.check()?;
    let sample = Sample::of(question)?;
    let posteriors: Option<Vec<Posterior>> =
        sample.moments.iter().zip(&sample.cells).map(|(arm, cells)| bayes::posterior(*arm, *cells)).collect();
    let chances = posteriors.as_deref().map(bayes::chances_to_be_best);

    let arms =
        (0..question.arms.len()).map(|index| summary(question, index, sample.plain[index], chances.as_ref().map(|chances| chances[index])));
    let arms: Vec<ArmSummary> = arms.collect();
    let mut comparisons = Vec::new();
    for index in 1..question.arms.len() {
        comparisons.push(compare(question, &sample, posteriors.as_deref(), index));
    }
    adjust(question, &mut comparisons);
    for (index, asked) in question.guardrails.iter().enumerate() {
        let moments = moments_of(&format!("guardrails.{index}.arms"), asked.kind, &asked.arms)?;
        for (place, comparison) in comparisons.iter_mut().enumerate() {
            let (alpha, tuned) = (question.plan.alpha, tuned_units(question, place + 1));
            let answer = guardrail::guardrail(&asked.metric, asked.margin, moments[0], moments[place + 1], question.reading, alpha, tuned);
            comparison.guardrails.push(answer);
        }
    }

    let units = question.arms.iter().map(|arm| arm.statistics.units).sum();
    let mut analysis = Analysis {
        kind: question.kind,
        arms,
        comparisons,
        srm: srm::srm(&question.periods, question.srm_rule)?,
        variance_reduction: sample.variance_reduction,
        alpha: question.plan.alpha,
        units,
        planned_units: question.plan.planned_units,
        share_of_plan: units as f64 / question.plan.planned_units as f64,
        verdict: Verdict::KeepRunning { share: 0.0 },
        sentence: String::new(),
    };
    analysis.verdict = verdict::verdict(question, &analysis);
    analysis.sentence = verdict::sentence(question, &analysis, &analysis.verdict);
    Ok(analysis)
}

/// What of a look counts at every later one, at a small part of the cost of [`analyse`]. A variant whose pair has too few units for a verdict
/// gives no evidence yet: the approximations could be far off, and would be remembered for good.
///
/// # Errors
/// As [`analyse`].
pub fn look(question: &Question) -> Result<Look, InvalidStatistics> {
    question.check()?;
    let sample = Sample::of(question)?;
    let has_units = |index: usize| question.arms[index].statistics.units >= question.units_min;
    let evidence = question.arms.iter().enumerate().map(|(index, arm)| match index {
        0 => None,
        _ if has_units(0) && has_units(index) => Some(strongest(question, &sample, index, sample.always_valid(question, index).p)),
        _ => arm.evidence_before,
    });
    Ok(Look { evidence: evidence.collect(), srm: srm::srm(&question.periods, question.srm_rule)? })
}

/// The arms' sums, in the forms that the comparisons take.
struct Sample {
    plain: Vec<Moments>,
    /// Without what the units' history explains, if it is taken off.
    moments: Vec<Moments>,
    /// Successes and failures of plain rates.
    cells: Vec<Option<(f64, f64)>>,
    variance_reduction: Option<VarianceReduction>,
}

impl Sample {
    fn of(question: &Question) -> Result<Self, InvalidStatistics> {
        let statistics: Vec<ArmStatistics> = question.arms.iter().map(|arm| arm.statistics).collect();
        let plain = moments_of("arms", question.kind, &statistics)?;
        let is_rate = question.kind == MetricKind::Rate;
        let is_few = |(successes, failures): (f64, f64)| successes.min(failures) < CELL_MIN;
        // Few successes are judged by their exact split, which knows no history.
        let has_few = is_rate && statistics.iter().any(|arm| is_few(arm.cells()));
        let adjusted = if has_few { None } else { cuped::adjusted(&statistics, question.kind)? };
        let is_plain_rate = is_rate && adjusted.is_none();
        let cells = statistics.iter().map(|arm| is_plain_rate.then(|| arm.cells())).collect();
        let (moments, variance_reduction) =
            adjusted.map_or_else(|| (plain.clone(), None), |(moments, reduction)| (moments, Some(reduction)));
        Ok(Self { plain, moments, cells, variance_reduction })
    }

    fn cells(&self, index: usize) -> Option<Cells> {
        self.cells[0].zip(self.cells[index]).map(|(control, variant)| Cells { control, variant })
    }

    /// A variant against the control, as of this look alone.
    fn always_valid(&self, question: &Question, index: usize) -> AlwaysValid {
        let (share, tuned) = (variant_share(question, index), tuned_units(question, index));
        sequential::always_valid(self.moments[0], self.moments[index], self.cells(index), share, question.plan.alpha, tuned)
    }
}

/// Of the looks before and this one, whose p-value is given.
fn strongest(question: &Question, sample: &Sample, index: usize, p: f64) -> Evidence {
    let now = Evidence { p, difference: sample.moments[index].mean - sample.moments[0].mean };
    question.arms[index].evidence_before.filter(|before| before.p < p).unwrap_or(now)
}

fn moments_of(field: &str, kind: MetricKind, arms: &[ArmStatistics]) -> Result<Vec<Moments>, InvalidStatistics> {
    let named = |index: usize, error: InvalidStatistics| InvalidStatistics { field: format!("{field}.{index}.{}", error.field), ..error };
    arms.iter().enumerate().map(|(index, arm)| arm.moments(kind).map_err(|error| named(index, error))).collect()
}

fn summary(question: &Question, index: usize, moments: Moments, chance_to_be_best: Option<f64>) -> ArmSummary {
    let Arm { key, statistics, .. } = &question.arms[index];
    let alpha = question.plan.alpha;
    let interval = match question.kind {
        MetricKind::Rate if statistics.units > 0 => {
            let (low, high) = exact::wilson(statistics.cells(), alpha);
            Some(Interval { low, high: Some(high) })
        }
        MetricKind::Mean if statistics.units > 1 => {
            let reach = special::student_quantile(alpha, moments.units - 1.0) * (moments.variance / moments.units).sqrt();
            Some(Interval { low: moments.mean - reach, high: Some(moments.mean + reach) })
        }
        _ => None,
    };
    ArmSummary {
        key: key.clone(),
        units: statistics.units,
        sum: float(statistics.sum),
        mean: (statistics.units > 0).then_some(moments.mean),
        deviation: (statistics.units > 1).then(|| moments.variance.sqrt()),
        interval,
        chance_to_be_best,
    }
}

fn compare(question: &Question, sample: &Sample, posteriors: Option<&[Posterior]>, index: usize) -> Comparison {
    let (control, variant) = (sample.moments[0], sample.moments[index]);
    let always_valid = sample.always_valid(question, index);
    let strongest = strongest(question, sample, index, always_valid.p);
    let beliefs = posteriors.map(|posteriors| {
        let sides = ((control, posteriors[0]), (variant, posteriors[index]));
        let under = question.prior.and_then(|prior| bayes::compare_under(prior, sides.0, sides.1));
        under.unwrap_or_else(|| bayes::compare(posteriors[0], posteriors[index]))
    });
    Comparison {
        variant: question.arms[index].key.clone(),
        difference: difference::difference(control, variant, sample.cells(index), question.plan.alpha),
        p_adjusted: None,
        always_valid,
        smallest_p: strongest.p,
        smallest_p_difference: strongest.difference,
        smallest_p_adjusted: 1.0,
        beliefs,
        guardrails: Vec::new(),
        outcome: Outcome::Open,
    }
}

/// Fills in what depends on all comparisons.
fn adjust(question: &Question, comparisons: &mut [Comparison]) {
    // A comparison that says nothing counts as one with p = 1, so that the family does not shrink.
    let fixed: Vec<f64> = comparisons.iter().map(|comparison| comparison.difference.p.unwrap_or(1.0)).collect();
    let running: Vec<f64> = comparisons.iter().map(|comparison| comparison.smallest_p).collect();
    let fixed = correction::adjusted(&fixed, question.correction);
    let running = correction::adjusted(&running, question.correction);
    for (index, comparison) in comparisons.iter_mut().enumerate() {
        comparison.p_adjusted = comparison.difference.p.map(|_| fixed[index]);
        comparison.smallest_p_adjusted = running[index];
        let now = comparison.difference.absolute.estimate;
        let (deciding, shown) = match question.reading {
            Reading::Sequential => (running[index], comparison.smallest_p_difference),
            Reading::FixedHorizon => (fixed[index], now),
        };
        // What was shown once stays shown, but nothing is decided against the figures of now.
        comparison.outcome = match deciding <= question.plan.alpha {
            true if shown > 0.0 && now > 0.0 => Outcome::Better,
            true if shown < 0.0 && now < 0.0 => Outcome::Worse,
            _ => Outcome::Open,
        };
    }
}

/// The variant's weight over the pair's; nothing if the weights changed, or one is 0.
fn variant_share(question: &Question, index: usize) -> Option<f64> {
    let first = question.periods.first()?;
    let is_same = question.periods.iter().all(|period| period.weights == first.weights);
    let share = first.weights.get(index)? / (first.weights.first()? + first.weights.get(index)?);
    (is_same && share > 0.0 && share < 1.0).then_some(share)
}

/// The pair's part of the planned units, by the first weights.
fn tuned_units(question: &Question, index: usize) -> f64 {
    let planned = question.plan.planned_units as f64;
    let part = question.periods.first().and_then(|period| {
        let whole: f64 = period.weights.iter().sum();
        Some((period.weights.first()? + period.weights.get(index)?) / whole)
    });
    question.tuned_units.unwrap_or(planned * part.filter(|part| part.is_finite() && *part > 0.0).unwrap_or(1.0))
}
