//! How many units a test needs, how long that takes, and what a given number can find.

use serde::{Deserialize, Serialize};

use super::{guardrail::Reading, sequential, special};

/// What the metric is like without a test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Baseline {
    Rate {
        /// Above 0 and below 1.
        rate: f64,
    },
    Mean {
        /// Above 0.
        mean: f64,
        /// Of one unit, above 0.
        deviation: f64,
    },
}

/// What a test is to find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizing {
    pub baseline: Baseline,
    /// Two-sided; shared out over the variants, so that Holm's correction finds what is planned for.
    pub alpha: f64,
    pub power: f64,
    /// By arm, the control first; at least two, each above 0.
    pub weights: Vec<f64>,
    #[serde(default)]
    pub reading: Reading,
}

/// Units that a test needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleSize {
    pub total: u64,
    /// Rounded up, so they may sum to a few more than `total`.
    pub per_arm: Vec<u64>,
}

/// A plan that cannot be computed: the field, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidPlan {
    pub field: &'static str,
    pub reason: String,
}

/// No plan asks for more.
const UNITS_MAX: f64 = 1e15;
/// Beyond a lift of 1000 nothing is looked for.
const LIFT_MAX: f64 = 1_000.0;

impl Sizing {
    fn check(&self) -> Result<(), InvalidPlan> {
        let invalid = |field, reason| Err(InvalidPlan { field, reason });
        let is_share = |value: f64| value > 0.0 && value < 1.0;
        match self.baseline {
            Baseline::Rate { rate } if !is_share(rate) => return invalid("baseline", format!("rate {rate} must be above 0 and below 1")),
            Baseline::Mean { mean, deviation } if !(mean > 0.0 && mean.is_finite() && deviation > 0.0 && deviation.is_finite()) => {
                return invalid("baseline", format!("mean {mean} and deviation {deviation} must be above 0"));
            }
            _ => {}
        }
        if !is_share(self.alpha) {
            return invalid("alpha", format!("alpha {} must be above 0 and below 1", self.alpha));
        }
        if !(0.5..1.0).contains(&self.power) {
            return invalid("power", format!("power {} must be from 0.5 to below 1", self.power));
        }
        if self.weights.len() < 2 || self.weights.iter().any(|weight| !(weight.is_finite() && *weight > 0.0)) {
            return invalid("weights", format!("{:?} must be two or more, each above 0", self.weights));
        }
        Ok(())
    }

    /// Standard errors between no difference and one that is found with the planned power.
    fn distance(&self) -> f64 {
        let comparisons = self.weights.len() as f64 - 1.0;
        let alpha = self.alpha / comparisons;
        let threshold = match self.reading {
            Reading::FixedHorizon => special::normal_quantile(alpha / 2.0),
            // At the units it is tuned to, where it is narrowest, whatever they are.
            Reading::Sequential => sequential::reach(1.0, sequential::tuning(1.0, alpha), alpha),
        };
        threshold + special::normal_quantile(1.0 - self.power)
    }

    /// Units of all arms, as a fraction, for the variant that needs most.
    fn units(&self, lift: f64) -> f64 {
        let (mean, of_control, of_variant) = match self.baseline {
            Baseline::Rate { rate } => {
                let lifted = rate * (1.0 + lift);
                (rate, rate * (1.0 - rate), (lifted * (1.0 - lifted)).max(0.0))
            }
            Baseline::Mean { mean, deviation } => (mean, deviation * deviation, deviation * deviation),
        };
        let whole: f64 = self.weights.iter().sum();
        let smallest = self.weights[1..].iter().copied().fold(f64::INFINITY, f64::min);
        let variance = whole * (of_control / self.weights[0] + of_variant / smallest);
        (self.distance() / (mean * lift)).powi(2) * variance
    }
}

/// The units that find a relative lift, by the normal approximation with the variances of both hypotheses' rates, unpooled. Reading sequentially takes
/// 1.9 times the units at alpha .05 and power .8 if the last look is the only one counted; most such tests stop before.
///
/// # Errors
/// [`InvalidPlan`] if a field is out of range, or the lift would take a rate to 1 or above.
pub fn sample_size(sizing: &Sizing, lift: f64) -> Result<SampleSize, InvalidPlan> {
    sizing.check()?;
    let is_possible = lift > 0.0 && lift <= LIFT_MAX && most_lift(sizing.baseline) > lift;
    if !is_possible {
        return Err(InvalidPlan {
            field: "minimum_detectable_lift",
            reason: format!("lift {lift} must be above 0 and leave a rate below 1"),
        });
    }
    let units = sizing.units(lift);
    if units > UNITS_MAX {
        return Err(InvalidPlan { field: "minimum_detectable_lift", reason: format!("lift {lift} would take {units:.0} units") });
    }
    let whole: f64 = sizing.weights.iter().sum();
    let per_arm: Vec<u64> = sizing.weights.iter().map(|weight| up(units * weight / whole)).collect();
    Ok(SampleSize { total: per_arm.iter().sum(), per_arm })
}

/// The smallest lift that `units` of all arms together find with the planned power; nothing if no lift below 1000 is found.
///
/// # Errors
/// [`InvalidPlan`] if a field is out of range.
pub fn detectable_lift(sizing: &Sizing, units: f64) -> Result<Option<f64>, InvalidPlan> {
    sizing.check()?;
    let most = most_lift(sizing.baseline).min(LIFT_MAX);
    let is_too_small = |lift: f64| sizing.units(lift) > units;
    // NaN and less than a unit find nothing.
    if units.partial_cmp(&1.0).is_none_or(|order| order.is_lt()) || is_too_small(most * (1.0 - 1e-9)) {
        return Ok(None);
    }
    Ok(Some(special::bisect(0.0, most, is_too_small)))
}

/// Days until `units` are there, when `units_per_day` take part; nothing without traffic.
pub fn days(units: u64, units_per_day: f64) -> Option<u64> {
    (units_per_day > 0.0).then(|| up(units as f64 / units_per_day))
}

/// The lift that takes a rate to 1.
fn most_lift(baseline: Baseline) -> f64 {
    match baseline {
        Baseline::Rate { rate } => 1.0 / rate - 1.0,
        Baseline::Mean { .. } => f64::INFINITY,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive and rounded up; a count beyond u64 becomes its maximum"
)]
fn up(value: f64) -> u64 {
    value.ceil() as u64
}
