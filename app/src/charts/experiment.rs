//! A test over its days: the lift with its interval, what came of the variants, how many units there were, and how weights moved.

use chrono::NaiveDate;
use domain::experiment::{DayResult, Weights};

use super::plot::{Plot, short_day};
use crate::components::{count, share_words};

const HEIGHT: f64 = 220.0;
/// Beyond it an early interval says no more than that nothing is known yet.
const LIFT_MOST: f64 = 4.0;

/// A variant's lift against the control with its confidence sequence; `None` as long as there is none. `index` is its place among all
/// variants, the control being 0.
pub fn lift(days: &[DayResult], variant: &str, index: usize) -> Option<String> {
    let of_day = |day: &DayResult| day.lifts.iter().find(|lift| lift.variant == variant).cloned();
    let lifts: Vec<_> = days.iter().map(of_day).collect();
    let estimates: Vec<Option<f64>> = lifts.iter().map(|lift| lift.as_ref().and_then(|lift| lift.lift)).collect();
    let latest = estimates.iter().rev().flatten().next().copied()?;
    let bands: Vec<Option<(f64, f64)>> = lifts
        .iter()
        .map(|lift| lift.as_ref().and_then(|lift| lift.interval).map(|interval| (interval.low, interval.high.unwrap_or(f64::MAX))))
        .collect();
    let reach = reach(&estimates, &bands);
    let dates: Vec<NaiveDate> = days.iter().map(|day| day.day).collect();
    let mut plot = Plot::new(&dates, HEIGHT, -reach, reach);
    plot.axes(signed);
    plot.band(index, &bands);
    plot.line(index, &estimates);
    plot.hover(|day| {
        let interval = bands[day].map(|(low, high)| format!(" ({} to {})", signed(low), upper(high))).unwrap_or_default();
        estimates[day].map_or_else(|| "nothing to compare yet".to_owned(), |lift| format!("{}{interval}", signed(lift)))
    });
    let interval = bands.last().copied().flatten().map(|(low, high)| format!(", between {} and {}", signed(low), upper(high)));
    let label = format!("Lift of {variant} over time, now {}{}", signed(latest), interval.unwrap_or_default());
    Some(plot.finish(&label))
}

/// How far from zero the drawing goes: as far as the later half of the intervals, so that the first days do not flatten the rest.
fn reach(estimates: &[Option<f64>], bands: &[Option<(f64, f64)>]) -> f64 {
    let later = bands.len() / 2;
    let ends = bands[later..].iter().flatten().flat_map(|(low, high)| [low.abs(), high.abs()]);
    let most = ends.chain(estimates.iter().flatten().map(|lift| lift.abs())).filter(|end| *end <= LIFT_MOST).fold(0.05, f64::max);
    most * 1.1
}

fn signed(share: f64) -> String {
    let percent = share * 100.0;
    let digits = usize::from(percent.abs() < 10.0 && (percent * 10.0).round() % 10.0 != 0.0);
    if percent.abs() < 0.05 { "0 %".to_owned() } else { format!("{percent:+.digits$} %") }
}

fn upper(share: f64) -> String {
    if share >= f64::MAX { "no upper bound".to_owned() } else { signed(share) }
}

/// Conversions of each variant up to each day; `None` as long as there is none.
pub fn conversions(days: &[DayResult], names: &[String]) -> Option<String> {
    let most = days.last()?.conversions.iter().copied().max().filter(|most| *most > 0)?;
    let dates: Vec<NaiveDate> = days.iter().map(|day| day.day).collect();
    let mut plot = Plot::new(&dates, HEIGHT, 0.0, most as f64);
    plot.axes(whole);
    for place in 0..names.len() {
        let values: Vec<Option<f64>> = days.iter().map(|day| day.conversions.get(place).map(|count| *count as f64)).collect();
        plot.line(place, &values);
    }
    let words = |day: &DayResult| each(names, &day.conversions);
    plot.hover(|index| words(&days[index]));
    let label = format!("Conversions so far. {}", words(days.last()?));
    Some(plot.finish(&label))
}

/// Units exposed on each day, by variant; `None` without any.
pub fn exposures(days: &[DayResult], names: &[String]) -> Option<String> {
    let most = days.iter().flat_map(|day| &day.exposures).copied().max().filter(|most| *most > 0)?;
    let dates: Vec<NaiveDate> = days.iter().map(|day| day.day).collect();
    let mut plot = Plot::new(&dates, HEIGHT, 0.0, most as f64).in_columns();
    plot.axes(whole);
    for (index, day) in days.iter().enumerate() {
        for (place, units) in day.exposures.iter().enumerate() {
            plot.bar(place, names.len(), index, *units as f64);
        }
    }
    plot.hover(|index| each(names, &days[index].exposures));
    let total: i64 = days.iter().flat_map(|day| &day.exposures).sum();
    let (first, last) = (short_day(dates[0]), dates.last().map(|last| short_day(*last)).unwrap_or_default());
    Some(plot.finish(&format!("Units exposed on each day, {} from {first} to {last}", count(total))))
}

/// The weights of a bandit after each change; `None` before the first.
pub fn weights(history: &[Weights], names: &[String]) -> Option<String> {
    if history.len() < 2 {
        return None;
    }
    let dates: Vec<NaiveDate> = history.iter().map(|weights| weights.since.date_naive()).collect();
    let mut plot = Plot::new(&dates, HEIGHT, 0.0, 1.0);
    plot.axes(|share| share_words((share * 100.0).round() / 100.0));
    for place in 0..names.len() {
        let values: Vec<Option<f64>> = history.iter().map(|weights| weights.weights.get(place).copied()).collect();
        plot.line(place, &values);
    }
    let words = |weights: &Weights| {
        let each = names.iter().zip(&weights.weights).map(|(name, weight)| format!("{name} {:.1} %", weight * 100.0));
        each.collect::<Vec<_>>().join(", ")
    };
    plot.hover(|index| words(&history[index]));
    let label = format!("Weights after each of {} changes. Now {}", history.len() - 1, words(history.last()?));
    Some(plot.finish(&label))
}

fn each(names: &[String], counts: &[i64]) -> String {
    let each = names.iter().zip(counts).map(|(name, number)| format!("{name} {}", count(*number)));
    each.collect::<Vec<_>>().join(", ")
}

#[expect(clippy::cast_possible_truncation, reason = "a label of an axis")]
fn whole(number: f64) -> String {
    if (number - number.round()).abs() < 1e-9 { count(number.round() as i64) } else { String::new() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use domain::experiment::{DayLift, statistics::Interval};

    use super::*;

    fn day(date: &str, exposures: [i64; 2], conversions: [i64; 2], lift: Option<(f64, f64, Option<f64>)>) -> DayResult {
        DayResult {
            day: date.parse().unwrap(),
            exposures: exposures.to_vec(),
            conversions: conversions.to_vec(),
            means: vec![None; 2],
            lifts: vec![DayLift {
                variant: "short & sweet".to_owned(),
                lift: lift.map(|(lift, ..)| lift),
                interval: lift.map(|(_, low, high)| Interval { low, high }),
            }],
        }
    }

    fn names() -> Vec<String> {
        vec!["Control".to_owned(), "Short & sweet".to_owned()]
    }

    #[test]
    fn before_anything_happened_there_is_nothing_to_draw() {
        assert_eq!(lift(&[], "b", 1), None);
        assert_eq!(conversions(&[], &names()), None);
        assert_eq!(exposures(&[], &names()), None);
        let idle = [day("2026-11-20", [0, 0], [0, 0], None)];
        assert_eq!((lift(&idle, "short & sweet", 1), conversions(&idle, &names()), exposures(&idle, &names())), (None, None, None));
        assert_eq!(weights(&[], &names()), None);
    }

    #[test]
    fn a_lift_is_drawn_with_its_interval_and_told_in_words() {
        let days = [
            day("2026-11-20", [50, 50], [1, 2], None),
            day("2026-11-21", [90, 80], [4, 6], Some((0.5, -0.9, None))),
            day("2026-11-22", [70, 90], [9, 14], Some((0.12, 0.031, Some(0.2)))),
        ];
        let svg = lift(&days, "short & sweet", 1).unwrap();
        assert!(svg.contains("Lift of short &amp; sweet over time, now +12 %, between +3.1 % and +20 %"), "{svg}");
        assert!(svg.contains("21 Nov: +50 % (-90 % to no upper bound)") && svg.contains("20 Nov: nothing to compare yet"), "{svg}");
        assert!(svg.contains("plot__band") && !svg.contains('#'), "{svg}");
    }

    #[test]
    fn one_day_is_enough_to_draw() {
        let days = [day("2026-11-20", [50, 50], [1, 2], Some((0.1, -0.5, Some(0.7))))];
        for svg in [lift(&days, "short & sweet", 1), conversions(&days, &names()), exposures(&days, &names())] {
            assert!(!svg.unwrap().contains("NaN"));
        }
    }

    #[test]
    fn counts_are_told_by_variant() {
        let days = [day("2026-11-20", [50, 51], [1, 2], None), day("2026-11-21", [1_200, 1_100], [40, 60], None)];
        assert!(conversions(&days, &names()).unwrap().contains("Conversions so far. Control 40, Short &amp; sweet 60"));
        let svg = exposures(&days, &names()).unwrap();
        assert!(svg.contains("2,401 from 20 Nov to 21 Nov") && svg.matches("plot__bar").count() == 4, "{svg}");
    }
}
