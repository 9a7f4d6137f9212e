//! Counters per hour and partner, added to in the transaction of what they count. Readers sum over `shard`.
//!
//! The hour is that in which something happened, however late it became known, and everything about it goes into the same hour: its
//! attribution, its commission, what a refund takes back. So a rate divides what belongs together, and no counter falls below zero.

use chrono::{DateTime, Utc};
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
    /// Net of what was taken back, with bonuses, in the currency that the partner pays in.
    pub commission_minor: i64,
    /// Conversions that were rated in this currency.
    pub rated: i64,
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

pub async fn add_counts(tx: &mut PgConnection, hour: DateTime<Utc>, partner_id: &PartnerId, shard: i16, counts: &Counts) -> Result<()> {
    sqlx::query!(
        "insert into hourly_counts as h (hour, partner_id, shard, impressions, conversions, conversions_unattributed, successes)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (hour, partner_id, shard) do update
         set impressions = h.impressions + excluded.impressions,
             conversions = h.conversions + excluded.conversions,
             conversions_unattributed = h.conversions_unattributed + excluded.conversions_unattributed,
             successes = h.successes + excluded.successes",
        hour,
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
    hour: DateTime<Utc>,
    partner_id: &PartnerId,
    currency: Currency,
    shard: i16,
    sums: &Sums,
) -> Result<()> {
    sqlx::query!(
        "insert into hourly_money as h (hour, partner_id, currency, shard, commission_minor, rated)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (hour, partner_id, currency, shard) do update
         set commission_minor = h.commission_minor + excluded.commission_minor,
             rated = h.rated + excluded.rated",
        hour,
        partner_id.as_str(),
        currency.code(),
        shard,
        sums.commission_minor,
        sums.rated,
    )
    .execute(tx)
    .await?;
    Ok(())
}
