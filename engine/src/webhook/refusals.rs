//! What was turned away at the door, counted: nothing else is kept of it, and without this a partner with a wrong secret looks silent.
//!
//! Redis holds a count and a time per day, partner, path and reason, all from short lists of ours, so that whoever knocks cannot fill it,
//! whatever the reason.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::{PartnerId, auth::Principal, signature::InvalidSignature};
use redis::AsyncCommands;

use super::Refusal;
use crate::{Engine, Error, Result, access::require_read};

/// 7 days, today included: long enough for a weekend to be noticed.
pub const REFUSALS_DAYS: u64 = 7;
/// A day more than is looked back on.
const KEPT_SECONDS: i64 = 8 * 86_400;
/// 200 ms: while Redis is away, a refusal is answered all the same.
const PATIENCE: Duration = Duration::from_millis(200);

/// Why something was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    UnknownPath,
    TooLarge,
    NoSecret,
    /// The sender signs with another secret, or signs another body.
    WrongSignature,
    /// A header of the signature is missing or has another form.
    Header,
    TooOld,
    TooFarInFuture,
    MalformedBody,
    /// Of a postback.
    WrongToken,
}

impl Reason {
    const ALL: [(Self, &str); 9] = [
        (Self::UnknownPath, "unknown_path"),
        (Self::TooLarge, "too_large"),
        (Self::NoSecret, "no_secret"),
        (Self::WrongSignature, "wrong_signature"),
        (Self::Header, "header"),
        (Self::TooOld, "too_old"),
        (Self::TooFarInFuture, "too_far_in_future"),
        (Self::MalformedBody, "malformed_body"),
        (Self::WrongToken, "wrong_token"),
    ];

    /// None for what is no fault of the sender.
    pub fn of(refusal: &Refusal) -> Option<Self> {
        Some(match refusal {
            Refusal::Unknown { .. } => Self::UnknownPath,
            Refusal::TooLarge => Self::TooLarge,
            Refusal::Malformed(_) => Self::MalformedBody,
            Refusal::Signature(invalid) => match invalid {
                InvalidSignature::MissingHeader(_) | InvalidSignature::MalformedHeader { .. } | InvalidSignature::MalformedTimestamp(_) => {
                    Self::Header
                }
                InvalidSignature::TooOld { .. } => Self::TooOld,
                InvalidSignature::TooFarInFuture { .. } => Self::TooFarInFuture,
                InvalidSignature::NoMatch => Self::WrongSignature,
                InvalidSignature::NoSecret | InvalidSignature::EmptySecret | InvalidSignature::MalformedSecret => Self::NoSecret,
            },
            Refusal::Engine(_) => return None,
        })
    }

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(reason, _)| *reason == self).map_or("", |(_, text)| text)
    }

    fn read(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == text).map(|(reason, _)| *reason)
    }
}

/// How often something was turned away in the last [`REFUSALS_DAYS`] days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub partner_id: PartnerId,
    /// Absent if the partner has no such webhook: what strangers make up is not kept.
    pub path: Option<String>,
    pub reason: Reason,
    pub count: u64,
    pub last_at: DateTime<Utc>,
}

/// Counts a refusal of a partner that we know; others are left out, and so are paths that it does not have. It never fails: what is not
/// counted is in the server's log.
pub async fn note_refusal(engine: &Engine, partner: &str, path: &str, reason: Reason) {
    let Ok(partner_id) = partner.parse::<PartnerId>() else { return };
    let Some(link) = engine.codes.link(&partner_id) else { return };
    let path = if link.webhooks.contains_key(path) { path } else { "" };
    let field = format!("{partner_id} {} {path}", reason.as_str());
    let now = engine.now();
    let [counts, times] = keys(now.date_naive());
    let mut pipe = redis::pipe();
    pipe.hincr(&counts, &field, 1).ignore();
    pipe.hset(&times, &field, now.timestamp()).ignore();
    pipe.expire(&counts, KEPT_SECONDS).ignore();
    pipe.expire(&times, KEPT_SECONDS).ignore();
    let mut redis = engine.redis.clone();
    let noted = tokio::time::timeout(PATIENCE, pipe.query_async::<()>(&mut redis)).await;
    if !matches!(noted, Ok(Ok(()))) {
        tracing::debug!(partner.id = %partner_id, "a refused message could not be counted");
    }
}

/// What was refused of one partner or of all in the last [`REFUSALS_DAYS`] days, the newest first.
///
/// # Errors
/// [`Error::Unavailable`] while Redis is away; refuses who may not read.
pub async fn list_refusals(engine: &Engine, who: &Principal, partner_id: Option<&PartnerId>) -> Result<Vec<Refused>> {
    require_read(who, "see webhook deliveries")?;
    let counted = tokio::time::timeout(PATIENCE, read(engine)).await.map_err(|late| Error::Unavailable(Box::new(late)))??;
    let mut all: Vec<Refused> = Vec::new();
    for refused in counted.into_iter().filter(|refused| partner_id.is_none_or(|id| *id == refused.partner_id)) {
        let same =
            |known: &&mut Refused| (&known.partner_id, &known.path, known.reason) == (&refused.partner_id, &refused.path, refused.reason);
        match all.iter_mut().find(same) {
            Some(known) => {
                known.count += refused.count;
                known.last_at = known.last_at.max(refused.last_at);
            }
            None => all.push(refused),
        }
    }
    all.sort_by_key(|refused| std::cmp::Reverse(refused.last_at));
    Ok(all)
}

/// The counts of each day.
async fn read(engine: &Engine) -> Result<Vec<Refused>> {
    let today = engine.now().date_naive();
    let mut redis = engine.redis.clone();
    let mut refused = Vec::new();
    for day in (0..REFUSALS_DAYS).filter_map(|back| today.checked_sub_days(Days::new(back))) {
        let [counts, times] = keys(day);
        let counted: Vec<(String, u64)> = redis.hgetall(counts).await?;
        if counted.is_empty() {
            continue;
        }
        let last: std::collections::HashMap<String, i64> = redis.hgetall(times).await?;
        for (field, count) in counted {
            let last_at = last.get(&field).and_then(|seconds| DateTime::from_timestamp(*seconds, 0)).unwrap_or_default();
            refused.extend(read_field(&field, count, last_at));
        }
    }
    Ok(refused)
}

fn read_field(field: &str, count: u64, last_at: DateTime<Utc>) -> Option<Refused> {
    let mut parts = field.splitn(3, ' ');
    let partner_id = parts.next()?.parse().ok()?;
    let reason = Reason::read(parts.next()?)?;
    let path = parts.next().filter(|path| !path.is_empty()).map(str::to_owned);
    Some(Refused { partner_id, path, reason, count, last_at })
}

fn keys(day: NaiveDate) -> [String; 2] {
    [format!("webhook_refusals:{day}"), format!("webhook_refused_at:{day}")]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use chrono::TimeDelta;
    use domain::partner::PartnerFile;
    use sqlx::PgPool;

    use super::*;
    use crate::{partner, testing};

    const WHO: Principal = Principal::CommandLine;

    /// A partner of this test alone: Redis is shared with others.
    async fn with_partner(db: PgPool) -> (Engine, PartnerId) {
        let engine = testing::engine(db);
        let id = format!("refused-{:016x}", rand::random::<u64>());
        let text = include_str!("../../../partners/supabase.toml").replacen("id = \"supabase\"", &format!("id = \"{id}\""), 1);
        partner::import(&engine, vec![PartnerFile::parse(&format!("{id}.toml"), &text).unwrap()]).await.unwrap();
        (engine, id.parse().unwrap())
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn refusals_are_counted_by_path_and_reason_with_the_last_time(db: PgPool) {
        let (engine, id) = with_partner(db).await;
        note_refusal(&engine, id.as_str(), "events", Reason::WrongSignature).await;
        engine.clock.advance(TimeDelta::days(1));
        note_refusal(&engine, id.as_str(), "events", Reason::WrongSignature).await;
        let last_at = DateTime::from_timestamp(engine.now().timestamp(), 0).unwrap();
        engine.clock.advance(TimeDelta::seconds(2));
        note_refusal(&engine, id.as_str(), "made/up?by=strangers", Reason::UnknownPath).await;
        note_refusal(&engine, "nobody-we-know", "events", Reason::NoSecret).await;

        let refused = list_refusals(&engine, &WHO, Some(&id)).await.unwrap();
        assert_eq!(refused.len(), 2);
        assert_eq!((refused[0].reason, refused[0].path.as_deref(), refused[0].count), (Reason::UnknownPath, None, 1));
        let wrong = Refused { partner_id: id, path: Some("events".to_owned()), reason: Reason::WrongSignature, count: 2, last_at };
        assert_eq!(refused[1], wrong);

        let all = list_refusals(&engine, &WHO, None).await.unwrap();
        assert!(all.contains(&wrong) && all.iter().all(|refused| refused.partner_id.as_str() != "nobody-we-know"));
        assert!(matches!(list_refusals(&engine, &Principal::Anonymous, None).await, Err(Error::Unauthenticated)));
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_path_that_somebody_made_up_is_not_kept_whatever_the_reason(db: PgPool) {
        let (engine, id) = with_partner(db).await;
        for path in ["made-up", "made-up-too"] {
            note_refusal(&engine, id.as_str(), path, Reason::TooLarge).await;
        }
        note_refusal(&engine, id.as_str(), "events", Reason::TooLarge).await;
        let mut refused = list_refusals(&engine, &WHO, Some(&id)).await.unwrap();
        refused.sort_by_key(|refused| refused.count);
        let counted = refused.iter().map(|refused| (refused.path.as_deref(), refused.count)).collect::<Vec<_>>();
        assert_eq!(counted, [(Some("events"), 1), (None, 2)]);
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn what_was_refused_long_ago_is_told_no_more(db: PgPool) {
        let (engine, id) = with_partner(db).await;
        note_refusal(&engine, id.as_str(), "events", Reason::TooOld).await;
        engine.clock.advance(TimeDelta::days(7));
        assert_eq!(list_refusals(&engine, &WHO, Some(&id)).await.unwrap(), []);
    }

    #[test]
    fn every_reason_is_read_as_it_was_written() {
        for (reason, _) in Reason::ALL {
            assert_eq!(Reason::read(reason.as_str()), Some(reason));
        }
        assert_eq!(Reason::of(&Refusal::Signature(InvalidSignature::NoMatch)), Some(Reason::WrongSignature));
        assert_eq!(Reason::of(&Refusal::Engine(Error::Unauthenticated)), None);
    }
}
