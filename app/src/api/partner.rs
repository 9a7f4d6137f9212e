//! Partners: their links, terms and webhook secrets.
//!
//! What is only read comes as HTML that was rendered on the server, see `panels`; forms get the plain texts that they start from.

#[cfg(feature = "ssr")]
mod read;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{PartnerSecretId, WebhookDeliveryId};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

#[cfg(feature = "ssr")]
use read::{MADE_SECRET_COOKIE, MADE_SECRET_SECONDS, detail, read_id, read_terms, with_deep_link, with_multipliers};

/// The list of partners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerList {
    pub table: String,
    /// Id and name of each.
    pub names: Vec<(String, String)>,
}

/// All of a partner that its page shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerDetail {
    pub partner_id: String,
    pub display_name: String,
    pub description: String,
    pub active: bool,
    /// Absent if the partner has none to edit.
    pub deep_link: Option<String>,
    pub identity: String,
    pub terms_history: String,
    /// What a form for new terms starts from, so that one value can be changed alone.
    pub newest_terms: TermsForm,
    /// Id and name of each metric that the newest terms reward.
    pub metric_names: Vec<(String, String)>,
    pub metrics: String,
    pub webhooks: Vec<Endpoint>,
    /// How to send a test from a shell.
    pub example: Option<String>,
    /// The newest first.
    pub secrets: Vec<SecretRow>,
}

/// Where the partner sends an event to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The event and how it is signed.
    pub label: String,
    pub url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRow {
    pub id: String,
    /// Else it is the token of postbacks.
    pub signs_webhooks: bool,
    pub hint: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// All partners by tier and name.
#[server]
pub async fn list_partners() -> Result<PartnerList, AppError> {
    let (engine, who) = super::backend().await?;
    let partners = engine::partner::overview(&engine, &who).await?;
    let names = partners.iter().map(|partner| (partner.partner_id.to_string(), partner.display_name.clone())).collect();
    Ok(PartnerList { table: crate::panels::partner_table(partners), names })
}

#[server]
pub async fn find_partner(partner_id: String) -> Result<PartnerDetail, AppError> {
    let (engine, who) = super::backend().await?;
    let partner_id = read_id(&partner_id)?;
    let partner = engine::partner::show(&engine, &who, &partner_id).await?;
    let terms = engine::partner::terms_history(&engine, &who, &partner_id).await?;
    let secrets = engine::partner::list_secrets(&engine, &who, &partner_id).await?;
    let mut detail = detail(partner, terms, secrets, engine.now());
    let page = format!("/partners/{partner_id}");
    if let Some(typed) = super::request::take_draft(TERMS_DRAFT, &page) {
        detail.newest_terms = typed;
    }
    if let Some(typed) = super::request::take_draft::<IdentityDraft>(IDENTITY_DRAFT, &page) {
        (detail.description, detail.deep_link) = (typed.description, Some(typed.deep_link));
    }
    Ok(detail)
}

/// Changes a partner's text, deep link and whether it is active; an unticked box sends nothing.
#[server]
pub async fn update_partner(
    partner_id: String,
    #[server(default)] active: Option<String>,
    description: String,
    deep_link: String,
) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let partner_id = read_id(&partner_id)?;
    let page = format!("/partners/{partner_id}");
    let partner = engine::partner::show(&engine, &who, &partner_id).await?;
    let typed = IdentityDraft { description, deep_link };
    let saved = async {
        let edit = domain::partner::PartnerEdit {
            active: Some(active.is_some()),
            description: Some(typed.description.replace("\r\n", "\n").trim().to_owned()),
            integration_methods: with_deep_link(partner.integration_methods, typed.deep_link.trim())?,
            ..Default::default()
        };
        engine::partner::update(&engine, &who, &partner_id, edit).await.map_err(AppError::from)
    };
    saved.await.inspect_err(|_| super::request::keep_draft(IDENTITY_DRAFT, &page, &typed))?;
    super::request::lead_plain_form_to(&format!("{page}?done=partner"));
    Ok(())
}

#[cfg(feature = "ssr")]
const IDENTITY_DRAFT: &str = "identity";
#[cfg(feature = "ssr")]
const TERMS_DRAFT: &str = "terms";

/// What was typed into the form of [`update_partner`]. The box is left out: the page shows it as the partner's state, too.
#[cfg(feature = "ssr")]
#[derive(Serialize, Deserialize)]
struct IdentityDraft {
    description: String,
    deep_link: String,
}

/// The fields of new terms, as typed: rates in per cent, the time in UTC or empty for now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsForm {
    pub commission_rate: String,
    pub success_bonus_rate: String,
    pub multiplier_cap: String,
    pub attribution_window_hours: String,
    pub hold_period_days: String,
    pub adjustment_window_days: String,
    pub payout_currency: String,
    pub attribution_model: String,
    pub attribution_minimum_seconds: String,
    /// In major units of the payout currency.
    pub minimum_payout: String,
    /// What each metric multiplies a commission by, by its id.
    #[serde(default)]
    pub multipliers: BTreeMap<String, String>,
    #[serde(default)]
    pub effective_from: String,
}

/// Adds a version of terms; returns its number.
#[server]
pub async fn add_terms(partner_id: String, terms: TermsForm) -> Result<i32, AppError> {
    let (engine, who) = super::backend().await?;
    let partner_id = read_id(&partner_id)?;
    let page = format!("/partners/{partner_id}");
    let saved = async {
        let (values, effective_from) = read_terms(&terms, engine.now())?;
        let metrics = with_multipliers(engine::partner::show(&engine, &who, &partner_id).await?.success_metrics, &terms.multipliers)?;
        engine::partner::add_terms(&engine, &who, &partner_id, values, Some(metrics), effective_from).await.map_err(AppError::from)
    };
    let added = saved.await.inspect_err(|_| super::request::keep_draft(TERMS_DRAFT, &page, &terms))?;
    super::request::lead_plain_form_to(&format!("{page}?done=terms"));
    Ok(added.version)
}

/// Makes a webhook secret and returns it, this once. For a plain form it travels to the page that follows in a cookie of that page alone.
#[server]
pub async fn make_webhook_secret(partner_id: String) -> Result<String, AppError> {
    let (engine, who) = super::backend().await?;
    let partner_id = read_id(&partner_id)?;
    let purpose = domain::partner::SecretPurpose::Webhook;
    let secret = engine::partner::set_secret(&engine, &who, &partner_id, purpose, None).await?;
    if super::request::is_plain_form() {
        let page = format!("/partners/{partner_id}");
        super::request::set_cookie(MADE_SECRET_COOKIE, &secret, &page, MADE_SECRET_SECONDS);
        leptos_axum::redirect(&page);
    }
    Ok(secret)
}

/// The secret that a plain form has just made, shown once: its cookie is removed.
#[server]
pub async fn take_made_secret(partner_id: String) -> Result<Option<String>, AppError> {
    let secret = super::request::cookie(MADE_SECRET_COOKIE);
    if secret.is_some() {
        super::request::set_cookie(MADE_SECRET_COOKIE, "", &format!("/partners/{}", read_id(&partner_id)?), 0);
    }
    Ok(secret)
}

#[server]
pub async fn revoke_webhook_secret(partner_id: String, secret_id: PartnerSecretId) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let partner_id = read_id(&partner_id)?;
    engine::partner::revoke_secret(&engine, &who, &partner_id, secret_id).await?;
    super::request::lead_plain_form_to(&format!("/partners/{partner_id}?done=revoked"));
    Ok(())
}

/// Delivers a signed test event to ourselves; a plain form is led to the delivery.
#[server]
pub async fn send_test_webhook(partner_id: String) -> Result<WebhookDeliveryId, AppError> {
    let (engine, who) = super::backend().await?;
    let receipt = engine::webhook::send_test(&engine, &who, &read_id(&partner_id)?).await?;
    super::request::lead_plain_form_to(&format!("/deliveries/{}", receipt.webhook_delivery_id));
    Ok(receipt.webhook_delivery_id)
}
