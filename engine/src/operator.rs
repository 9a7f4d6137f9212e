//! Operators: the people who sign in, their passwords and their sessions.
//!
//! Passwords are kept as argon2id hashes, session tokens as SHA-256 digests, so that a copy of the database signs nobody in.

use std::sync::OnceLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use chrono::Duration;
use domain::{
    OperatorId,
    auth::{Principal, Role},
};
use redis::AsyncCommands;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::{Engine, Error, Result, audit};

/// The name of the session's cookie.
pub const SESSION_COOKIE: &str = "orchestrator_session";

/// 14 days: one signs in every other week, and a forgotten browser does not stay open for long.
pub const SESSION_DAYS: i64 = 14;

/// 12: NIST SP 800-63B asks for at least 8, and 15 where the password stands alone; sign-ins are limited here.
pub const PASSWORD_CHARS_MIN: usize = 12;

/// Hashing reads the whole password, so its length is bounded.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Longest address that can be delivered to (RFC 5321).
const EMAIL_BYTES_MAX: usize = 254;

/// 10 in 15 minutes: a person may mistype, a guesser gets nowhere.
const FAILURES_MAX: i64 = 10;
const FAILURES_WINDOW_SECONDS: i64 = 15 * 60;

/// Each hash takes 19 MiB and a core for some 20 ms; more at once only wait for each other.
static HASHING: Semaphore = Semaphore::const_new(4);

/// Who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    pub id: OperatorId,
    pub email: String,
    pub role: Role,
}

/// Makes an operator.
///
/// # Errors
/// [`Error::Invalid`] for an e-mail without `@` or a password that is too short, [`Error::Conflict`] if the e-mail is taken.
pub async fn create(engine: &Engine, email: &str, password: &str, role: Role) -> Result<OperatorId> {
    let email = parse_email(email)?;
    check_password(password)?;
    let hash = hash(password.to_owned()).await?;
    let id: OperatorId = engine.new_id();
    let mut tx = engine.db.begin().await?;
    sqlx::query!(
        "insert into operators (operator_id, email, password_hash, role, created_at) values ($1, $2, $3, $4, $5)",
        id.0,
        email,
        hash,
        role as Role,
        engine.now(),
    )
    .execute(&mut *tx)
    .await
    .map_err(|error| match error.as_database_error().and_then(|database| database.constraint()) {
        Some("operators_email_key") => Error::Conflict(format!("an operator `{email}` is there already")),
        _ => error.into(),
    })?;
    audit::record(engine, &mut tx, &Principal::CommandLine, "operator.create", &format!("operator {email}"), json!({ "role": role }))
        .await?;
    tx.commit().await?;
    Ok(id)
}

/// How many operators there are.
pub async fn count(engine: &Engine) -> Result<i64> {
    Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from operators"#).fetch_one(&engine.db).await?)
}

/// Checks the password and opens a session; the token goes into the cookie and nowhere else.
///
/// An unknown e-mail takes as long as a wrong password and is answered alike.
///
/// # Errors
/// [`Error::Invalid`] if e-mail or password is wrong, [`Error::Forbidden`] after too many wrong tries.
pub async fn sign_in(engine: &Engine, email: &str, password: &str) -> Result<(Operator, String)> {
    let email = email.trim().to_lowercase();
    if failures(engine, &email).await >= FAILURES_MAX {
        return Err(Error::Forbidden("too many failed tries for this e-mail; wait 15 minutes".to_owned()));
    }
    let found =
        sqlx::query!(r#"select operator_id, email, password_hash, role as "role: Role" from operators where lower(email) = $1"#, email)
            .fetch_optional(&engine.db)
            .await?;

    let right = verify(password.to_owned(), found.as_ref().map(|operator| operator.password_hash.clone())).await?;
    let Some(operator) = found.filter(|_| right) else {
        count_failure(engine, &email).await;
        return Err(Error::invalid("password", "e-mail or password is wrong"));
    };
    let operator = Operator { id: OperatorId(operator.operator_id), email: operator.email, role: operator.role };
    let token = open_session(engine, operator.id).await?;
    forget_failures(engine, &email).await;
    Ok((operator, token))
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
    sqlx::query!("delete from operator_sessions where token_digest = $1", digest(token)).execute(&engine.db).await?;
    Ok(())
}

/// Opens a session, and clears the operator's sessions that have expired.
async fn open_session(engine: &Engine, id: OperatorId) -> Result<String> {
    let token = hex::encode(rand::random::<[u8; 32]>());
    let now = engine.now();
    let mut tx = engine.db.begin().await?;
    sqlx::query!("delete from operator_sessions where operator_id = $1 and expires_at <= $2", id.0, now).execute(&mut *tx).await?;
    sqlx::query!(
        "insert into operator_sessions (token_digest, operator_id, created_at, expires_at) values ($1, $2, $3, $4)",
        digest(&token),
        id.0,
        now,
        now + Duration::days(SESSION_DAYS),
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("update operators set last_signed_in_at = $2 where operator_id = $1", id.0, now).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(token)
}

fn digest(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

fn parse_email(text: &str) -> Result<String> {
    let email = text.trim().to_lowercase();
    let parts = email.split_once('@').filter(|(name, host)| !name.is_empty() && !host.is_empty());
    if parts.is_none() || email.len() > EMAIL_BYTES_MAX || email.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err(Error::invalid("email", format!("`{text}` is not an e-mail address")));
    }
    Ok(email)
}

fn check_password(password: &str) -> Result<()> {
    let chars = password.chars().count();
    if chars < PASSWORD_CHARS_MIN {
        return Err(Error::invalid("password", format!("a password needs at least {PASSWORD_CHARS_MIN} characters, this has {chars}")));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Error::invalid("password", format!("a password has at most {PASSWORD_BYTES_MAX} bytes")));
    }
    Ok(())
}

async fn hash(password: String) -> Result<String> {
    blocking(move || {
        Ok(Argon2::default().hash_password(password.as_bytes()).map_err(|error| Error::internal(error.to_string()))?.to_string())
    })
    .await
}

/// Whether the password is that of the hash; without a hash the same work is done for nothing.
async fn verify(password: String, hash: Option<String>) -> Result<bool> {
    static NOBODY: OnceLock<String> = OnceLock::new();
    if password.len() > PASSWORD_BYTES_MAX {
        return Ok(false);
    }
    blocking(move || {
        let nobody = || NOBODY.get_or_init(|| Argon2::default().hash_password(b"nobody").map(|hash| hash.to_string()).unwrap_or_default());
        let text = hash.as_deref().unwrap_or_else(|| nobody());
        let parsed = PasswordHash::new(text).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && hash.is_some())
    })
    .await
}

/// Runs a hash where it holds up no other request.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let _permit = HASHING.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

fn failures_key(email: &str) -> String {
    format!("sign_in_failures:{}", hex::encode(Sha256::digest(email.as_bytes())))
}

/// Failed tries in the window. Zero while Redis is away: signing in matters more then, and hashing is slow enough.
async fn failures(engine: &Engine, email: &str) -> i64 {
    let counted: redis::RedisResult<Option<i64>> = engine.redis.clone().get(failures_key(email)).await;
    counted.ok().flatten().unwrap_or(0)
}

async fn count_failure(engine: &Engine, email: &str) {
    let key = failures_key(email);
    let counted: redis::RedisResult<()> = redis::pipe()
        .atomic()
        .incr(&key, 1)
        .ignore()
        .cmd("EXPIRE")
        .arg(&key)
        .arg(FAILURES_WINDOW_SECONDS)
        .arg("NX")
        .ignore()
        .query_async(&mut engine.redis.clone())
        .await;
    if let Err(error) = counted {
        tracing::warn!(%error, "a failed sign-in was not counted");
    }
}

async fn forget_failures(engine: &Engine, email: &str) {
    let _: redis::RedisResult<()> = engine.redis.clone().del(failures_key(email)).await;
}

#[cfg(test)]
mod tests;
