//! Which part of the hash's range belongs to which variant, as GrowthBook's SDKs compute it
//! (<https://docs.growthbook.io/lib/build-your-own#helper-functions>).
//!
//! The ends are sums in floating point, from left to right, so that a unit on the boundary falls where any SDK puts it.

use super::hash::hash;

/// Weights whose sum lies outside are replaced by equal ones.
const WEIGHTS_SUM: std::ops::RangeInclusive<f64> = 0.99..=1.01;

/// A part `[start, end)` of the hash's range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BucketRange {
    pub start: f64,
    pub end: f64,
}

impl BucketRange {
    pub const WHOLE: Self = Self { start: 0.0, end: 1.0 };

    #[inline]
    pub fn contains(self, hash: f64) -> bool {
        self.start <= hash && hash < self.end
    }
}

pub fn equal_weights(count: usize) -> Vec<f64> {
    vec![1.0 / count as f64; count]
}

/// The range of each of `count` variants. The coverage is clamped to 0..=1 and shortens every range at its place.
///
/// Weights that are absent, of another number or sum outside 0.99..=1.01 are taken as equal.
pub fn bucket_ranges(count: usize, coverage: f64, weights: Option<&[f64]>) -> Vec<BucketRange> {
    let is_usable = |weights: &&[f64]| weights.len() == count && WEIGHTS_SUM.contains(&weights.iter().sum::<f64>());
    let weights = weights.filter(is_usable).map_or_else(|| equal_weights(count), <[f64]>::to_vec);
    let coverage = coverage.clamp(0.0, 1.0);
    let mut start = 0.0;
    let range_of = |weight: f64| {
        let range = BucketRange { start, end: start + coverage * weight };
        start += weight;
        range
    };
    weights.into_iter().map(range_of).collect()
}

/// The first variant whose range holds the hash; `None` for a unit that is in no range.
#[inline]
pub fn choose_variation(hash: f64, ranges: &[BucketRange]) -> Option<usize> {
    ranges.iter().position(|range| range.contains(hash))
}

/// Whether a unit is in a part of a namespace of the older kind, which hashes by version 1.
pub fn in_namespace(unit: &str, name: &str, range: BucketRange) -> bool {
    hash(&format!("__{name}"), unit, 1).is_some_and(|hash| range.contains(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variants_have_no_ranges() {
        assert_eq!(bucket_ranges(0, 1.0, None), []);
        assert_eq!(bucket_ranges(0, 1.0, Some(&[])), []);
        assert_eq!(choose_variation(0.3, &[]), None);
    }

    #[test]
    fn weights_that_make_no_sense_are_equal_ones() {
        let equal = bucket_ranges(2, 1.0, None);
        for weights in [[f64::NAN, 0.5], [f64::INFINITY, 0.5], [0.5, 0.48], [0.6, 0.42], [0.0, 0.0]] {
            assert_eq!(bucket_ranges(2, 1.0, Some(&weights)), equal, "{weights:?}");
        }
    }

    #[test]
    fn the_end_of_a_range_belongs_to_the_next() {
        let ranges = bucket_ranges(2, 1.0, None);
        assert_eq!([0.0, 0.4999, 0.5, 0.9999].map(|hash| choose_variation(hash, &ranges)), [Some(0), Some(0), Some(1), Some(1)]);
        assert_eq!([-0.1, 1.0, f64::NAN].map(|hash| choose_variation(hash, &ranges)), [None; 3]);
    }

    #[test]
    fn a_namespace_from_its_end_to_its_start_holds_nobody() {
        assert!((0..100).all(|unit| !in_namespace(&unit.to_string(), "group", BucketRange { start: 0.6, end: 0.4 })));
        assert!((0..100).all(|unit| in_namespace(&unit.to_string(), "group", BucketRange::WHOLE)));
    }
}
