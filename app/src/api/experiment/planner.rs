//! What a test would take: units, days at the real traffic, and what the planned number can find.

use domain::{
    auth::Principal,
    dashboard::Range,
    experiment::{
        Design, Metric,
        statistics::{Baseline, Reading, Sizing, days, detectable_lift, sample_size},
    },
};
use engine::Engine;

use super::form::DesignForm;
use crate::{
    AppError,
    components::{count, percent_text},
    panels::{self, Answer, Planned},
};

/// The days of [`Range::Last7Days`].
const DAYS: f64 = 7.0;

/// The planner's answer as HTML. What was not typed of baseline and traffic is filled in from the last week, where it tells.
pub async fn plan(engine: &Engine, who: &Principal, form: &mut DesignForm, design: &Design) -> Result<String, AppError> {
    let counts = engine::dashboard::metrics(engine, who, Range::Last7Days).await?.counts.now;
    let seen = counts.impressions.max(0) as f64;
    let rate = |part: i64| (seen > 0.0).then(|| (part as f64 / seen).clamp(0.0, 1.0)).filter(|rate| *rate > 0.0 && *rate < 1.0);
    let known = match design.primary_metric {
        Metric::ClickRate => rate(counts.clicks),
        Metric::ConversionRate => rate(counts.conversions_attributed()),
        Metric::SuccessRate => rate(counts.successes),
        Metric::ClicksPerUnit | Metric::CommissionPerUnit => None,
    };
    if form.baseline.trim().is_empty()
        && let Some(known) = known
    {
        form.baseline = rounded(known * 100.0);
    }
    if form.daily_units.trim().is_empty() && seen > 0.0 {
        form.daily_units = format!("{:.0}", (seen / DAYS).ceil());
    }
    let traffic = (seen > 0.0)
        .then(|| format!("In the last 7 days, {} offers a day were seen; a unit that sees several counts once.", whole(seen / DAYS)));
    Ok(panels::planner(Planned { answer: answer(form, design), traffic }))
}

fn answer(form: &DesignForm, design: &Design) -> Answer {
    let Some(baseline) = number(&form.baseline).filter(|number| *number > 0.0) else {
        return Answer::Asks("Say what the metric is like without the test, and the planner tells what the test would take.");
    };
    let baseline = if design.primary_metric.is_rate() {
        Baseline::Rate { rate: baseline / 100.0 }
    } else {
        let Some(deviation) = number(&form.spread).filter(|number| *number > 0.0) else {
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
    let daily = units(&form.daily_units).map(|units| units * share_that_takes_part(design));
    let planned = design.plan.planned_units;
    let in_days = |units: u64| daily.and_then(|daily| days(units, daily));
    Answer::Plan {
        lift: format!("+{} %", percent_text(lift)),
        power: format!("{} %", percent_text(design.plan.power)),
        per_arm: design.variants.iter().map(|variant| variant.name.clone()).zip(always.per_arm).collect(),
        once: (once.total, in_days(once.total)),
        always: (always.total, in_days(always.total)),
        planned: (planned, in_days(planned)),
        achievable: detectable_lift(&sizing(Reading::Sequential), planned as f64).ok().flatten(),
        daily: daily.map(whole),
    }
}

/// Of the units that come: those in the traffic allocation and in the test's part of its exclusion group.
fn share_that_takes_part(design: &Design) -> f64 {
    design.traffic_allocation * design.exclusion_group.as_ref().map_or(1.0, |group| group.end - group.start)
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
