//! Monthly statements: what a partner owes for one month in one currency, line by line, and what becomes of it.
//!
//! A statement opens with what the one before carried forward, lists every booking of its month, and ends *due* or *carried forward*.
//! It is written once: what changes later is a line of a later month, so a refund after a payout makes a negative line there.
//! Exports: CSV and JSON for machines, HTML that prints on A4, and a CSV of payouts for the bank.

mod month;
mod print;

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use month::{InvalidMonth, Month};
pub use print::{PayoutRow, payout_csv, to_csv, to_html, to_json};

use crate::{Currency, PartnerId, ledger::TransactionKind};

/// One booking of the month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When the conversion, success or refund happened.
    pub occurred_at: DateTime<Utc>,
    /// When it was booked, which puts it into its month.
    pub booked_at: DateTime<Utc>,
    pub kind: TransactionKind,
    /// The partner's own id of the conversion.
    pub conversion_external_id: String,
    pub site: String,
    pub description: String,
    /// What the partner owes more (or, negative, less) by it.
    pub amount_minor: i64,
}

/// What becomes of a statement's total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The partner pays it.
    Due,
    /// It opens the next statement.
    CarriedForward { why: CarryReason },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CarryReason {
    NothingDue,
    /// More was taken back than earned.
    Negative,
    BelowMinimum,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Due => "due",
            Self::CarriedForward { why: CarryReason::NothingDue } => "nothing is due",
            Self::CarriedForward { why: CarryReason::Negative } => "carried forward: more was taken back than earned",
            Self::CarriedForward { why: CarryReason::BelowMinimum } => "carried forward: below the minimum payout",
        })
    }
}

/// A total and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub total_minor: i64,
    pub outcome: Outcome,
}

impl Settlement {
    /// What opens the next statement: the whole total, or nothing.
    pub fn carried_minor(self) -> i64 {
        match self.outcome {
            Outcome::Due => 0,
            Outcome::CarriedForward { .. } => self.total_minor,
        }
    }

    /// What is paid for this one: the whole total, or nothing.
    pub fn due_minor(self) -> i64 {
        self.total_minor - self.carried_minor()
    }
}

/// Settles a month: its total is due if it is positive and reaches the minimum, and is carried forward whole if not. All in minor units;
/// `None` if the total does not fit.
pub fn settle(opening_minor: i64, lines_minor: i64, minimum_payout_minor: i64) -> Option<Settlement> {
    let total_minor = opening_minor.checked_add(lines_minor)?;
    let carried = |why| Outcome::CarriedForward { why };
    let outcome = match total_minor {
        0 => carried(CarryReason::NothingDue),
        total if total < 0 => carried(CarryReason::Negative),
        total if total < minimum_payout_minor => carried(CarryReason::BelowMinimum),
        _ => Outcome::Due,
    };
    Some(Settlement { total_minor, outcome })
}

/// `S-supabase-2026-11-USD`: one per partner, month and currency.
pub fn number(partner_id: &PartnerId, month: Month, currency: Currency) -> String {
    format!("S-{partner_id}-{month}-{currency}")
}

/// A partner's month in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub number: String,
    pub partner_id: PartnerId,
    /// For people; the id is the key.
    pub partner_name: String,
    pub month: Month,
    pub currency: Currency,
    /// Carried forward from the statement before.
    pub opening_minor: i64,
    /// In the order of booking.
    pub lines: Vec<Line>,
    pub total_minor: i64,
    pub minimum_payout_minor: i64,
    #[serde(flatten)]
    pub outcome: Outcome,
    pub issued_at: DateTime<Utc>,
}

/// What a statement is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStatement {
    pub partner_id: PartnerId,
    pub partner_name: String,
    pub month: Month,
    pub currency: Currency,
    pub opening_minor: i64,
    pub lines: Vec<Line>,
    pub minimum_payout_minor: i64,
    pub issued_at: DateTime<Utc>,
}

/// Why there is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unissuable {
    #[error("month {month} is not over at {at}")]
    MonthNotOver { month: Month, at: DateTime<Utc> },
    #[error("the line of conversion `{conversion}` was booked at {booked_at}, expected a time in {month}")]
    LineOutsideMonth { conversion: String, booked_at: DateTime<Utc>, month: Month },
    #[error("the total of statement {number} does not fit into 64 bits of minor units")]
    TooLarge { number: String },
}

/// Issues a statement: orders and adds up its lines, and settles it. The order of the lines given does not matter.
///
/// # Errors
/// [`Unissuable`] if the month is not over yet, a line is of another month, or the total does not fit.
pub fn issue(new: NewStatement) -> Result<Statement, Unissuable> {
    let NewStatement { partner_id, partner_name, month, currency, opening_minor, mut lines, minimum_payout_minor, issued_at } = new;
    let (from, until) = month.range();
    if issued_at < until {
        return Err(Unissuable::MonthNotOver { month, at: issued_at });
    }
    if let Some(line) = lines.iter().find(|line| line.booked_at < from || line.booked_at >= until) {
        return Err(Unissuable::LineOutsideMonth { conversion: line.conversion_external_id.clone(), booked_at: line.booked_at, month });
    }
    lines.sort_by(|a, b| {
        let key = |line: &Line| (line.booked_at, line.occurred_at, line.amount_minor);
        key(a)
            .cmp(&key(b))
            .then_with(|| a.conversion_external_id.cmp(&b.conversion_external_id))
            .then_with(|| a.description.cmp(&b.description))
    });
    let number = number(&partner_id, month, currency);
    let sum: i128 = lines.iter().map(|line| i128::from(line.amount_minor)).sum();
    let settlement = i64::try_from(sum).ok().and_then(|sum| settle(opening_minor, sum, minimum_payout_minor));
    let Some(Settlement { total_minor, outcome }) = settlement else { return Err(Unissuable::TooLarge { number }) };
    Ok(Statement {
        number,
        partner_id,
        partner_name,
        month,
        currency,
        opening_minor,
        lines,
        total_minor,
        minimum_payout_minor,
        outcome,
        issued_at,
    })
}

impl Statement {
    /// Lines and sum per kind, by the kind's name.
    pub fn totals(&self) -> BTreeMap<String, (usize, i128)> {
        let mut totals = BTreeMap::new();
        for line in &self.lines {
            let (count, sum) = totals.entry(line.kind.to_string()).or_insert((0, 0));
            *count += 1;
            *sum += i128::from(line.amount_minor);
        }
        totals
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::{Money, export::guard_cell};
    use chrono::TimeZone;
    use proptest::prelude::*;

    fn at(day: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, day, 12, 0, 0).unwrap()
    }

    fn line(day: u32, kind: TransactionKind, amount_minor: i64) -> Line {
        Line {
            occurred_at: at(1),
            booked_at: at(day),
            kind,
            conversion_external_id: format!("ord_{day}"),
            site: "Shop".to_owned(),
            description: "Base commission".to_owned(),
            amount_minor,
        }
    }

    fn new(opening_minor: i64, lines: Vec<Line>) -> NewStatement {
        NewStatement {
            partner_id: "supabase".parse().unwrap(),
            partner_name: "Supabase".to_owned(),
            month: "2026-11".parse().unwrap(),
            currency: Currency::USD,
            opening_minor,
            lines,
            minimum_payout_minor: 5000,
            issued_at: Utc.with_ymd_and_hms(2026, 12, 1, 0, 0, 0).unwrap(),
        }
    }

    fn sample() -> Statement {
        let lines = vec![
            line(20, TransactionKind::Reversal, -1250),
            line(3, TransactionKind::Commission, 9800),
            line(4, TransactionKind::Commission, 200),
        ];
        issue(new(-100, lines)).unwrap()
    }

    #[test]
    fn a_total_is_due_from_the_minimum_on() {
        let outcome = |opening, lines, minimum| settle(opening, lines, minimum).unwrap().outcome;
        assert_eq!(outcome(0, 5000, 5000), Outcome::Due);
        assert_eq!(outcome(1, 4999, 5000), Outcome::Due);
        assert_eq!(outcome(0, 4999, 5000), Outcome::CarriedForward { why: CarryReason::BelowMinimum });
        assert_eq!(outcome(100, -101, 0), Outcome::CarriedForward { why: CarryReason::Negative });
        assert_eq!(outcome(100, -100, 0), Outcome::CarriedForward { why: CarryReason::NothingDue });
        assert_eq!(outcome(0, 1, 0), Outcome::Due);
    }

    #[test]
    fn a_refund_after_the_payout_opens_the_next_month_negative() {
        let paid = settle(0, 8000, 5000).unwrap();
        let refund = settle(paid.carried_minor(), -3000, 5000).unwrap();
        let next = settle(refund.carried_minor(), 9000, 5000).unwrap();
        assert_eq!((paid.due_minor(), refund.due_minor(), refund.carried_minor(), next.due_minor()), (8000, 0, -3000, 6000));
    }

    #[test]
    fn a_total_that_does_not_fit_is_refused() {
        assert_eq!(settle(i64::MAX, 1, 0), None);
        assert_eq!(settle(i64::MIN, -1, 0), None);
        let lines = vec![line(1, TransactionKind::Commission, i64::MAX); 2];
        assert_eq!(issue(new(0, lines)), Err(Unissuable::TooLarge { number: "S-supabase-2026-11-USD".to_owned() }));
    }

    #[test]
    fn a_statement_orders_and_adds_up_its_lines() {
        let statement = sample();
        assert_eq!((statement.number.as_str(), statement.total_minor, statement.outcome), ("S-supabase-2026-11-USD", 8650, Outcome::Due));
        assert_eq!(statement.lines.iter().map(|line| line.amount_minor).collect::<Vec<_>>(), [9800, 200, -1250]);
        assert_eq!(statement.totals()["commission"], (2, 10_000));
    }

    #[test]
    fn a_month_is_issued_after_its_end_and_holds_its_own_lines_only() {
        let early = NewStatement { issued_at: at(30), ..new(0, vec![]) };
        assert!(matches!(issue(early), Err(Unissuable::MonthNotOver { .. })));
        let (from, until) = "2026-11".parse::<Month>().unwrap().range();
        for (booked_at, fits) in [
            (from, true),
            (until, false),
            (from - chrono::Duration::nanoseconds(1), false),
            (until - chrono::Duration::nanoseconds(1), true),
        ] {
            let lines = vec![Line { booked_at, ..line(1, TransactionKind::Bonus, 1) }];
            assert_eq!(issue(new(0, lines)).is_ok(), fits, "{booked_at}");
        }
    }

    #[test]
    fn months_are_written_with_four_and_two_digits() {
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!(
            (month.to_string(), month.next().to_string(), month.last_day().to_string()),
            ("2026-12".to_owned(), "2027-01".to_owned(), "2026-12-31".to_owned())
        );
        assert_eq!(Month::of(at(30)), "2026-11".parse().unwrap());
        assert_eq!(serde_json::from_str::<Month>(&serde_json::to_string(&month).unwrap()).unwrap(), month);
        for wrong in ["", "2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-11-01", "1999-01", "+026-11", "2026-+1"] {
            assert_eq!(wrong.parse::<Month>(), Err(InvalidMonth(wrong.to_owned())));
        }
    }

    #[test]
    fn the_csv_has_plain_amounts_and_no_formulas() {
        let mut statement = sample();
        statement.lines[0].site = "=HYPERLINK(\"x\")".to_owned();
        statement.lines[0].description = "a, b".to_owned();
        let csv = to_csv(&statement);
        let rows: Vec<_> = csv.lines().collect();
        assert_eq!(rows.len(), 6);
        assert_eq!(rows[1], "S-supabase-2026-11-USD,,,opening,,,carried forward from the statement before,-1.00,USD");
        assert_eq!(
            rows[2],
            "S-supabase-2026-11-USD,2026-11-01T12:00:00Z,2026-11-03T12:00:00Z,commission,ord_3,\"'=HYPERLINK(\"\"x\"\")\",\"a, b\",98.00,USD"
        );
        assert!(rows[4].ends_with(",-12.50,USD"));
        assert_eq!(rows[5], "S-supabase-2026-11-USD,,,total,,,due,86.50,USD");
    }

    #[test]
    fn the_json_reads_back() {
        let statement = sample();
        let json = to_json(&statement);
        assert!(json.contains("\"outcome\": \"due\""), "{json}");
        assert_eq!(serde_json::from_str::<Statement>(&json).unwrap(), statement);
        let carried = issue(new(0, vec![])).unwrap();
        assert_eq!(serde_json::from_str::<Statement>(&to_json(&carried)).unwrap(), carried);
    }

    #[test]
    fn the_print_is_complete_and_escaped() {
        let mut statement = sample();
        statement.partner_name = "<script>alert('x')</script> & Co".to_owned();
        statement.lines[1].conversion_external_id = "\"><img src=x>".to_owned();
        let html = to_html(&statement);
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
        assert!(html.contains("@page { size: A4;") && html.contains("2026-11-01 to 2026-11-30"));
        assert!(html.contains("<tr><th scope=\"row\">commission</th><td class=\"amount\">2</td><td class=\"amount\">$100.00</td></tr>"));
        assert!(html.contains("$86.50: due. Minimum payout: $50.00."));
        assert!(!html.contains("<script>") && !html.contains("<img"));
        assert!(to_html(&issue(new(0, vec![])).unwrap()).contains("Nothing was booked in this month."));
    }

    #[test]
    fn the_bank_gets_one_row_per_payout() {
        let rows = [
            PayoutRow {
                reference: "P-1".to_owned(),
                partner: "Acme, Inc".to_owned(),
                amount: Money::new(865_000, Currency::USD),
                statements: vec!["S-a".to_owned(), "S-b".to_owned()],
            },
            PayoutRow {
                reference: "@P-2".to_owned(),
                partner: "+1".to_owned(),
                amount: Money::new(500, "JPY".parse().unwrap()),
                statements: vec![],
            },
        ];
        assert_eq!(
            payout_csv(&rows),
            "reference,partner,amount,currency,statements\r\nP-1,\"Acme, Inc\",8650.00,USD,S-a S-b\r\n'@P-2,'+1,500,JPY,\r\n"
        );
        assert_eq!(payout_csv(&[]), "reference,partner,amount,currency,statements\r\n");
    }

    proptest! {
        #[test]
        fn months_in_a_row_pay_out_exactly_what_was_booked(months in proptest::collection::vec(-100_000_i64..100_000, 1..30), minimum in 0_i64..50_000) {
            let (mut opening, mut paid) = (0, 0);
            for lines in &months {
                let settlement = settle(opening, *lines, minimum).unwrap();
                prop_assert!(settlement.due_minor() == 0 || settlement.due_minor() >= minimum.max(1));
                paid += settlement.due_minor();
                opening = settlement.carried_minor();
            }
            prop_assert_eq!(paid + opening, months.iter().sum::<i64>());
        }

        #[test]
        fn any_order_of_lines_makes_the_same_statement(amounts in proptest::collection::vec((1_u32..=30, -10_000_i64..10_000), 0..12)) {
            let mut lines: Vec<_> = amounts.iter().map(|(day, amount)| line(*day, TransactionKind::Commission, *amount)).collect();
            let forward = issue(new(0, lines.clone())).unwrap();
            lines.reverse();
            prop_assert_eq!(to_csv(&forward), to_csv(&issue(new(0, lines)).unwrap()));
        }

        #[test]
        fn no_text_escapes_its_cell(text in "\\PC{0,30}") {
            let mut statement = sample();
            statement.lines[0].description.clone_from(&text);
            statement.lines[0].site.clone_from(&text);
            let csv = to_csv(&statement);
            let mut reader = csv::Reader::from_reader(csv.as_bytes());
            let records: Vec<_> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(records.len(), 5);
            prop_assert_eq!(records[1][5].to_owned(), guard_cell(&text));
            prop_assert!(!records[1][5].starts_with(['=', '+', '-', '@']));
            prop_assert_eq!(to_html(&statement).matches("<tr>").count(), to_html(&sample()).matches("<tr>").count());
        }
    }
}
