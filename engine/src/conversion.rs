//! Recording conversions: once per external event, whatever the path.

use domain::{
    ConversionId, Currency, PartnerId, WebhookDeliveryId,
    conversion::{ConversionState, NewConversion, Source},
    live::LiveEvent,
};

use crate::{
    Error, Result,
    advisory_lock::{self, Class},
    attribution,
    commission::{self, Rated},
    reversal,
    work::Work,
};

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod customer_tests;
mod detail;
mod list;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
pub use detail::{Booking, ByHand, Commission, Delivery, Detail, Reversal, Success, Touch, find};
pub use list::{Cursor, EXPORT_LINES_MAX, Filter, InvalidCursor, Line, Page, Sort, export, list};

/// 5 min: how far an event's time may lie ahead of ours. New terms never start as soon.
pub(crate) const CLOCK_SKEW: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    New(ConversionId, ConversionState),
    /// The partner's event was recorded before; nothing changed.
    Duplicate(ConversionId),
}

/// Records a conversion, attributes it, applies reversals that came before it, and rates it.
///
/// # Errors
/// [`Error::Invalid`] for a time in the future. A second call with the same external event changes nothing.
pub async fn record(work: &mut Work<'_>, new: &NewConversion, source: Source, delivery: Option<WebhookDeliveryId>) -> Result<Recorded> {
    let now = work.now();
    if new.occurred_at > now + CLOCK_SKEW {
        return Err(Error::invalid("occurred_at", format!("`{}` lies in the future", new.occurred_at.to_rfc3339())));
    }
    lock_external_event(work, &new.partner_id, &new.external_event_id).await?;
    if let Some(user_identifier) = &new.claim.user_identifier {
        lock_customer(work, &new.partner_id, user_identifier).await?;
    }
    let conversion_id: ConversionId = work.engine.new_id();
    let inserted = sqlx::query!(
        "insert into conversions (conversion_id, partner_id, external_event_id, conversion_type, occurred_at, received_at, value_minor, currency,
                                  click_token, referral_code, session_id, user_identifier, source, webhook_delivery_id, state, retry_at)
         values ($1, $2, $3, $4, $5, coalesce((select received_at from webhook_deliveries where webhook_delivery_id = $14), $6),
                 $7, $8, $9, $10, $11, $12, $13, $14, 'unattributed', $6)
         on conflict on constraint conversions_partner_id_external_event_id_key do nothing",
        conversion_id.0,
        new.partner_id.as_str(),
        new.external_event_id,
        new.conversion_type as _,
        new.occurred_at,
        now,
        new.value.amount_minor,
        new.value.currency.code(),
        new.claim.click_token,
        new.claim.referral_code,
        new.claim.session_id.map(|id| id.0),
        new.claim.user_identifier,
        source as _,
        delivery.map(|id| id.0),
    )
    .execute(work.connection())
    .await?;
    if inserted.rows_affected() == 0 {
        let earlier = sqlx::query_scalar!(
            r#"select conversion_id as "conversion_id: ConversionId" from conversions where partner_id = $1 and external_event_id = $2"#,
            new.partner_id.as_str(),
            new.external_event_id,
        )
        .fetch_one(work.connection())
        .await?;
        return Ok(Recorded::Duplicate(earlier));
    }

    let mut state = attribution::attribute(work, conversion_id).await?;
    reversal::apply_waiting(work, conversion_id, &new.partner_id, &new.external_event_id).await?;
    let attributed = state == ConversionState::Attributed;
    if attributed && let Rated::Held(_) = commission::rate(work, conversion_id, commission::Cause::Conversion).await? {
        state = ConversionState::Held;
    }
    let counts = work.counts(&new.partner_id, new.occurred_at);
    counts.conversions += 1;
    counts.conversions_unattributed += i64::from(!attributed);
    work.announce(LiveEvent::Conversion { conversion_id, partner_id: new.partner_id.clone() });
    Ok(Recorded::New(conversion_id, state))
}

/// Holds back others that handle the same external event, until the end of this unit of work: a reversal must see its
/// conversion, or be seen by it.
pub async fn lock_external_event(work: &mut Work<'_>, partner_id: &PartnerId, external_event_id: &str) -> Result<()> {
    advisory_lock::hold(work.connection(), Class::ExternalEvent, &format!("{partner_id}/{external_event_id}")).await
}

/// Holds back others that record events of the same customer, until the end of this unit of work: what one of them tells
/// about the customer's sessions, the other must know, or be looked at again for. Comes before the locks of developers.
pub(crate) async fn lock_customer(work: &mut Work<'_>, partner_id: &PartnerId, user_identifier: &str) -> Result<()> {
    advisory_lock::hold(work.connection(), Class::Customer, &format!("{partner_id}/{user_identifier}")).await
}

/// The currency of a row; what the database holds was checked on its way in.
pub(crate) fn currency(code: &str) -> Result<Currency> {
    code.parse().map_err(Error::internal)
}
