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

/// A decimal `u32` has at most so many digits.
const DIGITS_MAX: usize = 10;

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
        let [state] = feed_all([self], value);
        finish(state)
    }
}

/// The hashes of one unit under several seeds; a question that is not asked has none. One pass over the text costs about as much as one
/// hash alone, since the multiplications of the seeds do not wait for each other.
pub fn hash_all<const N: usize>(seeds: [Option<Seeded>; N], value: &str) -> [Option<f64>; N] {
    let states = feed_all(seeds.map(|seed| seed.unwrap_or(Seeded(OFFSET))), value);
    std::array::from_fn(|index| seeds[index].map(|_| finish(states[index])))
}

fn feed_all<const N: usize>(seeds: [Seeded; N], value: &str) -> [u32; N] {
    let mut states = seeds.map(|seed| seed.0);
    if value.is_ascii() {
        value.bytes().for_each(|byte| step_all(&mut states, u32::from(byte)));
    } else {
        value.encode_utf16().for_each(|unit| step_all(&mut states, u32::from(unit)));
    }
    states
}

fn finish(state: u32) -> f64 {
    f64::from(feed_decimal(OFFSET, state) % BUCKETS) / f64::from(BUCKETS)
}

/// Not by `map`, which is no loop but a call for each state.
fn step_all<const N: usize>(states: &mut [u32; N], unit: u32) {
    for state in states {
        *state = step(*state, unit);
    }
}

fn step(state: u32, unit: u32) -> u32 {
    (state ^ unit).wrapping_mul(PRIME)
}

fn feed(state: u32, text: &str) -> u32 {
    text.encode_utf16().fold(state, |state, unit| step(state, u32::from(unit)))
}

/// Feeds the decimal digits of a number, the first digit first.
fn feed_decimal(state: u32, number: u32) -> u32 {
    let mut digits = [0; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = u32::from(b'0') + rest % 10;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits[start..].iter().fold(state, |state, digit| step(state, *digit))
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
            let together = hash_all(seeds.map(|seed| Some(Seeded::new(seed))), value);
            assert_eq!(together, seeds.map(|seed| hash(seed, value, 2)), "{value}");
            assert_eq!(hash_all([None, Some(Seeded::new("a"))], value), [None, hash("a", value, 2)]);
        }
    }
}
