//! Tokens for machines: made once, stored as a digest, revocable.

use chrono::{DateTime, Utc};
use domain::{ApiTokenId, PartnerId, auth::Principal};
use serde_json::json;

use crate::{
    Engine, Error, Result,
    access::{require_operate, require_read},
    audit, partner,
    secret::{new_token, token_digest},
};

/// What a token may be allowed to do.
pub const SCOPES: [&str; 7] =
    ["sites:write", "clicks:write", "conversions:write", "successes:write", "partners:read", "experiments:read", "experiments:write"];

/// What the token of a partner's server may be allowed to do: the rest is not about one partner, and so not for one to change.
pub const PARTNER_SCOPES: [&str; 3] = ["conversions:write", "successes:write", "partners:read"];

/// A token without its secret part, which nobody can read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub api_token_id: ApiTokenId,
    pub name: String,
    pub scopes: Vec<String>,
    /// The only partner that it may speak for; `None` for a service of our own, which speaks for all.
    pub partner_id: Option<PartnerId>,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Makes a token and returns it; nobody can read it again. With a partner it speaks for that one alone; without, it is for a service of
/// our own.
///
/// # Errors
/// [`Error::Invalid`] for an empty name, an unknown scope, or one that no partner may have; [`Error::NotFound`] if there is no such
/// partner; refuses anyone but operators.
pub async fn create(engine: &Engine, who: &Principal, name: &str, scopes: &[String], partner_id: Option<&PartnerId>) -> Result<String> {
    require_operate(who, "make API tokens")?;
    if name.trim().is_empty() || name.len() > 100 {
        return Err(Error::invalid("name", "must be a text of 1 to 100 bytes"));
    }
    let possible: &[&str] = if partner_id.is_some() { &PARTNER_SCOPES } else { &SCOPES };
    if let Some(other) = scopes.iter().find(|scope| !possible.contains(&scope.as_str())) {
        return Err(Error::invalid("scopes", format!("`{other}` is none of {}", possible.join(", "))));
    }
    let token = new_token("p4s_api_");
    let id: ApiTokenId = engine.new_id();
    let mut tx = engine.db.begin().await?;
    if let Some(partner_id) = partner_id {
        partner::find(&mut tx, partner_id).await?;
    }
    sqlx::query!(
        "insert into api_tokens (api_token_id, token_digest, name, scopes, created_at, partner_id) values ($1, $2, $3, $4, $5, $6)",
        id.0,
        &token_digest(&token),
        name,
        scopes,
        engine.now(),
        partner_id.map(PartnerId::as_str),
    )
    .execute(&mut *tx)
    .await?;
    audit::record(engine, &mut tx, who, "api_token.create", &subject(name), json!({ "scopes": scopes, "partner": partner_id })).await?;
    tx.commit().await?;
    Ok(token)
}

/// All tokens, the newest first, revoked ones included.
///
/// # Errors
/// Refuses who may not read.
pub async fn list(engine: &Engine, who: &Principal) -> Result<Vec<Listed>> {
    require_read(who, "see API tokens")?;
    let tokens = sqlx::query_as!(
        Listed,
        r#"select api_token_id as "api_token_id: ApiTokenId", name, scopes, partner_id as "partner_id: PartnerId", created_at, revoked_at
           from api_tokens
           order by created_at desc, api_token_id desc"#,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(tokens)
}

/// Revokes a token: from the next request on it is nobody's. A second call changes nothing.
///
/// # Errors
/// [`Error::NotFound`] if there is no such token; refuses anyone but operators.
pub async fn revoke(engine: &Engine, who: &Principal, id: ApiTokenId) -> Result<()> {
    require_operate(who, "revoke API tokens")?;
    let mut tx = engine.db.begin().await?;
    let token = sqlx::query!("select name, revoked_at from api_tokens where api_token_id = $1 for update", id.0)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| Error::not_found(format!("API token `{id}`")))?;
    if token.revoked_at.is_some() {
        return Ok(());
    }
    sqlx::query!("update api_tokens set revoked_at = $2 where api_token_id = $1", id.0, engine.now()).execute(&mut *tx).await?;
    audit::record(engine, &mut tx, who, "api_token.revoke", &subject(&token.name), json!({ "id": id })).await?;
    tx.commit().await?;
    Ok(())
}

/// How the audit log names a token.
fn subject(name: &str) -> String {
    format!("api token {name}")
}

/// The machine that a token belongs to; `None` if it is unknown or revoked. Asks the database each time, so that a token ends with its
/// revocation.
pub async fn authenticate(engine: &Engine, token: &str) -> Result<Option<Principal>> {
    let found = sqlx::query!(
        r#"select api_token_id as "api_token_id: ApiTokenId", name, scopes, partner_id as "partner_id: PartnerId"
           from api_tokens
           where token_digest = $1 and revoked_at is null"#,
        &token_digest(token),
    )
    .fetch_optional(&engine.db)
    .await?;
    Ok(found.map(|row| Principal::Machine { id: row.api_token_id, name: row.name, scopes: row.scopes, partner_id: row.partner_id }))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::path::Path;

    use sqlx::PgPool;

    use super::*;
    use crate::{partner, testing};

    async fn machine(engine: &Engine, scope: &str) -> Principal {
        let token = create(engine, &Principal::CommandLine, "ci", &[scope.to_owned()], None).await.unwrap();
        authenticate(engine, &token).await.unwrap().unwrap()
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn only_operators_make_tokens(db: PgPool) {
        let engine = testing::engine(db);
        let scopes = ["sites:write".to_owned()];
        let machine = machine(&engine, "sites:write").await;
        assert!(matches!(create(&engine, &Principal::Anonymous, "ci", &scopes, None).await, Err(Error::Unauthenticated)));
        assert!(matches!(create(&engine, &machine, "ci", &scopes, None).await, Err(Error::Forbidden(_))));
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_token_may_see_the_registry_if_it_was_given_that(db: PgPool) {
        let engine = testing::engine(db);
        partner::import_files(&engine, Path::new("../partners")).await.unwrap();
        assert_eq!(partner::list(&engine, &machine(&engine, "partners:read").await).await.unwrap().len(), 3);
        assert!(matches!(partner::list(&engine, &machine(&engine, "sites:write").await).await, Err(Error::Forbidden(_))));
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_partners_token_sees_that_partner_alone_and_has_only_a_partners_scopes(db: PgPool) {
        let engine = testing::engine(db);
        partner::import_files(&engine, Path::new("../partners")).await.unwrap();
        let (own, other): (PartnerId, PartnerId) = ("supabase".parse().unwrap(), "railway".parse().unwrap());
        let make = async |scope: &str, partner_id: &PartnerId| {
            create(&engine, &Principal::CommandLine, "their server", &[scope.to_owned()], Some(partner_id)).await
        };
        assert!(matches!(make("sites:write", &own).await, Err(Error::Invalid { field, .. }) if field == "scopes"));
        assert!(matches!(make("partners:read", &"nobody".parse().unwrap()).await, Err(Error::NotFound { .. })));

        let token = make("partners:read", &own).await.unwrap();
        let who = authenticate(&engine, &token).await.unwrap().unwrap();
        let seen = partner::list(&engine, &who).await.unwrap();
        assert_eq!(seen.iter().map(|partner| &partner.partner_id).collect::<Vec<_>>(), [&own]);
        assert_eq!(partner::overview(&engine, &who).await.unwrap().len(), 1);
        assert!(partner::list_terms(&engine, &who, &own).await.is_ok());
        assert!(matches!(partner::show(&engine, &who, &other).await, Err(Error::NotFound { .. })));
        assert!(matches!(partner::list_terms(&engine, &who, &other).await, Err(Error::NotFound { .. })));
        assert!(matches!(partner::list_secrets(&engine, &who, &other).await, Err(Error::NotFound { .. })));
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_revoked_token_is_refused_at_once_and_stays_in_the_list(db: PgPool) {
        let engine = testing::engine(db);
        let token = create(&engine, &Principal::CommandLine, "ci", &["sites:write".to_owned()], None).await.unwrap();
        let machine = authenticate(&engine, &token).await.unwrap().unwrap();
        let id = list(&engine, &Principal::CommandLine).await.unwrap()[0].api_token_id;
        assert!(matches!(revoke(&engine, &machine, id).await, Err(Error::Forbidden(_))));
        assert!(matches!(list(&engine, &machine).await, Err(Error::Forbidden(_))));
        assert!(matches!(revoke(&engine, &Principal::CommandLine, engine.new_id()).await, Err(Error::NotFound { .. })));

        revoke(&engine, &Principal::CommandLine, id).await.unwrap();
        assert_eq!(authenticate(&engine, &token).await.unwrap(), None);
        let revoked = list(&engine, &Principal::CommandLine).await.unwrap();
        assert_eq!((revoked.len(), revoked[0].revoked_at.is_some()), (1, true));
        revoke(&engine, &Principal::CommandLine, id).await.unwrap();
        assert_eq!(list(&engine, &Principal::CommandLine).await.unwrap(), revoked, "a second call changes nothing");
        let audited: Vec<String> =
            sqlx::query_scalar("select action from audit_entries where action like 'api_token.%' order by audit_entry_id")
                .fetch_all(&engine.db)
                .await
                .unwrap();
        assert_eq!(audited, ["api_token.create", "api_token.revoke"]);
    }
}
