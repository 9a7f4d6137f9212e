//! Commissions by fractions of whole numbers.

/// Millionths.
pub const PPM: i128 = 1_000_000;

/// A partner's rates, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    pub commission_ppm: i128,
    pub bonus_ppm: i128,
    pub cap_ppm: i128,
}

/// A metric that counts, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub multiplier_ppm: i128,
    /// Of a metric that needs verification: earns the bonus.
    pub milestone: bool,
}

/// Commission and bonus in minor units, for the value that is left after refunds, in minor units of the payout's currency.
pub fn commission(value: Fraction, rates: &Rates, counted: &[Counted]) -> (i64, i64) {
    let base = value.times(rates.commission_ppm);
    let product = counted.iter().fold(Fraction::new(1, 1), |product, metric| product.times(metric.multiplier_ppm));
    let cap = Fraction::new(rates.cap_ppm, PPM);
    let multiplier = if product.exceeds(cap) { cap } else { product };

    let full = base.multiplied(multiplier);
    let most = base.multiplied(cap);
    let room = most.minus(full);
    let mut bonus = Fraction::new(0, 1);
    if counted.iter().any(|metric| metric.milestone) {
        bonus = base.times(rates.bonus_ppm);
        if bonus.exceeds(room) {
            bonus = room;
        }
    }
    let commission = full.round();
    (commission, bonus.round().min(most.round() - commission))
}

/// A fraction in lowest terms; neither part is negative here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    over: i128,
    under: i128,
}

impl Fraction {
    pub fn new(over: i128, under: i128) -> Self {
        let divisor = common_divisor(over, under);
        Self { over: over / divisor, under: under / divisor }
    }

    /// Of so many millionths.
    pub fn times(self, ppm: i128) -> Self {
        self.multiplied(Self::new(ppm, PPM))
    }

    /// Reduces crosswise first, so that the products stay as small as they can be.
    pub fn multiplied(self, other: Self) -> Self {
        let (a, b) = (Self::new(self.over, other.under), Self::new(other.over, self.under));
        Self { over: product(a.over, b.over), under: product(a.under, b.under) }
    }

    fn minus(self, other: Self) -> Self {
        Self::new(product(self.over, other.under) - product(other.over, self.under), product(self.under, other.under))
    }

    fn exceeds(self, other: Self) -> bool {
        product(self.over, other.under) > product(other.over, self.under)
    }

    /// A half goes to the even neighbour.
    fn round(self) -> i64 {
        let (whole, rest) = (self.over / self.under, self.over % self.under);
        let up = 2 * rest > self.under || (2 * rest == self.under && whole % 2 == 1);
        i64::try_from(whole + i128::from(up)).expect("a commission of a value below 2^40 fits")
    }
}

fn product(a: i128, b: i128) -> i128 {
    a.checked_mul(b).expect("values of 16 bits, rates of 30 and multipliers of 20 fit into 128")
}

fn common_divisor(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates { commission_ppm: 200_000, bonus_ppm: 300_000, cap_ppm: 3 * PPM };

    fn metric(multiplier_ppm: i128, milestone: bool) -> Counted {
        Counted { multiplier_ppm, milestone }
    }

    fn of(minor: i128) -> Fraction {
        Fraction::new(minor, 1)
    }

    #[test]
    fn commissions_are_as_computed_by_hand() {
        // 49.00 × 20 % = 9.80
        assert_eq!(commission(of(4900), &RATES, &[]), (980, 0));
        // × 1.2 × 1.5 = 17.64, and 9.80 × 30 % = 2.94
        assert_eq!(commission(of(4900), &RATES, &[metric(1_200_000, false), metric(1_500_000, true)]), (1764, 294));
        // × 4, capped at 3: no room for a bonus
        assert_eq!(commission(of(4900), &RATES, &[metric(4_000_000, true)]), (2940, 0));
        assert_eq!(commission(of(0), &RATES, &[metric(1_500_000, true)]), (0, 0));
        // 100.00 / 3, a fifth of it: 6.666… × 1.5 is exactly 10.00
        assert_eq!(commission(Fraction::new(10_000, 3), &RATES, &[metric(1_500_000, false)]), (1000, 0));
    }

    #[test]
    fn a_half_goes_to_the_even_neighbour() {
        let half = Rates { commission_ppm: 500_000, ..RATES };
        assert_eq!([1, 3, 5, 7].map(|value| commission(of(value), &half, &[]).0), [0, 2, 2, 4]);
    }
}
