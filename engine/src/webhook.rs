//! Inbound webhooks: store the raw body, acknowledge, process off the queue, retry, give up with a reason, replay.
//!
//! The table of deliveries is the queue: what is acknowledged is in it, and processing an event and marking it processed
//! is one transaction, so that a crash at any point neither loses an event nor counts it twice.

use std::{panic::AssertUnwindSafe, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    PartnerId, WebhookDeliveryId,
    auth::Principal,
    conversion::{Claim, Source},
    live::LiveEvent,
    partner::{SecretPurpose, WebhookScheme},
    signature::{self, InvalidSignature},
    webhook::{BODY_LIMIT, DeliveryState, Event, InvalidEvent, event_type, parse_event, retry_delay_seconds},
};
use futures::FutureExt;
use sha2::{Digest, Sha256};

use crate::{
    Engine, Error, Result,
    access::require_operate,
    attribution, audit,
    conversion::{self, Recorded},
    inbound, partner, reversal, success,
    work::Work,
};

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod commit_tests;
mod headers;
mod list;
mod refusals;
mod replay;
mod store;
mod trial;
pub use headers::headers;
pub use list::{Delivery, DeliveryPage, Filter, find, list};
pub use refusals::{REFUSALS_DAYS, Reason, Refused, list_refusals, note_refusal};
pub use replay::replay_dead;
pub use store::enqueue;
use store::store;
pub use trial::send_test;

/// A look for deliveries that other processes took in, or whose retry is due.
const POLL: Duration = Duration::from_millis(250);

/// Between two looks whether the customer that a delivery waits for is known by now. Whoever learns of one has it looked at at once, so that
/// the later looks, for what was missed, may be rare: many wait for customers who never came by a link.
const WAIT_PAUSE_MIN: TimeDelta = TimeDelta::seconds(5);
const WAIT_PAUSE_MAX: TimeDelta = TimeDelta::hours(6);

/// Headers that are kept with a delivery; others may hold secrets.
const KEPT_HEADERS: [&str; 6] =
    [signature::WEBHOOK_ID, signature::WEBHOOK_TIMESTAMP, "content-type", "user-agent", "x-github-delivery", "x-github-event"];

/// Why a webhook is turned away at the door. Nothing is stored then.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there is no webhook `{partner}/{path}`")]
    Unknown { partner: String, path: String },
    #[error("the body is larger than {BODY_LIMIT} bytes")]
    TooLarge,
    #[error(transparent)]
    Signature(#[from] InvalidSignature),
    #[error(transparent)]
    Malformed(#[from] InvalidEvent),
    #[error(transparent)]
    Engine(#[from] Error),
}

/// A delivery that is durable and will be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub webhook_delivery_id: WebhookDeliveryId,
    /// The same message came before: it has no second effect.
    pub duplicate: bool,
}

/// Checks a webhook's sender and form and stores it. `header` looks a header up by its lower-case name.
///
/// # Errors
/// See [`Refusal`]; a refused webhook changes nothing.
pub async fn receive<'h>(
    engine: &Engine,
    partner: &str,
    path: &str,
    header: impl Fn(&'static str) -> Option<&'h str>,
    body: &[u8],
) -> Result<Receipt, Refusal> {
    let unknown = || Refusal::Unknown { partner: partner.to_owned(), path: path.to_owned() };
    let partner_id: PartnerId = partner.parse().map_err(|_| unknown())?;
    let scheme = engine.codes.link(&partner_id).and_then(|partner| partner.webhooks.get(path).copied()).ok_or_else(unknown)?;
    if body.len() > BODY_LIMIT {
        return Err(Refusal::TooLarge);
    }
    let secrets = partner::active_secrets(engine, &partner_id, SecretPurpose::Webhook).await?;
    if let Err(refusal) = signature::verify(scheme, &header, body, &secrets, engine.now()) {
        let newer = partner::newer_secrets(engine, &partner_id, SecretPurpose::Webhook).await?.ok_or(refusal)?;
        signature::verify(scheme, &header, body, &newer, engine.now())?;
    }
    let event_type = event_type(body)?;

    let message_id = message_id(scheme, &header, body);
    let kept: serde_json::Map<_, _> =
        KEPT_HEADERS.iter().filter_map(|name| header(name).map(|value| ((*name).to_owned(), value.into()))).collect();
    let receipt = store(engine, &partner_id, path, &message_id, kept.into(), body, &event_type).await?;
    engine.work.notify_one();
    Ok(receipt)
}

/// What a message is known by: the sender's id if the signature covers it, else a digest of the body. An id that nobody signed could be
/// changed, and the message, once overheard, would count again under each new one.
fn message_id<'h>(scheme: WebhookScheme, header: &impl Fn(&'static str) -> Option<&'h str>, body: &[u8]) -> String {
    let signed = match scheme {
        WebhookScheme::StandardWebhooks => header(signature::WEBHOOK_ID),
        WebhookScheme::HmacSha256 | WebhookScheme::Stripe | WebhookScheme::Dub => None,
    };
    signed.filter(|id| (1..=200).contains(&id.len())).map_or_else(|| format!("sha256:{}", hex::encode(Sha256::digest(body))), str::to_owned)
}

struct Claimed {
    webhook_delivery_id: WebhookDeliveryId,
    partner_id: PartnerId,
    event_path: String,
    message_id: String,
    body: Vec<u8>,
    received_at: DateTime<Utc>,
    attempts: i32,
}

/// Takes one delivery off the queue and processes it; tells whether there was one.
///
/// # Errors
/// Only if the database is away: the delivery then stays in the queue as it was.
pub async fn work_one(engine: &Engine) -> Result<bool> {
    let mut work = Work::begin(engine).await?;
    let now = work.now();
    let claimed = sqlx::query_as!(
        Claimed,
        r#"select webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId", partner_id as "partner_id: PartnerId", event_path, message_id, body, received_at, attempts
           from webhook_deliveries
           where state in ('received', 'retrying') and next_attempt_at <= $1
           order by next_attempt_at
           limit 1
           for update skip locked"#,
        now,
    )
    .fetch_optional(work.connection())
    .await?;
    let Some(delivery) = claimed else { return Ok(false) };
    work.savepoint().await?;
    let end = match caught(process(&mut work, &delivery)).await {
        Ok(end) => end,
        Err(Error::Unavailable(source)) => return Err(Error::Unavailable(source)),
        Err(error) => {
            work.rollback_to_savepoint().await?;
            End::failed(&error, &delivery, now)
        }
    };
    match finish(work, &delivery, end).await {
        Err(Error::Unavailable(source)) => return Err(Error::Unavailable(source)),
        Err(error) => fail(engine, &delivery, &error).await?,
        Ok(()) => {}
    }
    Ok(true)
}

/// A panic is a failed try like any other: left alone, the delivery would be the next worker's, too, and keep all others waiting.
async fn caught<T>(step: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(step).catch_unwind().await.unwrap_or_else(|_| Err(Error::internal("a panic, which the log tells of")))
}

/// What could not be committed was undone as a whole, also that this was a try: it counts as one that failed. The row is waited for: the
/// connection may still be undoing what failed, and a row that is passed over for that would be tried again at once, and for ever.
async fn fail(engine: &Engine, delivery: &Claimed, error: &Error) -> Result<()> {
    let mut work = Work::begin(engine).await?;
    let unchanged = sqlx::query!(
        "select from webhook_deliveries
         where webhook_delivery_id = $1 and state in ('received', 'retrying') and attempts = $2
         for update",
        delivery.webhook_delivery_id.0,
        delivery.attempts,
    )
    .fetch_optional(work.connection())
    .await?;
    if unchanged.is_none() {
        return Ok(());
    }
    let now = work.now();
    finish(work, delivery, End::failed(error, delivery, now)).await
}

/// How a try ended.
enum End {
    Processed(String),
    Ignored(String),
    Dead(String),
    Retry {
        error: String,
        after: TimeDelta,
    },
    /// Nothing failed, but nothing is known yet of the customer whom it names.
    Waiting {
        outcome: String,
        claim: Box<Claim>,
        after: TimeDelta,
    },
}

impl End {
    /// An event that is wrong stays wrong, and one that came too early waits; anything else is tried again, with jitter, until the tries
    /// are used up.
    fn failed(error: &Error, delivery: &Claimed, now: DateTime<Utc>) -> Self {
        if let Error::NotYet { claim, patience } = error {
            return Self::not_yet(error, claim, *patience, now - delivery.received_at);
        }
        let attempts = delivery.attempts;
        if matches!(error, Error::Invalid { .. } | Error::NotFound { .. } | Error::Conflict(_)) {
            return Self::Dead(error.to_string());
        }
        tracing::warn!(error = ?error, attempts, "a webhook delivery failed");
        let error = match error {
            Error::Internal(source) => source.to_string(),
            other => other.to_string(),
        };
        match retry_delay_seconds(u32::try_from(attempts + 1).unwrap_or(u32::MAX)) {
            Some(seconds) => {
                let millis = i64::try_from(seconds * 1000).unwrap_or(i64::MAX);
                Self::Retry { error, after: TimeDelta::milliseconds(millis + rand::random_range(0..=millis / 4)) }
            }
            None => Self::Dead(format!("given up after {} tries: {error}", attempts + 1)),
        }
    }

    fn not_yet(error: &Error, claim: &Claim, patience: TimeDelta, waited: TimeDelta) -> Self {
        if waited >= patience {
            return Self::Dead(format!("given up after {} days: {error}", patience.num_days()));
        }
        let after = waited.clamp(WAIT_PAUSE_MIN, WAIT_PAUSE_MAX).min(patience - waited);
        Self::Waiting { outcome: format!("waits for its customer: {error}"), claim: Box::new(claim.clone()), after }
    }
}

async fn process(work: &mut Work<'_>, delivery: &Claimed) -> Result<End> {
    let event = parse_event(&delivery.partner_id, &delivery.message_id, &delivery.body)
        .map_err(|error| Error::invalid(error.field, error.reason))?;
    let id = Some(delivery.webhook_delivery_id);
    let source = inbound::source_of(&delivery.event_path);
    // Only webhooks carry the partner's signature.
    let proof = (source == Source::Webhook).then_some(success::VerifiedBy::SignedWebhook);
    Ok(match event {
        Event::Nothing(why) => End::Ignored(why),
        Event::ConversionCreated(new) => End::Processed(match conversion::record(work, &new, source, id).await? {
            Recorded::New(id, state) => format!("conversion {id} {}", serde_json::to_value(state)?.as_str().unwrap_or_default()),
            Recorded::Duplicate(id) => format!("conversion {id} was there already"),
        }),
        Event::ConversionReversed(new) => End::Processed(match reversal::record(work, &new, id).await? {
            reversal::Recorded::Applied(id) => format!("reversal applied to conversion {id}"),
            reversal::Recorded::Waiting => "reversal waits for its conversion".to_owned(),
            reversal::Recorded::Duplicate => "reversal was there already".to_owned(),
        }),
        Event::SuccessAchieved(new) => End::Processed(success::record(work, &new, source, proof, id).await?.to_string()),
    })
}

/// Notes how a try ended, and commits.
async fn finish(mut work: Work<'_>, delivery: &Claimed, end: End) -> Result<()> {
    let now = work.now();
    let tries = i32::from(!matches!(end, End::Waiting { .. }));
    let (state, outcome, error, next, awaited) = match end {
        End::Processed(outcome) => (DeliveryState::Processed, Some(outcome), None, now, None),
        End::Ignored(outcome) => (DeliveryState::Ignored, Some(outcome), None, now, None),
        End::Dead(error) => (DeliveryState::Dead, None, Some(error), now, None),
        End::Retry { error, after } => (DeliveryState::Retrying, None, Some(error), now + after, None),
        End::Waiting { outcome, claim, after } => (DeliveryState::Retrying, Some(outcome), None, now + after, Some(claim)),
    };
    let ended = !matches!(state, DeliveryState::Retrying);
    tracing::debug!(webhook_delivery.id = %delivery.webhook_delivery_id, latency_ms = (now - delivery.received_at).num_milliseconds(), ?state, "webhook delivery");
    sqlx::query!(
        "update webhook_deliveries
         set state = $2, outcome = $3, last_error = $4, next_attempt_at = $5, attempts = attempts + $6, processed_at = $7,
             awaited_session_id = $8, awaited_user_identifier = $9
         where webhook_delivery_id = $1",
        delivery.webhook_delivery_id.0,
        state as _,
        outcome,
        error,
        next,
        tries,
        ended.then_some(now),
        awaited.as_ref().and_then(|claim| claim.session_id).map(|id| id.0),
        awaited.as_ref().and_then(|claim| claim.user_identifier.as_deref()),
    )
    .execute(work.connection())
    .await?;
    work.announce(LiveEvent::Delivery { webhook_delivery_id: delivery.webhook_delivery_id });
    work.commit().await
}

/// Puts a delivery back into the queue, whatever became of it. What it already did is not done twice.
///
/// # Errors
/// [`Error::NotFound`] if there is no such delivery; refuses anyone but operators.
pub async fn replay(engine: &Engine, who: &Principal, id: WebhookDeliveryId) -> Result<()> {
    require_operate(who, "replay deliveries")?;
    let mut tx = engine.db.begin().await?;
    let before = sqlx::query!("select state, attempts, last_error from webhook_deliveries where webhook_delivery_id = $1 for update", id.0)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| Error::not_found(format!("webhook delivery `{id}`")))?;
    sqlx::query!(
        "update webhook_deliveries set state = 'received', attempts = 0, last_error = null, next_attempt_at = $2 where webhook_delivery_id = $1",
        id.0,
        engine.now(),
    )
    .execute(&mut *tx)
    .await?;
    let detail = serde_json::json!({
        "before": { "state": before.state, "attempts": before.attempts, "error": before.last_error },
        "after": { "state": "received", "attempts": 0, "error": null },
    });
    audit::record(engine, &mut tx, who, "webhook.replay", &format!("webhook delivery {id}"), detail).await?;
    tx.commit().await?;
    engine.work.notify_one();
    Ok(())
}

/// Processes deliveries, and unattributed conversions that are due again, for as long as the process lives.
pub async fn work_loop(engine: Engine) {
    loop {
        let worked = async {
            Ok::<_, Error>(work_one(&engine).await? || attribution::recheck_one(&engine).await? || attribution::retry_one(&engine).await?)
        };
        match worked.await {
            Ok(true) => {
                // there may be more than one worker's share
                engine.work.notify_one();
            }
            Ok(false) => {
                let _ = tokio::time::timeout(POLL, engine.work.notified()).await;
            }
            Err(error) => {
                tracing::warn!(error = %error, "a worker waits for the database");
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_that_is_signed_tells_two_messages_apart() {
        let id = |scheme, sent: &'static str, body: &[u8]| message_id(scheme, &|_| Some(sent), body);
        for scheme in [WebhookScheme::HmacSha256, WebhookScheme::Stripe, WebhookScheme::Dub] {
            assert_eq!(id(scheme, "1", b"a refund"), id(scheme, "2", b"a refund"), "overheard and sent again under another id");
            assert_ne!(id(scheme, "1", b"a refund"), id(scheme, "1", b"another refund"));
        }
        assert_eq!(id(WebhookScheme::StandardWebhooks, "msg_1", b"a refund"), "msg_1");
    }

    #[tokio::test]
    async fn a_panic_is_a_try_that_failed() {
        assert!(matches!(caught(async { Ok(1) }).await, Ok(1)));
        let panicked = caught(async { if std::hint::black_box(true) { panic!("a bug") } else { Ok(()) } }).await;
        assert!(matches!(panicked, Err(Error::Internal(_))));
    }
}
