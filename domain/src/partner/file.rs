//! `partners/{partner}.toml`: how a partner ships.

use serde::{Deserialize, Serialize};

use super::{AuthType, IntegrationMethod, Partner, Priors, SuccessMetric, TermsValues, WebhookEvent};
use crate::PartnerId;

/// `partners/{partner}.toml`. Secrets never stand in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerFile {
    pub id: PartnerId,
    pub name: String,
    pub display_name: String,
    pub description: String,
    pub category: String,
    #[serde(default)]
    pub engines: Vec<String>,
    pub homepage_url: String,
    pub api_base_url: String,
    pub auth_type: AuthType,
    pub tier: u8,
    #[serde(default = "default_active")]
    pub active: bool,
    pub terms: TermsValues,
    pub priors: Priors,
    #[serde(default)]
    pub integration_methods: Vec<IntegrationMethod>,
    #[serde(default)]
    pub success_metrics: Vec<SuccessMetric>,
    #[serde(default)]
    pub webhook_events: Vec<WebhookEvent>,
}

fn default_active() -> bool {
    true
}

/// Why a partner file was refused: which file, which key, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {key}: {reason}")]
pub struct InvalidPartnerFile {
    pub file: String,
    pub key: String,
    pub reason: String,
}

impl PartnerFile {
    /// Reads and checks a partner file; `file_name` is its bare name, whose stem must be the partner's id.
    ///
    /// # Errors
    /// The first thing that is wrong. A syntax error has its line as key, since it belongs to none.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, InvalidPartnerFile> {
        let invalid = |key: String, reason: String| InvalidPartnerFile { file: file_name.to_owned(), key, reason };

        let table: toml::Table = toml::from_str(text).map_err(|error| invalid(line_of(text, &error), error.message().to_owned()))?;
        let value = toml::Value::Table(table);
        if let Some((key, float)) = find_float("", &value) {
            return Err(invalid(key, format!("a float cannot hold `{float:?}` exactly: write it in quotes, \"{float:?}\"")));
        }
        let file: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let key = if path == "." { "file".to_owned() } else { path };
            invalid(key, error.inner().message().trim().to_owned())
        })?;

        if file_name.strip_suffix(".toml") != Some(file.id.as_str()) {
            return Err(invalid("id".to_owned(), format!("`{}` does not go with the file's name: expected `{}.toml`", file.id, file.id)));
        }
        if let Some((key, reason)) = file.terms.invalid() {
            return Err(invalid(format!("terms.{key}"), reason));
        }
        match file.partner().invalid() {
            Some((key, reason)) => Err(invalid(key, reason)),
            None => Ok(file),
        }
    }

    /// The partner that the file describes, without its terms.
    pub fn partner(&self) -> Partner {
        Partner {
            partner_id: self.id.clone(),
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            description: self.description.clone(),
            category: self.category.clone(),
            engines: self.engines.clone(),
            homepage_url: self.homepage_url.clone(),
            api_base_url: self.api_base_url.clone(),
            auth_type: self.auth_type,
            tier: self.tier,
            active: self.active,
            integration_methods: self.integration_methods.clone(),
            success_metrics: self.success_metrics.clone(),
            webhook_events: self.webhook_events.clone(),
            priors: self.priors,
        }
    }
}

/// `line 3`, or `file` if the error knows no place.
fn line_of(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    before.map_or_else(|| "file".to_owned(), |before| format!("line {}", before.matches('\n').count() + 1))
}

/// The first float in a value, with its key. No key of a partner file takes one: rates are decimals.
fn find_float(key: &str, value: &toml::Value) -> Option<(String, f64)> {
    match value {
        toml::Value::Float(float) => Some((key.to_owned(), *float)),
        toml::Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| find_float(&format!("{key}[{index}]"), item)),
        toml::Value::Table(table) => table.iter().find_map(|(name, item)| {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            find_float(&key, item)
        }),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHIPPED: [(&str, &str); 3] = [
        ("figma.toml", include_str!("../../../partners/figma.toml")),
        ("railway.toml", include_str!("../../../partners/railway.toml")),
        ("supabase.toml", include_str!("../../../partners/supabase.toml")),
    ];

    const GOOD: &str = r#"
id = "acme"
name = "Acme"
display_name = "Acme Database"
description = "A database"
category = "database"
homepage_url = "https://acme.example"
api_base_url = "https://api.acme.example/v1"
auth_type = "oauth2"
tier = 1

[terms]
commission_rate = "0.20"
success_bonus_rate = "0.30"
payout_currency = "USD"

[priors]
conversion_rate = "0.02"
conversion_rate_weight = "200"
average_value = "25"
success_multiplier = "1.2"

[[integration_methods]]
type = "deep_link"
url_template = "https://acme.example/new?click_id={{CLICK_ID}}"
conversion_tracking = true

[[success_metrics]]
id = "project_created"
name = "Project Created"
type = "conversion"
measurement_method = "webhook"
value_multiplier = "1.0"
required_data = ["project_id"]
verification_required = false

[[webhook_events]]
event = "success.achieved"
path = "success-achieved"
authentication = "standard_webhooks"
"#;

    /// The error after one replacement in the good file, as `key: reason`.
    fn refused(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from} is not in the file");
        let error = PartnerFile::parse("acme.toml", &GOOD.replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.file, "acme.toml");
        format!("{}: {}", error.key, error.reason)
    }

    #[test]
    fn the_partners_that_ship_are_valid_and_carry_the_click_id() {
        for (name, text) in SHIPPED {
            let file = PartnerFile::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
            let partner = file.partner();
            assert!(partner.deep_link().unwrap().url_template.as_str().contains("{{CLICK_ID}}"), "{name}");
            let paths: Vec<&str> = partner.webhook_events.iter().map(|webhook| webhook.path.as_str()).collect();
            for path in ["events", "conversion-created", "conversion-reversed", "success-achieved"] {
                assert!(paths.contains(&path), "{name} has no webhook path {path}");
            }
        }
    }

    #[test]
    fn a_good_file_gets_the_defaults_of_its_absent_keys() {
        let file = PartnerFile::parse("acme.toml", GOOD).unwrap();
        assert!(file.active);
        assert_eq!((file.terms.multiplier_cap, file.terms.attribution_window_hours), (3.into(), 24));
        assert_eq!((file.terms.hold_period_days, file.terms.adjustment_window_days), (30, 90));
        assert_eq!(file.partner().invalid(), None);
    }

    #[test]
    fn the_error_reads_as_file_key_reason() {
        let error = PartnerFile::parse("acme.toml", &GOOD.replacen("tier = 1", "tier = 4", 1)).unwrap_err();
        assert_eq!(error.to_string(), "acme.toml: tier: `4` must be 1, 2 or 3");
        let error = PartnerFile::parse("acme.toml", &GOOD.replacen("tier = 1", "tier = 1\nengines = [\"oracel\"]", 1)).unwrap_err();
        assert!(error.to_string().starts_with("acme.toml: engines[0]: `oracel` is no database that an analysis knows"), "{error}");
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        assert!(refused("tier = 1", "tier = = 1").starts_with("line 10: "), "{}", refused("tier = 1", "tier = = 1"));
        assert!(refused("tier = 1", "tier = 1\ntier = 2").starts_with("line 11: "));
    }

    #[test]
    fn a_float_is_refused_with_the_advice_to_quote_it() {
        let advice = "a float cannot hold `0.2` exactly: write it in quotes, \"0.2\"";
        assert_eq!(refused("\"0.20\"", "0.2"), format!("terms.commission_rate: {advice}"));
        assert!(refused("\"1.0\"", "1.5").starts_with("success_metrics[0].value_multiplier: a float"));
        assert!(refused("tier = 1", "tier = 1.0").starts_with("tier: a float cannot hold `1.0` exactly"));
        assert!(refused("\"0.02\"", "nan").starts_with("priors.conversion_rate: a float"));
    }

    #[test]
    fn a_missing_unknown_or_mistyped_key_is_named() {
        assert_eq!(refused("tier = 1\n", ""), "file: missing field `tier`");
        assert_eq!(refused("payout_currency = \"USD\"\n", ""), "terms: missing field `payout_currency`");
        assert!(refused("tier = 1", "tier = 1\nsecret = \"x\"").contains("unknown field `secret`"));
        assert!(refused("tier = 1", "tier = \"one\"").starts_with("tier: invalid type: string"));
        assert!(refused("tier = 1", "tier = 300").starts_with("tier: "));
        assert!(refused("\"oauth2\"", "\"password\"").starts_with("auth_type: unknown variant `password`"));
        assert!(refused("\"deep_link\"", "\"link\"").starts_with("integration_methods[0].type: unknown variant `link`"));
        assert!(refused("\"standard_webhooks\"", "\"none\"").starts_with("webhook_events[0].authentication: unknown variant `none`"));
        assert!(refused("\"0.20\"", "\"a fifth\"").starts_with("terms.commission_rate: "));
        assert!(refused("\"USD\"", "\"DOLLAR\"").contains("currency `DOLLAR` is not an ISO 4217 code"));
    }

    #[test]
    fn the_id_is_the_slug_in_the_file_name() {
        assert_eq!(refused("\"acme\"", "\"apex\""), "id: `apex` does not go with the file's name: expected `apex.toml`");
        assert!(refused("\"acme\"", "\"Ac_me\"").starts_with("id: partner id `Ac_me` must be"));
        for name in ["acme", "acme.yaml", "acme.toml.bak", "ACME.toml"] {
            assert_eq!(PartnerFile::parse(name, GOOD).unwrap_err().key, "id", "{name}");
        }
    }

    #[test]
    fn values_out_of_bounds_name_their_key() {
        for (from, to, key) in [
            ("\"Acme\"", "\" \"", "name"),
            ("\"A database\"", "\"\"", "description"),
            ("category = \"database\"", "category = \"Data base\"", "category"),
            ("https://acme.example\"", "http://acme.example\"", "homepage_url"),
            ("https://api.acme.example/v1", "https://user:pass@acme.example", "api_base_url"),
            ("https://api.acme.example/v1", "https:api", "api_base_url"),
            ("category = \"database\"", "category = \"hosting\"\nengines = [\"postgresql\"]", "engines"),
            ("tier = 1", "tier = 1\nengines = [\"postgresql\", \"postgres\"]", "engines[1]"),
            ("tier = 1", "tier = 1\nengines = [\"redis\"]", "engines[0]"),
            ("tier = 1", "tier = 1\nengines = [\"mysql\", \"mysql\"]", "engines[1]"),
            ("tier = 1", "tier = 0", "tier"),
            ("\"0.20\"", "\"1.01\"", "terms.commission_rate"),
            ("\"0.20\"", "\"-0.1\"", "terms.commission_rate"),
            ("\"0.30\"", "\"0.1234567\"", "terms.success_bonus_rate"),
            ("[terms]", "[terms]\nmultiplier_cap = \"0.5\"", "terms.multiplier_cap"),
            ("[terms]", "[terms]\nattribution_window_hours = 0", "terms.attribution_window_hours"),
            ("[terms]", "[terms]\nhold_period_days = -1", "terms.hold_period_days"),
            ("\"0.02\"", "\"0\"", "priors.conversion_rate"),
            ("\"0.02\"", "\"1\"", "priors.conversion_rate"),
            ("\"200\"", "\"0\"", "priors.conversion_rate_weight"),
            ("\"25\"", "\"-1\"", "priors.average_value"),
            ("\"1.2\"", "\"0.01\"", "priors.success_multiplier"),
            ("\"project_created\"", "\"Project created\"", "success_metrics[0].id"),
            ("\"Project Created\"", "\"\"", "success_metrics[0].name"),
            ("\"1.0\"", "\"0.09\"", "success_metrics[0].value_multiplier"),
            ("\"1.0\"", "\"10.01\"", "success_metrics[0].value_multiplier"),
            ("\"project_id\"", "\"project_id\", \"\"", "success_metrics[0].required_data[1]"),
            ("\"project_id\"", "\"a\", \"a\"", "success_metrics[0].required_data[1]"),
            ("path = \"success-achieved\"", "path = \"Success/achieved\"", "webhook_events[0].path"),
            ("path = \"success-achieved\"", "path = \"\"", "webhook_events[0].path"),
            ("\"success.achieved\"", "\"\"", "webhook_events[0].event"),
        ] {
            let error = refused(from, to);
            assert!(error.starts_with(&format!("{key}: ")), "{to}: {error}");
        }
    }

    #[test]
    fn a_bad_link_is_refused_for_its_own_reason() {
        let link = "https://acme.example/new?click_id={{CLICK_ID}}";
        let key = "integration_methods[0].url_template: ";
        assert!(refused(link, "http://acme.example").starts_with(&format!("{key}`http://acme.example` must be an https URL")));
        assert!(refused(link, "https://acme.example/{{CLICK}}").starts_with(&format!("{key}unknown placeholder `{{{{CLICK}}}}`")));
        assert!(refused(link, "https://{{SITE_ID}}.example/").starts_with(key));
    }

    #[test]
    fn metric_ids_and_webhook_paths_stand_once() {
        let again = |table: &str| {
            let start = GOOD.find(table).unwrap();
            let end = GOOD[start + 2..].find("\n[").map_or(GOOD.len(), |end| start + 2 + end);
            PartnerFile::parse("acme.toml", &format!("{GOOD}\n{}", &GOOD[start..end])).unwrap_err().to_string()
        };
        assert_eq!(again("[[success_metrics]]"), "acme.toml: success_metrics[1].id: `project_created` is there twice");
        assert_eq!(again("[[webhook_events]]"), "acme.toml: webhook_events[1].path: `success-achieved` is there twice");
    }

    #[test]
    fn only_an_inactive_partner_may_lack_integration_methods() {
        let start = GOOD.find("[[integration_methods]]").unwrap();
        let end = GOOD.find("[[success_metrics]]").unwrap();
        let without = format!("{}{}", &GOOD[..start], &GOOD[end..]);
        let error = PartnerFile::parse("acme.toml", &without).unwrap_err();
        assert_eq!(error.to_string(), "acme.toml: integration_methods: an active partner needs at least one");
        assert!(PartnerFile::parse("acme.toml", &without.replacen("tier = 1", "tier = 1\nactive = false", 1)).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            prop_assert!(PartnerFile::parse("acme.toml", &text).is_err());
        }

        #[test]
        fn a_file_cut_short_is_refused_or_valid_but_never_panics(end in 0..GOOD.len()) {
            if let Ok(file) = PartnerFile::parse("acme.toml", &GOOD[..end]) {
                prop_assert_eq!(file.partner().invalid(), None);
            }
        }
    }
}
