//! GrowthBook's own SDK for Rust beside this crate: on random rules, and on the rules that we hand out.

use std::collections::HashMap;

use domain::analysis::ProjectKind;
use domain::experiment::{
    BucketRange, Eligibility, Evaluator, ExclusionGroup, Holdout, Subject, UnitKind, assign, bucket_ranges, choose_variation,
    growthbook_rule, hash, in_namespace,
};
use domain::{PartnerId, SiteId};
use growthbook_rust::{growthbook::GrowthBook, model_public::GrowthBookAttribute};
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{FULL, now, running};

/// The SDK with one feature of one rule.
struct Sdk(GrowthBook);

impl Sdk {
    fn new(rule: &Value) -> Self {
        let features = serde_json::from_value(json!({ "feature": { "defaultValue": null, "rules": [rule] } })).unwrap();
        let forced_variations = None;
        Self(GrowthBook { forced_variations, features, attributes: None, sticky_bucket_service: None, saved_groups: HashMap::new() })
    }

    /// The variant and the bucket that it gives.
    fn assign(&self, attributes: Value) -> Option<(usize, f64)> {
        let answer = self.0.check("feature", &Some(GrowthBookAttribute::from(attributes).unwrap()));
        answer.experiment_result.map(|result| (usize::try_from(result.variation_id).unwrap(), result.bucket.unwrap()))
    }
}

/// ASCII, what is not, and characters of two UTF-16 code units.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9_:-]{1,24}", "[a-zß-ÿΑ-Ω用户😀-🙏]{1,8}", "\\PC{1,12}", (0_u32..2_000_000).prop_map(|id| id.to_string())]
}

/// Two to eight weights, whose sum is often 1, sometimes near the ends of what is taken, sometimes elsewhere.
fn weights() -> impl Strategy<Value = Vec<f64>> {
    let sums = prop_oneof![6 => Just(1.0), 3 => 0.985..1.015, 1 => 0.0..3.0];
    (vec(0_u32..20, 2..9), sums).prop_map(|(parts, sum)| {
        let total = f64::from(parts.iter().sum::<u32>().max(1));
        parts.into_iter().map(|part| f64::from(part) * sum / total).collect()
    })
}

/// Often whole per cents, so that units fall on the ends of ranges.
fn shares() -> impl Strategy<Value = f64> {
    prop_oneof![(0_u32..101).prop_map(|percent| f64::from(percent) / 100.0), -0.2..1.2]
}

fn ends() -> impl Strategy<Value = (f64, f64)> {
    (0_u32..101, 0_u32..101).prop_map(|(start, end)| (f64::from(start) / 100.0, f64::from(end) / 100.0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if FULL { 100_000 } else { 5_000 }))]

    #[test]
    fn hashes_ranges_and_variants_agree_with_the_sdk(
        seed in texts(), unit in texts(), weights in weights(), coverage in option::of(shares()), version in 1_u8..4,
        namespace in option::weighted(0.3, (texts(), ends())),
    ) {
        let mut rule = json!({ "variations": vec![0; weights.len()], "seed": seed, "hashVersion": version, "weights": weights });
        if let Some(coverage) = coverage {
            rule["coverage"] = json!(coverage);
        }
        if let Some((name, (start, end))) = &namespace {
            rule["namespace"] = json!([name, start, end]);
        }
        let expected = Sdk::new(&rule).assign(json!({ "id": unit }));

        let is_in = namespace.is_none_or(|(name, (start, end))| in_namespace(&unit, &name, BucketRange { start, end }));
        let ranges = bucket_ranges(weights.len(), coverage.unwrap_or(1.0), Some(&weights));
        let ours = hash(&seed, &unit, version).and_then(|hash| Some((choose_variation(hash, &ranges)?, hash))).filter(|_| is_in);
        prop_assert_eq!(ours, expected);
    }
}

fn experiments() -> impl Strategy<Value = (domain::experiment::Experiment, Holdout)> {
    let groups = option::of(("[a-z]{1,8}", ends()));
    let lists = (any::<bool>(), any::<bool>(), any::<bool>());
    (texts(), weights(), shares(), groups, prop_oneof![Just(0.0), 0.0..1.0], any::<bool>(), lists).prop_map(
        |(seed, weights, allocation, group, held, is_of_sites, (by_partner, by_site, by_segment))| {
            let mut experiment = running(&seed, &weights);
            experiment.design.traffic_allocation = allocation;
            experiment.design.exclusion_group = group.map(|(name, (start, end))| ExclusionGroup { name, start, end });
            experiment.design.unit = if is_of_sites { UnitKind::Site } else { UnitKind::Visitor };
            experiment.design.eligibility = Eligibility {
                partner_ids: partners().into_iter().take(2).filter(|_| by_partner).collect(),
                site_ids: (0..32).map(site).filter(|_| by_site).collect(),
                segments: [ProjectKind::StaticSite].into_iter().filter(|_| by_segment).collect(),
            };
            (experiment, Holdout::new("held out", held))
        },
    )
}

fn partners() -> Vec<PartnerId> {
    ["figma", "railway", "supabase"].map(|partner| partner.parse().unwrap()).to_vec()
}

fn site(number: u32) -> SiteId {
    SiteId(Uuid::from_u128(u128::from(number) << 70 | 0xab_cdef))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if FULL { 1_000 } else { 50 }))]

    #[test]
    fn the_rule_that_we_hand_out_makes_the_sdk_assign_as_we_do((experiment, holdout) in experiments()) {
        let sdk = Sdk::new(&growthbook_rule(&experiment, &holdout).unwrap());
        let evaluator = Evaluator::new(&experiment);
        for number in 0..64_u32 {
            let visitor = Uuid::from_u128(u128::from(number) * 0x1234_5678_9abc_def1).to_string();
            let partners = partners()[usize::try_from(number % 3).unwrap()..].to_vec();
            let segment = [ProjectKind::StaticSite, ProjectKind::Library][usize::from(number % 8 == 0)];
            let subject = Subject { visitor: Some(&visitor), site_id: site(number), partners: Some(&partners), segment: Some(segment) };
            let ours = assign(&evaluator, &subject, &holdout, now());
            let theirs =
                sdk.assign(json!({ "visitor_id": visitor, "site_id": site(number), "partner_ids": partners, "segment": segment }));
            prop_assert_eq!(ours.variant.zip(ours.bucket), theirs, "{:?} {:?}", ours, experiment);
        }
    }
}

#[test]
fn a_test_that_was_never_started_has_no_rule() {
    let mut experiment = running("seed", &[0.5, 0.5]);
    experiment.phase = None;
    assert_eq!(growthbook_rule(&experiment, &Holdout::none()), None);
}
