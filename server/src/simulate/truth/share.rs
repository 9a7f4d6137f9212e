//! Shares of credit and of money, by whole numbers.

use chrono::{DateTime, Utc};
use domain::attribution::Model;

/// A whole credit: shares are billionths.
pub const WHOLE: u64 = 1_000_000_000;

const HALF_LIFE_SECONDS: i64 = 7 * 24 * 3600;

/// Binary digits after the point of a weight of time decay.
const DIGITS: u32 = 62;

/// Each touch's share in billionths, for touches at these times, oldest first. `last` takes all where the last touch does.
pub fn shares(model: Model, times: &[DateTime<Utc>], last: usize) -> Vec<u64> {
    let only = |taker: usize| (0..times.len()).map(|index| if index == taker { WHOLE } else { 0 }).collect();
    match model {
        Model::LastTouch => only(last),
        Model::FirstTouch => only(0),
        Model::Linear => apportion(WHOLE, &vec![1; times.len()]),
        Model::PositionBased => match times.len() {
            1 => vec![WHOLE],
            2 => vec![WHOLE / 2; 2],
            touches => {
                let ends = WHOLE / 10 * 4;
                let between = apportion(WHOLE - 2 * ends, &vec![1; touches - 2]);
                [ends].into_iter().chain(between).chain([ends]).collect()
            }
        },
        Model::TimeDecay => {
            let newest = times.iter().max().copied().unwrap_or_default();
            apportion(WHOLE, &times.iter().map(|at| halved((newest - at).num_seconds())).collect::<Vec<_>>())
        }
    }
}

/// Splits minor units by shares that sum to [`WHOLE`]: what rounding down leaves goes to the largest remainders, the earlier first.
pub fn split(minor: i64, shares: &[u64]) -> Vec<i64> {
    let weights: Vec<u64> = shares.to_vec();
    apportion(minor.unsigned_abs(), &weights).into_iter().map(|part| i64::try_from(part).unwrap_or(i64::MAX) * minor.signum()).collect()
}

fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().copied().map(u128::from).sum();
    let exact = |weight: u64| (u128::from(total) * u128::from(weight) / sum, u128::from(total) * u128::from(weight) % sum);
    let mut parts: Vec<(u128, u128)> = weights.iter().map(|weight| exact(*weight)).collect();
    let mut left = u128::from(total) - parts.iter().map(|(part, _)| part).sum::<u128>();
    while left > 0 {
        let largest = parts.iter().map(|(_, remainder)| *remainder).max().unwrap_or(0);
        let Some(part) = parts.iter_mut().find(|(_, remainder)| *remainder == largest) else { break };
        *part = (part.0 + 1, 0);
        left -= 1;
    }
    parts.into_iter().map(|(part, _)| u64::try_from(part).unwrap_or(u64::MAX)).collect()
}

/// `2^(-seconds / half-life)` as a fixed-point number: a product of the roots 2^(-1/2), 2^(-1/4), … that the fraction's binary
/// digits name, each the integer square root of the one before.
fn halved(seconds: i64) -> u64 {
    let whole = u32::try_from(seconds / HALF_LIFE_SECONDS).unwrap_or(u32::MAX);
    let fraction = (u128::from((seconds % HALF_LIFE_SECONDS).unsigned_abs()) << DIGITS) / u128::from(HALF_LIFE_SECONDS.unsigned_abs());
    let one = 1_u128 << DIGITS;
    let (mut weight, mut root) = (one, one / 2);
    for digit in (0..DIGITS).rev() {
        root = (root << DIGITS).isqrt();
        if fraction >> digit & 1 == 1 {
            weight = (weight * root) >> DIGITS;
        }
    }
    u64::try_from(weight).unwrap_or(u64::MAX).checked_shr(whole).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: &[i64]) -> Vec<DateTime<Utc>> {
        days.iter().map(|day| DateTime::UNIX_EPOCH + chrono::TimeDelta::days(*day)).collect()
    }

    #[test]
    fn shares_are_as_computed_by_hand() {
        let three = days(&[0, 7, 14]);
        assert_eq!(shares(Model::LastTouch, &three, 1), [0, WHOLE, 0]);
        assert_eq!(shares(Model::FirstTouch, &three, 2), [WHOLE, 0, 0]);
        assert_eq!(shares(Model::Linear, &three, 2), [333_333_334, 333_333_333, 333_333_333]);
        assert_eq!(shares(Model::PositionBased, &three, 2), [400_000_000, 200_000_000, 400_000_000]);
        assert_eq!(shares(Model::PositionBased, &days(&[0, 1]), 1), [500_000_000, 500_000_000]);
        assert_eq!(shares(Model::PositionBased, &days(&[0, 1, 2, 3, 4]), 4)[1..4], [66_666_667, 66_666_667, 66_666_666]);
        // 1 : 2 : 4 of 7
        assert_eq!(shares(Model::TimeDecay, &three, 2), [142_857_143, 285_714_286, 571_428_571]);
        // 2^(-1/7) = 0.905723664… to 1
        assert_eq!(shares(Model::TimeDecay, &days(&[0, 1]), 1), [475_264_951, 524_735_049]);
    }

    #[test]
    fn money_is_split_to_the_last_minor_unit() {
        assert_eq!(split(100, &[333_333_334, 333_333_333, 333_333_333]), [34, 33, 33]);
        assert_eq!(split(5, &[500_000_000, 500_000_000]), [3, 2]);
        assert_eq!(split(0, &[WHOLE]), [0]);
    }

    #[test]
    fn halving_once_per_half_life_is_exact() {
        assert_eq!(halved(0), 1 << DIGITS);
        assert_eq!(halved(HALF_LIFE_SECONDS), 1 << (DIGITS - 1));
        assert_eq!(halved(HALF_LIFE_SECONDS * 70), 0);
    }
}
