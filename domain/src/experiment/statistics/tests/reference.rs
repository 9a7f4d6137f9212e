//! Agreement with SciPy, statsmodels and mpmath, as `tests/reference/make_experiments.py` wrote it down.

use std::sync::LazyLock;

use rust_decimal::Decimal;
use serde_json::Value;

use super::super::{cuped, exact, special, *};
use crate::experiment::Plan;

static REFERENCE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../../tests/reference/experiments.json")).unwrap());

/// To 1e-6 of the expected; probabilities far below one have no absolute allowance.
#[track_caller]
fn assert_close(name: &str, got: impl Into<Option<f64>>, expected: &Value, allowance: f64) {
    let (got, expected) = (got.into(), expected.as_f64());
    match (got, expected) {
        (Some(got), Some(expected)) => {
            assert!((got - expected).abs() <= 1e-6 * expected.abs() + allowance, "{name}: got {got:e}, expected {expected:e}");
        }
        _ => assert_eq!(got, expected, "{name}"),
    }
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().map_or_else(|| Decimal::from(value.as_i64().unwrap()), |text| text.parse().unwrap())
}

fn statistics(case: &Value) -> (MetricKind, Vec<ArmStatistics>) {
    let is_rate = case["kind"] == "rate";
    let arms = case["arms"].as_array().unwrap().iter().map(|arm| {
        let units = arm[0].as_u64().unwrap();
        if is_rate {
            ArmStatistics::rate(units, arm[1].as_u64().unwrap())
        } else {
            ArmStatistics::mean(units, decimal(&arm[1]), decimal(&arm[2]))
        }
    });
    (if is_rate { MetricKind::Rate } else { MetricKind::Mean }, arms.collect())
}

fn analysis(case: &Value) -> Analysis {
    let (kind, arms) = statistics(case);
    let share = case["share"].as_f64().unwrap();
    let plan = Plan { planned_units: case["planned_units"].as_u64().unwrap(), ..Plan::default() };
    let arms = vec![("control".to_owned(), arms[0]), ("variant".to_owned(), arms[1])];
    analyse(&Question::new(kind, arms, vec![1.0 - share, share], plan)).unwrap()
}

fn cases() -> &'static Vec<Value> {
    REFERENCE["cases"].as_array().unwrap()
}

fn assert_interval(name: &str, got: Option<Interval>, expected: &Value, scale: f64) {
    assert_close(&format!("{name}, low"), got.map(|interval| interval.low), &expected["low"], 1e-12 * scale);
    assert_close(&format!("{name}, high"), got.and_then(|interval| interval.high), &expected["high"], 1e-12 * scale);
}

#[test]
fn there_are_enough_data_sets_and_the_packages_are_named() {
    assert!(cases().len() >= 20);
    assert!(["scipy", "statsmodels", "mpmath"].iter().all(|package| REFERENCE["versions"][package].is_string()));
}

#[test]
fn differences_and_lifts_agree_with_other_packages() {
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let difference = analysis(case).comparisons[0].difference;
        if let Some(expected) = case.get("absolute") {
            let got = difference.absolute;
            assert_close(name, got.estimate, &expected["estimate"], 1e-12);
            assert_close(name, got.standard_error, &expected["standard_error"], 0.0);
            assert_close(name, got.p, &expected["p"], 0.0);
            assert_interval(name, got.interval, expected, got.standard_error);
        }
        if let Some(expected) = case.get("lift") {
            let got = difference.lift.unwrap();
            assert_close(name, got.estimate, &expected["estimate"], 1e-12);
            assert_close(name, got.log_standard_error, &expected["log_standard_error"], 0.0);
            assert_close(name, got.p, &expected["p"], 0.0);
            assert_interval(name, got.interval, expected, 1.0);
        } else if case["kind"] == "mean" {
            assert_eq!(difference.lift, None, "{name}");
        }
        if let Some(expected) = case.get("fisher") {
            assert_eq!(difference.method, Method::Exact, "{name}");
            assert_close(name, difference.p, expected, 0.0);
            assert_interval(name, difference.absolute.interval, &case["newcombe"], 1.0);
        }
        if let Some(expected) = case.get("score_ratio") {
            assert_interval(name, difference.lift.unwrap().interval, expected, 1.0);
        }
    }
}

#[test]
fn always_valid_answers_agree_with_the_published_formulas() {
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let got = analysis(case).comparisons[0].always_valid;
        if let Some(expected) = case.get("always_valid") {
            assert_close(name, got.p, &expected["p"], 0.0);
        }
        if case["kind"] == "mean" {
            assert_interval(name, got.interval, &case["always_valid"], 1.0);
        } else {
            let (_, arms) = statistics(case);
            let cells = Cells { control: arms[0].cells(), variant: arms[1].cells() };
            let ln_e = ln_exact_e_value(cells, case["share"].as_f64().unwrap());
            assert_close(name, ln_e, &case["ln_exact_e_value"], 1e-9);
            let is_small = case.get("always_valid").is_none();
            assert_eq!(got.method == AlwaysValidMethod::ExactSplit, is_small, "{name}");
            if !is_small {
                assert_interval(name, got.interval, &case["always_valid_absolute"], 1.0);
            }
        }
    }
}

#[test]
fn beliefs_agree_with_exact_sums_and_integrals() {
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let beliefs = analysis(case).comparisons[0].beliefs.unwrap();
        let expected = &case["beliefs"];
        assert_close(name, beliefs.chance_to_win, &expected["chance_to_win"], 1e-14);
        assert_close(name, beliefs.loss_of_shipping, &expected["loss_of_shipping"], 1e-14);
        assert_close(name, beliefs.loss_of_keeping, &expected["loss_of_keeping"], 1e-14);
    }
}

#[test]
fn score_intervals_of_rates_agree_with_statsmodels() {
    for case in cases().iter().filter(|case| case["kind"] == "rate") {
        let name = case["name"].as_str().unwrap();
        for (arm, expected) in statistics(case).1.iter().zip(case["wilson"].as_array().unwrap()) {
            let (low, high) = exact::wilson(arm.cells(), 0.05);
            assert_close(name, low, &expected["low"], 1e-14);
            assert_close(name, high, &expected["high"], 1e-14);
        }
    }
}

#[test]
fn sample_ratio_checks_agree_with_scipy_and_loggamma() {
    for case in REFERENCE["srm"].as_array().unwrap() {
        let numbers = |field: &str| case[field].as_array().unwrap().clone();
        let period = WeightPeriod {
            weights: numbers("weights").iter().map(|weight| weight.as_f64().unwrap()).collect(),
            units: numbers("observed").iter().map(|units| units.as_u64().unwrap()).collect(),
        };
        let name = format!("{:?}", period.units);
        let rule = SrmRule { concentration: case["concentration"].as_f64().unwrap(), ..SrmRule::default() };
        let got = srm(&[period], rule).unwrap();
        assert_close(&name, got.p, &case["p"], 0.0);
        assert_close(&name, got.ln_e_value, &case["ln_e_value"], 1e-9);
    }
}

#[test]
fn corrections_agree_with_statsmodels() {
    for case in REFERENCE["corrections"].as_array().unwrap() {
        let p: Vec<f64> = case["p"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect();
        for (correction, name) in [(Correction::Holm, "holm"), (Correction::BenjaminiHochberg, "benjamini_hochberg")] {
            for (got, expected) in adjusted(&p, correction).into_iter().zip(case[name].as_array().unwrap()) {
                assert_close(name, got, expected, 0.0);
            }
        }
    }
}

#[test]
fn chances_to_be_best_agree_with_scipy() {
    for case in REFERENCE["best"].as_array().unwrap() {
        let arms: Vec<ArmStatistics> = case["arms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arm| ArmStatistics::rate(arm[0].as_u64().unwrap(), arm[1].as_u64().unwrap()))
            .collect();
        let weights = bandit_weights(MetricKind::Rate, &arms, 0.0).unwrap().unwrap();
        for (got, expected) in weights.chances_to_be_best.into_iter().zip(case["chances"].as_array().unwrap()) {
            assert_close(&case["arms"].to_string(), got, expected, 1e-9);
        }
    }
}

#[test]
fn cuped_is_the_analysis_of_covariance() {
    for case in REFERENCE["cuped"].as_array().unwrap() {
        let arms = case["arms"].as_array().unwrap().iter().map(|arm| {
            let covariate = CovariateSums { sum: decimal(&arm[3]), sum_squares: decimal(&arm[4]), sum_products: decimal(&arm[5]) };
            ArmStatistics {
                covariate: Some(covariate),
                ..ArmStatistics::mean(arm[0].as_u64().unwrap(), decimal(&arm[1]), decimal(&arm[2]))
            }
        });
        let arms: Vec<ArmStatistics> = arms.collect();
        let (moments, reduction) = cuped::adjusted(&arms, MetricKind::Mean).unwrap().unwrap();
        assert_close("theta", reduction.theta, &case["theta"], 0.0);
        assert_close("reduction", reduction.reduction, &case["reduction"], 0.0);
        assert_close("difference", moments[1].mean - moments[0].mean, &case["difference"], 0.0);
        assert_close("variance", moments[0].variance, &case["variances"][0], 0.0);
        assert_close("variance", moments[1].variance, &case["variances"][1], 0.0);
    }
}

#[test]
fn tails_of_student_agree_from_one_degree_of_freedom_to_many() {
    for case in REFERENCE["student"].as_array().unwrap() {
        let number = |field: &str| case[field].as_f64().unwrap();
        assert_close(&case.to_string(), special::student_two_sided(number("t"), number("freedom")), &case["p"], 0.0);
    }
}
