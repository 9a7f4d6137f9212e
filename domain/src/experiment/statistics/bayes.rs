//! How likely a variant is better, and what being wrong would cost.
//!
//! Rates have a Beta posterior from a flat prior, compared by quadrature: exact, deterministic, without a seed. Means have a normal posterior. A
//! normal prior on the lift, if one is given, makes the difference normal for both.

use serde::{Deserialize, Serialize};

use super::{
    arm::Moments,
    quadrature::{Grid, Posterior},
    special,
};

/// What is believed of the lift before the test: normal, of the given mean and deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftPrior {
    pub mean: f64,
    /// Above 0; 0.3 says that two thirds of all lifts lie within 30 percent.
    pub deviation: f64,
}

/// Losses are in the metric's unit per exposed unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beliefs {
    /// That the variant is better than the control.
    pub chance_to_win: f64,
    /// What shipping the variant loses on average: nothing if it is better, else the difference.
    pub loss_of_shipping: f64,
    /// What keeping the control loses on average.
    pub loss_of_keeping: f64,
}

/// The posterior of an arm; `cells` are its successes and failures if it is a plain rate. Nothing without spread.
pub(super) fn posterior(arm: Moments, cells: Option<(f64, f64)>) -> Option<Posterior> {
    if let Some((successes, failures)) = cells {
        return Some(Posterior::Beta { a: successes + 1.0, b: failures + 1.0 });
    }
    let deviation = (arm.variance / arm.units).sqrt();
    (arm.units >= 2.0 && deviation > 0.0).then_some(Posterior::Normal { mean: arm.mean, deviation })
}

/// Compares two posteriors, without a prior on the lift.
pub(super) fn compare(control: Posterior, variant: Posterior) -> Beliefs {
    if let (Posterior::Normal { mean: from, deviation: a }, Posterior::Normal { mean: to, deviation: b }) = (control, variant) {
        return of_normal(to - from, a.hypot(b));
    }
    // E(max(X - Y, 0)) is the integral of P(Y < x) P(X > x).
    let grid = Grid::of(&[control, variant]);
    Beliefs {
        chance_to_win: grid.integral(|node| grid.densities[1][node] * grid.below[0][node]).min(1.0),
        loss_of_shipping: grid.integral(|node| grid.below[1][node] * grid.above[0][node]),
        loss_of_keeping: grid.integral(|node| grid.below[0][node] * grid.above[1][node]),
    }
}

/// Compares two arms under a prior on the lift: on the absolute scale, where the prior is scaled by the control's mean. Nothing if that is 0.
pub(super) fn compare_under(prior: LiftPrior, control: (Moments, Posterior), variant: (Moments, Posterior)) -> Option<Beliefs> {
    let scale = control.0.mean.abs();
    let variance = variance(control) + variance(variant);
    if scale <= 0.0 || variance <= 0.0 {
        return None;
    }
    let (of_prior, of_data) = ((prior.deviation * scale).powi(-2), 1.0 / variance);
    let difference = variant.0.mean - control.0.mean;
    let mean = (prior.mean * scale * of_prior + difference * of_data) / (of_prior + of_data);
    Some(of_normal(mean, (of_prior + of_data).sqrt().recip()))
}

/// Of the arm's mean; an arm where all units did the same has the spread of its Beta posterior.
fn variance((arm, posterior): (Moments, Posterior)) -> f64 {
    match posterior {
        Posterior::Beta { a, b } if arm.variance <= 0.0 => a * b / ((a + b).powi(2) * (a + b + 1.0)),
        _ => arm.variance / arm.units,
    }
}

/// For a normal difference.
pub fn of_normal(mean: f64, deviation: f64) -> Beliefs {
    let z = mean / deviation;
    let density = deviation * special::normal_density(z);
    Beliefs {
        chance_to_win: special::normal_tail(-z),
        loss_of_shipping: (density - mean * special::normal_tail(z)).max(0.0),
        loss_of_keeping: (density + mean * special::normal_tail(-z)).max(0.0),
    }
}

/// The chance of each arm to be the best of all; the chances sum to 1.
pub(super) fn chances_to_be_best(posteriors: &[Posterior]) -> Vec<f64> {
    let grid = Grid::of(posteriors);
    let others = |arm: usize, node: usize| {
        let below = grid.below.iter().enumerate().filter(|(other, _)| *other != arm);
        below.map(|(_, below)| below[node]).product::<f64>()
    };
    let chances: Vec<f64> = (0..posteriors.len()).map(|arm| grid.integral(|node| grid.densities[arm][node] * others(arm, node))).collect();
    let total: f64 = chances.iter().sum();
    chances.into_iter().map(|chance| chance / total).collect()
}
