//! Reads the forms of a partner's page, and writes the engine's answers as the page shows them.

use std::{collections::BTreeMap, str::FromStr};

use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{
    Currency, Money, PartnerId,
    attribution::Model,
    partner::{Partner, PartnerSecret, SuccessMetric, Terms, TermsValues, WebhookEvent, WebhookScheme},
};
use engine::partner::TermsVersion;
use rust_decimal::Decimal;

use super::{ComingTerms, Endpoint, PartnerDetail, SecretRow, TermsForm, identity};
use crate::{
    AppError,
    api::request::{invalid, origin},
    panels,
};

/// A text that is no slug names no partner.
pub fn read_id(text: &str) -> Result<PartnerId, AppError> {
    text.parse().map_err(|_| engine::Error::not_found(format!("partner `{text}`")).into())
}

pub fn detail(partner: Partner, terms: Vec<TermsVersion>, secrets: Vec<PartnerSecret>, now: DateTime<Utc>) -> PartnerDetail {
    let base = format!("{}/webhooks/{}", origin(), partner.partner_id);
    let is_standard = |webhook: &&WebhookEvent| webhook.authentication == WebhookScheme::StandardWebhooks;
    let newest = terms.first().map(|version| &version.terms);
    PartnerDetail {
        edited: identity::edited(&partner),
        identity: panels::identity(&partner),
        newest_terms: newest.map(form_of).unwrap_or_default(),
        terms_seen: newest.map(|terms| terms.partner_terms_id.to_string()).unwrap_or_default(),
        coming: terms.iter().filter(|version| engine::partner::may_be_withdrawn(&version.terms, now)).map(coming).collect(),
        metric_names: partner.success_metrics.iter().map(|metric| (metric.id.clone(), metric.name.clone())).collect(),
        terms_history: panels::terms_history(terms, now),
        metrics: panels::metrics(partner.success_metrics),
        example: partner.webhook_events.iter().find(is_standard).map(|webhook| curl_example(&format!("{base}/{}", webhook.path))),
        webhooks: partner.webhook_events.into_iter().map(|webhook| endpoint(&base, &webhook)).collect(),
        postback_url: format!("{}/postback/{}?{POSTBACK_QUERY}", origin(), partner.partner_id),
        secrets: secrets.into_iter().map(secret_row).collect(),
        refusals: String::new(),
        partner_id: partner.partner_id.to_string(),
        display_name: partner.display_name,
        description: partner.description,
        active: partner.active,
    }
}

/// What a sale needs; `docs/PARTNER-WEBHOOKS.md` lists all parameters.
const POSTBACK_QUERY: &str = "token=TOKEN&click_id=CLICK_ID&txid=ORDER_ID&amount=AMOUNT&currency=CURRENCY";

fn coming(version: &TermsVersion) -> ComingTerms {
    let Terms { partner_terms_id, version, effective_from, .. } = version.terms;
    ComingTerms { id: partner_terms_id, version, effective_from }
}

fn endpoint(base: &str, webhook: &WebhookEvent) -> Endpoint {
    let event = if webhook.event == "*" { "Every event" } else { &webhook.event };
    let scheme = match webhook.authentication {
        WebhookScheme::StandardWebhooks => "Standard Webhooks",
        WebhookScheme::HmacSha256 => "HMAC-SHA256, as GitHub signs",
        WebhookScheme::Stripe => "as Stripe signs",
        WebhookScheme::Dub => "as Dub signs",
    };
    Endpoint { label: format!("{event} ({scheme})"), url: format!("{base}/{}", webhook.path) }
}

fn secret_row(secret: PartnerSecret) -> SecretRow {
    SecretRow {
        id: secret.partner_secret_id.to_string(),
        purpose: secret.purpose,
        hint: secret.hint,
        created_at: secret.created_at,
        created_by: secret.created_by,
        revoked_at: secret.revoked_at,
    }
}

/// What a form for terms shows that starts from these.
pub fn form_of(terms: &Terms) -> TermsForm {
    form(&terms.values, &terms.success_metrics)
}

/// What [`read_terms`] reads, with the time left to be chosen.
fn form(values: &TermsValues, metrics: &[SuccessMetric]) -> TermsForm {
    let percent = |rate: Decimal| (rate * Decimal::ONE_HUNDRED).normalize().to_string();
    TermsForm {
        commission_rate: percent(values.commission_rate),
        success_bonus_rate: percent(values.success_bonus_rate),
        multiplier_cap: values.multiplier_cap.to_string(),
        attribution_window_hours: values.attribution_window_hours.to_string(),
        hold_period_days: values.hold_period_days.to_string(),
        adjustment_window_days: values.adjustment_window_days.to_string(),
        payout_currency: values.payout_currency.code().to_owned(),
        attribution_model: values.attribution_model.to_string(),
        attribution_minimum_seconds: values.attribution_minimum_seconds.to_string(),
        minimum_payout: Money::new(values.minimum_payout_minor, values.payout_currency).to_decimal().to_string(),
        multipliers: metrics.iter().map(|metric| (metric.id.clone(), metric.value_multiplier.normalize().to_string())).collect(),
        effective_from: String::new(),
    }
}

/// The metrics with other multipliers; one that the form does not name keeps its own.
pub fn with_multipliers(mut metrics: Vec<SuccessMetric>, typed: &BTreeMap<String, String>) -> Result<Vec<SuccessMetric>, AppError> {
    for (id, text) in typed {
        let field = format!("multipliers.{id}");
        let Some(metric) = metrics.iter_mut().find(|metric| metric.id == *id) else {
            return Err(invalid(&field, format!("`{id}` is none of the partner's metrics")));
        };
        metric.value_multiplier = read(&field, text, "a number such as 1.5")?;
        if metric.value_multiplier < Decimal::new(1, 1) || metric.value_multiplier > Decimal::TEN || metric.value_multiplier.scale() > 3 {
            return Err(invalid(
                &field,
                format!("`{}` must be from 0.1 to 10 with up to 3 digits after the point", metric.value_multiplier),
            ));
        }
    }
    Ok(metrics)
}

/// Signs with openssl alone, so that a partner can try it from any shell.
fn curl_example(url: &str) -> String {
    format!(
        r#"SECRET='whsec_…'
ID="test_$(date +%s)"
TIMESTAMP=$(date +%s)
BODY='{{"type":"conversion.created","timestamp":"2026-11-22T12:00:00Z","data":{{"is_test":true,"conversion_id":"test-1","occurred_at":"2026-11-22T12:00:00Z","amount":"49.00","currency":"USD"}}}}'
KEY=$(printf %s "${{SECRET#whsec_}}" | base64 -d | od -An -v -tx1 | tr -d ' \n')
SIGNATURE=$(printf %s "$ID.$TIMESTAMP.$BODY" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" -binary | base64)
curl -i '{url}' \
  -H 'content-type: application/json' \
  -H "webhook-id: $ID" \
  -H "webhook-timestamp: $TIMESTAMP" \
  -H "webhook-signature: v1,$SIGNATURE" \
  -d "$BODY""#
    )
}

/// Reads what was typed; the bounds are checked with the values.
pub fn read_terms(form: &TermsForm, now: DateTime<Utc>) -> Result<(TermsValues, DateTime<Utc>), AppError> {
    let payout_currency: Currency = read("payout_currency", &form.payout_currency.to_uppercase(), "a currency code such as USD")?;
    let minimum_payout =
        Money::parse(form.minimum_payout.trim(), payout_currency).map_err(|error| invalid("minimum_payout_minor", error))?;
    let values = TermsValues {
        commission_rate: read_percent("commission_rate", &form.commission_rate)?,
        success_bonus_rate: read_percent("success_bonus_rate", &form.success_bonus_rate)?,
        multiplier_cap: read("multiplier_cap", &form.multiplier_cap, "a number such as 3")?,
        attribution_window_hours: read("attribution_window_hours", &form.attribution_window_hours, "a whole number of hours")?,
        hold_period_days: read("hold_period_days", &form.hold_period_days, "a whole number of days")?,
        adjustment_window_days: read("adjustment_window_days", &form.adjustment_window_days, "a whole number of days")?,
        payout_currency,
        attribution_model: form.attribution_model.parse::<Model>().map_err(|error| invalid("attribution_model", error))?,
        attribution_minimum_seconds: read("attribution_minimum_seconds", &form.attribution_minimum_seconds, "a whole number of seconds")?,
        minimum_payout_minor: minimum_payout.amount_minor,
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
            attribution_model: text("linear"),
            attribution_minimum_seconds: text("5"),
            minimum_payout: text("50.00"),
            multipliers: BTreeMap::from([(text("deployed"), text("1.25"))]),
            effective_from: String::new(),
        }
    }

    fn metrics() -> Vec<SuccessMetric> {
        let metric = serde_json::json!({
            "id": "deployed", "name": "Deployed", "type": "achievement", "measurement_method": "webhook", "value_multiplier": "1.5",
            "required_data": [], "verification_required": true,
        });
        vec![serde_json::from_value(metric).unwrap()]
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
    fn a_form_that_is_sent_as_it_was_shown_changes_nothing() {
        let (values, _) = read_terms(&form(), now()).unwrap();
        let shown = super::form(&values, &metrics());
        assert_eq!(read_terms(&shown, now()).unwrap().0, values);
        assert_eq!(with_multipliers(metrics(), &shown.multipliers).unwrap(), metrics());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        type Change = fn(&mut TermsForm);
        let cases: [(&str, Change); 11] = [
            ("commission_rate", |form| form.commission_rate = "a fifth".to_owned()),
            ("commission_rate", |form| form.commission_rate = "101".to_owned()),
            ("success_bonus_rate", |form| form.success_bonus_rate = "-1".to_owned()),
            ("multiplier_cap", |form| form.multiplier_cap = String::new()),
            ("attribution_window_hours", |form| form.attribution_window_hours = "1.5".to_owned()),
            ("payout_currency", |form| form.payout_currency = "dollars".to_owned()),
            ("effective_from", |form| form.effective_from = "tomorrow".to_owned()),
            ("attribution_model", |form| form.attribution_model = "newest".to_owned()),
            ("attribution_minimum_seconds", |form| form.attribution_minimum_seconds = "-1".to_owned()),
            ("minimum_payout_minor", |form| form.minimum_payout = "50.001".to_owned()),
            ("minimum_payout_minor", |form| form.minimum_payout = String::new()),
        ];
        for (field, change) in cases {
            let mut form = form();
            change(&mut form);
            assert_eq!(read_terms(&form, now()).unwrap_err().0.field.as_deref(), Some(field));
        }
    }

    #[test]
    fn a_multiplier_is_changed_alone_and_a_wrong_one_is_named() {
        let changed = with_multipliers(metrics(), &form().multipliers).unwrap();
        assert_eq!(changed[0].value_multiplier, Decimal::new(125, 2));
        assert_eq!(with_multipliers(metrics(), &BTreeMap::new()).unwrap(), metrics());
        for (id, text) in [("deployed", "0"), ("deployed", "11"), ("deployed", "1.2345"), ("deployed", "twice"), ("unknown", "1")] {
            let typed = BTreeMap::from([(id.to_owned(), text.to_owned())]);
            assert_eq!(with_multipliers(metrics(), &typed).unwrap_err().0.field, Some(format!("multipliers.{id}")));
        }
    }
}
