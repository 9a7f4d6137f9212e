//! A keyed hash of a visitor's address, under a random key per UTC day that is forgotten once no window needs it.

use std::net::IpAddr;

use chrono::{DateTime, Days, NaiveDate, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Engine, Result};

const PURPOSE: &str = "ip hash key";

/// Hashes an address under the day's key. `None` while the key cannot be had: the click is worth more than the hash.
pub async fn hash(engine: &Engine, ip: IpAddr, at: DateTime<Utc>) -> Option<[u8; 16]> {
    let day = at.date_naive();
    let key = match engine.ip_keys.get(&day) {
        Some(key) => key,
        None => {
            let key = key_of(engine, day).await.ok()?;
            engine.ip_keys.insert(day, key);
            key
        }
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    match ip {
        IpAddr::V4(ip) => mac.update(&ip.octets()),
        // a provider gives a household a /64
        IpAddr::V6(ip) => mac.update(&ip.octets()[..8]),
    }
    let mut hash = [0; 16];
    hash.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    Some(hash)
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
    Ok(deleted.rows_affected())
}
