//! What operators decide about successes.

use chrono::{DateTime, Utc};
use domain::{DeveloperId, PartnerId, SuccessEventId, auth::Principal, live::LiveEvent};
use serde_json::json;

use super::{Reach, State, VerifiedBy, lock, rate_again};
use crate::{Engine, Error, Result, access::require_operate, audit, work::Work};

/// Longer reasons are for a letter.
const REASON_BYTES_MAX: usize = 1000;

/// Confirms a success, also one that was rejected before. The developer's conversions are rated anew; those whose adjustment
/// window is over stay as they are.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Conflict`] if it is verified already; [`Error::Invalid`] for a reason
/// that is too long.
pub async fn verify(engine: &Engine, who: &Principal, id: SuccessEventId, reason: Option<&str>) -> Result<()> {
    require_operate(who, "verify successes")?;
    decide(engine, who, id, State::Verified, reason.map(str::trim).filter(|reason| !reason.is_empty())).await
}

/// Refuses a success, also one that was verified before: what it earned is then taken back by adjustment entries.
///
/// # Errors
/// As [`verify`]; [`Error::Invalid`] without a reason.
pub async fn reject(engine: &Engine, who: &Principal, id: SuccessEventId, reason: &str) -> Result<()> {
    require_operate(who, "reject successes")?;
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Error::invalid("reason", "say why, for the developer and for whoever looks at it next"));
    }
    decide(engine, who, id, State::Rejected, Some(reason)).await
}

struct Subject {
    partner_id: PartnerId,
    external_event_id: String,
    developer_id: DeveloperId,
    metric_id: String,
    occurred_at: DateTime<Utc>,
    state: State,
}

async fn decide(engine: &Engine, who: &Principal, id: SuccessEventId, decision: State, reason: Option<&str>) -> Result<()> {
    if let Some(reason) = reason.filter(|reason| reason.len() > REASON_BYTES_MAX || reason.contains('\0')) {
        return Err(Error::invalid("reason", format!("has {} bytes, expected plain text of at most {REASON_BYTES_MAX}", reason.len())));
    }
    let mut work = Work::begin(engine).await?;
    let developer_id =
        sqlx::query_scalar!(r#"select developer_id as "developer_id: DeveloperId" from success_events where success_event_id = $1"#, id.0)
            .fetch_optional(work.connection())
            .await?
            .ok_or_else(|| Error::not_found(format!("success `{id}`")))?;
    lock(&mut work, &[developer_id]).await?;

    let subject = sqlx::query_as!(
        Subject,
        r#"select partner_id as "partner_id: PartnerId", external_event_id, developer_id as "developer_id: DeveloperId", metric_id, occurred_at,
                  state as "state: State"
           from success_events where success_event_id = $1 for update"#,
        id.0,
    )
    .fetch_one(work.connection())
    .await?;
    if subject.state == decision {
        return Err(Error::Conflict(format!("success `{}` is {} already", subject.external_event_id, decision.name())));
    }
    save(&mut work, who, id, decision, reason).await?;
    record_in_audit_log(&mut work, who, &subject, decision, reason).await?;

    let counts = work.counts(&subject.partner_id, subject.occurred_at);
    counts.successes += i64::from(decision == State::Verified) - i64::from(subject.state == State::Verified);
    rate_again(&mut work, subject.developer_id, &subject.partner_id, Reach::All).await?;
    work.announce(LiveEvent::Success { success_event_id: id, partner_id: subject.partner_id });
    work.commit().await
}

async fn save(work: &mut Work<'_>, who: &Principal, id: SuccessEventId, decision: State, reason: Option<&str>) -> Result<()> {
    let now = work.now();
    let verified_by = (decision == State::Verified).then(|| VerifiedBy::Operator(who.actor()));
    sqlx::query!(
        "update success_events
         set state = $2, verified_at = $3, verified_by = $4, decided_at = $5, decided_by = $6, decision_reason = $7
         where success_event_id = $1",
        id.0,
        decision as _,
        verified_by.as_ref().map(|_| now),
        verified_by.as_ref().map(ToString::to_string),
        now,
        who.actor(),
        reason,
    )
    .execute(work.connection())
    .await?;
    Ok(())
}

/// The partner and its own id of the event name the success, so that the decision can be repeated on rebuilt data.
async fn record_in_audit_log(work: &mut Work<'_>, who: &Principal, subject: &Subject, decision: State, reason: Option<&str>) -> Result<()> {
    let action = if decision == State::Verified { "success.verified" } else { "success.rejected" };
    let name = format!("success {}/{}", subject.partner_id, subject.external_event_id);
    let detail = json!({
        "partner_id": subject.partner_id,
        "external_event_id": subject.external_event_id,
        "metric": subject.metric_id,
        "before": subject.state.name(),
        "after": decision.name(),
        "reason": reason,
    });
    let engine = work.engine;
    audit::record(engine, work.connection(), who, action, &name, detail).await
}
