//! Commission over time.

use chrono::{DateTime, Datelike, Timelike, Utc};
use domain::{
    Money,
    dashboard::{Bucket, Metrics},
};

use super::{
    line::{columns, line_chart},
    themed,
};

/// In the drawing's own units; the page scales it.
const HEIGHT: f32 = 260.0;

/// An area of commission per bucket; `None` if nothing was earned.
pub fn revenue(metrics: &Metrics) -> Option<String> {
    let currency = metrics.currency;
    if metrics.series.iter().all(|point| point.commission_minor == 0) {
        return None;
    }
    let bucket = metrics.range.bucket();
    let labels = metrics.series.iter().map(|point| label_of(point.at, bucket)).collect();
    let amounts = metrics.series.iter().map(|point| major(Money::new(point.commission_minor, currency))).collect::<Vec<f32>>();
    let chart = line_chart("Commission", labels, amounts, HEIGHT, None);
    let label = format!(
        "Commission over time in {currency}: {} in the {}, {} in the period before",
        metrics.commission.now,
        metrics.range.words(),
        metrics.commission.before
    );
    let svg = chart.svg().ok()?;
    // The exact amount of each point, while the pointer is on it.
    let texts = metrics.series.iter().map(|point| {
        let amount = Money::new(point.commission_minor, currency);
        Some(format!("{}: {amount}", label_of(point.at, bucket)))
    });
    let overlay: String = columns(&svg, HEIGHT, texts).into_iter().map(|(_, _, column)| column).collect();
    Some(themed(&svg, &label, &overlay))
}

/// `14:00` for hours, `22 Nov` for days.
fn label_of(at: DateTime<Utc>, bucket: Bucket) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    match bucket {
        Bucket::Hour => format!("{:02}:00", at.hour()),
        Bucket::Day => format!("{} {}", at.day(), MONTHS[at.month0() as usize]),
    }
}

/// Money as a length on the paper: the only place where it becomes a float, and nothing is computed from it.
fn major(money: Money) -> f32 {
    use rust_decimal::prelude::ToPrimitive;
    money.to_decimal().to_f32().unwrap_or(0.0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use domain::{
        Currency,
        dashboard::{Compared, Counts, Health, Point, Range},
    };

    use super::*;

    fn metrics(commission_minor: impl Fn(i64) -> i64) -> Metrics {
        let as_of: DateTime<Utc> = "2026-11-22T14:35:10Z".parse().unwrap();
        let range = Range::Last30Days;
        let zero = Money::new(0, Currency::USD);
        let series = range.period(as_of).buckets(range.bucket()).into_iter().zip(0..);
        Metrics {
            as_of,
            range,
            period: range.period(as_of),
            currency: Currency::USD,
            commission_today: zero,
            commission_this_month: Compared { now: zero, before: zero },
            commission: Compared { now: zero, before: zero },
            held: vec![],
            other_commissions: vec![],
            counts: Compared { now: Counts::default(), before: Counts::default() },
            average_commission: Compared { now: None, before: None },
            earnings_per_click: Compared { now: None, before: None },
            new_sites: Compared { now: 0, before: 0 },
            top_partners: vec![],
            recent_conversions: vec![],
            series: series
                .map(|(at, day)| Point { at, clicks: 0, conversions: 0, value_minor: 0, commission_minor: commission_minor(day) })
                .collect(),
            health: Health::default(),
        }
    }

    #[test]
    fn a_period_without_commission_has_no_chart() {
        assert_eq!(revenue(&metrics(|_| 0)), None);
    }

    #[test]
    fn a_chart_has_no_colour_of_its_own() {
        let svg = revenue(&metrics(|day| 1000 + (day * day * 731) % 9000)).unwrap();
        assert!(!svg.contains('#'), "{svg}");
        assert!(svg.contains("var(--chart-accent)"), "{svg}");
        assert!(svg.contains("22 Nov: $37.71") && svg.matches("chart__point").count() == 30, "{svg}");
    }
}
