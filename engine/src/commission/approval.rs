//! From pending to approved: once the hold period is over and nobody holds the commission back.

use std::time::Duration;

use domain::{
    CommissionId, ConversionId, PartnerId,
    auth::Principal,
    ledger::Transaction,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Engine, Error, Result,
    access::require_operate,
    audit,
    conversion::currency,
    ledger::{self, Component, Posting},
    work::Work,
};

/// Commissions that one transaction approves.
const BATCH_LENGTH: i64 = 500;

/// A look for commissions whose hold period is over.
const PAUSE: Duration = Duration::from_secs(30);

/// The hold period, not a person.
const BY_HOLD_PERIOD: &str = "hold period";

/// Approves the commissions whose hold period is over and that nobody holds back; tells how many.
pub async fn approve_due(engine: &Engine) -> Result<u64> {
    let mut approved = 0;
    loop {
        let mut work = Work::begin(engine).await?;
        // Rows that are being rated come with the next look.
        let conversions = sqlx::query_scalar!(
            r#"select conversion_id as "conversion_id: ConversionId"
               from commissions join conversions using (conversion_id)
               where commissions.state = 'pending' and hold_reason is null and hold_until <= $1
               order by hold_until
               limit $2
               for update of conversions skip locked"#,
            engine.now(),
            BATCH_LENGTH,
        )
        .fetch_all(work.connection())
        .await?;
        let count = approve(&mut work, &conversions).await?;
        work.commit().await?;
        approved += count;
        if count == 0 {
            return Ok(approved);
        }
    }
}

/// Moves these conversions' commissions, whose rows are locked, from held to earned.
async fn approve(work: &mut Work<'_>, conversions: &[ConversionId]) -> Result<u64> {
    let ids: Vec<Uuid> = conversions.iter().map(|id| id.0).collect();
    let now = work.now();
    let approved = sqlx::query!(
        r#"update commissions
           set state = 'approved', approved_at = $2, approved_by = $3
           where conversion_id = any($1) and state = 'pending' and hold_reason is null and hold_until <= $2
           returning commission_id as "commission_id: CommissionId", conversion_id as "conversion_id: ConversionId", partner_id as "partner_id: PartnerId",
                     currency, final_minor + bonus_minor as "amount_minor!", hold_until"#,
        &ids,
        now,
        BY_HOLD_PERIOD,
    )
    .fetch_all(work.connection())
    .await?;
    let mut postings = Vec::with_capacity(approved.len());
    for row in &approved {
        let Some(transaction) = Transaction::approval(row.amount_minor) else { continue };
        postings.push(Posting {
            transaction,
            component: Component::Approval,
            partner_id: row.partner_id.clone(),
            currency: currency(&row.currency)?,
            conversion_id: Some(row.conversion_id),
            commission_id: Some(row.commission_id),
            payout_id: None,
            receipt: json!({ "hold_until": row.hold_until, "amount_minor": row.amount_minor }),
        });
    }
    ledger::append(work, &postings).await?;
    Ok(approved.len() as u64)
}

/// Approves what is due, for as long as the process lives.
pub async fn approve_loop(engine: Engine) {
    loop {
        match approve_due(&engine).await {
            Ok(0) => {}
            Ok(approved) => tracing::info!(approved, "commissions approved: their hold period is over"),
            Err(error) => tracing::warn!(%error, "commissions could not be approved; trying again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Holds pending commissions back until somebody releases them; no timer does. Returns how many were pending.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] without a reason.
pub async fn hold(engine: &Engine, who: &Principal, commissions: &[CommissionId], reason: &str) -> Result<u64> {
    require_operate(who, "hold commissions back")?;
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Error::invalid("reason", "say why, for whoever looks at it next"));
    }
    set_hold(engine, who, commissions, Some(reason), "commission.held").await
}

/// Lets commissions go on that were held back: they are approved once their hold period is over. Returns how many there were.
///
/// # Errors
/// [`Error::Forbidden`].
pub async fn release(engine: &Engine, who: &Principal, commissions: &[CommissionId]) -> Result<u64> {
    require_operate(who, "release commissions")?;
    let released = set_hold(engine, who, commissions, None, "commission.released").await?;
    approve_due(engine).await?;
    Ok(released)
}

async fn set_hold(engine: &Engine, who: &Principal, commissions: &[CommissionId], reason: Option<&str>, action: &str) -> Result<u64> {
    let ids: Vec<Uuid> = commissions.iter().map(|id| id.0).collect();
    let mut tx = engine.db.begin().await?;
    let changed = sqlx::query!(
        r#"update commissions c set hold_reason = $2
           from (select commission_id, hold_reason as before from commissions where commission_id = any($1) order by commission_id for update) old
           where c.commission_id = old.commission_id and c.state = 'pending' and c.hold_reason is distinct from $2
           returning c.commission_id as "commission_id: CommissionId", c.conversion_id as "conversion_id: ConversionId", old.before"#,
        &ids,
        reason,
    )
    .fetch_all(&mut *tx)
    .await?;
    for row in &changed {
        let detail = json!({ "before": row.before, "after": reason, "conversion_id": row.conversion_id });
        audit::record(engine, &mut tx, who, action, &format!("commission {}", row.commission_id), detail).await?;
    }
    tx.commit().await?;
    Ok(changed.len() as u64)
}
