//! Refunds, chargebacks, cancellations: before or after their conversion, in part or in full.

use chrono::{DateTime, Utc};
use domain::{
    ConversionId, Currency, Money, PartnerId, ReversalId, WebhookDeliveryId, auth::Principal, conversion::NewReversal, live::LiveEvent,
};

use crate::{
    Engine, Error, Result,
    access::require_read,
    commission,
    conversion::{CLOCK_SKEW, currency, lock_external_event},
    work::Work,
};

/// Waiting reversals that are listed; more than a few are a sign that something is wrong with a partner's events as a whole.
const WAITING_MAX: i64 = 50;

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
/// [`Error::Invalid`] for a time in the future, or if the currency is not the conversion's. A second call with the same external event changes nothing.
pub async fn record(work: &mut Work<'_>, new: &NewReversal, delivery: Option<WebhookDeliveryId>) -> Result<Recorded> {
    let now = work.now();
    if new.occurred_at > now + CLOCK_SKEW {
        return Err(Error::invalid("occurred_at", format!("`{}` lies in the future", new.occurred_at.to_rfc3339())));
    }
    lock_external_event(work, &new.partner_id, &new.conversion_external_event_id).await?;
    let reversal_id: ReversalId = work.engine.new_id();
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

/// Applies the reversals that came before their conversion. One in another currency is given up, as if it had come after.
pub async fn apply_waiting(
    work: &mut Work<'_>,
    conversion_id: ConversionId,
    partner_id: &PartnerId,
    external_event_id: &str,
) -> Result<()> {
    let waiting = sqlx::query!(
        r#"select reversal_id as "reversal_id: ReversalId", amount_minor, r.currency, c.currency as conversion_currency
           from reversals r join conversions c on c.conversion_id = $3
           where r.partner_id = $1 and conversion_external_event_id = $2 and r.conversion_id is null
           order by r.occurred_at, reversal_id"#,
        partner_id.as_str(),
        external_event_id,
        conversion_id.0,
    )
    .fetch_all(work.connection())
    .await?;
    for reversal in waiting {
        let own_currency = reversal.currency.as_deref().map(currency).transpose()?;
        match check_currency(own_currency, currency(&reversal.conversion_currency)?) {
            Ok(()) => apply(work, reversal.reversal_id, conversion_id, reversal.amount_minor).await?,
            Err(mismatch) => give_up(work, reversal.reversal_id, &mismatch).await?,
        }
    }
    Ok(())
}

/// Takes a waiting reversal back out of the books and says so at its delivery, where it can be sent again corrected. One without a
/// delivery stays among those that wait, since nothing else would tell of it.
async fn give_up(work: &mut Work<'_>, reversal_id: ReversalId, error: &Error) -> Result<()> {
    let dead = sqlx::query_scalar!(
        r#"with given_up as (
               delete from reversals
               where reversal_id = $1 and webhook_delivery_id in (select webhook_delivery_id from webhook_deliveries)
               returning webhook_delivery_id
           )
           update webhook_deliveries d
           set state = 'dead', outcome = null, last_error = $2
           from given_up
           where d.webhook_delivery_id = given_up.webhook_delivery_id
           returning d.webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId""#,
        reversal_id.0,
        error.to_string(),
    )
    .fetch_optional(work.connection())
    .await?;
    if let Some(webhook_delivery_id) = dead {
        work.announce(LiveEvent::Delivery { webhook_delivery_id });
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

/// A reversal whose conversion has not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub reversal_id: ReversalId,
    pub partner_id: PartnerId,
    pub partner_name: String,
    /// The partner's own id of the conversion that it takes back.
    pub conversion_external_event_id: String,
    /// `None`: all that will be left of the conversion.
    pub amount: Option<Money>,
    pub received_at: DateTime<Utc>,
    pub webhook_delivery_id: Option<WebhookDeliveryId>,
}

/// The reversals that wait for their conversion: the 50 that wait longest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingList {
    pub reversals: Vec<Waiting>,
    pub total: i64,
}

/// # Errors
/// Refuses who may not read.
pub async fn list_waiting(engine: &Engine, who: &Principal) -> Result<WaitingList> {
    require_read(who, "see refunds")?;
    let rows = sqlx::query!(
        r#"select reversal_id as "reversal_id: ReversalId", partner_id as "partner_id: PartnerId", display_name, conversion_external_event_id,
                  amount_minor, currency, received_at, webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId", count(*) over () as "total!"
           from reversals join partners using (partner_id)
           where conversion_id is null
           order by received_at, reversal_id
           limit $1"#,
        WAITING_MAX,
    )
    .fetch_all(&engine.db)
    .await?;
    let total = rows.first().map_or(0, |row| row.total);
    let mut reversals = Vec::with_capacity(rows.len());
    for row in rows {
        let amount = match (row.amount_minor, row.currency) {
            (Some(minor), Some(code)) => Some(Money::new(minor, currency(&code)?)),
            _ => None,
        };
        reversals.push(Waiting {
            reversal_id: row.reversal_id,
            partner_id: row.partner_id,
            partner_name: row.display_name,
            conversion_external_event_id: row.conversion_external_event_id,
            amount,
            received_at: row.received_at,
            webhook_delivery_id: row.webhook_delivery_id,
        });
    }
    Ok(WaitingList { reversals, total })
}
