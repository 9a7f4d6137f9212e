//! Partners: their links, terms and webhook secrets.
//!
//! What is only read comes as HTML that was rendered on the server, see `panels`; forms get the plain texts that they start from.

#[cfg(feature = "ssr")]
mod draft;
#[cfg(feature = "ssr")]
mod identity;
#[cfg(feature = "ssr")]
mod read;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{PartnerSecretId, PartnerTermsId, WebhookDeliveryId, partner::SecretPurpose};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

#[cfg(feature = "ssr")]
use read::{detail, form_of, read_id, read_terms, with_multipliers};

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
    pub identity: String,
    pub edited: EditedIdentity,
    pub terms_history: String,
    /// Versions that can still be withdrawn, the newest first.
    pub coming: Vec<ComingTerms>,
    /// What a form for new terms starts from, so that one value can be changed alone.
    pub newest_terms: TermsForm,
    /// The id of the terms that it starts from; empty if there are none.
    pub terms_seen: String,
    /// Id and name of each metric that the newest terms reward.
    pub metric_names: Vec<(String, String)>,
    pub metrics: String,
    pub webhooks: Vec<Endpoint>,
    /// Where trackers send a postback to, with words in capitals where their own values go.
    pub postback_url: String,
    /// How to send a test from a shell.
    pub example: Option<String>,
    /// The newest first.
    pub secrets: Vec<SecretRow>,
    /// What was refused at the door of late: HTML, empty if nothing was.
    pub refusals: String,
}

/// What the form of [`update_partner`] starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditedIdentity {
    pub form: IdentityForm,
    pub has_deep_link: bool,
    /// The values that the form shows before anybody types, to be sent back with it.
    pub seen: String,
}

/// Where the partner sends an event to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The event and how it is signed.
    pub label: String,
    pub url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComingTerms {
    pub id: PartnerTermsId,
    pub version: i32,
    pub effective_from: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRow {
    pub id: String,
    pub purpose: SecretPurpose,
    pub hint: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A secret on its only way to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeSecret {
    pub purpose: SecretPurpose,
    pub secret: String,
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
    detail.refusals = crate::panels::refusals(engine::webhook::list_refusals(&engine, &who, Some(&partner_id)).await.ok());
    let page = format!("/partners/{partner_id}");
    if let Some(changes) = super::request::take_draft(TERMS_DRAFT, &page) {
        detail.newest_terms = draft::with_changes(&detail.newest_terms, changes);
    }
    if let Some(changes) = super::request::take_draft(IDENTITY_DRAFT, &page) {
        detail.edited.form = draft::with_changes(&detail.edited.form, changes);
    }
    Ok(detail)
}

/// What can be edited of a partner, as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityForm {
    /// An unticked box sends nothing.
    #[serde(default)]
    pub active: Option<String>,
    pub display_name: String,
    pub tier: String,
    pub homepage_url: String,
    pub description: String,
    /// Empty if the partner has none to edit.
    pub deep_link: String,
}

/// Edits a partner, unless somebody else has done so since the page that sends `seen` was opened.
#[server]
pub async fn update_partner(partner_id: String, seen: String, form: IdentityForm) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let partner_id = read_id(&partner_id)?;
    let page = format!("/partners/{partner_id}");
    let (form, shown) = (identity::trimmed(&form), identity::read_seen(&seen)?);
    let methods = engine::partner::show(&engine, &who, &partner_id).await?.integration_methods;
    let saved = async {
        let edit = identity::edit_to(&form, methods.clone())?;
        let seen = identity::edit_to(&shown, methods)?;
        engine::partner::update_as_seen(&engine, &who, &partner_id, edit, &seen).await.map_err(AppError::from)
    };
    saved.await.inspect_err(|_| super::request::keep_draft(IDENTITY_DRAFT, &page, &draft::changes(&form, &shown)))?;
    super::request::lead_plain_form_to(&format!("{page}?done=partner"));
    Ok(())
}

#[cfg(feature = "ssr")]
const IDENTITY_DRAFT: &str = "identity";
#[cfg(feature = "ssr")]
const TERMS_DRAFT: &str = "terms";
#[cfg(feature = "ssr")]
const MADE_SECRET: &str = "made_secret";

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

/// Adds a version of terms, unless another one than `seen` is the newest by now; returns its number.
#[server]
pub async fn add_terms(partner_id: String, #[server(default)] seen: String, terms: TermsForm) -> Result<i32, AppError> {
    let (engine, who) = super::backend().await?;
    let partner_id = read_id(&partner_id)?;
    let page = format!("/partners/{partner_id}");
    let seen: Option<PartnerTermsId> = super::request::read("seen", &seen)?;
    let saved = async {
        let (values, from) = read_terms(&terms, engine.now())?;
        let metrics = with_multipliers(engine::partner::show(&engine, &who, &partner_id).await?.success_metrics, &terms.multipliers)?;
        engine::partner::add_terms_as_seen(&engine, &who, &partner_id, values, Some(metrics), from, seen).await.map_err(AppError::from)
    };
    let added = match saved.await {
        Ok(added) => added,
        Err(error) => {
            let versions = engine::partner::list_terms(&engine, &who, &partner_id).await?;
            let shown = versions.iter().find(|version| Some(version.partner_terms_id) == seen).map(form_of);
            super::request::keep_draft(TERMS_DRAFT, &page, &draft::changes(&terms, &shown));
            return Err(error);
        }
    };
    super::request::lead_plain_form_to(&format!("{page}?done=terms"));
    Ok(added.version)
}

/// Takes back a version of terms that has not begun.
#[server]
pub async fn withdraw_terms(partner_id: String, terms_id: PartnerTermsId) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let partner_id = read_id(&partner_id)?;
    engine::partner::withdraw_terms(&engine, &who, &partner_id, terms_id).await?;
    super::request::lead_plain_form_to(&format!("/partners/{partner_id}?done=terms-withdrawn"));
    Ok(())
}

/// Makes a secret and returns it, this once. For a plain form it travels to the page that follows in a cookie of that page alone.
#[server]
pub async fn make_secret(partner_id: String, purpose: SecretPurpose) -> Result<String, AppError> {
    let (engine, who) = super::backend().await?;
    let partner_id = read_id(&partner_id)?;
    let secret = engine::partner::set_secret(&engine, &who, &partner_id, purpose, None).await?;
    let page = format!("/partners/{partner_id}");
    super::request::keep_draft(MADE_SECRET, &page, &MadeSecret { purpose, secret: secret.clone() });
    super::request::lead_plain_form_to(&page);
    Ok(secret)
}

/// The secret that a plain form has just made, shown once: its cookie is removed.
#[server]
pub async fn take_made_secret(partner_id: String) -> Result<Option<MadeSecret>, AppError> {
    Ok(super::request::take_draft(MADE_SECRET, &format!("/partners/{}", read_id(&partner_id)?)))
}

#[server]
pub async fn revoke_secret(partner_id: String, secret_id: PartnerSecretId) -> Result<(), AppError> {
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
