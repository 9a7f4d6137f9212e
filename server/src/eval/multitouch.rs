//! `eval multitouch`: what each channel of a programme contributed. JSON, on one line under `--json`.

use std::path::Path;

use domain::multitouch::{self, Field, Report};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;

use super::input::{Malformed, Row, Table};

const COLUMNS: [&str; 4] = ["path", "total_conversions", "total_conversion_value", "total_null"];

/// What joins the channels of a path.
const JOINT: &str = " > ";

/// Digits after the point of an amount: what 1e-9 needs, and some.
const DIGITS: u32 = 12;

#[derive(Serialize)]
struct Output {
    note: &'static str,
    #[serde(flatten)]
    report: Report<Box<RawValue>>,
}

pub fn evaluate(file: &Path, json: bool) -> Result<String, Malformed> {
    let mut paths = Vec::new();
    let rows = Table::open(file, &COLUMNS)?.for_each(|row| {
        paths.push(read_path(row)?);
        Ok(())
    })?;
    let refused = |refused: multitouch::Refused| Malformed::Whole { file: file.display().to_string(), what: refused.to_string() };
    let report = multitouch::report(&paths, DIGITS).map_err(refused)?.map_amounts(number);
    eprintln!("note: {rows} paths over {} channels", report.channels.len());
    let output = Output { note: "a report over the whole programme; it pays nobody", report };
    let text = if json { serde_json::to_string(&output) } else { serde_json::to_string_pretty(&output) };
    Ok(text.expect("names and finite numbers have a form in JSON") + "\n")
}

/// A JSON number with all digits of the decimal.
fn number(amount: Decimal) -> Box<RawValue> {
    RawValue::from_string(amount.normalize().to_string()).expect("a decimal number is one in JSON, too")
}

fn read_path(row: &Row) -> Result<multitouch::Path, Malformed> {
    let count = |field| row.parsed::<f64>(field, "a number from 0 up");
    let path = multitouch::Path {
        channels: row.text("path").split(JOINT).map(|channel| channel.trim().to_owned()).collect(),
        conversions: count("total_conversions")?,
        value: row.decimal("total_conversion_value")?,
        nulls: count("total_null")?,
    };
    if let Some(channel) = path.channels.iter().find(|channel| channel.contains('>')) {
        return Err(row.wrong("path", &format!("channel `{channel}` contains `>`; channels are joined by `{JOINT}`")));
    }
    path.check().map_err(|refused| row.wrong(column_of(refused.field()), &refused.to_string()))?;
    Ok(path)
}

fn column_of(field: Field) -> &'static str {
    match field {
        Field::Channels => "path",
        Field::Conversions => "total_conversions",
        Field::Value => "total_conversion_value",
        Field::Nulls => "total_null",
    }
}
