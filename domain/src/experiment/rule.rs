//! A test as GrowthBook writes it, so that any of its SDKs assigns the same variants.

use serde_json::{Map, Value, json};

use super::{Eligibility, Experiment, Holdout, UnitKind, assign::traffic_seed};

impl UnitKind {
    /// The attribute of an SDK that holds the unit.
    pub fn attribute(self) -> &'static str {
        match self {
            Self::Visitor => "visitor_id",
            Self::Site => "site_id",
        }
    }
}

/// The experiment rule of a feature; `None` before the first phase. The values of the feature are the variants' payloads.
///
/// A rule knows no time and no status: it is to be served while the test runs, from its start on and before its end. The attributes are
/// `visitor_id` or `site_id` as the unit, and for the eligibility `site_id`, `segment` and the list `partner_ids` of the offers in view.
pub fn growthbook_rule(experiment: &Experiment, holdout: &Holdout) -> Option<Value> {
    let Experiment { design, phase, key, .. } = experiment;
    let phase = phase.as_ref()?;
    let attribute = design.unit.attribute();
    let filter =
        |seed: &str, start: f64, end: f64| json!({ "attribute": attribute, "seed": seed, "hashVersion": 2, "ranges": [[start, end]] });
    let mut filters = vec![filter(&traffic_seed(&phase.seed), 0.0, design.traffic_allocation)];
    filters.extend(design.exclusion_group.as_ref().map(|group| filter(&group.name, group.start, group.end)));
    filters.extend((holdout.share > 0.0).then(|| filter(&holdout.seed, holdout.share, 1.0)));
    let payloads: Vec<_> = design.variants.iter().map(|variant| &variant.payload).collect();
    let meta: Vec<_> = design.variants.iter().map(|variant| json!({ "key": variant.key, "name": variant.name })).collect();
    Some(json!({
        "key": key,
        "name": design.name,
        "phase": phase.number.to_string(),
        "seed": phase.seed,
        "hashAttribute": attribute,
        "hashVersion": 2,
        "variations": payloads,
        "weights": phase.weights,
        "coverage": 1.0,
        "filters": filters,
        "condition": condition(&design.eligibility),
        "meta": meta,
        "disableStickyBucketing": true,
    }))
}

fn condition(eligibility: &Eligibility) -> Value {
    let Eligibility { partner_ids, site_ids, segments } = eligibility;
    let lists = [("partner_ids", json!(partner_ids)), ("site_id", json!(site_ids)), ("segment", json!(segments))];
    let is_needed = |(_, list): &(&str, Value)| list.as_array().is_some_and(|list| !list.is_empty());
    lists
        .into_iter()
        .filter(is_needed)
        .map(|(attribute, list)| (attribute.to_owned(), json!({ "$in": list })))
        .collect::<Map<_, _>>()
        .into()
}
