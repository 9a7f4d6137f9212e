//! What is said of a test, from its start to its end.

use chrono::{TimeZone, Utc};

use super::super::*;
use crate::experiment::Plan;

fn question(arms: &[(&str, u64, u64)]) -> Question {
    let named = arms.iter().map(|(key, units, successes)| ((*key).to_owned(), ArmStatistics::rate(*units, *successes)));
    Question::new(MetricKind::Rate, named.collect(), vec![1.0; arms.len()], Plan::default())
}

fn sentence(question: &Question) -> String {
    analyse(question).unwrap().sentence
}

fn guardrail(control: (u64, u64), variant: (u64, u64)) -> GuardrailQuestion {
    let arms = vec![ArmStatistics::rate(control.0, control.1), ArmStatistics::rate(variant.0, variant.1)];
    GuardrailQuestion { metric: "success_rate".into(), kind: MetricKind::Rate, margin: 0.05, arms }
}

#[test]
fn a_test_begins_with_too_few_units() {
    let analysis = analyse(&question(&[("control", 150, 10), ("compact", 40, 30)])).unwrap();
    assert_eq!(analysis.verdict, Verdict::TooFewUnits { variant: "compact".into(), units: 40, needed: UNITS_MIN });
    assert_eq!(analyse(&question(&[("control", 0, 0), ("compact", 0, 0)])).unwrap().arms[0].mean, None);
}

#[test]
fn an_open_test_says_how_far_it_is() {
    assert_eq!(sentence(&question(&[("control", 6_200, 600), ("compact", 6_200, 610)])), "keep running: 62 % of the planned sample");
}

#[test]
fn a_test_at_its_end_without_a_difference_is_inconclusive_and_says_what_it_ruled_out() {
    let said = sentence(&question(&[("control", 10_100, 1_000), ("compact", 10_100, 1_010)]));
    assert!(said.starts_with("inconclusive: the planned sample is reached and no difference was found; lifts below -"), "{said}");
    let over = Question { is_over: true, ..question(&[("control", 2_000, 200), ("compact", 2_000, 210)]) };
    assert!(sentence(&over).starts_with("inconclusive: the test is over at 20 % of the planned sample"));
}

#[test]
fn a_clear_winner_is_named_with_its_lift() {
    let said = sentence(&question(&[("control", 8_000, 800), ("compact", 8_000, 1_000), ("wide", 8_000, 990)]));
    assert!(said.starts_with("`compact` wins: +25.0 % (+"), "{said}");
    assert!(said.contains("the best of 2 that beat the control"), "{said}");
}

#[test]
fn when_every_variant_is_worse_the_control_wins() {
    assert_eq!(analyse(&question(&[("control", 8_000, 1_000), ("compact", 8_000, 800)])).unwrap().verdict, Verdict::ControlWins);
}

#[test]
fn a_mismatch_of_units_comes_before_everything() {
    let since = Utc.with_ymd_and_hms(2026, 3, 4, 5, 6, 0).unwrap();
    let asked = question(&[("control", 11_000, 800), ("compact", 9_000, 1_000)]);
    assert_eq!(analyse(&asked).unwrap().verdict, Verdict::SampleRatioMismatch { since: None });
    let said = sentence(&Question { mismatch_since: Some(since), ..asked });
    assert!(
        said.starts_with("do not trust these numbers: sample-ratio mismatch since 2026-03-04 05:06 UTC, the arms have 11000 / 9000"),
        "{said}"
    );
    // An alarm stays, whatever the units are later.
    let later = Question { mismatch_since: Some(since), ..question(&[("control", 50_000, 800), ("compact", 50_000, 1_000)]) };
    assert_eq!(analyse(&later).unwrap().verdict, Verdict::SampleRatioMismatch { since: Some(since) });
}

#[test]
fn a_harmed_guardrail_stops_even_a_winner() {
    let asked = question(&[("control", 8_000, 800), ("compact", 8_000, 1_000)]);
    let harmed = Question { guardrails: vec![guardrail((8_000, 4_000), (8_000, 3_000))], ..asked.clone() };
    assert_eq!(sentence(&harmed), "stop: `compact` lowers success_rate by more than the 5 % that are bearable");
    let unclear = Question { guardrails: vec![guardrail((8_000, 80), (8_000, 80))], ..asked.clone() };
    assert!(sentence(&unclear).ends_with("; not shown yet that it keeps success_rate"));
    let holds = Question { guardrails: vec![guardrail((8_000, 6_000), (8_000, 6_100))], ..asked };
    assert_eq!(analyse(&holds).unwrap().comparisons[0].guardrails[0].verdict, GuardrailVerdict::Holds);
}

#[test]
fn a_guardrail_that_nobody_meets_any_more_is_harmed_and_one_without_a_baseline_unclear() {
    let of = |control, variant| {
        let arms = [ArmStatistics::rate(5_000, control), ArmStatistics::rate(5_000, variant)];
        let [control, variant] = arms.map(|arm| arm.moments(MetricKind::Rate).unwrap());
        super::super::guardrail("click_rate", 0.1, control, variant, Reading::Sequential, 0.05, 10_000.0).verdict
    };
    assert_eq!(of(200, 0), GuardrailVerdict::Harmed);
    assert_eq!(of(0, 200), GuardrailVerdict::Unclear);
    assert_eq!(of(0, 0), GuardrailVerdict::Unclear);
}

#[test]
fn an_earlier_p_value_keeps_counting() {
    let mut asked = question(&[("control", 6_000, 600), ("compact", 6_000, 640)]);
    assert!(matches!(analyse(&asked).unwrap().verdict, Verdict::KeepRunning { .. }));
    asked.arms[1].smallest_p_before = Some(0.01);
    assert!(matches!(analyse(&asked).unwrap().verdict, Verdict::Winner { .. }));
}

#[test]
fn a_test_that_is_read_once_is_not_read_before_its_end() {
    let early = Question { reading: Reading::FixedHorizon, ..question(&[("control", 6_000, 600), ("compact", 6_000, 800)]) };
    assert!(sentence(&early).starts_with("keep running: 60 % of the planned sample; read the result"));
    let end = Question { reading: Reading::FixedHorizon, ..question(&[("control", 10_000, 1_000), ("compact", 10_000, 1_100)]) };
    assert!(matches!(analyse(&end).unwrap().verdict, Verdict::Winner { .. }));
}

#[test]
fn zero_of_five_hundred_against_seven_has_an_answer() {
    let answer = &analyse(&question(&[("control", 500, 0), ("compact", 500, 7)])).unwrap().comparisons[0];
    assert_eq!((answer.difference.method, answer.always_valid.method), (Method::Exact, AlwaysValidMethod::ExactSplit));
    assert!(answer.difference.p.unwrap() < 0.02 && answer.always_valid.p < 0.1 && answer.beliefs.unwrap().chance_to_win > 0.99);
    assert!(answer.difference.lift.is_none() && answer.difference.absolute.interval.unwrap().low > 0.0);
}

#[test]
fn a_prior_of_no_lift_draws_the_chance_to_win_towards_one_half() {
    let asked = question(&[("control", 1_000, 100), ("compact", 1_000, 130)]);
    let flat = analyse(&asked).unwrap().comparisons[0].beliefs.unwrap().chance_to_win;
    let sceptical = Question { prior: Some(LiftPrior { mean: 0.0, deviation: 0.05 }), ..asked };
    let drawn = analyse(&sceptical).unwrap().comparisons[0].beliefs.unwrap().chance_to_win;
    assert!(drawn < flat && drawn > 0.5, "{drawn} {flat}");
}
