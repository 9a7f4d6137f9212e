//! Journeys, and the credit and the money that each of their touches takes.
//!
//! All arithmetic is on integers and decimals, so the same journey gives the same bytes on every machine: the only function that is
//! no fraction, the power of two of time decay, is the decimal exponential series to 24 digits, of which 9 show.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use rust_decimal::{Decimal, MathematicalOps, prelude::ToPrimitive};

use super::{Model, Policy};

/// Digits after the point of a share.
pub const SHARE_DIGITS: u32 = 9;
const SHARE_UNITS: u128 = 1_000_000_000;

/// 7 days: the time after which a touch of a time-decay journey counts half as much.
const HALF_LIFE: Duration = Duration::days(7);

/// The natural logarithm of 2, to 28 digits after the point.
const LN_2_E28: i128 = 6_931_471_805_599_453_094_172_321_215;

/// What the newest touch of a time-decay journey weighs; the others weigh less.
const NEWEST_WEIGHT: i128 = 10_i128.pow(24);

/// Digits of a share that [`split_minor`] looks at: as many as the largest amount leaves room for in 128 bits.
const SPLIT_DIGITS: u32 = 18;

/// Units that [`split_units`] takes: with [`SPLIT_DIGITS`] more digits they still fit in 128 bits.
pub const UNITS_MAX: i128 = 10_i128.pow(20);

/// A touch that can be put in order: equal times are decided by the id.
pub trait Touched {
    type Id: Ord;
    fn touched_at(&self) -> DateTime<Utc>;
    fn touch_id(&self) -> &Self::Id;
}

/// The touches that `policy` admits, oldest first, each id once; any order of `touches` gives the same answer.
pub fn journey<'t, T: Touched>(touches: &'t [T], converted_at: DateTime<Utc>, policy: &Policy) -> Vec<&'t T> {
    journey_by(touches, converted_at, |_| *policy)
}

/// [`journey`] where each touch has a policy of its own, such as that of its partner. An id that comes with two times counts with the
/// earlier one that is admitted.
pub fn journey_by<'t, T: Touched>(
    touches: impl IntoIterator<Item = &'t T>,
    converted_at: DateTime<Utc>,
    policy_of: impl Fn(&T) -> Policy,
) -> Vec<&'t T> {
    let mut admitted: Vec<&T> = touches.into_iter().filter(|touch| policy_of(touch).admits(touch.touched_at(), converted_at)).collect();
    admitted.sort_by_key(|touch| (touch.touched_at(), touch.touch_id()));
    let mut seen = BTreeSet::new();
    admitted.retain(|touch| seen.insert(touch.touch_id()));
    admitted
}

/// Credit of each touch of a journey, which is ordered as by [`journey`]: not negative, 9 digits after the point, and exactly 1 in
/// sum (largest remainder; the earlier touch where remainders are equal). An empty journey has no shares.
///
/// A touch whose exact share is below one unit of the ninth digit may get 0: the tail of a journey of more than 10⁹ touches, a touch
/// of time decay that is 30 half-lives older than the newest. It keeps its place in the answer.
pub fn shares<T: Touched>(model: Model, journey: &[&T], converted_at: DateTime<Utc>) -> Vec<Decimal> {
    let weights = match model {
        Model::LastTouch => alone(journey.len(), journey.len().saturating_sub(1)),
        Model::FirstTouch => alone(journey.len(), 0),
        Model::Linear => vec![1; journey.len()],
        Model::PositionBased => position_weights(journey.len()),
        Model::TimeDecay => time_decay_weights(journey, converted_at),
    };
    apportion(SHARE_UNITS, &weights).into_iter().map(|units| Decimal::from_i128_with_scale(signed(units), SHARE_DIGITS)).collect()
}

/// Splits an amount of minor units, which may be negative, in proportion to `shares`. The parts sum to the amount exactly: the units
/// that rounding down leaves go to the largest remainders, and to the earlier part where those are equal. The split of `-amount` is
/// that of `amount` with the signs turned, so that a refund takes back what was given.
///
/// Shares are read to 18 digits after the point, one below 0 as 0 and one above 1 as 1; if all are zero, the first part takes all.
/// No shares: no parts.
pub fn split_minor(amount_minor: i64, shares: &[Decimal]) -> Vec<i64> {
    let parts = split_units(i128::from(amount_minor), shares);
    parts.into_iter().map(|part| i64::try_from(part).expect("a part is no larger than the whole")).collect()
}

/// As [`split_minor`], for amounts in a smaller unit.
///
/// # Panics
/// If there are more than [`UNITS_MAX`] units on either side of 0.
pub fn split_units(units: i128, shares: &[Decimal]) -> Vec<i128> {
    assert!(units.abs() <= UNITS_MAX, "{units} units are more than can be split exactly");
    let scale = Decimal::from(10_u64.pow(SPLIT_DIGITS));
    let weight = |share: &Decimal| (share.clamp(&Decimal::ZERO, &Decimal::ONE).round_dp(SPLIT_DIGITS) * scale).to_u128().unwrap_or(0);
    let weights: Vec<u128> = shares.iter().map(weight).collect();
    let parts = apportion(units.unsigned_abs(), &weights);
    parts.into_iter().map(|part| units.signum() * signed(part)).collect()
}

/// Splits `total` in proportion to `weights`, by largest remainder (Hamilton's method), exactly. `total × weight` must fit in 128 bits.
fn apportion(total: u128, weights: &[u128]) -> Vec<u128> {
    let sum: u128 = weights.iter().sum();
    if sum == 0 {
        return alone(weights.len(), 0).into_iter().map(|weight| weight * total).collect();
    }
    let mut parts: Vec<u128> = weights.iter().map(|weight| total * weight / sum).collect();
    let missing = total - parts.iter().sum::<u128>();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|&index| std::cmp::Reverse(total * weights[index] % sum));
    for index in by_remainder.into_iter().take(usize::try_from(missing).expect("fewer units are missing than there are parts")) {
        parts[index] += 1;
    }
    parts
}

fn signed(part: u128) -> i128 {
    i128::try_from(part).expect("a part is no larger than its total, which is far below 2^127")
}

/// All weight at one index.
fn alone(length: usize, index: usize) -> Vec<u128> {
    (0..length).map(|other| u128::from(other == index)).collect()
}

/// 40 % first, 40 % last, 20 % among those between, in whole numbers: with m of them, `2m, 1, …, 1, 2m` of `5m`.
fn position_weights(length: usize) -> Vec<u128> {
    let between = length.saturating_sub(2);
    let end = if between == 0 { 1 } else { 2 * between as u128 };
    (0..length).map(|index| if index == 0 || index + 1 == length { end } else { 1 }).collect()
}

/// `2^(-age / 7 days)`. All ages are counted from that of the newest touch, which changes no proportion and keeps the digits.
fn time_decay_weights<T: Touched>(journey: &[&T], converted_at: DateTime<Utc>) -> Vec<u128> {
    let ages: Vec<i128> = journey.iter().map(|touch| nanoseconds(converted_at - touch.touched_at())).collect();
    let newest = ages.iter().copied().min().unwrap_or(0);
    ages.into_iter().map(|age| halved(age - newest)).collect()
}

/// [`NEWEST_WEIGHT`] halved once per half-life of `age`, which is not negative, in nanoseconds.
fn halved(age: i128) -> u128 {
    let half_life = nanoseconds(HALF_LIFE);
    let halvings = u32::try_from(age / half_life).unwrap_or(u32::MAX);
    let rest = Decimal::from_i128_with_scale(age % half_life, 0) / Decimal::from_i128_with_scale(half_life, 0);
    let power = rest * Decimal::from_i128_with_scale(LN_2_E28, 28);
    let weight = Decimal::from_i128_with_scale(NEWEST_WEIGHT, 0) / power.exp_with_tolerance(Decimal::new(1, Decimal::MAX_SCALE));
    weight.to_u128().expect("between half of the newest weight and all of it").checked_shr(halvings).unwrap_or(0)
}

fn nanoseconds(duration: Duration) -> i128 {
    i128::from(duration.num_seconds()) * 1_000_000_000 + i128::from(duration.subsec_nanos())
}

#[cfg(test)]
mod tests;
