//! Successes that name only a customer or a browser session: they belong to the developer whom the customer's clicks lead to.
//!
//! While no such click is known, the delivery waits. What becomes known late has it looked at again, and what was recorded as well, so that
//! the order in which events come changes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    DeveloperId, PartnerId, SessionId, SuccessEventId,
    conversion::{Claim, NewSuccess},
    live::LiveEvent,
    partner::TermsValues,
    success::evidence_digest,
};
use serde_json::{Map, Value};
use sqlx::types::Json;

use super::{Reach, lock, rate_again};
use crate::{
    Engine, Error, Result, attribution,
    click::Click,
    conversion::{lock_customer, lock_external_event},
    work::Work,
};

/// Whether what is known of a customer or session decides, since the claim names no link.
pub(super) fn names_only_a_customer(claim: &Claim) -> bool {
    claim.click_token.is_none() && claim.referral_code.is_none() && (claim.user_identifier.is_some() || claim.session_id.is_some())
}

/// Why a success has no developer: its customer's click may become known as long as it could still raise anything, any other claim is wrong.
pub(super) fn no_developer(new: &NewSuccess, terms: &TermsValues) -> Error {
    if !names_only_a_customer(&new.claim) {
        return Error::invalid("click_id", "neither click id, referral code nor user leads to a developer of this partner");
    }
    let window = TimeDelta::hours(i64::from(terms.attribution_window_hours));
    let patience = window.max(TimeDelta::days(i64::from(terms.adjustment_window_days)));
    Error::NotYet { claim: Box::new(new.claim.clone()), patience }
}

/// Has a customer's successes looked at again, and those deliveries that wait for them, now that a session of theirs is known. The caller
/// holds the lock of the customer, so that none of them is being recorded unseen.
pub(crate) async fn reconsider_customer(work: &mut Work<'_>, partner_id: &PartnerId, user_identifier: &str) -> Result<()> {
    let now = work.now();
    sqlx::query!(
        "insert into success_rechecks (success_event_id)
         select success_event_id from success_events where partner_id = $1 and user_identifier = $2",
        partner_id.as_str(),
        user_identifier,
    )
    .execute(work.connection())
    .await?;
    // One that a worker has at this moment waits for the lock of the customer, and then knows.
    sqlx::query!(
        "update webhook_deliveries
         set next_attempt_at = $3
         where webhook_delivery_id in (
             select webhook_delivery_id
             from webhook_deliveries
             where partner_id = $1 and awaited_user_identifier = $2 and state = 'retrying'
             for update skip locked
         )",
        partner_id.as_str(),
        user_identifier,
        now,
    )
    .execute(work.connection())
    .await?;
    Ok(())
}

/// Has successes looked at again that clicks which arrived late may lead to another developer, and deliveries that wait for such a click;
/// tells how many there are.
pub(crate) async fn reconsider_clicks(engine: &Engine, clicks: &[Click]) -> Result<u64> {
    let clicks: Vec<(&Click, SessionId)> = clicks.iter().filter_map(|click| Some((click, click.session_id?))).collect();
    let partner_ids: Vec<String> = clicks.iter().map(|(click, _)| click.partner_id.to_string()).collect();
    let sessions: Vec<uuid::Uuid> = clicks.iter().map(|(_, session_id)| session_id.0).collect();
    let times: Vec<DateTime<Utc>> = clicks.iter().map(|(click, _)| click.clicked_at).collect();
    let rechecks = sqlx::query!(
        "with click as (
             select * from unnest($1::text[], $2::uuid[], $3::timestamptz[]) as click (partner_id, session_id, clicked_at)
         )
         insert into success_rechecks (success_event_id)
         select success_event_id
         from click join success_events using (partner_id, session_id)
         where occurred_at >= clicked_at
         union
         select success_event_id
         from click join customer_sessions using (partner_id, session_id) join success_events using (partner_id, user_identifier)
         where occurred_at >= clicked_at",
        &partner_ids,
        &sessions,
        &times,
    )
    .execute(&engine.db)
    .await?;
    let woken = sqlx::query!(
        "with click as (
             select * from unnest($1::text[], $2::uuid[]) as click (partner_id, session_id)
         ), awaited as (
             select webhook_delivery_id
             from click join webhook_deliveries d on d.partner_id = click.partner_id and d.awaited_session_id = click.session_id
             union
             select webhook_delivery_id
             from click
             join customer_sessions c using (partner_id, session_id)
             join webhook_deliveries d on d.partner_id = c.partner_id and d.awaited_user_identifier = c.user_identifier
         )
         update webhook_deliveries
         set next_attempt_at = $3
         where webhook_delivery_id in (
             select webhook_delivery_id
             from webhook_deliveries
             where webhook_delivery_id in (select webhook_delivery_id from awaited) and state = 'retrying'
             for update skip locked
         )",
        &partner_ids,
        &sessions,
        engine.now(),
    )
    .execute(&engine.db)
    .await?;
    Ok(rechecks.rows_affected() + woken.rows_affected())
}

/// Looks again at one success of a customer of whom something became known; tells whether there was one.
///
/// # Errors
/// Only if the database is away. What fails for another reason is logged and left as it is.
pub(crate) async fn recheck_one(engine: &Engine) -> Result<bool> {
    let mut work = Work::begin(engine).await?;
    let due = sqlx::query!(
        r#"delete from success_rechecks
           where success_recheck_id = (select success_recheck_id from success_rechecks order by 1 limit 1 for update skip locked)
           returning success_recheck_id, success_event_id as "success_event_id: SuccessEventId""#,
    )
    .fetch_optional(work.connection())
    .await?;
    let Some(due) = due else { return Ok(false) };
    match follow_customer(work, due.success_event_id).await {
        Err(error) if !matches!(error, Error::Unavailable(_)) => {
            tracing::error!(success.id = %due.success_event_id, error = ?error, "a success could not be looked at again");
            sqlx::query!("delete from success_rechecks where success_recheck_id = $1", due.success_recheck_id).execute(&engine.db).await?;
        }
        followed => followed?,
    }
    Ok(true)
}

struct Subject {
    partner_id: PartnerId,
    external_event_id: String,
    metric_id: String,
    occurred_at: DateTime<Utc>,
    evidence: Json<Map<String, Value>>,
    session_id: Option<SessionId>,
    user_identifier: Option<String>,
}

/// Gives a success to the developer whom its customer's clicks lead to by what is known now, and commits. It never loses the one that it has.
async fn follow_customer(mut work: Work<'_>, id: SuccessEventId) -> Result<()> {
    let subject = sqlx::query_as!(
        Subject,
        r#"select partner_id as "partner_id: PartnerId", external_event_id, metric_id, occurred_at, evidence as "evidence: Json<Map<String, Value>>",
                  session_id as "session_id: SessionId", user_identifier
           from success_events where success_event_id = $1"#,
        id.0,
    )
    .fetch_one(work.connection())
    .await?;
    lock_external_event(&mut work, &subject.partner_id, &subject.external_event_id).await?;
    if let Some(user_identifier) = &subject.user_identifier {
        lock_customer(&mut work, &subject.partner_id, user_identifier).await?;
    }
    let before =
        sqlx::query_scalar!(r#"select developer_id as "developer_id: DeveloperId" from success_events where success_event_id = $1"#, id.0)
            .fetch_one(work.connection())
            .await?;
    let claim = Claim { session_id: subject.session_id, user_identifier: subject.user_identifier.clone(), ..Claim::default() };
    let after = attribution::developer_of(&mut work, &subject.partner_id, &claim, subject.occurred_at).await?;
    if let Some(after) = after.filter(|after| *after != before) {
        lock(&mut work, &[before, after]).await?;
        hand_over(&mut work, id, &subject, after).await?;
        for developer_id in [before, after] {
            rate_again(&mut work, developer_id, &subject.partner_id, Reach::All).await?;
        }
        work.announce(LiveEvent::Success { success_event_id: id, partner_id: subject.partner_id });
    }
    work.commit().await
}

/// If the other developer has a success of the same evidence already, this one no longer stands for it; a metric counts once all the same.
async fn hand_over(work: &mut Work<'_>, id: SuccessEventId, subject: &Subject, developer_id: DeveloperId) -> Result<()> {
    let evidence = &subject.evidence.0;
    let digest = (!evidence.is_empty()).then(|| evidence_digest(&subject.metric_id, &developer_id.to_string(), evidence));
    sqlx::query!(
        "update success_events
         set developer_id = $2,
             evidence_digest = case when not exists (select from success_events where partner_id = $3 and evidence_digest = $4) then $4 end
         where success_event_id = $1",
        id.0,
        developer_id.0,
        subject.partner_id.as_str(),
        digest.as_ref().map(|digest| digest.as_slice()),
    )
    .execute(work.connection())
    .await?;
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
