//! The distributions behind the tests: normal, Student, chi-square, Beta. Tails are computed as tails, never as `1 - cdf`.

use std::f64::consts::SQRT_2;

use statrs::function::{beta::beta_reg, erf, gamma};

/// ln(2 pi) / 2.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;
/// Above this many degrees of freedom Hill's expansion is exact to 1e-12, and the continued fraction of the Beta function slow.
const HILL_FROM: f64 = 400.0;
/// From here on Stirling's series with six terms is exact to the last bit.
const STIRLING_FROM: f64 = 15.0;

/// P(Z > z).
pub(super) fn normal_tail(z: f64) -> f64 {
    erf::erfc(z / SQRT_2) / 2.0
}

/// The z that a normal variable exceeds with chance `tail`, which must be in (0, 1).
pub(super) fn normal_quantile(tail: f64) -> f64 {
    SQRT_2 * erf::erfc_inv(2.0 * tail)
}

pub(super) fn normal_density(z: f64) -> f64 {
    (-z * z / 2.0 - HALF_LN_TAU).exp()
}

/// P(|T| > |t|) for Student's t; above 400 degrees of freedom by Hill 1970 (Algorithm 395).
pub(super) fn student_two_sided(t: f64, freedom: f64) -> f64 {
    if freedom < HILL_FROM {
        beta_reg(freedom / 2.0, 0.5, freedom / (freedom + t * t)).min(1.0)
    } else {
        2.0 * normal_tail(hill(t, freedom))
    }
}

/// The normal deviate with the same tail as `t`.
fn hill(t: f64, freedom: f64) -> f64 {
    let a = freedom - 0.5;
    let b = 48.0 * a * a;
    let y = a * (t * t / freedom).ln_1p();
    let correction = ((((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + b) + y + 3.0) / b + 1.0;
    correction * y.sqrt()
}

/// The t that |T| exceeds with chance `alpha`, by bisection: some 60 evaluations.
pub(super) fn student_quantile(alpha: f64, freedom: f64) -> f64 {
    let mut high = normal_quantile(alpha / 2.0).max(1.0);
    while student_two_sided(high, freedom) > alpha {
        high *= 2.0;
    }
    bisect(0.0, high, |t| student_two_sided(t, freedom) > alpha)
}

/// P(chi-square > x).
pub(super) fn chi_square_tail(x: f64, freedom: f64) -> f64 {
    if x > 0.0 { gamma::gamma_ur(freedom / 2.0, x / 2.0) } else { 1.0 }
}

/// Where `is_left` turns from true to false between `low` and `high`, to the last bit.
pub(super) fn bisect(mut low: f64, mut high: f64, is_left: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if is_left(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// `ln gamma(x) - ((x - 1/2) ln x - x + ln(2 pi)/2)`. With it large counts do not cancel (Loader 2000).
pub(super) fn stirling(x: f64) -> f64 {
    if x < STIRLING_FROM {
        return gamma::ln_gamma(x) - ((x - 0.5) * x.ln() - x + HALF_LN_TAU);
    }
    let y = 1.0 / (x * x);
    let terms = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1_260.0, -1.0 / 1_680.0, 1.0 / 1_188.0, -691.0 / 360_360.0];
    terms.iter().rev().fold(0.0, |sum, term| sum * y + term) / x
}

/// ln B(a, b), without the cancellation of three large logarithms.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    let sum = a + b;
    HALF_LN_TAU + (small - 0.5) * (small / sum).ln() + large * (-small / sum).ln_1p() - large.ln() / 2.0 + stirling(a) + stirling(b)
        - stirling(sum)
}

/// ln of `n` over `k`.
pub(super) fn ln_choose(n: f64, k: f64) -> f64 {
    -n.ln_1p() - ln_beta(k + 1.0, n - k + 1.0)
}
