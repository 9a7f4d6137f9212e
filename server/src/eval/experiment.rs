//! `eval experiment`: what the statistics of an experiment's arms say, by the functions that judge the tests of the product. JSON lines.

use std::path::Path;

use domain::experiment::{
    Plan,
    statistics::{self, AlwaysValidMethod, ArmStatistics, Comparison, Interval, LiftPrior, Method, MetricKind, Question, Verdict},
};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::{
    input::{Malformed, json_decimal},
    json_lines::{self, Refused},
};

const FIELDS: [&str; 7] = ["id", "metric", "arms", "weights", "alpha", "planned_n", "prior"];

/// Units of a comparison at which its confidence sequence is narrowest, unless the row says.
const PLANNED_N: u64 = 5_000;

#[derive(Deserialize)]
struct Row {
    id: Value,
    metric: Metric,
    arms: Vec<Arm>,
    weights: Option<Vec<f64>>,
    alpha: Option<f64>,
    planned_n: Option<Number>,
    prior: Option<Prior>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Metric {
    Binomial,
    Mean,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arm {
    n: Number,
    sum: Number,
    /// May be absent for a binomial metric, where it is the sum.
    sum_squares: Option<Number>,
}

/// Normal, on the lift; one of `sd` and `variance`. With gbstats' names too, where an improper prior says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prior {
    mean: f64,
    #[serde(alias = "stddev")]
    sd: Option<f64>,
    variance: Option<f64>,
    proper: Option<bool>,
}

#[derive(Serialize)]
struct Answer {
    id: Value,
    alpha: f64,
    planned_n: u64,
    arms: Vec<ArmAnswer>,
    comparisons: Vec<ComparisonAnswer>,
    srm: SrmAnswer,
    verdict: Verdict,
    sentence: String,
}

#[derive(Serialize)]
struct ArmAnswer {
    n: u64,
    mean: Option<f64>,
    sd: Option<f64>,
    interval: Option<Bounds>,
    chance_to_be_best: Option<f64>,
}

/// An arm against the first one.
#[derive(Serialize)]
struct ComparisonAnswer {
    arm: usize,
    difference: f64,
    standard_error: f64,
    interval: Option<Bounds>,
    lift: Option<f64>,
    log_ratio_standard_error: Option<f64>,
    lift_interval: Option<Bounds>,
    p: Option<f64>,
    p_method: Method,
    p_absolute: Option<f64>,
    p_log_ratio: Option<f64>,
    p_adjusted: Option<f64>,
    always_valid_p: f64,
    always_valid_method: AlwaysValidMethod,
    always_valid_interval: Option<Bounds>,
    always_valid_lift_interval: Option<Bounds>,
    always_valid_p_absolute: Option<f64>,
    always_valid_p_log_ratio: Option<f64>,
    always_valid_p_adjusted: f64,
    chance_to_win: Option<f64>,
    expected_loss_of_shipping: Option<f64>,
    expected_loss_of_keeping: Option<f64>,
}

#[derive(Serialize)]
struct SrmAnswer {
    p: f64,
    p_sequential: f64,
    ln_e_value: f64,
    is_alarm: bool,
}

/// Low and high; `null` is no bound.
type Bounds = (f64, Option<f64>);

pub fn evaluate(file: &Path) -> Result<String, Malformed> {
    let mut output = String::new();
    let rows = json_lines::for_each(file, &FIELDS, |row: Row| {
        output += &serde_json::to_string(&answer(row)?).expect("finite numbers have a form in JSON");
        output.push('\n');
        Ok(())
    })?;
    eprintln!("note: {rows} experiments");
    Ok(output)
}

fn answer(row: Row) -> Result<Answer, Refused> {
    let question = question(&row)?;
    let analysis = statistics::analyse(&question).map_err(|invalid| refused(field_of(&invalid.field), invalid.reason))?;
    let srm = SrmAnswer {
        p: analysis.srm.p,
        p_sequential: analysis.srm.p_sequential,
        ln_e_value: analysis.srm.ln_e_value,
        is_alarm: analysis.srm.is_alarm,
    };
    let comparisons = analysis.comparisons.iter().enumerate();
    Ok(Answer {
        id: row.id,
        alpha: analysis.alpha,
        planned_n: analysis.planned_units,
        comparisons: comparisons.map(|(place, comparison)| comparison_answer(&question, place + 1, comparison)).collect(),
        arms: analysis
            .arms
            .iter()
            .map(|arm| ArmAnswer {
                n: arm.units,
                mean: arm.mean,
                sd: arm.deviation,
                interval: arm.interval.map(bounds),
                chance_to_be_best: arm.chance_to_be_best,
            })
            .collect(),
        srm,
        verdict: analysis.verdict,
        sentence: analysis.sentence,
    })
}

fn comparison_answer(question: &Question, arm: usize, comparison: &Comparison) -> ComparisonAnswer {
    let (absolute, lift) = (comparison.difference.absolute, comparison.difference.lift);
    let always_valid = comparison.always_valid;
    let units = (question.arms[0].statistics.units + question.arms[arm].statistics.units) as f64;
    // Both scales, whichever decides.
    let rho2 = statistics::tuning(question.plan.planned_units as f64, question.plan.alpha);
    let p_of = |estimate: f64, error: f64| {
        (error > 0.0 && units > 0.0).then(|| statistics::p_of(statistics::ln_e_value(estimate / error, units, rho2)))
    };
    ComparisonAnswer {
        arm,
        difference: absolute.estimate,
        standard_error: absolute.standard_error,
        interval: absolute.interval.map(bounds),
        lift: lift.map(|lift| lift.estimate),
        log_ratio_standard_error: lift.and_then(|lift| lift.log_standard_error),
        lift_interval: lift.and_then(|lift| lift.interval).map(bounds),
        p: comparison.difference.p,
        p_method: comparison.difference.method,
        p_absolute: absolute.p,
        p_log_ratio: lift.and_then(|lift| lift.p),
        p_adjusted: comparison.p_adjusted,
        always_valid_p: always_valid.p,
        always_valid_method: always_valid.method,
        always_valid_interval: always_valid.interval.map(bounds),
        always_valid_lift_interval: always_valid.lift_interval.map(bounds),
        always_valid_p_absolute: p_of(absolute.estimate, absolute.standard_error),
        always_valid_p_log_ratio: lift.and_then(|lift| p_of(lift.estimate.ln_1p(), lift.log_standard_error?)),
        always_valid_p_adjusted: comparison.smallest_p_adjusted,
        chance_to_win: comparison.beliefs.map(|beliefs| beliefs.chance_to_win),
        expected_loss_of_shipping: comparison.beliefs.map(|beliefs| beliefs.loss_of_shipping),
        expected_loss_of_keeping: comparison.beliefs.map(|beliefs| beliefs.loss_of_keeping),
    }
}

fn question(row: &Row) -> Result<Question, Refused> {
    let arms = row.arms.iter().enumerate().map(|(index, arm)| Ok((index.to_string(), read_arm(row.metric, index, arm)?)));
    let arms = arms.collect::<Result<Vec<_>, _>>()?;
    if arms.len() < 2 {
        return Err(refused("arms".to_owned(), format!("{} arms: a comparison takes a control and a variant", arms.len())));
    }
    let weights = row.weights.clone().unwrap_or_else(|| vec![1.0; arms.len()]);
    if weights.len() != arms.len() {
        return Err(refused("weights".to_owned(), format!("{} weights for {} arms", weights.len(), arms.len())));
    }
    if weights.iter().any(|weight| *weight < 0.0) || weights.iter().sum::<f64>() <= 0.0 {
        return Err(refused("weights".to_owned(), format!("{weights:?} must be from 0 up, and not all 0")));
    }
    let planned_n = row.planned_n.as_ref().map_or(Ok(PLANNED_N), |number| read_count("planned_n", number))?;
    if planned_n == 0 {
        return Err(refused("planned_n".to_owned(), "0 must be at least 1".to_owned()));
    }
    let kind = match row.metric {
        Metric::Binomial => MetricKind::Rate,
        Metric::Mean => MetricKind::Mean,
    };
    let plan = Plan { planned_units: planned_n, alpha: row.alpha.unwrap_or(Plan::default().alpha), ..Plan::default() };
    let prior = row.prior.as_ref().filter(|prior| prior.proper != Some(false)).map(read_prior).transpose()?;
    Ok(Question { prior, tuned_units: Some(planned_n as f64), ..Question::new(kind, arms, weights, plan) })
}

fn read_arm(metric: Metric, index: usize, arm: &Arm) -> Result<ArmStatistics, Refused> {
    let units = read_count(&format!("arms[{index}].n"), &arm.n)?;
    let sum = read_decimal(&format!("arms[{index}].sum"), &arm.sum)?;
    let field = format!("arms[{index}].sum_squares");
    let sum_squares = match (&arm.sum_squares, metric) {
        (Some(number), _) => read_decimal(&field, number)?,
        (None, Metric::Binomial) => sum,
        (None, Metric::Mean) => return Err(refused(field, "is missing, and a mean needs it".to_owned())),
    };
    Ok(ArmStatistics::mean(units, sum, sum_squares))
}

/// Also `500.0`, as some programs write counts.
fn read_count(field: &str, number: &Number) -> Result<u64, Refused> {
    let count = read_decimal(field, number)?;
    let whole = if count.is_integer() { u64::try_from(count.trunc()).ok() } else { None };
    whole.ok_or_else(|| refused(field.to_owned(), format!("`{number}` must be a whole number from 0 up")))
}

/// With as many of its digits as 28 hold.
fn read_decimal(field: &str, number: &Number) -> Result<Decimal, Refused> {
    let decimal = json_decimal(&Value::Number(number.clone())).or_else(|| number.as_f64().and_then(Decimal::from_f64));
    decimal.ok_or_else(|| refused(field.to_owned(), format!("`{number}` does not fit into 28 digits; use a larger unit")))
}

fn read_prior(prior: &Prior) -> Result<LiftPrior, Refused> {
    let deviation = match (prior.sd, prior.variance) {
        (Some(sd), None) if sd > 0.0 => sd,
        (None, Some(variance)) if variance > 0.0 => variance.sqrt(),
        _ => return Err(refused("prior".to_owned(), "needs either `sd` or `variance`, above 0".to_owned())),
    };
    Ok(LiftPrior { mean: prior.mean, deviation })
}

fn bounds(interval: Interval) -> Bounds {
    (interval.low, interval.high)
}

fn refused(field: String, what: String) -> Refused {
    Refused { field, what }
}

/// `arms.1.sum` as `arms[1].sum`.
fn field_of(path: &str) -> String {
    let parts = path.split('.').map(|part| if part.parse::<usize>().is_ok() { format!("[{part}]") } else { format!(".{part}") });
    parts.collect::<String>().trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::{fs, path::Path};

    use serde_json::{Value, json};

    use super::evaluate;
    use crate::eval::tests::Folder;

    fn answers(name: &str, text: &str) -> Vec<Value> {
        let folder = Folder::new(name);
        evaluate(&folder.file("arms.jsonl", text)).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn good() -> Value {
        json!({ "id": "a", "metric": "binomial", "arms": [{ "n": 1000, "sum": 100, "sum_squares": 100 }, { "n": 1000, "sum": 130, "sum_squares": 130 }] })
    }

    /// The error of a file with this line after a good one.
    fn refused(name: &str, line: &str) -> String {
        let folder = Folder::new(name);
        let error = evaluate(&folder.file("arms.jsonl", &format!("{}\n{line}\n", good()))).unwrap_err().to_string();
        error.split_once("arms.jsonl").unwrap().1.to_owned()
    }

    #[test]
    fn the_example_of_the_manual_gives_what_it_shows() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/eval");
        let manual = fs::read_to_string(folder.join("../EVAL.md")).unwrap();
        let output = evaluate(&folder.join("experiment.jsonl")).unwrap();
        let first = serde_json::from_str::<Value>(output.lines().next().unwrap()).unwrap();
        let shown =
            manual.split_once("eval experiment docs/eval/experiment.jsonl | head -1 | jq .\n").unwrap().1.split_once("```").unwrap().0;
        assert_eq!(first, serde_json::from_str::<Value>(shown).unwrap(), "the manual should show\n{output}");
        for line in output.lines() {
            let sentence = serde_json::from_str::<Value>(line).unwrap()["sentence"].as_str().unwrap().to_owned();
            assert!(manual.contains(&sentence), "the manual should show\n{sentence}");
        }
        assert!(manual.contains(&fs::read_to_string(folder.join("experiment.jsonl")).unwrap()));
    }

    #[test]
    fn every_line_has_an_answer_in_its_place_with_its_id() {
        let mut second = good();
        second["id"] = json!(7);
        second["arms"].as_array_mut().unwrap().push(json!({ "n": 900.0, "sum": 0 }));
        let answers = answers("experiment-order", &format!("{}\n{second}\n", good()));
        assert_eq!([&answers[0]["id"], &answers[1]["id"]], [&json!("a"), &json!(7)]);
        assert_eq!(answers[1]["comparisons"].as_array().unwrap().len(), 2);
        assert_eq!(answers[1]["comparisons"][1]["p_method"], "exact");
        assert_eq!(answers[1]["srm"]["is_alarm"], false);
    }

    #[test]
    fn optional_fields_count() {
        let with = |field: &str, value: Value| {
            let mut row = good();
            row[field] = value;
            answers(&format!("experiment-with-{field}"), &row.to_string()).remove(0)
        };
        let plain = answers("experiment-plain", &good().to_string()).remove(0);
        assert_ne!(with("weights", json!([0.9, 0.1]))["srm"]["p"], plain["srm"]["p"]);
        assert_ne!(with("alpha", json!(0.01))["comparisons"][0]["interval"], plain["comparisons"][0]["interval"]);
        assert_ne!(with("planned_n", json!(100_000))["comparisons"][0]["always_valid_p"], plain["comparisons"][0]["always_valid_p"]);
        let prior = with("prior", json!({ "mean": 0, "sd": 0.1 }));
        assert_ne!(prior["comparisons"][0]["chance_to_win"], plain["comparisons"][0]["chance_to_win"]);
        assert_eq!(prior["comparisons"][0]["p"], plain["comparisons"][0]["p"]);
    }

    #[test]
    fn a_prior_may_have_the_names_of_gbstats() {
        let with = |name: &str, prior: Value| {
            let mut row = good();
            row["prior"] = prior;
            answers(&format!("experiment-prior-{name}"), &row.to_string()).remove(0)
        };
        let ours = with("ours", json!({ "mean": 0, "sd": 0.1 }));
        assert_eq!(with("theirs", json!({ "mean": 0, "stddev": 0.1, "proper": true })), ours);
        assert_eq!(
            with("improper", json!({ "mean": 0, "stddev": 0.1, "proper": false })),
            answers("experiment-no-prior", &good().to_string())[0]
        );
    }

    #[test]
    fn sums_of_many_digits_lose_none() {
        let row = json!({ "id": 1, "metric": "mean", "arms": [
            { "n": 2, "sum": 2_000_000_001_u64, "sum_squares": 2_000_000_002_000_000_001_u64 },
            { "n": 2, "sum": 2_000_000_003_u64, "sum_squares": 2_000_000_006_000_000_005_u64 },
        ] });
        assert_eq!(answers("experiment-digits", &row.to_string())[0]["arms"][0]["sd"], json!(0.5_f64.sqrt()));
    }

    #[test]
    fn a_wrong_line_is_named_with_line_and_field() {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut row = good();
            change(&mut row);
            refused(&format!("experiment-wrong-{}", row.to_string().len()), &row.to_string())
        };
        let named = |change: &dyn Fn(&mut Value), expected: &str| {
            let error = with(change);
            assert!(error.starts_with(&format!(":2: field `{expected}")), "{error}");
        };
        named(&|row| row["metric"] = json!("median"), "metric`: unknown variant `median`");
        named(&|row| row["arms"] = json!([]), "arms`: 0 arms");
        named(&|row| row["arms"][1]["n"] = json!(-5), "arms[1].n`: `-5` must be a whole number from 0 up");
        named(&|row| row["arms"][1]["n"] = json!(10.5), "arms[1].n`: `10.5` must be");
        named(&|row| row["arms"][1]["sum"] = json!("x"), "arms[1].sum`: invalid type");
        named(&|row| row["arms"][1]["sum"] = json!(1_001), "arms[1].sum`: 1001 successes");
        named(&|row| row["arms"][1]["sum_squares"] = json!(131), "arms[1].sum_squares`: 131 must equal");
        named(&|row| row["arms"][1]["sum_squares"] = json!(1e40), "arms[1].sum_squares`: `1e+40` does not fit");
        named(&|row| row["arms"][1]["total"] = json!(1), "arms[1].total`: unknown field");
        let without = json!({ "id": "a", "metric": "mean", "arms": [{ "n": 9, "sum": 1 }, { "n": 9, "sum": 2 }] });
        named(&|row| *row = without.clone(), "arms[0].sum_squares`: is missing");
        named(&|row| row["weights"] = json!([1]), "weights`: 1 weights for 2 arms");
        named(&|row| row["weights"] = json!([1, -1]), "weights`: [1.0, -1.0] must be");
        named(&|row| row["alpha"] = json!(1.5), "alpha`: alpha 1.5");
        named(&|row| row["planned_n"] = json!(0), "planned_n`: 0 must be");
        named(&|row| row["prior"] = json!({ "mean": 0 }), "prior`: needs either");
    }
}
