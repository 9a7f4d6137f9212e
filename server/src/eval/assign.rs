//! `eval assign`: hash, ranges and variant of units, by the published algorithm that the tests of the product are dealt by. JSON lines.

use std::path::Path;

use domain::experiment::{BucketRange, Reason, bucket_ranges, choose_variation, hash, in_namespace};
use serde::{Deserialize, Serialize};

use super::{
    input::Malformed,
    json_lines::{self, Refused},
};

const FIELDS: [&str; 6] = ["seed", "unit", "weights", "coverage", "hash_version", "namespace"];

/// The reason for a hash that does not exist; all others are those of the product.
const UNKNOWN_HASH_VERSION: &str = "unknown_hash_version";

#[derive(Deserialize)]
struct Row {
    seed: String,
    unit: Unit,
    weights: Vec<f64>,
    coverage: Option<f64>,
    hash_version: i64,
    /// Name, start and end.
    namespace: Option<(String, f64, f64)>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a whole number")]
enum Unit {
    Text(String),
    Number(i64),
}

#[derive(Serialize)]
struct Answer {
    hash: Option<f64>,
    bucket_ranges: Vec<(f64, f64)>,
    variant: Option<usize>,
    reason: &'static str,
}

pub fn evaluate(file: &Path) -> Result<String, Malformed> {
    let mut output = String::new();
    let rows = json_lines::for_each(file, &FIELDS, |row: Row| {
        check(&row)?;
        output += &serde_json::to_string(&assign(&row)).expect("finite numbers have a form in JSON");
        output.push('\n');
        Ok(())
    })?;
    eprintln!("note: {rows} units");
    Ok(output)
}

fn check(row: &Row) -> Result<(), Refused> {
    if row.weights.is_empty() {
        return Err(Refused { field: "weights".to_owned(), what: "is empty, expected a weight for each variant".to_owned() });
    }
    let negative = row.weights.iter().enumerate().find(|(_, weight)| **weight < 0.0);
    negative.map_or(Ok(()), |(index, weight)| {
        Err(Refused { field: format!("weights[{index}]"), what: format!("`{weight}` is negative, expected a number from 0 up") })
    })
}

fn assign(row: &Row) -> Answer {
    // As in the published algorithm, an empty text and the number 0 are no unit.
    let (unit, is_unit) = match &row.unit {
        Unit::Text(text) => (text.clone(), !text.is_empty()),
        Unit::Number(number) => (number.to_string(), *number != 0),
    };
    let hash = u8::try_from(row.hash_version).ok().and_then(|version| hash(&row.seed, &unit, version));
    let ranges = bucket_ranges(row.weights.len(), row.coverage.unwrap_or(1.0), Some(&row.weights));
    let is_in = |(name, start, end): &(String, f64, f64)| in_namespace(&unit, name, BucketRange { start: *start, end: *end });
    let variant = hash.and_then(|hash| choose_variation(hash, &ranges));
    let reason = if !is_unit {
        Reason::NoUnit.as_str()
    } else if hash.is_none() {
        UNKNOWN_HASH_VERSION
    } else if !row.namespace.as_ref().is_none_or(is_in) {
        Reason::Excluded.as_str()
    } else if variant.is_none() {
        Reason::NotInTraffic.as_str()
    } else {
        Reason::Assigned.as_str()
    };
    Answer {
        hash,
        bucket_ranges: ranges.iter().map(|range| (range.start, range.end)).collect(),
        variant: variant.filter(|_| reason == Reason::Assigned.as_str()),
        reason,
    }
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
        evaluate(&folder.file("units.jsonl", text)).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The error of a file with this one line after a good one.
    fn refused(name: &str, line: &str) -> String {
        let folder = Folder::new(name);
        let good = r#"{"seed": "a", "unit": "b", "weights": [0.5, 0.5], "hash_version": 2}"#;
        let error = evaluate(&folder.file("units.jsonl", &format!("{good}\n{line}\n"))).unwrap_err().to_string();
        error.split_once("units.jsonl").unwrap().1.to_owned()
    }

    #[test]
    fn the_example_of_the_manual_gives_what_it_shows() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/eval");
        let manual = fs::read_to_string(folder.join("../EVAL.md")).unwrap();
        let output = evaluate(&folder.join("assign.jsonl")).unwrap();
        assert!(manual.contains(&output), "the manual should show\n{output}");
        assert!(manual.contains(&fs::read_to_string(folder.join("assign.jsonl")).unwrap()));
    }

    #[test]
    fn coverage_and_namespace_may_be_null_and_other_fields_are_not_read() {
        let plain = r#"{"seed": "a", "unit": "b", "weights": [0.5, 0.5], "hash_version": 2}"#;
        let nulls = r#"{"id": 7, "seed": "a", "unit": "b", "weights": [0.5, 0.5], "coverage": null, "hash_version": 2, "namespace": null}"#;
        let answers = answers("assign-nulls", &format!("{plain}\n{nulls}"));
        assert_eq!(answers[0], answers[1]);
    }

    #[test]
    fn a_weight_of_17_digits_is_read_to_the_last_bit() {
        let row = r#"{"seed": "a", "unit": "b", "weights": [0.30000000000000004, 0.6999999999999998], "hash_version": 2}"#;
        assert_eq!(answers("assign-digits", row)[0]["bucket_ranges"][1][0], json!(0.1 + 0.2));
    }

    #[test]
    fn a_number_is_the_same_unit_as_its_text_and_zero_is_none() {
        let row = |unit| format!("{{\"seed\": \"a\", \"unit\": {unit}, \"weights\": [0.5, 0.5], \"hash_version\": 2}}\n");
        let answers = answers("assign-numbers", &["12", "\"12\"", "0", "\"0\""].map(row).concat());
        assert_eq!(answers[0], answers[1]);
        assert_eq!([&answers[2]["reason"], &answers[3]["reason"]], ["no_unit", "assigned"]);
    }

    #[test]
    fn an_empty_file_has_no_answers() {
        assert_eq!(answers("assign-empty", ""), Vec::<Value>::new());
    }

    #[test]
    fn a_wrong_line_is_named_with_line_and_field() {
        let with = |field: &str, value: &str| {
            let mut row = json!({ "seed": "a", "unit": "b", "weights": [0.5, 0.5], "hash_version": 2 });
            row[field] = serde_json::from_str(value).unwrap();
            refused(&format!("assign-{field}-{}", value.len()), &row.to_string())
        };
        assert!(with("seed", "5").starts_with(":2: field `seed`: invalid type: integer `5`, expected a string"));
        assert!(with("unit", "1.5").starts_with(":2: field `unit`: expected a text or a whole number"));
        assert!(with("weights", "[0.5, \"x\"]").starts_with(":2: field `weights[1]`: invalid type"));
        assert_eq!(with("weights", "[]"), ":2: field `weights`: is empty, expected a weight for each variant");
        assert_eq!(with("weights", "[1, -0.5]"), ":2: field `weights[1]`: `-0.5` is negative, expected a number from 0 up");
        assert!(with("coverage", "\"all\"").starts_with(":2: field `coverage`: invalid type"));
        assert!(with("hash_version", "null").starts_with(":2: field `hash_version`: invalid type"));
        assert!(with("namespace", "[\"a\", 0]").starts_with(":2: field `namespace"));
    }

    #[test]
    fn a_line_that_is_no_such_object_is_named() {
        let missing = refused("assign-missing", r#"{"seed": "a", "unit": "b", "hash_version": 2}"#);
        assert!(missing.starts_with(":2: missing field `weights`"), "{missing}");
        let twice = refused("assign-twice", r#"{"seed": "a", "seed": "b", "unit": "b", "weights": [1], "hash_version": 2}"#);
        assert!(twice.starts_with(":2: ") && twice.contains("duplicate field `seed`"), "{twice}");
        assert!(refused("assign-text", "no json").starts_with(":2: expected ident"));
        assert!(refused("assign-blank", "").starts_with(":2: EOF"));
        let list = refused("assign-list", r#"["a", "b", [1], null, 2, null]"#);
        assert!(list.starts_with(":2: invalid type: sequence, expected a map"), "{list}");
        let more = r#"{"seed": "a", "unit": "b", "weights": [1], "hash_version": 2} more"#;
        assert!(refused("assign-more", more).starts_with(":2: trailing characters"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        assert!(evaluate(Path::new("absent.jsonl")).unwrap_err().to_string().contains("absent.jsonl: "));
    }
}
