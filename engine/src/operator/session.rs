//! Signing in and out. Both leave an entry in the audit log, and so do failed tries, the 1st, 10th, 100th … of an account in 15 minutes:
//! `guard` counts them, and while Redis is away only the server's log tells of them.

use std::net::IpAddr;

use chrono::Duration;
use domain::{
    OperatorId,
    auth::{Principal, Role},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Operator, guard, subject};
use crate::{Engine, Error, Result, audit};

/// The name of the session's cookie.
pub const SESSION_COOKIE: &str = "orchestrator_session";

/// 14 days: one signs in every other week, and a forgotten browser does not stay open for long.
pub const SESSION_DAYS: i64 = 14;

/// Checks the password and opens a session; the token goes into the cookie and nowhere else. `address` is where the request came from.
///
/// An unknown e-mail takes as long as a wrong password and is answered alike.
///
/// # Errors
/// [`Error::Invalid`] if e-mail or password is wrong, [`Error::Forbidden`] after too many wrong tries, [`Error::Unavailable`] if too many
/// sign in at once.
pub async fn sign_in(engine: &Engine, email: &str, password: &str, address: IpAddr) -> Result<(Operator, String)> {
    let email = email.trim().to_lowercase();
    let found = sqlx::query!(
        r#"select operator_id, email, password_hash, role as "role: Role", password_is_temporary from operators where lower(email) = $1"#,
        email,
    )
    .fetch_optional(&engine.db)
    .await?;
    let known = found.as_ref().map(|operator| operator.email.clone());
    let attempt = guard::begin(engine, &email, address).await.map_err(|refusal| refused(engine, known.clone(), refusal))?;

    let hash = found.as_ref().map(|operator| operator.password_hash.clone());
    let right = attempt.verify(engine, password, hash).await?;
    if let Some(row) = found.filter(|_| right) {
        let id = OperatorId(row.operator_id);
        let operator = Operator { id, email: row.email, role: row.role, password_is_temporary: row.password_is_temporary };
        if let Some(token) = open(engine, &operator, &row.password_hash).await? {
            tracing::info!(operator.id = %operator.id, "someone signed in");
            return Ok((operator, token));
        }
    }
    note_failure(engine, known);
    Err(Error::invalid("password", "e-mail or password is wrong"))
}

/// Who a session's token belongs to; `None` once it has expired or was signed out.
pub async fn authenticate(engine: &Engine, token: &str) -> Result<Option<Principal>> {
    let found = sqlx::query!(
        r#"select operator_id, email, role as "role: Role"
           from operator_sessions
           join operators using (operator_id)
           where token_digest = $1 and expires_at > $2"#,
        digest(token),
        engine.now(),
    )
    .fetch_optional(&engine.db)
    .await?;
    Ok(found.map(|operator| Principal::Operator { id: OperatorId(operator.operator_id), email: operator.email, role: operator.role }))
}

/// Ends a session. A token that is not known is no error.
pub async fn sign_out(engine: &Engine, token: &str) -> Result<()> {
    let mut tx = engine.db.begin().await?;
    let ended = sqlx::query!(
        r#"delete from operator_sessions
           using operators
           where token_digest = $1 and operators.operator_id = operator_sessions.operator_id
           returning operators.operator_id, email, role as "role: Role""#,
        digest(token),
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(row) = ended {
        let subject = subject(&row.email);
        let who = Principal::Operator { id: OperatorId(row.operator_id), email: row.email, role: row.role };
        audit::record(engine, &mut tx, &who, "operator.sign_out", &subject, json!({})).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Opens a session, and clears the operator's sessions that have expired. `None` if the password that was right a moment ago is so no more:
/// it was changed, or the operator removed.
pub(super) async fn open(engine: &Engine, operator: &Operator, password_hash: &str) -> Result<Option<String>> {
    let token = hex::encode(rand::random::<[u8; 32]>());
    let (id, now) = (operator.id.0, engine.now());
    let mut tx = engine.db.begin().await?;
    let still_right =
        sqlx::query!("update operators set last_signed_in_at = $2 where operator_id = $1 and password_hash = $3", id, now, password_hash)
            .execute(&mut *tx)
            .await?;
    if still_right.rows_affected() != 1 {
        return Ok(None);
    }
    sqlx::query!("delete from operator_sessions where operator_id = $1 and expires_at <= $2", id, now).execute(&mut *tx).await?;
    sqlx::query!(
        "insert into operator_sessions (token_digest, operator_id, created_at, expires_at) values ($1, $2, $3, $4)",
        digest(&token),
        id,
        now,
        now + Duration::days(SESSION_DAYS),
    )
    .execute(&mut *tx)
    .await?;
    audit::record(engine, &mut tx, &operator.principal(), "operator.sign_in", &subject(&operator.email), json!({})).await?;
    tx.commit().await?;
    Ok(Some(token))
}

pub(super) fn digest(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// Notes the first try that a limit refuses within its window.
pub(super) fn refused(engine: &Engine, known: Option<String>, refusal: guard::Refusal) -> Error {
    if refusal.is_first {
        let detail = json!({ "reason": refusal.to_string() });
        tracing::warn!(limit = ?refusal.limit, "further tries to sign in are refused");
        note(engine, "operator.sign_in_refused", known, |_| detail);
    }
    Error::Forbidden(refusal.to_string())
}

/// Notes a wrong password, whether it was to sign in or to be changed.
pub(super) fn note_failure(engine: &Engine, known: Option<String>) {
    note(engine, "operator.sign_in_failed", known, |count| json!({ "failed_tries_in_15_minutes": count }));
}

/// Whose account a failed try was for. What was typed as an unknown e-mail is not kept, since it may be a password.
pub(super) fn noted_subject(known: Option<&str>) -> String {
    known.map_or_else(|| "an unknown e-mail".to_owned(), subject)
}

/// Writes a try that failed into the audit log, if it is worth it; `detail` gets how many there were.
///
/// In a task of its own: how long the answer takes must not tell whether the e-mail is known.
fn note(engine: &Engine, action: &'static str, known: Option<String>, detail: impl FnOnce(i64) -> Value + Send + 'static) {
    let engine = engine.with_time_of_task();
    tokio::spawn(async move {
        let subject = noted_subject(known.as_deref());
        let Some(count) = guard::is_worth_noting(&engine, &format!("{action} {subject}")).await else { return };
        let noted = async {
            let mut connection = engine.db.acquire().await?;
            audit::record(&engine, &mut connection, &Principal::Anonymous, action, &subject, detail(count)).await
        };
        if let Err(error) = noted.await {
            tracing::warn!(%error, "a failed try to sign in was not noted");
        }
    });
}
