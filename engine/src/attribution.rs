//! Finding the click of a conversion, and trying again while its window is open.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ClickId, ConversionId, DeveloperId, PartnerId, SessionId, SiteId,
    attribution::{MatchedBy, POLICY_VERSION, Touch, last_touch, within_window},
    click::ClickToken,
    conversion::ConversionState,
    live::LiveEvent,
};

use crate::{Engine, Result, click, commission, partner, work::Work};

/// Waits between two tries to attribute.
const RETRY_PAUSE_MIN: TimeDelta = TimeDelta::seconds(5);
const RETRY_PAUSE_MAX: TimeDelta = TimeDelta::minutes(10);

/// A conversion younger than this may still meet its click in the fallback, even if its window has closed.
const GRACE: TimeDelta = TimeDelta::hours(1);

/// Clicks of one referral code that a match looks at.
const TOUCHES_MAX: i64 = 1_000;

struct Pending {
    partner_id: PartnerId,
    partner_active: bool,
    occurred_at: DateTime<Utc>,
    received_at: DateTime<Utc>,
    click_token: Option<String>,
    referral_code: Option<String>,
    session_id: Option<SessionId>,
}

/// What a look for the click came to.
enum Match {
    Found { click_id: ClickId, clicked_at: DateTime<Utc>, matched_by: MatchedBy, code: CodeOwner },
    NoneYet,
    Ended(ConversionState, String),
}

struct CodeOwner {
    referral_code: String,
    partner_id: PartnerId,
    site_id: SiteId,
    developer_id: DeveloperId,
}

/// Attributes a conversion by the match order of SPEC 3.4, writes the attribution, and returns the conversion's new state.
/// It does not rate.
pub async fn attribute(work: &mut Work<'_>, conversion_id: ConversionId) -> Result<ConversionState> {
    let pending = sqlx::query_as!(
        Pending,
        r#"select partner_id as "partner_id: PartnerId", active as partner_active, occurred_at, received_at, click_token, referral_code,
                  session_id as "session_id: SessionId"
           from conversions join partners using (partner_id)
           where conversion_id = $1"#,
        conversion_id.0,
    )
    .fetch_one(work.connection())
    .await?;
    let found = find_match(work, &pending).await?;
    let now = work.now();
    let (state, reason, retry_at) = match found {
        Match::Found { click_id, clicked_at, matched_by, code } => {
            sqlx::query!(
                "insert into attributions (conversion_id, position, share, click_id, clicked_at, referral_code, site_id, developer_id, matched_by, policy_version, attributed_at)
                 values ($1, 1, 1, $2, $3, $4, $5, $6, $7, $8, $9)",
                conversion_id.0,
                click_id.0,
                clicked_at,
                code.referral_code,
                code.site_id.0,
                code.developer_id.0,
                matched_by as _,
                POLICY_VERSION,
                now,
            )
            .execute(work.connection())
            .await?;
            (ConversionState::Attributed, None, None)
        }
        Match::NoneYet => (ConversionState::Unattributed, Some("no click matches yet".to_owned()), Some(next_try(&pending, now))),
        Match::Ended(state, reason) => (state, Some(reason), None),
    };
    sqlx::query!(
        "update conversions set state = $2, state_reason = $3, retry_at = $4 where conversion_id = $1",
        conversion_id.0,
        state as _,
        reason,
        retry_at
    )
    .execute(work.connection())
    .await?;
    Ok(state)
}

/// Soon at first, since a click in the fallback arrives within seconds; then ever more rarely.
fn next_try(pending: &Pending, now: DateTime<Utc>) -> DateTime<Utc> {
    now + (now - pending.received_at).clamp(RETRY_PAUSE_MIN, RETRY_PAUSE_MAX)
}

async fn find_match(work: &mut Work<'_>, pending: &Pending) -> Result<Match> {
    let refused = |reason: String| Ok(Match::Ended(ConversionState::Refused, reason));
    if !pending.partner_active {
        return refused(format!("partner `{}` is not active", pending.partner_id));
    }
    let terms = partner::terms_at(work.connection(), &pending.partner_id, pending.occurred_at).await?;
    let window_hours = terms.values.attribution_window_hours;

    if let Some(text) = &pending.click_token {
        let token = match ClickToken::verify(text, &work.engine.keys.click_mac) {
            Ok(token) => token,
            Err(refusal) => return refused(refusal.to_string()),
        };
        match token.check(&pending.partner_id, pending.occurred_at, window_hours) {
            Ok(()) => {}
            Err(refusal @ domain::click::RefusedClickToken::Expired { .. }) => {
                return Ok(Match::Ended(ConversionState::Expired, refusal.to_string()));
            }
            Err(refusal) => return refused(refusal.to_string()),
        }
        let Some(code) = code_by_digest(work, token.code_digest).await? else {
            return refused("the click id's referral code is not known".to_owned());
        };
        return Ok(Match::Found { click_id: token.click_id, clicked_at: token.clicked_at(), matched_by: MatchedBy::ClickToken, code });
    }

    let Some(referral_code) = &pending.referral_code else {
        return Ok(Match::Ended(ConversionState::Expired, "neither a click id nor a referral code came with it".to_owned()));
    };
    let Some(code) = code_by_name(work, referral_code).await? else {
        return refused(format!("referral code `{referral_code}` is not known"));
    };
    if code.partner_id != pending.partner_id {
        return refused(format!("referral code `{referral_code}` belongs to another partner"));
    }
    if let Some((touch, matched_by)) = find_touch(work, pending, &code, window_hours).await? {
        return Ok(Match::Found { click_id: touch.click_id, clicked_at: touch.clicked_at, matched_by, code });
    }
    let window_end = (pending.occurred_at + TimeDelta::hours(i64::from(window_hours))).max(pending.received_at + GRACE);
    if work.now() > window_end {
        return Ok(Match::Ended(ConversionState::Expired, format!("no click on `{referral_code}` within {window_hours} h before it")));
    }
    Ok(Match::NoneYet)
}

/// The cache knows the session's latest click without touching the click table; it does for a conversion that came after it.
async fn find_touch(work: &mut Work<'_>, pending: &Pending, code: &CodeOwner, window_hours: u32) -> Result<Option<(Touch, MatchedBy)>> {
    if let Some(session_id) = pending.session_id
        && let Some(cached) = click::cached_click(work.engine, &pending.partner_id, &code.referral_code, session_id).await
        && within_window(cached.clicked_at, pending.occurred_at, window_hours)
    {
        let touch = Touch { click_id: cached.click_id, clicked_at: cached.clicked_at, session_id: Some(session_id) };
        return Ok(Some((touch, MatchedBy::Session)));
    }
    let touches = sqlx::query_as!(
        Touch,
        r#"select click_id as "click_id: ClickId", clicked_at, session_id as "session_id: SessionId"
           from clicks
           where referral_code = $1 and clicked_at between $2 and $3 and not bot
           order by ($4::uuid is not null and session_id is not distinct from $4) desc, clicked_at desc, click_id desc
           limit $5"#,
        code.referral_code,
        pending.occurred_at - TimeDelta::hours(i64::from(window_hours)),
        pending.occurred_at,
        pending.session_id.map(|id| id.0),
        TOUCHES_MAX,
    )
    .fetch_all(work.connection())
    .await?;
    Ok(last_touch(&touches, pending.session_id, pending.occurred_at, window_hours).map(|(touch, by)| (touch.clone(), by)))
}

async fn code_by_digest(work: &mut Work<'_>, digest: [u8; 8]) -> Result<Option<CodeOwner>> {
    let code = sqlx::query_as!(
        CodeOwner,
        r#"select referral_code, partner_id as "partner_id: PartnerId", site_id as "site_id: SiteId", developer_id as "developer_id: DeveloperId"
           from referral_codes where code_digest = $1"#,
        &digest,
    )
    .fetch_optional(work.connection())
    .await?;
    Ok(code)
}

async fn code_by_name(work: &mut Work<'_>, name: &str) -> Result<Option<CodeOwner>> {
    let code = sqlx::query_as!(
        CodeOwner,
        r#"select referral_code, partner_id as "partner_id: PartnerId", site_id as "site_id: SiteId", developer_id as "developer_id: DeveloperId"
           from referral_codes where referral_code = $1 or alias = $1"#,
        name,
    )
    .fetch_optional(work.connection())
    .await?;
    Ok(code)
}

/// Tries one unattributed conversion that is due again; tells whether there was one.
pub async fn retry_one(engine: &Engine) -> Result<bool> {
    let mut work = Work::begin(engine).await?;
    let now = work.now();
    let due = sqlx::query!(
        r#"select conversion_id as "conversion_id: ConversionId", partner_id as "partner_id: PartnerId"
           from conversions
           where state = 'unattributed' and retry_at <= $1
           order by retry_at
           limit 1
           for update skip locked"#,
        now,
    )
    .fetch_optional(work.connection())
    .await?;
    let Some(due) = due else { return Ok(false) };
    let state = attribute(&mut work, due.conversion_id).await?;
    if state == ConversionState::Attributed {
        commission::rate(&mut work, due.conversion_id, commission::Cause::Conversion).await?;
        work.counts(&due.partner_id).conversions_unattributed -= 1;
    }
    if state != ConversionState::Unattributed {
        work.announce(LiveEvent::Conversion { conversion_id: due.conversion_id, partner_id: due.partner_id });
    }
    work.commit().await?;
    Ok(true)
}

/// The developer behind a claim, for successes: by click id, else by referral code; `None` if neither is known.
pub async fn developer_of(work: &mut Work<'_>, partner_id: &PartnerId, claim: &domain::conversion::Claim) -> Result<Option<DeveloperId>> {
    let code = if let Some(text) = &claim.click_token {
        match ClickToken::verify(text, &work.engine.keys.click_mac) {
            Ok(token) => code_by_digest(work, token.code_digest).await?,
            Err(_) => None,
        }
    } else if let Some(name) = &claim.referral_code {
        code_by_name(work, name).await?
    } else {
        None
    };
    Ok(code.filter(|code| code.partner_id == *partner_id).map(|code| code.developer_id))
}
