//! Counters per hour and partner, added to in the transaction of what they count. Readers sum over `shard`.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::{Currency, PartnerId};
use sqlx::PgConnection;

use crate::Result;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub impressions: i64,
    pub conversions: i64,
    pub conversions_unattributed: i64,
    pub successes: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub value_minor: i64,
    pub commission_minor: i64,
}

/// The four rows of an hour that one process adds to: three for its workers, and one for its clicks, whose batches are short and many
/// and must not wait for a worker's commit.
#[derive(Clone, Copy, Debug)]
pub struct Shard(i16);

impl Shard {
    /// One of eight, so that processes seldom share theirs.
    pub fn random() -> Self {
        Self(i16::from(rand::random::<u8>() % 8) * 4)
    }

    pub fn of_clicks(self) -> i16 {
        self.0 + 3
    }

    /// Any of the workers' rows, so that they do not queue for one.
    pub fn of_work(self) -> i16 {
        self.0 + i16::from(rand::random::<u8>() % 3)
    }
}

fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}

pub async fn add_counts(tx: &mut PgConnection, at: DateTime<Utc>, partner_id: &PartnerId, shard: i16, counts: &Counts) -> Result<()> {
    sqlx::query!(
        "insert into hourly_counts as h (hour, partner_id, shard, impressions, conversions, conversions_unattributed, successes)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (hour, partner_id, shard) do update
         set impressions = h.impressions + excluded.impressions,
             conversions = h.conversions + excluded.conversions,
             conversions_unattributed = h.conversions_unattributed + excluded.conversions_unattributed,
             successes = h.successes + excluded.successes",
        hour_of(at),
        partner_id.as_str(),
        shard,
        counts.impressions,
        counts.conversions,
        counts.conversions_unattributed,
        counts.successes,
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub async fn add_sums(
    tx: &mut PgConnection,
    at: DateTime<Utc>,
    partner_id: &PartnerId,
    currency: Currency,
    shard: i16,
    sums: &Sums,
) -> Result<()> {
    sqlx::query!(
        "insert into hourly_money as h (hour, partner_id, currency, shard, value_minor, commission_minor)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (hour, partner_id, currency, shard) do update
         set value_minor = h.value_minor + excluded.value_minor,
             commission_minor = h.commission_minor + excluded.commission_minor",
        hour_of(at),
        partner_id.as_str(),
        currency.code(),
        shard,
        sums.value_minor,
        sums.commission_minor,
    )
    .execute(tx)
    .await?;
    Ok(())
}
