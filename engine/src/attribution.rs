//! Finding the clicks of a conversion, and looking again while something may still change.
//!
//! What is attributed depends on the events alone, not on the order in which they came: a click or a customer's session
//! that becomes known late puts the conversions and successes that it may change back into the queue ([`reconsider_customer`],
//! [`reconsider_clicks`]).

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ConversionId, DeveloperId, PartnerId, SessionId,
    attribution::{MatchedBy, POLICY_VERSION},
    conversion::{Claim, ConversionState},
    live::LiveEvent,
};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::{
    Engine, Error, Result,
    commission::{self, Rated},
    conversion::lock_customer,
    success,
    work::Work,
};

pub mod manual;
mod matching;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
pub(crate) mod tests;
mod what_if;
pub use manual::{ACTION, attribute_by_hand};
use matching::{Credit, Match, Subject, code_by_digest, code_by_name, named_click};
pub use what_if::{CONVERSIONS_MAX, Change, Figures, WhatIf, what_if};

/// Waits between two tries to attribute.
const RETRY_PAUSE_MIN: TimeDelta = TimeDelta::seconds(5);
const RETRY_PAUSE_MAX: TimeDelta = TimeDelta::minutes(10);

/// 30 s: longer than any look takes. A worker that dies over a conversion leaves it to another after that.
const RETRY_LEASE: TimeDelta = TimeDelta::seconds(30);

/// Attributes a conversion, or does so again, and returns its new state. It does not rate. What was attributed once may
/// get other clicks, but never none; what an operator attributed by hand stays.
pub async fn attribute(work: &mut Work<'_>, conversion_id: ConversionId) -> Result<ConversionState> {
    let subject = matching::load(work.connection(), conversion_id).await?;
    identify(work, &subject).await?;
    let present = present_credits(work, conversion_id).await?;
    if present.iter().any(|credit| credit.matched_by == MatchedBy::Manual) {
        return end(work, &subject, ConversionState::Attributed, None, None).await;
    }
    match matching::find_match(work, &subject).await? {
        Match::Found(credits) => {
            if !is_same(&present, &credits) {
                if !present.is_empty() {
                    delete_credits(work, conversion_id).await?;
                }
                insert_credits(work, conversion_id, &credits).await?;
            }
            end(work, &subject, ConversionState::Attributed, None, None).await
        }
        _ if !present.is_empty() => end(work, &subject, ConversionState::Attributed, None, None).await,
        Match::NoneYet => {
            let retry_at = next_try(&subject, work.now());
            end(work, &subject, ConversionState::Unattributed, Some("no click matches yet".to_owned()), Some(retry_at)).await
        }
        Match::Ended(state, reason) => end(work, &subject, state, Some(reason), None).await,
    }
}

async fn end(
    work: &mut Work<'_>,
    subject: &Subject,
    state: ConversionState,
    reason: Option<String>,
    retry_at: Option<DateTime<Utc>>,
) -> Result<ConversionState> {
    sqlx::query!(
        "update conversions set state = $2, state_reason = $3, retry_at = $4 where conversion_id = $1",
        subject.conversion_id.0,
        state as _,
        reason,
        retry_at
    )
    .execute(work.connection())
    .await?;
    Ok(state)
}

/// Soon at first, since a click in the fallback arrives within seconds; then ever more rarely.
fn next_try(subject: &Subject, now: DateTime<Utc>) -> DateTime<Utc> {
    now + (now - subject.received_at).clamp(RETRY_PAUSE_MIN, RETRY_PAUSE_MAX)
}

struct PresentCredit {
    click_id: uuid::Uuid,
    share: Decimal,
    matched_by: MatchedBy,
}

async fn present_credits(work: &mut Work<'_>, conversion_id: ConversionId) -> Result<Vec<PresentCredit>> {
    let credits = sqlx::query_as!(
        PresentCredit,
        r#"select click_id, share, matched_by as "matched_by: MatchedBy" from attributions where conversion_id = $1 order by position"#,
        conversion_id.0
    )
    .fetch_all(work.connection())
    .await?;
    Ok(credits)
}

fn is_same(present: &[PresentCredit], found: &[Credit]) -> bool {
    present.len() == found.len() && present.iter().zip(found).all(|(a, b)| (a.click_id, a.share) == (b.click_id.0, b.share))
}

/// Puts `credits` in the place of a conversion's present ones.
pub(crate) async fn replace_credits(work: &mut Work<'_>, conversion_id: ConversionId, credits: &[Credit]) -> Result<()> {
    delete_credits(work, conversion_id).await?;
    insert_credits(work, conversion_id, credits).await
}

async fn delete_credits(work: &mut Work<'_>, conversion_id: ConversionId) -> Result<()> {
    sqlx::query!("delete from attributions where conversion_id = $1", conversion_id.0).execute(work.connection()).await?;
    Ok(())
}

async fn insert_credits(work: &mut Work<'_>, conversion_id: ConversionId, credits: &[Credit]) -> Result<()> {
    let now = work.now();
    for (position, credit) in (1_i16..).zip(credits) {
        sqlx::query!(
            "insert into attributions (conversion_id, position, share, click_id, clicked_at, referral_code, site_id, developer_id, matched_by,
                                       policy_version, model, attributed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            conversion_id.0,
            position,
            credit.share,
            credit.click_id.0,
            credit.clicked_at,
            credit.code.referral_code,
            credit.code.site_id.0,
            credit.code.developer_id.0,
            credit.matched_by as _,
            POLICY_VERSION,
            credit.model as _,
            now,
        )
        .execute(work.connection())
        .await?;
    }
    Ok(())
}

/// Learns which sessions are the customer's, if the event tells both. Other events of the customer may find their clicks by it. The
/// caller holds the lock of the customer.
async fn identify(work: &mut Work<'_>, subject: &Subject) -> Result<()> {
    let Some(user_identifier) = &subject.user_identifier else { return Ok(()) };
    let token = match &subject.click_token {
        Some(text) => named_click(work.engine, work.connection(), text).await?.found(),
        None => None,
    };
    let sessions = subject.session_id.into_iter().chain(token.and_then(|token| token.session_id));
    for session_id in sessions {
        if is_identified(work, subject, user_identifier, session_id).await? {
            continue;
        }
        sqlx::query!(
            "insert into customer_sessions as c (partner_id, user_identifier, session_id, identified_at)
             values ($1, $2, $3, $4)
             on conflict (partner_id, user_identifier, session_id) do update
             set identified_at = least(c.identified_at, excluded.identified_at)",
            subject.partner_id.as_str(),
            user_identifier,
            session_id.0,
            subject.occurred_at,
        )
        .execute(work.connection())
        .await?;
        reconsider_customer(work, subject, user_identifier).await?;
    }
    Ok(())
}

/// Whether the session was known to be the customer's by then. Asked first, since an upsert locks the row even if it changes nothing.
async fn is_identified(work: &mut Work<'_>, subject: &Subject, user_identifier: &str, session_id: SessionId) -> Result<bool> {
    let known = sqlx::query_scalar!(
        r#"select exists (select from customer_sessions
                          where partner_id = $1 and user_identifier = $2 and session_id = $3 and identified_at <= $4) as "known!""#,
        subject.partner_id.as_str(),
        user_identifier,
        session_id.0,
        subject.occurred_at,
    )
    .fetch_one(work.connection())
    .await?;
    Ok(known)
}

/// Has the customer's other events looked at again, now that a session of theirs is known.
async fn reconsider_customer(work: &mut Work<'_>, subject: &Subject, user_identifier: &str) -> Result<()> {
    sqlx::query!(
        "insert into attribution_rechecks (conversion_id)
         select conversion_id from conversions
         where partner_id = $1 and user_identifier = $2 and conversion_id <> $3 and occurred_at >= $4
               and state in ('attributed', 'unattributed', 'expired', 'held')",
        subject.partner_id.as_str(),
        user_identifier,
        subject.conversion_id.0,
        subject.occurred_at,
    )
    .execute(work.connection())
    .await?;
    success::reconsider_customer(work, &subject.partner_id, user_identifier).await
}

/// Has conversions looked at again that clicks which arrived late may claim, and successes that follow such clicks.
///
/// # Errors
/// Only if the database is away.
pub async fn reconsider_clicks(engine: &Engine, clicks: &[crate::click::Click]) -> Result<()> {
    let partner_ids: Vec<String> = clicks.iter().map(|click| click.partner_id.to_string()).collect();
    let times: Vec<DateTime<Utc>> = clicks.iter().map(|click| click.clicked_at).collect();
    let hours: Vec<i32> = clicks.iter().map(|click| i32::try_from(click.window_hours).unwrap_or(i32::MAX)).collect();
    let reconsidered = sqlx::query!(
        "insert into attribution_rechecks (conversion_id)
         select distinct conversion_id
         from unnest($1::text[], $2::timestamptz[], $3::int[]) as click (partner_id, clicked_at, hours)
         join conversions c on c.partner_id = click.partner_id
                               and c.occurred_at between click.clicked_at and click.clicked_at + make_interval(hours => click.hours)
         where c.state in ('attributed', 'unattributed', 'expired', 'held')",
        &partner_ids,
        &times,
        &hours,
    )
    .execute(&engine.db)
    .await?;
    if reconsidered.rows_affected() + success::reconsider_clicks(engine, clicks).await? > 0 {
        engine.work.notify_one();
    }
    Ok(())
}

/// Looks again at one conversion or success that something became known about; tells whether there was one.
///
/// # Errors
/// Only if the database is away: it is then looked at later. What cannot be rated says so in its `state_reason`, and is left.
pub async fn recheck_one(engine: &Engine) -> Result<bool> {
    Ok(recheck_conversion(engine).await? || success::recheck_one(engine).await?)
}

async fn recheck_conversion(engine: &Engine) -> Result<bool> {
    let mut work = Work::begin(engine).await?;
    let due = sqlx::query!(
        r#"delete from attribution_rechecks
           where attribution_recheck_id = (select attribution_recheck_id from attribution_rechecks order by 1 limit 1 for update skip locked)
           returning attribution_recheck_id, conversion_id as "conversion_id: ConversionId""#,
    )
    .fetch_optional(work.connection())
    .await?;
    let Some(due) = due else { return Ok(false) };
    match look_again(work, due.conversion_id).await {
        Err(error) if !matches!(error, Error::Unavailable(_)) => {
            let mut tx = engine.db.begin().await?;
            sqlx::query!("delete from attribution_rechecks where attribution_recheck_id = $1", due.attribution_recheck_id)
                .execute(&mut *tx)
                .await?;
            note_failure(&mut tx, due.conversion_id, &error, engine.now()).await?;
            tx.commit().await?;
        }
        looked => looked?,
    }
    Ok(true)
}

/// Looks again at one unattributed conversion whose time has come; tells whether there was one.
///
/// # Errors
/// As [`recheck_one`].
pub async fn retry_one(engine: &Engine) -> Result<bool> {
    let now = engine.now();
    let due = sqlx::query_scalar!(
        r#"update conversions
           set retry_at = $2
           where conversion_id = (
               select conversion_id from conversions
               where state = 'unattributed' and retry_at <= $1
               order by retry_at
               limit 1
               for update skip locked
           )
           returning conversion_id as "conversion_id: ConversionId""#,
        now,
        now + RETRY_LEASE,
    )
    .fetch_optional(&engine.db)
    .await?;
    let Some(conversion_id) = due else { return Ok(false) };
    match look_again(Work::begin(engine).await?, conversion_id).await {
        Err(error) if !matches!(error, Error::Unavailable(_)) => {
            let mut tx = engine.db.begin().await?;
            note_failure(&mut tx, conversion_id, &error, now).await?;
            tx.commit().await?;
        }
        looked => looked?,
    }
    Ok(true)
}

/// Attributes a conversion anew, rates what that lets earn, and commits.
async fn look_again(mut work: Work<'_>, conversion_id: ConversionId) -> Result<()> {
    let subject = matching::load(work.connection(), conversion_id).await?;
    if let Some(user_identifier) = &subject.user_identifier {
        lock_customer(&mut work, &subject.partner_id, user_identifier).await?;
    }
    commission::lock_developers(&mut work, conversion_id).await?;
    let before = sqlx::query_scalar!(
        r#"select state as "state: ConversionState" from conversions where conversion_id = $1 for update"#,
        conversion_id.0
    )
    .fetch_one(work.connection())
    .await?;
    let after = attribute(&mut work, conversion_id).await?;
    settle(&mut work, &subject, before, after).await?;
    work.commit().await
}

/// What failed for another reason than a database that is away would fail again at once, and keep all others waiting: why stands with the
/// conversion, and an unattributed one is tried again after the longest pause.
async fn note_failure(connection: &mut PgConnection, conversion_id: ConversionId, error: &Error, now: DateTime<Utc>) -> Result<()> {
    tracing::error!(conversion.id = %conversion_id, error = ?error, "a conversion could not be looked at again");
    sqlx::query!(
        "update conversions
         set state_reason = $2, retry_at = case when state = 'unattributed' then $3::timestamptz end
         where conversion_id = $1",
        conversion_id.0,
        error.to_string(),
        now + RETRY_PAUSE_MAX,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Rates what a changed attribution lets earn, counts it, and tells the browsers.
async fn settle(work: &mut Work<'_>, subject: &Subject, before: ConversionState, after: ConversionState) -> Result<()> {
    let conversion_id = subject.conversion_id;
    let is_attributed = |state| matches!(state, ConversionState::Attributed | ConversionState::Held);
    if is_attributed(after) {
        let rated = commission::rate(work, conversion_id, commission::Cause::Conversion).await?;
        tracing::debug!(conversion.id = %conversion_id, held = matches!(rated, Rated::Held(_)), "conversion looked at again");
        if !is_attributed(before) {
            work.counts(&subject.partner_id, subject.occurred_at).conversions_unattributed -= 1;
        }
    }
    if after != ConversionState::Unattributed {
        work.announce(LiveEvent::Conversion { conversion_id, partner_id: subject.partner_id.clone() });
    }
    Ok(())
}

/// The developer behind the claim of a success that happened at `at`: by click id, by referral code, else by the customer's sessions;
/// `None` if none of them leads to one.
pub(crate) async fn developer_of(
    work: &mut Work<'_>,
    partner_id: &PartnerId,
    claim: &Claim,
    at: DateTime<Utc>,
) -> Result<Option<DeveloperId>> {
    let code = if let Some(text) = &claim.click_token {
        match named_click(work.engine, work.connection(), text).await?.found() {
            Some(token) => code_by_digest(work.connection(), token.code_digest).await?,
            None => None,
        }
    } else if let Some(name) = &claim.referral_code {
        code_by_name(work.connection(), name).await?
    } else if let Some(name) = last_code_of_customer(work, partner_id, claim, at).await? {
        code_by_name(work.connection(), &name).await?
    } else {
        None
    };
    Ok(code.filter(|code| code.partner_id == *partner_id).map(|code| code.developer_id))
}

/// The link behind the last click before `at` in the claim's session, or in one that was known by then to be the customer's. Only if there
/// is none, sessions count that became known later, those that did first before the others: what a success leads to must not change because
/// the customer comes back by another link.
async fn last_code_of_customer(work: &mut Work<'_>, partner_id: &PartnerId, claim: &Claim, at: DateTime<Utc>) -> Result<Option<String>> {
    let code = sqlx::query_scalar!(
        "select referral_code
         from (
             select session_id, greatest(identified_at, $4) as known_at
             from customer_sessions
             where partner_id = $1 and user_identifier = $2
             union all
             select $3::uuid, $4::timestamptz
         ) sessions
         join clicks using (session_id)
         where partner_id = $1 and not bot and clicked_at <= $4
         order by known_at, clicked_at desc, click_id desc
         limit 1",
        partner_id.as_str(),
        claim.user_identifier,
        claim.session_id.map(|id| id.0),
        at,
    )
    .fetch_optional(work.connection())
    .await?;
    Ok(code)
}
