//! The hash chain: each transaction's seal covers its text and the seal before it, per currency.
//!
//! It is laid behind the postings by whichever process holds the lock, so that posting stays concurrent.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use domain::ledger::{GENESIS, seal};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Engine, Error, Result,
    advisory_lock::{self, Class},
};

/// Transactions sealed in one go.
const BATCH_LENGTH: i64 = 5_000;

/// A look for transactions of other processes, which do not wake this one.
const PAUSE: Duration = Duration::from_secs(1);

/// Every field of a transaction and its entries, as the database holds them.
pub(super) struct Sealable {
    pub id: Uuid,
    pub currency: String,
    pub kind: String,
    pub component: String,
    pub partner_id: String,
    pub conversion_id: Option<Uuid>,
    pub commission_id: Option<Uuid>,
    pub payout_id: Option<Uuid>,
    pub booked_at: DateTime<Utc>,
    pub receipt: String,
    /// `line:account:amount_minor`, joined by `;` in the order of the lines.
    pub entries: String,
}

impl Sealable {
    /// The text that is hashed. Changing it would break every chain: a new form needs a version of its own. `v2` has a payout.
    pub fn canonical(&self) -> String {
        let id = |id: Option<Uuid>| id.map_or_else(String::new, |id| id.to_string());
        let version = self.payout_id.map_or_else(|| "v1".to_owned(), |payout_id| format!("v2|{payout_id}"));
        [
            version.as_str(),
            &self.id.to_string(),
            &self.currency,
            &self.kind,
            &self.component,
            &self.partner_id,
            &id(self.conversion_id),
            &id(self.commission_id),
            &self.booked_at.timestamp_micros().to_string(),
            &self.receipt,
            &self.entries,
        ]
        .join("|")
    }
}

/// Seals everything that waits; tells how much that was.
pub async fn seal_all(engine: &Engine) -> Result<usize> {
    let mut sealed = 0;
    loop {
        let mut tx = engine.db.begin().await?;
        advisory_lock::hold(&mut tx, Class::LedgerChain, "ledger chain").await?;
        let count = seal_batch(engine, &mut tx).await?;
        tx.commit().await?;
        sealed += count;
        if count == 0 {
            return Ok(sealed);
        }
    }
}

async fn seal_batch(engine: &Engine, tx: &mut PgConnection) -> Result<usize> {
    let waiting = sqlx::query_as!(
        Sealable,
        r#"select ledger_transaction_id as id, currency, kind, component, partner_id, conversion_id, commission_id, payout_id, booked_at,
                  receipt::text as "receipt!",
                  (select string_agg(concat_ws(':', line, account, amount_minor), ';' order by line)
                   from ledger_entries where ledger_entries.ledger_transaction_id = t.ledger_transaction_id) as "entries!"
           from (select ledger_transaction_id as waiting_id from ledger_unsealed order by 1 limit $1) as waiting
           -- one lookup each: the planner never knows how few wait, and would read the whole ledger for them
           cross join lateral (select * from ledger_transactions where ledger_transaction_id = waiting_id limit 1) as t
           order by ledger_transaction_id"#,
        BATCH_LENGTH,
    )
    .fetch_all(&mut *tx)
    .await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let mut ends: BTreeMap<String, (i64, [u8; 32])> = BTreeMap::new();
    let mut seals = Seals::default();
    for transaction in &waiting {
        let (position, previous) = match ends.get(&transaction.currency) {
            Some(end) => *end,
            None => last_seal(tx, &transaction.currency).await?,
        };
        let hash = seal(&previous, &transaction.canonical());
        seals.currency.push(transaction.currency.clone());
        seals.position.push(position + 1);
        seals.id.push(transaction.id);
        seals.previous.push(previous.to_vec());
        seals.hash.push(hash.to_vec());
        ends.insert(transaction.currency.clone(), (position + 1, hash));
    }
    sqlx::query!(
        "insert into ledger_seals (currency, position, ledger_transaction_id, previous_hash, hash, sealed_at)
         select currency, position, id, previous, hash, $6
         from unnest($1::text[], $2::bigint[], $3::uuid[], $4::bytea[], $5::bytea[]) as seal (currency, position, id, previous, hash)",
        &seals.currency,
        &seals.position,
        &seals.id,
        &seals.previous,
        &seals.hash,
        engine.now(),
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("delete from ledger_unsealed where ledger_transaction_id = any ($1)", &seals.id).execute(tx).await?;
    Ok(waiting.len())
}

#[derive(Default)]
struct Seals {
    currency: Vec<String>,
    position: Vec<i64>,
    id: Vec<Uuid>,
    previous: Vec<Vec<u8>>,
    hash: Vec<Vec<u8>>,
}

async fn last_seal(tx: &mut PgConnection, currency: &str) -> Result<(i64, [u8; 32])> {
    let last = sqlx::query!("select position, hash from ledger_seals where currency = $1 order by position desc limit 1", currency)
        .fetch_optional(tx)
        .await?;
    match last {
        None => Ok((0, GENESIS)),
        Some(last) => Ok((last.position, last.hash.try_into().map_err(|_| Error::internal("a seal has another length than 32 bytes"))?)),
    }
}

/// Seals whenever something was booked, for as long as the process lives.
pub async fn seal_loop(engine: Engine) {
    loop {
        if let Err(error) = seal_all(&engine).await {
            tracing::warn!(error = %error, "could not seal the ledger; trying again");
            tokio::time::sleep(PAUSE).await;
        }
        let _ = tokio::time::timeout(PAUSE, engine.seal.notified()).await;
    }
}
