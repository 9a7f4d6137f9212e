//! Tokens for machines: made once, stored as a digest, revocable.

use domain::{ApiTokenId, auth::Principal};

use crate::{
    Engine, Error, Result, audit,
    secret::{new_token, token_digest},
};

/// What a token may be allowed to do.
pub const SCOPES: [&str; 6] =
    ["sites:write", "clicks:write", "conversions:write", "successes:write", "experiments:read", "experiments:write"];

/// Makes a token and returns it; nobody can read it again.
///
/// # Errors
/// [`Error::Forbidden`], or [`Error::Invalid`] for an empty name or an unknown scope.
pub async fn create(engine: &Engine, who: &Principal, name: &str, scopes: &[String]) -> Result<String> {
    if !who.may_operate() {
        return Err(Error::Forbidden("only operators make API tokens".to_owned()));
    }
    if name.trim().is_empty() || name.len() > 100 {
        return Err(Error::invalid("name", "must be a text of 1 to 100 bytes"));
    }
    if let Some(unknown) = scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
        return Err(Error::invalid("scopes", format!("`{unknown}` is none of {}", SCOPES.join(", "))));
    }
    let token = new_token("p4s_api_");
    let id: ApiTokenId = engine.new_id();
    let mut tx = engine.db.begin().await?;
    sqlx::query!(
        "insert into api_tokens (api_token_id, token_digest, name, scopes, created_at) values ($1, $2, $3, $4, $5)",
        id.0,
        &token_digest(&token),
        name,
        scopes,
        engine.now(),
    )
    .execute(&mut *tx)
    .await?;
    audit::record(engine, &mut tx, who, "api_token.create", &format!("api token {name}"), serde_json::json!({ "scopes": scopes })).await?;
    tx.commit().await?;
    Ok(token)
}

/// The machine that a token belongs to; `None` if it is unknown or revoked.
pub async fn authenticate(engine: &Engine, token: &str) -> Result<Option<Principal>> {
    let found = sqlx::query!(
        r#"select api_token_id as "api_token_id: ApiTokenId", name, scopes from api_tokens where token_digest = $1 and revoked_at is null"#,
        &token_digest(token),
    )
    .fetch_optional(&engine.db)
    .await?;
    Ok(found.map(|row| Principal::Machine { id: row.api_token_id, name: row.name, scopes: row.scopes }))
}
