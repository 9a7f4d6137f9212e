//! Conversions, reversals and successes as they come in, whatever the path.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Money, PartnerId, SessionId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "lowercase"))]
#[serde(rename_all = "lowercase")]
pub enum ConversionType {
    Lead,
    Sale,
    Renewal,
    Upgrade,
    Custom,
}

/// The way a conversion came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "lowercase"))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Webhook,
    Api,
    Postback,
    Csv,
}

/// Where a conversion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "lowercase"))]
#[serde(rename_all = "lowercase")]
pub enum ConversionState {
    Attributed,
    /// No click matches yet; retried until the window has closed.
    Unattributed,
    /// The window closed without a click. An operator may still attribute it by hand.
    Expired,
    /// It may not earn: its click id is forged, of another partner, or the partner is not active.
    Refused,
    /// Attributed, but not rated yet for want of an exchange rate; retried when rates are imported.
    Held,
}

/// What a sender can tell about the click behind an event; any of them may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub click_token: Option<String>,
    pub referral_code: Option<String>,
    pub session_id: Option<SessionId>,
    pub user_identifier: Option<String>,
}

/// A conversion as it arrives. `external_event_id` is the partner's own id of it and makes it unique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewConversion {
    pub partner_id: PartnerId,
    pub external_event_id: String,
    pub conversion_type: ConversionType,
    pub occurred_at: DateTime<Utc>,
    pub value: Money,
    pub claim: Claim,
}

/// A refund, chargeback or cancellation as it arrives; it may come before the conversion that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewReversal {
    pub partner_id: PartnerId,
    pub external_event_id: String,
    pub conversion_external_event_id: String,
    /// `None` reverses all that is left.
    pub amount: Option<Money>,
    pub reason: Option<String>,
    pub occurred_at: DateTime<Utc>,
}

/// A success of a developer as it arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSuccess {
    pub partner_id: PartnerId,
    pub external_event_id: String,
    pub metric_id: String,
    pub occurred_at: DateTime<Utc>,
    pub value: Option<Money>,
    /// The metric's required data.
    pub evidence: serde_json::Map<String, serde_json::Value>,
    pub expires_at: Option<DateTime<Utc>>,
    pub claim: Claim,
}
