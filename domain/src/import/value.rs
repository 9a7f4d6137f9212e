//! Amounts and times as exports write them. No amount passes through a float.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Utc};

use super::AmountUnit;
use crate::{
    Currency, Money,
    webhook::{AMOUNT_MAJOR_MAX, is_too_large},
};

/// Reads an amount: `1234.56`, `1,234.56`, `-5`, with the currency's sign or code before or after (`$49.00`, `CA$5`, `49.00 EUR`).
///
/// # Errors
/// What was expected: a decimal comma, a sign of another currency, wrong groups of thousands, and more digits than the currency has are
/// refused, since guessing would change the amount.
pub(super) fn parse_amount(text: &str, unit: AmountUnit, currency: Currency) -> Result<Money, String> {
    let (negative, unsigned) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let first = unsigned.find(|character: char| character.is_ascii_digit()).ok_or("an amount such as 1234.56")?;
    let last = unsigned.rfind(|character: char| character.is_ascii_digit()).map_or(first, |last| last + 1);
    let (before, digits, after) = (&unsigned[..first], &unsigned[first..last], &unsigned[last..]);
    // `$-5.00` is as common as `-$5.00`.
    let (negative, before) = match before.strip_suffix('-') {
        Some(before) if !negative => (true, before),
        _ => (negative, before),
    };
    let blank = |character: char| character.is_whitespace();
    let (before, after) = (before.trim_matches(blank), after.trim_matches(blank));
    for mark in [before, after] {
        if !mark.is_empty() && !is_mark_of(mark, currency) {
            return Err(format!("an amount in {currency}, without `{mark}`"));
        }
    }
    let marked = !before.is_empty() || !after.is_empty();
    let digits = ungroup(digits)?;
    let minor = match unit {
        AmountUnit::Major => false,
        AmountUnit::Minor if marked => return Err(format!("a whole number of minor units of {currency}, without `{before}{after}`")),
        AmountUnit::Minor => true,
        AmountUnit::Marked => !marked && !digits.contains('.'),
    };
    let sign = if negative { "-" } else { "" };
    let text = format!("{sign}{digits}");
    let money = if minor {
        let amount_minor = text.parse().map_err(|_| format!("a whole number of minor units of {currency}"))?;
        Money::new(amount_minor, currency)
    } else {
        Money::parse(&text, currency)
            .map_err(|_| format!("a decimal of at most {} digits after the point, as {currency} has", currency.exponent()))?
    };
    if is_too_large(money) { Err(format!("an amount of at most {AMOUNT_MAJOR_MAX} {currency}")) } else { Ok(money) }
}

/// Whether a sign or code beside an amount may mean the currency. A bare `$` is any dollar's or peso's.
fn is_mark_of(mark: &str, currency: Currency) -> bool {
    let code = currency.code();
    match mark {
        "$" => matches!(code, "USD" | "CAD" | "AUD" | "NZD" | "SGD" | "HKD" | "TWD" | "MXN" | "CLP" | "COP" | "ARS"),
        "US$" => code == "USD",
        "CA$" | "C$" => code == "CAD",
        "A$" | "AU$" => code == "AUD",
        "NZ$" => code == "NZD",
        "HK$" => code == "HKD",
        "NT$" => code == "TWD",
        "MX$" => code == "MXN",
        "S$" => code == "SGD",
        "R$" => code == "BRL",
        "€" => code == "EUR",
        "£" => code == "GBP",
        "¥" => matches!(code, "JPY" | "CNY"),
        "CN¥" => code == "CNY",
        "₹" => code == "INR",
        "₩" => code == "KRW",
        "₪" => code == "ILS",
        "₫" => code == "VND",
        _ => mark.eq_ignore_ascii_case(code),
    }
}

/// Takes the commas out of `1,234,567.89`.
fn ungroup(digits: &str) -> Result<String, &'static str> {
    let expected = "a decimal point and groups of three digits, such as 1234.56 or 1,234.56";
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let grouped = whole.contains(',');
    if !all_digits(first) || grouped && first.len() > 3 || !groups.all(|group| group.len() == 3 && all_digits(group)) {
        return Err(expected);
    }
    if !fraction.is_none_or(all_digits) {
        return Err(expected);
    }
    Ok(digits.replace(',', ""))
}

/// Reads a time: RFC 3339; `2026-11-20 12:00`, with or without seconds, `T` and `UTC`, taken as UTC; a day, taken as its midnight in
/// UTC; Unix seconds. Years from 2000 to 2100.
pub(super) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let in_range = |time: &DateTime<Utc>| (2000..=2100).contains(&time.year());
    read_time(text).filter(in_range)
}

fn read_time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    if (9..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return DateTime::from_timestamp(text.parse().ok()?, 0);
    }
    if let Ok(time) = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z") {
        return Some(time.to_utc());
    }
    let plain = text.strip_suffix("UTC").map_or(text, str::trim_end);
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(plain, format) {
            return Some(time.and_utc());
        }
    }
    Some(NaiveDate::parse_from_str(plain, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?.and_utc())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(text: &str, unit: AmountUnit, code: &str) -> Result<i64, String> {
        parse_amount(text, unit, code.parse().unwrap()).map(|money| money.amount_minor)
    }

    #[test]
    fn amounts_are_read_as_people_and_programs_write_them() {
        for (text, minor) in [
            ("1234.56", 123_456),
            ("1,234.56", 123_456),
            ("1,234,567", 123_456_700),
            ("$49", 4900),
            ("US$49.5", 4950),
            ("-$5.00", -500),
            ("$-5.00", -500),
            ("49.00 USD", 4900),
            ("USD\u{a0}49.00", 4900),
            ("usd 1", 100),
            ("0", 0),
            ("007.10", 710),
        ] {
            assert_eq!(amount(text, AmountUnit::Major, "USD"), Ok(minor), "{text}");
        }
        assert_eq!(amount("¥1,580", AmountUnit::Major, "JPY"), Ok(1580));
        assert_eq!(amount("1.234", AmountUnit::Major, "KWD"), Ok(1234));
        assert_eq!(amount("4900", AmountUnit::Minor, "USD"), Ok(4900));
    }

    #[test]
    fn marked_amounts_tell_dollars_from_cents() {
        let read = |text| amount(text, AmountUnit::Marked, "USD");
        assert_eq!([read("$49"), read("49.00"), read("4900"), read("$4,900.00")], [Ok(4900), Ok(4900), Ok(4900), Ok(490_000)]);
    }

    #[test]
    fn an_amount_that_could_mean_something_else_is_refused() {
        for text in [
            "", "-", "$", "abc", "1.234,56", "12,34", "1,2345", "1234,567", ",123", "1..2", "1.", "1e3", "0x1", "1 234", "€5", "5 EUR",
            "--5", "-$-5", "49.001", "$5$5", "5%",
        ] {
            assert!(amount(text, AmountUnit::Major, "USD").is_err(), "{text}");
        }
        assert!(amount("49.5", AmountUnit::Minor, "USD").is_err());
        assert!(amount("$49", AmountUnit::Minor, "USD").is_err());
        assert!(amount("1.5", AmountUnit::Major, "JPY").unwrap_err().contains("at most 0 digits"));
        assert!(amount("99999999999999999999", AmountUnit::Minor, "USD").is_err());
        assert!(amount("99999999999999999999.00", AmountUnit::Major, "USD").is_err());
        let too_large = Err("an amount of at most 1000000000000 USD".to_owned());
        assert_eq!(amount("1,000,000,000,000.01", AmountUnit::Major, "USD"), too_large);
        assert_eq!(amount("100000000000001", AmountUnit::Minor, "USD"), too_large);
        assert_eq!(amount("-$1000000000000.01", AmountUnit::Major, "USD"), too_large);
        assert_eq!(amount("1000000000000", AmountUnit::Major, "USD"), Ok(100_000_000_000_000));
    }

    #[test]
    fn times_are_read_in_each_form_and_taken_as_utc() {
        let noon = parse_time("2026-11-20T12:00:00Z").unwrap();
        for text in [
            "2026-11-20T13:00:00+01:00",
            "2026-11-20T12:00:00.000Z",
            "2026-11-20 12:00",
            "2026-11-20 12:00:00",
            "2026-11-20T12:00:00",
            "2026-11-20 12:00:00 UTC",
            "2026-11-20 12:00:00 +0000",
            "1795176000",
        ] {
            assert_eq!(parse_time(text), Some(noon), "{text}");
        }
        assert_eq!(parse_time("2026-11-20").unwrap().to_rfc3339(), "2026-11-20T00:00:00+00:00");
    }

    #[test]
    fn what_is_no_time_or_an_ambiguous_one_is_refused() {
        for text in [
            "",
            "yesterday",
            "20/11/2026",
            "11/20/2026",
            "2026-11-31",
            "2026-11-20 25:00",
            "1795176000000",
            "123",
            "1999-12-31",
            "3026-11-20",
            "2026-11-20 12:00 PST",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn printed_amounts_read_back(minor in -1_000_000_000_000_i64..1_000_000_000_000, code in prop::sample::select(vec!["USD", "JPY", "KWD", "EUR", "CHF"])) {
            let money = Money::new(minor, code.parse().unwrap());
            prop_assert_eq!(parse_amount(&money.to_string(), AmountUnit::Major, money.currency), Ok(money));
            prop_assert_eq!(parse_amount(&minor.to_string(), AmountUnit::Minor, money.currency), Ok(money));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}", like in "[-$€,.0-9 A-Z:T+]{0,30}") {
            for text in [&text, &like] {
                for unit in [AmountUnit::Major, AmountUnit::Minor, AmountUnit::Marked] {
                    let _ = amount(text, unit, "USD");
                }
                let _ = parse_time(text);
            }
        }
    }
}
