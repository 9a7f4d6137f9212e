//! Answers that stay right however often somebody looks, and whenever they stop.

use serde::{Deserialize, Serialize};

use super::{
    arm::Moments,
    difference::{self, Cells, Interval},
    special,
};

/// With fewer successes, or fewer failures, in one of two arms the normal approximation is not trusted, and the split of the rare outcome over the
/// arms is tested instead.
pub const CELL_MIN: f64 = 10.0;
/// The exact answer's p-value counts this many times: a test that begins with it may go on to the confidence sequence, and both together are to
/// err in at most alpha of all tests.
const EXACT_PRICE: f64 = 2.0;

/// What the always-valid p-value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlwaysValidMethod {
    /// Asymptotic confidence sequence on the absolute difference.
    Absolute,
    /// Asymptotic confidence sequence on the log ratio.
    LogRatio,
    /// Exact e-value of how the rare outcome splits over the arms.
    ExactSplit,
    /// Nothing can be said yet.
    None,
}

/// An answer for somebody who has looked before and may look again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlwaysValid {
    /// Of this look alone; the smallest of all looks is valid too.
    pub p: f64,
    /// Of the absolute difference.
    pub interval: Option<Interval>,
    /// Of the lift.
    pub lift_interval: Option<Interval>,
    pub method: AlwaysValidMethod,
}

/// `rho^2` of the normal mixture that makes the sequence narrowest at `units` units (Waudby-Smith et al. 2021, arXiv:2103.06476, section B.2).
pub fn tuning(units: f64, alpha: f64) -> f64 {
    let twice = -2.0 * alpha.ln();
    (twice + twice.ln_1p()) / units
}

/// Half-width of the asymptotic confidence sequence, in standard errors: `N` units of both arms, tuned by [`tuning`].
pub fn reach(units: f64, rho2: f64, alpha: f64) -> f64 {
    let grown = units * rho2;
    (2.0 * (grown + 1.0) / grown * ((grown + 1.0).ln() / 2.0 - alpha.ln())).sqrt()
}

/// ln of the e-value that is 1/alpha exactly where the sequence of level alpha reaches zero; `t` is the estimate in standard errors.
pub fn ln_e_value(t: f64, units: f64, rho2: f64) -> f64 {
    let grown = units * rho2;
    grown * t * t / (2.0 * (grown + 1.0)) - grown.ln_1p() / 2.0
}

/// The p-value that belongs to an e-value: its inverse, at most 1.
pub fn p_of(ln_e_value: f64) -> f64 {
    (-ln_e_value).exp().min(1.0)
}

/// An exact e-value for two rates from totals alone: ln of the evidence that the arms share the successes, or the failures if those are
/// fewer, otherwise than they share the units.
///
/// If the arms do not differ, what a unit does says nothing about its arm, so every success is the variant's with the planned share, whatever
/// came before. A Beta mixture over other shares against that share is a martingale with mean 1, in any order of the units and without
/// blocks; it is the posterior form of the e-values for two proportions of Turner, Ly and Gruenwald (2021, arXiv:2106.02693) for a rare
/// outcome. The mixture is Beta(share, 1 - share), which favours extreme splits: that is what zero cells are.
///
/// `variant_share` is the variant's weight over that of both arms, above 0 and below 1; it must not have changed since the start.
pub fn ln_exact_e_value(cells: Cells, variant_share: f64) -> f64 {
    let Cells { control, variant } = cells;
    let are_successes_rare = control.0 + variant.0 <= control.1 + variant.1;
    let (of_control, of_variant) = if are_successes_rare { (control.0, variant.0) } else { (control.1, variant.1) };
    let (a, b) = (variant_share, 1.0 - variant_share);
    special::ln_beta(a + of_variant, b + of_control) - special::ln_beta(a, b) - of_variant * a.ln() - of_control * b.ln()
}

/// Compares two arms at level `alpha`, with the sequence narrowest when both have `tuned_units` together. `cells` as in
/// [`difference::difference`]; `variant_share` as in [`ln_exact_e_value`], nothing if the weights changed.
pub fn always_valid(
    control: Moments,
    variant: Moments,
    cells: Option<Cells>,
    variant_share: Option<f64>,
    alpha: f64,
    tuned_units: f64,
) -> AlwaysValid {
    let rho2 = tuning(tuned_units.max(2.0), alpha);
    let units = control.units + variant.units;
    let absolute = scaled(absolute(control, variant), units, rho2, alpha);
    let log_ratio = scaled(difference::log_ratio(control, variant), units, rho2, alpha);
    let interval = absolute.map(|(_, estimate, reach)| Interval { low: estimate - reach, high: Some(estimate + reach) });
    let lift_interval = log_ratio.map(|(_, estimate, reach)| difference::lift_interval(estimate, reach));
    let (method, p) = match (cells, absolute, log_ratio) {
        (Some(cells), ..) if cells.smallest() < CELL_MIN => {
            // Intervals of an approximation that does not hold are not shown.
            let exact = variant_share.map(|share| (AlwaysValidMethod::ExactSplit, p_of(ln_exact_e_value(cells, share) - EXACT_PRICE.ln())));
            let (method, p) = exact.unwrap_or((AlwaysValidMethod::None, 1.0));
            return AlwaysValid { p, interval: None, lift_interval: None, method };
        }
        (Some(_), _, Some((ln_e, ..))) => (AlwaysValidMethod::LogRatio, p_of(ln_e)),
        (None, Some((ln_e, ..)), _) => (AlwaysValidMethod::Absolute, p_of(ln_e)),
        _ => (AlwaysValidMethod::None, 1.0),
    };
    AlwaysValid { p, interval, lift_interval, method }
}

fn absolute(control: Moments, variant: Moments) -> Option<(f64, f64)> {
    if control.units < 2.0 || variant.units < 2.0 {
        return None;
    }
    let standard_error = (control.variance / control.units + variant.variance / variant.units).sqrt();
    (standard_error > 0.0).then_some((variant.mean - control.mean, standard_error))
}

/// ln e-value, estimate, half-width.
fn scaled(estimate: Option<(f64, f64)>, units: f64, rho2: f64, alpha: f64) -> Option<(f64, f64, f64)> {
    estimate.map(|(estimate, standard_error)| {
        (ln_e_value(estimate / standard_error, units, rho2), estimate, reach(units, rho2, alpha) * standard_error)
    })
}
