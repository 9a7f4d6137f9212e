//! The bounds of a partner's values, for files and for what an operator edits.

use std::{collections::HashSet, ops::RangeInclusive};

use rust_decimal::Decimal;

use super::{IntegrationKind, IntegrationMethod, Partner, Priors, SuccessMetric, WebhookEvent};
use crate::analysis::{Category, database_of_record};

/// A value out of its bounds: the key, such as `success_metrics[0].id`, and what was expected.
type Invalid = (String, String);

/// 50 of a kind: the widest partner programmes have a dozen; more is a slip of a script.
const ITEMS_MAX: usize = 50;

impl Partner {
    /// Finds the first value that is out of its bounds, as (key, what was expected).
    pub fn invalid(&self) -> Option<Invalid> {
        check(self).err()
    }
}

fn check(partner: &Partner) -> Result<(), Invalid> {
    check_text("name", &partner.name, 1..=80)?;
    check_text("display_name", &partner.display_name, 1..=80)?;
    check_text("description", &partner.description, 1..=2000)?;
    check_slug("category", &partner.category, "-")?;
    check_engines(&partner.category, &partner.engines)?;
    check_https("homepage_url", &partner.homepage_url)?;
    check_https("api_base_url", &partner.api_base_url)?;
    if !(1..=3).contains(&partner.tier) {
        return invalid("tier", format!("`{}` must be 1, 2 or 3", partner.tier));
    }
    check_priors(&partner.priors)?;

    check_count("integration_methods", partner.integration_methods.len())?;
    if partner.active && partner.integration_methods.is_empty() {
        return invalid("integration_methods", "an active partner needs at least one");
    }
    check_methods(&partner.integration_methods)?;
    check_metrics(&partner.success_metrics)?;
    check_webhooks(&partner.webhook_events)
}

fn check_methods(methods: &[IntegrationMethod]) -> Result<(), Invalid> {
    for (index, method) in methods.iter().enumerate() {
        let key = |name: &str| format!("integration_methods[{index}].{name}");
        if method.kind == IntegrationKind::DeepLink && method.url_template.is_ours() {
            return invalid(
                key("url_template"),
                format!("`{}` must be an https URL: a deep link leads to the partner", method.url_template.as_str()),
            );
        }
        for (kind, template) in &method.template_ids {
            check_text(&key(&format!("template_ids.{}", kind.id())), template, 1..=100)?;
        }
    }
    Ok(())
}

fn check_engines(category: &str, engines: &[String]) -> Result<(), Invalid> {
    if !engines.is_empty() && category != Category::Database.id() {
        return invalid("engines", format!("only a partner of category `{}` has them", Category::Database.id()));
    }
    check_count("engines", engines.len())?;
    let mut seen = HashSet::new();
    for (index, engine) in engines.iter().enumerate() {
        let key = format!("engines[{index}]");
        if database_of_record(engine).is_none() {
            return invalid(key, format!("`{engine}` is no database that an analysis knows, such as `postgresql`, `mysql` or `mongodb`"));
        }
        if !seen.insert(engine) {
            return invalid(key, format!("`{engine}` is there twice"));
        }
    }
    Ok(())
}

fn check_priors(priors: &Priors) -> Result<(), Invalid> {
    // Open at both ends: at 0 or 1 no data would ever change the belief.
    if priors.conversion_rate <= Decimal::ZERO || priors.conversion_rate >= Decimal::ONE {
        return invalid("priors.conversion_rate", format!("`{}` must be between 0 and 1, without the ends", priors.conversion_rate));
    }
    check_decimal("priors.conversion_rate_weight", priors.conversion_rate_weight, Decimal::ONE..=Decimal::from(1_000_000))?;
    check_decimal("priors.average_value", priors.average_value, Decimal::ZERO..=Decimal::from(1_000_000_000))?;
    check_decimal("priors.success_multiplier", priors.success_multiplier, Decimal::new(1, 1)..=Decimal::from(100))
}

/// Finds the first metric that is out of its bounds, as (key, what was expected).
pub fn invalid_metrics(metrics: &[SuccessMetric]) -> Option<(String, String)> {
    check_metrics(metrics).err()
}

fn check_metrics(metrics: &[SuccessMetric]) -> Result<(), Invalid> {
    check_count("success_metrics", metrics.len())?;
    let mut ids = HashSet::new();
    for (index, metric) in metrics.iter().enumerate() {
        let key = |name: &str| format!("success_metrics[{index}].{name}");
        check_slug(&key("id"), &metric.id, "_-")?;
        if !ids.insert(&metric.id) {
            return invalid(key("id"), format!("`{}` is there twice", metric.id));
        }
        check_text(&key("name"), &metric.name, 1..=80)?;
        check_decimal(&key("value_multiplier"), metric.value_multiplier, Decimal::new(1, 1)..=Decimal::from(10))?;
        check_count(&key("required_data"), metric.required_data.len())?;
        let mut keys = HashSet::new();
        for (position, required) in metric.required_data.iter().enumerate() {
            let key = key(&format!("required_data[{position}]"));
            check_slug(&key, required, "_-")?;
            if !keys.insert(required) {
                return invalid(key, format!("`{required}` is there twice"));
            }
        }
    }
    Ok(())
}

fn check_webhooks(webhooks: &[WebhookEvent]) -> Result<(), Invalid> {
    check_count("webhook_events", webhooks.len())?;
    let mut paths = HashSet::new();
    for (index, webhook) in webhooks.iter().enumerate() {
        let key = |name: &str| format!("webhook_events[{index}].{name}");
        check_slug(&key("path"), &webhook.path, "-")?;
        if !paths.insert(&webhook.path) {
            return invalid(key("path"), format!("`{}` is there twice", webhook.path));
        }
        check_text(&key("event"), &webhook.event, 1..=80)?;
    }
    Ok(())
}

fn invalid<T>(key: impl Into<String>, reason: impl Into<String>) -> Result<T, Invalid> {
    Err((key.into(), reason.into()))
}

fn check_text(key: &str, text: &str, length: RangeInclusive<usize>) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return invalid(key, "must not be empty");
    }
    if !length.contains(&text.chars().count()) {
        return invalid(key, format!("must have at most {} characters", length.end()));
    }
    Ok(())
}

/// 1 to 60 of `a-z`, `0-9` and the characters of `also`.
fn check_slug(key: &str, text: &str, also: &str) -> Result<(), Invalid> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(c);
    if (1..=60).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(());
    }
    let also: Vec<String> = also.chars().map(String::from).collect();
    invalid(key, format!("`{text}` must be 1 to 60 characters of a-z, 0-9 and {}", also.join(" and ")))
}

fn check_https(key: &str, text: &str) -> Result<(), Invalid> {
    let plain = text.starts_with("https://") && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let parsed = url::Url::parse(text).ok().filter(|url| url.host_str().is_some() && url.username().is_empty() && url.password().is_none());
    if plain && parsed.is_some() { Ok(()) } else { invalid(key, format!("`{text}` must be an https URL")) }
}

fn check_decimal(key: &str, value: Decimal, range: RangeInclusive<Decimal>) -> Result<(), Invalid> {
    if range.contains(&value) { Ok(()) } else { invalid(key, format!("`{value}` must be from {} to {}", range.start(), range.end())) }
}

fn check_count(key: &str, count: usize) -> Result<(), Invalid> {
    if count <= ITEMS_MAX { Ok(()) } else { invalid(key, format!("{count} are too many, at most {ITEMS_MAX}")) }
}
