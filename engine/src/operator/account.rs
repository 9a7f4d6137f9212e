//! What people do about their own account, whatever their role.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::{OperatorId, auth::Principal};
use serde_json::json;

use super::{guard, password, session, subject};
use crate::{Engine, Error, Result, audit};

/// What somebody sees of their own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub created_at: DateTime<Utc>,
    /// Browsers that are signed in.
    pub sessions: i64,
    /// Somebody else gave the password, and knows it.
    pub password_is_temporary: bool,
}

/// The account of the one who asks.
///
/// # Errors
/// Refuses who is not signed in as an operator; so do the others here.
pub async fn account(engine: &Engine, who: &Principal) -> Result<Account> {
    let (id, _) = own(who)?;
    let found = sqlx::query_as!(
        Account,
        r#"select created_at, password_is_temporary,
                  (select count(*) from operator_sessions s where s.operator_id = $1 and s.expires_at > $2) as "sessions!"
           from operators
           where operator_id = $1"#,
        id.0,
        engine.now(),
    )
    .fetch_optional(&engine.db)
    .await?;
    found.ok_or(Error::Unauthenticated)
}

/// Changes one's own password and ends one's other sessions, but for the one of `token`. Tries of the present password count like tries to
/// sign in, and are noted like them: who finds an open browser cannot guess it.
///
/// # Errors
/// [`Error::Invalid`] if the present password is wrong or the new one too short or the same, [`Error::Forbidden`] after too many wrong
/// tries.
pub async fn change_password(engine: &Engine, who: &Principal, token: &str, present: &str, new: &str, address: IpAddr) -> Result<()> {
    let (id, email) = own(who)?;
    password::check("new_password", new)?;
    let known = Some(email.to_owned());
    let attempt = guard::begin(engine, &email.to_lowercase(), address).await;
    let attempt = attempt.map_err(|refusal| session::refused(engine, known.clone(), refusal))?;
    let hash = sqlx::query_scalar!("select password_hash from operators where operator_id = $1", id.0).fetch_optional(&engine.db).await?;
    if !attempt.verify(engine, present, hash.clone()).await? {
        session::note_failure(engine, known);
        return Err(Error::invalid("present_password", "this is not your present password"));
    }
    // Else one that somebody else gave, and knows, would count as one's own.
    if new == present {
        return Err(Error::invalid("new_password", "this is your present password: choose another"));
    }

    let new_hash = password::hash(new.to_owned()).await?;
    let mut tx = engine.db.begin().await?;
    let updated = sqlx::query!(
        "update operators set password_hash = $2, password_is_temporary = false where operator_id = $1 and password_hash = $3",
        id.0,
        new_hash,
        hash
    )
    .execute(&mut *tx)
    .await?;
    if updated.rows_affected() != 1 {
        return Err(Error::Conflict("the password was changed somewhere else at the same time".to_owned()));
    }
    let ended = sqlx::query!("delete from operator_sessions where operator_id = $1 and token_digest <> $2", id.0, session::digest(token))
        .execute(&mut *tx)
        .await?
        .rows_affected();
    audit::record(engine, &mut tx, who, "operator.change_password", &subject(email), json!({ "sessions_ended": ended })).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends all of one's own sessions, this one included. A second call ends nothing.
pub async fn sign_out_everywhere(engine: &Engine, who: &Principal) -> Result<()> {
    let (id, email) = own(who)?;
    let mut tx = engine.db.begin().await?;
    let ended = sqlx::query!("delete from operator_sessions where operator_id = $1", id.0).execute(&mut *tx).await?.rows_affected();
    audit::record(engine, &mut tx, who, "operator.sign_out_everywhere", &subject(email), json!({ "sessions_ended": ended })).await?;
    tx.commit().await?;
    Ok(())
}

fn own(who: &Principal) -> Result<(OperatorId, &str)> {
    match who {
        Principal::Operator { id, email, .. } => Ok((*id, email)),
        Principal::Anonymous => Err(Error::Unauthenticated),
        other => Err(Error::Forbidden(format!("{} has no account", other.actor()))),
    }
}
