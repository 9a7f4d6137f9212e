//! The fallback: a Redis stream that holds clicks while Postgres is away, and drains by itself.
//!
//! An entry that will never go into Postgres is set aside in a stream beside it, with the reason, so that it keeps no other waiting.

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use redis::{AsyncCommands, streams::StreamRangeReply};
use tokio::time::timeout;

use super::{Click, Store, cache::REDIS_PATIENCE};
use crate::{Engine, Error, Result, batch::Parts};

pub(super) const FALLBACK: &str = "clicks:fallback";

/// Where entries are set aside: after the stream's name.
const BAD: &str = ":bad";

/// Between looks at whether the services are back, and whether the fallback holds anything.
const DRAIN_PAUSE: Duration = Duration::from_millis(500);

/// Clicks of one drained batch.
const DRAIN_LENGTH: usize = 500;

/// For an append: the disk may be busy, and there is nowhere else to go.
const APPEND_PATIENCE: Duration = Duration::from_secs(1);

impl Store {
    pub(super) async fn append_to_fallback(&self, clicks: &[Click]) -> Result<()> {
        let mut pipeline = redis::pipe();
        for click in clicks {
            pipeline.cmd("XADD").arg(&self.fallback).arg("*").arg("click").arg(serde_json::to_string(click)?).ignore();
        }
        let patience = if self.redis_is_away() { REDIS_PATIENCE } else { APPEND_PATIENCE };
        let mut redis = self.redis.clone();
        let appended = self.answered(timeout(patience, pipeline.query_async::<()>(&mut redis)).await);
        appended.ok_or_else(|| Error::Unavailable("Redis did not take them".into()))?;
        self.redis_away.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Moves one batch from the fallback to Postgres, and has conversions looked at again that it may change; tells how many clicks it held.
    ///
    /// # Errors
    /// What was not set aside stays where it is, and may come again.
    pub(super) async fn drain_batch(&self, engine: &Engine) -> Result<usize> {
        let mut redis = self.redis.clone();
        let waiting: StreamRangeReply = redis.xrange_count(self.fallback.as_str(), "-", "+", DRAIN_LENGTH).await?;
        let (mut ids, mut texts, mut clicks) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &waiting.ids {
            let text: String = entry.get("click").unwrap_or_default();
            match serde_json::from_str::<Click>(&text) {
                Ok(click) => {
                    clicks.push(click);
                    texts.push(text);
                    ids.push(entry.id.as_str());
                }
                Err(error) => self.set_aside(&entry.id, &text, &error.to_string()).await?,
            }
        }
        let mut parts = Parts::of(clicks.len());
        while let Some(part) = parts.take() {
            match self.insert_late(engine, &clicks[part.clone()]).await {
                Ok(()) => {}
                Err(error) if error.is_of_values() => {
                    if let Some(index) = parts.blame(part) {
                        self.set_aside(ids[index], &texts[index], &format!("{error:?}")).await?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if !ids.is_empty() {
            let _: i64 = redis.xdel(self.fallback.as_str(), &ids).await?;
        }
        Ok(waiting.ids.len())
    }

    /// Keeps an entry that can never be drained, for somebody to look at. It leaves the fallback only after that, and at once: what fails
    /// later in its batch must not bring it here again. No transaction, since the two streams may be on two nodes of a cluster.
    async fn set_aside(&self, id: &str, text: &str, reason: &str) -> Result<()> {
        tracing::error!(
            entry = id,
            "a click in the fallback cannot be stored; the stream {}{BAD} has it now, with the reason",
            self.fallback
        );
        let fields = [("click", text), ("reason", reason)];
        let mut redis = self.redis.clone();
        let _: String = redis.xadd(format!("{}{BAD}", self.fallback), "*", &fields).await?;
        let _: i64 = redis.xdel(self.fallback.as_str(), &[id]).await?;
        Ok(())
    }

    /// Looks whether the services that were away are back.
    async fn look_for_services(&self) {
        if self.postgres_is_away() && self.postgres_answers().await {
            tracing::info!("Postgres takes clicks again");
            self.postgres_away.store(false, Ordering::Relaxed);
        }
        if self.redis_is_away() {
            let (mut redis, ping) = (self.redis.clone(), redis::cmd("PING"));
            if let Ok(Ok(_)) = timeout(REDIS_PATIENCE, ping.query_async::<String>(&mut redis)).await {
                tracing::info!("Redis answers again");
                self.redis_away.store(false, Ordering::Relaxed);
            }
        }
    }
}

/// Looks whether Postgres and Redis are back and empties the fallback, for as long as the process lives. Several processes may do so at
/// once: a click that two of them insert is there once.
pub async fn drain(engine: Engine) {
    let store = engine.clicks.store.clone();
    loop {
        store.look_for_services().await;
        while !store.postgres_is_away() && !store.redis_is_away() {
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
        tokio::time::sleep(DRAIN_PAUSE).await;
    }
}

/// How many clicks wait in the fallback.
pub async fn fallback_length(engine: &Engine) -> Result<u64> {
    Ok(engine.redis.clone().xlen(FALLBACK).await?)
}

/// How many entries were set aside, since Postgres will never take them.
pub async fn set_aside_length(engine: &Engine) -> Result<u64> {
    Ok(engine.redis.clone().xlen(format!("{FALLBACK}{BAD}")).await?)
}

/// What Redis must be set to, so that it keeps the clicks that it took.
const LASTING: [(&str, &str, &str); 2] = [
    ("appendonly", "yes", "clicks that it took are gone after its restart"),
    ("maxmemory-policy", "noeviction", "it may drop clicks when it is full"),
];

/// What of Redis' settings lets it lose clicks that it took while Postgres was away, in sentences.
///
/// # Errors
/// Redis does not say how it is set; many that are managed do not.
pub async fn doubts_about_redis(engine: &Engine) -> Result<Vec<String>> {
    let mut redis = engine.redis.clone();
    let mut doubts = Vec::new();
    for (name, wanted, danger) in LASTING {
        let setting: HashMap<String, String> = redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut redis).await?;
        doubts.extend(doubt(name, wanted, danger, setting.get(name).map(String::as_str)));
    }
    Ok(doubts)
}

fn doubt(name: &str, wanted: &str, danger: &str, value: Option<&str>) -> Option<String> {
    let value = value.unwrap_or("unknown");
    (value != wanted).then(|| format!("Redis' setting {name} is `{value}`: {danger}; set it to `{wanted}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_that_may_forget_clicks_is_told_of() {
        let found = |values: [&str; 2]| -> Vec<String> {
            LASTING.iter().zip(values).filter_map(|((name, wanted, danger), value)| doubt(name, wanted, danger, Some(value))).collect()
        };
        assert!(found(["yes", "noeviction"]).is_empty());
        let doubts = found(["no", "allkeys-lru"]);
        assert_eq!(doubts.len(), 2);
        assert!(doubts[0].contains("appendonly is `no`") && doubts[1].contains("set it to `noeviction`"), "{doubts:?}");
    }
}
