#![expect(clippy::unwrap_used, reason = "a test may panic")]

use chrono::TimeZone;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug, PartialEq)]
struct Click(u32, DateTime<Utc>);

impl Touched for Click {
    type Id = u32;

    fn touched_at(&self) -> DateTime<Utc> {
        self.1
    }

    fn touch_id(&self) -> &u32 {
        &self.0
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_800_000_000 + seconds, 0).unwrap()
}

fn policy(model: Model, window: i64) -> Policy {
    Policy { model, window: Duration::seconds(window), minimum: Duration::zero() }
}

const DAY: i64 = 86_400;

/// Shares of touches of these ages in seconds, oldest first.
fn shares_of(model: Model, ages: &[i64]) -> Vec<String> {
    let clicks: Vec<Click> = (0..).zip(ages).map(|(id, age)| Click(id, at(-age))).collect();
    let journey: Vec<&Click> = clicks.iter().collect();
    shares(model, &journey, at(0)).iter().map(Decimal::to_string).collect()
}

#[test]
fn each_model_shares_as_the_policy_says() {
    let week = [14 * DAY, 7 * DAY, 0];
    assert_eq!(shares_of(Model::LastTouch, &week), ["0.000000000", "0.000000000", "1.000000000"]);
    assert_eq!(shares_of(Model::FirstTouch, &week), ["1.000000000", "0.000000000", "0.000000000"]);
    assert_eq!(shares_of(Model::Linear, &week), ["0.333333334", "0.333333333", "0.333333333"]);
    assert_eq!(shares_of(Model::PositionBased, &week), ["0.400000000", "0.200000000", "0.400000000"]);
    assert_eq!(shares_of(Model::TimeDecay, &week), ["0.142857143", "0.285714286", "0.571428571"]);
}

#[test]
fn position_gives_one_touch_all_and_two_touches_half() {
    assert_eq!(shares_of(Model::PositionBased, &[5]), ["1.000000000"]);
    assert_eq!(shares_of(Model::PositionBased, &[5, 4]), ["0.500000000", "0.500000000"]);
    assert_eq!(shares_of(Model::PositionBased, &[5, 4, 3, 2]), ["0.400000000", "0.100000000", "0.100000000", "0.400000000"]);
}

#[test]
fn an_empty_journey_has_no_shares() {
    for model in Model::ALL {
        assert_eq!(shares_of(model, &[]), Vec::<String>::new());
        assert_eq!(shares_of(model, &[3]), ["1.000000000"]);
    }
}

#[test]
fn half_a_half_life_weighs_one_by_the_root_of_two() {
    // 1 / (1 + 2^-0.5) = 0.58578643762690495…
    assert_eq!(shares_of(Model::TimeDecay, &[7 * DAY / 2, 0]), ["0.414213562", "0.585786438"]);
}

#[test]
fn only_the_distance_between_touches_counts_however_old_they_are() {
    let centuries = 200_000 * DAY;
    assert_eq!(shares_of(Model::TimeDecay, &[centuries + 7 * DAY, centuries]), shares_of(Model::TimeDecay, &[7 * DAY, 0]));
}

#[test]
fn a_touch_too_old_for_the_ninth_digit_keeps_its_place_with_nothing() {
    assert_eq!(shares_of(Model::TimeDecay, &[7 * DAY * 40, 0]), ["0.000000000", "1.000000000"]);
    assert_eq!(shares_of(Model::TimeDecay, &[7 * DAY * 4_000, 0]), ["0.000000000", "1.000000000"]);
}

#[test]
fn an_amount_without_shares_has_no_parts_and_one_of_zero_shares_goes_to_the_first() {
    assert_eq!(split_minor(100, &[]), Vec::<i64>::new());
    assert_eq!(split_minor(100, &[Decimal::ZERO, Decimal::ZERO]), [100, 0]);
    assert_eq!(split_minor(100, &[Decimal::NEGATIVE_ONE, Decimal::ONE]), [0, 100]);
}

#[test]
fn the_missing_unit_goes_to_the_largest_remainder_and_then_to_the_earlier_part() {
    let thirds = [Decimal::new(333_333_334, 9), Decimal::new(333_333_333, 9), Decimal::new(333_333_333, 9)];
    assert_eq!(split_minor(100, &thirds), [34, 33, 33]);
    assert_eq!(split_minor(-100, &thirds), [-34, -33, -33]);
    assert_eq!(split_minor(1, &[Decimal::new(4, 1), Decimal::new(2, 1), Decimal::new(4, 1)]), [1, 0, 0]);
    assert_eq!(split_minor(101, &[Decimal::new(1, 1), Decimal::new(9, 1)]), [10, 91]);
}

#[test]
fn the_largest_amounts_split_exactly() {
    let halves = [Decimal::new(5, 1), Decimal::new(5, 1)];
    assert_eq!(split_minor(i64::MIN, &[Decimal::ONE]), [i64::MIN]);
    assert_eq!(split_minor(i64::MIN, &halves), [i64::MIN / 2, i64::MIN / 2]);
    assert_eq!(split_minor(i64::MAX, &halves), [i64::MAX / 2 + 1, i64::MAX / 2]);
}

fn clicks() -> impl Strategy<Value = Vec<Click>> {
    prop::collection::vec((0_u32..40, -40 * DAY..DAY), 0..30)
        .prop_map(|clicks| clicks.into_iter().map(|(id, seconds)| Click(id, at(seconds))).collect())
}

fn any_model() -> impl Strategy<Value = Model> {
    prop::sample::select(Model::ALL.to_vec())
}

proptest! {
    #[test]
    fn a_journey_is_ordered_unique_and_admitted_and_any_order_and_repetition_gives_the_same(
        (clicks, shuffled) in clicks().prop_flat_map(|clicks| {
            let twice = [clicks.clone(), clicks.clone()].concat();
            (Just(clicks), Just(twice).prop_shuffle())
        }),
        window in 0..50 * DAY,
    ) {
        let policy = policy(Model::Linear, window);
        let found = journey(&clicks, at(0), &policy);
        prop_assert!(found.is_sorted_by_key(|click| (click.1, click.0)));
        prop_assert!(found.iter().all(|click| policy.admits(click.1, at(0))));
        prop_assert_eq!(found.iter().map(|click| click.0).collect::<BTreeSet<_>>().len(), found.len());
        let expected: BTreeSet<u32> = clicks.iter().filter(|click| policy.admits(click.1, at(0))).map(|click| click.0).collect();
        prop_assert_eq!(found.iter().map(|click| click.0).collect::<BTreeSet<_>>(), expected);
        prop_assert_eq!(found, journey(&shuffled, at(0), &policy));
    }

    #[test]
    fn shares_sum_to_exactly_one_and_none_is_negative(clicks in clicks(), model in any_model()) {
        let journey = journey(&clicks, at(0), &policy(model, 50 * DAY));
        let shares = shares(model, &journey, at(0));
        prop_assert_eq!(shares.len(), journey.len());
        prop_assert!(shares.iter().all(|share| *share >= Decimal::ZERO && share.scale() == SHARE_DIGITS));
        prop_assert_eq!(shares.iter().sum::<Decimal>(), if journey.is_empty() { Decimal::ZERO } else { Decimal::ONE });
    }

    #[test]
    fn a_newer_touch_never_takes_less_and_equal_times_differ_by_a_unit_at_most(clicks in clicks()) {
        let journey = journey(&clicks, at(0), &policy(Model::TimeDecay, 50 * DAY));
        let shares = shares(Model::TimeDecay, &journey, at(0));
        for (pair, times) in shares.windows(2).zip(journey.windows(2)) {
            let slack = if times[0].1 == times[1].1 { Decimal::new(1, SHARE_DIGITS) } else { Decimal::ZERO };
            prop_assert!(pair[0] <= pair[1] + slack);
        }
    }

    #[test]
    fn weights_of_time_decay_fall_with_every_nanosecond(age in 0_i64..400 * DAY) {
        let age = i128::from(age) * 1_000_000_000;
        prop_assert!(halved(age) >= halved(age + 1));
        let half_life = nanoseconds(HALF_LIFE);
        if age < 60 * half_life {
            prop_assert!(halved(age) > halved(age + half_life));
        }
    }

    #[test]
    fn weights_of_time_decay_are_the_powers_of_two(age in 0_i32..200_000_000) {
        let weight = halved(i128::from(age) * 1_000_000_000).to_string().parse::<f64>().unwrap() / 1e24;
        prop_assert!((weight - 0.5_f64.powf(f64::from(age) / 604_800.0)).abs() < 1e-14);
    }

    #[test]
    fn parts_sum_to_the_amount_and_a_refund_takes_back_what_was_given(clicks in clicks(), model in any_model(), amount in any::<i64>()) {
        let journey = journey(&clicks, at(0), &policy(model, 50 * DAY));
        let shares = shares(model, &journey, at(0));
        let parts = split_minor(amount, &shares);
        prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), if shares.is_empty() { 0 } else { i128::from(amount) });
        for (part, share) in parts.iter().zip(&shares) {
            prop_assert!(amount == 0 || part.signum() * amount.signum() >= 0);
            let exact = Decimal::from_i128_with_scale(i128::from(amount), 0) * share;
            prop_assert!((Decimal::from(*part) - exact).abs() <= Decimal::ONE, "a part is less than one unit off");
        }
        if amount > i64::MIN {
            prop_assert_eq!(split_minor(-amount, &shares), parts.iter().map(|part| -part).collect::<Vec<_>>());
        }
    }

    #[test]
    fn parts_of_any_shares_sum_to_the_amount(units in prop::collection::vec(0_i64..=1_000_000_000, 1..20), amount in any::<i64>()) {
        let shares: Vec<Decimal> = units.into_iter().map(|units| Decimal::new(units, 9)).collect();
        prop_assert_eq!(split_minor(amount, &shares).into_iter().map(i128::from).sum::<i128>(), i128::from(amount));
    }

    #[test]
    fn parts_in_a_smaller_unit_are_the_same_parts_more_finely(units in prop::collection::vec(0_i64..=1_000_000_000, 1..20), amount in any::<i32>()) {
        let shares: Vec<Decimal> = units.into_iter().map(|units| Decimal::new(units, 9)).collect();
        let fine = split_units(i128::from(amount) * 1_000_000_000, &shares);
        prop_assert_eq!(fine.iter().sum::<i128>(), i128::from(amount) * 1_000_000_000);
        for (coarse, fine) in split_minor(i64::from(amount), &shares).into_iter().zip(fine) {
            prop_assert!((i128::from(coarse) * 1_000_000_000 - fine).abs() <= 1_000_000_000, "{} and {}", coarse, fine);
        }
    }
}

#[test]
fn the_most_units_are_split_to_the_last_one() {
    let thirds = [Decimal::ONE / Decimal::from(3); 3];
    for units in [UNITS_MAX, -UNITS_MAX] {
        assert_eq!(split_units(units, &thirds).iter().sum::<i128>(), units);
    }
}

#[test]
#[should_panic(expected = "more than can be split exactly")]
fn more_units_than_can_be_split_exactly_are_refused() {
    split_units(UNITS_MAX + 1, &[Decimal::ONE]);
}
