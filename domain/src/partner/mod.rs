//! Partners: who they are, how they integrate, what counts as success, and on which terms they pay.
//!
//! A partner ships as one TOML file ([`PartnerFile`]); after its import the database is the truth. Both are held to the same
//! bounds by [`Partner::invalid`].

mod check;
mod edit;
mod file;
mod terms;
mod url_template;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use check::invalid_metrics;
pub use edit::{PartnerEdit, PartnerSecret, SecretPurpose};
pub use file::{InvalidPartnerFile, PartnerFile};
pub use terms::{Terms, TermsValues};
pub use url_template::{InvalidUrlTemplate, PLACEHOLDERS, TemplateValues, UrlTemplate};

use crate::{PartnerId, analysis::ProjectKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum AuthType {
    Oauth2,
    ApiKey,
    BearerToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationKind {
    DeepLink,
    ApiRedirect,
    EmbedWidget,
    SdkIntegration,
}

impl IntegrationKind {
    pub const ALL: [Self; 4] = [Self::DeepLink, Self::ApiRedirect, Self::EmbedWidget, Self::SdkIntegration];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeepLink => "deep_link",
            Self::ApiRedirect => "api_redirect",
            Self::EmbedWidget => "embed_widget",
            Self::SdkIntegration => "sdk_integration",
        }
    }
}

/// One way to bring a developer to the partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntegrationMethod {
    #[serde(rename = "type")]
    pub kind: IntegrationKind,
    pub url_template: UrlTemplate,
    pub conversion_tracking: bool,
    #[serde(default)]
    pub customization: Customization,
    /// The partner's templates: which one `{{TEMPLATE_ID}}` stands for with a project of a kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub template_ids: BTreeMap<ProjectKind, String>,
}

impl IntegrationMethod {
    /// The template for a kind of project, as in [`ProjectKind::id`]; empty if the partner has none.
    pub fn template_id(&self, kind: &str) -> &str {
        self.template_ids.iter().find(|(of, _)| of.id() == kind).map_or("", |(_, template)| template)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Customization {
    pub project_template: bool,
    pub prefilled_data: bool,
    pub branding: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    Conversion,
    Retention,
    Expansion,
    Achievement,
    Revenue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasurementMethod {
    ApiTracking,
    Webhook,
    UserReport,
    Analytics,
}

/// A success that a developer can have with the partner, and what it multiplies the commission by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuccessMetric {
    pub id: String,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: MetricKind,
    pub measurement_method: MeasurementMethod,
    pub value_multiplier: Decimal,
    /// Keys that the evidence of such a success must hold.
    pub required_data: Vec<String>,
    pub verification_required: bool,
}

/// An event that the partner sends us, at `/webhooks/{partner}/{path}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEvent {
    pub event: String,
    pub path: String,
    pub authentication: WebhookScheme,
}

/// How the sender of a webhook proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookScheme {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature` (<https://www.standardwebhooks.com>).
    StandardWebhooks,
    /// `X-Hub-Signature-256: sha256=<hex>`, as GitHub signs.
    HmacSha256,
    /// `Stripe-Signature: t=..,v1=<hex>`.
    Stripe,
    /// `Dub-Signature: <hex>`, as Dub signs its webhooks and postbacks.
    Dub,
}

/// What is believed of a partner before there is data of its own. Rates are fractions between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Priors {
    /// Conversions per click.
    pub conversion_rate: Decimal,
    /// How many clicks the belief in `conversion_rate` is worth.
    pub conversion_rate_weight: Decimal,
    /// Average order value in major units of the payout currency.
    pub average_value: Decimal,
    /// Expected multiplier of success.
    pub success_multiplier: Decimal,
}

/// A partner without its terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partner {
    pub partner_id: PartnerId,
    pub name: String,
    pub display_name: String,
    pub description: String,
    /// What need the partner fills: `database`, `hosting`, `design`, ...
    pub category: String,
    /// Which databases a partner of category `database` hosts, by the ids of the analysis: `postgresql`. Empty: not said.
    #[serde(default)]
    pub engines: Vec<String>,
    pub homepage_url: String,
    pub api_base_url: String,
    pub auth_type: AuthType,
    pub tier: u8,
    pub active: bool,
    pub integration_methods: Vec<IntegrationMethod>,
    pub success_metrics: Vec<SuccessMetric>,
    pub webhook_events: Vec<WebhookEvent>,
    pub priors: Priors,
}

impl Partner {
    pub fn metric(&self, id: &str) -> Option<&SuccessMetric> {
        self.success_metrics.iter().find(|metric| metric.id == id)
    }

    /// The method whose link a click leads to; without one it leads to the home page.
    pub fn deep_link(&self) -> Option<&IntegrationMethod> {
        self.integration_methods.iter().find(|method| method.kind == IntegrationKind::DeepLink)
    }
}
