//! Guardrails: does a variant keep a metric above `(1 - margin)` times the control's? A one-sided test of non-inferiority.

use serde::{Deserialize, Serialize};

use super::{arm::Moments, difference, sequential, special};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailVerdict {
    /// A loss of more than the margin is ruled out.
    Holds,
    /// The loss is more than the margin.
    Harmed,
    /// Neither is shown.
    Unclear,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardrailAnswer {
    pub metric: String,
    pub margin: f64,
    pub lift: Option<f64>,
    /// One-sided bounds of the lift; absent if the metric has no log ratio.
    pub lift_low: Option<f64>,
    pub lift_high: Option<f64>,
    pub verdict: GuardrailVerdict,
}

/// How often somebody looks, and so how far the bounds reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// At any time: bounds of a confidence sequence.
    #[default]
    Sequential,
    /// Once, at the planned size.
    FixedHorizon,
}

/// Judges one metric of a variant at one-sided level `alpha`: on the log ratio if both means are positive, else by the difference of the
/// variant's mean and `(1 - margin)` times the control's. Without a positive mean of the control a relative margin means nothing: unclear.
pub fn guardrail(
    metric: &str,
    margin: f64,
    control: Moments,
    variant: Moments,
    reading: Reading,
    alpha: f64,
    tuned_units: f64,
) -> GuardrailAnswer {
    let reach = match reading {
        Reading::FixedHorizon => special::normal_quantile(alpha),
        // Each end of a two-sided sequence of level 2 alpha fails with chance alpha.
        Reading::Sequential => {
            let level = (2.0 * alpha).min(0.5);
            sequential::reach((control.units + variant.units).max(1.0), sequential::tuning(tuned_units.max(2.0), level), level)
        }
    };
    let kept = 1.0 - margin;
    let log_ratio = difference::log_ratio(control, variant);
    let bounds = log_ratio.map(|(estimate, error)| (estimate - reach * error, estimate + reach * error));
    // Both relative to what the margin allows.
    let (low, high) = match bounds {
        Some((low, high)) => (low - kept.ln(), high - kept.ln()),
        None if control.mean > 0.0 && control.units >= 2.0 && variant.units >= 2.0 => {
            let off = variant.mean - kept * control.mean;
            let error = (variant.variance / variant.units + kept * kept * control.variance / control.units).sqrt();
            if error > 0.0 { (off - reach * error, off + reach * error) } else { (-1.0, 1.0) }
        }
        None => (-1.0, 1.0),
    };
    let verdict = match (low > 0.0, high < 0.0) {
        (true, _) => GuardrailVerdict::Holds,
        (_, true) => GuardrailVerdict::Harmed,
        _ => GuardrailVerdict::Unclear,
    };
    GuardrailAnswer {
        metric: metric.to_owned(),
        margin,
        lift: (control.mean > 0.0).then(|| variant.mean / control.mean - 1.0),
        lift_low: bounds.map(|(low, _)| low.exp_m1()),
        lift_high: bounds.map(|(_, high)| high.exp_m1()).filter(|high| high.is_finite()),
        verdict,
    }
}
