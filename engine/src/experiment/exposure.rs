//! Exposures: who really saw a variant, once per phase.
//!
//! What a unit saw first counts, for good: if a bandit moves the unit to another variant, what comes later is still credited to the first
//! (intention to treat), so that no unit is counted twice and none changes sides because of what it did.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{ExperimentId, PartnerId, RecommendationId, SiteId, id::uuid_v7_time};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::sums::{Place, Sums, Unit};
use crate::{Result, work::Work};

/// How far back clicks count for the covariate: four whole weeks, without the day of the exposure itself.
pub(super) const COVARIATE_DAYS: i32 = 28;

/// A test that shaped a recommendation, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub experiment_id: ExperimentId,
    pub phase: i32,
    pub period: i32,
    /// The variant's place in the design; 0 is the control.
    pub variant: i16,
    /// The chance with which the unit got this variant, 0 to 1.
    pub propensity: f64,
    /// The text that was hashed: the id of the visitor or of the site.
    pub unit: String,
    /// Whose offers the variant changed; empty is the list as a whole.
    #[serde(default)]
    pub partner_ids: Vec<PartnerId>,
}

impl Shown {
    /// Whether the variant shows in the offer of this partner: only then does seeing it, or following it, say anything about the test.
    pub fn concerns(&self, partner_id: &PartnerId) -> bool {
        self.partner_ids.is_empty() || self.partner_ids.contains(partner_id)
    }

    pub(super) fn key(&self) -> Key {
        Key { experiment_id: self.experiment_id, phase: self.phase, unit: self.unit.clone() }
    }
}

/// What names an exposure. Rows are locked in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub experiment_id: ExperimentId,
    pub phase: i32,
    pub unit: String,
}

/// Notes that the units of `shown` saw the offers of `seen`. What was noted before changes nothing, and a phase takes none any more that
/// was over when the recommendation was given.
pub(crate) async fn expose(work: &mut Work<'_>, recommendation_id: RecommendationId, shown: &[Shown], seen: &[PartnerId]) -> Result<()> {
    let at = work.now();
    let is_seen = |shown: &&Shown| seen.iter().any(|partner_id| shown.concerns(partner_id));
    let new: Vec<_> = shown.iter().filter(is_seen).map(|shown| NewExposure { shown, recommendation_id, at }).collect();
    insert(work, &new).await
}

/// A unit that saw a variant.
pub(crate) struct NewExposure<'s> {
    pub shown: &'s Shown,
    pub recommendation_id: RecommendationId,
    pub at: DateTime<Utc>,
}

/// Inserts the exposures that are not there yet, and counts those.
pub(crate) async fn insert(work: &mut Work<'_>, new: &[NewExposure<'_>]) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let at = work.now();
    let experiments: Vec<Uuid> = new.iter().map(|new| new.shown.experiment_id.0).collect();
    let phases: Vec<i32> = new.iter().map(|new| new.shown.phase).collect();
    let periods: Vec<i32> = new.iter().map(|new| new.shown.period).collect();
    let units: Vec<&str> = new.iter().map(|new| new.shown.unit.as_str()).collect();
    let variants: Vec<i16> = new.iter().map(|new| new.shown.variant).collect();
    let propensities: Vec<f64> = new.iter().map(|new| new.shown.propensity).collect();
    let recommendations: Vec<Uuid> = new.iter().map(|new| new.recommendation_id.0).collect();
    let recommended: Vec<DateTime<Utc>> = new.iter().map(|new| uuid_v7_time(new.recommendation_id.0).unwrap_or(at)).collect();
    let exposed: Vec<DateTime<Utc>> = new.iter().map(|new| new.at).collect();
    let added = sqlx::query!(
        r#"insert into experiment_exposures (experiment_id, phase, period, unit, variant, exposed_at, propensity, recommendation_id, clicks_before,
                                             changed_on)
           select experiment_id, phase, period, unit, variant, exposed_at, propensity, recommendation_id,
                  coalesce((select sum(clicks)::integer
                            from unit_clicks c
                            where c.unit = new.unit
                              and c.day between (exposed_at at time zone 'UTC')::date - $10::integer and (exposed_at at time zone 'UTC')::date - 1), 0),
                  (exposed_at at time zone 'UTC')::date
           from unnest($1::uuid[], $2::integer[], $3::integer[], $4::text[], $5::smallint[], $6::double precision[], $7::uuid[],
                       $8::timestamptz[], $9::timestamptz[])
                as new (experiment_id, phase, period, unit, variant, propensity, recommendation_id, recommended_at, exposed_at)
           join experiment_phases p using (experiment_id, phase)
           where p.ended_at is null or p.ended_at > recommended_at
           order by experiment_id, phase, unit, exposed_at, recommended_at
           on conflict do nothing
           returning experiment_id as "experiment_id: ExperimentId", phase, period, variant, exposed_at, clicks_before"#,
        &experiments,
        &phases,
        &periods,
        &units as &[&str],
        &variants,
        &propensities,
        &recommendations,
        &recommended,
        &exposed,
        COVARIATE_DAYS,
    )
    .fetch_all(work.connection())
    .await?;
    for row in added {
        let place = Place {
            experiment_id: row.experiment_id,
            phase: row.phase,
            period: row.period,
            variant: row.variant,
            day: row.exposed_at.date_naive(),
        };
        *work.experiment_sums(place) += Unit { clicks_before: row.clicks_before, ..Unit::default() }.sums();
    }
    Ok(())
}

/// An exposure whose row is locked.
pub(super) struct Locked {
    period: i32,
    variant: i16,
    changed_on: NaiveDate,
    before: Unit,
    pub unit: Unit,
    changes: BTreeMap<NaiveDate, Sums>,
}

impl Locked {
    /// Changes the unit, by what happened on a day: at the earliest on that of its exposure or last change, so that the sums up to any day
    /// are those of units as they once were.
    pub fn change(&mut self, day: NaiveDate, change: impl FnOnce(&mut Unit)) {
        let before = self.unit;
        change(&mut self.unit);
        self.changed_on = day.max(self.changed_on);
        *self.changes.entry(self.changed_on).or_default() += before.change_to(&self.unit);
    }
}

/// Locks the exposures of these keys, as far as there are any, until the end of the work.
pub(super) async fn lock(work: &mut Work<'_>, keys: &[Key]) -> Result<BTreeMap<Key, Locked>> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let columns = Columns::of(keys);
    let rows = sqlx::query!(
        r#"select e.experiment_id as "experiment_id: ExperimentId", e.phase, e.unit, period, variant, changed_on, clicks_before, clicks,
                  conversions, successes, commission_minor
           from experiment_exposures e
           join unnest($1::uuid[], $2::integer[], $3::text[]) as key (experiment_id, phase, unit) using (experiment_id, phase, unit)
           order by e.experiment_id, e.phase, e.unit
           for update of e"#,
        &columns.experiments,
        &columns.phases,
        &columns.units as &[&str],
    )
    .fetch_all(work.connection())
    .await?;
    let locked = rows.into_iter().map(|row| {
        let unit = Unit {
            clicks_before: row.clicks_before,
            clicks: row.clicks,
            conversions: row.conversions,
            successes: row.successes,
            commission_minor: row.commission_minor,
        };
        let key = Key { experiment_id: row.experiment_id, phase: row.phase, unit: row.unit };
        let (period, variant, changed_on) = (row.period, row.variant, row.changed_on);
        (key, Locked { period, variant, changed_on, before: unit, unit, changes: BTreeMap::new() })
    });
    Ok(locked.collect())
}

/// Writes locked exposures that changed, and adds the change to the sums.
pub(super) async fn save(work: &mut Work<'_>, exposures: BTreeMap<Key, Locked>) -> Result<()> {
    let (keys, locked): (Vec<Key>, Vec<Locked>) = exposures.into_iter().filter(|(_, locked)| locked.unit != locked.before).unzip();
    if keys.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(&keys);
    let clicks: Vec<i32> = locked.iter().map(|locked| locked.unit.clicks).collect();
    let conversions: Vec<i32> = locked.iter().map(|locked| locked.unit.conversions).collect();
    let successes: Vec<i32> = locked.iter().map(|locked| locked.unit.successes).collect();
    let commissions: Vec<i64> = locked.iter().map(|locked| locked.unit.commission_minor).collect();
    let days: Vec<NaiveDate> = locked.iter().map(|locked| locked.changed_on).collect();
    sqlx::query!(
        "update experiment_exposures e
         set clicks = new.clicks, conversions = new.conversions, successes = new.successes, commission_minor = new.commission_minor,
             changed_on = new.changed_on
         from unnest($1::uuid[], $2::integer[], $3::text[], $4::integer[], $5::integer[], $6::integer[], $7::bigint[], $8::date[])
              as new (experiment_id, phase, unit, clicks, conversions, successes, commission_minor, changed_on)
         where (e.experiment_id, e.phase, e.unit) = (new.experiment_id, new.phase, new.unit)",
        &columns.experiments,
        &columns.phases,
        &columns.units as &[&str],
        &clicks,
        &conversions,
        &successes,
        &commissions,
        &days,
    )
    .execute(work.connection())
    .await?;
    for (key, locked) in keys.into_iter().zip(locked) {
        let (Key { experiment_id, phase, .. }, Locked { period, variant, changes, .. }) = (key, locked);
        for (day, change) in changes {
            *work.experiment_sums(Place { experiment_id, phase, period, variant, day }) += change;
        }
    }
    Ok(())
}

/// Keys as the arrays of a statement.
struct Columns<'k> {
    experiments: Vec<Uuid>,
    phases: Vec<i32>,
    units: Vec<&'k str>,
}

impl<'k> Columns<'k> {
    fn of(keys: &'k [Key]) -> Self {
        Self {
            experiments: keys.iter().map(|key| key.experiment_id.0).collect(),
            phases: keys.iter().map(|key| key.phase).collect(),
            units: keys.iter().map(|key| key.unit.as_str()).collect(),
        }
    }
}

/// What the log holds of a recommendation, for crediting.
pub(super) struct Given {
    pub site_id: SiteId,
    pub visitor: Option<String>,
    pub shown: Vec<Shown>,
}

/// The recommendations of these ids, as far as they were logged.
pub(super) async fn given(connection: &mut PgConnection, ids: &[RecommendationId]) -> Result<BTreeMap<RecommendationId, Given>> {
    // The log is partitioned by time, which an id carries to the millisecond; an id without one was never given.
    let known: BTreeMap<Uuid, DateTime<Utc>> = ids.iter().filter_map(|id| Some((id.0, uuid_v7_time(id.0)?))).collect();
    if known.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (ids, times): (Vec<Uuid>, Vec<DateTime<Utc>>) = known.into_iter().unzip();
    let (earliest, latest) = (times.iter().min().copied(), times.iter().max().map(|at| *at + TimeDelta::milliseconds(1)));
    let rows = sqlx::query!(
        r#"select recommendation_id as "recommendation_id: RecommendationId", site_id as "site_id: SiteId", visitor,
                  experiments as "experiments: Json<Vec<Shown>>"
           from recommendations
           where recommendation_id = any($1) and recommended_at >= $2 and recommended_at < $3"#,
        &ids,
        earliest,
        latest,
    )
    .fetch_all(connection)
    .await?;
    let given = rows.into_iter().map(|row| {
        let shown = row.experiments.map(|json| json.0).unwrap_or_default();
        (row.recommendation_id, Given { site_id: row.site_id, visitor: row.visitor, shown })
    });
    Ok(given.collect())
}
