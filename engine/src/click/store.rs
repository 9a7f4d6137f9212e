//! Where clicks go: a batch into Redis' attribution cache and Postgres, or into the fallback stream.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::{ClickId, PartnerId, SessionId};
use redis::{AsyncCommands, aio::ConnectionManager, streams::StreamRangeReply};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Click, DRAIN_PAUSE, Durability};
use crate::{Engine, Result, attribution, experiment::credit};

/// The stream that holds clicks while Postgres is away.
const FALLBACK: &str = "clicks:fallback";

/// Longer than any healthy commit on a busy disk; a visitor should not wait longer.
const POSTGRES_PATIENCE: Duration = Duration::from_secs(2);
const REDIS_PATIENCE: Duration = Duration::from_millis(300);

/// Repeats of one session on one link within this time are kept, but counted once.
const REPEAT_WINDOW: TimeDelta = TimeDelta::hours(1);

/// Clicks of one drained batch.
const DRAIN_LENGTH: usize = 500;

pub struct Store {
    /// A pool of its own, so that redirects never queue behind reports.
    db: PgPool,
    redis: ConnectionManager,
    shard: i16,
    postgres_away: AtomicBool,
    /// To the experiments, for clicks that are in Postgres.
    pub handover: credit::Handover,
}

/// What the attribution cache holds under `attribution:{partner}:{code}:{session}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedClick {
    pub click_id: ClickId,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub clicked_at: DateTime<Utc>,
}

fn cache_key(partner_id: &PartnerId, referral_code: &str, session_id: SessionId) -> String {
    format!("attribution:{partner_id}:{referral_code}:{session_id}")
}

/// The session's latest click on a code, if the cache still has it and Redis answers.
pub async fn cached_click(engine: &Engine, partner_id: &PartnerId, referral_code: &str, session_id: SessionId) -> Option<CachedClick> {
    let mut redis = engine.redis.clone();
    let read = redis.get::<_, Option<String>>(cache_key(partner_id, referral_code, session_id));
    let text = tokio::time::timeout(REDIS_PATIENCE, read).await.ok()?.ok()??;
    serde_json::from_str(&text).ok()
}

/// The `SET` that puts a click into the attribution cache; `None` without a session.
fn set_cached(click: &Click) -> Option<redis::Cmd> {
    let key = cache_key(&click.partner_id, &click.referral_code, click.session_id?);
    let value = serde_json::to_vec(&CachedClick { click_id: click.click_id, clicked_at: click.clicked_at }).ok()?;
    let mut command = redis::Cmd::with_capacity(6, key.len() + value.len() + 16);
    command.arg("SET").arg(key).arg(value).arg("EX").arg(u64::from(click.window_hours) * 3600);
    Some(command)
}

impl Store {
    pub fn new(db: PgPool, redis: ConnectionManager, shard: i16) -> Self {
        Self { db, redis, shard, postgres_away: AtomicBool::new(false), handover: credit::Handover::default() }
    }

    pub fn postgres_is_away(&self) -> bool {
        self.postgres_away.load(Ordering::Relaxed)
    }

    /// Makes a batch durable; tells where.
    pub async fn write(&self, mut clicks: Vec<Click>) -> Durability {
        // A session that began with its click cannot have been here before: its place in the cache need not be read first.
        let (begun, known): (Vec<usize>, Vec<usize>) = (0..clicks.len()).partition(|index| clicks[*index].begins_session());
        let repeats = self.cache_and_find_repeats(&clicks, &known).await;
        for index in repeats {
            clicks[index].counted = false;
        }
        let (_, durability) = tokio::join!(self.cache(&clicks, &begun), self.make_durable(&clicks));
        if durability == Durability::Postgres {
            self.handover.give(&clicks);
        }
        durability
    }

    async fn make_durable(&self, clicks: &[Click]) -> Durability {
        if !self.postgres_is_away() {
            match tokio::time::timeout(POSTGRES_PATIENCE, self.insert_new(clicks)).await {
                Ok(Ok(())) => return Durability::Postgres,
                Ok(Err(error)) => tracing::warn!(error = %error, clicks = clicks.len(), "Postgres did not take a batch of clicks"),
                Err(_) => tracing::warn!(clicks = clicks.len(), "Postgres took too long for a batch of clicks"),
            }
            // The batch may be committed all the same; draining it again changes nothing then.
            self.postgres_away.store(true, Ordering::Relaxed);
        }
        let Err(error) = self.append_to_fallback(clicks).await else { return Durability::Fallback };
        tracing::error!(error = %error, clicks = clicks.len(), "the fallback did not take a batch of clicks");
        // Postgres may have come back since the last look at it; the batch may even be there from a try that seemed to fail.
        match tokio::time::timeout(POSTGRES_PATIENCE, self.insert_over_any_connection(clicks)).await {
            Ok(Ok(())) => {
                self.postgres_away.store(false, Ordering::Relaxed);
                Durability::Postgres
            }
            _ => Durability::Lost,
        }
    }

    /// Every connection of the pool may be one that ended with the Postgres before: each such try takes one out of it.
    async fn insert_over_any_connection(&self, clicks: &[Click]) -> sqlx::Result<()> {
        for _ in 0..self.db.options().get_max_connections() {
            if let Ok(()) = self.insert_again(clicks).await {
                return Ok(());
            }
        }
        self.insert_again(clicks).await
    }

    /// Fills the attribution cache. While Redis is away the cache stays as it is: conversions then find their clicks in Postgres.
    async fn cache(&self, clicks: &[Click], indices: &[usize]) {
        let mut pipeline = redis::Pipeline::with_capacity(indices.len());
        for index in indices {
            if let Some(command) = set_cached(&clicks[*index]) {
                pipeline.add_command(command);
            }
        }
        if !pipeline.is_empty() {
            let mut redis = self.redis.clone();
            let _ = tokio::time::timeout(REDIS_PATIENCE, pipeline.query_async::<redis::Value>(&mut redis)).await;
        }
    }

    /// Fills the attribution cache too, and returns those of `indices` whose session was here less than an hour ago. While
    /// Redis is away repeats count.
    async fn cache_and_find_repeats(&self, clicks: &[Click], indices: &[usize]) -> Vec<usize> {
        let mut pipeline = redis::Pipeline::with_capacity(indices.len());
        let mut asked = Vec::with_capacity(indices.len());
        for index in indices {
            if let Some(mut command) = set_cached(&clicks[*index]) {
                command.arg("GET");
                pipeline.add_command(command);
                asked.push(*index);
            }
        }
        if asked.is_empty() {
            return Vec::new();
        }
        let mut redis = self.redis.clone();
        let answers = tokio::time::timeout(REDIS_PATIENCE, pipeline.query_async::<Vec<Option<String>>>(&mut redis)).await;
        let Ok(Ok(answers)) = answers else { return Vec::new() };
        let is_repeat = |(index, earlier): (usize, Option<String>)| {
            let earlier = serde_json::from_str::<CachedClick>(&earlier?).ok()?;
            ((clicks[index].clicked_at - earlier.clicked_at).abs() < REPEAT_WINDOW).then_some(index)
        };
        asked.into_iter().zip(answers).filter_map(is_repeat).collect()
    }

    /// Inserts clicks that were never inserted before, and counts them, in one statement. It asks less of Postgres than
    /// [`Store::insert_again`]: no row is looked up first, and none is confirmed or returned.
    async fn insert_new(&self, clicks: &[Click]) -> sqlx::Result<()> {
        let mut columns = Columns::with_capacity(clicks.len());
        let mut counts = Counts::default();
        for click in clicks {
            columns.push(click);
            counts.add(click);
        }
        let ((hours, partner_ids), (counted, uncounted)): ((Vec<_>, Vec<_>), (Vec<_>, Vec<_>)) = counts.0.into_iter().unzip();
        sqlx::query!(
            r#"with added as (
                   insert into clicks (click_id, clicked_at, referral_code, partner_id, site_id, developer_hash, session_id,
                                       source_url, agent_class, bot, counted, ip_hash, country, recommendation_id)
                   select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::uuid[],
                                        $8::text[], $9::text[], $10::bool[], $11::bool[], $12::bytea[], $13::text[], $14::uuid[])
               )
               insert into hourly_counts as h (hour, partner_id, shard, clicks, clicks_uncounted)
               select hour, partner_id, $15, counted, uncounted
               from unnest($16::timestamptz[], $17::text[], $18::bigint[], $19::bigint[]) as batch (hour, partner_id, counted, uncounted)
               on conflict (hour, partner_id, shard) do update
               set clicks = h.clicks + excluded.clicks, clicks_uncounted = h.clicks_uncounted + excluded.clicks_uncounted"#,
            &columns.click_id,
            &columns.clicked_at,
            &columns.referral_code as &[&str],
            &columns.partner_id as &[&str],
            &columns.site_id,
            &columns.developer_hash as &[&str],
            &columns.session_id as &[Option<Uuid>],
            &columns.source_url as &[Option<&str>],
            &columns.agent_class as &[&str],
            &columns.bot,
            &columns.counted,
            &columns.ip_hash as &[Option<&[u8]>],
            &columns.country as &[Option<&str>],
            &columns.recommendation_id as &[Option<Uuid>],
            self.shard,
            &hours,
            &partner_ids as &[&str],
            &counted,
            &uncounted,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Inserts clicks that may be there already. What it really inserted is added to the counters, so that a batch that
    /// comes again from the fallback changes nothing.
    async fn insert_again(&self, clicks: &[Click]) -> sqlx::Result<()> {
        let mut columns = Columns::with_capacity(clicks.len());
        for click in clicks {
            columns.push(click);
        }
        let shard = self.shard;
        sqlx::query!(
            r#"with added as (
                   insert into clicks (click_id, clicked_at, referral_code, partner_id, site_id, developer_hash, session_id,
                                       source_url, agent_class, bot, counted, ip_hash, country, recommendation_id)
                   select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::uuid[],
                                        $8::text[], $9::text[], $10::bool[], $11::bool[], $12::bytea[], $13::text[], $14::uuid[])
                   on conflict do nothing
                   returning clicked_at, partner_id, counted
               )
               insert into hourly_counts as h (hour, partner_id, shard, clicks, clicks_uncounted)
               select date_trunc('hour', clicked_at, 'UTC'), partner_id, $15, count(*) filter (where counted), count(*) filter (where not counted)
               from added
               group by 1, 2
               order by 1, 2
               on conflict (hour, partner_id, shard) do update
               set clicks = h.clicks + excluded.clicks, clicks_uncounted = h.clicks_uncounted + excluded.clicks_uncounted"#,
            &columns.click_id,
            &columns.clicked_at,
            &columns.referral_code as &[&str],
            &columns.partner_id as &[&str],
            &columns.site_id,
            &columns.developer_hash as &[&str],
            &columns.session_id as &[Option<Uuid>],
            &columns.source_url as &[Option<&str>],
            &columns.agent_class as &[&str],
            &columns.bot,
            &columns.counted,
            &columns.ip_hash as &[Option<&[u8]>],
            &columns.country as &[Option<&str>],
            &columns.recommendation_id as &[Option<Uuid>],
            shard,
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Inserts clicks that come late, and maybe again, credits them to experiments, and has conversions looked at again that they may claim.
    pub(crate) async fn insert_late(&self, engine: &Engine, clicks: &[Click]) -> Result<()> {
        self.insert_again(clicks).await?;
        let counted: Vec<_> = clicks.iter().filter_map(credit::CountedClick::of).collect();
        credit::credit_clicks(engine, &counted).await?;
        attribution::reconsider_clicks(engine, clicks).await
    }

    async fn append_to_fallback(&self, clicks: &[Click]) -> Result<()> {
        let mut pipeline = redis::pipe();
        for click in clicks {
            pipeline.cmd("XADD").arg(FALLBACK).arg("*").arg("click").arg(serde_json::to_string(click)?).ignore();
        }
        let mut redis = self.redis.clone();
        let appended = tokio::time::timeout(Duration::from_secs(1), pipeline.query_async::<()>(&mut redis));
        appended.await.map_err(crate::Error::internal)??;
        Ok(())
    }

    /// Moves one batch from the fallback to Postgres, and has conversions looked at again that it may change; tells how
    /// many clicks it held.
    async fn drain_batch(&self, engine: &Engine) -> Result<usize> {
        let mut redis = self.redis.clone();
        let waiting: StreamRangeReply = redis.xrange_count(FALLBACK, "-", "+", DRAIN_LENGTH).await?;
        if waiting.ids.is_empty() {
            return Ok(0);
        }
        let mut clicks = Vec::with_capacity(waiting.ids.len());
        for entry in &waiting.ids {
            let text: String = entry.get("click").unwrap_or_default();
            clicks.push(serde_json::from_str(&text)?);
        }
        self.insert_late(engine, &clicks).await?;
        let ids: Vec<&str> = waiting.ids.iter().map(|entry| entry.id.as_str()).collect();
        let _: i64 = redis.xdel(FALLBACK, &ids).await?;
        Ok(clicks.len())
    }
}

/// Looks whether Postgres is back and empties the fallback into it, for as long as the process lives. Several processes
/// may do so at once: a click that two of them insert is there once.
pub async fn drain(engine: Engine) {
    let store = engine.clicks.store.clone();
    loop {
        if store.postgres_is_away() && sqlx::query("select 1").execute(&store.db).await.is_ok() {
            tracing::info!("Postgres takes clicks again");
            store.postgres_away.store(false, Ordering::Relaxed);
        }
        if !store.postgres_is_away() {
            loop {
                match store.drain_batch(&engine).await {
                    Ok(0) => break,
                    Ok(clicks) => {
                        tracing::info!(clicks, "moved clicks from the fallback to Postgres");
                        engine.clicks.metrics.changed.store(true, Ordering::Relaxed);
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, "could not drain the fallback");
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(DRAIN_PAUSE).await;
    }
}

struct Columns<'c> {
    click_id: Vec<Uuid>,
    clicked_at: Vec<DateTime<Utc>>,
    referral_code: Vec<&'c str>,
    partner_id: Vec<&'c str>,
    site_id: Vec<Uuid>,
    developer_hash: Vec<&'c str>,
    session_id: Vec<Option<Uuid>>,
    source_url: Vec<Option<&'c str>>,
    agent_class: Vec<&'c str>,
    bot: Vec<bool>,
    counted: Vec<bool>,
    ip_hash: Vec<Option<&'c [u8]>>,
    country: Vec<Option<&'c str>>,
    recommendation_id: Vec<Option<Uuid>>,
}

impl<'c> Columns<'c> {
    fn with_capacity(length: usize) -> Self {
        Self {
            click_id: Vec::with_capacity(length),
            clicked_at: Vec::with_capacity(length),
            referral_code: Vec::with_capacity(length),
            partner_id: Vec::with_capacity(length),
            site_id: Vec::with_capacity(length),
            developer_hash: Vec::with_capacity(length),
            session_id: Vec::with_capacity(length),
            source_url: Vec::with_capacity(length),
            agent_class: Vec::with_capacity(length),
            bot: Vec::with_capacity(length),
            counted: Vec::with_capacity(length),
            ip_hash: Vec::with_capacity(length),
            country: Vec::with_capacity(length),
            recommendation_id: Vec::with_capacity(length),
        }
    }

    fn push(&mut self, click: &'c Click) {
        use domain::click::AgentClass;
        self.click_id.push(click.click_id.0);
        self.clicked_at.push(click.clicked_at);
        self.referral_code.push(&click.referral_code);
        self.partner_id.push(click.partner_id.as_str());
        self.site_id.push(click.site_id.0);
        self.developer_hash.push(&click.developer_hash);
        self.session_id.push(click.session_id.map(|id| id.0));
        self.source_url.push(click.source_url.as_deref());
        self.agent_class.push(click.agent_class.as_str());
        self.bot.push(matches!(click.agent_class, AgentClass::Bot | AgentClass::Prefetch));
        self.counted.push(click.counted);
        self.ip_hash.push(click.ip_hash.as_ref().map(|hash| hash.as_slice()));
        self.country.push(click.country.as_deref());
        self.recommendation_id.push(click.recommendation_id.map(|id| id.0));
    }
}

/// A batch's clicks by hour and partner, in one fixed order.
#[derive(Default)]
struct Counts<'c>(BTreeMap<(DateTime<Utc>, &'c str), (i64, i64)>);

impl<'c> Counts<'c> {
    fn add(&mut self, click: &'c Click) {
        let hour = click.clicked_at.duration_trunc(TimeDelta::hours(1)).unwrap_or(click.clicked_at);
        let (counted, uncounted) = self.0.entry((hour, click.partner_id.as_str())).or_default();
        *(if click.counted { counted } else { uncounted }) += 1;
    }
}

/// Inserts clicks of the past in one go, for demo history and the fixtures of tests; durable when it returns.
pub async fn insert_history(engine: &Engine, clicks: &[Click]) -> Result<()> {
    for clicks in clicks.chunks(5_000) {
        engine.clicks.store.insert_new(clicks).await?;
    }
    Ok(())
}

/// How many clicks wait in the fallback.
pub async fn fallback_length(engine: &Engine) -> Result<u64> {
    Ok(engine.redis.clone().xlen(FALLBACK).await?)
}
