//! The report as a file: a line per channel, the models side by side.

use domain::{
    Money,
    export::{csv, guard_cell},
    multitouch::Model,
};

use super::{Channel, MultitouchReport};

/// The report as CSV. The first lines say what it is, of which period and how many; every line has the same number of cells.
/// Conversions have six digits after the point, values the digits of their currency.
pub fn to_csv(report: &MultitouchReport) -> String {
    let header = header(report);
    let width = header.len();
    let mut notes = vec![
        ["note".to_owned(), "a report over the whole programme; it pays nobody".to_owned()],
        ["from".to_owned(), report.period.from.to_rfc3339()],
        ["to".to_owned(), report.cut_at.unwrap_or(report.period.to).to_rfc3339()],
        ["clicks".to_owned(), report.clicks.to_string()],
        ["people".to_owned(), report.people.to_string()],
        ["conversions".to_owned(), report.conversions.to_string()],
        ["paths_without_conversion".to_owned(), report.nulls.to_string()],
        ["value".to_owned(), format!("{} {}", report.value.to_decimal(), report.value.currency)],
    ];
    if let Some(cut_at) = report.cut_at {
        notes.push(["cut".to_owned(), format!("what happened from {} on was not looked at", cut_at.to_rfc3339())]);
    }
    let padded = notes.into_iter().map(|note| {
        let mut cells = note.to_vec();
        cells.resize(width, String::new());
        cells
    });
    let lines = report.channels.iter().map(|channel| line(channel, report));
    csv(padded.chain([header]).chain(lines))
}

fn header(report: &MultitouchReport) -> Vec<String> {
    let mut header = vec![report.by.name().to_owned(), "name".to_owned(), "clicks".to_owned()];
    header.extend(Model::ALL.map(|model| format!("conversions_{}", model.name())));
    header.extend(Model::ALL.map(|model| format!("value_{}", model.name())));
    header.extend(["removal_effect_with_nulls", "removal_effect_without_nulls", "per_order_conversions"].map(str::to_owned));
    header.extend(["per_order_commission", "per_order_commission_paid"].map(str::to_owned));
    header
}

fn line(channel: &Channel, report: &MultitouchReport) -> Vec<String> {
    let mut line = vec![guard_cell(&channel.key), guard_cell(&channel.name), channel.clicks.to_string()];
    let amount = |minor: i64| Money::new(minor, report.value.currency).to_decimal().to_string();
    line.extend(Model::ALL.map(|model| six_digits(*channel.conversions.of(model))));
    line.extend(Model::ALL.map(|model| amount(*channel.value_minor.of(model))));
    line.extend([channel.removal_effect_with_nulls, channel.removal_effect_without_nulls].map(six_digits));
    line.push(channel.per_order.to_string());
    let monies = |of: fn(&super::Commission) -> Money| {
        let each = channel.commissions.iter().map(|commission| format!("{} {}", of(commission).to_decimal(), of(commission).currency));
        each.collect::<Vec<_>>().join("; ")
    };
    line.extend([monies(|commission| commission.booked), monies(|commission| commission.paid)]);
    line
}

fn six_digits(number: f64) -> String {
    format!("{number:.6}")
}
