//! What holds for all numbers, and what is refused.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::super::{special, *};
use crate::experiment::{BUCKETS, Plan, bucket_ranges, choose_variation};

fn question(arms: &[(u64, u64)]) -> Question {
    let named = arms.iter().enumerate().map(|(index, (units, successes))| (format!("v{index}"), ArmStatistics::rate(*units, *successes)));
    Question::new(MetricKind::Rate, named.collect(), vec![1.0; arms.len()], Plan::default())
}

fn rate() -> impl Strategy<Value = (u64, u64)> {
    (1_u64..5_000).prop_flat_map(|units| (Just(units), 0..=units))
}

fn refusal(statistics: ArmStatistics, kind: MetricKind) -> String {
    statistics.check(kind).unwrap_err().to_string()
}

proptest! {
    #[test]
    fn exchanging_the_arms_mirrors_every_number(a in rate(), b in rate()) {
        let (there, back) = (analyse(&question(&[a, b])).unwrap(), analyse(&question(&[b, a])).unwrap());
        let (there, back) = (&there.comparisons[0], &back.comparisons[0]);
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) + 1e-12;
        prop_assert!(near(there.difference.absolute.estimate, -back.difference.absolute.estimate));
        prop_assert!(near(there.difference.p.unwrap_or(1.0), back.difference.p.unwrap_or(1.0)));
        prop_assert!(near(there.always_valid.p, back.always_valid.p));
        let (ours, theirs) = (there.beliefs.unwrap(), back.beliefs.unwrap());
        prop_assert!(near(ours.chance_to_win, 1.0 - theirs.chance_to_win));
        prop_assert!(near(ours.loss_of_shipping, theirs.loss_of_keeping));
    }

    #[test]
    fn every_number_is_finite_and_every_chance_a_chance(arms in prop::collection::vec(rate(), 2..5)) {
        let analysis = analyse(&question(&arms)).unwrap();
        prop_assert!(!serde_json::to_string(&analysis).unwrap().contains("NaN"));
        let is_chance = |value: f64| (0.0..=1.0).contains(&value);
        let best: Vec<f64> = analysis.arms.iter().map(|arm| arm.chance_to_be_best.unwrap()).collect();
        prop_assert!(best.iter().all(|chance| is_chance(*chance)) && (best.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        for comparison in &analysis.comparisons {
            let p = comparison.difference.p;
            prop_assert!(p.is_none_or(is_chance) && is_chance(comparison.smallest_p_adjusted) && is_chance(comparison.beliefs.unwrap().chance_to_win));
            prop_assert!(comparison.p_adjusted.zip(p).is_none_or(|(adjusted, p)| adjusted >= p));
            let interval = comparison.difference.absolute.interval;
            prop_assert!(interval.is_none_or(|interval| interval.low.is_finite() && interval.high.is_some_and(|high| high >= interval.low)));
        }
        prop_assert_eq!(serde_json::from_value::<Analysis>(serde_json::to_value(&analysis).unwrap()).unwrap().verdict, analysis.verdict);
    }

    #[test]
    fn a_confidence_sequence_leaves_out_zero_exactly_when_its_p_is_below_alpha(t in -8.0..8.0_f64, units in 2.0..1e7_f64, alpha in 0.001..0.2_f64) {
        let rho2 = tuning(20_000.0, alpha);
        let reach = reach(units, rho2, alpha);
        prop_assume!((t.abs() - reach).abs() > 1e-9);
        prop_assert_eq!(t.abs() > reach, p_of(ln_e_value(t, units, rho2)) < alpha);
    }

    #[test]
    fn more_successes_never_make_a_win_less_likely(units in 100_u64..3_000, base in 1_u64..90, more in 0_u64..9) {
        let chance = |successes| analyse(&question(&[(units, base), (units, successes)])).unwrap().comparisons[0].beliefs.unwrap().chance_to_win;
        prop_assert!(chance(base + more + 1) > chance(base + more));
    }

    #[test]
    fn weights_of_a_bandit_sum_to_one_and_keep_the_floor(arms in prop::collection::vec((100_u64..5_000).prop_flat_map(|units| (Just(units), 0..=units)), 2..6), part in 0.0..1.0_f64) {
        let floor = part / arms.len() as f64;
        let statistics: Vec<_> = arms.iter().map(|(units, successes)| ArmStatistics::rate(*units, *successes)).collect();
        let weights = bandit_weights(MetricKind::Rate, &statistics, floor).unwrap().unwrap().weights;
        prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        prop_assert!(weights.iter().all(|weight| *weight >= floor - 1e-12));
    }

    #[test]
    fn weights_of_a_bandit_are_dealt_to_the_last_bucket(arms in prop::collection::vec((100_u64..5_000).prop_flat_map(|units| (Just(units), 0..=units)), 2..9), part in 0.0..=1.0_f64) {
        let floor = part / arms.len() as f64;
        let statistics: Vec<_> = arms.iter().map(|(units, successes)| ArmStatistics::rate(*units, *successes)).collect();
        let weights = bandit_weights(MetricKind::Rate, &statistics, floor).unwrap().unwrap().dealt(floor);
        let ranges = bucket_ranges(weights.len(), 1.0, Some(&weights));
        let mut dealt = vec![0_u32; weights.len()];
        for bucket in 0..BUCKETS {
            dealt[choose_variation(f64::from(bucket) / f64::from(BUCKETS), &ranges).unwrap()] += 1;
        }
        for (weight, dealt) in weights.iter().zip(dealt) {
            let share = f64::from(dealt) / f64::from(BUCKETS);
            prop_assert!((weight - share).abs() < 1e-9, "{} is dealt as {}", weight, share);
            prop_assert!(dealt >= 1 && share > floor - 1.0 / f64::from(BUCKETS));
        }
    }

    #[test]
    fn what_a_sample_can_find_is_what_it_was_sized_for(rate in 0.001..0.5_f64, lift in 0.01..0.9_f64, power in 0.5..0.95_f64) {
        let sizing = Sizing { baseline: Baseline::Rate { rate }, alpha: 0.05, power, weights: vec![0.5, 0.3, 0.2], reading: Reading::FixedHorizon };
        let size = sample_size(&sizing, lift).unwrap();
        let found = detectable_lift(&sizing, size.total as f64).unwrap().unwrap();
        prop_assert!(found <= lift * (1.0 + 1e-9) && (size.total < 1_000 || found > lift * 0.99));
    }
}

#[test]
fn sums_of_shards_add_up_to_the_same_moments_whatever_the_offset() {
    let values: Vec<i64> = (0..1_000).map(|place| (place * 7_919) % 101).collect();
    let of_offset = |offset: i64| {
        let shifted = values.iter().map(|value| Decimal::from(value + offset));
        let arm = ArmStatistics::mean(1_000, shifted.clone().sum(), shifted.map(|value| value * value).sum());
        arm.moments(MetricKind::Mean).unwrap().variance
    };
    assert!((of_offset(0) - of_offset(1_000_000_000_000)).abs() < 1e-9, "{} {}", of_offset(0), of_offset(1_000_000_000_000));
}

#[test]
fn the_size_of_a_textbook_test_is_the_textbooks() {
    let sizing = |reading| Sizing {
        baseline: Baseline::Mean { mean: 10.0, deviation: 10.0 },
        alpha: 0.05,
        power: 0.8,
        weights: vec![1.0, 1.0],
        reading,
    };
    // 2 (1.959964 + 0.841621)^2 / 0.1^2 = 1569.8 per arm.
    assert_eq!(sample_size(&sizing(Reading::FixedHorizon), 0.1).unwrap().per_arm, [1_570, 1_570]);
    let always = sample_size(&sizing(Reading::Sequential), 0.1).unwrap();
    assert!((2_900..3_100).contains(&always.per_arm[0]), "{always:?}");
    assert_eq!(days(3_140, 250.0), Some(13));
    assert_eq!(days(3_140, 0.0), None);
}

#[test]
fn alternating_weights_add_up_by_period() {
    let period = |weights: [f64; 2], units: [u64; 2]| WeightPeriod { weights: weights.to_vec(), units: units.to_vec() };
    let (first, second) = (period([0.5, 0.5], [5_010, 4_990]), period([0.9, 0.1], [9_020, 980]));
    let both = srm(&[first.clone(), second.clone()], SrmRule::default()).unwrap();
    let sum = srm(&[first], SrmRule::default()).unwrap().ln_e_value + srm(&[second], SrmRule::default()).unwrap().ln_e_value;
    assert!((both.ln_e_value - sum).abs() < 1e-12 && !both.is_alarm);
    // As one period the same units would look wrong.
    assert!(srm(&[period([0.5, 0.5], [14_030, 5_970])], SrmRule::default()).unwrap().is_alarm);
    assert_eq!(both.observed, [14_030, 5_970]);
}

#[test]
fn arms_of_weight_zero_take_no_part_in_the_check() {
    let period = WeightPeriod { weights: vec![0.5, 0.5, 0.0], units: vec![5_000, 5_000, 300] };
    let checked = srm(&[period], SrmRule::default()).unwrap();
    assert!((checked.p - 1.0).abs() < 1e-12 && !checked.is_alarm);
}

#[test]
fn quantiles_undo_tails() {
    for alpha in [0.2, 0.05, 0.001, 1e-9] {
        assert!((2.0 * special::normal_tail(special::normal_quantile(alpha / 2.0)) / alpha - 1.0).abs() < 1e-9);
        for freedom in [1.0, 4.5, 399.0, 1e6] {
            assert!((special::student_two_sided(special::student_quantile(alpha, freedom), freedom) / alpha - 1.0).abs() < 1e-9);
        }
    }
}

#[test]
fn impossible_sums_are_refused_by_name() {
    let mean = |units, sum: i64, squares: i64| ArmStatistics::mean(units, sum.into(), squares.into());
    assert_eq!(refusal(ArmStatistics::rate(10, 11), MetricKind::Rate), "sum: 11 successes must be a whole number from 0 to 10, the units");
    assert!(refusal(mean(10, -1, -1), MetricKind::Rate).starts_with("sum: -1 successes"));
    assert!(refusal(ArmStatistics::mean(10, Decimal::new(25, 1), Decimal::new(25, 1)), MetricKind::Rate).starts_with("sum: 2.5"));
    assert!(refusal(mean(10, 5, 6), MetricKind::Rate).starts_with("sum_squares: 6 must equal"));
    assert!(refusal(mean(10, 100, 999), MetricKind::Mean).starts_with("sum_squares: 999 is less than the sum 100 over 10"));
    assert!(refusal(mean(10, 0, -1), MetricKind::Mean).starts_with("sum_squares: -1"));
    assert!(refusal(mean(0, 1, 1), MetricKind::Mean).contains("no units"));
    let covariate = CovariateSums { sum: 10.into(), sum_squares: 12.into(), sum_products: 900.into() };
    let arm = ArmStatistics { covariate: Some(covariate), ..mean(10, 100, 1_010) };
    assert!(refusal(arm, MetricKind::Mean).starts_with("covariate.sum_products: 900"));
    let huge = ArmStatistics::mean(10, Decimal::MAX, Decimal::MAX);
    assert!(refusal(huge, MetricKind::Mean).contains("too large"));
}

#[test]
fn wrong_questions_are_refused_by_field() {
    let refused = |question: Question| analyse(&question).unwrap_err().field;
    let right = || question(&[(200, 20), (200, 30)]);
    assert_eq!(refused(Question { arms: right().arms[..1].to_vec(), ..right() }), "arms");
    assert_eq!(refused(Question { plan: Plan { alpha: 0.0, ..Plan::default() }, ..right() }), "alpha");
    assert_eq!(refused(Question { plan: Plan { alpha: f64::NAN, ..Plan::default() }, ..right() }), "alpha");
    assert_eq!(refused(Question { plan: Plan { planned_units: 0, ..Plan::default() }, ..right() }), "planned_units");
    assert_eq!(refused(Question { prior: Some(LiftPrior { mean: 0.0, deviation: 0.0 }), ..right() }), "prior");
    assert_eq!(refused(Question { tuned_units: Some(-1.0), ..right() }), "tuned_units");
    assert_eq!(refused(Question { periods: vec![WeightPeriod { weights: vec![1.0], units: vec![1] }], ..right() }), "periods.0.units");
    let negative = WeightPeriod { weights: vec![-1.0, 1.0], units: vec![1, 1] };
    assert_eq!(refused(Question { periods: vec![negative], ..right() }), "periods.0.weights");
    assert_eq!(refused(question(&[(200, 20), (200, 201)])), "arms.1.sum");
    let guardrail =
        GuardrailQuestion { metric: "click_rate".into(), kind: MetricKind::Rate, margin: 1.0, arms: vec![ArmStatistics::rate(9, 1); 2] };
    assert_eq!(refused(Question { guardrails: vec![guardrail.clone()], ..right() }), "guardrails.0.margin");
    let short = GuardrailQuestion { margin: 0.1, arms: vec![], ..guardrail };
    assert_eq!(refused(Question { guardrails: vec![short], ..right() }), "guardrails.0.arms");
}

#[test]
fn wrong_plans_are_refused_by_field() {
    let right =
        Sizing { baseline: Baseline::Rate { rate: 0.1 }, alpha: 0.05, power: 0.8, weights: vec![1.0, 1.0], reading: Reading::Sequential };
    let refused = |sizing: &Sizing, lift| sample_size(sizing, lift).unwrap_err().field;
    assert_eq!(refused(&Sizing { baseline: Baseline::Rate { rate: 1.0 }, ..right.clone() }, 0.1), "baseline");
    assert_eq!(refused(&Sizing { baseline: Baseline::Mean { mean: 0.0, deviation: 1.0 }, ..right.clone() }, 0.1), "baseline");
    assert_eq!(refused(&Sizing { alpha: 1.0, ..right.clone() }, 0.1), "alpha");
    assert_eq!(refused(&Sizing { power: f64::NAN, ..right.clone() }, 0.1), "power");
    assert_eq!(refused(&Sizing { weights: vec![1.0], ..right.clone() }, 0.1), "weights");
    for lift in [0.0, -0.1, 9.5, f64::NAN] {
        assert_eq!(refused(&right, lift), "minimum_detectable_lift");
    }
    assert_eq!(detectable_lift(&right, 0.0).unwrap(), None);
    assert!(
        bandit_weights(MetricKind::Rate, &[ArmStatistics::rate(200, 1); 3], 0.4).unwrap_err().to_string().starts_with("floor: floor 0.4")
    );
}
