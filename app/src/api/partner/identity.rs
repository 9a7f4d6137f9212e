//! Reads the form that edits who a partner is and where its links lead.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::partner::{IntegrationKind, IntegrationMethod, Partner, PartnerEdit, UrlTemplate};

use super::{EditedIdentity, IdentityForm};
use crate::{AppError, api::request::invalid};

pub fn edited(partner: &Partner) -> EditedIdentity {
    let deep_link = partner.deep_link().map(|method| method.url_template.as_str().to_owned());
    let has_deep_link = deep_link.is_some();
    let form = IdentityForm {
        active: partner.active.then(|| "on".to_owned()),
        display_name: partner.display_name.clone(),
        tier: partner.tier.to_string(),
        homepage_url: partner.homepage_url.clone(),
        description: partner.description.clone(),
        deep_link: deep_link.unwrap_or_default(),
    };
    let seen = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&form).unwrap_or_default());
    EditedIdentity { form, has_deep_link, seen }
}

/// The values that the page showed.
pub fn read_seen(seen: &str) -> Result<IdentityForm, AppError> {
    let json = URL_SAFE_NO_PAD.decode(seen).ok();
    json.and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or_else(|| invalid("seen", "does not tell what the page showed: open the partner's page anew"))
}

/// What was typed, without the blanks around it and with the line ends that we store.
pub fn trimmed(form: &IdentityForm) -> IdentityForm {
    let trimmed = |text: &str| text.trim().to_owned();
    IdentityForm {
        active: form.active.clone(),
        display_name: trimmed(&form.display_name),
        tier: trimmed(&form.tier),
        homepage_url: trimmed(&form.homepage_url),
        description: trimmed(&form.description.replace("\r\n", "\n")),
        deep_link: trimmed(&form.deep_link),
    }
}

/// The edit that makes a partner look like a form; the bounds are checked with the partner.
pub fn edit_to(form: &IdentityForm, methods: Vec<IntegrationMethod>) -> Result<PartnerEdit, AppError> {
    Ok(PartnerEdit {
        display_name: Some(form.display_name.clone()),
        description: Some(form.description.clone()),
        homepage_url: Some(form.homepage_url.clone()),
        tier: Some(form.tier.parse().map_err(|_| invalid("tier", format!("`{}` must be 1, 2 or 3", form.tier)))?),
        active: Some(form.active.is_some()),
        integration_methods: with_deep_link(methods, &form.deep_link)?,
    })
}

/// The methods with another deep link; `None`, which changes nothing, if the partner has no deep link.
fn with_deep_link(mut methods: Vec<IntegrationMethod>, template: &str) -> Result<Option<Vec<IntegrationMethod>>, AppError> {
    let Some(method) = methods.iter_mut().find(|method| method.kind == IntegrationKind::DeepLink) else { return Ok(None) };
    method.url_template = UrlTemplate::try_from(template.to_owned()).map_err(|error| invalid("deep_link", error))?;
    if method.url_template.is_ours() {
        return Err(invalid("deep_link", format!("`{template}` must be an https URL")));
    }
    Ok(Some(methods))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use domain::partner::PartnerFile;

    use super::*;

    fn partner() -> Partner {
        PartnerFile::parse("figma.toml", include_str!("../../../../partners/figma.toml")).unwrap().partner()
    }

    #[test]
    fn a_form_that_is_sent_as_it_was_shown_changes_nothing() {
        let edited = edited(&partner());
        assert!(edited.has_deep_link);
        let shown = read_seen(&edited.seen).unwrap();
        assert_eq!(shown, edited.form);
        for form in [trimmed(&shown), shown] {
            assert_eq!(edit_to(&form, partner().integration_methods).unwrap().apply(partner()), partner());
        }
    }

    #[test]
    fn every_field_of_the_form_is_edited() {
        let form = IdentityForm {
            active: None,
            display_name: " Figma Inc. ".to_owned(),
            tier: "3".to_owned(),
            homepage_url: "https://figma.example/".to_owned(),
            description: "Two\r\nlines".to_owned(),
            deep_link: "https://figma.example/?c={{CLICK_ID}}".to_owned(),
        };
        let after = edit_to(&trimmed(&form), partner().integration_methods).unwrap().apply(partner());
        assert_eq!((after.active, after.display_name.as_str(), after.tier), (false, "Figma Inc.", 3));
        assert_eq!((after.homepage_url.as_str(), after.description.as_str()), ("https://figma.example/", "Two\nlines"));
        assert_eq!(after.deep_link().unwrap().url_template.as_str(), "https://figma.example/?c={{CLICK_ID}}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let field = |error: AppError| error.0.field.unwrap();
        let form = edited(&partner()).form;
        let wrong_tier = IdentityForm { tier: "first".to_owned(), ..form.clone() };
        assert_eq!(field(edit_to(&wrong_tier, Vec::new()).unwrap_err()), "tier");
        for elsewhere in ["http://figma.example/", "/api/partners/figma/create-file"] {
            let form = IdentityForm { deep_link: elsewhere.to_owned(), ..form.clone() };
            assert_eq!(field(edit_to(&form, partner().integration_methods).unwrap_err()), "deep_link");
        }
        assert_eq!(with_deep_link(Vec::new(), "anything").unwrap(), None);
        assert_eq!(field(read_seen("an older page").unwrap_err()), "seen");
    }
}
