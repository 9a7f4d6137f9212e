//! Links with placeholders, which are filled in at the time of the click.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// What `{{...}}` in a URL template can stand for.
pub const PLACEHOLDERS: [&str; 5] = ["PROJECT_TYPE", "TEMPLATE_ID", "REFERRAL_CODE", "CLICK_ID", "SITE_ID"];

const OURS: &str = "/api/partners/";

/// An https URL with placeholders that are known to exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlTemplate(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrlTemplate {
    #[error("unknown placeholder `{{{{{0}}}}}`: expected one of {known}", known = PLACEHOLDERS.join(", "))]
    UnknownPlaceholder(String),
    #[error("`{{{{` without `}}}}`")]
    Unclosed,
    #[error("`{0}` must be an https URL, or a path of ours that starts with /api/partners/")]
    NotHttps(String),
    #[error("`{0}` has a placeholder in its host, where values could change the target")]
    PlaceholderInHost(String),
}

/// The values for a template's placeholders; absent ones become empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct TemplateValues<'a> {
    pub project_type: &'a str,
    pub template_id: &'a str,
    pub referral_code: &'a str,
    pub click_id: &'a str,
    pub site_id: &'a str,
}

/// Everything but RFC 3986's unreserved characters.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl UrlTemplate {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a path of ours, which makes what a visitor needs by the partner's API and sends them on.
    pub fn is_ours(&self) -> bool {
        self.0.starts_with(OURS)
    }

    /// Fills the placeholders in, percent-encoding each value.
    pub fn expand(&self, values: &TemplateValues<'_>) -> String {
        let mut url = String::with_capacity(self.0.len() + 160);
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            url.push_str(before);
            let (name, after) = after.split_once("}}").unwrap_or((after, ""));
            let value = match name {
                "PROJECT_TYPE" => values.project_type,
                "TEMPLATE_ID" => values.template_id,
                "REFERRAL_CODE" => values.referral_code,
                "CLICK_ID" => values.click_id,
                _ => values.site_id,
            };
            url.extend(utf8_percent_encode(value, VALUE));
            rest = after;
        }
        url.push_str(rest);
        url
    }
}

impl TryFrom<String> for UrlTemplate {
    type Error = InvalidUrlTemplate;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut rest = text.as_str();
        while let Some((_, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or(InvalidUrlTemplate::Unclosed)?;
            if !PLACEHOLDERS.contains(&name) {
                return Err(InvalidUrlTemplate::UnknownPlaceholder(name.to_owned()));
            }
            rest = after;
        }
        // Browsers drop control characters and read `\\` as `/`: what we check must be what they see.
        if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return Err(InvalidUrlTemplate::NotHttps(text));
        }
        if text.starts_with(OURS) {
            return Ok(Self(text));
        }
        let filled = text.replace("{{", "x").replace("}}", "x");
        let url = url::Url::parse(&filled).map_err(|_| InvalidUrlTemplate::NotHttps(text.clone()))?;
        if !text.starts_with("https://") || url.host_str().is_none() || !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrlTemplate::NotHttps(text));
        }
        let authority_end = text.find("://").and_then(|start| text[start + 3..].find(['/', '?', '#']).map(|end| start + 3 + end));
        if text[..authority_end.unwrap_or(text.len())].contains("{{") {
            return Err(InvalidUrlTemplate::PlaceholderInHost(text));
        }
        Ok(Self(text))
    }
}

impl From<UrlTemplate> for String {
    fn from(template: UrlTemplate) -> Self {
        template.0
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn template(text: &str) -> Result<UrlTemplate, InvalidUrlTemplate> {
        UrlTemplate::try_from(text.to_owned())
    }

    #[test]
    fn every_placeholder_is_filled_in_and_encoded() {
        let values =
            TemplateValues { project_type: "web app", template_id: "a/b", referral_code: "p4s_x", click_id: "t&k=1", site_id: "ü" };
        let link = template("https://example.com/{{TEMPLATE_ID}}?p={{PROJECT_TYPE}}&r={{REFERRAL_CODE}}&c={{CLICK_ID}}&s={{SITE_ID}}#end")
            .unwrap();
        assert_eq!(link.expand(&values), "https://example.com/a%2Fb?p=web%20app&r=p4s_x&c=t%26k%3D1&s=%C3%BC#end");
    }

    #[test]
    fn an_absent_value_becomes_empty() {
        let link = template("https://example.com/?click_id={{CLICK_ID}}").unwrap();
        assert_eq!(link.expand(&TemplateValues::default()), "https://example.com/?click_id=");
    }

    #[test]
    fn an_unknown_placeholder_is_named_with_the_known_ones() {
        let error = template("https://example.com/{{CLICKID}}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown placeholder `{{CLICKID}}`: expected one of PROJECT_TYPE, TEMPLATE_ID, REFERRAL_CODE, CLICK_ID, SITE_ID"
        );
        assert_eq!(template("https://example.com/{{CLICK_ID"), Err(InvalidUrlTemplate::Unclosed));
    }

    #[test]
    fn only_https_targets_are_accepted() {
        for wrong in [
            "http://example.com/",
            "//example.com/",
            "https:example.com",
            "javascript:alert(1)",
            "https://",
            "https://user@example.com/",
            "https://:password@example.com/",
            "https://example.com/\nLocation: x",
            "https://example.com\\@evil.example/",
            "/elsewhere",
            "",
        ] {
            assert_eq!(template(wrong), Err(InvalidUrlTemplate::NotHttps(wrong.to_owned())), "{wrong:?}");
        }
        assert!(template("/api/partners/supabase/create-project").is_ok());
    }

    #[test]
    fn a_placeholder_in_the_host_is_refused() {
        for wrong in
            ["https://{{SITE_ID}}.example.com/", "https://{{SITE_ID}}", "https://example.com:{{SITE_ID}}/", "https://a.{{SITE_ID}}?x"]
        {
            let error = template(wrong).unwrap_err();
            assert!(matches!(error, InvalidUrlTemplate::PlaceholderInHost(_) | InvalidUrlTemplate::NotHttps(_)), "{wrong}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_value_changes_the_target_or_another_parameter(value in "\\PC{0,60}") {
            let link = template("https://example.com/start?a={{PROJECT_TYPE}}&b=fixed").unwrap();
            let url = url::Url::parse(&link.expand(&TemplateValues { project_type: &value, ..TemplateValues::default() })).unwrap();
            prop_assert_eq!((url.host_str(), url.path()), (Some("example.com"), "/start"));
            let pairs: Vec<_> = url.query_pairs().collect();
            prop_assert_eq!(pairs.len(), 2);
            prop_assert_eq!(pairs[0].1.as_ref(), value.as_str());
        }
    }
}
