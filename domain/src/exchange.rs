//! Dated exchange rates: the European Central Bank's euro reference rates, and conversion by their exact ratio.
//!
//! A rate is what one euro costs on a day, in units of a currency
//! (<https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/>). Between two other currencies the ratio of
//! both is kept as numerator and denominator, so that nothing is rounded before the amount is. Rates are not published on weekends and
//! holidays: the last one before is used, up to [`RATE_AGE_DAYS_MAX`] days old; beyond that the rate is missing and the caller waits.

use std::{collections::HashSet, fmt};

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Currency, import::line_of};

/// 7 days: longer than the longest run of days without rates (Good Friday to Easter Monday is 4, a weekend at the turn of the year 5).
pub const RATE_AGE_DAYS_MAX: i64 = 7;

/// Days that a file may hold: the ECB publishes 256 a year, so these are 78 years.
const DAYS_MAX: usize = 20_000;

/// Rates above this are slips: no currency of the ECB's list ever cost more than 1 800 000 (the old lira) per euro.
const PER_EURO_MAX: i64 = 1_000_000_000;

/// Digits after the point that a rate may have: the ECB publishes up to 5, and 8 are kept.
const DIGITS_MAX: u32 = 8;

/// What one euro costs on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub currency: Currency,
    pub day: NaiveDate,
    pub per_euro: Decimal,
}

/// What a file of the ECB says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateFile {
    /// In the order of the file.
    pub rates: Vec<Rate>,
    /// Codes of columns that are no currency of today, such as the withdrawn `CYP`; their rates were left out.
    pub skipped_columns: Vec<String>,
    /// Cells without a rate (`N/A` or empty) in columns that were read.
    pub missing: usize,
}

/// Why a rate file is refused: where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column `{column}`: {reason}")]
pub struct RateFileError {
    /// From 1.
    pub line: u64,
    /// The currency's code, or `Date`.
    pub column: String,
    pub reason: String,
}

fn refused<T>(line: u64, column: &str, reason: impl Into<String>) -> Result<T, RateFileError> {
    Err(RateFileError { line, column: column.to_owned(), reason: reason.into() })
}

/// Reads the ECB's CSV: `eurofxref-hist.csv` (days as `2026-11-20`) or the one-day `eurofxref.csv` (`20 November 2026`).
///
/// # Errors
/// The first cell that is neither a positive decimal nor `N/A`, a day that is no day or stands twice, a row of another length than the
/// header, or a file without days. An unknown currency is no error, see [`RateFile::skipped_columns`].
pub fn parse_ecb(text: &str) -> Result<RateFile, RateFileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).quoting(false).from_reader(text.as_bytes());
    let mut records = reader.records();
    let Some(header) = records.next() else { return refused(1, "Date", "the file is empty: expected a header such as `Date,USD,JPY`") };
    let header = header.or_else(|error| refused(1, "Date", error.to_string()))?;
    if header.get(0) != Some("Date") {
        return refused(1, "Date", format!("the first column is `{}`, expected `Date`", header.get(0).unwrap_or_default()));
    }
    let mut file = RateFile::default();
    let mut columns = Vec::new();
    for (index, code) in header.iter().enumerate().skip(1).filter(|(_, code)| !code.is_empty()) {
        match code.parse::<Currency>() {
            Ok(currency) if columns.iter().any(|(_, other)| *other == currency) => {
                return refused(1, code, format!("`{code}` is there twice, expected each currency once"));
            }
            Ok(currency) => columns.push((index, currency)),
            Err(_) => file.skipped_columns.push(code.to_owned()),
        }
    }
    if columns.is_empty() {
        return refused(1, "Date", "no column is a currency, expected codes such as `USD`");
    }

    let mut days = HashSet::new();
    for record in records {
        let record = record.or_else(|error| refused(error.position().map_or(0, csv::Position::line), "Date", error.to_string()))?;
        let line = line_of(text, record.position());
        let filled = |record: &csv::StringRecord| {
            record.iter().enumerate().filter(|(_, cell)| !cell.is_empty()).last().map_or(0, |(last, _)| last + 1)
        };
        if record.len() > header.len() && filled(&record) > filled(&header) || record.len() < filled(&header) {
            return refused(line, "Date", format!("the row has {} cells, expected {} as in the header", record.len(), header.len()));
        }
        let day = parse_day(record.get(0).unwrap_or_default())
            .map_or_else(|text| refused(line, "Date", format!("`{text}` is no day such as 2026-11-20 or 20 November 2026")), Ok)?;
        if !days.insert(day) {
            return refused(line, "Date", format!("{day} is there twice, expected each day once"));
        }
        if days.len() > DAYS_MAX {
            return refused(line, "Date", format!("more than {DAYS_MAX} days, expected fewer"));
        }
        for (index, currency) in &columns {
            match record.get(*index).unwrap_or_default() {
                "" | "N/A" => file.missing += 1,
                cell => match Decimal::from_str_exact(cell) {
                    Ok(per_euro) if per_euro > Decimal::ZERO && per_euro <= PER_EURO_MAX.into() && per_euro.scale() <= DIGITS_MAX => {
                        file.rates.push(Rate { currency: *currency, day, per_euro });
                    }
                    _ => {
                        return refused(
                            line,
                            currency.code(),
                            format!("`{cell}` is no positive decimal such as 1.0823 of up to {DIGITS_MAX} digits, and not N/A"),
                        );
                    }
                },
            }
        }
    }
    if days.is_empty() { refused(1, "Date", "the file has a header but no day") } else { Ok(file) }
}

fn parse_day(text: &str) -> Result<NaiveDate, &str> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").or_else(|_| NaiveDate::parse_from_str(text, "%d %B %Y")).map_err(|_| text)
}

/// Whether the rate of `rate_day` may serve on `day`: not from its future and at most [`RATE_AGE_DAYS_MAX`] days old.
pub fn usable(day: NaiveDate, rate_day: NaiveDate) -> bool {
    (0..=RATE_AGE_DAYS_MAX).contains(&(day - rate_day).num_days())
}

/// How an amount of one currency becomes one of another: `amount × to_per_euro ÷ from_per_euro`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeRate {
    pub from: Currency,
    pub to: Currency,
    pub from_per_euro: Decimal,
    pub to_per_euro: Decimal,
    /// The day on which both rates were published.
    pub day: NaiveDate,
}

/// Why two rates make no exchange rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncrossable {
    #[error("the rate of {from} is of {from_day} and that of {to} of {to_day}, expected the same day")]
    DifferentDays { from: Currency, from_day: NaiveDate, to: Currency, to_day: NaiveDate },
    #[error("the rate {per_euro} of {currency} per euro must be more than 0, and 1 for the euro itself")]
    OutOfRange { currency: Currency, per_euro: Decimal },
}

/// Whether the currency is the euro, whose rate is 1 by definition and in no file.
pub fn is_euro(currency: Currency) -> bool {
    currency.code() == "EUR"
}

impl Rate {
    /// The euro's own rate on a day.
    pub fn euro(euro: Currency, day: NaiveDate) -> Self {
        Self { currency: euro, day, per_euro: Decimal::ONE }
    }
}

/// Joins the euro rates of two currencies, kept apart as numerator and denominator.
///
/// # Errors
/// [`Uncrossable`] if the rates are of different days, not positive, or a euro's that is not 1.
pub fn cross(from: &Rate, to: &Rate) -> Result<ExchangeRate, Uncrossable> {
    for rate in [from, to] {
        if rate.per_euro <= Decimal::ZERO || is_euro(rate.currency) && rate.per_euro != Decimal::ONE {
            return Err(Uncrossable::OutOfRange { currency: rate.currency, per_euro: rate.per_euro });
        }
    }
    if from.day != to.day {
        return Err(Uncrossable::DifferentDays { from: from.currency, from_day: from.day, to: to.currency, to_day: to.day });
    }
    Ok(ExchangeRate { from: from.currency, to: to.currency, from_per_euro: from.per_euro, to_per_euro: to.per_euro, day: from.day })
}

/// The exchange rate to use on `day`: of the last day on or before it that has both currencies, if that is [`usable`]. `rates` may be in
/// any order. An amount in its own currency needs no rate: that gives 1 : 1 on `day` itself.
///
/// This is the rule as values tell it. Postgres, which holds all days, applies it in `engine::exchange::rate_on`, and is tested against it.
pub fn find_rate(rates: &[Rate], from: Currency, to: Currency, day: NaiveDate) -> Option<ExchangeRate> {
    if from == to {
        return Some(ExchangeRate { from, to, from_per_euro: Decimal::ONE, to_per_euro: Decimal::ONE, day });
    }
    let on = |currency: Currency, rate_day: NaiveDate| {
        if is_euro(currency) {
            return Some(Rate::euro(currency, rate_day));
        }
        rates.iter().find(|rate| rate.currency == currency && rate.day == rate_day).copied()
    };
    let foreign = if is_euro(from) { to } else { from };
    let mut days: Vec<_> = rates.iter().filter(|rate| rate.currency == foreign && usable(day, rate.day)).map(|rate| rate.day).collect();
    days.sort_unstable();
    days.iter().rev().find_map(|&rate_day| cross(&on(from, rate_day)?, &on(to, rate_day)?).ok())
}

impl ExchangeRate {
    /// Minor units of `from` as minor units of `to`, unrounded; round once, with [`round_minor`](crate::money::round_minor).
    ///
    /// The product comes before the quotient, whose 28 digits are the only limit. `None` if it does not fit, or a rate is 0.
    pub fn convert(&self, minor: Decimal) -> Option<Decimal> {
        if self.from_per_euro == self.to_per_euro && self.from == self.to {
            return Some(minor);
        }
        let (from_digits, to_digits) = (self.from.exponent(), self.to.exponent());
        let power = |digits: u32| Decimal::from(10_i64.pow(digits));
        let (up, down) = if to_digits >= from_digits {
            (power(to_digits - from_digits), Decimal::ONE)
        } else {
            (Decimal::ONE, power(from_digits - to_digits))
        };
        let numerator = minor.checked_mul(self.to_per_euro)?.checked_mul(up)?;
        numerator.checked_div(self.from_per_euro.checked_mul(down)?)
    }
}

/// As receipts print it: `155.2 JPY ÷ 1.0823 USD per EUR of 2026-11-20`.
impl fmt::Display for ExchangeRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, from_per_euro, to_per_euro, day } = self;
        if from == to {
            return write!(f, "1, {from} stays {to}");
        }
        write!(f, "{} {to} ÷ {} {from} per EUR of {day}", to_per_euro.normalize(), from_per_euro.normalize())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::money::round_minor;
    use proptest::prelude::*;

    const HISTORY: &str = "Date,USD,JPY,CYP,KWD,\n2026-11-20,1.0823,155.20,N/A,0.3321,\n2026-11-19,1.0800,155,0.58274,N/A,\n";

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn rate(code: &str, per_euro: &str) -> Rate {
        Rate { currency: currency(code), day: day("2026-11-20"), per_euro: per_euro.parse().unwrap() }
    }

    fn refusal(text: &str) -> (u64, String) {
        let error = parse_ecb(text).unwrap_err();
        (error.line, error.column)
    }

    #[test]
    fn the_history_is_read_with_its_gaps_and_withdrawn_currencies() {
        let file = parse_ecb(HISTORY).unwrap();
        assert_eq!(file.rates.len(), 5);
        assert_eq!(file.rates[1], rate("JPY", "155.20"));
        assert_eq!((file.skipped_columns, file.missing), (vec!["CYP".to_owned()], 1));
    }

    #[test]
    fn the_file_of_one_day_is_read_with_its_spaces_and_long_date() {
        let file = parse_ecb("\u{feff}Date, USD, JPY, \r\n20 November 2026, 1.0823, 155.20, \r\n").unwrap();
        assert_eq!(file.rates, [rate("USD", "1.0823"), rate("JPY", "155.20")]);
        assert!(parse_ecb("Date,USD\n2026-11-20,1.0823").is_ok());
    }

    #[test]
    fn each_wrong_cell_is_named_by_line_and_column() {
        assert_eq!(refusal(""), (1, "Date".to_owned()));
        assert_eq!(refusal("Day,USD\n"), (1, "Date".to_owned()));
        assert_eq!(refusal("Date,USD,\n"), (1, "Date".to_owned()));
        assert_eq!(refusal("Date,XXQ,\n2026-11-20,1,\n"), (1, "Date".to_owned()));
        assert_eq!(refusal("Date,USD,USD\n2026-11-20,1,1\n"), (1, "USD".to_owned()));
        for cell in ["0", "-1", "1,5", "1e3", "nan", "NA", "99999999999", "1.123456789"] {
            let text = format!("Date,JPY,USD\n2026-11-20,1,1\n2026-11-19,1,{cell}\n");
            assert_eq!(refusal(&text).0, 3, "{cell}");
        }
        assert_eq!(refusal("Date,JPY,USD\r\n2026-11-20,1,1\r\n\r\n2026-11-19,1,x\r\n"), (4, "USD".to_owned()));
        assert_eq!(refusal("Date,JPY,USD\n2026-11-20,1,x\n"), (2, "USD".to_owned()));
        assert_eq!(refusal("Date,USD\n2026-11-20,1\n2026-11-31,1\n"), (3, "Date".to_owned()));
        assert_eq!(refusal("Date,USD\n2026-11-20,1\n2026-11-20,1\n"), (3, "Date".to_owned()));
        assert_eq!(refusal("Date,USD,JPY\n2026-11-20,1\n"), (2, "Date".to_owned()));
        assert_eq!(refusal("Date,USD\n2026-11-20,1,2\n"), (2, "Date".to_owned()));
        assert_eq!(
            parse_ecb("Date,USD\n2026-11-20,x").unwrap_err().to_string(),
            "line 2, column `USD`: `x` is no positive decimal such as 1.0823 of up to 8 digits, and not N/A"
        );
    }

    #[test]
    fn conversion_heeds_the_digits_of_both_currencies() {
        let convert = |from: &str, to: &str, minor: i64| {
            let per_euro = |code: &str| match code {
                "EUR" => Rate::euro(currency("EUR"), day("2026-11-20")),
                "USD" => rate("USD", "1.25"),
                "JPY" => rate("JPY", "160"),
                _ => rate("KWD", "0.375"),
            };
            cross(&per_euro(from), &per_euro(to)).unwrap().convert(minor.into()).unwrap().normalize().to_string()
        };
        assert_eq!(convert("USD", "JPY", 1000), "1280"); // $10.00 are 8 euros are 1280 yen
        assert_eq!(convert("JPY", "USD", 1280), "1000");
        assert_eq!(convert("USD", "KWD", 1000), "3000"); // 3.000 dinars
        assert_eq!(convert("KWD", "JPY", 3000), "1280");
        assert_eq!(convert("EUR", "USD", 1), "1.25");
        assert_eq!(convert("USD", "EUR", 5), "4");
        assert_eq!(convert("USD", "USD", 7), "7");
    }

    #[test]
    fn an_amount_too_large_is_refused_instead_of_wrapped() {
        let rate = cross(&rate("USD", "0.000001"), &rate("JPY", "155")).unwrap();
        assert_eq!(rate.convert(Decimal::MAX), None);
        let broken = ExchangeRate { from_per_euro: Decimal::ZERO, ..rate };
        assert_eq!(broken.convert(Decimal::ONE), None);
    }

    #[test]
    fn rates_of_different_days_and_a_false_euro_do_not_cross() {
        let other_day = Rate { day: day("2026-11-19"), ..rate("JPY", "155") };
        assert!(matches!(cross(&rate("USD", "1.1"), &other_day), Err(Uncrossable::DifferentDays { .. })));
        assert!(matches!(cross(&rate("EUR", "1.1"), &rate("USD", "1.1")), Err(Uncrossable::OutOfRange { .. })));
        assert!(matches!(cross(&rate("USD", "0"), &rate("JPY", "155")), Err(Uncrossable::OutOfRange { .. })));
    }

    #[test]
    fn a_rate_serves_for_a_week_and_never_before_its_day() {
        assert!(usable(day("2026-11-20"), day("2026-11-20")));
        assert!(usable(day("2026-11-27"), day("2026-11-20")));
        assert!(!usable(day("2026-11-28"), day("2026-11-20")));
        assert!(!usable(day("2026-11-19"), day("2026-11-20")));
    }

    #[test]
    fn the_last_day_that_has_both_currencies_is_used() {
        let rates = parse_ecb(HISTORY).unwrap().rates;
        let find =
            |from: &str, to: &str, on: &str| find_rate(&rates, currency(from), currency(to), day(on)).map(|rate| rate.day.to_string());
        assert_eq!(find("USD", "JPY", "2026-11-22").unwrap(), "2026-11-20");
        assert_eq!(find("USD", "JPY", "2026-11-19").unwrap(), "2026-11-19");
        assert_eq!(find("USD", "KWD", "2026-11-19"), None);
        assert_eq!(find("EUR", "USD", "2026-11-20").unwrap(), "2026-11-20");
        assert_eq!(find("USD", "EUR", "2026-11-28"), None);
        assert_eq!(find("CHF", "CHF", "1990-01-01").unwrap(), "1990-01-01");
        assert_eq!(find("CHF", "USD", "2026-11-20"), None);
    }

    #[test]
    fn a_receipt_reads_and_reads_back() {
        let rate = cross(&rate("USD", "1.0823"), &rate("JPY", "155.20")).unwrap();
        assert_eq!(rate.to_string(), "155.2 JPY ÷ 1.0823 USD per EUR of 2026-11-20");
        let json = serde_json::to_string(&rate).unwrap();
        assert!(json.contains("\"from_per_euro\":\"1.0823\""), "{json}");
        assert_eq!(serde_json::from_str::<ExchangeRate>(&json).unwrap(), rate);
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_amount(minor in -1_000_000_000_000_i64..1_000_000_000_000, from in 1_i64..10_000_000, to in 1_i64..10_000_000,
            codes in prop::sample::select(vec![("USD", "JPY"), ("JPY", "KWD"), ("KWD", "USD"), ("CHF", "USD")])) {
            let (from, to) = (rate(codes.0, &Decimal::new(from, 4).to_string()), rate(codes.1, &Decimal::new(to, 4).to_string()));
            let there = cross(&from, &to).unwrap().convert(minor.into()).unwrap();
            let back = cross(&to, &from).unwrap().convert(there).unwrap();
            prop_assert_eq!(round_minor(back), Some(minor));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}", rows in "[0-9A-Z,. \n-]{0,80}") {
            let _ = parse_ecb(&text);
            let _ = parse_ecb(&format!("Date,USD,JPY,\n{rows}"));
        }
    }
}
