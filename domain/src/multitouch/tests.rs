//! Each model against an oracle in exact fractions that is written from its definition: the chain is solved once per removed channel by
//! elimination with pivots, the Shapley value by enumerating all coalitions.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use num_rational::BigRational as Exact;
use proptest::prelude::*;

use super::*;

fn exact(number: f64) -> Exact {
    Exact::from_float(number).unwrap()
}

fn zero() -> Exact {
    exact(0.0)
}

fn float(number: &Exact) -> f64 {
    // Numerator and denominator may each be beyond floating point, their quotient is not.
    let scaled = (number * exact(1e15)).round().to_integer().to_string();
    scaled.parse::<f64>().unwrap() / 1e15
}

/// As many digits of an amount as an oracle's 1e-9 needs.
const DIGITS: u32 = 12;

fn exact_decimal(number: Decimal) -> Exact {
    Exact::new(number.mantissa().into(), 10_i128.pow(number.scale()).into())
}

/// The value is in cents.
fn path(text: &str, conversions: f64, cents: i64, nulls: f64) -> Path {
    Path { channels: text.split(" > ").map(str::to_owned).collect(), conversions, value: Decimal::new(cents, 2), nulls }
}

fn names(paths: &[Path]) -> Vec<String> {
    let mut names: Vec<String> = paths.iter().flat_map(|path| path.channels.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Mean (conversions, value) of a journey in the chain in which every step into `removed` leads to null.
fn worth_without(paths: &[Path], removed: Option<&str>, with_nulls: bool) -> [Exact; 2] {
    let names = names(paths);
    let size = names.len() + 1;
    let state = |name: &str| names.iter().position(|other| other == name).unwrap() + 1;
    // Row by row: all that leaves the state, what leaves to each state, what converts, its value.
    let mut leaving = vec![zero(); size];
    let mut weights = vec![vec![zero(); size]; size];
    let mut ends = vec![[zero(), zero()]; size];
    for path in paths {
        let weight = exact(path.conversions) + if with_nulls { exact(path.nulls) } else { zero() };
        let mut from = 0;
        for name in &path.channels {
            leaving[from] += &weight;
            weights[from][state(name)] += &weight;
            from = state(name);
        }
        leaving[from] += &weight;
        ends[from][0] += exact(path.conversions);
        ends[from][1] += exact_decimal(path.value);
    }
    // (I - Q) x = r for both ends at once; a state that nobody leaves is never entered.
    let mut rows: Vec<Vec<Exact>> = (0..size)
        .map(|from| {
            let part = |weight: &Exact| if leaving[from] == zero() { zero() } else { weight / &leaving[from] };
            let gone = |to: usize| removed.is_some_and(|name| state(name) == to);
            let left =
                (0..size).map(|to| exact(f64::from(u8::from(from == to))) - if gone(to) { zero() } else { part(&weights[from][to]) });
            left.chain(ends[from].iter().map(part)).collect()
        })
        .collect();
    for column in 0..size {
        let pivot = (column..size).find(|row| rows[*row][column] != zero()).unwrap();
        rows.swap(column, pivot);
        let scale = rows[column][column].clone();
        rows[column].iter_mut().for_each(|entry| *entry /= &scale);
        let scaled = rows[column].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            let factor = row[column].clone();
            if index != column && factor != zero() {
                row.iter_mut().zip(&scaled).for_each(|(entry, other)| *entry -= &factor * other);
            }
        }
    }
    [rows[0][size].clone(), rows[0][size + 1].clone()]
}

/// (removal effect on conversions, credit in conversions, credit in value) by channel.
fn markov_oracle(paths: &[Path], with_nulls: bool) -> Vec<[f64; 3]> {
    let total = |count: fn(&Path) -> Exact| paths.iter().map(count).sum::<Exact>();
    let totals = [total(|path| exact(path.conversions)), total(|path| exact_decimal(path.value))];
    let whole = worth_without(paths, None, with_nulls);
    let effects: Vec<[Exact; 2]> = names(paths)
        .iter()
        .map(|name| {
            let without = worth_without(paths, Some(name), with_nulls);
            [0, 1].map(|kind| if whole[kind] == zero() { zero() } else { exact(1.0) - &without[kind] / &whole[kind] })
        })
        .collect();
    let credit = |kind: usize, effect: &Exact| {
        let sum = effects.iter().map(|effects| effects[kind].clone()).sum::<Exact>();
        float(&if sum == zero() { zero() } else { effect / sum * &totals[kind] })
    };
    effects.iter().map(|effect| [float(&effect[0]), credit(0, &effect[0]), credit(1, &effect[1])]).collect()
}

/// Shapley values over all coalitions of `size` players; `worth` takes a coalition as bits.
fn shapley_oracle(size: u32, worth: impl Fn(u32) -> Exact) -> Vec<f64> {
    let factorial = |number: u32| (1..=number).map(|factor| exact(f64::from(factor))).product::<Exact>();
    let value = |player: u32| {
        let coalitions = (0..1_u32 << size).filter(|coalition| coalition & (1 << player) == 0);
        let gains = coalitions.map(|coalition| {
            let others = coalition.count_ones();
            let gain = worth(coalition | 1 << player) - worth(coalition);
            gain * factorial(others) * factorial(size - 1 - others) / factorial(size)
        });
        float(&gains.sum::<Exact>())
    };
    (0..size).map(value).collect()
}

fn assert_near_amount(found: Decimal, expected: f64) {
    assert_near(found.to_f64().unwrap(), expected);
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} should be {expected}");
}

fn assert_equals_the_oracles(paths: &[Path]) {
    let report = report(paths, DIGITS).unwrap();
    let names = names(paths);
    assert_eq!(report.channels.iter().map(|channel| channel.channel.as_str()).collect::<Vec<_>>(), names);

    let (with_nulls, without_nulls) = (markov_oracle(paths, true), markov_oracle(paths, false));
    for (channel, (with_nulls, without_nulls)) in report.channels.iter().zip(with_nulls.iter().zip(&without_nulls)) {
        assert_near(channel.removal_effect_with_nulls, with_nulls[0]);
        assert_near(channel.conversions.markov_with_nulls, with_nulls[1]);
        assert_near_amount(channel.value.markov_with_nulls, with_nulls[2]);
        assert_near(channel.removal_effect_without_nulls, without_nulls[0]);
        assert_near(channel.conversions.markov_without_nulls, without_nulls[1]);
        assert_near_amount(channel.value.markov_without_nulls, without_nulls[2]);
    }

    let bit = |name: &String| 1_u32 << names.iter().position(|other| other == name).unwrap();
    let within = |path: &Path, coalition: u32| path.channels.iter().all(|name| coalition & bit(name) != 0);
    let worth = |coalition, count: fn(&Path) -> Exact| paths.iter().filter(|path| within(path, coalition)).map(count).sum::<Exact>();
    let size = u32::try_from(names.len()).unwrap();
    let conversions = shapley_oracle(size, |coalition| worth(coalition, |path| exact(path.conversions)));
    let value = shapley_oracle(size, |coalition| worth(coalition, |path| exact_decimal(path.value)));
    for (channel, (conversions, value)) in report.channels.iter().zip(conversions.into_iter().zip(value)) {
        assert_near(channel.conversions.shapley, conversions);
        assert_near_amount(channel.value.shapley, value);
    }

    // By step, from the definitions: the part of a step at `place` of `length`.
    let by_step = |channel: &str, part: fn(usize, usize) -> Exact| {
        let steps = |path: &Path| {
            let places = path.channels.iter().enumerate().filter(|(_, name)| *name == channel);
            places.map(|(place, _)| part(place, path.channels.len())).sum::<Exact>() * exact(path.conversions)
        };
        float(&paths.iter().map(steps).sum::<Exact>())
    };
    for channel in &report.channels {
        let expected = |part| by_step(&channel.channel, part);
        assert_near(channel.conversions.first, expected(|place, _| exact(f64::from(u8::from(place == 0)))));
        assert_near(channel.conversions.last, expected(|place, length| exact(f64::from(u8::from(place + 1 == length)))));
        assert_near(channel.conversions.linear, expected(|_, length| ratio(1, length)));
        assert_near(
            channel.conversions.position,
            expected(|place, length| match (place, length) {
                (_, 1) => ratio(1, 1),
                (_, 2) => ratio(1, 2),
                (place, length) if place == 0 || place + 1 == length => ratio(2, 5),
                (_, length) => ratio(1, 5 * (length - 2)),
            }),
        );
        assert_near(channel.conversions.time_decay_by_step, expected(|place, length| ratio(1 << place, (1 << length) - 1)));
    }
}

fn ratio(numerator: usize, denominator: usize) -> Exact {
    Exact::new(numerator.into(), denominator.into())
}

fn paths() -> impl Strategy<Value = Vec<Path>> {
    let step = prop::sample::select(vec!["a", "b", "c", "d", "e", "f"]);
    let counts = (0..500_u32, 0..100_000_i64, 0..500_u32);
    let a_path = (prop::collection::vec(step, 1..9), counts).prop_map(|(steps, (conversions, cents, nulls))| {
        let cents = if conversions == 0 { 0 } else { cents };
        path(&steps.join(" > "), f64::from(conversions), cents, f64::from(nulls))
    });
    prop::collection::vec(a_path, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_model_equals_its_exact_oracle(paths in paths()) {
        assert_equals_the_oracles(&paths);
    }

    #[test]
    fn every_model_shares_out_all_conversions_and_all_value(paths in paths()) {
        let report = report(&paths, DIGITS).unwrap();
        for model in Model::ALL {
            assert_near(report.channels.iter().map(|channel| *channel.conversions.of(model)).sum(), report.conversions);
            let amounts: Decimal = report.channels.iter().map(|channel| channel.value.of(model)).sum();
            prop_assert_eq!(amounts, report.value, "to the last digit");
        }
    }

    #[test]
    fn in_whole_units_the_amounts_still_sum_to_the_value_and_are_less_than_one_off(paths in paths()) {
        let paths: Vec<Path> = paths.into_iter().map(|path| Path { value: path.value.trunc(), ..path }).collect();
        let (whole, fine) = (report(&paths, 0).unwrap(), report(&paths, DIGITS).unwrap());
        for model in Model::ALL {
            let amounts: Decimal = whole.channels.iter().map(|channel| channel.value.of(model)).sum();
            prop_assert_eq!(amounts, whole.value);
            for (whole, fine) in whole.channels.iter().zip(&fine.channels) {
                prop_assert!(whole.value.of(model).fract().is_zero());
                prop_assert!((whole.value.of(model) - fine.value.of(model)).abs() < Decimal::ONE);
            }
        }
    }

    #[test]
    fn the_order_of_paths_and_a_row_in_two_parts_change_nothing(paths in paths()) {
        let halves = paths.iter().rev().map(|path| Path {
            conversions: path.conversions / 2.0, value: path.value / Decimal::TWO, nulls: path.nulls / 2.0, ..path.clone()
        });
        let split: Vec<Path> = halves.clone().chain(halves).collect();
        for (whole, split) in report(&paths, DIGITS).unwrap().channels.iter().zip(report(&split, DIGITS).unwrap().channels) {
            assert_near(split.conversions.markov_with_nulls, whole.conversions.markov_with_nulls);
            assert_near(split.conversions.time_decay_by_step, whole.conversions.time_decay_by_step);
            assert_near_amount(split.value.shapley, whole.value.shapley.to_f64().unwrap());
        }
    }
}

#[test]
fn the_example_of_anderl_and_others_comes_out() {
    // C1 > C2 > C3 converts, C1 and C2 > C3 do not: removal effects .5, 1 and 1 before scaling.
    let paths = [path("C1 > C2 > C3", 1.0, 10_000, 0.0), path("C1", 0.0, 0, 1.0), path("C2 > C3", 0.0, 0, 1.0)];
    let report = report(&paths, DIGITS).unwrap();
    let effects: Vec<f64> = report.channels.iter().map(|channel| channel.removal_effect_with_nulls).collect();
    [0.5, 1.0, 1.0].into_iter().zip(effects).for_each(|(expected, found)| assert_near(found, expected));
    [0.2, 0.4, 0.4]
        .into_iter()
        .zip(&report.channels)
        .for_each(|(expected, found)| assert_near(found.conversions.markov_with_nulls, expected));
    assert_near_amount(report.channels[0].value.markov_with_nulls, 20.0);
    assert_equals_the_oracles(&paths);
}

#[test]
fn journeys_that_go_in_circles_for_very_long_stay_exact() {
    let circle = vec!["a > b > c"; 300].join(" > ");
    let paths =
        [path(&circle, 0.0, 0, 1e9), path("a > b", 3.0, 500, 1e12), path("c > d > c > a", 1.0, 700, 1.0), path("d", 1.0, 100, 1e-3)];
    for (channel, oracle) in report(&paths, DIGITS).unwrap().channels.iter().zip(markov_oracle(&paths, true)) {
        assert!((channel.conversions.markov_with_nulls - oracle[1]).abs() < 1e-14 * 5.0, "{channel:?} should have {oracle:?}");
    }
}

#[test]
fn hundreds_of_channels_need_no_enumeration() {
    let paths: Vec<Path> = (0..400).map(|index| path(&format!("c{index} > c{} > end", index / 2), 2.0, 100, 3.0)).collect();
    let report = report(&paths, DIGITS).unwrap();
    assert_eq!(report.channels.len(), 401);
    let end = report.channels.last().unwrap();
    assert_eq!(end.channel, "end");
    assert_near(end.removal_effect_with_nulls, 1.0);
    // c0 > c0 > end has two distinct channels, the others three.
    assert_near(end.conversions.shapley, 1.0 + 399.0 * 2.0 / 3.0);
}

#[test]
fn without_conversions_all_credits_are_zero() {
    let report = report(&[path("a > b", 0.0, 0, 9.0)], DIGITS).unwrap();
    assert!(report.channels.iter().all(|channel| channel.conversions == Credits::default() && channel.value == Credits::default()));
    assert_eq!(super::report(&[], DIGITS).unwrap().channels, []);
}

#[test]
fn a_channel_nobody_counted_gets_nothing() {
    let report = report(&[path("a > b", 1.0, 200, 0.0), path("ghost > a", 0.0, 0, 0.0)], DIGITS).unwrap();
    assert_eq!(report.channels[2].conversions, Credits::default());
    assert_near(report.channels[0].removal_effect_with_nulls, 1.0);
}

#[test]
fn very_long_paths_decay_to_nothing_without_an_error() {
    let report = report(&[path(&vec!["a"; 3_000].join(" > "), 1.0, 100, 0.0), path("b > a", 0.0, 0, 1.0)], DIGITS).unwrap();
    assert_near(report.channels[0].conversions.time_decay_by_step, 1.0);
}

#[test]
fn what_cannot_be_is_refused_and_names_its_field() {
    let refused = |path: Path| {
        let refused = report(&[path], DIGITS).unwrap_err();
        (refused.field(), refused.to_string())
    };
    assert_eq!(refused(Path { channels: vec![], ..path("a", 1.0, 100, 1.0) }).0, Field::Channels);
    assert_eq!(refused(path("a >  > b", 1.0, 100, 1.0)).0, Field::Channels);
    assert_eq!(refused(path("a", -1.0, 0, 0.0)), (Field::Conversions, "`-1` is not a number from 0 up".to_owned()));
    assert_eq!(refused(path("a", f64::NAN, 0, 0.0)).0, Field::Conversions);
    assert_eq!(refused(path("a", 1.0, -250, 0.0)), (Field::Value, "`-2.50` is not a number from 0 up".to_owned()));
    assert_eq!(refused(path("a", 1.0, 0, f64::INFINITY)).0, Field::Nulls);
    assert_eq!(refused(path("a", 0.0, 300, 1.0)), (Field::Value, "a value of `3.00` without a conversion".to_owned()));
    assert_eq!(refused(Path { value: Decimal::MAX, ..path("a", 1.0, 0, 0.0) }).0, Field::Value);
    let many: Vec<Path> = (0..=CHANNELS_MAX).map(|index| path(&format!("c{index}"), 1.0, 0, 0.0)).collect();
    assert_eq!(report(&many, DIGITS), Err(Refused::TooManyChannels { found: CHANNELS_MAX + 1 }));
}
