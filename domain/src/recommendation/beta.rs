//! Quantiles of the beta distribution, for intervals around a rate.

/// The central interval that holds `level` (0 to 1) of Beta(`a`, `b`). With `a` or `b` at 0 all the belief lies at that end.
pub fn interval(a: f64, b: f64, level: f64) -> (f64, f64) {
    let tail = (1.0 - level) / 2.0;
    (quantile(a, b, tail), quantile(a, b, 1.0 - tail))
}

fn quantile(a: f64, b: f64, p: f64) -> f64 {
    if a <= 0.0 {
        return 0.0;
    }
    if b <= 0.0 {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    // 60 halvings reach the last bit of a double between 0 and 1.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if cumulative(a, b, middle) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The regularised incomplete beta function I_x(a, b) ([DLMF 8.17](https://dlmf.nist.gov/8.17)).
pub fn cumulative(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    // The fraction converges fast on this side of the mean, by symmetry on the other.
    if x < (a + 1.0) / (a + b + 2.0) { front * fraction(a, b, x) / a } else { 1.0 - front * fraction(b, a, 1.0 - x) / b }
}

/// The continued fraction of DLMF 8.17.22 by Lentz's method; ends when a step changes less than 1e-15.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    // The number of steps grows with the root of a and b; 5000 serves for counts of millions.
    for step in 1..5000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        result *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    result
}

/// ln Γ(x) for x > 0: [Stirling's series](https://dlmf.nist.gov/5.11#E1) after moving x above 10.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))));
    shift + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-9
    }

    #[test]
    fn known_values_of_the_incomplete_beta_function() {
        // Uniform; I_x(2, 2) = 3x² - 2x³; I_x(1/2, 1/2) = 2/π asin √x.
        assert!(close(cumulative(1.0, 1.0, 0.3), 0.3));
        assert!(close(cumulative(2.0, 2.0, 0.3), 3.0 * 0.09 - 2.0 * 0.027));
        assert!(close(cumulative(0.5, 0.5, 0.25), 1.0 / 3.0));
        // P(X ≥ 3) for 10 throws of a fair coin is I_½(3, 8) = 1 - 56/1024.
        assert!(close(cumulative(3.0, 8.0, 0.5), 1.0 - 56.0 / 1024.0));
    }

    #[test]
    fn the_interval_of_a_uniform_belief_leaves_a_fortieth_on_each_side() {
        let (low, high) = interval(1.0, 1.0, 0.95);
        assert!(close(low, 0.025) && close(high, 0.975));
    }

    #[test]
    fn a_belief_without_spread_has_no_interval() {
        assert_eq!(interval(0.0, 5.0, 0.95), (0.0, 0.0));
        assert_eq!(interval(5.0, 0.0, 0.95), (1.0, 1.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_interval_holds_the_stated_part(a in 0.05_f64..3000.0, b in 0.05_f64..3000.0) {
            let (low, high) = interval(a, b, 0.95);
            prop_assert!(0.0 <= low && low <= high && high <= 1.0);
            // The tails are below the reach of a double where nearly all of the belief sits at an end.
            if low > 1e-12 && high < 1.0 - 1e-12 {
                prop_assert!((cumulative(a, b, high) - cumulative(a, b, low) - 0.95).abs() < 1e-6);
            }
        }
    }
}
