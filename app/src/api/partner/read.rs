//! Reads the forms of a partner's page, and writes the engine's answers as the page shows them.

use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{
    PartnerId,
    partner::{IntegrationKind, IntegrationMethod, Partner, PartnerSecret, TermsValues, UrlTemplate},
};
use engine::partner::{Overview, TermsVersion};
use rust_decimal::Decimal;

use super::{Endpoint, PartnerDetail, PartnerLink, PartnerRow, Phase, TermsForm, TermsRow};
use crate::{
    AppError,
    api::request::{invalid, origin},
};

pub const MADE_SECRET_COOKIE: &str = "made_secret";
/// 60 s: longer than any redirect takes.
pub const MADE_SECRET_SECONDS: u32 = 60;

/// A text that is no slug names no partner.
pub fn read_id(text: &str) -> Result<PartnerId, AppError> {
    text.parse().map_err(|_| engine::Error::not_found(format!("partner `{text}`")).into())
}

pub fn row(overview: Overview) -> PartnerRow {
    PartnerRow {
        partner_id: overview.partner_id,
        display_name: overview.display_name,
        category: overview.category,
        tier: overview.tier,
        active: overview.active,
        commission_rate: overview.commission_rate,
        attribution_window_hours: overview.attribution_window_hours,
        webhook_secrets: overview.webhook_secrets,
    }
}

pub fn detail(partner: Partner, terms: Vec<TermsVersion>, secrets: Vec<PartnerSecret>, now: DateTime<Utc>) -> PartnerDetail {
    let origin = origin();
    let in_force = terms.iter().find(|version| version.terms.effective_from <= now).map(|version| version.terms.version);
    let phase = |version: i32| match in_force {
        Some(current) if version == current => Phase::InForce,
        Some(current) if version < current => Phase::Past,
        _ => Phase::Coming,
    };
    let link = |method: IntegrationMethod| PartnerLink {
        kind: method.kind,
        url_template: method.url_template.as_str().to_owned(),
        conversion_tracking: method.conversion_tracking,
    };
    let endpoints = partner.webhook_events.into_iter().map(|webhook| Endpoint {
        url: format!("{origin}/webhooks/{}/{}", partner.partner_id, webhook.path),
        event: webhook.event,
        scheme: webhook.authentication,
    });
    PartnerDetail {
        webhooks: endpoints.collect(),
        partner_id: partner.partner_id,
        display_name: partner.display_name,
        description: partner.description,
        category: partner.category,
        homepage_url: partner.homepage_url,
        api_base_url: partner.api_base_url,
        auth_type: partner.auth_type,
        tier: partner.tier,
        active: partner.active,
        links: partner.integration_methods.into_iter().map(link).collect(),
        terms: terms.into_iter().map(|version| terms_row(phase(version.terms.version), version)).collect(),
        metrics: partner.success_metrics,
        secrets,
    }
}

fn terms_row(phase: Phase, version: TermsVersion) -> TermsRow {
    let TermsVersion { terms, created_at, created_by } = version;
    TermsRow {
        version: terms.version,
        effective_from: terms.effective_from,
        phase,
        commission_rate: terms.values.commission_rate,
        success_bonus_rate: terms.values.success_bonus_rate,
        multiplier_cap: terms.values.multiplier_cap,
        attribution_window_hours: terms.values.attribution_window_hours,
        hold_period_days: terms.values.hold_period_days,
        adjustment_window_days: terms.values.adjustment_window_days,
        payout_currency: terms.values.payout_currency.code().to_owned(),
        created_at,
        created_by,
    }
}

/// The methods with another deep link; `None`, which changes nothing, if the partner has no deep link.
pub fn with_deep_link(mut methods: Vec<IntegrationMethod>, template: &str) -> Result<Option<Vec<IntegrationMethod>>, AppError> {
    let Some(method) = methods.iter_mut().find(|method| method.kind == IntegrationKind::DeepLink) else { return Ok(None) };
    method.url_template = UrlTemplate::try_from(template.to_owned()).map_err(|error| invalid("deep_link", error))?;
    Ok(Some(methods))
}

/// Reads what was typed; the bounds are checked with the values.
pub fn read_terms(form: &TermsForm, now: DateTime<Utc>) -> Result<(TermsValues, DateTime<Utc>), AppError> {
    let values = TermsValues {
        commission_rate: read_percent("commission_rate", &form.commission_rate)?,
        success_bonus_rate: read_percent("success_bonus_rate", &form.success_bonus_rate)?,
        multiplier_cap: read("multiplier_cap", &form.multiplier_cap, "a number such as 3")?,
        attribution_window_hours: read("attribution_window_hours", &form.attribution_window_hours, "a whole number of hours")?,
        hold_period_days: read("hold_period_days", &form.hold_period_days, "a whole number of days")?,
        adjustment_window_days: read("adjustment_window_days", &form.adjustment_window_days, "a whole number of days")?,
        payout_currency: read("payout_currency", &form.payout_currency.to_uppercase(), "a currency code such as USD")?,
    };
    let effective_from = match form.effective_from.trim() {
        "" => now,
        text => read_time("effective_from", text)?,
    };
    Ok((values, effective_from))
}

fn read<T: FromStr>(field: &str, text: &str, expected: &str) -> Result<T, AppError> {
    let text = text.trim();
    text.parse().map_err(|_| invalid(field, format!("`{text}` must be {expected}")))
}

/// `12.5` or `12.5 %` as 0.125.
fn read_percent(field: &str, text: &str) -> Result<Decimal, AppError> {
    let number: Decimal = read(field, text.trim().trim_end_matches('%'), "a percentage such as 12.5")?;
    if number < Decimal::ZERO || number > Decimal::ONE_HUNDRED || number.normalize().scale() > 4 {
        return Err(invalid(field, format!("`{number}` must be from 0 to 100 with up to 4 digits after the point")));
    }
    Ok((number / Decimal::ONE_HUNDRED).normalize())
}

/// What a `datetime-local` input sends, taken as UTC.
fn read_time(field: &str, text: &str) -> Result<DateTime<Utc>, AppError> {
    let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"];
    let time = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), format).ok());
    time.map(|time| time.and_utc()).ok_or_else(|| invalid(field, format!("`{text}` must be a time in UTC such as 2026-12-01T00:00")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn form() -> TermsForm {
        let text = |text: &str| text.to_owned();
        TermsForm {
            commission_rate: text("12.5 %"),
            success_bonus_rate: text("30"),
            multiplier_cap: text("3"),
            attribution_window_hours: text("24"),
            hold_period_days: text("30"),
            adjustment_window_days: text("90"),
            payout_currency: text("usd"),
            effective_from: String::new(),
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn rates_are_typed_in_per_cent_and_no_time_means_now() {
        let (values, from) = read_terms(&form(), now()).unwrap();
        assert_eq!((values.commission_rate, values.success_bonus_rate, from), (Decimal::new(125, 3), Decimal::new(3, 1), now()));
        let later = TermsForm { effective_from: "2026-12-01T06:30".to_owned(), ..form() };
        assert_eq!(read_terms(&later, now()).unwrap().1.to_rfc3339(), "2026-12-01T06:30:00+00:00");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        type Change = fn(&mut TermsForm);
        let cases: [(&str, Change); 7] = [
            ("commission_rate", |form| form.commission_rate = "a fifth".to_owned()),
            ("commission_rate", |form| form.commission_rate = "101".to_owned()),
            ("success_bonus_rate", |form| form.success_bonus_rate = "-1".to_owned()),
            ("multiplier_cap", |form| form.multiplier_cap = String::new()),
            ("attribution_window_hours", |form| form.attribution_window_hours = "1.5".to_owned()),
            ("payout_currency", |form| form.payout_currency = "dollars".to_owned()),
            ("effective_from", |form| form.effective_from = "tomorrow".to_owned()),
        ];
        for (field, change) in cases {
            let mut form = form();
            change(&mut form);
            assert_eq!(read_terms(&form, now()).unwrap_err().0.field.as_deref(), Some(field));
        }
    }

    #[test]
    fn a_deep_link_that_leads_elsewhere_is_refused() {
        let method = |kind| IntegrationMethod {
            kind,
            url_template: UrlTemplate::try_from("https://acme.example/".to_owned()).unwrap(),
            conversion_tracking: true,
            customization: Default::default(),
        };
        let methods = vec![method(IntegrationKind::DeepLink), method(IntegrationKind::EmbedWidget)];
        assert_eq!(with_deep_link(methods.clone(), "http://acme.example/").unwrap_err().0.field.as_deref(), Some("deep_link"));
        let changed = with_deep_link(methods, "https://acme.example/?c={{CLICK_ID}}").unwrap().unwrap();
        assert_eq!(changed[0].url_template.as_str(), "https://acme.example/?c={{CLICK_ID}}");
        assert_eq!(changed[1].url_template.as_str(), "https://acme.example/");
        assert_eq!(with_deep_link(Vec::new(), "anything").unwrap(), None);
    }
}
