//! What operators do to a partner: edit it, and manage the secrets that its deliveries are checked with.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{IntegrationMethod, Partner};
use crate::{PartnerId, PartnerSecretId};

/// An edit of a partner; what is absent stays as it is. Rates and windows are not among it: a change of those is a new version of the
/// terms. Neither are success metrics and priors, which ratings and models stand on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PartnerEdit {
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub homepage_url: Option<String>,
    pub tier: Option<u8>,
    pub active: Option<bool>,
    pub integration_methods: Option<Vec<IntegrationMethod>>,
}

impl PartnerEdit {
    /// The partner after the edit, not yet checked by [`Partner::invalid`].
    #[must_use]
    pub fn apply(self, partner: Partner) -> Partner {
        Partner {
            display_name: self.display_name.unwrap_or(partner.display_name),
            description: self.description.unwrap_or(partner.description),
            homepage_url: self.homepage_url.unwrap_or(partner.homepage_url),
            tier: self.tier.unwrap_or(partner.tier),
            active: self.active.unwrap_or(partner.active),
            integration_methods: self.integration_methods.unwrap_or(partner.integration_methods),
            ..partner
        }
    }
}

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum SecretPurpose {
    /// Signs webhooks.
    Webhook,
    /// Travels as a token in the query of a postback.
    Postback,
}

impl SecretPurpose {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Postback => "postback",
        }
    }
}

/// What may be seen of a secret after it was shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerSecret {
    pub partner_secret_id: PartnerSecretId,
    pub partner_id: PartnerId,
    pub purpose: SecretPurpose,
    /// Its last characters, to tell two of them apart.
    pub hint: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub revoked_at: Option<DateTime<Utc>>,
}
