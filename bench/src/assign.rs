//! How many assignments (a unit to a test) one core makes in a second of its time, beside GrowthBook's SDK for Rust on the same
//! tests and units.

use std::{collections::HashMap, hint::black_box, process::ExitCode};

use chrono::{DateTime, Utc};
use domain::{
    Currency, ExperimentId, SiteId,
    experiment::{
        Design, Eligibility, Evaluator, ExclusionGroup, Experiment, ExperimentKind, Holdout, Metric, Payload, Phase, Plan, Status, Subject,
        UnitKind, Variant, assign_all, growthbook_rule,
    },
};
use growthbook_rust::{
    growthbook::GrowthBook,
    model_public::{GrowthBookAttribute, GrowthBookAttributeValue},
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, json};
use uuid::Uuid;

use crate::Result;

/// What is asked of one core.
const PER_SECOND_MIN: f64 = 5_000_000.0;
const HOLDOUT: f64 = 0.05;

/// Measures both in turn, `rounds` times, and compares their answers. Fails below 5 million assignments per second, or at the first
/// answer that differs.
pub fn run(tests: usize, units: usize, rounds: usize) -> Result<ExitCode> {
    let now = Utc::now();
    let holdout = Holdout::new("everybody", HOLDOUT);
    let experiments: Vec<_> = (0..tests).map(|number| experiment(number, now)).collect();
    let evaluators: Vec<_> = experiments.iter().map(Evaluator::new).collect();
    let units: Vec<String> = (0..units as u128).map(|number| Uuid::from_u128(number.wrapping_mul(SPREAD)).to_string()).collect();
    // The SDK allocates and parses; a part of the units tells its speed.
    let few = &units[..units.len().min(2_000)];
    let (sdk, names) = sdk(&experiments, &holdout)?;

    let mut speeds = Vec::new();
    for round in 1..=rounds {
        let started = cpu_seconds();
        let assigned = units.iter().map(|unit| ours(&evaluators, unit, &holdout, now, |_, _| ())).sum::<usize>();
        let mine = (units.len() * tests) as f64 / (cpu_seconds() - started);
        let started = cpu_seconds();
        few.iter().for_each(|unit| theirs(&sdk, &names, unit, |_, _| ()));
        let other = (few.len() * tests) as f64 / (cpu_seconds() - started);
        let share = 100.0 * assigned as f64 / (units.len() * tests) as f64;
        println!(
            "round {round}: {:.2} million assignments/s ({share:.1} % assigned), SDK {:.3} million/s, {:.0} times",
            mine / 1e6,
            other / 1e6,
            mine / other
        );
        speeds.push((mine, other));
    }
    let differences: usize = few.iter().map(|unit| differences(&evaluators, &sdk, &names, unit, &holdout, now)).sum();
    let median = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = speeds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (mine, other) = (median(|speed| speed.0), median(|speed| speed.1));
    println!(
        "{tests} tests, {} units, one core: median {:.2} million assignments/s of at least {:.0} million, {:.0} times the SDK; {differences} of {} answers differ",
        units.len(),
        mine / 1e6,
        PER_SECOND_MIN / 1e6,
        mine / other,
        few.len() * tests
    );
    Ok(if differences == 0 && mine >= PER_SECOND_MIN { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Seconds that this thread ran on a core: others that share the machine do not count.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Odd, so that no two units are the same.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// A running test of visitors; every fourth shares an exclusion group, and the allocations differ.
fn experiment(number: usize, now: DateTime<Utc>) -> Experiment {
    let count = 2 + number % 3;
    let weights = vec![1.0 / count as f64; count];
    let payload = |index| if index == 0 { Payload::Unchanged } else { Payload::Cta { text: format!("text {index}") } };
    let variant =
        |index| Variant { key: format!("v{index}"), name: format!("Variant {index}"), weight: weights[index], payload: payload(index) };
    let part = number / 4 % 5;
    let group = || ExclusionGroup { name: "checkout".into(), start: part as f64 / 5.0, end: (part + 1) as f64 / 5.0 };
    Experiment {
        experiment_id: ExperimentId(Uuid::from_u128(number as u128)),
        key: format!("test-{number}"),
        status: Status::Running,
        owner: "owner@example.com".into(),
        design: Design {
            name: format!("Test {number}"),
            hypothesis: String::new(),
            kind: ExperimentKind::Cta,
            unit: UnitKind::Visitor,
            variants: (0..count).map(variant).collect(),
            traffic_allocation: 0.2 + 0.2 * (number % 5) as f64,
            primary_metric: Metric::ClickRate,
            guardrails: vec![],
            eligibility: Eligibility::default(),
            exclusion_group: number.is_multiple_of(4).then(group),
            starts_at: Some(now),
            ends_at: None,
            plan: Plan::default(),
            bandit: None,
            currency: Currency::USD,
        },
        phase: Some(Phase { number: 1, seed: format!("test-{number}:1"), started_at: now, weights: weights.clone(), period: 0 }),
        created_at: now,
        stopped_at: None,
        shipped_variant: None,
    }
}

/// The same tests, each as a feature; and the features' names in order.
fn sdk(experiments: &[Experiment], holdout: &Holdout) -> Result<(GrowthBook, Vec<String>)> {
    let rule = |experiment: &Experiment| growthbook_rule(experiment, holdout).ok_or("a test without a phase");
    let feature = |experiment: &Experiment| Ok::<_, crate::Error>((experiment.key.clone(), json!({ "rules": [rule(experiment)?] })));
    let features = experiments.iter().map(feature).collect::<Result<Map<_, _>>>()?;
    let features = serde_json::from_value(features.into())?;
    let names = experiments.iter().map(|experiment| experiment.key.clone()).collect();
    let saved_groups = HashMap::new();
    Ok((GrowthBook { forced_variations: None, features, attributes: None, sticky_bucket_service: None, saved_groups }, names))
}

/// Assigns a unit to all tests, and counts those that it takes part in.
fn ours(tests: &[Evaluator], unit: &str, holdout: &Holdout, now: DateTime<Utc>, mut tell: impl FnMut(usize, Option<usize>)) -> usize {
    let subject = Subject { visitor: Some(unit), site_id: SiteId(Uuid::nil()), partners: None, segment: None };
    let mut assigned = 0;
    for (number, answer) in assign_all(tests, &subject, holdout, now).map(black_box).enumerate() {
        assigned += usize::from(answer.variant.is_some());
        tell(number, answer.variant);
    }
    assigned
}

fn theirs(sdk: &GrowthBook, names: &[String], unit: &str, mut tell: impl FnMut(usize, Option<usize>)) {
    let unit = GrowthBookAttribute::new("visitor_id".into(), GrowthBookAttributeValue::String(unit.into()));
    let attributes = Some(vec![unit]);
    for (number, name) in names.iter().enumerate() {
        let answer = black_box(sdk.check(name, &attributes));
        tell(number, answer.experiment_result.and_then(|result| usize::try_from(result.variation_id).ok()));
    }
}

fn differences(tests: &[Evaluator], sdk: &GrowthBook, names: &[String], unit: &str, holdout: &Holdout, now: DateTime<Utc>) -> usize {
    let mut answers = vec![(None, None); tests.len()];
    ours(tests, unit, holdout, now, |number, variant| answers[number].0 = variant);
    theirs(sdk, names, unit, |number, variant| answers[number].1 = variant);
    answers.iter().filter(|(mine, other)| mine != other).count()
}
