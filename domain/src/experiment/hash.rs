//! The published hash of GrowthBook: a seed and a unit's text become a number from 0 to 1.
//!
//! FNV-1a of 32 bits over UTF-16 code units, as the SDKs compute it
//! (<https://docs.growthbook.io/lib/build-your-own#hash>). Version 1 has 1 000 values and makes tests with similar seeds depend on each
//! other, so it is here for what other people's files say; the product assigns by version 2, which has 10 000.

const OFFSET: u32 = 2_166_136_261;
const PRIME: u32 = 16_777_619;

/// How many values a hash of version 2 has.
pub const BUCKETS: u32 = 10_000;
const BUCKETS_V1: u32 = 1_000;

/// The hash of a unit, at least 0 and below 1; `None` for a version that does not exist.
pub fn hash(seed: &str, value: &str, version: u8) -> Option<f64> {
    match version {
        1 => Some(f64::from(feed(feed(OFFSET, value), seed) % BUCKETS_V1) / f64::from(BUCKETS_V1)),
        2 => Some(Seeded::new(seed).hash(value)),
        _ => None,
    }
}

/// Version 2 with the seed fed already, for very many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeded(u32);

impl Seeded {
    pub fn new(seed: &str) -> Self {
        Self(feed(OFFSET, seed))
    }

    /// The same as [`hash`] of version 2.
    pub fn hash(self, value: &str) -> f64 {
        let [fed] = feed_all([self], value);
        fed.hash()
    }
}

/// A unit fed after a seed: what is left is to make a hash of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed(u32);

impl Fed {
    /// The same as [`hash`] of version 2.
    #[inline]
    pub fn hash(self) -> f64 {
        f64::from(feed_decimal(OFFSET, self.0) % BUCKETS) / f64::from(BUCKETS)
    }
}

/// Feeds one unit after several seeds, in one pass over its text. It costs about as much as one seed alone, since the multiplications of
/// the seeds do not wait for each other.
#[inline]
pub fn feed_all<const N: usize>(seeds: [Seeded; N], value: &str) -> [Fed; N] {
    let mut fed = [Fed(OFFSET); N];
    for (fed, seed) in fed.iter_mut().zip(seeds) {
        fed.0 = seed.0;
    }
    if value.is_ascii() {
        value.bytes().for_each(|byte| step_all(&mut fed, u32::from(byte)));
    } else {
        value.encode_utf16().for_each(|unit| step_all(&mut fed, u32::from(unit)));
    }
    fed
}

#[inline]
fn step_all<const N: usize>(fed: &mut [Fed; N], unit: u32) {
    for Fed(state) in fed {
        *state = step(*state, unit);
    }
}

#[inline]
fn step(state: u32, unit: u32) -> u32 {
    (state ^ unit).wrapping_mul(PRIME)
}

fn feed(state: u32, text: &str) -> u32 {
    text.encode_utf16().fold(state, |state, unit| step(state, u32::from(unit)))
}

/// Feeds the decimal digits of a number, the first digit first. None of the divisions waits for another one.
fn feed_decimal(state: u32, number: u32) -> u32 {
    let digits = [
        number / 1_000_000_000,
        number / 100_000_000 % 10,
        number / 10_000_000 % 10,
        number / 1_000_000 % 10,
        number / 100_000 % 10,
        number / 10_000 % 10,
        number / 1_000 % 10,
        number / 100 % 10,
        number / 10 % 10,
        number % 10,
    ];
    let first = digits.iter().position(|digit| *digit != 0).unwrap_or(digits.len() - 1);
    digits[first..].iter().fold(state, |state, digit| step(state, u32::from(b'0') + digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_hashes_nothing() {
        for version in [0, 3, 99, u8::MAX] {
            assert_eq!(hash("seed", "a", version), None);
        }
    }

    #[test]
    fn text_is_hashed_by_its_utf_16_code_units_and_not_by_bytes() {
        let jorg = hash("exp", "jörg", 2);
        assert_eq!(jorg, Some(0.5187));
        let bytes = "jörg".bytes().fold(feed(OFFSET, "exp"), |state, byte| step(state, u32::from(byte)));
        assert_ne!(jorg, Some(f64::from(feed_decimal(OFFSET, bytes) % BUCKETS) / f64::from(BUCKETS)));
    }

    #[test]
    fn digits_are_fed_as_their_text_is() {
        for number in [0, 7, 9, 10, 99, 100, 1_000_000_000, u32::MAX - 1, u32::MAX] {
            assert_eq!(feed_decimal(OFFSET, number), feed(OFFSET, &number.to_string()), "{number}");
        }
    }

    #[test]
    fn all_seeds_at_once_give_what_each_gives_alone() {
        let seeds = ["", "a", "größe", "😀", "checkout:1:traffic"];
        for value in ["", "1", "7d3c1c8e-53b5-4bd4-8e37-2e5f7a3a0b11", "用户123", "a😀b"] {
            let together = feed_all(seeds.map(Seeded::new), value).map(Fed::hash);
            assert_eq!(together.map(Some), seeds.map(|seed| hash(seed, value, 2)), "{value}");
        }
    }
}
