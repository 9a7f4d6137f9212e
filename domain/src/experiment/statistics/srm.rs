//! Sample-ratio mismatch: do the arms have the units that their weights promise? If not, assignment or logging is broken, and no other number of
//! the test can be trusted.

use serde::{Deserialize, Serialize};

use super::{arm::InvalidStatistics, sequential, special};

/// Units by arm while the weights stayed the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightPeriod {
    /// Shares of the arms, of any positive sum; an arm of weight 0 is left out.
    pub weights: Vec<f64>,
    pub units: Vec<u64>,
}

/// When the check raises an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SrmRule {
    /// The chance of a false alarm, ever.
    pub level: f64,
    /// How near to the planned shares a mismatch is looked for: 10 000 finds shares that are off by about a hundredth, 100 those off by a tenth.
    pub concentration: f64,
}

/// 10 000 as in the implementation of the authors of the sequential test.
impl Default for SrmRule {
    fn default() -> Self {
        Self { level: 0.001, concentration: 10_000.0 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Srm {
    /// Pearson's chi-square, for somebody who looks once.
    pub p: f64,
    /// Right at every look (Lindon and Malek 2020, arXiv:2011.03567).
    pub p_sequential: f64,
    pub ln_e_value: f64,
    /// The sequential p-value is below the rule's level.
    pub is_alarm: bool,
    /// By arm, over all periods.
    pub observed: Vec<u64>,
    pub expected: Vec<f64>,
}

/// Checks the units of all periods against their weights: the logs of the periods' e-values add up, and so do their chi-squares.
///
/// # Errors
/// [`InvalidStatistics`] if a period's weights and units are not of the same arms, or a weight is not a number from 0 up.
pub fn srm(periods: &[WeightPeriod], rule: SrmRule) -> Result<Srm, InvalidStatistics> {
    let invalid = |index: usize, field: &str, reason: String| InvalidStatistics { field: format!("periods.{index}.{field}"), reason };
    let arms = periods.first().map_or(0, |period| period.units.len());
    let (mut observed, mut expected) = (vec![0; arms], vec![0.0; arms]);
    let (mut chi_square, mut freedom, mut ln_e_value) = (0.0, 0.0, 0.0);
    for (index, period) in periods.iter().enumerate() {
        if period.weights.len() != arms || period.units.len() != arms {
            let counts = format!("{} weights and {} units for {arms} arms", period.weights.len(), period.units.len());
            return Err(invalid(index, "weights", counts));
        }
        if let Some(weight) = period.weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
            return Err(invalid(index, "weights", format!("weight {weight} must be a number from 0 up")));
        }
        let weighed = period.weights.iter().zip(&period.units).enumerate().filter(|(_, (weight, _))| **weight > 0.0);
        let weighed: Vec<(usize, f64, u64)> = weighed.map(|(arm, (weight, units))| (arm, *weight, *units)).collect();
        let whole: f64 = weighed.iter().map(|(_, weight, _)| weight).sum();
        let total: u64 = weighed.iter().map(|(.., units)| units).sum();
        for (arm, units) in period.units.iter().enumerate() {
            observed[arm] += units;
        }
        if total == 0 {
            continue;
        }
        freedom += weighed.len() as f64 - 1.0;
        let n = total as f64;
        for (arm, weight, units) in &weighed {
            let planned = n * weight / whole;
            expected[*arm] += planned;
            chi_square += (*units as f64 - planned).powi(2) / planned;
        }
        let shares: Vec<(f64, f64)> = weighed.iter().map(|(_, weight, units)| (weight / whole, *units as f64)).collect();
        ln_e_value += ln_bayes_factor(&shares, rule.concentration);
    }
    let p = if freedom > 0.0 { special::chi_square_tail(chi_square, freedom) } else { 1.0 };
    let p_sequential = sequential::p_of(ln_e_value);
    Ok(Srm { p, p_sequential, ln_e_value, is_alarm: p_sequential < rule.level, observed, expected })
}

/// `lgamma(C) - lgamma(C+n) + sum(lgamma(C t + n_i) - lgamma(C t) - n_i ln t)`, with Stirling's leading terms cancelled by hand: what is left
/// is a divergence of the observed shares from the planned, and small terms.
fn ln_bayes_factor(shares: &[(f64, f64)], concentration: f64) -> f64 {
    let total: f64 = shares.iter().map(|(_, units)| units).sum();
    let grown = concentration + total;
    let small = |x: f64| special::stirling(x) - x.ln() / 2.0;
    let of_arms: f64 = shares
        .iter()
        .map(|(share, units)| {
            let prior = concentration * share;
            let after = prior + units;
            // after / (grown * share) - 1, where the two are close.
            let off = (units - total * share) / (grown * share);
            after * off.ln_1p() + small(after) - small(prior)
        })
        .sum();
    of_arms - small(grown) + small(concentration)
}
