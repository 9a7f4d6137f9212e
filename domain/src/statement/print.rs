//! Statements and payouts as files: CSV, JSON, and HTML that prints on A4.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::{Line, Statement};
use crate::{
    Money,
    export::{csv, escape_html, guard_cell},
};

impl Statement {
    fn plain(&self, minor: i64) -> String {
        Money::new(minor, self.currency).to_decimal().to_string()
    }
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// One row per line between an `opening` and a `total` row. Texts are guarded against formulas, amounts are plain numbers.
pub fn to_csv(statement: &Statement) -> String {
    let head =
        ["statement", "occurred_at", "booked_at", "kind", "conversion", "site", "description", "amount", "currency"].map(str::to_owned);
    let code = statement.currency.code();
    let edge = |kind: &str, description: &str, minor| {
        let number = statement.number.clone();
        [
            number,
            String::new(),
            String::new(),
            kind.to_owned(),
            String::new(),
            String::new(),
            description.to_owned(),
            statement.plain(minor),
            code.to_owned(),
        ]
    };
    let line = |line: &Line| {
        [
            statement.number.clone(),
            rfc3339(line.occurred_at),
            rfc3339(line.booked_at),
            line.kind.to_string(),
            guard_cell(&line.conversion_external_id),
            guard_cell(&line.site),
            guard_cell(&line.description),
            statement.plain(line.amount_minor),
            code.to_owned(),
        ]
    };
    let rows = [head, edge("opening", "carried forward from the statement before", statement.opening_minor)].into_iter();
    let end = edge("total", &statement.outcome.to_string(), statement.total_minor);
    csv(rows.chain(statement.lines.iter().map(line)).chain([end]))
}

/// The statement as JSON, amounts in minor units.
pub fn to_json(statement: &Statement) -> String {
    serde_json::to_string_pretty(statement).expect("a statement has only text keys")
}

/// A complete HTML document for A4 paper: the sums per kind, every line, the total and what becomes of it.
pub fn to_html(statement: &Statement) -> String {
    let money = |minor: i64| escape_html(&Money::new(minor, statement.currency).to_string());
    let day = |time: DateTime<Utc>| time.format("%Y-%m-%d").to_string();
    let (number, partner) = (escape_html(&statement.number), escape_html(&statement.partner_name));
    let (first, last) = (statement.month.first_day(), statement.month.last_day());
    let mut kinds =
        format!("<tr><th scope=\"row\">carried forward</th><td></td><td class=\"amount\">{}</td></tr>\n", money(statement.opening_minor));
    for (kind, (count, sum)) in statement.totals() {
        // A sum per kind may pass 64 bits only if the total nearly does; the exact digits are shown either way.
        let sum = i64::try_from(sum).map_or_else(|_| format!("{sum} minor units"), money);
        kinds.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td class=\"amount\">{count}</td><td class=\"amount\">{sum}</td></tr>\n",
            escape_html(&kind)
        ));
    }
    let mut lines = String::new();
    for line in &statement.lines {
        lines.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"amount\">{}</td></tr>\n",
            day(line.booked_at),
            day(line.occurred_at),
            escape_html(&line.kind.to_string()),
            escape_html(&line.conversion_external_id),
            escape_html(&line.site),
            escape_html(&line.description),
            money(line.amount_minor)
        ));
    }
    if lines.is_empty() {
        lines.push_str("<tr><td colspan=\"7\">Nothing was booked in this month.</td></tr>\n");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Statement {number}</title>\n<style>{CSS}</style>\n</head>\n<body>\n\
         <h1>Statement {number}</h1>\n\
         <p>Partner: {partner} ({id})<br>Period: {first} to {last} (UTC)<br>Currency: {code}<br>Issued: {issued}</p>\n\
         <h2>Summary</h2>\n<table>\n<thead><tr><th scope=\"col\">Kind</th><th scope=\"col\" class=\"amount\">Lines</th><th scope=\"col\" class=\"amount\">Sum</th></tr></thead>\n<tbody>\n{kinds}</tbody>\n\
         <tfoot><tr><th scope=\"row\">total</th><td class=\"amount\">{count}</td><td class=\"amount\">{total}</td></tr></tfoot>\n</table>\n\
         <p class=\"outcome\">{total}: {outcome}. Minimum payout: {minimum}.</p>\n\
         <h2>Lines</h2>\n<table>\n<thead><tr><th scope=\"col\">Booked</th><th scope=\"col\">Happened</th><th scope=\"col\">Kind</th><th scope=\"col\">Conversion</th><th scope=\"col\">Site</th><th scope=\"col\">Description</th><th scope=\"col\" class=\"amount\">Amount</th></tr></thead>\n<tbody>\n{lines}</tbody>\n</table>\n\
         </body>\n</html>\n",
        id = escape_html(statement.partner_id.as_str()),
        code = statement.currency.code(),
        issued = rfc3339(statement.issued_at),
        count = statement.lines.len(),
        total = money(statement.total_minor),
        outcome = statement.outcome,
        minimum = money(statement.minimum_payout_minor),
    )
}

/// Headers repeat on each page, and no row is torn in two.
const CSS: &str = "@page { size: A4; margin: 18mm 15mm; } body { font: 10pt/1.4 system-ui, sans-serif; color: #111; } h1 { font-size: 16pt; } h2 { font-size: 12pt; } \
table { inline-size: 100%; border-collapse: collapse; } th, td { text-align: start; padding: 1mm 2mm; border-block-end: 0.2mm solid #bbb; overflow-wrap: anywhere; } \
thead { display: table-header-group; } tr { break-inside: avoid; } tfoot th, tfoot td, .outcome { font-weight: bold; } \
.amount { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }";

/// One payment for the bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutRow {
    pub reference: String,
    pub partner: String,
    pub amount: Money,
    /// The numbers of the statements that it settles.
    pub statements: Vec<String>,
}

/// Payouts as CSV for the bank: `reference,partner,amount,currency,statements`, the statements separated by blanks.
pub fn payout_csv(payouts: &[PayoutRow]) -> String {
    let head = ["reference", "partner", "amount", "currency", "statements"].map(str::to_owned);
    let row = |payout: &PayoutRow| {
        [
            guard_cell(&payout.reference),
            guard_cell(&payout.partner),
            payout.amount.to_decimal().to_string(),
            payout.amount.currency.code().to_owned(),
            guard_cell(&payout.statements.join(" ")),
        ]
    };
    csv([head].into_iter().chain(payouts.iter().map(row)))
}
