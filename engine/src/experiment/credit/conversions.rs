//! What conversions are worth to the exposures of their clicks, and booking the difference whenever that changes.
//!
//! Rating a conversion puts it into `experiment_rechecks` in the same transaction ([`request_rechecks`]); a worker computes anew what it is
//! worth. So refunds, successes, other clicks and late conversions all take the same path, whatever became of the test meanwhile.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{ConversionId, Currency, ExperimentId, PartnerId, RecommendationId, SiteId, money::round_minor};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::exposure::{self, Given, Key, NewExposure};
use crate::{Engine, Error, Result, conversion::currency, exchange, work::Work};

/// A look for conversions that other processes rated.
const POLL: Duration = Duration::from_millis(500);

/// An attribution may hold the time that its click id carries, which is cut to the millisecond.
const CLICK_TIME_TOLERANCE: TimeDelta = TimeDelta::seconds(1);

/// What a conversion is worth to one exposure. An exposure that has a row counts the conversion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Worth {
    /// In the test's currency.
    commission_minor: i64,
    /// The successes that count in the conversion's rating.
    successes: i32,
    /// The commission is 0 for want of an exchange rate.
    waits_for_rate: bool,
}

/// Has conversions looked at again, once the transaction is committed. Without any test, there is nothing to look at.
pub(crate) async fn request_rechecks(
    tx: &mut PgConnection,
    touched_at: DateTime<Utc>,
    conversions: impl Iterator<Item = ConversionId>,
) -> Result<()> {
    let ids: Vec<Uuid> = conversions.map(|id| id.0).collect();
    sqlx::query!(
        "insert into experiment_rechecks (conversion_id, touched_at)
         select conversion_id, $2 from unnest($1::uuid[]) as touched (conversion_id) where exists (select from experiment_phases)",
        &ids,
        touched_at,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Has the conversions looked at again whose commission waits for an exchange rate; tells how many.
pub async fn release(engine: &Engine) -> Result<u64> {
    let released = sqlx::query!(
        "insert into experiment_rechecks (conversion_id, touched_at)
         select distinct conversion_id, $1::timestamptz from experiment_conversions where waits_for_rate",
        engine.now(),
    )
    .execute(&engine.db)
    .await?;
    Ok(released.rows_affected())
}

/// Credits conversions to their exposures for as long as the process lives.
pub async fn recheck_loop(engine: Engine) {
    loop {
        match recheck_one(&engine).await {
            Ok(true) => {}
            Ok(false) => tokio::time::sleep(POLL).await,
            Err(error) => {
                tracing::warn!(%error, "a conversion could not be credited to its experiments; trying again");
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

/// Looks at one conversion that something changed about and books what that changes for its exposures; tells whether there was one.
///
/// # Errors
/// Only if the database is away: it is then looked at later. One that fails for another reason is logged, and left as it is booked until
/// something changes about it again: it would fail anew at once, and keep all others waiting.
pub async fn recheck_one(engine: &Engine) -> Result<bool> {
    let mut work = Work::begin(engine).await?;
    let due = sqlx::query!(
        r#"delete from experiment_rechecks
           where experiment_recheck_id = (select experiment_recheck_id from experiment_rechecks order by 1 limit 1 for update skip locked)
           returning experiment_recheck_id, conversion_id as "conversion_id: ConversionId", touched_at"#,
    )
    .fetch_optional(work.connection())
    .await?;
    let Some(due) = due else { return Ok(false) };
    match look_again(work, due.conversion_id, due.touched_at.date_naive()).await {
        Err(error) if !matches!(error, Error::Unavailable(_)) => {
            tracing::error!(conversion.id = %due.conversion_id, ?error, "a conversion cannot be credited to its experiments");
            sqlx::query!("delete from experiment_rechecks where experiment_recheck_id = $1", due.experiment_recheck_id)
                .execute(&engine.db)
                .await?;
        }
        looked => looked?,
    }
    Ok(true)
}

/// Books what changed about a conversion, and commits.
async fn look_again(mut work: Work<'_>, conversion_id: ConversionId, day: NaiveDate) -> Result<()> {
    // In a statement of its own, so that the next ones see what was committed while this one waited. It is also what keeps others from
    // booking for the same conversion.
    sqlx::query!("select from conversions where conversion_id = $1 for update", conversion_id.0).fetch_optional(work.connection()).await?;
    let booked = booked(work.connection(), conversion_id).await?;
    let worth = worth(&mut work, conversion_id).await?;
    if worth != booked {
        book(&mut work, conversion_id, day, &booked, &worth).await?;
    }
    work.commit().await
}

async fn booked(connection: &mut PgConnection, conversion_id: ConversionId) -> Result<BTreeMap<Key, Worth>> {
    let rows = sqlx::query!(
        r#"select experiment_id as "experiment_id: ExperimentId", phase, unit, commission_minor, successes, waits_for_rate
           from experiment_conversions
           where conversion_id = $1"#,
        conversion_id.0,
    )
    .fetch_all(connection)
    .await?;
    let booked = rows.into_iter().map(|row| {
        let worth = Worth { commission_minor: row.commission_minor, successes: row.successes, waits_for_rate: row.waits_for_rate };
        (Key { experiment_id: row.experiment_id, phase: row.phase, unit: row.unit }, worth)
    });
    Ok(booked.collect())
}

/// A click that shares in the credit of a conversion, and came from a recommendation.
struct Touch {
    clicked_at: DateTime<Utc>,
    recommendation_id: RecommendationId,
    site_id: SiteId,
    partner_id: PartnerId,
    /// Of the commission, in `currency`.
    commission_minor: i64,
    /// `None` as long as it is not rated.
    currency: Option<String>,
    successes: i32,
    occurred_at: DateTime<Utc>,
}

/// Nothing once the conversion's whole value was taken back, as [`commission`](crate::commission) sees it.
async fn touches(connection: &mut PgConnection, conversion_id: ConversionId) -> Result<Vec<Touch>> {
    let touches = sqlx::query_as!(
        Touch,
        r#"select k.clicked_at, k.recommendation_id as "recommendation_id!: RecommendationId", k.site_id as "site_id: SiteId",
                  k.partner_id as "partner_id: PartnerId", a.commission_minor, m.currency as "currency?",
                  coalesce(jsonb_array_length(m.receipt -> 'metrics'), 0) as "successes!", c.occurred_at
           from attributions a
           join conversions c using (conversion_id)
           left join commissions m using (conversion_id)
           join clicks k on k.click_id = a.click_id
                            and k.clicked_at between a.clicked_at - $2::interval and a.clicked_at + $2::interval
           where a.conversion_id = $1 and k.recommendation_id is not null and not (c.value_minor > 0 and c.reversed_minor = c.value_minor)
           order by a.position"#,
        conversion_id.0,
        CLICK_TIME_TOLERANCE as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(touches)
}

/// What the conversion is worth now to each exposure that one of its clicks came from. Units that were not exposed yet are.
async fn worth(work: &mut Work<'_>, conversion_id: ConversionId) -> Result<BTreeMap<Key, Worth>> {
    let touches = touches(work.connection(), conversion_id).await?;
    let ids: Vec<RecommendationId> = touches.iter().map(|touch| touch.recommendation_id).collect();
    let given = exposure::given(work.connection(), &ids).await?;
    let given_of = |touch: &Touch| given.get(&touch.recommendation_id).filter(|given| given.site_id == touch.site_id);
    let led: Vec<(&Touch, &Given)> = touches.iter().filter_map(|touch| Some((touch, given_of(touch)?))).collect();
    let shown: Vec<_> = led
        .iter()
        .flat_map(|(touch, given)| given.shown.iter().filter(|shown| shown.concerns(&touch.partner_id)).map(move |shown| (*touch, shown)))
        .collect();
    let new: Vec<_> = shown
        .iter()
        .map(|(touch, shown)| NewExposure { shown, recommendation_id: touch.recommendation_id, at: touch.clicked_at })
        .collect();
    exposure::insert(work, &new).await?;

    // The touches of one conversion share its currency, time and successes.
    let mut amounts: BTreeMap<Key, (i64, &Touch)> = BTreeMap::new();
    for (touch, shown) in &shown {
        amounts.entry(shown.key()).or_insert((0, touch)).0 += touch.commission_minor;
    }
    let currencies = currencies(work.connection(), amounts.keys()).await?;
    let mut worth = BTreeMap::new();
    for (key, (amount_minor, touch)) in amounts {
        // A test that was deleted by hand, or a forged row of the log.
        let Some(to) = currencies.get(&(key.experiment_id, key.phase)) else { continue };
        let commission_minor = match &touch.currency {
            Some(from) => convert(work, amount_minor, currency(from)?, *to, touch.occurred_at.date_naive()).await?,
            None => Some(0),
        };
        let waits_for_rate = commission_minor.is_none();
        worth.insert(key, Worth { commission_minor: commission_minor.unwrap_or(0), successes: touch.successes, waits_for_rate });
    }
    Ok(worth)
}

/// The currencies in which the phases of these exposures measure.
async fn currencies(connection: &mut PgConnection, keys: impl Iterator<Item = &Key>) -> Result<BTreeMap<(ExperimentId, i32), Currency>> {
    let (experiments, phases): (Vec<Uuid>, Vec<i32>) = keys.map(|key| (key.experiment_id.0, key.phase)).unzip();
    if experiments.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query!(
        r#"select distinct experiment_id as "experiment_id: ExperimentId", phase, design ->> 'currency' as "currency!"
           from experiment_phases
           join unnest($1::uuid[], $2::integer[]) as key (experiment_id, phase) using (experiment_id, phase)"#,
        &experiments,
        &phases,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok(((row.experiment_id, row.phase), currency(&row.currency)?))).collect()
}

/// An amount in the test's currency, at the rate of the conversion's day; `None` if that is not known yet, or the amount does not fit.
async fn convert(work: &mut Work<'_>, amount_minor: i64, from: Currency, to: Currency, day: NaiveDate) -> Result<Option<i64>> {
    if from == to || amount_minor == 0 {
        return Ok(Some(amount_minor));
    }
    let now = work.now();
    let Some(rate) = exchange::rate_on(work.connection(), from, to, day, now).await? else { return Ok(None) };
    Ok(rate.convert(Decimal::from(amount_minor)).and_then(round_minor))
}

/// Books the difference into the exposures.
async fn book(
    work: &mut Work<'_>,
    conversion_id: ConversionId,
    day: NaiveDate,
    booked: &BTreeMap<Key, Worth>,
    worth: &BTreeMap<Key, Worth>,
) -> Result<()> {
    let keys: Vec<Key> = booked.keys().chain(worth.keys()).cloned().collect();
    let mut exposures = exposure::lock(work, &keys).await?;
    for (key, exposure) in &mut exposures {
        let (before, after) = (booked.get(key), worth.get(key));
        let [old, new] = [before, after].map(|worth| worth.copied().unwrap_or_default());
        exposure.change(day, |unit| {
            unit.conversions += i32::from(after.is_some()) - i32::from(before.is_some());
            unit.successes += new.successes - old.successes;
            unit.commission_minor += new.commission_minor - old.commission_minor;
        });
    }
    sqlx::query!("delete from experiment_conversions where conversion_id = $1", conversion_id.0).execute(work.connection()).await?;
    // A phase that takes no exposures any more may have none for a key.
    for (key, worth) in worth.iter().filter(|(key, _)| exposures.contains_key(key)) {
        sqlx::query!(
            "insert into experiment_conversions (conversion_id, experiment_id, phase, unit, commission_minor, successes, waits_for_rate)
             values ($1, $2, $3, $4, $5, $6, $7)",
            conversion_id.0,
            key.experiment_id.0,
            key.phase,
            key.unit,
            worth.commission_minor,
            worth.successes,
            worth.waits_for_rate,
        )
        .execute(work.connection())
        .await?;
    }
    exposure::save(work, exposures).await
}
