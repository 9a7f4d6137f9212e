//! Success events: recorded once, whatever the way they came; verified by whoever may; multiplying the commissions that
//! are still open.
//!
//! A success of a metric that needs verification waits as *unverified* and multiplies nothing until somebody in
//! [`VerifiedBy`] confirms it. To add a partner's API that confirms successes: a variant there, and its client passes it to
//! [`record`] as the proof.

mod customer;
mod decision;
mod list;
mod score;
mod submit;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
pub(crate) mod tests;

use customer::{names_only_a_customer, no_developer};
pub(crate) use customer::{recheck_one, reconsider_clicks, reconsider_customer};
pub use decision::{reject, verify};
pub use list::{Affected, Detail, Filter, Listed, Page, Queue, find, list, metrics, queue};
pub(crate) use score::successes_of;
pub use score::{Scores, scores};
pub use submit::{Submitted, submit};

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ConversionId, DeveloperId, PartnerId, SuccessEventId, WebhookDeliveryId,
    conversion::{NewSuccess, Source},
    live::LiveEvent,
    success::{FieldError, canonical_json, check_evidence, evidence_digest, find_metric},
};

use crate::{
    Error, Result, attribution, commission,
    conversion::{lock_customer, lock_external_event},
    partner,
    work::Work,
};

/// How far an event's time may lie ahead of ours.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// Where a success stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum State {
    /// It waits for somebody to confirm it.
    Unverified,
    Verified,
    Rejected,
}

impl State {
    pub const ALL: [Self; 3] = [Self::Unverified, Self::Verified, Self::Rejected];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Verified => "verified",
            Self::Rejected => "rejected",
        }
    }
}

/// Who confirmed a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifiedBy {
    /// The partner itself, in a message that it signed.
    SignedWebhook,
    /// The metric needs no verification.
    NotRequired,
    /// A person, by the name that stands in the audit log.
    Operator(String),
}

impl fmt::Display for VerifiedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignedWebhook => f.write_str("signed webhook"),
            Self::NotRequired => f.write_str("not required"),
            Self::Operator(name) => f.write_str(name),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    New(SuccessEventId, State),
    /// It was waiting, and its proof came now.
    Confirmed(SuccessEventId),
    /// The same external event or evidence was recorded before; nothing changed.
    Duplicate(SuccessEventId),
}

impl Recorded {
    pub fn id(self) -> SuccessEventId {
        match self {
            Self::New(id, _) | Self::Confirmed(id) | Self::Duplicate(id) => id,
        }
    }
}

/// For the log of deliveries.
impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(id, state) => write!(f, "success {id} {}", state.name()),
            Self::Confirmed(id) => write!(f, "success {id} was waiting and is verified now"),
            Self::Duplicate(id) => write!(f, "success {id} was there already"),
        }
    }
}

/// Records a success and rates the developer's conversions with the partner anew.
///
/// With a `proof` it is verified at once, without one it is if the metric, by the terms in force when it happened, needs no
/// verification. The same external event again, or the same evidence of the same developer and metric, is no second success;
/// a proof confirms the first one if that still waits, with the times and value that it states. What an operator rejected stays so.
/// It counts as received, and as verified, when its delivery came, so that waiting in the queue costs it no adjustment window.
///
/// # Errors
/// [`Error::Invalid`] names the field: an unknown metric, missing or wrong required data, a time that cannot be, or a claim
/// that leads to no developer. [`Error::NotYet`] if it names only a customer of whom no click is known. [`Error::Conflict`] if the
/// proof is about another metric or developer than the external event that it names.
pub async fn record(
    work: &mut Work<'_>,
    new: &NewSuccess,
    source: Source,
    proof: Option<VerifiedBy>,
    delivery: Option<WebhookDeliveryId>,
) -> Result<Recorded> {
    let terms = partner::terms_at(work.connection(), &new.partner_id, new.occurred_at).await?;
    let metric = find_metric(&terms.success_metrics, &new.metric_id).map_err(invalid)?;
    check_evidence(metric, &new.evidence).map_err(invalid)?;
    check(new, work.now())?;
    let verified_by = proof.clone().or_else(|| (!metric.verification_required).then_some(VerifiedBy::NotRequired));
    lock_external_event(work, &new.partner_id, &new.external_event_id).await?;
    if let Some(user_identifier) = &new.claim.user_identifier {
        lock_customer(work, &new.partner_id, user_identifier).await?;
    }
    let developer_id = attribution::developer_of(work, &new.partner_id, &new.claim, new.occurred_at)
        .await?
        .ok_or_else(|| no_developer(new, &terms.values))?;
    lock(work, &[developer_id]).await?;
    let received_at = received_at(work, delivery).await?;

    // Without evidence there is nothing that could be the same.
    let digest = (!new.evidence.is_empty()).then(|| evidence_digest(&new.metric_id, &developer_id.to_string(), &new.evidence));
    if let Some(earlier) = find_earlier(work, new, digest.as_ref()).await? {
        return repeat(work, new, &earlier, developer_id, proof, received_at).await;
    }
    let state = if verified_by.is_some() { State::Verified } else { State::Unverified };
    let id = insert(work, new, source, developer_id, digest.as_ref(), verified_by.as_ref(), received_at, delivery).await?;
    if state == State::Verified {
        work.counts(&new.partner_id, new.occurred_at).successes += 1;
    }
    // Conversions whose own terms ask for no verification take an unverified one as well, by when it happened.
    let reach = if state == State::Verified { Reach::AdjustmentWindow { verified_at: received_at } } else { Reach::All };
    rate_again(work, developer_id, &new.partner_id, reach).await?;
    work.announce(LiveEvent::Success { success_event_id: id, partner_id: new.partner_id.clone() });
    Ok(Recorded::New(id, state))
}

/// When a success came: with its delivery, or now by a request that is logged after it.
async fn received_at(work: &mut Work<'_>, delivery: Option<WebhookDeliveryId>) -> Result<DateTime<Utc>> {
    let Some(delivery) = delivery else { return Ok(work.now()) };
    let received_at = sqlx::query_scalar!("select received_at from webhook_deliveries where webhook_delivery_id = $1", delivery.0)
        .fetch_optional(work.connection())
        .await?;
    Ok(received_at.unwrap_or_else(|| work.now()))
}

fn invalid(error: FieldError) -> Error {
    Error::invalid(error.field, error.reason)
}

/// What holds for every metric.
fn check(new: &NewSuccess, now: DateTime<Utc>) -> Result<()> {
    if new.occurred_at > now + CLOCK_SKEW {
        return Err(Error::invalid("occurred_at", format!("`{}` lies in the future", new.occurred_at.to_rfc3339())));
    }
    if let Some(expires_at) = new.expires_at.filter(|at| *at <= new.occurred_at) {
        return Err(Error::invalid("expires_at", format!("`{}` must be later than occurred_at", expires_at.to_rfc3339())));
    }
    // Postgres keeps no zero characters in JSON.
    if canonical_json(&new.evidence.clone().into()).contains("\\u0000") {
        return Err(Error::invalid("evidence", "must not contain zero characters"));
    }
    Ok(())
}

/// What was recorded before under the same external id or evidence.
struct Earlier {
    success_event_id: SuccessEventId,
    developer_id: DeveloperId,
    metric_id: String,
    state: State,
}

/// The one of the same external id first. The caller holds the locks that keep others from adding one meanwhile.
async fn find_earlier(work: &mut Work<'_>, new: &NewSuccess, digest: Option<&[u8; 32]>) -> Result<Option<Earlier>> {
    let earlier = sqlx::query_as!(
        Earlier,
        r#"select success_event_id as "success_event_id: SuccessEventId", developer_id as "developer_id: DeveloperId", metric_id, state as "state: State"
           from success_events
           where partner_id = $1 and (external_event_id = $2 or evidence_digest = $3)
           order by external_event_id = $2 desc
           limit 1"#,
        new.partner_id.as_str(),
        new.external_event_id,
        digest.map(|digest| digest.as_slice()),
    )
    .fetch_optional(work.connection())
    .await?;
    Ok(earlier)
}

async fn repeat(
    work: &mut Work<'_>,
    new: &NewSuccess,
    earlier: &Earlier,
    developer_id: DeveloperId,
    proof: Option<VerifiedBy>,
    received_at: DateTime<Utc>,
) -> Result<Recorded> {
    let id = earlier.success_event_id;
    let Some(proof) = proof else { return Ok(Recorded::Duplicate(id)) };
    // Whom a customer leads to is what we know by now, and nothing that the sender stated.
    let other_developer = earlier.developer_id != developer_id && !names_only_a_customer(&new.claim);
    if other_developer || earlier.metric_id != new.metric_id {
        let text = format!("success `{}` was recorded before for another metric or developer", new.external_event_id);
        return Err(Error::Conflict(text));
    }
    if earlier.state != State::Unverified {
        return Ok(Recorded::Duplicate(id));
    }
    sqlx::query!(
        "update success_events
         set state = 'verified', verified_at = $2, verified_by = $3, occurred_at = $4, value_minor = $5, currency = $6, expires_at = $7
         where success_event_id = $1",
        id.0,
        received_at,
        proof.to_string(),
        new.occurred_at,
        new.value.map(|value| value.amount_minor),
        new.value.map(|value| value.currency.code()),
        new.expires_at,
    )
    .execute(work.connection())
    .await?;
    work.counts(&new.partner_id, new.occurred_at).successes += 1;
    rate_again(work, earlier.developer_id, &new.partner_id, Reach::All).await?;
    work.announce(LiveEvent::Success { success_event_id: id, partner_id: new.partner_id.clone() });
    Ok(Recorded::Confirmed(id))
}

#[expect(clippy::too_many_arguments, reason = "each is a column, and it is called once")]
async fn insert(
    work: &mut Work<'_>,
    new: &NewSuccess,
    source: Source,
    developer_id: DeveloperId,
    digest: Option<&[u8; 32]>,
    verified_by: Option<&VerifiedBy>,
    received_at: DateTime<Utc>,
    delivery: Option<WebhookDeliveryId>,
) -> Result<SuccessEventId> {
    let id: SuccessEventId = work.engine.new_id();
    let customer = Some(&new.claim).filter(|claim| names_only_a_customer(claim));
    let state = if verified_by.is_some() { State::Verified } else { State::Unverified };
    sqlx::query!(
        "insert into success_events (success_event_id, partner_id, external_event_id, developer_id, metric_id, occurred_at, received_at, value_minor, currency,
                                     evidence, evidence_digest, referral_code, verified_at, verified_by, expires_at, webhook_delivery_id, state, source,
                                     session_id, user_identifier)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        id.0,
        new.partner_id.as_str(),
        new.external_event_id,
        developer_id.0,
        new.metric_id,
        new.occurred_at,
        received_at,
        new.value.map(|value| value.amount_minor),
        new.value.map(|value| value.currency.code()),
        serde_json::Value::Object(new.evidence.clone()),
        digest.map(|digest| digest.as_slice()),
        new.claim.referral_code,
        verified_by.map(|_| received_at),
        verified_by.map(ToString::to_string),
        new.expires_at,
        delivery.map(|id| id.0),
        state as _,
        source as _,
        customer.and_then(|claim| claim.session_id).map(|id| id.0),
        customer.and_then(|claim| claim.user_identifier.as_deref()),
    )
    .execute(work.connection())
    .await?;
    Ok(id)
}

/// Holds back others that record successes of, or rate for, the developers or anyone who shares a conversion with them, since
/// those conversions are rated again: all in the order of their ids, so that no two wait for each other crosswise.
async fn lock(work: &mut Work<'_>, developers: &[DeveloperId]) -> Result<()> {
    let ids: Vec<uuid::Uuid> = developers.iter().map(|id| id.0).collect();
    let developers = sqlx::query_scalar!(
        r#"select unnest($1::uuid[]) as "developer_id!: DeveloperId"
           union
           select b.developer_id from attributions a join attributions b using (conversion_id) where a.developer_id = any($1)
           order by 1"#,
        &ids,
    )
    .fetch_all(work.connection())
    .await?;
    for developer_id in developers {
        commission::lock_developer(work, developer_id).await?;
    }
    Ok(())
}

/// How far back conversions are rated again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Those that a new success verified then can still raise. Those whose own window was over are rated to the same amounts; the
    /// partner's longest one bounds them.
    AdjustmentWindow { verified_at: DateTime<Utc> },
    /// Those that it may have raised before as well: what was wrong is taken back at any time.
    All,
}

/// Rates the developer's conversions with the partner anew; the developer is locked.
async fn rate_again(work: &mut Work<'_>, developer_id: DeveloperId, partner_id: &PartnerId, reach: Reach) -> Result<()> {
    let since = match reach {
        Reach::AdjustmentWindow { verified_at } => Some(verified_at),
        Reach::All => None,
    };
    let conversions = sqlx::query_scalar!(
        r#"select distinct conversion_id as "conversion_id: ConversionId"
           from conversions join attributions using (conversion_id)
           where developer_id = $1 and partner_id = $2
                 and ($3::timestamptz is null or occurred_at >= $3::timestamptz - make_interval(days => (select max(adjustment_window_days) from partner_terms where partner_id = $2)))
           order by conversion_id"#,
        developer_id.0,
        partner_id.as_str(),
        since,
    )
    .fetch_all(work.connection())
    .await?;
    for conversion_id in &conversions {
        commission::rate(work, *conversion_id, commission::Cause::Success).await?;
    }
    // One is enough: browsers ask for their page anew whichever it is.
    if let Some(conversion_id) = conversions.first() {
        work.announce(LiveEvent::Conversion { conversion_id: *conversion_id, partner_id: partner_id.clone() });
    }
    Ok(())
}
