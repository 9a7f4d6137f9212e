//! The attribution cache: a session's latest click on a link, in Redis, for as long as a conversion may claim it. It tells a session's
//! repeats, too.
//!
//! While Redis is away the cache stays as it is: repeats count, and conversions find their clicks in Postgres. Nobody waits for a Redis
//! that is known to be away; [`drain`](super::drain) looks whether it is back.

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{ClickId, PartnerId, SessionId};
use redis::{AsyncCommands, FromRedisValue, Pipeline, RedisResult};
use serde::{Deserialize, Serialize};
use tokio::time::{error::Elapsed, timeout};

use super::{Click, Store};
use crate::Engine;

pub(super) const REDIS_PATIENCE: Duration = Duration::from_millis(300);

/// Repeats of one session on one link within this time of the last one that counted are kept, but do not count.
const REPEAT_WINDOW: TimeDelta = TimeDelta::hours(1);

/// What the attribution cache holds under `attribution:{partner}:{code}:{session}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedClick {
    pub click_id: ClickId,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub clicked_at: DateTime<Utc>,
    /// When the session's last click was that counted; `None` if this one does.
    #[serde(default, with = "chrono::serde::ts_microseconds_option", skip_serializing_if = "Option::is_none")]
    counted_at: Option<DateTime<Utc>>,
}

fn cache_key(partner_id: &PartnerId, referral_code: &str, session_id: SessionId) -> String {
    format!("attribution:{partner_id}:{referral_code}:{session_id}")
}

/// The session's latest click on a code, if the cache still has it and Redis answers.
pub async fn cached_click(engine: &Engine, partner_id: &PartnerId, referral_code: &str, session_id: SessionId) -> Option<CachedClick> {
    let store = &engine.clicks.store;
    if store.redis_is_away() {
        return None;
    }
    let mut redis = store.redis.clone();
    let read = redis.get::<_, Option<String>>(cache_key(partner_id, referral_code, session_id));
    let text = store.answered(timeout(REDIS_PATIENCE, read).await)?;
    serde_json::from_str(&text?).ok()
}

/// The `SET` that puts a click into the attribution cache; `None` without a session. `counted_at` is that of a repeat.
fn set_cached(click: &Click, counted_at: Option<DateTime<Utc>>) -> Option<redis::Cmd> {
    let key = cache_key(&click.partner_id, &click.referral_code, click.session_id?);
    let value = serde_json::to_vec(&CachedClick { click_id: click.click_id, clicked_at: click.clicked_at, counted_at }).ok()?;
    let mut command = redis::Cmd::with_capacity(6, key.len() + value.len() + 16);
    command.arg("SET").arg(key).arg(value).arg("EX").arg(u64::from(click.window_hours) * 3600);
    Some(command)
}

impl Store {
    pub fn redis_is_away(&self) -> bool {
        self.redis_away.load(Ordering::Relaxed)
    }

    /// What Redis answered. If it did not, it counts as away.
    pub(super) fn answered<T>(&self, answer: Result<RedisResult<T>, Elapsed>) -> Option<T> {
        let why = match answer {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        if !self.redis_away.swap(true, Ordering::Relaxed) {
            tracing::warn!(why, "Redis is away: until it is back, repeated clicks count");
        }
        None
    }

    async fn send<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Option<T> {
        if pipeline.is_empty() || self.redis_is_away() {
            return None;
        }
        let mut redis = self.redis.clone();
        self.answered(timeout(REDIS_PATIENCE, pipeline.query_async(&mut redis)).await)
    }

    /// Carries out what [`Store::find_repeats`] left to do, and puts the clicks at these indices into the cache.
    pub(super) async fn cache(&self, clicks: &[Click], indices: &[usize], mut left: Pipeline) {
        if self.redis_is_away() {
            return;
        }
        for index in indices {
            if let Some(command) = set_cached(&clicks[*index], None) {
                left.add_command(command);
            }
        }
        self.send::<redis::Value>(&left).await;
    }

    /// Puts the clicks at these indices into the cache, and has those not count whose session had one that counts less than an hour ago.
    /// What is cached of such a repeat is right once the pipeline was sent that this returns.
    pub(super) async fn find_repeats(&self, clicks: &mut [Click], indices: &[usize]) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(indices.len());
        let mut asked = Vec::with_capacity(indices.len());
        for index in indices {
            if let Some(mut command) = set_cached(&clicks[*index], None) {
                command.arg("GET");
                pipeline.add_command(command);
                asked.push(*index);
            }
        }
        let earlier = self.send::<Vec<Option<String>>>(&pipeline).await.unwrap_or_default();
        let mut repeats: HashMap<ClickId, (usize, DateTime<Utc>)> = HashMap::new();
        for (index, earlier) in asked.into_iter().zip(earlier) {
            let Some(earlier) = earlier.and_then(|text| serde_json::from_str::<CachedClick>(&text).ok()) else { continue };
            // One in the same batch may be a repeat itself, of which the cache does not know yet. This one has taken its place.
            let in_batch = repeats.remove(&earlier.click_id).map(|(_, counted_at)| counted_at);
            let counted_at = in_batch.or(earlier.counted_at).unwrap_or(earlier.clicked_at);
            let click = &mut clicks[index];
            if (click.clicked_at - counted_at).abs() < REPEAT_WINDOW {
                click.counted = false;
                repeats.insert(click.click_id, (index, counted_at));
            }
        }
        let begun = clicks.len() - indices.len();
        let mut left = Pipeline::with_capacity(begun + repeats.len());
        for (index, counted_at) in repeats.into_values() {
            if let Some(command) = set_cached(&clicks[index], Some(counted_at)) {
                left.add_command(command);
            }
        }
        left
    }
}
