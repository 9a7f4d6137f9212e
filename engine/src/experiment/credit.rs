//! Crediting: what came of an exposure. Clicks are credited here, conversions in [`conversions`].
//!
//! Redirects hand their clicks over once they are durable ([`Handover`]); what is lost on that way, since a process ended or there was no
//! room, a slow pass finds. Each click is credited once, whoever looks at it and however often.

mod conversions;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
pub(crate) use conversions::request_rechecks;
pub use conversions::{recheck_loop, recheck_one, release};

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{ClickId, PartnerId, RecommendationId, SiteId, id::uuid_v7};
use tokio::sync::{Mutex, MutexGuard, mpsc};
use uuid::Uuid;

use super::exposure::{self, Given, Key, NewExposure};
use crate::{Engine, Error, Result, batch::Parts, click::Click, work::Work};

/// Batches that wait to be credited; further ones are left to the slow pass.
const HANDOVER_LENGTH: usize = 256;

/// Clicks of one transaction.
const CREDIT_LENGTH: usize = 500;

const SLOW_PASS_PAUSE: Duration = Duration::from_secs(60);

/// How far back the slow pass looks: at first, as far as a crash may have left clicks; then over what came since the last one, and a minute
/// more, which is longer than any batch takes to be written.
const FIRST_PASS: TimeDelta = TimeDelta::hours(6);
const PASS_OVERLAP: TimeDelta = TimeDelta::minutes(1);

/// How long it is remembered that a click was credited.
const MEMORY: TimeDelta = TimeDelta::days(7);

/// Days for which clicks by unit are kept: those of the covariate, and some more for what is credited late.
const UNIT_CLICKS_DAYS: i64 = exposure::COVARIATE_DAYS as i64 + 12;

/// A counted click on a recommended link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedClick {
    pub click_id: ClickId,
    pub clicked_at: DateTime<Utc>,
    pub recommendation_id: RecommendationId,
    pub site_id: SiteId,
    pub partner_id: PartnerId,
}

impl CountedClick {
    /// `None` if it is not counted, or no recommendation led to it.
    pub fn of(click: &Click) -> Option<Self> {
        let recommendation_id = click.recommendation_id.filter(|_| click.counted)?;
        let Click { click_id, clicked_at, site_id, .. } = *click;
        Some(Self { click_id, clicked_at, recommendation_id, site_id, partner_id: click.partner_id.clone() })
    }
}

/// The way from the redirects to the loop that credits.
pub struct Handover {
    sender: mpsc::Sender<Vec<CountedClick>>,
    /// Held by the loop, and free again if that panics.
    receiver: Mutex<mpsc::Receiver<Vec<CountedClick>>>,
}

impl Default for Handover {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(HANDOVER_LENGTH);
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl Handover {
    /// Hands durable clicks over, and never waits.
    pub fn give(&self, clicks: &[Click]) {
        let counted: Vec<CountedClick> = clicks.iter().filter_map(CountedClick::of).collect();
        if !counted.is_empty() {
            let _ = self.sender.try_send(counted);
        }
    }

    /// `None` while another loop has it.
    fn take(&self) -> Option<MutexGuard<'_, mpsc::Receiver<Vec<CountedClick>>>> {
        self.receiver.try_lock().ok()
    }
}

/// Credits clicks to their exposures for as long as the process lives: those handed over at once, and those that were not found by a slow
/// pass, now and each minute. A second loop of the same engine ends at once.
pub async fn credit_loop(engine: Engine) {
    let Some(mut handed) = engine.clicks.store.handover.take() else { return };
    let mut slow = tokio::time::interval(SLOW_PASS_PAUSE);
    let mut since = engine.now() - FIRST_PASS;
    loop {
        let credited = tokio::select! {
            Some(clicks) = handed.recv() => {
                let mut clicks = clicks;
                while clicks.len() < CREDIT_LENGTH && let Ok(more) = handed.try_recv() {
                    clicks.extend(more);
                }
                credit_clicks(&engine, &clicks).await
            }
            _ = slow.tick() => {
                let began_at = engine.now();
                let credited = credit_since(&engine, since).await;
                if credited.is_ok() {
                    since = began_at - PASS_OVERLAP;
                }
                credited
            }
        };
        if let Err(error) = credited {
            tracing::warn!(%error, "clicks could not be credited to their experiments; the next pass finds them");
        }
    }
}

/// Credits the counted clicks since a time that were not credited yet; tells how many.
pub async fn credit_since(engine: &Engine, since: DateTime<Utc>) -> Result<u64> {
    let mut after = ClickId(uuid_v7(since, [0; 10]));
    let mut credited = 0;
    loop {
        // Click ids carry their time, so that the primary key leads to the latest.
        let clicks = sqlx::query_as!(
            CountedClick,
            r#"select click_id as "click_id: ClickId", clicked_at, recommendation_id as "recommendation_id!: RecommendationId",
                      site_id as "site_id: SiteId", partner_id as "partner_id: PartnerId"
               from clicks
               where click_id > $1 and clicked_at >= $2 and counted and recommendation_id is not null
                 and not exists (select from experiment_clicks e where e.click_id = clicks.click_id)
               order by click_id
               limit $3"#,
            after.0,
            since - TimeDelta::seconds(1),
            i64::try_from(CREDIT_LENGTH).unwrap_or(i64::MAX),
        )
        .fetch_all(&engine.db)
        .await?;
        let Some(last) = clicks.last() else { return Ok(credited) };
        after = last.click_id;
        credited += credit_clicks(engine, &clicks).await?;
    }
}

/// Credits clicks to their exposures, and counts them for their units; tells how many were not credited before. A unit that was not exposed
/// yet is so by its click: who follows an offer has seen it.
///
/// # Errors
/// Only if the database is away, or refuses more than single clicks, say since a table is missing. A click that cannot be credited is
/// logged, and left out, so that it keeps no other waiting.
pub async fn credit_clicks(engine: &Engine, clicks: &[CountedClick]) -> Result<u64> {
    let mut credited = 0;
    for clicks in clicks.chunks(CREDIT_LENGTH) {
        let mut parts = Parts::of(clicks.len());
        while let Some(part) = parts.take() {
            match credit_together(engine, &clicks[part.clone()]).await {
                Ok(fresh) => credited += fresh,
                Err(error) if matches!(error, Error::Unavailable(_)) || error.is_of_database() => return Err(error),
                Err(error) => {
                    if let Some(index) = parts.blame(part) {
                        tracing::error!(click.id = %clicks[index].click_id, ?error, "a click cannot be credited to its experiments");
                    }
                }
            }
        }
    }
    Ok(credited)
}

/// Credits clicks in one transaction.
async fn credit_together(engine: &Engine, clicks: &[CountedClick]) -> Result<u64> {
    let mut work = Work::begin(engine).await?;
    let fresh = remember(&mut work, clicks).await?;
    let credited = fresh.len() as u64;
    let ids: Vec<RecommendationId> = fresh.iter().map(|click| click.recommendation_id).collect();
    let given = exposure::given(work.connection(), &ids).await?;
    // Whoever follows a link can name any recommendation in it; only one of the link's own site counts.
    let given_of = |click: &CountedClick| given.get(&click.recommendation_id).filter(|given| given.site_id == click.site_id);
    let led: Vec<(&CountedClick, &Given)> = fresh.into_iter().filter_map(|click| Some((click, given_of(click)?))).collect();
    count_for_units(&mut work, &led).await?;
    credit(&mut work, &led).await?;
    work.commit().await?;
    Ok(credited)
}

/// Those of the clicks that were never credited; they are remembered as such.
async fn remember<'c>(work: &mut Work<'_>, clicks: &'c [CountedClick]) -> Result<Vec<&'c CountedClick>> {
    let by_id: BTreeMap<Uuid, &CountedClick> = clicks.iter().map(|click| (click.click_id.0, click)).collect();
    let ids: Vec<Uuid> = by_id.keys().copied().collect();
    let now = work.now();
    let added = sqlx::query_scalar!(
        "insert into experiment_clicks (click_id, credited_at)
         select click_id, $2 from unnest($1::uuid[]) as click (click_id) order by click_id
         on conflict do nothing
         returning click_id",
        &ids,
        now,
    )
    .fetch_all(work.connection())
    .await?;
    Ok(added.iter().filter_map(|id| by_id.get(id).copied()).collect())
}

/// Counts clicks by unit and day: they are the covariate of what the units are exposed to later.
async fn count_for_units(work: &mut Work<'_>, clicks: &[(&CountedClick, &Given)]) -> Result<()> {
    let mut counts: BTreeMap<(String, NaiveDate), i32> = BTreeMap::new();
    for (click, given) in clicks {
        for unit in given.visitor.clone().into_iter().chain([given.site_id.to_string()]) {
            *counts.entry((unit, click.clicked_at.date_naive())).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    let ((units, days), counts): ((Vec<String>, Vec<NaiveDate>), Vec<i32>) = counts.into_iter().unzip();
    sqlx::query!(
        "insert into unit_clicks as u (unit, day, clicks)
         select unit, day, clicks from unnest($1::text[], $2::date[], $3::integer[]) as new (unit, day, clicks) order by unit, day
         on conflict (unit, day) do update set clicks = u.clicks + excluded.clicks",
        &units,
        &days,
        &counts,
    )
    .execute(work.connection())
    .await?;
    Ok(())
}

async fn credit(work: &mut Work<'_>, clicks: &[(&CountedClick, &Given)]) -> Result<()> {
    let shown = clicks
        .iter()
        .flat_map(|(click, given)| given.shown.iter().filter(|shown| shown.concerns(&click.partner_id)).map(move |shown| (*click, shown)));
    let shown: Vec<_> = shown.collect();
    let new: Vec<_> = shown
        .iter()
        .map(|(click, shown)| NewExposure { shown, recommendation_id: click.recommendation_id, at: click.clicked_at })
        .collect();
    exposure::insert(work, &new).await?;
    let keys: Vec<Key> = shown.iter().map(|(_, shown)| shown.key()).collect();
    let mut exposures = exposure::lock(work, &keys).await?;
    for (click, shown) in shown {
        if let Some(exposure) = exposures.get_mut(&shown.key()) {
            exposure.change(click.clicked_at.date_naive(), |unit| unit.clicks += 1);
        }
    }
    exposure::save(work, exposures).await
}

/// Forgets what nobody asks for any more: that a click was credited, and clicks by unit that are no covariate.
pub async fn purge(engine: &Engine) -> Result<()> {
    let now = engine.now();
    sqlx::query!("delete from experiment_clicks where credited_at < $1", now - MEMORY).execute(&engine.db).await?;
    let day = now.date_naive() - TimeDelta::days(UNIT_CLICKS_DAYS);
    sqlx::query!("delete from unit_clicks where day < $1", day).execute(&engine.db).await?;
    Ok(())
}
