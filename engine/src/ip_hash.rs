//! A keyed hash of a visitor's address, under a random key per UTC day that is forgotten once no window needs it.

use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, Days, NaiveDate, Utc};
use hmac::{Hmac, KeyInit, Mac};
use moka::sync::Cache;
use sha2::Sha256;
use tokio::time::timeout;

use crate::{Engine, Result};

const PURPOSE: &str = "ip hash key";

/// How long a visitor waits for a day's key. It is made the day before, so that nobody has to.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long it is remembered that a key could not be had.
const PAUSE: Duration = Duration::from_secs(1);

/// The days' keys that this process knows.
pub struct DayKeys {
    known: Cache<NaiveDate, [u8; 32]>,
    missed: Cache<NaiveDate, ()>,
}

impl Default for DayKeys {
    fn default() -> Self {
        Self { known: Cache::new(400), missed: Cache::builder().max_capacity(400).time_to_live(PAUSE).build() }
    }
}

/// Hashes an address under the day's key. `None` while the key cannot be had: the click is worth more than the hash.
pub async fn hash(engine: &Engine, ip: IpAddr, at: DateTime<Utc>) -> Option<[u8; 16]> {
    let day = at.date_naive();
    let key = match engine.ip_keys.known.get(&day) {
        Some(key) => key,
        None => look_up(engine, day).await?,
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    // A socket that takes both versions shows V4 addresses as V6 ones.
    match ip.to_canonical() {
        IpAddr::V4(ip) => mac.update(&ip.octets()),
        // a provider gives a household a /64
        IpAddr::V6(ip) => mac.update(&ip.octets()[..8]),
    }
    let mut hash = [0; 16];
    hash.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    Some(hash)
}

/// Has today's and tomorrow's key in memory, so that no visitor waits for one, and midnight passes without Postgres.
pub async fn prepare(engine: &Engine) -> Result<()> {
    let today = engine.now().date_naive();
    for day in [Some(today), today.succ_opt()].into_iter().flatten() {
        if !engine.ip_keys.known.contains_key(&day) {
            engine.ip_keys.known.insert(day, key_of(engine, day).await?);
        }
    }
    Ok(())
}

async fn look_up(engine: &Engine, day: NaiveDate) -> Option<[u8; 32]> {
    let keys = &engine.ip_keys;
    if keys.missed.contains_key(&day) || engine.clicks.store.postgres_is_away() {
        return None;
    }
    let Ok(Ok(key)) = timeout(PATIENCE, key_of(engine, day)).await else {
        keys.missed.insert(day, ());
        return None;
    };
    keys.known.insert(day, key);
    Some(key)
}

/// Reads the day's key, or makes it; whoever comes first decides.
async fn key_of(engine: &Engine, day: NaiveDate) -> Result<[u8; 32]> {
    let sealed = engine.keys.seal(PURPOSE, &rand::random::<[u8; 32]>());
    sqlx::query!("insert into ip_hash_keys (day, sealed) values ($1, $2) on conflict do nothing", day, sealed).execute(&engine.db).await?;
    let sealed = sqlx::query_scalar!("select sealed from ip_hash_keys where day = $1", day).fetch_one(&engine.db).await?;
    let plain = engine.keys.open(PURPOSE, &sealed)?;
    plain.try_into().map_err(|_| crate::Error::internal("an ip hash key has another length than 32 bytes"))
}

/// Forgets the keys that no attribution window reaches back to, which makes their hashes meaningless for good.
pub async fn forget_old_keys(engine: &Engine) -> Result<u64> {
    let longest =
        sqlx::query_scalar!("select coalesce(max(attribution_window_hours), 24) from partner_terms").fetch_one(&engine.db).await?;
    let days = u64::try_from(longest.unwrap_or(24)).unwrap_or(24) / 24 + 2;
    let first_kept = engine.now().date_naive().checked_sub_days(Days::new(days)).unwrap_or_default();
    let deleted = sqlx::query!("delete from ip_hash_keys where day < $1", first_kept).execute(&engine.db).await?;
    for (day, _) in engine.ip_keys.known.iter().filter(|(day, _)| **day < first_kept) {
        engine.ip_keys.known.invalidate(&*day);
    }
    Ok(deleted.rows_affected())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::{path::Path, time::Instant};

    use chrono::TimeDelta;
    use domain::dashboard::midnight;
    use sqlx::PgPool;

    use super::*;
    use crate::{partner, testing};

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn an_address_is_the_same_whatever_socket_it_came_by(db: PgPool) {
        let engine = testing::engine(db);
        let now = engine.now();
        let hash = async |ip: &str| hash(&engine, ip.parse().unwrap(), now).await.unwrap();
        assert_eq!(hash("192.0.2.1").await, hash("::ffff:192.0.2.1").await);
        assert_ne!(hash("::ffff:192.0.2.1").await, hash("::ffff:192.0.2.2").await);
        assert_eq!(hash("2001:db8:0:1::1").await, hash("2001:db8:0:1:2::2").await, "one household");
        assert_ne!(hash("2001:db8:0:1::1").await, hash("2001:db8:0:2::1").await);
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn midnight_passes_without_postgres(db: PgPool) {
        let engine = testing::engine(db.clone());
        prepare(&engine).await.unwrap();
        db.close().await;
        let tomorrow = engine.now() + TimeDelta::days(1);
        assert!(hash(&engine, [192, 0, 2, 1].into(), tomorrow).await.is_some());
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn an_address_is_the_same_all_day_in_every_process_and_another_on_the_next(db: PgPool) {
        let (engine, other) = (testing::engine(db.clone()), testing::engine(db));
        let begins_at = midnight(engine.now().date_naive());
        let ends_at = begins_at + TimeDelta::days(1);
        for engine in [&engine, &other] {
            prepare(engine).await.unwrap();
        }
        let hash = async |engine: &Engine, at| hash(engine, [192, 0, 2, 1].into(), at).await.unwrap();
        let (today, tomorrow) = (hash(&engine, begins_at).await, hash(&engine, ends_at).await);
        assert_eq!(hash(&engine, ends_at - TimeDelta::microseconds(1)).await, today);
        assert_ne!(tomorrow, today);
        assert_eq!((hash(&other, begins_at).await, hash(&other, ends_at).await), (today, tomorrow));
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn keys_are_forgotten_once_no_window_reaches_back_to_them(db: PgPool) {
        let engine = testing::engine(db);
        partner::import_files(&engine, Path::new("../partners")).await.unwrap();
        let longest: i32 =
            sqlx::query_scalar("select max(attribution_window_hours) from partner_terms").fetch_one(&engine.db).await.unwrap();
        let now = engine.now();
        let oldest_that_counts = (now - TimeDelta::hours(longest.into())).date_naive();
        let days = [now.date_naive(), oldest_that_counts, oldest_that_counts - Days::new(3), oldest_that_counts - Days::new(300)];
        for day in days {
            key_of(&engine, day).await.unwrap();
        }
        assert_eq!(forget_old_keys(&engine).await.unwrap(), 2);
        let kept: Vec<NaiveDate> =
            sqlx::query_scalar("select day from ip_hash_keys order by day desc").fetch_all(&engine.db).await.unwrap();
        assert_eq!(kept, days[..2]);
    }

    #[tokio::test]
    async fn nobody_waits_long_for_a_key_and_the_next_not_at_all() {
        let (engine, _silent) = testing::engine_of_silence();
        let ip = IpAddr::from([192, 0, 2, 1]);
        let asked_at = Instant::now();
        for _ in 0..10 {
            assert_eq!(hash(&engine, ip, engine.now()).await, None);
        }
        assert!(asked_at.elapsed() < Duration::from_secs(2), "{:?}", asked_at.elapsed());
    }
}
