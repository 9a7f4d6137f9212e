//! Partners: their links, terms and webhook secrets.
//!
//! Pages get plain texts where the vocabulary's own types would bring their parsers (URLs above all) into the browser.

#[cfg(feature = "ssr")]
mod read;

use chrono::{DateTime, Utc};
use domain::{
    PartnerId, PartnerSecretId, WebhookDeliveryId,
    partner::{AuthType, IntegrationKind, PartnerSecret, SuccessMetric, WebhookScheme},
};
use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::AppError;

#[cfg(feature = "ssr")]
use read::{MADE_SECRET_COOKIE, MADE_SECRET_SECONDS, detail, read_id, read_terms, row, with_deep_link};

/// A partner in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerRow {
    pub partner_id: PartnerId,
    pub display_name: String,
    pub category: String,
    pub tier: i16,
    pub active: bool,
    pub commission_rate: Option<Decimal>,
    pub attribution_window_hours: Option<i32>,
    pub webhook_secrets: i64,
}

/// All of a partner that its page shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartnerDetail {
    pub partner_id: PartnerId,
    pub display_name: String,
    pub description: String,
    pub category: String,
    pub homepage_url: String,
    pub api_base_url: String,
    pub auth_type: AuthType,
    pub tier: u8,
    pub active: bool,
    pub links: Vec<PartnerLink>,
    /// The newest version first.
    pub terms: Vec<TermsRow>,
    pub metrics: Vec<SuccessMetric>,
    pub webhooks: Vec<Endpoint>,
    pub secrets: Vec<PartnerSecret>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerLink {
    pub kind: IntegrationKind,
    pub url_template: String,
    pub conversion_tracking: bool,
}

/// A version of terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsRow {
    pub version: i32,
    pub effective_from: DateTime<Utc>,
    pub phase: Phase,
    pub commission_rate: Decimal,
    pub success_bonus_rate: Decimal,
    pub multiplier_cap: Decimal,
    pub attribution_window_hours: u32,
    pub hold_period_days: u32,
    pub adjustment_window_days: u32,
    pub payout_currency: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// How a version of terms stands to the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    Coming,
    InForce,
    Past,
}

/// Where the partner sends an event to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub event: String,
    pub url: String,
    pub scheme: WebhookScheme,
}

/// All partners by tier and name.
#[server(input = GetUrl)]
pub async fn list_partners() -> Result<Vec<PartnerRow>, AppError> {
    let (engine, who) = super::backend().await?;
    Ok(engine::partner::overview(&engine, &who).await?.into_iter().map(row).collect())
}

#[server(input = GetUrl)]
pub async fn find_partner(partner_id: String) -> Result<PartnerDetail, AppError> {
    let (engine, who) = super::backend().await?;
    let partner_id = read_id(&partner_id)?;
    let partner = engine::partner::show(&engine, &who, &partner_id).await?;
    let terms = engine::partner::terms_history(&engine, &who, &partner_id).await?;
    let secrets = engine::partner::list_secrets(&engine, &who, &partner_id).await?;
    Ok(detail(partner, terms, secrets, engine.now()))
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
    let partner = engine::partner::show(&engine, &who, &partner_id).await?;
    let edit = domain::partner::PartnerEdit {
        active: Some(active.is_some()),
        description: Some(description.replace("\r\n", "\n").trim().to_owned()),
        integration_methods: with_deep_link(partner.integration_methods, deep_link.trim())?,
        ..Default::default()
    };
    engine::partner::update(&engine, &who, &partner_id, edit).await?;
    super::request::lead_plain_form_to(&format!("/partners/{partner_id}"));
    Ok(())
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
    #[serde(default)]
    pub effective_from: String,
}

/// Adds a version of terms; returns its number.
#[server]
pub async fn add_terms(partner_id: String, terms: TermsForm) -> Result<i32, AppError> {
    let (engine, who) = super::backend().await?;
    let partner_id = read_id(&partner_id)?;
    let (values, effective_from) = read_terms(&terms, engine.now())?;
    let added = engine::partner::add_terms(&engine, &who, &partner_id, values, effective_from).await?;
    super::request::lead_plain_form_to(&format!("/partners/{partner_id}"));
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
#[server(input = GetUrl)]
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
    super::request::lead_plain_form_to(&format!("/partners/{partner_id}"));
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
