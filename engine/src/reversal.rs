//! Refunds, chargebacks, cancellations: before or after their conversion, in part or in full.

use domain::{ConversionId, Currency, PartnerId, ReversalId, WebhookDeliveryId, conversion::NewReversal, live::LiveEvent};

use crate::{
    Error, Result, commission,
    conversion::{currency, lock_external_event},
    work::Work,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    Applied(ConversionId),
    /// Its conversion has not come yet.
    Waiting,
    Duplicate,
}

/// Records a reversal and, if its conversion is there, takes its share of the commission back.
///
/// # Errors
/// [`Error::Invalid`] if the currency is not the conversion's. A second call with the same external event changes nothing.
pub async fn record(work: &mut Work<'_>, new: &NewReversal, delivery: Option<WebhookDeliveryId>) -> Result<Recorded> {
    lock_external_event(work, &new.partner_id, &new.conversion_external_event_id).await?;
    let reversal_id: ReversalId = work.engine.new_id();
    let now = work.now();
    let inserted = sqlx::query!(
        "insert into reversals (reversal_id, partner_id, external_event_id, conversion_external_event_id, amount_minor, currency, reason, occurred_at, received_at, webhook_delivery_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict on constraint reversals_partner_id_external_event_id_key do nothing",
        reversal_id.0,
        new.partner_id.as_str(),
        new.external_event_id,
        new.conversion_external_event_id,
        new.amount.map(|amount| amount.amount_minor),
        new.amount.map(|amount| amount.currency.code()),
        new.reason,
        new.occurred_at,
        now,
        delivery.map(|id| id.0),
    )
    .execute(work.connection())
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(Recorded::Duplicate);
    }
    let conversion = sqlx::query!(
        r#"select conversion_id as "conversion_id: ConversionId", currency from conversions where partner_id = $1 and external_event_id = $2"#,
        new.partner_id.as_str(),
        new.conversion_external_event_id,
    )
    .fetch_optional(work.connection())
    .await?;
    let Some(conversion) = conversion else { return Ok(Recorded::Waiting) };
    check_currency(new.amount.map(|amount| amount.currency), currency(&conversion.currency)?)?;
    commission::lock_developers(work, conversion.conversion_id).await?;
    apply(work, reversal_id, conversion.conversion_id, new.amount.map(|amount| amount.amount_minor)).await?;
    commission::rate_if_attributed(work, conversion.conversion_id, commission::Cause::Reversal).await?;
    work.announce(LiveEvent::Conversion { conversion_id: conversion.conversion_id, partner_id: new.partner_id.clone() });
    Ok(Recorded::Applied(conversion.conversion_id))
}

fn check_currency(reversal: Option<Currency>, conversion: Currency) -> Result<()> {
    match reversal {
        Some(reversal) if reversal != conversion => {
            Err(Error::invalid("currency", format!("`{reversal}` is not the conversion's {conversion}")))
        }
        _ => Ok(()),
    }
}

/// Applies the reversals that came before their conversion; those in another currency stay waiting for an operator.
pub async fn apply_waiting(
    work: &mut Work<'_>,
    conversion_id: ConversionId,
    partner_id: &PartnerId,
    external_event_id: &str,
) -> Result<()> {
    let waiting = sqlx::query!(
        r#"select reversal_id as "reversal_id: ReversalId", amount_minor
           from reversals
           where partner_id = $1 and conversion_external_event_id = $2 and conversion_id is null
                 and (currency is null or currency = (select currency from conversions where conversion_id = $3))
           order by occurred_at, reversal_id"#,
        partner_id.as_str(),
        external_event_id,
        conversion_id.0,
    )
    .fetch_all(work.connection())
    .await?;
    for reversal in waiting {
        apply(work, reversal.reversal_id, conversion_id, reversal.amount_minor).await?;
    }
    Ok(())
}

/// Takes `amount_minor` (all that is left if `None`), at most what is left, off the conversion's value.
async fn apply(work: &mut Work<'_>, reversal_id: ReversalId, conversion_id: ConversionId, amount_minor: Option<i64>) -> Result<()> {
    let now = work.now();
    let left = sqlx::query_scalar!(
        r#"select value_minor - reversed_minor as "left!" from conversions where conversion_id = $1 for update"#,
        conversion_id.0
    )
    .fetch_one(work.connection())
    .await?;
    let applied = amount_minor.unwrap_or(left).min(left);
    sqlx::query!("update conversions set reversed_minor = reversed_minor + $2 where conversion_id = $1", conversion_id.0, applied)
        .execute(work.connection())
        .await?;
    sqlx::query!(
        "update reversals set conversion_id = $2, applied_minor = $3, applied_at = $4 where reversal_id = $1",
        reversal_id.0,
        conversion_id.0,
        applied,
        now,
    )
    .execute(work.connection())
    .await?;
    Ok(())
}
