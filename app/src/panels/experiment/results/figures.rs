//! How the figures of a test are written.

use domain::{
    Currency,
    experiment::{
        Metric,
        statistics::{AlwaysValid, AlwaysValidMethod, Analysis, Comparison, Interval},
    },
};

use crate::components::count;

/// A metric's value per unit: `3.21 %`, `0.142`, `$0.0312`. Amounts come in minor units.
pub fn value(metric: Metric, currency: Currency, number: f64) -> String {
    match metric {
        Metric::ClickRate | Metric::ConversionRate | Metric::SuccessRate => format!("{} %", digits(number * 100.0)),
        Metric::ClicksPerUnit => digits(number),
        Metric::CommissionPerUnit => money(currency, number),
    }
}

/// A difference of two values, with its sign; rates differ by percentage points.
pub fn difference(metric: Metric, currency: Currency, number: f64) -> String {
    let size = number.abs();
    let text = match metric {
        Metric::ClickRate | Metric::ConversionRate | Metric::SuccessRate => format!("{} pp", digits(size * 100.0)),
        Metric::ClicksPerUnit => digits(size),
        Metric::CommissionPerUnit => money(currency, size),
    };
    // What rounds to nothing has no sign.
    let sign = match number {
        _ if !text.contains(|letter| matches!(letter, '1'..='9')) => "",
        number if number < 0.0 => "−",
        _ => "+",
    };
    format!("{sign}{text}")
}

fn difference_interval(metric: Metric, currency: Currency, interval: Interval) -> String {
    let high = interval.high.map_or_else(|| "no bound".to_owned(), |high| difference(metric, currency, high));
    format!("{} to {high}", difference(metric, currency, interval.low))
}

/// The interval that holds at any time, on the scale that decides: the other one may disagree with the verdict.
pub fn deciding_interval(metric: Metric, currency: Currency, always_valid: AlwaysValid) -> Option<String> {
    if is_of_difference(always_valid) {
        always_valid.interval.map(|interval| difference_interval(metric, currency, interval))
    } else {
        always_valid.lift_interval.map(lift_interval)
    }
}

/// Plain rates are decided by the lift; averages, and rates whose history is taken off, by the difference.
pub fn is_of_difference(always_valid: AlwaysValid) -> bool {
    always_valid.method == AlwaysValidMethod::Absolute
}

/// What shipping costs per unit on average; next to nothing is told as that.
pub fn expected_loss(metric: Metric, currency: Currency, loss: f64) -> String {
    let least = if metric == Metric::CommissionPerUnit { 0.005 } else { 0.000_000_5 };
    if loss < least { "about 0".to_owned() } else { difference(metric, currency, -loss) }
}

/// A relative change: `+12.3 %`.
pub fn lift(share: f64) -> String {
    let percent = share * 100.0;
    let sign = if percent < 0.0 { "−" } else { "+" };
    let size = percent.abs();
    if size >= 1_000.0 { format!("{sign}{} %", round_count(size)) } else { format!("{sign}{size:.1} %") }
}

pub fn lift_interval(interval: Interval) -> String {
    let high = interval.high.map_or_else(|| "no bound".to_owned(), lift);
    format!("{} to {high}", lift(interval.low))
}

/// A p-value: `0.032`, `< 0.001`.
pub fn p(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// A chance that is never told as certain: `98.2 %`, `> 99.9 %`.
pub fn chance(share: f64) -> String {
    match share * 100.0 {
        percent if percent > 99.9 => "> 99.9 %".to_owned(),
        percent if percent < 0.1 => "< 0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

/// The variant that does best, whatever the verdict says of it.
pub fn best(analysis: &Analysis) -> Option<&Comparison> {
    let comparisons = analysis.comparisons.iter();
    comparisons.max_by(|a, b| a.difference.absolute.estimate.total_cmp(&b.difference.absolute.estimate))
}

#[expect(clippy::cast_possible_truncation, reason = "far below 2^53, and only read")]
pub fn round_count(number: f64) -> String {
    count(number.round() as i64)
}

/// Enough digits to tell values of this size apart.
fn digits(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1_000.0 => round_count(number),
        size if size >= 10.0 => format!("{number:.1}"),
        size if size >= 0.1 => format!("{number:.2}"),
        _ => format!("{number:.4}"),
    }
}

/// An average of money, which is no amount that anybody is paid: it is written with two digits more than the currency has.
fn money(currency: Currency, minor: f64) -> String {
    let exponent = currency.exponent();
    let number = minor / 10_f64.powi(i32::try_from(exponent).unwrap_or(2));
    let places = usize::try_from(exponent).unwrap_or(2) + 2;
    let text = format!("{number:.places$}");
    match currency.code() {
        "USD" => format!("${text}"),
        "EUR" => format!("€{text}"),
        "GBP" => format!("£{text}"),
        code => format!("{text} {code}"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_in_the_unit_of_their_metric() {
        let usd = Currency::USD;
        assert_eq!(value(Metric::ClickRate, usd, 0.0321), "3.21 %");
        assert_eq!(value(Metric::ClicksPerUnit, usd, 1.5), "1.50");
        assert_eq!(value(Metric::CommissionPerUnit, usd, 3.12), "$0.0312");
        assert_eq!(value(Metric::CommissionPerUnit, "JPY".parse().unwrap(), 3.0), "3.00 JPY");
        assert_eq!(value(Metric::ConversionRate, usd, 0.0), "0 %");
    }

    #[test]
    fn differences_have_a_sign_and_rates_differ_by_points() {
        assert_eq!(difference(Metric::ClickRate, Currency::USD, -0.0041), "−0.41 pp");
        assert!(!difference(Metric::ClickRate, Currency::USD, -1e-12).contains('−'), "nothing is not less than nothing");
        assert_eq!(difference(Metric::CommissionPerUnit, Currency::USD, 10.0), "+$0.1000");
        assert_eq!(expected_loss(Metric::ClickRate, Currency::USD, 1e-9), "about 0");
        assert_eq!(expected_loss(Metric::ClickRate, Currency::USD, 0.001), "−0.10 pp");
        assert_eq!([lift(0.1234), lift(-0.5), lift(25.0)], ["+12.3 %", "−50.0 %", "+2,500 %"]);
    }

    #[test]
    fn an_interval_may_have_no_upper_bound() {
        assert_eq!(lift_interval(Interval { low: -0.1, high: None }), "−10.0 % to no bound");
        assert_eq!(lift_interval(Interval { low: 0.01, high: Some(0.2) }), "+1.0 % to +20.0 %");
        let of_money = difference_interval(Metric::CommissionPerUnit, Currency::USD, Interval { low: -1.5, high: Some(10.0) });
        assert_eq!(of_money, "−$0.0150 to +$0.1000");
    }

    #[test]
    fn nothing_is_told_as_certain() {
        assert_eq!([chance(1.0), chance(0.0), chance(0.5)], ["> 99.9 %", "< 0.1 %", "50.0 %"]);
        assert_eq!([p(0.0), p(0.05), p(1.0)], ["< 0.001", "0.050", "1.000"]);
    }
}
