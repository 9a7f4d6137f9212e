//! From pending to approved: once the hold period is over and nobody holds the commission back.

use std::{collections::BTreeSet, time::Duration};

use domain::{CommissionId, ConversionId, PartnerId, auth::Principal, ledger::Transaction, live::LiveEvent};
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
        let count = approve(&mut work, &conversions, None).await?.len();
        work.commit().await?;
        approved += count as u64;
        if count == 0 {
            return Ok(approved);
        }
    }
}

/// A commission that was just approved, by its natural key.
struct Approved {
    commission_id: CommissionId,
    conversion_id: ConversionId,
    partner_id: PartnerId,
    external_event_id: String,
}

/// Moves these conversions' commissions, whose rows are locked, from held to earned: those whose hold period is over, or all of them
/// if somebody approves them early. What is held back stays.
async fn approve(work: &mut Work<'_>, conversions: &[ConversionId], early_by: Option<&str>) -> Result<Vec<Approved>> {
    let ids: Vec<Uuid> = conversions.iter().map(|id| id.0).collect();
    let now = work.now();
    let rows = sqlx::query!(
        r#"update commissions c
           set state = 'approved', approved_at = $2, approved_by = $3
           from conversions v
           where v.conversion_id = c.conversion_id and c.conversion_id = any($1) and c.state = 'pending' and c.hold_reason is null
                 and (c.hold_until <= $2 or $4)
           returning c.commission_id as "commission_id: CommissionId", c.conversion_id as "conversion_id: ConversionId",
                     c.partner_id as "partner_id: PartnerId", v.external_event_id, c.currency, c.final_minor + c.bonus_minor as "amount_minor!", c.hold_until"#,
        &ids,
        now,
        early_by.unwrap_or(BY_HOLD_PERIOD),
        early_by.is_some(),
    )
    .fetch_all(work.connection())
    .await?;
    let mut postings = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(transaction) = Transaction::approval(row.amount_minor) else { continue };
        postings.push(Posting {
            transaction,
            component: Component::Approval,
            partner_id: row.partner_id.clone(),
            currency: currency(&row.currency)?,
            conversion_id: Some(row.conversion_id),
            commission_id: Some(row.commission_id),
            payout_id: None,
            receipt: json!({ "hold_until": row.hold_until, "amount_minor": row.amount_minor, "approved_by": early_by.unwrap_or(BY_HOLD_PERIOD) }),
        });
    }
    ledger::append(work, &postings).await?;
    for partner_id in rows.iter().map(|row| row.partner_id.clone()).collect::<BTreeSet<_>>() {
        work.announce(LiveEvent::Books { partner_id });
    }
    let approved = rows.into_iter().map(|row| Approved {
        commission_id: row.commission_id,
        conversion_id: row.conversion_id,
        partner_id: row.partner_id,
        external_event_id: row.external_event_id,
    });
    Ok(approved.collect())
}

/// Approves pending commissions before their hold period is over. Those that are held back have to be released first and stay as
/// they are. Returns how many were approved.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] without a reason.
pub async fn approve_early(engine: &Engine, who: &Principal, commissions: &[CommissionId], reason: &str) -> Result<u64> {
    require_operate(who, "approve commissions")?;
    let reason = required_reason(reason)?;
    let ids: Vec<Uuid> = commissions.iter().map(|id| id.0).collect();
    let mut work = Work::begin(engine).await?;
    let conversions = sqlx::query_scalar!(
        r#"select conversion_id as "conversion_id: ConversionId"
           from conversions join commissions using (conversion_id)
           where commission_id = any($1)
           order by conversion_id
           for update of conversions"#,
        &ids,
    )
    .fetch_all(work.connection())
    .await?;
    let approved = approve(&mut work, &conversions, Some(&who.actor())).await?;
    for row in &approved {
        let detail = json!({
            "before": "pending", "after": "approved", "reason": reason,
            "partner_id": row.partner_id, "conversion": row.external_event_id, "conversion_id": row.conversion_id,
        });
        audit::record(engine, work.connection(), who, "commission.approved", &format!("commission {}", row.commission_id), detail).await?;
    }
    work.commit().await?;
    Ok(approved.len() as u64)
}

fn required_reason(reason: &str) -> Result<&str> {
    match reason.trim() {
        "" => Err(Error::invalid("reason", "say why, for whoever looks at it next")),
        reason => Ok(reason),
    }
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
    let reason = required_reason(reason)?;
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
           returning c.commission_id as "commission_id: CommissionId", c.conversion_id as "conversion_id: ConversionId",
                     c.partner_id as "partner_id: PartnerId", old.before, (select external_event_id from conversions v where v.conversion_id = c.conversion_id) as external_event_id"#,
        &ids,
        reason,
    )
    .fetch_all(&mut *tx)
    .await?;
    for row in &changed {
        let detail = json!({
            "before": row.before, "after": reason,
            "partner_id": row.partner_id, "conversion": row.external_event_id, "conversion_id": row.conversion_id,
        });
        audit::record(engine, &mut tx, who, action, &format!("commission {}", row.commission_id), detail).await?;
    }
    tx.commit().await?;
    let count = changed.len() as u64;
    for partner_id in changed.into_iter().map(|row| row.partner_id).collect::<BTreeSet<_>>() {
        engine.live.publish(LiveEvent::Books { partner_id });
    }
    Ok(count)
}
