//! The inbound log as doors other than webhooks use it: postbacks are stored and queued, requests to the API are stored and
//! processed at once.
//!
//! Whatever comes in is an event of our webhook contract in `webhook_deliveries`, so that all that was derived from it can be
//! derived again. A request to the API that is wrong is answered and leaves nothing; one that is right is stored, processed
//! and answered in one transaction, and the same request again gets the same answer.

mod again;
mod answer;
mod processed;
mod request;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
pub(crate) mod tests;

use chrono::{DateTime, Utc};
use domain::{
    Currency, PartnerId, WebhookDeliveryId,
    auth::Principal,
    conversion::Source,
    live::LiveEvent,
    webhook::{DeliveryState, Event, parse_event},
};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;

use crate::{Engine, Error, Result, access::require_scope, conversion, partner, reversal, work::Work};
pub(crate) use again::{Again, start_anew};
pub(crate) use processed::record_processed;
use request::Request;

/// What an API token needs for conversions and reversals.
pub const SCOPE: &str = "conversions:write";

/// What a request to the API is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// As JSON: [`answer::Conversion`] or [`answer::Reversal`].
    pub answer: Value,
    /// The event was known before, by another request or on another way: nothing changed.
    pub duplicate: bool,
    /// This very request came before: the answer is the one of then.
    pub replayed: bool,
}

/// Records a conversion and answers what became of it. `key` is the caller's name of the request; without it the
/// conversion's own id is.
///
/// # Errors
/// [`Error::Invalid`] names the field, and nothing is stored. [`Error::Conflict`] if the key, or the conversion's id, came
/// before with other values. [`Error::Forbidden`] without the scope [`SCOPE`]. To a partner's own token there is no other partner.
pub async fn record_conversion(engine: &Engine, who: &Principal, key: Option<&str>, fields: &Map<String, Value>) -> Result<Answered> {
    require_scope(who, SCOPE, "record conversions")?;
    record(engine, who, &request::conversion(engine, who, key, fields)?).await
}

/// Records a reversal, which may come before its conversion, and answers what became of it.
///
/// # Errors
/// As [`record_conversion`].
pub async fn record_reversal(engine: &Engine, who: &Principal, key: Option<&str>, fields: &Map<String, Value>) -> Result<Answered> {
    require_scope(who, SCOPE, "record reversals")?;
    record(engine, who, &request::reversal(engine, who, key, fields)?).await
}

async fn record(engine: &Engine, who: &Principal, request: &Request) -> Result<Answered> {
    let mut work = Work::begin(engine).await?;
    let headers = json!({ "idempotency-key": request.name, "sent-by": who.actor() });
    let stored = store(&mut work, &request.partner_id, Source::Api, &request.message_id, &headers, &request.body).await?;
    if let Some(earlier) = stored.earlier {
        let answer = request::same_answer(request, &earlier)?;
        work.commit().await?;
        return Ok(Answered { duplicate: answer::is_duplicate(&answer), answer, replayed: true });
    }
    let event = parse_event(&request.partner_id, &request.message_id, request.body.to_string().as_bytes()).map_err(request::invalid)?;
    let processed = process(&mut work, &event, stored.webhook_delivery_id).await.map_err(request::about_the_request)?;
    finish(&mut work, stored.webhook_delivery_id, &processed).await?;
    work.announce(LiveEvent::Delivery { webhook_delivery_id: stored.webhook_delivery_id });
    work.commit().await?;
    Ok(Answered { duplicate: answer::is_duplicate(&processed.answer), answer: processed.answer, replayed: false })
}

/// What an event did: in words for the operators, and as the caller's answer.
struct Processed {
    outcome: String,
    answer: Value,
}

async fn process(work: &mut Work<'_>, event: &Event, id: WebhookDeliveryId) -> Result<Processed> {
    match event {
        Event::ConversionCreated(new) => match conversion::record(work, new, Source::Api, Some(id)).await? {
            conversion::Recorded::New(conversion_id, _) => {
                let answer = answer::conversion(work.connection(), conversion_id, false).await?;
                Ok(Processed { outcome: format!("conversion {conversion_id} {}", answer.state), answer: serde_json::to_value(answer)? })
            }
            conversion::Recorded::Duplicate(conversion_id) => {
                let answer = answer::conversion(work.connection(), conversion_id, true).await?;
                answer::refuse_other_value(&new.external_event_id, &answer.amount, &answer.currency, Some(new.value))?;
                Ok(Processed { outcome: format!("conversion {conversion_id} was there already"), answer: serde_json::to_value(answer)? })
            }
        },
        Event::ConversionReversed(new) => {
            let recorded = reversal::record(work, new, Some(id)).await?;
            let duplicate = recorded == reversal::Recorded::Duplicate;
            let answer = answer::reversal(work.connection(), &new.partner_id, &new.external_event_id, duplicate).await?;
            if duplicate {
                answer::refuse_other_reversal(new, &answer)?;
            }
            let outcome = match recorded {
                reversal::Recorded::Applied(conversion_id) => format!("reversal applied to conversion {conversion_id}"),
                reversal::Recorded::Waiting => "reversal waits for its conversion".to_owned(),
                reversal::Recorded::Duplicate => "reversal was there already".to_owned(),
            };
            Ok(Processed { outcome, answer: serde_json::to_value(answer)? })
        }
        Event::SuccessAchieved(_) | Event::Nothing(_) => Err(Error::invalid("type", "is neither a conversion nor a reversal")),
    }
}

async fn finish(work: &mut Work<'_>, id: WebhookDeliveryId, processed: &Processed) -> Result<()> {
    let now = work.now();
    sqlx::query!(
        "update webhook_deliveries set state = 'processed', outcome = $2, answer = $3, attempts = 1, processed_at = $4 where webhook_delivery_id = $1",
        id.0,
        processed.outcome,
        processed.answer,
        now,
    )
    .execute(work.connection())
    .await?;
    Ok(())
}

/// An event that waits in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    pub webhook_delivery_id: WebhookDeliveryId,
    /// The same message came before: it has no second effect.
    pub duplicate: bool,
}

/// Stores a checked event of our webhook contract that came as a postback, and lets a worker process it.
///
/// # Errors
/// [`Error::Invalid`] names the field that is wrong, and nothing is stored; [`Error::Conflict`] if the same message came
/// before with another amount.
pub async fn enqueue(engine: &Engine, partner_id: &PartnerId, message_id: &str, body: &Value) -> Result<Queued> {
    parse_event(partner_id, message_id, body.to_string().as_bytes()).map_err(request::invalid)?;
    let mut work = Work::begin(engine).await?;
    let stored = store(&mut work, partner_id, Source::Postback, message_id, &json!({}), body).await?;
    let agrees = stored.earlier.as_ref().map_or(Ok(()), |earlier| request::refuse_other_amount(&earlier.body, body));
    // It is counted as a duplicate all the same; and a worker may have the event at once.
    work.commit().await?;
    agrees?;
    engine.work.notify_one();
    Ok(Queued { webhook_delivery_id: stored.webhook_delivery_id, duplicate: stored.earlier.is_some() })
}

struct Stored {
    webhook_delivery_id: WebhookDeliveryId,
    /// The message that came before under this id, unless it was given up.
    earlier: Option<Earlier>,
}

struct Earlier {
    body: Value,
    answer: Option<Value>,
}

/// Stores an event once per message id; one that was given up starts anew. While another transaction stores the same one, this waits
/// for its end.
async fn store(
    work: &mut Work<'_>,
    partner_id: &PartnerId,
    source: Source,
    message_id: &str,
    headers: &Value,
    body: &Value,
) -> Result<Stored> {
    let id: WebhookDeliveryId = work.engine.new_id();
    let (now, text) = (work.now(), body.to_string());
    let event_type = body.get("type").and_then(Value::as_str).unwrap_or_default();
    let row = sqlx::query!(
        r#"insert into webhook_deliveries as d (webhook_delivery_id, partner_id, event_path, message_id, headers, body, received_at, state, next_attempt_at, event_type)
           values ($1, $2, $3, $4, $5, $6, $7, 'received', $7, $8)
           on conflict on constraint webhook_deliveries_partner_id_message_id_key do update set duplicates = d.duplicates + 1
           returning webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId", body, answer, state as "state: DeliveryState""#,
        id.0,
        partner_id.as_str(),
        event_path(source),
        message_id,
        headers,
        text.as_bytes(),
        now,
        event_type,
    )
    .fetch_one(work.connection())
    .await?;
    let stored = |earlier| Stored { webhook_delivery_id: row.webhook_delivery_id, earlier };
    if row.webhook_delivery_id == id {
        return Ok(stored(None));
    }
    if row.state == DeliveryState::Dead {
        let again = Again { message_id: message_id.to_owned(), body: text.into_bytes(), event_type: event_type.to_owned(), line: None };
        if !start_anew(work, partner_id, event_path(source), headers, None, vec![again]).await?.is_empty() {
            return Ok(stored(None));
        }
    }
    Ok(stored(Some(Earlier { body: serde_json::from_slice(&row.body).unwrap_or_default(), answer: row.answer })))
}

/// What the log calls a way that is no partner's webhook.
pub fn event_path(source: Source) -> &'static str {
    match source {
        Source::Webhook => "webhook",
        Source::Api => "api",
        Source::Postback => "postback",
        Source::Csv => "csv",
    }
}

/// The way by which an event of the log came; a path that is none of ours is a partner's webhook.
pub fn source_of(event_path: &str) -> Source {
    let ours = [Source::Api, Source::Postback, Source::Csv];
    ours.into_iter().find(|source| self::event_path(*source) == event_path).unwrap_or(Source::Webhook)
}

/// Which of some messages are in the log already, with the body that they had. Those that were given up count as unknown, since they
/// may come again corrected.
pub(crate) async fn find_bodies(
    connection: &mut PgConnection,
    partner_id: &PartnerId,
    message_ids: &[String],
) -> Result<Vec<(String, Value)>> {
    let rows = sqlx::query!(
        "select message_id, body from webhook_deliveries where partner_id = $1 and message_id = any($2) and state <> 'dead'",
        partner_id.as_str(),
        message_ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.message_id, serde_json::from_slice(&row.body).unwrap_or_default())).collect())
}

/// The currency that the partner pays in, for events of no value that name none.
///
/// # Errors
/// [`Error::NotFound`] if no terms are in force.
pub async fn payout_currency(engine: &Engine, partner_id: &PartnerId, at: DateTime<Utc>) -> Result<Currency> {
    let mut connection = engine.db.acquire().await?;
    Ok(partner::terms_at(&mut connection, partner_id, at).await?.values.payout_currency)
}
