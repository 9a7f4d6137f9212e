//! Commission over time.

use std::fmt::Write;

use charts_rs::{Box, LineChart, Series, YAxisConfig};
use chrono::{DateTime, Datelike, Timelike, Utc};
use domain::{
    Money,
    dashboard::{Bucket, Metrics},
};

use super::{ACCENT, LINE, NONE, TEXT, font, themed};

/// In the drawing's own units; the page scales it.
const HEIGHT_AND_WIDTH: (f32, f32) = (260.0, 720.0);

/// An area of commission per bucket; `None` if nothing was earned.
pub fn revenue(metrics: &Metrics) -> Option<String> {
    let currency = metrics.currency;
    if metrics.series.iter().all(|point| point.commission_minor == 0) {
        return None;
    }
    let bucket = metrics.range.bucket();
    let labels = metrics.series.iter().map(|point| label(point.at, bucket)).collect();
    let amounts = metrics.series.iter().map(|point| major(Money::new(point.commission_minor, currency))).collect::<Vec<f32>>();
    let mut chart = LineChart::new(vec![Series::new("Commission".to_owned(), amounts)], labels);
    (chart.height, chart.width) = HEIGHT_AND_WIDTH;
    chart.margin = Box { left: 8.0, top: 20.0, right: 4.0, bottom: 0.0 };
    chart.background_color = NONE;
    chart.font_family = "inherit".to_owned();
    chart.legend.show = Some(false);
    chart.grid.stroke_color = LINE;
    chart.x_axis.stroke_color = LINE;
    chart.x_axis.font = font(11.0, TEXT);
    chart.x_axis.boundary_gap = Some(false);
    chart.y_axis_configs = vec![YAxisConfig {
        font: font(11.0, TEXT),
        stroke_color: NONE,
        split_number: 4,
        name_gap: 8.0,
        min: Some(0.0),
        formatter: Some("{t}".to_owned()),
        ..YAxisConfig::default()
    }];
    chart.series.colors = vec![ACCENT];
    chart.series.stroke_width = 2.0;
    chart.series.smooth = false;
    chart.series.fill = true;
    chart.series.fill_opacity = Some(0.14);
    chart.series.symbol = None;
    let label = format!(
        "Commission over time in {currency}: {} in the {}, {} in the period before",
        metrics.commission.now,
        metrics.range.words(),
        metrics.commission.before
    );
    let svg = chart.svg().ok()?;
    let overlay = overlay(&svg, metrics);
    Some(themed(&svg, &label, &overlay))
}

/// A column per point that shows its exact amount while the pointer is on it.
fn overlay(svg: &str, metrics: &Metrics) -> String {
    let places = line_points(svg);
    let step = places.get(1).map_or(HEIGHT_AND_WIDTH.1, |(second, _)| second - places[0].0);
    let mut overlay = String::new();
    for (point, (x, y)) in metrics.series.iter().zip(places) {
        let (anchor, text_x) = match x {
            ..120.0 => ("start", x),
            600.0.. => ("end", x),
            _ => ("middle", x),
        };
        let text = format!("{}: {}", label(point.at, metrics.range.bucket()), Money::new(point.commission_minor, metrics.currency));
        let _ = write!(
            overlay,
            r#"<g class="chart__point"><rect x="{:.1}" y="0" width="{step:.1}" height="232"/><line x1="{x}" x2="{x}" y1="20" y2="230"/><circle cx="{x}" cy="{y}" r="3.5"/><text x="{text_x}" y="12" text-anchor="{anchor}">{text}</text></g>"#,
            x - step / 2.0,
        );
    }
    overlay
}

/// Where the line's points are, read from its path.
pub(super) fn line_points(svg: &str) -> Vec<(f32, f32)> {
    let line =
        svg.split("<path d=\"").find_map(|rest| rest.split_once('"').filter(|(_, attributes)| is_line(attributes)).map(|(path, _)| path));
    let numbers: Vec<f32> = line.unwrap_or_default().split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// The area's path is filled, the line's is not.
fn is_line(attributes: &str) -> bool {
    attributes.split('>').next().is_some_and(|attributes| attributes.contains("fill=\"none\""))
}

/// `14:00` for hours, `22 Nov` for days.
fn label(at: DateTime<Utc>, bucket: Bucket) -> String {
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
