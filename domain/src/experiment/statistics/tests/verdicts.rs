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
    guardrail_of_all("success_rate", &[control, variant])
}

fn guardrail_of_all(metric: &str, arms: &[(u64, u64)]) -> GuardrailQuestion {
    let arms = arms.iter().map(|(units, successes)| ArmStatistics::rate(*units, *successes)).collect();
    GuardrailQuestion { metric: metric.into(), kind: MetricKind::Rate, margin: 0.05, arms }
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
    asked.arms[1].evidence_before = Some(Evidence { p: 0.01, difference: 0.02 });
    assert!(matches!(analyse(&asked).unwrap().verdict, Verdict::Winner { .. }));
    let said = sentence(&asked);
    assert!(said.ends_with("; an earlier look showed it, the figures of now alone would not"), "{said}");
}

#[test]
fn evidence_for_one_side_decides_nothing_once_the_figures_are_on_the_other() {
    let better = look(&question(&[("control", 5_000, 200), ("compact", 5_000, 280)])).unwrap().evidence[1];
    let mut later = question(&[("control", 20_000, 1_000), ("compact", 20_000, 985)]);
    later.arms[1].evidence_before = better;
    let analysis = analyse(&later).unwrap();
    let comparison = &analysis.comparisons[0];
    assert!(comparison.smallest_p < 0.01 && comparison.smallest_p_difference > 0.0, "{comparison:?}");
    assert_eq!((comparison.outcome, analysis.verdict), (Outcome::Open, Verdict::Inconclusive { is_plan_reached: true }));
    // The other way round as well, and the side that was shown is right again once the figures are back on it.
    let worse = Some(Evidence { p: 0.0088, difference: -0.016 });
    for (successes, outcome) in [(1_015, Outcome::Open), (985, Outcome::Worse)] {
        let mut later = question(&[("control", 20_000, 1_000), ("compact", 20_000, successes)]);
        later.arms[1].evidence_before = worse;
        assert_eq!(analyse(&later).unwrap().comparisons[0].outcome, outcome);
    }
}

#[test]
fn a_look_remembers_what_its_analysis_shows_and_nothing_of_a_handful_of_units() {
    let asked = question(&[("control", 5_000, 200), ("compact", 5_000, 280), ("wide", 99, 40)]);
    let (found, analysis) = (look(&asked).unwrap(), analyse(&asked).unwrap());
    let shown = &analysis.comparisons[0];
    assert_eq!(found.evidence, [None, Some(Evidence { p: shown.smallest_p, difference: shown.smallest_p_difference }), None]);
    assert_eq!(found.srm, analysis.srm);
    let mut later = question(&[("control", 6_000, 300), ("compact", 6_000, 310), ("wide", 99, 40)]);
    later.arms.iter_mut().zip(&found.evidence).for_each(|(arm, before)| arm.evidence_before = *before);
    assert_eq!(look(&later).unwrap().evidence, found.evidence, "weaker evidence replaces none");
}

/// Decided on the absolute scale, while the interval of the log ratio still holds no difference.
fn of_means() -> Question {
    let arm = |key: &str, sum: i64, squares: i64| (key.to_owned(), ArmStatistics::mean(1_000, sum.into(), squares.into()));
    let arms = vec![arm("control", 5_000, 183_841), arm("compact", 7_200, 210_681)];
    Question::new(MetricKind::Mean, arms, vec![1.0; 2], Plan::default())
}

#[test]
fn a_mean_is_told_with_the_interval_that_it_was_decided_by() {
    let comparison = &analyse(&of_means()).unwrap().comparisons[0];
    assert!(comparison.always_valid.lift_interval.unwrap().low < 0.0 && comparison.always_valid.interval.unwrap().low > 0.0);
    let said = sentence(&of_means());
    assert!(said.starts_with("`compact` wins: +44.0 %, that is +2.20 per unit (+0.0"), "{said}");
    let money = sentence(&Question { currency: Some(crate::Currency::USD), ..of_means() });
    assert!(money.starts_with("`compact` wins: +44.0 %, that is +0.0220 USD per unit (+0.000"), "{money}");
    let mut open = Question { is_over: true, ..of_means() };
    open.arms[1].statistics = ArmStatistics::mean(1_000, 5_100.into(), 184_851.into());
    let said = sentence(&open);
    assert!(said.contains("no difference was found; differences below -2.") && said.ends_with(" per unit are ruled out"), "{said}");
}

#[test]
fn several_variants_are_told_apart() {
    let asked = question(&[("control", 8_000, 800), ("compact", 8_000, 600), ("wide", 8_000, 805)]);
    let said = sentence(&asked);
    assert!(
        said.starts_with("inconclusive: the planned sample is reached; `compact` is worse; for `wide` no difference was found; lifts"),
        "{said}"
    );
    let running = Question { plan: Plan { planned_units: 48_000, ..Plan::default() }, ..asked };
    assert_eq!(sentence(&running), "keep running: 50 % of the planned sample; `compact` is worse");
}

#[test]
fn a_variant_that_does_harm_is_named_whatever_the_verdict_is() {
    let harmful = guardrail_of_all("success_rate", &[(8_000, 4_000), (8_000, 4_000), (8_000, 3_000)]);
    let take_out = "; take `wide` out: it lowers success_rate by more than the 5 % that are bearable";
    let won = question(&[("control", 8_000, 800), ("compact", 8_000, 1_000), ("wide", 8_000, 1_100)]);
    let won = sentence(&Question { guardrails: vec![harmful.clone()], ..won });
    assert!(won.starts_with("`compact` wins: +25.0 %") && won.ends_with(take_out) && !won.contains("the best of"), "{won}");
    let open = question(&[("control", 8_000, 800), ("compact", 8_000, 801), ("wide", 8_000, 1_100)]);
    let open = sentence(&Question { guardrails: vec![harmful.clone()], ..open });
    assert!(open.contains("; `wide` is better; for `compact` no difference was found") && open.ends_with(take_out), "{open}");
    let early = question(&[("control", 8_000, 800), ("compact", 99, 10), ("wide", 8_000, 801)]);
    let periods = vec![WeightPeriod { weights: vec![80.0, 1.0, 80.0], units: vec![8_000, 99, 8_000] }];
    let early = sentence(&Question { guardrails: vec![harmful], periods, ..early });
    assert!(early.starts_with("too early to tell: `compact` has 99 units") && early.ends_with(take_out), "{early}");

    let both = |metric| GuardrailQuestion { margin: 0.005, ..guardrail_of_all(metric, &[(8_000, 4_000), (8_000, 3_000), (8_000, 3_000)]) };
    let all = question(&[("control", 8_000, 800), ("compact", 8_000, 1_000), ("wide", 8_000, 1_100)]);
    let all = sentence(&Question { guardrails: vec![both("success_rate"), both("conversion_rate")], ..all });
    let lowers = "lowers success_rate by more than the 0.5 % and conversion_rate by more than the 0.5 % that are bearable";
    assert_eq!(all, format!("stop: `compact` {lowers}, `wide` {lowers}"));
}

#[test]
fn few_successes_are_judged_exactly_whatever_the_units_did_before() {
    let question = |successes: [i64; 2]| {
        let arms = ["control", "compact"].into_iter().zip(successes).map(|(key, successes)| {
            let covariate = CovariateSums { sum: 500.into(), sum_squares: 900.into(), sum_products: (2 * successes).into() };
            let statistics = ArmStatistics { covariate: Some(covariate), ..ArmStatistics::mean(500, successes.into(), successes.into()) };
            (key.to_owned(), statistics)
        });
        analyse(&Question::new(MetricKind::Rate, arms.collect(), vec![1.0; 2], Plan::default())).unwrap()
    };
    let few = question([2, 30]);
    assert_eq!((few.comparisons[0].always_valid.method, few.variance_reduction), (AlwaysValidMethod::ExactSplit, None));
    let many = question([20, 30]);
    assert!(many.comparisons[0].always_valid.method == AlwaysValidMethod::Absolute && many.variance_reduction.is_some());
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
