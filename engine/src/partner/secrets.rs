//! The secrets that a partner's deliveries are checked with: sealed at rest, shown once, two active at most.

use std::{
    fmt,
    time::{Duration, Instant},
};

use domain::{
    PartnerId, PartnerSecretId,
    auth::Principal,
    partner::{PartnerSecret, SecretPurpose, WebhookScheme},
    signature,
};
use moka::sync::Cache;
use serde_json::json;
use sqlx::PgConnection;

use super::{lock, require_operate, require_read_of, subject};
use crate::{Engine, Error, Result, audit, secret};

/// Two, so that the partner can move from the old one to the new one without losing a delivery.
const ACTIVE_MAX: i64 = 2;
/// 10 s: how long a process may still accept a secret that was revoked elsewhere.
const CACHE_SECONDS: u64 = 10;
const REREAD_PAUSE: Duration = Duration::from_secs(1);
/// Senders' documents allow 8 to 64 characters; fewer than 16 can be guessed.
const SECRET_LENGTH_MIN: usize = 16;
const SECRET_LENGTH_MAX: usize = 512;
const HINT_LENGTH: usize = 4;

/// The active secrets by partner and purpose, opened, so that a webhook costs no query for them.
#[derive(Clone)]
pub struct Secrets(Cache<(PartnerId, SecretPurpose), Cached>);

#[derive(Clone)]
struct Cached {
    secrets: Vec<String>,
    read_at: Instant,
}

impl Default for Secrets {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(10_000).time_to_live(Duration::from_secs(CACHE_SECONDS)).build())
    }
}

/// Never shows a secret.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// Sets a secret, made here unless `plain` is given, and returns it: nobody can read it again. The one before stays active for a rotation.
///
/// # Errors
/// [`Error::Conflict`] while two are active: which of them the partner signs with is not known here, so that a person revokes one first.
/// [`Error::Invalid`] for a secret that is too short or cannot serve as one; [`Error::NotFound`] if there is no such partner.
pub async fn set_secret(
    engine: &Engine,
    who: &Principal,
    partner_id: &PartnerId,
    purpose: SecretPurpose,
    plain: Option<String>,
) -> Result<String> {
    require_operate(who)?;
    let plain = plain.unwrap_or_else(|| generate(purpose));
    check(purpose, &plain)?;

    let mut tx = engine.db.begin().await?;
    lock(&mut tx, partner_id).await?;
    refuse_a_third(&mut tx, partner_id, purpose).await?;
    let id: PartnerSecretId = engine.new_id();
    let hint = hint(&plain);
    sqlx::query!(
        "insert into partner_secrets (partner_secret_id, partner_id, purpose, sealed, hint, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7)",
        id.0,
        partner_id.as_str(),
        purpose.as_str(),
        engine.keys.seal(&seal_purpose(id, partner_id, purpose), plain.as_bytes()),
        hint,
        engine.now(),
        who.actor(),
    )
    .execute(&mut *tx)
    .await?;
    let detail = json!({ "purpose": purpose, "hint": hint });
    audit::record(engine, &mut tx, who, "partner.secret_set", &subject(partner_id), detail).await?;
    tx.commit().await?;
    engine.secrets.0.invalidate(&(partner_id.clone(), purpose));
    Ok(plain)
}

async fn refuse_a_third(tx: &mut PgConnection, partner_id: &PartnerId, purpose: SecretPurpose) -> Result<()> {
    let active = sqlx::query_scalar!(
        r#"select count(*) as "active!" from partner_secrets where partner_id = $1 and purpose = $2 and revoked_at is null"#,
        partner_id.as_str(),
        purpose.as_str(),
    )
    .fetch_one(tx)
    .await?;
    if active < ACTIVE_MAX {
        return Ok(());
    }
    let purpose = purpose.as_str();
    Err(Error::Conflict(format!(
        "`{partner_id}` has {active} active {purpose} secrets: revoke the one that the partner does not use any more, then make a new one"
    )))
}

/// Revokes a secret: as a rule at once in this process, within 10 s everywhere. A second call changes nothing.
///
/// # Errors
/// [`Error::NotFound`] if the partner has no such secret.
pub async fn revoke_secret(engine: &Engine, who: &Principal, partner_id: &PartnerId, id: PartnerSecretId) -> Result<()> {
    require_operate(who)?;
    let mut tx = engine.db.begin().await?;
    lock(&mut tx, partner_id).await?;
    let row = sqlx::query!(
        r#"select purpose as "purpose: SecretPurpose", hint, revoked_at
           from partner_secrets
           where partner_secret_id = $1
             and partner_id = $2"#,
        id.0,
        partner_id.as_str(),
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| Error::not_found(format!("secret `{id}` of partner `{partner_id}`")))?;
    if row.revoked_at.is_some() {
        return Ok(());
    }
    sqlx::query!("update partner_secrets set revoked_at = $2 where partner_secret_id = $1", id.0, engine.now()).execute(&mut *tx).await?;
    let detail = json!({ "purpose": row.purpose, "hint": row.hint });
    audit::record(engine, &mut tx, who, "partner.secret_revoked", &subject(partner_id), detail).await?;
    tx.commit().await?;
    engine.secrets.0.invalidate(&(partner_id.clone(), row.purpose));
    Ok(())
}

/// What may be seen of a partner's secrets, the newest first.
///
/// # Errors
/// Refuses who may not read.
pub async fn list_secrets(engine: &Engine, who: &Principal, partner_id: &PartnerId) -> Result<Vec<PartnerSecret>> {
    require_read_of(who, partner_id)?;
    let secrets = sqlx::query_as!(
        PartnerSecret,
        r#"select partner_secret_id as "partner_secret_id: PartnerSecretId",
                  partner_id as "partner_id: PartnerId",
                  purpose as "purpose: SecretPurpose",
                  hint,
                  created_at,
                  created_by,
                  revoked_at
           from partner_secrets
           where partner_id = $1
           order by created_at desc, partner_secret_id desc"#,
        partner_id.as_str(),
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(secrets)
}

/// The secrets that a delivery may be checked with, the newest first; none for an unknown partner. Kept in memory for up to 10 s.
///
/// # Errors
/// [`Error::Internal`] if a secret was sealed with another master key.
pub async fn active_secrets(engine: &Engine, partner_id: &PartnerId, purpose: SecretPurpose) -> Result<Vec<String>> {
    match engine.secrets.0.get(&(partner_id.clone(), purpose)) {
        Some(cached) => Ok(cached.secrets),
        None => read_secrets(engine, partner_id, purpose).await,
    }
}

/// The active secrets, read anew, for a signature that fits none of those known: another process may just have made one.
/// `None` if they were read less than a second ago, so that forged messages do not keep the database busy.
pub async fn newer_secrets(engine: &Engine, partner_id: &PartnerId, purpose: SecretPurpose) -> Result<Option<Vec<String>>> {
    let cached = engine.secrets.0.get(&(partner_id.clone(), purpose));
    if cached.is_some_and(|cached| cached.read_at.elapsed() < REREAD_PAUSE) {
        return Ok(None);
    }
    read_secrets(engine, partner_id, purpose).await.map(Some)
}

async fn read_secrets(engine: &Engine, partner_id: &PartnerId, purpose: SecretPurpose) -> Result<Vec<String>> {
    let rows = sqlx::query!(
        r#"select partner_secret_id as "id: PartnerSecretId", sealed
           from partner_secrets
           where partner_id = $1
             and purpose = $2
             and revoked_at is null
           order by created_at desc, partner_secret_id desc"#,
        partner_id.as_str(),
        purpose.as_str(),
    )
    .fetch_all(&engine.db)
    .await?;
    let mut secrets = Vec::new();
    for row in rows {
        let plain = engine.keys.open(&seal_purpose(row.id, partner_id, purpose), &row.sealed)?;
        secrets.push(String::from_utf8(plain).map_err(Error::internal)?);
    }
    engine.secrets.0.insert((partner_id.clone(), purpose), Cached { secrets: secrets.clone(), read_at: Instant::now() });
    Ok(secrets)
}

/// What a sealed secret is bound to: it opens in its own row alone.
fn seal_purpose(id: PartnerSecretId, partner_id: &PartnerId, purpose: SecretPurpose) -> String {
    format!("partner secret {id} {partner_id} {}", purpose.as_str())
}

fn generate(purpose: SecretPurpose) -> String {
    match purpose {
        SecretPurpose::Webhook => signature::standard_webhooks_secret(rand::random()),
        SecretPurpose::Postback => secret::new_token("pb_"),
    }
}

fn check(purpose: SecretPurpose, plain: &str) -> Result<()> {
    if !(SECRET_LENGTH_MIN..=SECRET_LENGTH_MAX).contains(&plain.len()) || !plain.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason = format!("must be {SECRET_LENGTH_MIN} to {SECRET_LENGTH_MAX} visible ASCII characters without blanks");
        return Err(Error::invalid("secret", reason));
    }
    match purpose {
        SecretPurpose::Webhook => {
            signature::check_secret(WebhookScheme::StandardWebhooks, plain).map_err(|error| Error::invalid("secret", error))
        }
        SecretPurpose::Postback => Ok(()),
    }
}

/// The last characters: of a `whsec_` secret, those before the padding of its base64.
fn hint(plain: &str) -> String {
    let text = plain.trim_end_matches('=');
    format!("…{}", &text[text.len().saturating_sub(HINT_LENGTH)..])
}
