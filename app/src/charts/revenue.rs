//! Commission over time.

use chrono::{DateTime, Datelike, Timelike, Utc};
use domain::{
    Money,
    dashboard::{Bucket, Metrics},
};

use super::{
    line::{NARROW, WIDE, columns, line_chart},
    themed,
};

/// In the drawing's own units; the page scales it.
const HEIGHT: f32 = 260.0;

/// An area of commission per bucket, drawn for wide and for narrow screens, of which the style sheet shows one; `None` if nothing was
/// earned.
pub fn revenue(metrics: &Metrics) -> Option<String> {
    if metrics.series.iter().all(|point| point.commission_minor == 0) {
        return None;
    }
    let (wide, narrow) = (draw(metrics, (WIDE, HEIGHT))?, draw(metrics, (NARROW, HEIGHT))?);
    Some(format!(r#"<div class="chart__wide">{wide}</div><div class="chart__narrow">{narrow}</div>"#))
}

fn draw(metrics: &Metrics, size: (f32, f32)) -> Option<String> {
    let currency = metrics.currency;
    let bucket = metrics.range.bucket();
    let labels = metrics.series.iter().map(|point| label_of(point.at, bucket)).collect();
    let amounts = metrics.series.iter().map(|point| major(Money::new(point.commission_minor, currency))).collect::<Vec<f32>>();
    let chart = line_chart("Commission", labels, amounts, size, None);
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
    let overlay: String = columns(&svg, size, texts).into_iter().map(|(_, _, column)| column).collect();
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
            commission_today: vec![zero],
            commission_this_month: Compared { now: zero, before: zero },
            other_commissions_this_month: vec![],
            commission: Compared { now: zero, before: zero },
            held: vec![],
            approved: vec![],
            paid: vec![],
            other_commissions: vec![],
            counts: Compared { now: Counts::default(), before: Counts::default() },
            average_commission: Compared { now: None, before: None },
            earnings_per_click: Compared { now: None, before: None },
            new_developers: Compared { now: 0, before: 0 },
            new_sites: Compared { now: 0, before: 0 },
            top_partners: vec![],
            recent_conversions: vec![],
            series: series.map(|(at, day)| Point { at, clicks: 0, conversions: 0, commission_minor: commission_minor(day) }).collect(),
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
        assert!(svg.contains("22 Nov: $37.71") && svg.matches("chart__point").count() == 2 * 30, "{svg}");
    }

    #[test]
    fn a_phone_has_a_drawing_of_its_own_with_fewer_labels() {
        let svg = revenue(&metrics(|day| 1000 + day)).unwrap();
        let (wide, narrow) = svg.split_once(r#"<div class="chart__narrow">"#).unwrap();
        assert!(wide.contains(r#"viewBox="0 0 720 260""#) && narrow.contains(r#"viewBox="0 0 360 260""#), "{svg}");
        let texts = |svg: &str| svg.matches("</text>").count();
        assert!(texts(narrow) < texts(wide), "{} {}", texts(narrow), texts(wide));
    }

    #[test]
    fn a_day_that_took_back_more_than_it_earned_is_drawn_below_zero() {
        let height = |amounts: fn(i64) -> i64, day: usize| {
            let svg = revenue(&metrics(amounts)).unwrap();
            let points = svg.split("<circle cx=").nth(day + 1).unwrap();
            points.split("cy=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f32>().unwrap()
        };
        let with_refund = |day| if day == 5 { -40_000 } else { 10_000 };
        assert!(height(with_refund, 5) > height(with_refund, 4) + 50.0, "down is more");
        assert!(height(with_refund, 5) <= HEIGHT, "and still on the paper");
        assert!(revenue(&metrics(with_refund)).unwrap().replace('\n', "").contains(">0</text>"), "the axis names zero");
    }
}
