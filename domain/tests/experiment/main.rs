//! Assignment: published vectors, the published SDK beside it, reasons, independence, who moves, and which tests disturb each other.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod designs;
mod edits;
mod independence;
mod moved;
mod reasons;
mod rivals;
mod sdk;
mod vectors;

use chrono::{DateTime, TimeZone, Utc};
use domain::experiment::{
    Design, Eligibility, Experiment, ExperimentKind, Metric, Payload, Phase, Plan, Reason, Status, Subject, UnitKind, Variant,
};
use domain::{Currency, ExperimentId, SiteId};
use uuid::Uuid;

/// Long tests are shorter in an unoptimised build.
const FULL: bool = cfg!(not(debug_assertions));

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 5, 4, 12, 0, 0).unwrap()
}

fn site() -> SiteId {
    SiteId(Uuid::from_u128(0x0190_5eed))
}

fn visitor(id: &str) -> Subject<'_> {
    Subject { visitor: Some(id), site_id: site(), partners: None, segment: None }
}

/// A running test of visitors, with everybody in it.
fn running(seed: &str, weights: &[f64]) -> Experiment {
    let payload = |index| if index == 0 { Payload::Unchanged } else { Payload::Cta { text: format!("text {index}") } };
    let variant = |(index, weight): (usize, &f64)| Variant {
        key: format!("variant-{index}"),
        name: format!("Variant {index}"),
        weight: *weight,
        payload: payload(index),
    };
    let design = Design {
        name: "a test".into(),
        hypothesis: String::new(),
        kind: ExperimentKind::Cta,
        unit: UnitKind::Visitor,
        variants: weights.iter().enumerate().map(variant).collect(),
        traffic_allocation: 1.0,
        primary_metric: Metric::ClickRate,
        guardrails: vec![],
        eligibility: Eligibility::default(),
        exclusion_group: None,
        starts_at: None,
        ends_at: None,
        plan: Plan::default(),
        bandit: None,
        currency: Currency::USD,
    };
    Experiment {
        experiment_id: ExperimentId(Uuid::nil()),
        key: "a-test".into(),
        status: Status::Running,
        owner: "owner@example.com".into(),
        phase: Some(Phase { number: 1, seed: seed.into(), started_at: now(), weights: weights.to_vec(), period: 0 }),
        design,
        created_at: now(),
        stopped_at: None,
        shipped_variant: None,
    }
}

#[test]
fn every_reason_has_its_own_code_and_sentence() {
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        assert!(reason.sentence().ends_with('.'));
        let others = Reason::ALL.into_iter().filter(|other| *other != reason);
        assert!(others.into_iter().all(|other| other.sentence() != reason.sentence() && other.as_str() != reason.as_str()));
    }
}
