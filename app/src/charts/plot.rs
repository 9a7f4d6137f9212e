//! Lines over days, drawn by hand where charts-rs has no form: bands, gaps, and as many lines as a test has variants.

use std::fmt::Write;

use chrono::NaiveDate;

use super::{escape, themed};
use crate::components::day;

/// In the drawing's own units; the page scales it.
const WIDTH: f64 = 540.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 26.0;
/// So close to an edge a text under the pointer would be cut off if it stood in the middle.
const EDGE: f64 = 150.0;
const DAY_LABELS: usize = 5;

/// A drawing over some days, with values between two bounds.
pub(super) struct Plot<'d> {
    days: &'d [NaiveDate],
    height: f64,
    low: f64,
    high: f64,
    /// The days are columns beside each other, and not points of a line.
    in_columns: bool,
    body: String,
}

impl<'d> Plot<'d> {
    /// Bounds that are the same are moved apart.
    pub fn new(days: &'d [NaiveDate], height: f64, low: f64, high: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { days, height, low, high, in_columns: false, body: String::new() }
    }

    /// For bars.
    pub fn in_columns(self) -> Self {
        Self { in_columns: true, ..self }
    }

    fn column_width(&self) -> f64 {
        (WIDTH - LEFT - RIGHT) / self.days.len().max(1) as f64
    }

    pub fn x(&self, index: usize) -> f64 {
        let room = WIDTH - LEFT - RIGHT;
        match self.days.len() {
            _ if self.in_columns => LEFT + self.column_width() * (index as f64 + 0.5),
            0 | 1 => LEFT + room / 2.0,
            count => LEFT + room * index as f64 / (count - 1) as f64,
        }
    }

    /// What lies beyond the bounds is drawn at the edge.
    pub fn y(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        TOP + (self.height - TOP - BOTTOM) * (1.0 - share)
    }

    /// Lines across at round values, with their labels, and the days below.
    pub fn axes(&mut self, label: impl Fn(f64) -> String) {
        let step = round_step((self.high - self.low) / 4.0);
        let mut value = (self.low / step).ceil() * step;
        while value <= self.high + step * 1e-9 {
            let y = self.y(value);
            let class = if value.abs() < step * 1e-9 { "plot__zero" } else { "plot__grid" };
            let text = escape(&label(value));
            let _ = write!(
                self.body,
                r#"<line class="{class}" x1="{LEFT}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/><text class="plot__label" x="{:.1}" y="{:.1}" text-anchor="end">{text}</text>"#,
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
            );
            value += step;
        }
        let every = self.days.len().div_ceil(DAY_LABELS).max(1);
        for (index, date) in self.days.iter().enumerate().step_by(every) {
            let anchor = match index {
                _ if self.in_columns => "middle",
                0 if self.days.len() > 1 => "start",
                _ if index + 1 == self.days.len() && self.days.len() > 1 => "end",
                _ => "middle",
            };
            let _ = write!(
                self.body,
                r#"<text class="plot__label" x="{:.1}" y="{:.1}" text-anchor="{anchor}">{}</text>"#,
                self.x(index),
                self.height - 6.0,
                short_day(*date),
            );
        }
    }

    /// A line through the values that are there; `place` chooses its colour.
    pub fn line(&mut self, place: usize, values: &[Option<f64>]) {
        for (start, run) in runs(values) {
            let points: Vec<String> =
                run.iter().enumerate().map(|(index, value)| format!("{:.1},{:.1}", self.x(start + index), self.y(*value))).collect();
            let _ = match run.len() {
                1 => write!(
                    self.body,
                    r#"<circle class="plot__dot" data-place="{place}" cx="{:.1}" cy="{:.1}" r="3"/>"#,
                    self.x(start),
                    self.y(run[0])
                ),
                _ => write!(self.body, r#"<polyline class="plot__line" data-place="{place}" points="{}"/>"#, points.join(" ")),
            };
        }
    }

    /// The area between two lines, where both are there.
    pub fn band(&mut self, place: usize, values: &[Option<(f64, f64)>]) {
        for (start, run) in runs(values) {
            let upper = run.iter().enumerate().map(|(index, (_, high))| (self.x(start + index), self.y(*high)));
            let lower = run.iter().enumerate().map(|(index, (low, _))| (self.x(start + index), self.y(*low))).rev();
            let points: Vec<String> = upper.chain(lower).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = match run.len() {
                1 => write!(
                    self.body,
                    r#"<line class="plot__whisker" data-place="{place}" x1="{x:.1}" x2="{x:.1}" y1="{:.1}" y2="{:.1}"/>"#,
                    self.y(run[0].0),
                    self.y(run[0].1),
                    x = self.x(start),
                ),
                _ => write!(self.body, r#"<polygon class="plot__band" data-place="{place}" points="{}"/>"#, points.join(" ")),
            };
        }
    }

    /// A bar from the lower bound up, one of several beside each other on a day.
    pub fn bar(&mut self, place: usize, of: usize, index: usize, value: f64) {
        let width = (self.column_width() * 0.8 / of.max(1) as f64).clamp(0.5, 18.0);
        let x = self.x(index) + width * (place as f64 - of as f64 / 2.0);
        let y = self.y(value);
        let _ = write!(
            self.body,
            r#"<rect class="plot__bar" data-place="{place}" x="{x:.1}" y="{y:.1}" width="{:.1}" height="{:.1}"/>"#,
            (width - 0.5).max(0.5),
            (self.height - BOTTOM - y).max(0.0),
        );
    }

    /// What shows under the pointer, for each day.
    pub fn hover(&mut self, text: impl Fn(usize) -> String) {
        let count = self.days.len();
        let step = if self.in_columns { self.column_width() } else { (WIDTH - LEFT - RIGHT) / (count.max(2) - 1) as f64 };
        for index in 0..count {
            let x = self.x(index);
            let anchor = if x < EDGE + LEFT {
                "start"
            } else if x > WIDTH - EDGE {
                "end"
            } else {
                "middle"
            };
            let _ = write!(
                self.body,
                r#"<g class="chart__point"><rect x="{:.1}" y="0" width="{step:.1}" height="{bottom:.1}"/><line x1="{x:.1}" x2="{x:.1}" y1="20" y2="{bottom:.1}"/><text x="{x:.1}" y="12" text-anchor="{anchor}">{}: {}</text></g>"#,
                x - step / 2.0,
                short_day(self.days[index]),
                escape(&text(index)),
                bottom = self.height - BOTTOM,
            );
        }
    }

    /// The drawing; `label` says for screen readers what it shows.
    pub fn finish(self, label: &str) -> String {
        let svg = format!(r#"<svg viewBox="0 0 {WIDTH} {}">{}</svg>"#, self.height, self.body);
        themed(&svg, label, "")
    }
}

/// What is there without a gap, with where it begins.
fn runs<T: Copy>(values: &[Option<T>]) -> Vec<(usize, Vec<T>)> {
    let mut runs: Vec<(usize, Vec<T>)> = Vec::new();
    let mut is_open = false;
    for (index, value) in values.iter().enumerate() {
        match value {
            Some(value) if is_open => runs.last_mut().into_iter().for_each(|(_, run)| run.push(*value)),
            Some(value) => runs.push((index, vec![*value])),
            None => {}
        }
        is_open = value.is_some();
    }
    runs
}

/// 1, 2 or 5 times a power of ten, at least as large as asked.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least * (1.0 - 1e-9)).unwrap_or(power)
}

/// `22 Nov`.
pub(super) fn short_day(at: NaiveDate) -> String {
    let words = day(at);
    words.rsplit_once(' ').map_or(words.clone(), |(short, _)| short.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        let steps = [0.03, 0.2, 0.21, 7.0, 1.0].map(round_step);
        assert!(steps.iter().zip([0.05, 0.2, 0.5, 10.0, 1.0]).all(|(step, expected)| (step - expected).abs() < 1e-12), "{steps:?}");
    }

    #[test]
    fn a_gap_parts_a_line() {
        assert_eq!(runs(&[None, Some(1), Some(2), None, Some(3)]), [(1, vec![1, 2]), (4, vec![3])]);
        assert_eq!(runs::<i32>(&[None, None]), []);
    }

    #[test]
    fn values_beyond_the_bounds_stay_on_the_paper() {
        let days = [NaiveDate::default(); 2];
        let plot = Plot::new(&days, 200.0, -1.0, 1.0);
        assert!((plot.y(5.0) - TOP).abs() < 1e-9 && (plot.y(-5.0) - (200.0 - BOTTOM)).abs() < 1e-9);
        // Equal bounds would divide by nothing.
        assert!(Plot::new(&days, 200.0, 0.0, 0.0).y(0.0).is_finite());
    }
}
