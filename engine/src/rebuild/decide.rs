//! Repeating what operators decided, by the natural keys that the audit log holds.

use domain::{
    ClickId, CommissionId, ConversionId, PayoutId, StatementId, SuccessEventId,
    auth::{Principal, Role},
};
use serde_json::Value;
use uuid::Uuid;

use super::{one_of, timeline::Decision};
use crate::{Engine, Error, Result, attribution, commission, payout, statement, success};

/// Repeats one decision in the name of who made it.
///
/// # Errors
/// [`Error::Conflict`] if what it is about was not rebuilt, or does not allow it.
pub async fn repeat(target: &Engine, decision: &Decision) -> Result<()> {
    let who = principal(&decision.actor);
    let done = match decision.action.as_str() {
        attribution::ACTION => attribute(target, &who, &decision.detail).await,
        "commission.approved" => {
            let reason = one_of(&decision.detail, &["reason"])?;
            commission::approve_early(target, &who, &[find_commission(target, &decision.detail).await?], reason).await.map(drop)
        }
        "commission.held" => {
            let reason = one_of(&decision.detail, &["after"])?;
            commission::hold(target, &who, &[find_commission(target, &decision.detail).await?], reason).await.map(drop)
        }
        "commission.released" => commission::release(target, &who, &[find_commission(target, &decision.detail).await?]).await.map(drop),
        "success.verified" => {
            let reason = decision.detail.get("reason").and_then(Value::as_str);
            success::verify(target, &who, find_success(target, &decision.detail).await?, reason).await
        }
        "success.rejected" => {
            let reason = one_of(&decision.detail, &["reason"])?;
            success::reject(target, &who, find_success(target, &decision.detail).await?, reason).await
        }
        "statement.issued" => issue(target, &who, &decision.detail).await,
        "payout.created" => create_payout(target, &who, &decision.detail).await,
        "payout.paid" => pay(target, &who, decision).await,
        other => Err(Error::Conflict(format!("decision `{other}` is not known"))),
    };
    done.map_err(|error| {
        Error::Conflict(format!("{} of {} at {} cannot be repeated: {error}", decision.action, decision.subject, decision.at))
    })
}

fn principal(actor: &str) -> Principal {
    match actor {
        "command line" => Principal::CommandLine,
        email => Principal::Operator { id: Uuid::nil().into(), email: email.to_owned(), role: Role::Operator },
    }
}

async fn attribute(target: &Engine, who: &Principal, detail: &Value) -> Result<()> {
    let conversion_id = find_conversion(target, detail).await?;
    let click_id = match detail.get("click_id").and_then(Value::as_str) {
        Some(text) => Some(ClickId(text.parse().map_err(Error::internal)?)),
        None => None,
    };
    let (code, reason) = (one_of(detail, &["referral_code"])?, one_of(detail, &["reason"])?);
    attribution::attribute_by_hand(target, who, conversion_id, code, click_id, reason).await?;
    Ok(())
}

async fn issue(target: &Engine, who: &Principal, detail: &Value) -> Result<()> {
    let partner_id = one_of(detail, &["partner_id"])?.parse().map_err(Error::internal)?;
    let month = one_of(detail, &["month"])?.parse().map_err(Error::internal)?;
    let currency = one_of(detail, &["currency"])?.parse().map_err(Error::internal)?;
    statement::issue(target, who, &partner_id, month, currency).await?;
    Ok(())
}

async fn create_payout(target: &Engine, who: &Principal, detail: &Value) -> Result<()> {
    let numbers: Vec<String> = detail
        .get("statements")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|number| number.as_str().map(str::to_owned))
        .collect();
    let statements =
        sqlx::query_scalar!(r#"select statement_id as "statement_id: StatementId" from statements where number = any($1)"#, &numbers)
            .fetch_all(&target.db)
            .await?;
    if statements.len() != numbers.len() {
        return Err(Error::not_found(format!("all of the statements {}", numbers.join(", "))));
    }
    payout::create(target, who, &statements).await?;
    Ok(())
}

async fn pay(target: &Engine, who: &Principal, decision: &Decision) -> Result<()> {
    let reference = decision.subject.strip_prefix("payout ").unwrap_or(&decision.subject);
    let payout_id = sqlx::query_scalar!(r#"select payout_id as "payout_id: PayoutId" from payouts where reference = $1"#, reference)
        .fetch_optional(&target.db)
        .await?
        .ok_or_else(|| Error::not_found(format!("payout `{reference}`")))?;
    let paid_on = one_of(&decision.detail, &["paid_on"])?.parse().map_err(Error::internal)?;
    payout::mark_paid(target, who, payout_id, one_of(&decision.detail, &["bank_reference"])?, paid_on).await
}

async fn find_conversion(target: &Engine, detail: &Value) -> Result<ConversionId> {
    let (partner_id, id) = (one_of(detail, &["partner_id", "partner"])?, one_of(detail, &["external_event_id", "conversion"])?);
    sqlx::query_scalar!(
        r#"select conversion_id as "conversion_id: ConversionId" from conversions where partner_id = $1 and external_event_id = $2"#,
        partner_id,
        id,
    )
    .fetch_optional(&target.db)
    .await?
    .ok_or_else(|| Error::not_found(format!("conversion `{id}` of {partner_id}")))
}

async fn find_commission(target: &Engine, detail: &Value) -> Result<CommissionId> {
    let conversion_id = find_conversion(target, detail).await?;
    sqlx::query_scalar!(
        r#"select commission_id as "commission_id: CommissionId" from commissions where conversion_id = $1"#,
        conversion_id.0
    )
    .fetch_optional(&target.db)
    .await?
    .ok_or_else(|| Error::not_found(format!("the commission of conversion `{conversion_id}`")))
}

async fn find_success(target: &Engine, detail: &Value) -> Result<SuccessEventId> {
    let (partner_id, id) = (one_of(detail, &["partner_id"])?, one_of(detail, &["external_event_id"])?);
    sqlx::query_scalar!(
        r#"select success_event_id as "success_event_id: SuccessEventId" from success_events where partner_id = $1 and external_event_id = $2"#,
        partner_id,
        id,
    )
    .fetch_optional(&target.db)
    .await?
    .ok_or_else(|| Error::not_found(format!("success `{id}` of {partner_id}")))
}
