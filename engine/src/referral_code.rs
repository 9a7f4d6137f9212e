//! Finding what a referral code or its alias stands for, from memory.
//!
//! A code never changes its partner or site, so that it may be kept for long; whether its partner is active, where its link
//! leads, which sites were analysed again and which codes were switched off, is asked every two seconds. Redis holds a copy of each
//! code from the time that it is made on, for when Postgres is away.

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
}

#[derive(Clone)]
pub struct Codes {
    known: Cache<String, Arc<Code>>,
    /// Codes that do not exist or are switched off, so that guessing costs no query each.
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

/// Finds what a code or alias stands for.
///
/// # Errors
/// [`Error::NotFound`] if it does not exist or is switched off, [`Error::Unavailable`] if only a database that is away could tell.
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
        }
    }
}

async fn load(engine: &Engine, text: &str) -> Result<Option<Code>> {
    let row = sqlx::query_as!(
        Row,
        r#"select alias, referral_code, partner_id as "partner_id: PartnerId", site_id as "site_id: SiteId",
                  developer_id as "developer_id: DeveloperId", developer_hash,
                  coalesce((select analysis ->> 'kind' from sites where sites.site_id = referral_codes.site_id), '') as "project_type!"
           from referral_codes
           where active
             and (referral_code = $1 or alias = $1)"#,
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

/// Forgets what has changed, by whatever process: codes that were switched off, and those of sites that were analysed again in the last
/// minute, whose project may be of another kind now.
pub async fn forget_changed(engine: &Engine) -> Result<()> {
    let names = sqlx::query!(
        r#"select referral_code as "referral_code!", alias as "alias!", active as "active!"
           from referral_codes
           join sites using (site_id)
           where analysed_at >= $1
             and analysed_at > sites.created_at
           union all
           select referral_code, alias, active
           from referral_codes
           where not active"#,
        engine.now() - TimeDelta::minutes(1),
    )
    .fetch_all(&engine.db)
    .await?;
    let mut copies = Vec::new();
    for name in names {
        for text in [name.referral_code, name.alias] {
            if !name.active && engine.codes.known.contains_key(&text) {
                copies.push(copy_key(&text));
            }
            forget(engine, &text);
        }
    }
    if !copies.is_empty() {
        engine.redis.clone().del::<_, ()>(copies).await?;
    }
    Ok(())
}

/// Loads the newest codes, so that redirects go on if Postgres goes away right after the start, and leaves copies of them in Redis.
pub async fn warm_up(engine: &Engine) -> Result<()> {
    refresh_links(engine).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"select alias, referral_code, partner_id as "partner_id: PartnerId", site_id as "site_id: SiteId",
                  developer_id as "developer_id: DeveloperId", developer_hash,
                  coalesce((select analysis ->> 'kind' from sites where sites.site_id = referral_codes.site_id), '') as "project_type!"
           from referral_codes
           where active
           order by created_at desc
           limit 20000"#
    )
    .fetch_all(&engine.db)
    .await?;
    remember(engine, rows).await;
    Ok(())
}

/// Loads a site's codes when they are made, so that they can be followed though Postgres goes away before anybody did.
pub(crate) async fn learn(engine: &Engine, site_id: SiteId) -> Result<()> {
    let rows = sqlx::query_as!(
        Row,
        r#"select alias, referral_code, partner_id as "partner_id: PartnerId", site_id as "site_id: SiteId",
                  developer_id as "developer_id: DeveloperId", developer_hash,
                  coalesce((select analysis ->> 'kind' from sites where sites.site_id = referral_codes.site_id), '') as "project_type!"
           from referral_codes
           where active
             and site_id = $1"#,
        site_id.0,
    )
    .fetch_all(&engine.db)
    .await?;
    remember(engine, rows).await;
    Ok(())
}

/// Keeps codes in memory and leaves copies in Redis, by both names.
async fn remember(engine: &Engine, rows: Vec<Row>) {
    let mut names = Vec::with_capacity(rows.len() * 2);
    for row in rows {
        let alias = row.alias.clone();
        let code = Arc::new(Code::from(row));
        names.push((code.referral_code.to_string(), code.clone()));
        names.push((alias, code));
    }
    for (name, code) in &names {
        engine.codes.unknown.invalidate(name);
        engine.codes.known.insert(name.clone(), code.clone());
    }
    if let Err(error) = keep_copies(engine, &names).await {
        tracing::warn!(%error, "Redis took no copies of the links: they can be followed, but not after a restart without Postgres");
    }
}

async fn keep_copies(engine: &Engine, names: &[(String, Arc<Code>)]) -> Result<()> {
    let mut redis = engine.redis.clone();
    for names in names.chunks(COPIES_LENGTH) {
        let mut pipeline = redis::Pipeline::with_capacity(names.len());
        for (name, code) in names {
            pipeline.set(copy_key(name), serde_json::to_string(code)?).ignore();
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
        db.close().await;
        for name in [&link.alias, &link.referral_code] {
            assert_eq!(*find(&engine, name).await.unwrap().referral_code, *link.referral_code);
            forget(&engine, name);
            assert_eq!(*find(&engine, name).await.unwrap().referral_code, *link.referral_code, "by the copy that is left for restarts");
        }
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_code_is_known_from_when_it_is_made_without_postgres(db: PgPool) {
        let engine = testing::engine(db.clone());
        crate::partner::import_files(&engine, "../partners".as_ref()).await.unwrap();
        let new = crate::site::tests::new_site();
        let site = crate::site::create(&engine, &domain::auth::Principal::CommandLine, new).await.unwrap();
        // Made by a process that others share Redis with.
        let elsewhere = testing::engine(db.clone());
        db.close().await;
        for link in &site.links {
            for name in [&link.alias, &link.referral_code] {
                assert_eq!(find(&engine, name).await.unwrap().site_id, site.site_id);
                assert_eq!(find(&elsewhere, name).await.unwrap().site_id, site.site_id);
            }
        }
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_code_that_is_switched_off_is_gone_until_it_is_switched_on(db: PgPool) {
        let engine = testing::engine(db.clone());
        crate::partner::import_files(&engine, "../partners".as_ref()).await.unwrap();
        let link = plant_site(&engine, "a site", &"supabase".parse().unwrap()).await;
        let other = plant_site(&engine, "another site", &"supabase".parse().unwrap()).await;
        warm_up(&engine).await.unwrap();
        let switch = async |on: bool| {
            let update = sqlx::query("update referral_codes set active = $2 where referral_code = $1").bind(&link.referral_code).bind(on);
            update.execute(&db).await.unwrap();
            forget_changed(&engine).await.unwrap();
        };
        switch(false).await;
        for name in [&link.alias, &link.referral_code] {
            assert!(matches!(find(&engine, name).await, Err(Error::NotFound { .. })));
            assert!(copy(&engine, name).await.is_none(), "nor is it followed while Postgres is away");
        }
        assert!(find(&engine, &other.alias).await.is_ok());
        // It is looked for again after the five seconds that it was noted to be gone for, or when it is switched off once more.
        forget_changed(&engine).await.unwrap();
        switch(true).await;
        assert!(find(&engine, &link.alias).await.is_ok());
    }
}
