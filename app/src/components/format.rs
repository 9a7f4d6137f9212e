//! How numbers and times are written. Times are UTC and say so.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use domain::{dashboard::Ratio, money::group_thousands};
use leptos::prelude::*;
use rust_decimal::Decimal;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment as `22 Nov 2026, 14:03 UTC`, with the exact time for machines and on hover.
#[component]
pub fn Time(at: DateTime<Utc>) -> impl IntoView {
    let exact = exact(at);
    view! { <time datetime=exact.clone() title=exact>{date_time(at)}</time> }
}

/// `22 Nov 2026, 14:03 UTC`.
pub fn date_time(at: DateTime<Utc>) -> String {
    format!("{}, {:02}:{:02} UTC", day(at.date_naive()), at.hour(), at.minute())
}

/// `14:03:22 UTC`.
pub fn time_of_day(at: DateTime<Utc>) -> String {
    format!("{:02}:{:02}:{:02} UTC", at.hour(), at.minute(), at.second())
}

/// `22 Nov 2026`.
pub fn day(day: NaiveDate) -> String {
    format!("{} {} {}", day.day(), MONTHS[day.month0() as usize], day.year())
}

/// RFC 3339 to the second. Written by hand, since chrono's formatter would weigh on the browser bundle.
fn exact(at: DateTime<Utc>) -> String {
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", at.year(), at.month(), at.day(), at.hour(), at.minute(), at.second())
}

/// How long ago: `12 s`, `5 min`, `3 h`, `9 d`; nothing is in the future.
pub fn age(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (now - at).num_seconds().max(0) {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// `1,234,567`.
pub fn count(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", group_thousands(&number.unsigned_abs().to_string()))
}

/// `987`, `12.3k`, `4.5M`: cut, not rounded, so that it never claims more than there is.
pub fn short_count(number: i64) -> String {
    let (unit, name) = match number.unsigned_abs() {
        ..10_000 => return count(number),
        10_000..1_000_000 => (1_000, "k"),
        1_000_000..1_000_000_000 => (1_000_000, "M"),
        _ => (1_000_000_000, "B"),
    };
    let tenths = number / (unit / 10);
    format!("{}.{}{name}", tenths / 10, tenths.abs() % 10)
}

/// `12.3 %`, with two digits below 10 %; a dash for a share of nothing.
pub fn percent(ratio: Ratio) -> String {
    let Some(basis_points) = ratio.basis_points() else { return "–".to_owned() };
    let sign = if basis_points < 0 { "-" } else { "" };
    let points = basis_points.unsigned_abs();
    if points < 1_000 {
        format!("{sign}{}.{:02} %", points / 100, points % 100)
    } else {
        format!("{sign}{}.{} %", group_thousands(&(points / 100).to_string()), points % 100 / 10)
    }
}

/// A rate such as `0.15` as `15 %`, exact.
pub fn percent_of_decimal(rate: Decimal) -> String {
    format!("{} %", (rate * Decimal::ONE_HUNDRED).normalize())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn times_name_their_zone() {
        let at: DateTime<Utc> = "2026-11-02T04:05:06.789Z".parse().unwrap();
        assert_eq!(date_time(at), "2 Nov 2026, 04:05 UTC");
        assert_eq!(time_of_day(at), "04:05:06 UTC");
        assert_eq!(exact(at), "2026-11-02T04:05:06Z");
        assert_eq!(age(at, at + chrono::Duration::minutes(61)), "1 h");
        assert_eq!(age(at, at - chrono::Duration::minutes(1)), "0 s");
    }

    #[test]
    fn numbers_are_grouped_and_shortened_without_rounding_up() {
        assert_eq!(count(-1_234_567), "-1,234,567");
        assert_eq!(
            [short_count(9_999), short_count(12_399), short_count(999_999), short_count(4_560_000)],
            ["9,999", "12.3k", "999.9k", "4.5M"]
        );
    }

    #[test]
    fn percents_are_exact_to_the_digits_shown() {
        let percent = |part, whole| percent(Ratio { part, whole });
        assert_eq!(
            [percent(1, 3), percent(1, 30), percent(-1, 2), percent(1, 0), percent(50, 1)],
            ["33.3 %", "3.33 %", "-50.0 %", "–", "5,000.0 %"]
        );
        assert_eq!(percent_of_decimal("0.150000".parse().unwrap()), "15 %");
    }
}
