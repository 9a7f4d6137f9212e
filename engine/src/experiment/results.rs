//! Results, from the sums by day: what they cost does not depend on how many units there are.
//!
//! The primary metric is looked at for the evening of every day, in order. So evidence that was strong enough once stays so, and the day on
//! which the arms stopped having the units that their weights promise is known, without anything being kept.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use domain::{
    auth::Principal,
    experiment::{
        DayLift, DayResult, Design, Experiment, Metric, MetricResult, PhaseSpan, Planner, Results, Status, VariantTotals, Weights,
        statistics::{
            self, Analysis, Arm, ArmStatistics, Baseline, CovariateSums, Evidence, GuardrailQuestion, MetricKind, Question, Sizing,
            WeightPeriod, analyse,
        },
    },
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use sqlx::PgConnection;

use super::{require_read, store};
use crate::{Engine, Error, Result};

/// Whole days that the pace is taken from.
const PACE_DAYS: i64 = 7;

/// Evenings of a phase whose figures are shown: those of one cost about a millisecond. A longer phase has them evenly spaced, the last one among
/// them; what a verdict goes by is looked at on the others too.
const SHOWN_MAX: usize = 90;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

/// What a phase of a test has shown so far; of the present phase if none is named.
///
/// # Errors
/// [`Error::NotFound`] for an unknown test or phase; [`Error::Conflict`] if it never started; refuses who may not read.
pub async fn results(engine: &Engine, who: &Principal, key: &str, phase: Option<i32>) -> Result<Results> {
    require_read(who)?;
    let now = engine.now();
    let mut tx = engine.db.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let experiment = store::load(&mut tx, key).await?;
    let present = experiment.phase.as_ref().map(|phase| phase.number);
    let number = phase.or(present).ok_or_else(|| Error::Conflict(format!("test `{key}` never started: it has no results")))?;
    let measured = measure(&mut tx, &experiment, number).await?;
    tx.commit().await?;
    measured.results(&experiment, now)
}

/// Exact sums over units, of some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    exposures: i64,
    clicked: i64,
    converted: i64,
    succeeded: i64,
    clicks: i64,
    conversions: i64,
    commission_minor: i64,
    clicks_squares: Decimal,
    commission_squares: Decimal,
    x: Decimal,
    x_squares: Decimal,
    x_clicked: Decimal,
    x_converted: Decimal,
    x_succeeded: Decimal,
    x_clicks: Decimal,
    x_commission: Decimal,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.exposures += other.exposures;
        self.clicked += other.clicked;
        self.converted += other.converted;
        self.succeeded += other.succeeded;
        self.clicks += other.clicks;
        self.conversions += other.conversions;
        self.commission_minor += other.commission_minor;
        self.clicks_squares = self.clicks_squares.saturating_add(other.clicks_squares);
        self.commission_squares = self.commission_squares.saturating_add(other.commission_squares);
        self.x = self.x.saturating_add(other.x);
        self.x_squares = self.x_squares.saturating_add(other.x_squares);
        self.x_clicked = self.x_clicked.saturating_add(other.x_clicked);
        self.x_converted = self.x_converted.saturating_add(other.x_converted);
        self.x_succeeded = self.x_succeeded.saturating_add(other.x_succeeded);
        self.x_clicks = self.x_clicks.saturating_add(other.x_clicks);
        self.x_commission = self.x_commission.saturating_add(other.x_commission);
    }

    /// Whether units differ in what they did before, by sums that are those of all arms.
    fn has_covariate(&self) -> bool {
        self.x_squares.saturating_mul(self.exposures.into()) > self.x.saturating_mul(self.x)
    }

    /// What the statistics need for a metric.
    pub(super) fn of(&self, metric: Metric, with_covariate: bool) -> ArmStatistics {
        let units = count(self.exposures);
        let (mut statistics, sum_products) = match metric {
            Metric::ClickRate => (ArmStatistics::rate(units, count(self.clicked)), self.x_clicked),
            Metric::ConversionRate => (ArmStatistics::rate(units, count(self.converted)), self.x_converted),
            Metric::SuccessRate => (ArmStatistics::rate(units, count(self.succeeded)), self.x_succeeded),
            Metric::ClicksPerUnit => (ArmStatistics::mean(units, self.clicks.into(), self.clicks_squares), self.x_clicks),
            Metric::CommissionPerUnit => {
                (ArmStatistics::mean(units, self.commission_minor.into(), self.commission_squares), self.x_commission)
            }
        };
        statistics.covariate = with_covariate.then_some(CovariateSums { sum: self.x, sum_squares: self.x_squares, sum_products });
        statistics
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// What the tables hold of a phase.
struct Measured {
    phase: i32,
    design: Design,
    phases: Vec<PhaseSpan>,
    weights: Vec<Weights>,
    /// Changes by day, in the order of the variants; every day from the first to the last is there.
    days: BTreeMap<NaiveDate, Vec<Totals>>,
    /// Exposures by day, period and variant.
    exposures: BTreeMap<(NaiveDate, i32), Vec<u64>>,
}

async fn measure(connection: &mut PgConnection, experiment: &Experiment, phase: i32) -> Result<Measured> {
    let id = experiment.experiment_id.0;
    let rows =
        sqlx::query!("select phase, design, started_at, ended_at from experiment_phases where experiment_id = $1 order by phase", id)
            .fetch_all(&mut *connection)
            .await?;
    let design = rows.iter().find(|row| row.phase == phase).map(|row| row.design.clone());
    let design = design.ok_or_else(|| Error::not_found(format!("phase {phase} of test `{}`", experiment.key)))?;
    let design: Design = serde_json::from_value(design).map_err(Error::internal)?;
    let phases = rows.into_iter().map(|row| PhaseSpan { phase: row.phase, started_at: row.started_at, ended_at: row.ended_at }).collect();
    let weights = sqlx::query_as!(
        Weights,
        "select period, since, weights, chances from experiment_weights where experiment_id = $1 and phase = $2 order by period",
        id,
        phase,
    )
    .fetch_all(&mut *connection)
    .await?;
    let count = design.variants.len();
    let days = days(connection, experiment, phase, count).await?;
    let exposures = exposures(connection, experiment, phase, count).await?;
    Ok(Measured { phase, design, phases, weights, days, exposures })
}

/// What a phase's variants have in all, in their order.
pub(super) async fn totals(connection: &mut PgConnection, experiment: &Experiment, phase: i32) -> Result<Vec<Totals>> {
    let count = experiment.design.variants.len();
    let mut totals = vec![Totals::default(); count];
    for changes in days(connection, experiment, phase, count).await?.values() {
        totals.iter_mut().zip(changes).for_each(|(total, change)| total.add(change));
    }
    Ok(totals)
}

/// The sums by day and variant, over periods and shards.
async fn days(
    connection: &mut PgConnection,
    experiment: &Experiment,
    phase: i32,
    count: usize,
) -> Result<BTreeMap<NaiveDate, Vec<Totals>>> {
    let rows = sqlx::query!(
        r#"select day, variant, sum(exposures)::bigint as "exposures!", sum(clicked)::bigint as "clicked!", sum(converted)::bigint as "converted!",
                  sum(succeeded)::bigint as "succeeded!", sum(clicks)::bigint as "clicks!", sum(conversions)::bigint as "conversions!",
                  sum(commission_minor)::bigint as "commission_minor!", sum(clicks_squares) as "clicks_squares!",
                  sum(commission_squares) as "commission_squares!", sum(x) as "x!", sum(x_squares) as "x_squares!", sum(x_clicked) as "x_clicked!",
                  sum(x_converted) as "x_converted!", sum(x_succeeded) as "x_succeeded!", sum(x_clicks) as "x_clicks!",
                  sum(x_commission) as "x_commission!"
           from experiment_sums
           where experiment_id = $1 and phase = $2
           group by day, variant
           order by day"#,
        experiment.experiment_id.0,
        phase,
    )
    .fetch_all(connection)
    .await?;
    let mut days: BTreeMap<NaiveDate, Vec<Totals>> = BTreeMap::new();
    if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        days.extend(first.day.iter_days().take_while(|day| *day <= last.day).map(|day| (day, vec![Totals::default(); count])));
    }
    for row in rows {
        let variant = usize::try_from(row.variant).ok();
        let Some(totals) = days.get_mut(&row.day).zip(variant).and_then(|(totals, variant)| totals.get_mut(variant)) else { continue };
        *totals = Totals {
            exposures: row.exposures,
            clicked: row.clicked,
            converted: row.converted,
            succeeded: row.succeeded,
            clicks: row.clicks,
            conversions: row.conversions,
            commission_minor: row.commission_minor,
            clicks_squares: row.clicks_squares,
            commission_squares: row.commission_squares,
            x: row.x,
            x_squares: row.x_squares,
            x_clicked: row.x_clicked,
            x_converted: row.x_converted,
            x_succeeded: row.x_succeeded,
            x_clicks: row.x_clicks,
            x_commission: row.x_commission,
        };
    }
    Ok(days)
}

/// For the check of the shares, which differ by period.
async fn exposures(
    connection: &mut PgConnection,
    experiment: &Experiment,
    phase: i32,
    variants: usize,
) -> Result<BTreeMap<(NaiveDate, i32), Vec<u64>>> {
    let rows = sqlx::query!(
        r#"select day, period, variant, sum(exposures)::bigint as "exposures!"
           from experiment_sums
           where experiment_id = $1 and phase = $2
           group by day, period, variant
           having sum(exposures) > 0"#,
        experiment.experiment_id.0,
        phase,
    )
    .fetch_all(connection)
    .await?;
    let mut exposures = BTreeMap::new();
    for row in rows {
        let units = exposures.entry((row.day, row.period)).or_insert_with(|| vec![0; variants]);
        if let Some(units) = usize::try_from(row.variant).ok().and_then(|variant| units.get_mut(variant)) {
            *units = count(row.exposures);
        }
    }
    Ok(exposures)
}

/// How all stands at the end of a day.
struct Evening {
    day: NaiveDate,
    totals: Vec<Totals>,
    periods: Vec<WeightPeriod>,
}

impl Measured {
    fn results(&self, experiment: &Experiment, now: DateTime<Utc>) -> Result<Results> {
        let evenings = self.evenings(now);
        let last = evenings.last().ok_or_else(no_look)?;
        let span = self.phases.iter().find(|span| span.phase == self.phase);
        let is_over = matches!(experiment.status, Status::Stopped | Status::Archived)
            || span.is_some_and(|span| span.ended_at.is_some())
            || self.design.has_ended(now);
        let primary = self.looks(&evenings, is_over)?;
        let secondary = Metric::ALL.into_iter().filter(|metric| *metric != self.design.primary_metric);
        let secondary = secondary.map(|metric| {
            let question = Question { is_over, ..self.question(metric, last) };
            Ok(MetricResult { metric, analysis: analyse(&question).map_err(Error::internal)? })
        });
        let secondary = secondary.collect::<Result<_>>()?;
        let days = evenings.iter().zip(&primary).map(|(evening, analysis)| self.day(evening, analysis.as_ref())).collect();
        let analysis = primary.into_iter().next_back().flatten().ok_or_else(no_look)?;
        let current = self.weights.last().map(|weights| weights.weights.clone()).unwrap_or_else(|| self.design.weights());
        let variants = self.design.variants.iter().zip(&last.totals).zip(current.iter()).map(|((variant, totals), weight)| VariantTotals {
            key: variant.key.clone(),
            name: variant.name.clone(),
            weight: *weight,
            exposures: totals.exposures,
            clicked: totals.clicked,
            converted: totals.converted,
            succeeded: totals.succeeded,
            clicks: totals.clicks,
            conversions: totals.conversions,
            commission_minor: totals.commission_minor,
        });
        Ok(Results {
            key: experiment.key.clone(),
            status: experiment.status,
            phase: self.phase,
            phases: self.phases.clone(),
            at: now,
            currency: self.design.currency,
            variants: variants.collect(),
            planner: self.planner(&analysis, current.clone(), now),
            primary: MetricResult { metric: self.design.primary_metric, analysis },
            secondary,
            days,
            weights: self.weights.clone(),
        })
    }

    /// Running sums; without any exposure, today with nothing.
    fn evenings(&self, now: DateTime<Utc>) -> Vec<Evening> {
        let arms = self.design.variants.len();
        let mut totals = vec![Totals::default(); arms];
        let mut units: BTreeMap<i32, Vec<u64>> = BTreeMap::new();
        let mut evenings = Vec::with_capacity(self.days.len());
        for (day, changes) in &self.days {
            for (total, change) in totals.iter_mut().zip(changes) {
                total.add(change);
            }
            for ((_, period), added) in self.exposures.range((*day, i32::MIN)..=(*day, i32::MAX)) {
                let units = units.entry(*period).or_insert_with(|| vec![0; arms]);
                units.iter_mut().zip(added).for_each(|(units, added)| *units += added);
            }
            evenings.push(Evening { day: *day, totals: totals.clone(), periods: self.periods(&units) });
        }
        if evenings.is_empty() {
            evenings.push(Evening { day: now.date_naive(), totals, periods: self.periods(&units) });
        }
        evenings
    }

    /// The periods that have units; the first one if none has.
    fn periods(&self, units: &BTreeMap<i32, Vec<u64>>) -> Vec<WeightPeriod> {
        let weights_of = |period: i32| {
            let found = self.weights.iter().find(|weights| weights.period == period);
            found.map_or_else(|| self.design.weights(), |weights| weights.weights.clone())
        };
        if units.is_empty() {
            return vec![WeightPeriod { weights: weights_of(0), units: vec![0; self.design.variants.len()] }];
        }
        units.iter().map(|(period, units)| WeightPeriod { weights: weights_of(*period), units: units.clone() }).collect()
    }

    /// An analysis of the primary metric for each evening that is shown. What any earlier one found goes into later ones, shown or not: else a
    /// verdict would hang on which evenings are.
    fn looks(&self, evenings: &[Evening], is_over: bool) -> Result<Vec<Option<Analysis>>> {
        let step = evenings.len().div_ceil(SHOWN_MAX);
        let mut looks: Vec<Option<Analysis>> = Vec::with_capacity(evenings.len());
        let mut evidence: Vec<Option<Evidence>> = vec![None; self.design.variants.len()];
        let mut mismatch_since = None;
        for (index, evening) in evenings.iter().enumerate() {
            let evenings_left = evenings.len() - 1 - index;
            let mut question = self.question(self.design.primary_metric, evening);
            question.is_over = is_over && evenings_left == 0;
            question.mismatch_since = mismatch_since;
            question.arms.iter_mut().zip(&evidence).for_each(|(arm, before)| arm.evidence_before = *before);
            let is_shown = evenings_left.is_multiple_of(step);
            looks.push(is_shown.then(|| analyse(&question)).transpose().map_err(Error::internal)?);
            let found = statistics::look(&question).map_err(Error::internal)?;
            if found.srm.is_alarm {
                mismatch_since = mismatch_since.or(Some(evening.day.and_time(NaiveTime::MIN).and_utc()));
            }
            evidence = found.evidence;
        }
        Ok(looks)
    }

    fn question(&self, metric: Metric, evening: &Evening) -> Question {
        let mut all = Totals::default();
        evening.totals.iter().for_each(|totals| all.add(totals));
        let with_covariate = all.has_covariate();
        let arm = |(variant, totals): (&domain::experiment::Variant, &Totals)| Arm {
            key: variant.key.clone(),
            statistics: totals.of(metric, with_covariate),
            evidence_before: None,
        };
        let arms: Vec<Arm> = self.design.variants.iter().zip(&evening.totals).map(arm).collect();
        let named = arms.iter().map(|arm| (arm.key.clone(), arm.statistics)).collect();
        let mut question = Question::new(MetricKind::from(metric), named, self.design.weights(), self.design.plan);
        question.periods.clone_from(&evening.periods);
        question.currency = (metric == Metric::CommissionPerUnit).then_some(self.design.currency);
        if metric == self.design.primary_metric {
            let guardrail = |guardrail: &domain::experiment::Guardrail| GuardrailQuestion {
                metric: guardrail.metric.as_str().to_owned(),
                kind: MetricKind::from(guardrail.metric),
                margin: guardrail.margin,
                arms: evening.totals.iter().map(|totals| totals.of(guardrail.metric, with_covariate)).collect(),
            };
            question.guardrails = self.design.guardrails.iter().map(guardrail).collect();
        }
        question
    }

    fn day(&self, evening: &Evening, analysis: Option<&Analysis>) -> DayResult {
        let changes = self.days.get(&evening.day);
        DayResult {
            day: evening.day,
            exposures: changes
                .map_or_else(|| vec![0; evening.totals.len()], |changes| changes.iter().map(|change| change.exposures).collect()),
            conversions: evening.totals.iter().map(|totals| totals.conversions).collect(),
            means: analysis.into_iter().flat_map(|analysis| &analysis.arms).map(|arm| arm.mean).collect(),
            lifts: analysis
                .into_iter()
                .flat_map(|analysis| &analysis.comparisons)
                .map(|comparison| DayLift {
                    variant: comparison.variant.clone(),
                    lift: comparison.difference.lift.map(|lift| lift.estimate),
                    interval: comparison.always_valid.lift_interval,
                })
                .collect(),
        }
    }

    fn planner(&self, analysis: &Analysis, weights: Vec<f64>, now: DateTime<Utc>) -> Planner {
        let plan = self.design.plan;
        let units = analysis.units;
        let units_per_day = self.units_per_day(now);
        let left = plan.planned_units.saturating_sub(units);
        let by_end = self.design.ends_at.map(|end| {
            let days = (end - now).as_seconds_f64().max(0.0) / 86_400.0;
            units.saturating_add((units_per_day * days).round().to_u64().unwrap_or(u64::MAX))
        });
        let mut planner = Planner {
            units,
            planned_units: plan.planned_units,
            units_per_day,
            days_left: statistics::days(left, units_per_day),
            baseline: baseline(analysis),
            needed_units: None,
            detectable_lift: None,
            units_by_end: by_end,
            detectable_lift_by_end: None,
        };
        if let Some(baseline) = planner.baseline {
            let sizing = Sizing { baseline, alpha: plan.alpha, power: plan.power, weights, reading: Default::default() };
            // Nothing can be planned with a weight of 0, which a bandit may have had; the results are there all the same.
            let detectable = |units: u64| statistics::detectable_lift(&sizing, units.to_f64().unwrap_or(f64::MAX)).ok().flatten();
            planner.needed_units = statistics::sample_size(&sizing, plan.minimum_detectable_lift).ok().map(|size| size.total);
            planner.detectable_lift = detectable(plan.planned_units);
            planner.detectable_lift_by_end = by_end.filter(|units| *units > 0).and_then(detectable);
        }
        planner
    }

    /// Exposures a day, over the last whole days; on the first day, what there is of it.
    fn units_per_day(&self, now: DateTime<Utc>) -> f64 {
        let today = now.date_naive();
        let started = self.phases.iter().find(|span| span.phase == self.phase).map_or(today, |span| span.started_at.date_naive());
        let first = started.max(today - chrono::TimeDelta::days(PACE_DAYS));
        let exposures = |day: &NaiveDate| self.days.get(day).map_or(0, |totals| totals.iter().map(|totals| totals.exposures).sum::<i64>());
        let whole: Vec<i64> = first.iter_days().take_while(|day| *day < today).map(|day| exposures(&day)).collect();
        if whole.is_empty() {
            return exposures(&today).to_f64().unwrap_or(0.0);
        }
        whole.iter().sum::<i64>().to_f64().unwrap_or(0.0) / whole.len() as f64
    }
}

fn no_look() -> Error {
    Error::internal("a phase has a day at least")
}

/// What the control shows, if a size can be planned from it.
fn baseline(analysis: &Analysis) -> Option<Baseline> {
    let control = analysis.arms.first()?;
    let mean = control.mean?;
    match analysis.kind {
        MetricKind::Rate => (mean > 0.0 && mean < 1.0).then_some(Baseline::Rate { rate: mean }),
        MetricKind::Mean => {
            let deviation = control.deviation.filter(|deviation| *deviation > 0.0 && mean > 0.0)?;
            Some(Baseline::Mean { mean, deviation })
        }
    }
}
