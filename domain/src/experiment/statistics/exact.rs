//! Rates with an empty cell, where a normal approximation has nothing to go by: Fisher's test, and intervals that invert score tests.

use super::{
    difference::{Cells, Interval},
    special,
};

/// Probabilities within this factor of the observed one count as the same, as in R and SciPy.
const SAME: f64 = 1.0 + 1e-7;
/// Terms below this part of the sum end it.
const NEGLIGIBLE: f64 = 1e-17;

/// Fisher's exact test, two-sided: all tables of the same margins that are no likelier than this one.
pub(super) fn fisher(cells: Cells) -> f64 {
    let Cells { control, variant } = cells;
    let (n_control, n_variant) = (control.0 + control.1, variant.0 + variant.1);
    let successes = control.0 + variant.0;
    let ln_all = special::ln_choose(n_control + n_variant, successes);
    let ln_chance = |k: f64| special::ln_choose(n_variant, k) + special::ln_choose(n_control, successes - k) - ln_all;
    let (low, high) = ((successes - n_control).max(0.0), successes.min(n_variant));
    let top = ((n_variant + 1.0) * (successes + 1.0) / (n_control + n_variant + 2.0)).floor().clamp(low, high);
    let ln_limit = ln_chance(variant.0) + SAME.ln();
    // The chances rise up to the top and fall after it, so each tail is found by bisection and summed outwards until nothing is added.
    let tail = |end: f64, step: f64| {
        let distance = (end - top).abs();
        let is_above = |away: f64| ln_chance((top + step * away).clamp(low, high)) > ln_limit;
        let first = if is_above(0.0) { integer_bisect(distance + 1.0, |away| away <= distance && is_above(away)) } else { 0.0 };
        let mut sum = 0.0;
        let mut away = first;
        while away <= distance {
            let term = ln_chance(top + step * away).exp();
            sum += term;
            if term <= sum * NEGLIGIBLE {
                break;
            }
            away += 1.0;
        }
        sum
    };
    let counted_twice = if ln_chance(top) > ln_limit { 0.0 } else { ln_chance(top).exp() };
    (tail(low, -1.0) + tail(high, 1.0) - counted_twice).min(1.0)
}

/// The least whole number from 1 to `high` for which `is_before` is false; it is true at 0.
fn integer_bisect(high: f64, is_before: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, high);
    while high - low > 1.0 {
        let middle = f64::midpoint(low, high).floor();
        if is_before(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Wilson's score interval of one rate.
pub(super) fn wilson((successes, failures): (f64, f64), alpha: f64) -> (f64, f64) {
    let n = successes + failures;
    let z = special::normal_quantile(alpha / 2.0);
    let centre = successes + z * z / 2.0;
    let reach = z * (successes * failures / n + z * z / 4.0).sqrt();
    (((centre - reach) / (n + z * z)).max(0.0), ((centre + reach) / (n + z * z)).min(1.0))
}

/// Newcombe's hybrid score interval of the difference (1998, method 10): Wilson's intervals of both rates, combined.
pub(super) fn newcombe(cells: Cells, alpha: f64) -> Interval {
    let rate = |(successes, failures): (f64, f64)| successes / (successes + failures);
    let (control, variant) = (rate(cells.control), rate(cells.variant));
    let ((control_low, control_high), (variant_low, variant_high)) = (wilson(cells.control, alpha), wilson(cells.variant, alpha));
    let difference = variant - control;
    Interval {
        low: difference - (variant - variant_low).hypot(control_high - control),
        high: Some(difference + (variant_high - variant).hypot(control - control_low)),
    }
}

/// The lifts that Koopman's score test (1984) of the ratio does not refuse.
pub(super) fn score_ratio(cells: Cells, alpha: f64) -> Interval {
    let z = special::normal_quantile(alpha / 2.0);
    let (x, y) = (cells.variant.0, cells.control.0);
    let (m, n) = (x + cells.variant.1, y + cells.control.1);
    let is_inside = |ln_ratio: f64| score(x, m, y, n, ln_ratio.exp()) <= z * z;
    let estimate = ((x.max(0.1) / m) / (y.max(0.1) / n)).ln();
    // 60 is a ratio of 1e26, further from the estimate than any count can say.
    let low = if x < 1.0 { -1.0 } else { special::bisect(estimate - 60.0, estimate, |ln_ratio| !is_inside(ln_ratio)).exp_m1() };
    let high = (y >= 1.0).then(|| special::bisect(estimate, estimate + 60.0, is_inside).exp_m1());
    Interval { low, high }
}

/// Koopman's chi-square of the ratio, with the rates that fit best under it.
fn score(x: f64, m: f64, y: f64, n: f64, ratio: f64) -> f64 {
    let a = (m + n) * ratio;
    let b = -(m * ratio + x + n + y * ratio);
    let control = ((-b - (b * b - 4.0 * a * (x + y)).max(0.0).sqrt()) / (2.0 * a)).min(1.0);
    let variant = (ratio * control).min(1.0);
    let part = |count: f64, units: f64, rate: f64| {
        let spread = units * rate * (1.0 - rate);
        let off = count - units * rate;
        if spread > 0.0 {
            off * off / spread
        } else if off.abs() < 1e-9 * units {
            0.0
        } else {
            f64::INFINITY
        }
    };
    part(x, m, variant) + part(y, n, control)
}
