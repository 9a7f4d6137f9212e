//! A case study's steps over time.

use chrono::{Duration, NaiveDate};
use domain::case_study::TimelineEntry;

use super::{
    line::{WIDE, columns, line_chart},
    themed,
};
use crate::components::day;

/// In the drawing's own units; the page scales it.
const HEIGHT: f32 = 220.0;
/// More points than this are closer than a pointer can tell apart.
const POINTS_MAX: i64 = 60;

/// How many steps there were by each day, as a line with a dot where one was made; `None` without steps. `entries` begin with the
/// oldest.
pub fn timeline(entries: &[TimelineEntry]) -> Option<String> {
    let (first, last) = (entries.first()?.at.date_naive(), entries.last()?.at.date_naive());
    let days_a_point = (last - first).num_days() / POINTS_MAX + 1;
    let points = points(entries, first, last, days_a_point);
    let labels = points.iter().map(|point| short_day(point.day)).collect();
    let heights = points.iter().map(|point| f32::from(point.steps)).collect::<Vec<f32>>();
    let highest = points.last().map_or(0, |point| point.steps).div_ceil(4) * 4;
    let chart = line_chart("Steps", labels, heights, (WIDE, HEIGHT), Some(f32::from(highest)));
    let label = format!("Steps over time: {} from {} to {}. They are listed beside the drawing", entries.len(), day(first), day(last));
    let svg = chart.svg().ok()?;
    let overlay = overlay(&svg, &points);
    Some(themed(&svg, &label, &overlay))
}

/// A place on the line.
struct Point {
    day: NaiveDate,
    /// Up to and on that day.
    steps: u16,
    /// What was reached since the place before.
    reached: Vec<String>,
}

fn points(entries: &[TimelineEntry], first: NaiveDate, last: NaiveDate, days_a_point: i64) -> Vec<Point> {
    // A line takes two places.
    let count = ((last - first).num_days() / days_a_point + 1).max(2);
    let mut steps = 0;
    (0..count)
        .map(|index| {
            let reached: Vec<_> = entries
                .iter()
                .filter(|entry| (entry.at.date_naive() - first).num_days() / days_a_point == index)
                .map(|entry| entry.label.clone())
                .collect();
            steps += u16::try_from(reached.len()).unwrap_or(u16::MAX);
            Point { day: first + Duration::days(index * days_a_point), steps, reached }
        })
        .collect()
}

/// A dot where something was reached, and its name while the pointer is on it.
fn overlay(svg: &str, points: &[Point]) -> String {
    let text = |point: &Point| (!point.reached.is_empty()).then(|| format!("{}: {}", short_day(point.day), point.reached.join(", ")));
    let dot = |(x, y, column): (f32, f32, String)| format!(r##"<circle cx="{x}" cy="{y}" r="4" fill="#010101"/>{column}"##);
    columns(svg, (WIDE, HEIGHT), points.iter().map(text)).into_iter().map(dot).collect()
}

/// `22 Nov`.
fn short_day(at: NaiveDate) -> String {
    let words = day(at);
    words.rsplit_once(' ').map_or(words.clone(), |(short, _)| short.to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn entry(at: &str, label: &str) -> TimelineEntry {
        TimelineEntry { at: format!("{at}T12:00:00Z").parse().unwrap(), label: label.to_owned() }
    }

    #[test]
    fn without_steps_there_is_no_timeline() {
        assert_eq!(timeline(&[]), None);
    }

    #[test]
    fn each_step_is_a_dot_with_its_day_and_name() {
        let entries =
            [entry("2026-10-01", "First click"), entry("2026-10-03", "A & B"), entry("2026-10-03", "C"), entry("2026-10-20", "D")];
        let svg = timeline(&entries).unwrap();
        assert!(svg.contains("Steps over time: 4 from 1 Oct 2026 to 20 Oct 2026"), "{svg}");
        assert!(svg.contains("3 Oct: A &amp; B, C") && svg.matches("chart__point").count() == 3, "{svg}");
        assert!(!svg.contains('#'), "{svg}");
    }

    #[test]
    fn one_day_and_three_years_are_drawn_alike() {
        assert_eq!(timeline(&[entry("2026-10-01", "A")]).unwrap().matches("chart__point").count(), 1);
        let long = timeline(&[entry("2023-10-01", "A"), entry("2025-01-01", "B"), entry("2026-10-01", "C")]).unwrap();
        assert_eq!(long.matches("chart__point").count(), 3);
    }
}
