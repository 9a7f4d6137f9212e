//! Operators: the people who sign in.
//!
//! `session` signs in and out, `people` says who may, `account` is what everyone does about themselves, `guard` limits guessing, and
//! `password` hashes. Passwords are kept as argon2id hashes, session tokens as SHA-256 digests, so that a copy of the database signs nobody
//! in.

use domain::{
    OperatorId,
    auth::{Principal, Role},
};
use serde_json::json;

use crate::{Engine, Error, Result, access::require_manage_people, audit};

mod account;
mod guard;
mod password;
mod people;
mod session;
pub use account::{Account, account, change_password, sign_out_everywhere};
pub use password::PASSWORD_CHARS_MIN;
pub use people::{Person, list, remove, set_password, set_role};
pub use session::{SESSION_COOKIE, SESSION_DAYS, authenticate, sign_in, sign_out};

/// Longest address that can be delivered to (RFC 5321).
const EMAIL_BYTES_MAX: usize = 254;

/// Who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    pub id: OperatorId,
    pub email: String,
    pub role: Role,
    /// Somebody else gave the password, and knows it.
    pub password_is_temporary: bool,
}

impl Operator {
    fn principal(&self) -> Principal {
        Principal::Operator { id: self.id, email: self.email.clone(), role: self.role }
    }
}

/// Somebody to be added.
#[derive(Clone, Copy)]
pub struct NewOperator<'a> {
    pub email: &'a str,
    pub password: &'a str,
    pub role: Role,
    pub password_is_temporary: bool,
}

/// Makes an operator.
///
/// # Errors
/// [`Error::Invalid`] for an e-mail without `@` or a password that is too short, [`Error::Conflict`] if the e-mail is taken; refuses anyone
/// but owners.
pub async fn create(engine: &Engine, who: &Principal, new: NewOperator<'_>) -> Result<OperatorId> {
    require_manage_people(who, "add people")?;
    let email = parse_email(new.email)?;
    password::check("password", new.password)?;
    let hash = password::hash(new.password.to_owned()).await?;
    let id: OperatorId = engine.new_id();
    let mut tx = engine.db.begin().await?;
    sqlx::query!(
        "insert into operators (operator_id, email, password_hash, role, created_at, password_is_temporary)
         values ($1, $2, $3, $4, $5, $6)",
        id.0,
        email,
        hash,
        new.role as Role,
        engine.now(),
        new.password_is_temporary,
    )
    .execute(&mut *tx)
    .await
    .map_err(|error| match error.as_database_error().and_then(|database| database.constraint()) {
        Some("operators_email_key") => Error::Conflict(format!("an operator `{email}` is there already")),
        _ => error.into(),
    })?;
    audit::record(engine, &mut tx, who, "operator.create", &subject(&email), json!({ "role": new.role })).await?;
    tx.commit().await?;
    Ok(id)
}

/// How many operators there are.
pub async fn count(engine: &Engine) -> Result<i64> {
    Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from operators"#).fetch_one(&engine.db).await?)
}

/// Whether this is the operator's password. It counts no tries: for what the installation itself wrote down, not for what somebody typed.
pub async fn has_password(engine: &Engine, email: &str, password: &str) -> Result<bool> {
    let hash =
        sqlx::query_scalar!("select password_hash from operators where lower(email) = lower($1)", email).fetch_optional(&engine.db).await?;
    password::verify(password.to_owned(), hash).await
}

/// How the audit log names an operator.
fn subject(email: &str) -> String {
    format!("operator {email}")
}

fn parse_email(text: &str) -> Result<String> {
    let email = text.trim().to_lowercase();
    let parts = email.split_once('@').filter(|(name, host)| !name.is_empty() && !host.is_empty());
    if parts.is_none() || email.len() > EMAIL_BYTES_MAX || email.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err(Error::invalid("email", format!("`{text}` is not an e-mail address")));
    }
    Ok(email)
}

#[cfg(test)]
mod tests;
