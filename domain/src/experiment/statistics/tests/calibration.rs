//! Error rates as promised, by simulation with fixed seeds: a quick profile here, a larger one with `CALIBRATION_RUNS=20000`.

use super::super::*;

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers everywhere.
struct Random(u64);

impl Random {
    /// From 0 to below 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Successes among `units`, by leaping from one to the next.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a leap beyond u64 ends the count")]
    fn binomial(&mut self, units: u64, rate: f64) -> u64 {
        let (mut at, mut successes) = (0_u64, 0);
        loop {
            at = at.saturating_add(((1.0 - self.unit()).ln() / (-rate).ln_1p()) as u64 + 1);
            if at > units {
                return successes;
            }
            successes += 1;
        }
    }
}

fn runs(quick: u32) -> u32 {
    std::env::var("CALIBRATION_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(quick)
}

const LOOKS: u64 = 500;
const ALPHA: f64 = 0.05;

fn moments(units: u64, successes: u64) -> (Moments, (f64, f64)) {
    let arm = ArmStatistics::rate(units, successes);
    (arm.moments(MetricKind::Rate).unwrap(), arm.cells())
}

/// The share of tests in which any of 500 looks finds a difference.
fn found_ever(seed: u64, runs: u32, rates: (f64, f64), units_per_look: u64) -> f64 {
    let mut random = Random(seed);
    let mut found = 0;
    for _ in 0..runs {
        let (mut control, mut variant) = (0, 0);
        for look in 1..=LOOKS {
            control += random.binomial(units_per_look, rates.0);
            variant += random.binomial(units_per_look, rates.1);
            let (a, of_control) = moments(look * units_per_look, control);
            let (b, of_variant) = moments(look * units_per_look, variant);
            let cells = Cells { control: of_control, variant: of_variant };
            let planned = (2 * LOOKS * units_per_look) as f64;
            if always_valid(a, b, Some(cells), Some(0.5), ALPHA, planned).p <= ALPHA {
                found += 1;
                break;
            }
        }
    }
    f64::from(found) / f64::from(runs)
}

#[test]
fn five_hundred_looks_at_nothing_find_something_in_at_most_five_percent() {
    for (seed, rate) in [(1, 0.005), (2, 0.02), (3, 0.2)] {
        let found = found_ever(seed, runs(300), (rate, rate), 40);
        println!("rate {rate}: {found}");
        assert!(found <= ALPHA, "rate {rate}: {found} of the tests found a difference that is not there");
    }
}

#[test]
fn a_true_effect_of_the_planned_size_is_found() {
    let sizing =
        Sizing { baseline: Baseline::Rate { rate: 0.1 }, alpha: ALPHA, power: 0.8, weights: vec![1.0, 1.0], reading: Reading::Sequential };
    let size = sample_size(&sizing, 0.15).unwrap();
    let found = found_ever(4, runs(200), (0.1, 0.115), size.per_arm[0].div_ceil(LOOKS));
    println!("found: {found}");
    assert!(found >= 0.78, "{found} of the tests with a true effect found it");
}

/// Wins, losses, and intervals that cover the truth, as shares of tests that were read once.
fn read_once(seed: u64, runs: u32, rates: (f64, f64), units: u64) -> (f64, f64, f64, f64) {
    let mut random = Random(seed);
    let (mut wins, mut losses, mut covered, mut covered_lift) = (0, 0, 0, 0);
    for _ in 0..runs {
        let (a, of_control) = moments(units, random.binomial(units, rates.0));
        let (b, of_variant) = moments(units, random.binomial(units, rates.1));
        let difference = difference(a, b, Some(Cells { control: of_control, variant: of_variant }), ALPHA);
        if difference.p.unwrap() <= ALPHA {
            if difference.absolute.estimate > 0.0 { wins += 1 } else { losses += 1 }
        }
        let holds = |interval: Option<Interval>, truth: f64| {
            interval.is_some_and(|Interval { low, high }| low <= truth && high.is_none_or(|high| truth <= high))
        };
        covered += i32::from(holds(difference.absolute.interval, rates.1 - rates.0));
        covered_lift += i32::from(holds(difference.lift.and_then(|lift| lift.interval), rates.1 / rates.0 - 1.0));
    }
    let share = |count: i32| f64::from(count) / f64::from(runs);
    (share(wins), share(losses), share(covered), share(covered_lift))
}

#[test]
fn false_wins_and_false_losses_balance() {
    let runs = runs(6_000);
    for (seed, rate, units) in [(11, 0.02, 5_000), (12, 0.1, 5_000), (13, 0.2, 1_000)] {
        let (wins, losses, ..) = read_once(seed, runs, (rate, rate), units);
        println!("rate {rate}: {wins} wins, {losses} losses");
        let deviation = ((wins + losses) / f64::from(runs)).sqrt();
        assert!((wins - losses).abs() <= 3.0 * deviation, "rate {rate}: {wins} false wins, {losses} false losses");
        assert!((0.035..=0.06).contains(&(wins + losses)), "rate {rate}: {} false finds", wins + losses);
    }
}

#[test]
fn intervals_cover_the_truth_in_94_to_96_percent() {
    for (seed, rates, units) in [(21, (0.02, 0.02), 5_000), (22, (0.1, 0.11), 4_000), (23, (0.2, 0.15), 1_000)] {
        let (.., covered, covered_lift) = read_once(seed, runs(6_000), rates, units);
        println!("rates {rates:?}: difference {covered}, lift {covered_lift}");
        assert!((0.94..=0.96).contains(&covered), "rates {rates:?}: {covered} of the intervals of the difference cover it");
        assert!((0.94..=0.96).contains(&covered_lift), "rates {rates:?}: {covered_lift} of the intervals of the lift cover it");
    }
}

#[test]
fn a_right_split_looked_at_always_hardly_ever_raises_an_alarm() {
    let runs = runs(400);
    let mut random = Random(31);
    let mut alarms = 0;
    for _ in 0..runs {
        let mut units = [0, 0];
        for _ in 0..LOOKS {
            let to_variant = random.binomial(100, 0.3);
            units = [units[0] + 100 - to_variant, units[1] + to_variant];
            if srm(&[WeightPeriod { weights: vec![0.7, 0.3], units: units.to_vec() }], SrmRule::default()).unwrap().is_alarm {
                alarms += 1;
                break;
            }
        }
    }
    let share = f64::from(alarms) / f64::from(runs);
    println!("alarms: {share}");
    assert!(share <= 0.01, "{share} of the tests with a right split raised an alarm");
}

#[test]
fn a_wrong_split_raises_an_alarm() {
    let mut random = Random(32);
    let to_variant = random.binomial(40_000, 0.47);
    let period = WeightPeriod { weights: vec![0.5, 0.5], units: vec![40_000 - to_variant, to_variant] };
    assert!(srm(&[period], SrmRule::default()).unwrap().is_alarm);
}
