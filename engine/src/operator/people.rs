//! Who may sign in, as what: for owners and the command line.

use chrono::{DateTime, Utc};
use domain::{
    OperatorId,
    auth::{Principal, Role},
};
use serde_json::json;
use sqlx::PgConnection;

use super::{Operator, password, subject};
use crate::{Engine, Error, Result, access::require_manage_people, audit};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub operator_id: OperatorId,
    pub email: String,
    pub role: Role,
    pub created_at: DateTime<Utc>,
    pub last_signed_in_at: Option<DateTime<Utc>>,
    /// Browsers that are signed in.
    pub sessions: i64,
}

/// All people by e-mail.
///
/// # Errors
/// Refuses anyone but owners; so do the others here.
pub async fn list(engine: &Engine, who: &Principal) -> Result<Vec<Person>> {
    require_manage_people(who, "see who may sign in")?;
    let people = sqlx::query_as!(
        Person,
        r#"select operator_id as "operator_id: OperatorId", email, role as "role: Role", created_at, last_signed_in_at,
                  (select count(*) from operator_sessions s where s.operator_id = o.operator_id and s.expires_at > $1) as "sessions!"
           from operators o
           order by lower(email)"#,
        engine.now(),
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(people)
}

/// Gives somebody else another password, to be replaced by their own, and ends all their sessions.
///
/// # Errors
/// [`Error::NotFound`] if there is no such operator; [`Error::Invalid`] if the password is too short; [`Error::Conflict`] if they are the
/// one who asks.
pub async fn set_password(engine: &Engine, who: &Principal, email: &str, password: &str) -> Result<()> {
    require_manage_people(who, "change others' passwords")?;
    password::check("password", password)?;
    let hash = password::hash(password.to_owned()).await?;
    let mut tx = engine.db.begin().await?;
    let (person, _) = lock(&mut tx, email).await?;
    // The session that the new password would be shown in ends: the only owner would be locked out.
    if matches!(who, Principal::Operator { id, .. } if *id == person.id) {
        return Err(Error::Conflict("change your own password on your account page".to_owned()));
    }
    sqlx::query!("update operators set password_hash = $2, password_is_temporary = true where operator_id = $1", person.id.0, hash)
        .execute(&mut *tx)
        .await?;
    let ended = sqlx::query!("delete from operator_sessions where operator_id = $1", person.id.0).execute(&mut *tx).await?.rows_affected();
    audit::record(engine, &mut tx, who, "operator.set_password", &subject(&person.email), json!({ "sessions_ended": ended })).await?;
    tx.commit().await?;
    Ok(())
}

/// Changes what somebody may do, at once. The role that they have already changes nothing.
///
/// # Errors
/// [`Error::NotFound`] if there is no such operator; [`Error::Conflict`] if they are the only owner.
pub async fn set_role(engine: &Engine, who: &Principal, email: &str, role: Role) -> Result<()> {
    require_manage_people(who, "change others' roles")?;
    let mut tx = engine.db.begin().await?;
    let (person, owners) = lock(&mut tx, email).await?;
    if person.role == role {
        return Ok(());
    }
    keep_an_owner(&person, owners)?;
    sqlx::query!("update operators set role = $2 where operator_id = $1", person.id.0, role as Role).execute(&mut *tx).await?;
    let detail = json!({ "before": { "role": person.role }, "after": { "role": role } });
    audit::record(engine, &mut tx, who, "operator.set_role", &subject(&person.email), detail).await?;
    tx.commit().await?;
    Ok(())
}

/// Removes somebody, whose sessions end with it. What they did stays in the audit log.
///
/// # Errors
/// [`Error::NotFound`] if there is no such operator; [`Error::Conflict`] if they are the only owner.
pub async fn remove(engine: &Engine, who: &Principal, email: &str) -> Result<()> {
    require_manage_people(who, "remove people")?;
    let mut tx = engine.db.begin().await?;
    let (person, owners) = lock(&mut tx, email).await?;
    keep_an_owner(&person, owners)?;
    sqlx::query!("delete from operators where operator_id = $1", person.id.0).execute(&mut *tx).await?;
    audit::record(engine, &mut tx, who, "operator.remove", &subject(&person.email), json!({ "role": person.role })).await?;
    tx.commit().await?;
    Ok(())
}

/// Locks somebody and all owners, whose number is returned too, in one order: two owners who remove each other at once do not both go.
async fn lock(tx: &mut PgConnection, email: &str) -> Result<(Operator, usize)> {
    let rows = sqlx::query!(
        r#"select operator_id, email, role as "role: Role", password_is_temporary
           from operators
           where role = 'owner' or lower(email) = lower($1)
           order by operator_id
           for update"#,
        email.trim(),
    )
    .fetch_all(tx)
    .await?;
    let owners = rows.iter().filter(|row| row.role == Role::Owner).count();
    let wanted = email.trim().to_lowercase();
    let person = rows.into_iter().find(|row| row.email.to_lowercase() == wanted);
    let person = person.ok_or_else(|| Error::not_found(format!("operator `{wanted}`")))?;
    let id = OperatorId(person.operator_id);
    Ok((Operator { id, email: person.email, role: person.role, password_is_temporary: person.password_is_temporary }, owners))
}

fn keep_an_owner(person: &Operator, owners: usize) -> Result<()> {
    if person.role == Role::Owner && owners <= 1 {
        return Err(Error::Conflict(format!("`{}` is the only owner: make somebody else an owner first", person.email)));
    }
    Ok(())
}
