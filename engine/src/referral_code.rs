//! Finding what a referral code or its alias stands for, from memory.
//!
//! A code never changes its partner or site, so that it may be kept for long; whether its partner is active, where its link
//! leads, and which sites were analysed again, is asked every two seconds. Redis holds a copy for restarts while Postgres is away.

use std::{
    sync::{Arc, RwLock, atomic::AtomicBool},
    time::Duration,
};

use chrono::TimeDelta;
use domain::{
    DeveloperId, PartnerId, SiteId,
    click::{Alias, partner_digest},
    referral_code::{ReferralCode, code_digest},
};
use moka::sync::Cache;
use redis::AsyncCommands;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::{Engine, Error, Result};

mod links;
use links::Links;
pub use links::{Link, refresh_links, restore_links};

/// How long a visitor waits for Postgres to say what a code stands for.
const LOAD_PATIENCE: Duration = Duration::from_secs(1);

/// And for Redis' copy.
const COPY_PATIENCE: Duration = Duration::from_millis(300);

/// Copies written at once, so that each write ends in time.
const COPIES_LENGTH: usize = 1_000;

/// What a referral code stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    pub referral_code: Arc<str>,
    pub code_digest: [u8; 8],
    pub partner_id: PartnerId,
    pub partner_digest: [u8; 4],
    pub site_id: SiteId,
    pub developer_id: DeveloperId,
    pub developer_hash: Arc<str>,
    pub project_type: String,
    pub active: bool,
}

#[derive(Clone)]
pub struct Codes {
    known: Cache<String, Arc<Code>>,
    /// Codes that do not exist, so that guessing costs no query each.
    unknown: Cache<String, ()>,
    links: Arc<RwLock<Option<Links>>>,
    /// Redis has them as they are now.
    links_are_copied: Arc<AtomicBool>,
}

impl Default for Codes {
    fn default() -> Self {
        Self {
            known: Cache::new(1_000_000),
            unknown: Cache::builder().max_capacity(100_000).time_to_live(Duration::from_secs(5)).build(),
            links: Arc::default(),
            links_are_copied: Arc::default(),
        }
    }
}

/// Finds what a code or alias stands for, active or not.
///
/// # Errors
/// [`Error::NotFound`] if it does not exist, [`Error::Unavailable`] if only a database that is away could tell.
pub async fn find(engine: &Engine, text: &str) -> Result<Arc<Code>> {
    let not_found = || Error::not_found(format!("referral code `{text}`"));
    if let Some(code) = engine.codes.known.get(text) {
        return Ok(code);
    }
    if engine.codes.unknown.contains_key(text) || (text.parse::<Alias>().is_err() && text.parse::<ReferralCode>().is_err()) {
        return Err(not_found());
    }
    let Some(code) = look_up(engine, text).await? else {
        engine.codes.unknown.insert(text.to_owned(), ());
        return Err(not_found());
    };
    let code = Arc::new(code);
    engine.codes.known.insert(text.to_owned(), code.clone());
    Ok(code)
}

/// Asks Postgres, and Redis' copy if that does not answer in time; the copy first while Postgres is known to be away.
async fn look_up(engine: &Engine, text: &str) -> Result<Option<Code>> {
    let away = engine.clicks.store.postgres_is_away();
    if away && let Some(code) = copy(engine, text).await {
        return Ok(Some(code));
    }
    let error = match timeout(LOAD_PATIENCE, load(engine, text)).await {
        Ok(Ok(found)) => {
            if let Some(code) = &found {
                keep_copy(engine, text, code);
            }
            return Ok(found);
        }
        Ok(Err(error)) => error,
        Err(elapsed) => Error::Unavailable(elapsed.into()),
    };
    let found = if away { None } else { copy(engine, text).await };
    found.map(Some).ok_or(error)
}

/// A row of the table of codes.
struct Row {
    alias: String,
    referral_code: String,
    partner_id: PartnerId,
    site_id: SiteId,
    developer_id: DeveloperId,
    developer_hash: String,
    active: bool,
    project_type: String,
}

impl From<Row> for Code {
    fn from(row: Row) -> Self {
        Self {
            code_digest: code_digest(&row.referral_code),
            partner_digest: partner_digest(&row.partner_id),
            referral_code: row.referral_code.into(),
            partner_id: row.partner_id,
            site_id: row.site_id,
            developer_id: row.developer_id,
            developer_hash: row.developer_hash.into(),
            project_type: row.project_type,
            active: row.active,
        }
    }
}

async fn load(engine: &Engine, text: &str) -> Result<Option<Code>> {
    let row = sqlx::query_as!(
        Row,
        r#"select alias, referral_code, partner_id as "partner_id: PartnerId", site_id as "site_id: SiteId",
                  developer_id as "developer_id: DeveloperId", developer_hash, active,
                  coalesce((select analysis ->> 'kind' from sites where sites.site_id = referral_codes.site_id), '') as "project_type!"
           from referral_codes
           where referral_code = $1 or alias = $1"#,
        text,
    )
    .fetch_optional(&engine.db)
    .await?;
    Ok(row.map(Code::from))
}

fn copy_key(text: &str) -> String {
    format!("code:{text}")
}

/// Leaves a copy in Redis, while the visitor is sent on.
fn keep_copy(engine: &Engine, text: &str, code: &Code) {
    let Ok(json) = serde_json::to_string(code) else { return };
    let (mut redis, key) = (engine.redis.clone(), copy_key(text));
    tokio::spawn(async move {
        let _: redis::RedisResult<()> = redis.set(key, json).await;
    });
}

async fn copy(engine: &Engine, text: &str) -> Option<Code> {
    if engine.clicks.store.redis_is_away() {
        return None;
    }
    let mut redis = engine.redis.clone();
    let json: Option<String> = timeout(COPY_PATIENCE, redis.get(copy_key(text))).await.ok()?.ok()?;
    serde_json::from_str(&json?).ok()
}

/// Forgets a code, so that its next use reads it anew.
pub fn forget(engine: &Engine, text: &str) {
    engine.codes.known.invalidate(text);
    engine.codes.unknown.invalidate(text);
}

/// Forgets the codes of sites that were analysed again in the last minute, by whatever process: a project may be of another kind now.
pub async fn forget_analysed(engine: &Engine) -> Result<()> {
    let names = sqlx::query!(
        "select referral_code, alias
         from referral_codes
         join sites using (site_id)
         where analysed_at >= $1
           and analysed_at > sites.created_at",
        engine.now() - TimeDelta::minutes(1),
    )
    .fetch_all(&engine.db)
    .await?;
    for name in names {
        forget(engine, &name.referral_code);
        forget(engine, &name.alias);
    }
    Ok(())
}

/// Loads the newest codes, so that redirects go on if Postgres goes away right after the start, and leaves copies of them in Redis.
pub async fn warm_up(engine: &Engine) -> Result<()> {
    refresh_links(engine).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"select alias, referral_code, partner_id as "partner_id: PartnerId", site_id as "site_id: SiteId",
                  developer_id as "developer_id: DeveloperId", developer_hash, active,
                  coalesce((select analysis ->> 'kind' from sites where sites.site_id = referral_codes.site_id), '') as "project_type!"
           from referral_codes
           where active
           order by created_at desc
           limit 20000"#
    )
    .fetch_all(&engine.db)
    .await?;
    let codes: Vec<(String, Arc<Code>)> = rows.into_iter().map(|row| (row.alias.clone(), Arc::new(row.into()))).collect();
    for (alias, code) in &codes {
        engine.codes.known.insert(alias.clone(), code.clone());
    }
    if let Err(error) = keep_copies(engine, &codes).await {
        tracing::warn!(%error, "Redis took no copies of the links: they can be followed, but not after a restart without Postgres");
    }
    Ok(())
}

async fn keep_copies(engine: &Engine, codes: &[(String, Arc<Code>)]) -> Result<()> {
    let mut redis = engine.redis.clone();
    for codes in codes.chunks(COPIES_LENGTH) {
        let mut pipeline = redis::Pipeline::with_capacity(codes.len());
        for (alias, code) in codes {
            pipeline.set(copy_key(alias), serde_json::to_string(code)?).ignore();
        }
        pipeline.query_async::<()>(&mut redis).await?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::time::Instant;

    use sqlx::PgPool;

    use super::*;
    use crate::testing::{self, plant_site};

    #[tokio::test]
    async fn nobody_waits_long_for_services_that_hang() {
        let (engine, _silent) = testing::engine_of_silence();
        let asked_at = Instant::now();
        assert!(matches!(find(&engine, "abcd2345").await, Err(Error::Unavailable(_))));
        assert!(asked_at.elapsed() < LOAD_PATIENCE * 4, "{:?}", asked_at.elapsed());
    }

    #[tokio::test]
    async fn nobody_waits_for_the_copy_of_a_redis_that_is_known_to_be_away() {
        let (engine, _silent) = testing::engine_of_silence();
        crate::click::cached_click(&engine, &"supabase".parse().unwrap(), "a code", engine.new_id()).await;
        assert!(engine.clicks.store.redis_is_away());
        let asked_at = Instant::now();
        assert!(copy(&engine, "abcd2345").await.is_none());
        assert!(asked_at.elapsed() < COPY_PATIENCE, "{:?}", asked_at.elapsed());
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_code_is_known_from_the_start_and_without_postgres(db: PgPool) {
        let engine = testing::engine(db.clone());
        crate::partner::import_files(&engine, "../partners".as_ref()).await.unwrap();
        let link = plant_site(&engine, "a site", &"supabase".parse().unwrap()).await;
        warm_up(&engine).await.unwrap();
        let copy: Option<String> = engine.redis.clone().get(copy_key(&link.alias)).await.unwrap();
        assert!(copy.unwrap().contains(&link.referral_code), "a copy is left for restarts");
        db.close().await;
        assert_eq!(*find(&engine, &link.alias).await.unwrap().referral_code, *link.referral_code);
        forget(&engine, &link.alias);
        assert_eq!(*find(&engine, &link.alias).await.unwrap().referral_code, *link.referral_code, "by the copy");
    }
}
