//! The registry of partners: import from files once, then edits by operators.
//!
//! Terms are versions that never change, and one that has not begun can be withdrawn; secrets are sealed at rest and shown once. Workflows read with a connection of their own
//! ([`find`], [`list_active`], [`terms_at`]); what people ask for goes through functions that take a [`Principal`].

mod edit;
mod import;
mod overview;
mod secrets;
mod terms;
mod withdraw;

use chrono::{DateTime, Utc};
use domain::{
    PartnerId,
    auth::Principal,
    partner::{AuthType, IntegrationMethod, Partner, Priors, SuccessMetric, WebhookEvent},
};
use sqlx::{PgConnection, types::Json};

pub use domain::partner::SecretPurpose;
pub use edit::{update, update_as_seen};
pub use import::{ImportReport, import, import_files};
pub use overview::{Overview, TermsVersion, overview, terms_history};
pub use secrets::{Secrets, active_secrets, list_secrets, newer_secrets, revoke_secret, set_secret};
pub use terms::{add_terms, add_terms_as_seen, list_terms, terms_at};
pub use withdraw::{may_be_withdrawn, withdraw_terms};

use crate::{Engine, Error, Result, access, referral_code};

/// Finds a partner, active or not.
///
/// # Errors
/// [`Error::NotFound`] if there is no such partner.
pub async fn find(conn: &mut PgConnection, partner_id: &PartnerId) -> Result<Partner> {
    select(conn, Some(partner_id), false).await?.pop().ok_or_else(|| not_found(partner_id))
}

/// The partners that may be recommended and may earn us something, by tier and name.
pub async fn list_active(conn: &mut PgConnection) -> Result<Vec<Partner>> {
    select(conn, None, true).await
}

/// Finds a partner for someone who may see the registry.
///
/// # Errors
/// [`Error::NotFound`] if there is no such partner; refuses who may not read.
pub async fn show(engine: &Engine, who: &Principal, partner_id: &PartnerId) -> Result<Partner> {
    require_read_of(who, partner_id)?;
    find(&mut *engine.db.acquire().await?, partner_id).await
}

/// All partners by tier and name, for someone who may see the registry; for a partner's own machine, that partner.
///
/// # Errors
/// Refuses who may not read.
pub async fn list(engine: &Engine, who: &Principal) -> Result<Vec<Partner>> {
    require_read(who)?;
    let mut partners = select(&mut *engine.db.acquire().await?, None, false).await?;
    partners.retain(|partner| who.may_speak_for(&partner.partner_id));
    Ok(partners)
}

async fn select(conn: &mut PgConnection, partner_id: Option<&PartnerId>, active_only: bool) -> Result<Vec<Partner>> {
    let rows = sqlx::query!(
        r#"select partner_id as "partner_id: PartnerId",
                  name,
                  display_name,
                  description,
                  category,
                  engines,
                  homepage_url,
                  api_base_url,
                  auth_type as "auth_type: AuthType",
                  tier,
                  active,
                  integration_methods as "integration_methods: Json<Vec<IntegrationMethod>>",
                  -- as the newest terms have them
                  coalesce((select t.success_metrics from partner_terms t where t.partner_id = partners.partner_id order by t.version desc limit 1), '[]')
                      as "success_metrics!: Json<Vec<SuccessMetric>>",
                  webhook_events as "webhook_events: Json<Vec<WebhookEvent>>",
                  priors as "priors: Json<Priors>"
           from partners
           where ($1::text is null or partner_id = $1)
             and (active or not $2)
           order by tier, name, partner_id"#,
        partner_id.map(PartnerId::as_str),
        active_only,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Partner {
                partner_id: row.partner_id,
                name: row.name,
                display_name: row.display_name,
                description: row.description,
                category: row.category,
                engines: row.engines,
                homepage_url: row.homepage_url,
                api_base_url: row.api_base_url,
                auth_type: row.auth_type,
                tier: u8::try_from(row.tier).map_err(Error::internal)?,
                active: row.active,
                integration_methods: row.integration_methods.0,
                success_metrics: row.success_metrics.0,
                webhook_events: row.webhook_events.0,
                priors: row.priors.0,
            })
        })
        .collect()
}

/// Locks a partner's row, so that its terms and secrets change one after the other.
async fn lock(tx: &mut PgConnection, partner_id: &PartnerId) -> Result<()> {
    // `no key update` lets clicks and conversions, which refer to the partner, go on.
    sqlx::query!("select partner_id from partners where partner_id = $1 for no key update", partner_id.as_str())
        .fetch_optional(tx)
        .await?
        .map(drop)
        .ok_or_else(|| not_found(partner_id))
}

/// Keeps since when a partner is active or not: what comes in is judged by the time at which it came.
async fn record_activity(tx: &mut PgConnection, partner_id: &PartnerId, changed_at: DateTime<Utc>, active: bool) -> Result<()> {
    sqlx::query!(
        "insert into partner_activity (partner_id, changed_at, active) values ($1, $2, $3)",
        partner_id.as_str(),
        changed_at,
        active
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Lets redirects follow a change at once. It is committed already: should this fail, they follow with the next regular refresh.
async fn refresh_links(engine: &Engine) {
    if let Err(error) = referral_code::refresh_links(engine).await {
        tracing::warn!(%error, "partner links could not be read anew");
    }
}

fn not_found(partner_id: &PartnerId) -> Error {
    Error::not_found(format!("partner `{partner_id}`"))
}

/// How the audit log names a partner.
fn subject(partner_id: &PartnerId) -> String {
    format!("partner {partner_id}")
}

fn require_read(who: &Principal) -> Result<()> {
    if who.has_scope("partners:read") { Ok(()) } else { access::require_read(who, "see partners") }
}

/// Another partner's machine is told that there is no such partner.
fn require_read_of(who: &Principal, partner_id: &PartnerId) -> Result<()> {
    require_read(who)?;
    if who.may_speak_for(partner_id) { Ok(()) } else { Err(not_found(partner_id)) }
}

fn require_operate(who: &Principal) -> Result<()> {
    access::require_operate(who, "change partners")
}

#[cfg(test)]
mod tests;
