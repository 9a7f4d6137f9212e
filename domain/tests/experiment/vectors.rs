//! The vectors of GrowthBook; `tests/vectors/growthbook-vectors.json` names their source and licence.

use domain::experiment::{BucketRange, bucket_ranges, choose_variation, hash, in_namespace};
use serde::{Deserialize, de::DeserializeOwned};

/// A case's name, the arguments of `bucket_ranges`, and the expected ranges.
type RangeCase = (String, (usize, f64, Option<Vec<f64>>), Vec<(f64, f64)>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExactRanges {
    num_variations: usize,
    coverage: f64,
    weights: Vec<f64>,
    /// As text: not every reader of JSON rounds such numbers right.
    ranges: Vec<(String, String)>,
}

fn cases<T: DeserializeOwned>(section: &str, count: usize) -> Vec<T> {
    let file: serde_json::Value = serde_json::from_str(include_str!("../vectors/growthbook-vectors.json")).unwrap();
    let cases: Vec<T> = serde_json::from_value(file[section].clone()).unwrap();
    assert_eq!(cases.len(), count, "{section}");
    cases
}

fn range((start, end): (f64, f64)) -> BucketRange {
    BucketRange { start, end }
}

#[test]
fn the_hash_gives_the_published_values() {
    for (seed, value, version, expected) in cases::<(String, String, u8, Option<f64>)>("hash", 27) {
        assert_eq!(hash(&seed, &value, version), expected, "{seed} {value} {version}");
    }
}

#[test]
fn bucket_ranges_are_the_published_ones() {
    for (name, (count, coverage, weights), expected) in cases::<RangeCase>("getBucketRange", 13) {
        // These are published with 8 decimals, and the SDKs cut both sides; the exact ones follow below.
        let cut = |number: f64| (number * 1e8).floor();
        let ranges: Vec<_> = bucket_ranges(count, coverage, weights.as_deref()).iter().map(|at| (cut(at.start), cut(at.end))).collect();
        assert_eq!(ranges, expected.iter().map(|at| (cut(at.0), cut(at.1))).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn bucket_ranges_are_rounded_as_published_to_the_last_bit() {
    for case in cases::<ExactRanges>("exactRanges", 7) {
        let expected: Vec<_> = case.ranges.iter().map(|(start, end)| range((start.parse().unwrap(), end.parse().unwrap()))).collect();
        assert_eq!(bucket_ranges(case.num_variations, case.coverage, Some(&case.weights)), expected, "{:?}", case.weights);
    }
}

#[test]
fn the_variation_chosen_is_the_published_one() {
    for (name, hash, ranges, expected) in cases::<(String, f64, Vec<(f64, f64)>, i64)>("chooseVariation", 13) {
        let ranges: Vec<_> = ranges.into_iter().map(range).collect();
        assert_eq!(choose_variation(hash, &ranges), usize::try_from(expected).ok(), "{name}");
    }
}

#[test]
fn namespaces_hold_the_published_units() {
    for (name, unit, (namespace, start, end), expected) in cases::<(String, String, (String, f64, f64), bool)>("inNamespace", 16) {
        assert_eq!(in_namespace(&unit, &namespace, range((start, end))), expected, "{name}");
    }
}
