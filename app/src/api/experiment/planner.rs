//! What a test would take: units, days at the real traffic, and what the planned number can find.

use chrono::{DateTime, Utc};
use domain::{
    auth::Principal,
    experiment::{
        Design, Metric, Traffic, UnitKind,
        statistics::{Baseline, Reading, Sizing, days, detectable_lift, sample_size},
    },
};
use engine::Engine;

use super::{Measured, form::DesignForm};
use crate::{
    AppError,
    components::{count, date_time, percent_text},
    panels::{self, Answer, ByEnd, Planned, Takes},
};

/// What the planner goes by: what was typed or, where nothing was, what the units of the test did last week.
struct Given {
    baseline: String,
    spread: String,
    daily_units: String,
    /// Of the units that come.
    share_that_takes_part: f64,
    /// The end, with the days that the test has until then.
    end: Option<(DateTime<Utc>, f64)>,
}

/// The planner's answer as HTML, and what it found where nothing was typed. A test that has begun says when.
pub async fn plan(
    engine: &Engine,
    who: &Principal,
    form: &DesignForm,
    design: &Design,
    began_at: Option<DateTime<Utc>>,
) -> Result<(String, Measured), AppError> {
    let traffic = engine::experiment::traffic(engine, who, design).await?;
    let holdout = engine::experiment::holdout(engine, who).await?;
    let measured = measured(&traffic, design.primary_metric);
    let or_measured = |typed: &str, measured: &str| if typed.trim().is_empty() { measured.to_owned() } else { typed.to_owned() };
    let given = Given {
        baseline: or_measured(&form.baseline, &measured.baseline),
        spread: or_measured(&form.spread, &measured.spread),
        daily_units: or_measured(&form.daily_units, &measured.daily_units),
        share_that_takes_part: share_that_takes_part(design, holdout),
        end: end(design, began_at, engine.now()),
    };
    let planned = Planned { answer: answer(&given, design), traffic: traffic_words(&traffic, design.unit) };
    Ok((panels::planner(planned), measured))
}

fn measured(traffic: &Traffic, metric: Metric) -> Measured {
    let (baseline, spread) = match traffic.baseline(metric) {
        Some(Baseline::Rate { rate }) => (rounded(rate * 100.0), String::new()),
        Some(Baseline::Mean { mean, deviation }) => (rounded(mean), rounded(deviation)),
        None => (String::new(), String::new()),
    };
    let daily_units = if traffic.units > 0 { rounded(traffic.units_per_day()) } else { String::new() };
    Measured { baseline, spread, daily_units }
}

fn traffic_words(traffic: &Traffic, unit: UnitKind) -> String {
    let days = if traffic.days >= 1.0 { format!("{:.0} days", traffic.days) } else { format!("{:.0} hours", traffic.days * 24.0) };
    let (units, note) = match unit {
        UnitKind::Visitor => ("visitors with an id", " Where no test keeps their ids, each page counts as a visitor of its own."),
        UnitKind::Site => ("sites", ""),
    };
    if traffic.units == 0 {
        return format!("In the last {days} no {units} saw anything that this test could change.");
    }
    let (number, daily) = (whole(traffic.units as f64), rounded(traffic.units_per_day()));
    format!("In the last {days}, {number} {units} saw what this test could change: {daily} a day.{note}")
}

/// A test that has not begun has from its start, or from now.
fn end(design: &Design, began_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<(DateTime<Utc>, f64)> {
    let end = design.ends_at?;
    let begin = began_at.unwrap_or_else(|| design.starts_at.map_or(now, |start| start.max(now)));
    Some((end, (end - begin).as_seconds_f64().max(0.0) / 86_400.0))
}

fn answer(given: &Given, design: &Design) -> Answer {
    let Some(baseline) = number(&given.baseline).filter(|number| *number > 0.0) else {
        return Answer::Asks("Say what the metric is like without the test, and the planner tells what the test would take.");
    };
    let baseline = if design.primary_metric.is_rate() {
        Baseline::Rate { rate: baseline / 100.0 }
    } else {
        let Some(deviation) = number(&given.spread).filter(|number| *number > 0.0) else {
            return Answer::Asks("Say how far single units lie from the mean, and the planner tells what the test would take.");
        };
        Baseline::Mean { mean: baseline, deviation }
    };
    let sizing = |reading| Sizing { baseline, alpha: design.plan.alpha, power: design.plan.power, weights: design.weights(), reading };
    let lift = design.plan.minimum_detectable_lift;
    let (once, always) = match (sample_size(&sizing(Reading::FixedHorizon), lift), sample_size(&sizing(Reading::Sequential), lift)) {
        (Ok(once), Ok(always)) => (once, always),
        (Err(error), _) | (_, Err(error)) => return Answer::Impossible(error.to_string()),
    };
    let daily = units(&given.daily_units).map(|units| units * given.share_that_takes_part);
    let planned = design.plan.planned_units;
    let in_days = |units: u64| daily.and_then(|daily| days(units, daily));
    let found_by = |units: f64| detectable_lift(&sizing(Reading::Sequential), units).ok().flatten();
    let by_end = given.end.zip(daily).map(|((end, days), daily)| {
        let units = (daily * days).round();
        ByEnd { end: date_time(end), units: whole(units), lift: found_by(units), is_enough: units >= always.total as f64 }
    });
    Answer::Takes(Box::new(Takes {
        lift: format!("+{} %", percent_text(lift)),
        power: format!("{} %", percent_text(design.plan.power)),
        per_arm: design.variants.iter().map(|variant| variant.name.clone()).zip(always.per_arm).collect(),
        once: (once.total, in_days(once.total)),
        always: (always.total, in_days(always.total)),
        planned: (planned, in_days(planned)),
        achievable: found_by(planned as f64),
        by_end,
        daily: daily.map(whole),
    }))
}

/// Of the units that come: those not held out, in the traffic allocation, and in the test's part of its exclusion group.
fn share_that_takes_part(design: &Design, holdout: f64) -> f64 {
    (1.0 - holdout) * design.traffic_allocation * design.exclusion_group.as_ref().map_or(1.0, |group| group.end - group.start)
}

fn number(text: &str) -> Option<f64> {
    let text: String = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '%').collect();
    text.replace(',', ".").parse().ok().filter(|number: &f64| number.is_finite())
}

/// A number of units, which may be typed with separators.
fn units(text: &str) -> Option<f64> {
    let digits: String = text.chars().filter(|letter| !letter.is_whitespace() && !matches!(letter, ',' | '\'' | '_')).collect();
    digits.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite())
}

/// To three significant digits.
fn rounded(number: f64) -> String {
    let digits = if number >= 10.0 {
        1
    } else if number >= 1.0 {
        2
    } else {
        3
    };
    format!("{number:.digits$}")
}

#[expect(clippy::cast_possible_truncation, reason = "far below 2^53, and only read")]
fn whole(number: f64) -> String {
    count(number.round() as i64)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::api::experiment::read;

    fn design(change: impl FnOnce(&mut DesignForm)) -> Design {
        let mut form = DesignForm { name: "Shorter button".to_owned(), ..read::new_form("cta") };
        form.variants[1].text = "Try it".to_owned();
        change(&mut form);
        let (design, faults) = read::design(&form, None);
        assert_eq!(faults, read::Faults::new());
        design
    }

    fn given(end: Option<(DateTime<Utc>, f64)>) -> Given {
        Given { baseline: "10".to_owned(), spread: String::new(), daily_units: "1000".to_owned(), share_that_takes_part: 0.45, end }
    }

    fn by_end(days: f64) -> ByEnd {
        let end = "2026-12-24T12:00:00Z".parse().unwrap();
        let Answer::Takes(takes) = answer(&given(Some((end, days))), &design(|_| ())) else { panic!("a plan") };
        takes.by_end.unwrap()
    }

    #[test]
    fn what_an_end_finds_follows_from_the_units_until_then() {
        let (week, year) = (by_end(7.0), by_end(365.0));
        assert_eq!((week.units.as_str(), year.units.as_str()), ("3,150", "164,250"));
        assert!(week.lift.unwrap() > year.lift.unwrap() && !week.is_enough && year.is_enough);
        assert_eq!(by_end(0.0).lift, None);
        let Answer::Takes(takes) = answer(&given(None), &design(|_| ())) else { panic!("a plan") };
        assert!(takes.by_end.is_none());
    }

    #[test]
    fn days_until_the_end_begin_with_the_test() {
        let at = |text: &str| -> DateTime<Utc> { text.parse().unwrap() };
        let with_end = |starts_at: &str| {
            let starts_at = starts_at.to_owned();
            design(|form| (form.starts_at, form.ends_at) = (starts_at, "2026-12-11T00:00".to_owned()))
        };
        let now = at("2026-12-01T00:00:00Z");
        let hours = |design: &Design, began_at| format!("{:.3}", end(design, began_at, now).unwrap().1 * 24.0);
        assert_eq!(hours(&with_end(""), None), "240.000");
        assert_eq!(hours(&with_end("2026-12-04T00:00"), None), "168.000");
        assert_eq!(hours(&with_end("2026-11-01T00:00"), None), "240.000", "a start that has passed is no time to come");
        assert_eq!(hours(&with_end(""), Some(at("2026-11-21T00:00:00Z"))), "480.000");
        assert_eq!(end(&design(|_| ()), None, now), None);
    }

    #[test]
    fn who_is_held_out_or_of_another_part_takes_no_part() {
        let narrowed = design(|form| {
            form.traffic = "50".to_owned();
            (form.group_name, form.group_from, form.group_to) = ("widget".to_owned(), "0".to_owned(), "20".to_owned());
        });
        assert!((share_that_takes_part(&narrowed, 0.1) - 0.9 * 0.5 * 0.2).abs() < 1e-12);
    }

    #[test]
    fn measured_figures_are_those_of_units() {
        let traffic = Traffic { days: 7.0, units: 200, clicked: 5, clicks: 8, clicks_squares: 20, ..Traffic::default() };
        let of = |metric| measured(&traffic, metric);
        assert_eq!(of(Metric::ClickRate), Measured { baseline: "2.50".into(), spread: String::new(), daily_units: "28.6".into() });
        assert_eq!((of(Metric::ClicksPerUnit).baseline.as_str(), of(Metric::SuccessRate).baseline.as_str()), ("0.040", ""));
        assert_eq!(measured(&Traffic::default(), Metric::ClickRate), Measured::default());
        assert!(traffic_words(&Traffic { days: 7.0, ..Traffic::default() }, UnitKind::Site).contains("no sites saw"));
    }
}
