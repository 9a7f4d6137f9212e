//! Attribution by hand: an operator names the link behind a conversion that no click claimed, and says why.
//!
//! What may be repaired is the claim: a click id that was garbled or forged on its way, a code that nobody knows, a window
//! that had closed. What the terms and the registry say is not a matter of claims: a partner that was not active owes nothing
//! for what came in then, and a conversion that came sooner after its click than the terms allow stays refused.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ClickId, ConversionId, PartnerId,
    attribution::{MatchedBy, Model, Policy},
    auth::Principal,
    click::ClickToken,
    conversion::ConversionState,
};
use rust_decimal::Decimal;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    matching::{self, CodeOwner, Credit, Subject, code_by_name},
    replace_credits, settle,
};
use crate::{
    Engine, Error, Result,
    access::{require_operate, require_read},
    audit, commission,
    conversion::lock_external_event,
    partner,
    work::Work,
};

/// What the audit log calls it.
pub const ACTION: &str = "attribution.manual";

/// Letters of a reason: a few sentences.
const REASON_LENGTH_MAX: usize = 1_000;

/// How far back clicks are offered, and how many.
const CANDIDATE_DAYS_MAX: i32 = 90;
const CANDIDATES_MAX: i64 = 20;

/// Gives all credit for a conversion to one link, and to one of its clicks if that is known; the conversion then earns as if
/// the click had been found, and later knowledge changes nothing about it. Returns its new state: attributed, or held for
/// want of an exchange rate.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Invalid`] names what is wrong with the reason, the code or the click;
/// [`Error::Conflict`] if it is attributed already, or may not be attributed by hand.
pub async fn attribute_by_hand(
    engine: &Engine,
    who: &Principal,
    conversion_id: ConversionId,
    referral_code: &str,
    click_id: Option<ClickId>,
    reason: &str,
) -> Result<ConversionState> {
    require_operate(who, "attribute conversions by hand")?;
    let reason = read_reason(reason)?;
    let mut work = Work::begin(engine).await?;
    let named = sqlx::query!(
        r#"select partner_id as "partner_id: PartnerId", external_event_id from conversions where conversion_id = $1"#,
        conversion_id.0,
    )
    .fetch_optional(work.connection())
    .await?
    .ok_or_else(|| Error::not_found(format!("conversion `{conversion_id}`")))?;
    let code = find_code(&mut work, &named.partner_id, referral_code).await?;

    lock_external_event(&mut work, &named.partner_id, &named.external_event_id).await?;
    commission::lock_developer(&mut work, code.developer_id).await?;
    sqlx::query!("select from conversions where conversion_id = $1 for update", conversion_id.0).execute(work.connection()).await?;
    let before = state(work.connection(), conversion_id).await?;
    if let Some(refusal) = refusal(engine, work.connection(), conversion_id).await? {
        return Err(Error::Conflict(refusal));
    }
    let subject = matching::load(work.connection(), conversion_id).await?;
    let clicked_at = match click_id {
        None => subject.occurred_at,
        Some(click_id) => find_click(&mut work, &subject, &code, click_id).await?,
    };

    let credit = Credit {
        // Without a click there is no id of one.
        click_id: click_id.unwrap_or(ClickId(Uuid::nil())),
        clicked_at,
        share: Decimal::ONE,
        matched_by: MatchedBy::Manual,
        model: Model::LastTouch,
        code,
    };
    replace_credits(&mut work, conversion_id, std::slice::from_ref(&credit)).await?;
    sqlx::query!(
        "update conversions set state = 'attributed', state_reason = null, retry_at = null where conversion_id = $1",
        conversion_id.0
    )
    .execute(work.connection())
    .await?;
    settle(&mut work, &subject, before, ConversionState::Attributed).await?;

    let detail = json!({
        "partner": named.partner_id, "external_event_id": named.external_event_id, "referral_code": credit.code.referral_code,
        "click_id": click_id, "reason": reason, "before": before,
    });
    let subject = audit_subject(&named.partner_id, &named.external_event_id);
    audit::record(engine, work.connection(), who, ACTION, &subject, detail).await?;
    let after = state(work.connection(), conversion_id).await?;
    work.commit().await?;
    Ok(after)
}

/// Under what name the audit log keeps decisions about a conversion.
pub fn audit_subject(partner_id: &PartnerId, external_event_id: &str) -> String {
    format!("conversion {partner_id}/{external_event_id}")
}

/// Why a conversion may not be attributed by hand; `None` if it may.
pub async fn refusal(engine: &Engine, connection: &mut PgConnection, conversion_id: ConversionId) -> Result<Option<String>> {
    match state(connection, conversion_id).await? {
        ConversionState::Attributed => return Ok(Some("it is attributed already".to_owned())),
        ConversionState::Held => return Ok(Some("it is attributed already and waits for an exchange rate".to_owned())),
        ConversionState::Unattributed | ConversionState::Expired | ConversionState::Refused => {}
    }
    let subject = matching::load(connection, conversion_id).await?;
    if !subject.partner_active {
        let partner_id = &subject.partner_id;
        return Ok(Some(format!("partner `{partner_id}` was not active when it came in, and a deactivated partner earns nothing new")));
    }
    let policy = match partner::terms_at(connection, &subject.partner_id, subject.occurred_at).await {
        Ok(terms) => terms.values.attribution_policy(),
        Err(Error::NotFound { what }) => return Ok(Some(format!("{what} were not found, so that nothing can be earned"))),
        Err(error) => return Err(error),
    };
    let click = match &subject.click_token {
        Some(text) => matching::named_click(engine, connection, text).await?.found(),
        None => None,
    };
    if click.is_some_and(|click| came_too_soon(&click, &subject, &policy)) {
        let seconds = policy.minimum.num_seconds();
        return Ok(Some(format!("it came sooner after its click than the {seconds} s that the terms ask for")));
    }
    Ok(None)
}

/// Its click id is genuine and its own, but too young for the policy.
fn came_too_soon(click: &ClickToken, subject: &Subject, policy: &Policy) -> bool {
    let age = subject.occurred_at - click.clicked_at();
    click.check(&subject.partner_id, subject.occurred_at, u32::MAX).is_ok() && age < policy.minimum
}

fn read_reason(reason: &str) -> Result<&str> {
    let reason = reason.trim();
    match reason.chars().count() {
        0 => Err(Error::invalid("reason", "say why, for whoever checks it later")),
        1..=REASON_LENGTH_MAX => Ok(reason),
        length => Err(Error::invalid("reason", format!("has {length} characters, at most {REASON_LENGTH_MAX} fit"))),
    }
}

async fn state(connection: &mut PgConnection, conversion_id: ConversionId) -> Result<ConversionState> {
    let state =
        sqlx::query_scalar!(r#"select state as "state: ConversionState" from conversions where conversion_id = $1"#, conversion_id.0)
            .fetch_one(connection)
            .await?;
    Ok(state)
}

async fn find_code(work: &mut Work<'_>, partner_id: &PartnerId, referral_code: &str) -> Result<CodeOwner> {
    let name = referral_code.trim();
    let code = code_by_name(work.connection(), name)
        .await?
        .ok_or_else(|| Error::invalid("referral_code", format!("`{name}` is no referral code or alias of ours")))?;
    if code.partner_id != *partner_id {
        let reason = format!("`{name}` is a code of `{}`, expected one of `{partner_id}`", code.partner_id);
        return Err(Error::invalid("referral_code", reason));
    }
    Ok(code)
}

/// When the click happened, if it may have led to the conversion. Its age does not matter: that the window had closed is what
/// an operator may overrule.
async fn find_click(work: &mut Work<'_>, subject: &Subject, code: &CodeOwner, click_id: ClickId) -> Result<DateTime<Utc>> {
    let refuse = |reason: String| Err(Error::invalid("click_id", reason));
    let click = sqlx::query!("select clicked_at, referral_code, bot from clicks where click_id = $1", click_id.0)
        .fetch_optional(work.connection())
        .await?;
    let Some(click) = click else { return refuse(format!("click `{click_id}` is not known")) };
    if click.referral_code != code.referral_code {
        return refuse(format!("click `{click_id}` was on `{}`, expected one on `{}`", click.referral_code, code.referral_code));
    }
    if click.bot {
        return refuse(format!("click `{click_id}` was a program's, expected a person's"));
    }
    let terms = partner::terms_at(work.connection(), &subject.partner_id, subject.occurred_at).await?;
    let minimum = terms.values.attribution_policy().minimum.max(TimeDelta::zero());
    if subject.occurred_at - click.clicked_at < minimum {
        let seconds = minimum.num_seconds();
        return refuse(format!(
            "click `{click_id}` was at {}, expected {seconds} s or more before the conversion",
            click.clicked_at.to_rfc3339()
        ));
    }
    Ok(click.clicked_at)
}

/// A click that may have led to a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub click_id: ClickId,
    pub clicked_at: DateTime<Utc>,
    pub referral_code: String,
    pub site_name: String,
    /// Of the browser session that the conversion names.
    pub same_session: bool,
}

/// The clicks to offer for a conversion: the last before it on each of its partner's links, within 90 days; those of its own
/// session first, then the newest.
///
/// # Errors
/// Refuses who may not read.
pub async fn candidates(engine: &Engine, who: &Principal, conversion_id: ConversionId) -> Result<Vec<Candidate>> {
    require_read(who, "see clicks")?;
    let found = sqlx::query!(
        r#"select click_id as "click_id: ClickId", clicked_at, r.referral_code, s.name as site_name, coalesce(click.session_id = c.session_id, false) as "same_session!"
           from conversions c
           join referral_codes r using (partner_id)
           join sites s using (site_id)
           join lateral (
               select click_id, clicked_at, session_id
               from clicks
               where clicks.referral_code = r.referral_code and clicked_at between c.occurred_at - make_interval(days => $2) and c.occurred_at and not bot
               order by clicked_at desc
               limit 1
           ) click on true
           where conversion_id = $1
           order by coalesce(click.session_id = c.session_id, false) desc, clicked_at desc, click_id desc
           limit $3"#,
        conversion_id.0,
        CANDIDATE_DAYS_MAX,
        CANDIDATES_MAX,
    )
    .fetch_all(&engine.db)
    .await?;
    let candidate = found.into_iter().map(|row| Candidate {
        same_session: row.same_session,
        click_id: row.click_id,
        clicked_at: row.clicked_at,
        referral_code: row.referral_code,
        site_name: row.site_name,
    });
    Ok(candidate.collect())
}
