//! The match order: a signed click id, or the plain id of a click's row; else the referral code with the browser session or the customer; else
//! the referral code's most recent click. What is found is a journey, whose credit the policy's model shares out.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ClickId, ConversionId, DeveloperId, PartnerId, SessionId, SiteId,
    attribution::{MatchedBy, Model, Policy, Touched, journey, shares},
    click::{ClickToken, RefusedClickToken, partner_digest},
    conversion::ConversionState,
    dashboard::Period,
    id::uuid_v7_time,
    referral_code::code_digest,
};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::{Engine, Result, click, partner, work::Work};

/// A conversion younger than this may still meet its click in the fallback, even if its window has closed.
const GRACE: TimeDelta = TimeDelta::hours(1);

/// Clicks that one conversion's match looks at.
const TOUCHES_MAX: i64 = 1_000;

/// What matching needs to know of a conversion.
pub(super) struct Subject {
    pub conversion_id: ConversionId,
    pub partner_id: PartnerId,
    /// Whether the partner was active when the conversion came in.
    pub partner_active: bool,
    pub occurred_at: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    pub click_token: Option<String>,
    pub referral_code: Option<String>,
    pub session_id: Option<SessionId>,
    pub user_identifier: Option<String>,
    /// Whether the cache may answer before the click table; a rerun of the past asks the table alone.
    pub use_cache: bool,
}

/// What a look for the clicks came to.
pub(super) enum Match {
    Found(Vec<Credit>),
    NoneYet,
    Ended(ConversionState, String),
}

/// A click with its share of the credit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    pub click_id: ClickId,
    pub clicked_at: DateTime<Utc>,
    pub share: Decimal,
    pub code: CodeOwner,
    pub matched_by: MatchedBy,
    pub model: Model,
}

/// Who is behind a referral code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeOwner {
    pub referral_code: String,
    pub partner_id: PartnerId,
    pub site_id: SiteId,
    pub developer_id: DeveloperId,
}

struct Touch {
    click_id: ClickId,
    clicked_at: DateTime<Utc>,
    referral_code: String,
}

impl Touched for Touch {
    type Id = ClickId;
    fn touched_at(&self) -> DateTime<Utc> {
        self.clicked_at
    }
    fn touch_id(&self) -> &ClickId {
        &self.click_id
    }
}

pub(super) async fn load(connection: &mut PgConnection, conversion_id: ConversionId) -> Result<Subject> {
    let subject = sqlx::query_as!(
        Subject,
        r#"select conversion_id as "conversion_id: ConversionId", partner_id as "partner_id: PartnerId", occurred_at, received_at, click_token,
                  referral_code, session_id as "session_id: SessionId", user_identifier,
                  coalesce((select active from partner_activity a where a.partner_id = c.partner_id and changed_at <= c.received_at
                            order by changed_at desc limit 1), true) as "partner_active!",
                  true as "use_cache!"
           from conversions c
           where conversion_id = $1"#,
        conversion_id.0,
    )
    .fetch_one(connection)
    .await?;
    Ok(subject)
}

/// The conversions that happened in a period, of one partner or of all, the oldest first; for a rerun.
pub(super) async fn load_period(
    connection: &mut PgConnection,
    partner_id: Option<&PartnerId>,
    period: Period,
    limit: usize,
) -> Result<Vec<Subject>> {
    let subjects = sqlx::query_as!(
        Subject,
        r#"select conversion_id as "conversion_id: ConversionId", partner_id as "partner_id: PartnerId", occurred_at, received_at, click_token,
                  referral_code, session_id as "session_id: SessionId", user_identifier,
                  coalesce((select active from partner_activity a where a.partner_id = c.partner_id and changed_at <= c.received_at
                            order by changed_at desc limit 1), true) as "partner_active!",
                  false as "use_cache!"
           from conversions c
           where occurred_at >= $1 and occurred_at < $2 and ($3::text is null or partner_id = $3)
           order by occurred_at, conversion_id
           limit $4"#,
        period.from,
        period.to,
        partner_id.map(PartnerId::as_str),
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(connection)
    .await?;
    Ok(subjects)
}

/// Finds the clicks that may claim a conversion under the policy that was in force when it happened.
pub(super) async fn find_match(work: &mut Work<'_>, subject: &Subject) -> Result<Match> {
    if !subject.partner_active {
        return refused(format!("partner `{}` was not active when it came in", subject.partner_id));
    }
    let terms = partner::terms_at(work.connection(), &subject.partner_id, subject.occurred_at).await?;
    find_match_under(work, subject, &terms.values.attribution_policy()).await
}

/// [`find_match`] under a policy of choice.
pub(super) async fn find_match_under(work: &mut Work<'_>, subject: &Subject, policy: &Policy) -> Result<Match> {
    if let Some(text) = &subject.click_token {
        return match_click(work, subject, text, policy).await;
    }
    let sessions = known_sessions(work, subject, None).await?;
    let Some(referral_code) = &subject.referral_code else {
        let touches = session_touches(work, subject, &sessions, None, policy).await?;
        return match credits(work, subject, &touches, policy, MatchedBy::Session).await? {
            Some(credits) => Ok(Match::Found(credits)),
            None if subject.user_identifier.is_some() || subject.session_id.is_some() => {
                no_match(work, subject, policy, "no click of this session or customer".to_owned())
            }
            None => Ok(Match::Ended(ConversionState::Expired, "neither a click id nor a referral code came with it".to_owned())),
        };
    };
    let Some(code) = code_by_name(work.connection(), referral_code).await? else {
        return refused(format!("referral code `{referral_code}` is not known"));
    };
    if code.partner_id != subject.partner_id {
        return refused(format!("referral code `{referral_code}` belongs to another partner"));
    }
    match_code(work, subject, &code, &sessions, policy).await
}

fn refused(reason: String) -> Result<Match> {
    Ok(Match::Ended(ConversionState::Refused, reason))
}

/// What a click id came to.
pub(super) enum NamedClick {
    /// A signed token proves its click, whether or not the row is there.
    Token(ClickToken),
    /// The plain id of a row, as the token that was made with it.
    Row(ClickToken),
    NoRow(ClickId),
    Refused(RefusedClickToken),
}

impl NamedClick {
    pub fn found(self) -> Option<ClickToken> {
        match self {
            Self::Token(token) | Self::Row(token) => Some(token),
            Self::NoRow(_) | Self::Refused(_) => None,
        }
    }
}

pub(super) async fn named_click(engine: &Engine, connection: &mut PgConnection, text: &str) -> Result<NamedClick> {
    let Ok(click_id) = text.parse::<ClickId>() else {
        return Ok(ClickToken::verify(text, &engine.keys.click_mac).map_or_else(NamedClick::Refused, NamedClick::Token));
    };
    // The id carries the time, which tells the partition.
    let Some(clicked_at) = uuid_v7_time(click_id.0) else { return Ok(NamedClick::NoRow(click_id)) };
    let row = sqlx::query!(
        r#"select referral_code, partner_id as "partner_id: PartnerId", session_id as "session_id: SessionId"
           from clicks
           where click_id = $1 and clicked_at between $2 and $3 and not bot"#,
        click_id.0,
        clicked_at,
        clicked_at + TimeDelta::milliseconds(1),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map_or(NamedClick::NoRow(click_id), |row| {
        NamedClick::Row(ClickToken {
            click_id,
            session_id: row.session_id,
            code_digest: code_digest(&row.referral_code),
            partner_digest: partner_digest(&row.partner_id),
        })
    }))
}

async fn match_click(work: &mut Work<'_>, subject: &Subject, text: &str, policy: &Policy) -> Result<Match> {
    let (token, matched_by) = match named_click(work.engine, work.connection(), text).await? {
        NamedClick::Token(token) => (token, MatchedBy::ClickToken),
        NamedClick::Row(token) => (token, MatchedBy::ClickRow),
        NamedClick::NoRow(click_id) => return no_match(work, subject, policy, format!("no click `{click_id}`")),
        NamedClick::Refused(refusal) => return refused(refusal.to_string()),
    };
    match check_click(subject, &token, policy) {
        Ok(()) => match_token(work, subject, &token, matched_by, policy).await,
        Err(ended) => Ok(ended),
    }
}

/// Whether the click may claim the conversion; else what becomes of it.
fn check_click(subject: &Subject, token: &ClickToken, policy: &Policy) -> Result<(), Match> {
    let refused = |reason: String| Match::Ended(ConversionState::Refused, reason);
    let window_hours = u32::try_from(policy.window.num_hours()).unwrap_or(u32::MAX);
    token.check(&subject.partner_id, subject.occurred_at, window_hours).map_err(|refusal| match refusal {
        RefusedClickToken::Expired { .. } => Match::Ended(ConversionState::Expired, refusal.to_string()),
        other => refused(other.to_string()),
    })?;
    let seconds = (subject.occurred_at - token.clicked_at()).num_seconds();
    // Without a minimum, a click may lie a little ahead of the conversion: the two clocks differ.
    if !policy.minimum.is_zero() && seconds < policy.minimum.num_seconds() {
        let least = policy.minimum.num_seconds();
        return Err(refused(format!("it came {seconds} s after its click, and the terms ask for at least {least} s")));
    }
    Ok(())
}

/// The click that the token names has all of the credit, or its share of the journey that it ended.
async fn match_token(work: &mut Work<'_>, subject: &Subject, token: &ClickToken, matched_by: MatchedBy, policy: &Policy) -> Result<Match> {
    let Some(code) = code_by_digest(work.connection(), token.code_digest).await? else {
        return refused("the click id's referral code is not known".to_owned());
    };
    let named = Touch { click_id: token.click_id, clicked_at: token.clicked_at(), referral_code: code.referral_code.clone() };
    if policy.model != Model::LastTouch {
        let sessions = known_sessions(work, subject, token.session_id).await?;
        let mut touches = session_touches(work, subject, &sessions, None, policy).await?;
        // Its own row may have been lost, or not have arrived yet.
        if !touches.iter().any(|touch| touch.click_id == named.click_id) {
            touches.push(named);
        }
        if let Some(credits) = credits(work, subject, &touches, policy, matched_by).await? {
            return Ok(Match::Found(credits));
        }
    }
    let (click_id, clicked_at) = (token.click_id, token.clicked_at());
    Ok(Match::Found(vec![Credit { click_id, clicked_at, share: Decimal::ONE, code, matched_by, model: policy.model }]))
}

async fn match_code(work: &mut Work<'_>, subject: &Subject, code: &CodeOwner, sessions: &[SessionId], policy: &Policy) -> Result<Match> {
    if policy.model == Model::LastTouch
        && let Some(touch) = cached_touch(work, subject, code, policy).await
        && let Some(credits) = credits(work, subject, &[touch], policy, MatchedBy::Session).await?
    {
        return Ok(Match::Found(credits));
    }
    // Last touch asks who came by this link last; the other models share among all links of the same person.
    let only = (policy.model == Model::LastTouch).then_some(code.referral_code.as_str());
    let own = session_touches(work, subject, sessions, only, policy).await?;
    if let Some(credits) = credits(work, subject, &own, policy, MatchedBy::Session).await? {
        return Ok(Match::Found(credits));
    }
    let recent = recent_touch(work, subject, code, policy).await?;
    if let Some(credits) = credits(work, subject, &recent, policy, MatchedBy::RecentClick).await? {
        return Ok(Match::Found(credits));
    }
    no_match(work, subject, policy, format!("no click on `{}`", code.referral_code))
}

fn no_match(work: &Work<'_>, subject: &Subject, policy: &Policy, what: String) -> Result<Match> {
    let window_end = (subject.occurred_at + policy.window).max(subject.received_at + GRACE);
    if work.now() > window_end {
        return Ok(Match::Ended(ConversionState::Expired, format!("{what} within {} h before it", policy.window.num_hours())));
    }
    Ok(Match::NoneYet)
}

/// The journey among `touches`, with shares; `None` if the policy admits none of them.
async fn credits(
    work: &mut Work<'_>,
    subject: &Subject,
    touches: &[Touch],
    policy: &Policy,
    matched_by: MatchedBy,
) -> Result<Option<Vec<Credit>>> {
    let journey = journey(touches, subject.occurred_at, policy);
    let shares = shares(policy.model, &journey, subject.occurred_at);
    let mut credits = Vec::new();
    for (touch, share) in journey.into_iter().zip(shares).filter(|(_, share)| !share.is_zero()) {
        let Some(code) = code_by_name(work.connection(), &touch.referral_code).await? else { continue };
        credits.push(Credit { click_id: touch.click_id, clicked_at: touch.clicked_at, share, code, matched_by, model: policy.model });
    }
    Ok((!credits.is_empty()).then_some(credits))
}

/// The sessions that are known to be the customer's at the time of the conversion.
async fn known_sessions(work: &mut Work<'_>, subject: &Subject, token_session: Option<SessionId>) -> Result<Vec<SessionId>> {
    let mut sessions: Vec<SessionId> = subject.session_id.into_iter().chain(token_session).collect();
    if let Some(user_identifier) = &subject.user_identifier {
        let known = sqlx::query_scalar!(
            r#"select session_id as "session_id: SessionId"
               from customer_sessions
               where partner_id = $1 and user_identifier = $2 and identified_at <= $3
               order by session_id"#,
            subject.partner_id.as_str(),
            user_identifier,
            subject.occurred_at,
        )
        .fetch_all(work.connection())
        .await?;
        sessions.extend(known);
    }
    sessions.sort();
    sessions.dedup();
    Ok(sessions)
}

/// The cache knows the session's latest click without touching the click table; it does for a conversion that came after it.
async fn cached_touch(work: &Work<'_>, subject: &Subject, code: &CodeOwner, policy: &Policy) -> Option<Touch> {
    // A customer may have other sessions, too, of which the cache knows nothing.
    let session_id = subject.session_id.filter(|_| subject.use_cache && subject.user_identifier.is_none())?;
    let cached = click::cached_click(work.engine, &subject.partner_id, &code.referral_code, session_id).await?;
    let touch = Touch { click_id: cached.click_id, clicked_at: cached.clicked_at, referral_code: code.referral_code.clone() };
    policy.admits(touch.clicked_at, subject.occurred_at).then_some(touch)
}

/// The newest clicks of these sessions on links to the partner, or on one of them only.
async fn session_touches(
    work: &mut Work<'_>,
    subject: &Subject,
    sessions: &[SessionId],
    only: Option<&str>,
    policy: &Policy,
) -> Result<Vec<Touch>> {
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let sessions: Vec<_> = sessions.iter().map(|id| id.0).collect();
    let touches = sqlx::query_as!(
        Touch,
        r#"select click_id as "click_id: ClickId", clicked_at, referral_code
           from clicks
           where session_id = any($1) and partner_id = $2 and clicked_at between $3 and $4 and not bot and ($5::text is null or referral_code = $5)
           order by clicked_at desc, click_id desc
           limit $6"#,
        &sessions,
        subject.partner_id.as_str(),
        subject.occurred_at - policy.window,
        subject.occurred_at - policy.minimum,
        only,
        TOUCHES_MAX,
    )
    .fetch_all(work.connection())
    .await?;
    Ok(touches)
}

async fn recent_touch(work: &mut Work<'_>, subject: &Subject, code: &CodeOwner, policy: &Policy) -> Result<Vec<Touch>> {
    let touches = sqlx::query_as!(
        Touch,
        r#"select click_id as "click_id: ClickId", clicked_at, referral_code
           from clicks
           where referral_code = $1 and clicked_at between $2 and $3 and not bot
           order by clicked_at desc, click_id desc
           limit 1"#,
        code.referral_code,
        subject.occurred_at - policy.window,
        subject.occurred_at - policy.minimum,
    )
    .fetch_all(work.connection())
    .await?;
    Ok(touches)
}

pub(super) async fn code_by_digest(connection: &mut PgConnection, digest: [u8; 8]) -> Result<Option<CodeOwner>> {
    let code = sqlx::query_as!(
        CodeOwner,
        r#"select referral_code, partner_id as "partner_id: PartnerId", site_id as "site_id: SiteId", developer_id as "developer_id: DeveloperId"
           from referral_codes where code_digest = $1"#,
        &digest,
    )
    .fetch_optional(connection)
    .await?;
    Ok(code)
}

pub(super) async fn code_by_name(connection: &mut PgConnection, name: &str) -> Result<Option<CodeOwner>> {
    let code = sqlx::query_as!(
        CodeOwner,
        r#"select referral_code, partner_id as "partner_id: PartnerId", site_id as "site_id: SiteId", developer_id as "developer_id: DeveloperId"
           from referral_codes where referral_code = $1 or alias = $1"#,
        name,
    )
    .fetch_optional(connection)
    .await?;
    Ok(code)
}
