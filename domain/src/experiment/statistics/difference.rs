//! How far a variant is from the control, for somebody who looks once.
//!
//! Two scales: the absolute difference (Welch), and the logarithm of the ratio, from which the lift comes (`exp - 1`). The delta method on the
//! lift itself is not offered: its variance holds the variant's own mean, so that at low rates false losses outnumber false wins four to one.
//! Rates are decided on the log ratio, means on the absolute scale, and rates with an empty cell by exact and score methods ([`super::exact`]).

use serde::{Deserialize, Serialize};

use super::{arm::Moments, exact, special};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    /// Absent: no upper bound.
    pub high: Option<f64>,
}

/// Where the p-value that decides comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Welch's t on the absolute difference.
    Welch,
    /// A z-test on the logarithm of the ratio.
    LogRatio,
    /// Fisher's exact test; intervals by score methods. For rates with a cell of nothing.
    Exact,
    /// Nothing can be said: fewer than two units, or no spread at all.
    None,
}

/// Variant minus control, per unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AbsoluteDifference {
    pub estimate: f64,
    pub standard_error: f64,
    /// Welch's; with an empty cell Newcombe's.
    pub interval: Option<Interval>,
    /// Two-sided, by Welch's t.
    pub p: Option<f64>,
}

/// Variant over control, minus 1: 0.1 is ten percent more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lift {
    pub estimate: f64,
    /// Of the logarithm of the ratio; absent with an empty cell.
    pub log_standard_error: Option<f64>,
    pub interval: Option<Interval>,
    /// Two-sided, on the log ratio.
    pub p: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    pub absolute: AbsoluteDifference,
    /// Absent if the control's mean is not positive, or the variant's is negative.
    pub lift: Option<Lift>,
    pub method: Method,
    /// The one that decides, two-sided.
    pub p: Option<f64>,
}

/// Successes and failures of two arms, as counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cells {
    pub control: (f64, f64),
    pub variant: (f64, f64),
}

impl Cells {
    pub(super) fn has_empty(&self) -> bool {
        self.smallest() < 1.0
    }

    pub(super) fn smallest(&self) -> f64 {
        [self.control.0, self.control.1, self.variant.0, self.variant.1].into_iter().fold(f64::INFINITY, f64::min)
    }
}

/// Compares two arms at significance level `alpha`. `cells` are the counts behind the moments, if they are plain rates: rates are then decided
/// on the log ratio, and by exact methods if a cell is empty.
pub fn difference(control: Moments, variant: Moments, cells: Option<Cells>, alpha: f64) -> Difference {
    let mut absolute = absolute(control, variant, alpha);
    let mut lift = lift(control, variant, alpha);
    let has_units = control.units >= 1.0 && variant.units >= 1.0;
    let (method, p) = match cells.filter(|_| has_units) {
        Some(cells) if cells.has_empty() => {
            absolute.interval = Some(exact::newcombe(cells, alpha));
            absolute.p = None;
            if control.mean > 0.0 {
                lift = Some(Lift {
                    estimate: variant.mean / control.mean - 1.0,
                    log_standard_error: None,
                    interval: Some(exact::score_ratio(cells, alpha)),
                    p: None,
                });
            }
            (Method::Exact, Some(exact::fisher(cells)))
        }
        Some(_) => (Method::LogRatio, lift.and_then(|lift| lift.p)),
        None if absolute.p.is_some() => (Method::Welch, absolute.p),
        None => (Method::None, None),
    };
    Difference { absolute, lift, method, p }
}

fn absolute(control: Moments, variant: Moments, alpha: f64) -> AbsoluteDifference {
    let estimate = variant.mean - control.mean;
    let share = |arm: Moments| if arm.units > 0.0 { arm.variance / arm.units } else { 0.0 };
    let (of_control, of_variant) = (share(control), share(variant));
    let standard_error = (of_control + of_variant).sqrt();
    if standard_error <= 0.0 || control.units < 2.0 || variant.units < 2.0 {
        return AbsoluteDifference { estimate, standard_error, interval: None, p: None };
    }
    // Welch-Satterthwaite.
    let freedom = (of_control + of_variant).powi(2)
        / (of_control * of_control / (control.units - 1.0) + of_variant * of_variant / (variant.units - 1.0));
    let reach = special::student_quantile(alpha, freedom) * standard_error;
    AbsoluteDifference {
        estimate,
        standard_error,
        interval: Some(Interval { low: estimate - reach, high: Some(estimate + reach) }),
        p: Some(special::student_two_sided(estimate / standard_error, freedom)),
    }
}

fn lift(control: Moments, variant: Moments, alpha: f64) -> Option<Lift> {
    if control.mean <= 0.0 || variant.mean < 0.0 {
        return None;
    }
    let estimate = variant.mean / control.mean - 1.0;
    let Some((log_ratio, standard_error)) = log_ratio(control, variant) else {
        return Some(Lift { estimate, log_standard_error: None, interval: None, p: None });
    };
    let reach = special::normal_quantile(alpha / 2.0) * standard_error;
    Some(Lift {
        estimate,
        log_standard_error: Some(standard_error),
        interval: Some(lift_interval(log_ratio, reach)),
        p: Some((2.0 * special::normal_tail((log_ratio / standard_error).abs())).min(1.0)),
    })
}

/// ln(variant / control) and its standard error, by the delta method on each logarithm; nothing unless both means are positive and spread.
pub(super) fn log_ratio(control: Moments, variant: Moments) -> Option<(f64, f64)> {
    if control.mean <= 0.0 || variant.mean <= 0.0 || control.units < 2.0 || variant.units < 2.0 {
        return None;
    }
    let share = |arm: Moments| arm.variance / (arm.units * arm.mean * arm.mean);
    let standard_error = (share(control) + share(variant)).sqrt();
    (standard_error > 0.0).then(|| ((variant.mean / control.mean).ln(), standard_error))
}

/// From the log ratio to the lift.
pub(super) fn lift_interval(log_ratio: f64, reach: f64) -> Interval {
    let high = (log_ratio + reach).exp_m1();
    Interval { low: (log_ratio - reach).exp_m1(), high: high.is_finite().then_some(high) }
}
