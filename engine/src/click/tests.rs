//! What becomes of a click while services are away or hang, and of clicks that come again.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::SessionId;
use redis::{AsyncCommands, streams::StreamRangeReply};
use sqlx::PgPool;

use super::{
    Click, Durability, Store,
    cache::REDIS_PATIENCE,
    cached_click,
    store::{KEPT_FOR, Statement},
    strip_query,
};
use crate::{Engine, new_id, simulation::PlantedLink, testing};

#[test]
fn a_source_url_loses_query_fragment_and_credentials() {
    assert_eq!(strip_query("https://user:pw@a.example/p?email=x#y").as_deref(), Some("https://a.example/p"));
    assert_eq!(strip_query("javascript:alert(1)"), None);
    assert_eq!(strip_query("not a url"), None);
}

/// A store with a fallback of its own, since all tests share one Redis.
fn store_of(engine: &Engine) -> Store {
    let mut store = Store::new(engine.clicks.store.db.clone(), engine.redis.clone(), 0);
    store.fallback = format!("test:{}", rand::random::<u64>());
    store
}

/// A link of nobody: clicks have no foreign keys.
fn link(engine: &Engine) -> PlantedLink {
    PlantedLink {
        site: 0,
        site_id: engine.new_id(),
        developer_id: engine.new_id(),
        developer_hash: "0123abcd".to_owned(),
        partner_id: "supabase".parse().unwrap(),
        referral_code: format!("p4s_0123abcd_supabase_{:06x}", rand::random::<u32>() & 0x00ff_ffff),
        alias: String::new(),
    }
}

async fn number(db: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_entry_that_can_never_be_stored_is_set_aside_and_keeps_no_other_waiting(db: PgPool) {
    let engine = testing::engine(db.clone());
    let (store, link, mut redis) = (store_of(&engine), link(&engine), engine.redis.clone());
    let mut clicks: Vec<Click> = (0..20).map(|_| testing::click(&link, engine.now(), None)).collect();
    clicks[7].source_url = Some("https://a.example/\0".to_owned());
    store.append_to_fallback(&clicks).await.unwrap();
    let _: String = redis.xadd(&store.fallback, "*", &[("click", "{\"of\":\"another version\"}")]).await.unwrap();

    assert_eq!(store.drain_batch(&engine).await.unwrap(), 21);
    assert_eq!(number(&db, "select count(*) from clicks").await, 19);
    assert_eq!(number(&db, "select sum(clicks)::bigint from hourly_counts").await, 19);
    assert_eq!(store.drain_batch(&engine).await.unwrap(), 0, "the fallback is empty");
    let aside = format!("{}:bad", store.fallback);
    let entries: StreamRangeReply = redis.xrange_all(&aside).await.unwrap();
    let field = |index: usize, name: &str| entries.ids[index].get::<String>(name).unwrap();
    assert_eq!((entries.ids.len(), field(0, "click").as_str()), (2, "{\"of\":\"another version\"}"));
    assert_eq!(serde_json::from_str::<Click>(&field(1, "click")).unwrap(), clicks[7]);
    assert!(field(1, "reason").contains("22021"), "{}", field(1, "reason"));
    let _: i64 = redis.del(&aside).await.unwrap();
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_cannot_be_stored_while_postgres_is_away_stays_in_the_fallback(db: PgPool) {
    let engine = testing::engine(db.clone());
    let (store, mut redis) = (store_of(&engine), engine.redis.clone());
    store.append_to_fallback(&[testing::click(&link(&engine), engine.now(), None)]).await.unwrap();
    sqlx::query("alter table clicks rename to clicks_elsewhere").execute(&db).await.unwrap();
    store.drain_batch(&engine).await.unwrap_err();
    let waiting: u64 = redis.xlen(&store.fallback).await.unwrap();
    assert_eq!(waiting, 1, "no click is to blame for a table that is missing");
    sqlx::query("alter table clicks_elsewhere rename to clicks").execute(&db).await.unwrap();
    assert_eq!(store.drain_batch(&engine).await.unwrap(), 1);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_entry_is_set_aside_once_however_often_the_drain_fails(db: PgPool) {
    let engine = testing::engine(db.clone());
    let (store, mut redis) = (store_of(&engine), engine.redis.clone());
    store.append_to_fallback(&[testing::click(&link(&engine), engine.now(), None)]).await.unwrap();
    let _: String = redis.xadd(&store.fallback, "*", &[("click", "no click")]).await.unwrap();
    sqlx::query("alter table clicks rename to clicks_elsewhere").execute(&db).await.unwrap();
    for _ in 0..2 {
        store.drain_batch(&engine).await.unwrap_err();
    }
    let aside = format!("{}:bad", store.fallback);
    let lengths: (u64, u64) = (redis.xlen(&store.fallback).await.unwrap(), redis.xlen(&aside).await.unwrap());
    assert_eq!(lengths, (1, 1));
    let _: i64 = redis.del(&[&aside, &store.fallback]).await.unwrap();
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_pool_of_the_clicks_plans_once_and_has_postgres_end_what_nobody_waits_for(db: PgPool) {
    let settings = "select current_setting('plan_cache_mode'), current_setting('statement_timeout')";
    let found: (String, String) = sqlx::query_as(settings).fetch_one(&testing::engine(db).clicks.store.db).await.unwrap();
    assert_eq!(found, ("force_generic_plan".to_owned(), "10s".to_owned()));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_connection_that_rested_for_long_takes_no_batch(db: PgPool) {
    let engine = testing::engine(db);
    let (store, link) = (store_of(&engine), link(&engine));
    let clicks = [(); 2].map(|()| [testing::click(&link, engine.now(), None)]);
    store.run(Statement::New(&clicks[0]), Duration::from_secs(5)).await.unwrap();
    store.kept.lock().unwrap().as_mut().unwrap().1 -= KEPT_FOR;
    assert!(store.take_kept().is_none());
    assert_eq!(store.db.size(), 0, "its place is free");
    store.run(Statement::New(&clicks[1]), Duration::from_secs(5)).await.unwrap();
    assert!(store.take_kept().is_some());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_statement_that_is_not_answered_in_time_gives_its_connection_up(db: PgPool) {
    let engine = testing::engine(db.clone());
    let store = store_of(&engine);
    let clicks = [testing::click(&link(&engine), engine.now(), None)];
    let mut lock = db.begin().await.unwrap();
    sqlx::query("lock table clicks in access exclusive mode").execute(&mut *lock).await.unwrap();
    // One more than the pool has places.
    for _ in 0..4 {
        store.run(Statement::New(&clicks), Duration::from_millis(200)).await.unwrap_err();
    }
    assert_eq!(store.db.size(), 0);
    store.run(Statement::Probe, Duration::from_secs(5)).await.unwrap();
    lock.rollback().await.unwrap();
    store.run(Statement::Again(&clicks), Duration::from_secs(5)).await.unwrap();
    assert_eq!(number(&db, "select sum(clicks)::bigint from hourly_counts").await, 1);
}

#[tokio::test]
async fn nobody_waits_for_a_redis_that_is_known_to_be_away() {
    let (engine, _silent) = testing::engine_of_silence();
    let store = &engine.clicks.store;
    let session_id: SessionId = engine.new_id();
    let link = link(&engine);
    let mut clicks = [testing::click(&link, engine.now() + TimeDelta::minutes(1), Some(session_id))];
    store.find_repeats(&mut clicks, &[0]).await;
    assert!(store.redis_is_away());
    let asked_at = Instant::now();
    for _ in 0..10 {
        store.find_repeats(&mut clicks, &[0]).await;
        assert!(cached_click(&engine, &link.partner_id, &link.referral_code, session_id).await.is_none());
    }
    assert!(asked_at.elapsed() < REDIS_PATIENCE, "{:?}", asked_at.elapsed());
    assert!(clicks[0].counted, "repeats count meanwhile");
}

/// Writes a session's clicks, a batch at a time, and tells for each whether it counts.
async fn counted(db: &PgPool, engine: &Engine, began_at: DateTime<Utc>, batches: &[&[i64]]) -> Vec<bool> {
    let (store, link, session_id) = (store_of(engine), link(engine), new_id::<SessionId>(began_at));
    for minutes in batches {
        let clicks = minutes.iter().map(|minute| testing::click(&link, began_at + TimeDelta::minutes(*minute), Some(session_id)));
        assert_eq!(store.write(clicks.collect()).await, Durability::Postgres);
    }
    sqlx::query_scalar("select counted from clicks where session_id = $1 order by clicked_at")
        .bind(session_id.0)
        .fetch_all(db)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_sessions_latest_click_is_cached_for_as_long_as_its_window(db: PgPool) {
    let engine = testing::engine(db);
    let (store, link, mut redis) = (store_of(&engine), link(&engine), engine.redis.clone());
    let session_id: SessionId = engine.new_id();
    let cached = async |session_id| {
        let cached = cached_click(&engine, &link.partner_id, &link.referral_code, session_id).await;
        cached.map(|cached| (cached.click_id, cached.clicked_at))
    };
    for hours in [0, 2] {
        let mut click = testing::click(&link, engine.now() + TimeDelta::hours(hours), Some(session_id));
        click.window_hours = 72;
        let written = (click.click_id, click.clicked_at);
        assert_eq!(store.write(vec![click]).await, Durability::Postgres);
        assert_eq!(cached(session_id).await, Some(written));
    }
    assert_eq!(cached(engine.new_id()).await, None, "another session has its own");
    let seconds: i64 = redis.ttl(format!("attribution:supabase:{}:{session_id}", link.referral_code)).await.unwrap();
    assert!((72 * 3600 - 59..=72 * 3600).contains(&seconds), "{seconds}");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_repeat_is_one_within_an_hour_of_the_last_click_that_counted(db: PgPool) {
    let engine = testing::engine(db.clone());
    let began_at = engine.now();
    let one_by_one: [&[i64]; 6] = [&[0], &[50], &[59], &[60], &[100], &[120]];
    assert_eq!(counted(&db, &engine, began_at, &one_by_one).await, [true, false, false, true, false, true]);
    let together: [&[i64]; 3] = [&[0], &[40, 50, 61, 80], &[100, 121]];
    assert_eq!(counted(&db, &engine, began_at, &together).await, [true, false, false, true, false, false, true]);
}
