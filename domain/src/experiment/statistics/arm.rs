//! What is known of an arm: sums over its units, from which everything else follows.
//!
//! The sums are decimals, not floats: sums of integers (successes, clicks, minor units of money) are exact up to 28 digits, so neither the
//! order of the units nor a large mean beside a small spread costs anything. `sum_squares - sum^2 / n` is computed in decimals too, and only
//! its result becomes a float.

use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};

use super::super::Metric;

/// A share below zero of the sum of squares up to here is the rounding of sums that were made in floats.
const ROUNDING: Decimal = Decimal::from_parts(1, 0, 0, false, 12);

/// What a unit counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// 0 or 1.
    Rate,
    /// Any number.
    Mean,
}

impl From<Metric> for MetricKind {
    fn from(metric: Metric) -> Self {
        if metric.is_rate() { Self::Rate } else { Self::Mean }
    }
}

/// The sufficient statistics of an arm. Those of two groups of units add up field by field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmStatistics {
    /// Exposed units.
    pub units: u64,
    /// Of the metric over the units; for a rate the units that succeeded.
    pub sum: Decimal,
    /// For a rate the same as `sum`.
    pub sum_squares: Decimal,
    /// What the units did before they were exposed.
    pub covariate: Option<CovariateSums>,
}

/// Sums of a covariate x from before the exposure, and of its products with the metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CovariateSums {
    pub sum: Decimal,
    pub sum_squares: Decimal,
    pub sum_products: Decimal,
}

/// Sums that no units can have: the field, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidStatistics {
    pub field: String,
    pub reason: String,
}

/// Mean and spread of an arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    pub units: f64,
    pub mean: f64,
    /// Of one unit: `m (1 - m)` for a rate, with `n - 1` for a mean.
    pub variance: f64,
}

/// Moments of the covariate beside those of the metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CovariateMoments {
    pub mean: f64,
    pub variance: f64,
    pub covariance: f64,
}

impl ArmStatistics {
    pub fn rate(units: u64, successes: u64) -> Self {
        Self { units, sum: successes.into(), sum_squares: successes.into(), covariate: None }
    }

    pub fn mean(units: u64, sum: Decimal, sum_squares: Decimal) -> Self {
        Self { units, sum, sum_squares, covariate: None }
    }

    /// # Errors
    /// [`InvalidStatistics`] if no units have such sums.
    pub fn check(&self, kind: MetricKind) -> Result<(), InvalidStatistics> {
        let Self { units, sum, sum_squares, .. } = *self;
        if units > 1 << 53 {
            return Err(invalid("units", format!("{units} are more than can be counted exactly (2^53)")));
        }
        if kind == MetricKind::Rate {
            if !sum.is_integer() || sum.is_sign_negative() && !sum.is_zero() || sum > units.into() {
                return Err(invalid("sum", format!("{sum} successes must be a whole number from 0 to {units}, the units")));
            }
            if sum_squares != sum {
                return Err(invalid(
                    "sum_squares",
                    format!("{sum_squares} must equal the successes, {sum}, since each unit counts 0 or 1"),
                ));
            }
        }
        check_squares("sum_squares", units, sum, sum_squares)?;
        let Some(covariate) = self.covariate else { return Ok(()) };
        check_squares("covariate.sum_squares", units, covariate.sum, covariate.sum_squares)?;
        let spread = spread(units, sum, sum_squares)?.max(0.0) * spread(units, covariate.sum, covariate.sum_squares)?.max(0.0);
        let product = centred(units, sum, covariate.sum, covariate.sum_products)?;
        if product.abs() > spread.sqrt() * (1.0 + 1e-9) + 1e-9 {
            return Err(invalid("covariate.sum_products", format!("{} is more than the sums of squares allow", covariate.sum_products)));
        }
        Ok(())
    }

    /// # Errors
    /// As [`check`](Self::check).
    pub fn moments(&self, kind: MetricKind) -> Result<Moments, InvalidStatistics> {
        self.check(kind)?;
        let Some(mean) = self.sum.checked_div(self.units.into()) else {
            return Ok(Moments { units: 0.0, mean: 0.0, variance: 0.0 });
        };
        let units = self.units as f64;
        let variance = match kind {
            MetricKind::Rate => float(mean * (Decimal::ONE - mean)),
            MetricKind::Mean if self.units < 2 => 0.0,
            MetricKind::Mean => spread(self.units, self.sum, self.sum_squares)?.max(0.0) / (units - 1.0),
        };
        Ok(Moments { units, mean: float(mean), variance })
    }

    /// Those of the covariate with `n - 1`; nothing without one or with fewer than two units.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn covariate_moments(&self) -> Result<Option<CovariateMoments>, InvalidStatistics> {
        let Some(covariate) = self.covariate.filter(|_| self.units > 1) else { return Ok(None) };
        let freedom = self.units as f64 - 1.0;
        Ok(Some(CovariateMoments {
            mean: float(covariate.sum / Decimal::from(self.units)),
            variance: spread(self.units, covariate.sum, covariate.sum_squares)?.max(0.0) / freedom,
            covariance: centred(self.units, self.sum, covariate.sum, covariate.sum_products)? / freedom,
        }))
    }

    /// Units that succeeded, and units that did not; only for a rate that was checked.
    pub(super) fn cells(&self) -> (f64, f64) {
        let successes = float(self.sum);
        (successes, self.units as f64 - successes)
    }
}

/// Sum of squares around the mean.
fn spread(units: u64, sum: Decimal, sum_squares: Decimal) -> Result<f64, InvalidStatistics> {
    centred(units, sum, sum, sum_squares)
}

/// `sum_products - a b / n`: the sum of the products of the deviations. Taken around the rounded means, so that no product needs more digits
/// than `sum_products` has.
fn centred(units: u64, a: Decimal, b: Decimal, sum_products: Decimal) -> Result<f64, InvalidStatistics> {
    let n = Decimal::from(units);
    if units == 0 {
        return Ok(0.0);
    }
    let (of_a, of_b) = ((a / n).round_dp(a.scale()), (b / n).round_dp(b.scale()));
    let rest = |sum: Decimal, mean: Decimal| n.checked_mul(mean).and_then(|whole| sum.checked_sub(whole));
    let centred = || {
        let (rest_a, rest_b) = (rest(a, of_a)?, rest(b, of_b)?);
        let around = sum_products.checked_sub(of_a.checked_mul(b)?)?.checked_sub(of_b.checked_mul(rest_a)?)?;
        around.checked_sub((rest_a / n).checked_mul(rest_b)?)
    };
    centred().map(float).ok_or_else(|| invalid("sum", format!("{a} is too large for 28 digits; use a larger unit")))
}

fn check_squares(field: &str, units: u64, sum: Decimal, sum_squares: Decimal) -> Result<(), InvalidStatistics> {
    if units == 0 && !(sum.is_zero() && sum_squares.is_zero()) {
        return Err(invalid(field, format!("{sum} and squares {sum_squares} cannot be sums over no units")));
    }
    let centred = spread(units, sum, sum_squares)?;
    if sum_squares.is_sign_negative() && !sum_squares.is_zero() || centred < -float(sum_squares * ROUNDING) {
        return Err(invalid(field, format!("{sum_squares} is less than the sum {sum} over {units} units allows")));
    }
    Ok(())
}

fn invalid(field: &str, reason: String) -> InvalidStatistics {
    InvalidStatistics { field: field.to_owned(), reason }
}

/// The nearest float, or very close to it.
pub(super) fn float(decimal: Decimal) -> f64 {
    decimal.to_string().parse().ok().or_else(|| decimal.to_f64()).unwrap_or_default()
}
