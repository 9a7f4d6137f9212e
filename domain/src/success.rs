//! Success metrics: what evidence a success needs, when two are the same, and the success score.
//!
//! The score is `100 × (1 − 2^(−S / 3))` with `S = Σ value multiplier × 2^(−age / 90 days)` over the verified successes that have not
//! expired. It grows with every success and never passes 100; three fresh successes of multiplier 1 make 50, six make 75, and without
//! new ones `S` halves every 90 days. It is no money: nothing is paid by it.

use chrono::{DateTime, Duration, Utc};
use rust_decimal::{Decimal, prelude::FromPrimitive, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{PartnerId, partner::SuccessMetric};

/// A success weighs half after as many days.
pub const HALF_LIFE_DAYS: f64 = 90.0;

/// The weighted sum at which the score is 50.
pub const SCORE_HALF_SUM: f64 = 3.0;

/// Verified successes with one partner that make a case study, within [`CASE_STUDY_DAYS`].
pub const CASE_STUDY_SUCCESSES: usize = 3;
pub const CASE_STUDY_DAYS: i64 = 90;

/// 16 KiB: evidence is a handful of ids and addresses.
pub const EVIDENCE_BYTES_MAX: usize = 16 * 1024;

/// A success of a developer, as far as scoring looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScorableSuccess {
    pub partner_id: PartnerId,
    pub metric_id: String,
    pub occurred_at: DateTime<Utc>,
    /// Verified, or of a metric that needs no verification.
    pub verified: bool,
    pub expires_at: Option<DateTime<Utc>>,
    /// Of the metric.
    pub value_multiplier: Decimal,
}

/// 0 to 100 with one digit after the point, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    pub value: Decimal,
    /// Newest first; only the successes that count.
    pub parts: Vec<ScorePart>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScorePart {
    pub partner_id: PartnerId,
    pub metric_id: String,
    pub occurred_at: DateTime<Utc>,
    /// Whole days.
    pub age_days: i64,
    /// The metric's value multiplier.
    pub weight: Decimal,
    /// What it adds to the weighted sum: `weight × 2^(−age / 90 days)`, to four digits.
    pub contribution: Decimal,
}

/// A developer's score over all partners. The order of `successes` does not matter.
pub fn score(successes: &[ScorableSuccess], now: DateTime<Utc>) -> Score {
    let mut counted: Vec<_> = successes.iter().filter(|success| counts(success, now)).collect();
    counted.sort_by(|a, b| {
        b.occurred_at
            .cmp(&a.occurred_at)
            .then_with(|| a.metric_id.cmp(&b.metric_id))
            .then_with(|| a.partner_id.cmp(&b.partner_id))
            .then_with(|| a.value_multiplier.cmp(&b.value_multiplier))
    });
    let parts: Vec<_> = counted.into_iter().map(|success| part(success, now)).collect();
    // The parts are decimals, so their sum is the same on every machine.
    let sum = parts.iter().fold(Decimal::ZERO, |sum, part| sum.saturating_add(part.contribution)).to_f64().unwrap_or(f64::MAX);
    Score { value: decimal(100.0 * (1.0 - (-sum / SCORE_HALF_SUM).exp2()), 1), parts }
}

/// A developer's score with one partner.
pub fn score_with_partner(successes: &[ScorableSuccess], partner_id: &PartnerId, now: DateTime<Utc>) -> Score {
    let of_partner: Vec<_> = successes.iter().filter(|success| success.partner_id == *partner_id).cloned().collect();
    score(&of_partner, now)
}

/// Whether the developer has enough verified successes with the partner for a case study: 3 within the last 90 days.
pub fn eligible_for_case_study(successes: &[ScorableSuccess], partner_id: &PartnerId, now: DateTime<Utc>) -> bool {
    let recent = |success: &&ScorableSuccess| {
        success.partner_id == *partner_id && counts(success, now) && now - success.occurred_at <= Duration::days(CASE_STUDY_DAYS)
    };
    successes.iter().filter(recent).count() >= CASE_STUDY_SUCCESSES
}

/// Unverified and expired successes never count, nor do those of the future.
fn counts(success: &ScorableSuccess, now: DateTime<Utc>) -> bool {
    success.verified && success.occurred_at <= now && success.expires_at.is_none_or(|expiry| expiry > now)
}

fn part(success: &ScorableSuccess, now: DateTime<Utc>) -> ScorePart {
    let age = now - success.occurred_at;
    let days = Decimal::from(age.num_seconds()).to_f64().unwrap_or(f64::MAX) / 86_400.0;
    let weight = success.value_multiplier.max(Decimal::ZERO);
    let contribution = weight.to_f64().unwrap_or(0.0) * (-days / HALF_LIFE_DAYS).exp2();
    ScorePart {
        partner_id: success.partner_id.clone(),
        metric_id: success.metric_id.clone(),
        occurred_at: success.occurred_at,
        age_days: age.num_days(),
        weight,
        contribution: decimal(contribution, 4),
    }
}

fn decimal(value: f64, digits: u32) -> Decimal {
    Decimal::from_f64(value).unwrap_or_default().round_dp(digits)
}

/// What is wrong in an input: the field, as a path, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    pub field: String,
    pub reason: String,
}

fn wrong<T>(field: impl Into<String>, reason: impl Into<String>) -> Result<T, FieldError> {
    Err(FieldError { field: field.into(), reason: reason.into() })
}

/// The metric of an id.
///
/// # Errors
/// Names the metrics that there are.
pub fn find_metric<'m>(metrics: &'m [SuccessMetric], id: &str) -> Result<&'m SuccessMetric, FieldError> {
    metrics.iter().find(|metric| metric.id == id).map_or_else(
        || {
            let known: Vec<_> = metrics.iter().map(|metric| metric.id.as_str()).collect();
            wrong("metric", format!("`{id}` is no metric of the partner, expected one of: {}", known.join(", ")))
        },
        Ok,
    )
}

/// Checks that the evidence has all the metric's required data, in the type that its name tells: `…_date` and `…_at` are a day or a time
/// with zone, `…_url` is an http or https address, `…_count` is a number that is not negative, all others are a text or a number.
///
/// # Errors
/// The first field that is missing or of a wrong type, as `evidence.project_id`. Data beyond the required is fine within 16 KiB.
pub fn check_evidence(metric: &SuccessMetric, evidence: &Map<String, Value>) -> Result<(), FieldError> {
    for name in &metric.required_data {
        let field = format!("evidence.{name}");
        let Some(value) = evidence.get(name).filter(|value| !value.is_null()) else {
            return wrong(field, format!("is missing: `{}` requires {}", metric.id, metric.required_data.join(", ")));
        };
        let expected = if name.ends_with("_date") || name.ends_with("_at") {
            ("must be a day such as \"2026-11-22\" or a time such as \"2026-11-22T12:00:00Z\"", value.as_str().is_some_and(is_day_or_time))
        } else if name.ends_with("_url") {
            ("must be an http or https address", value.as_str().is_some_and(is_web_address))
        } else if name.ends_with("_count") {
            ("must be a number that is not negative", value.as_f64().is_some_and(|count| count >= 0.0))
        } else {
            ("must be a text or a number", value.is_number() || value.as_str().is_some_and(|text| !text.trim().is_empty()))
        };
        if !expected.1 {
            return wrong(field, format!("`{}` {}", excerpt(value), expected.0));
        }
    }
    let bytes = canonical_json(&Value::Object(evidence.clone())).len();
    if bytes > EVIDENCE_BYTES_MAX {
        return wrong("evidence", format!("has {bytes} bytes, expected at most {EVIDENCE_BYTES_MAX}"));
    }
    Ok(())
}

fn is_day_or_time(text: &str) -> bool {
    DateTime::parse_from_rfc3339(text).is_ok() || chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn excerpt(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// What makes two successes the same: metric, developer and evidence, whatever the order of the evidence's keys. `developer` is any
/// stable text for the developer.
pub fn evidence_digest(metric_id: &str, developer: &str, evidence: &Map<String, Value>) -> [u8; 32] {
    let identity = Value::Array(vec![metric_id.into(), developer.into(), Value::Object(evidence.clone())]);
    Sha256::digest(canonical_json(&identity)).into()
}

/// JSON without blanks and with the keys of each object sorted by their bytes; numbers and strings as `serde_json` writes them.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<_> = object.keys().collect();
            keys.sort_unstable();
            text.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(&object[key], text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::partner::{MeasurementMethod, MetricKind};
    use chrono::TimeZone;
    use proptest::prelude::*;
    use serde_json::json;

    fn now() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
    }

    fn success(partner: &str, age_days: i64, multiplier: &str) -> ScorableSuccess {
        ScorableSuccess {
            partner_id: partner.parse().unwrap(),
            metric_id: "project_created".to_owned(),
            occurred_at: now() - Duration::days(age_days),
            verified: true,
            expires_at: None,
            value_multiplier: multiplier.parse().unwrap(),
        }
    }

    fn metric(required: &[&str]) -> SuccessMetric {
        SuccessMetric {
            id: "deployed".to_owned(),
            name: "Deployed".to_owned(),
            kind: MetricKind::Expansion,
            measurement_method: MeasurementMethod::Webhook,
            value_multiplier: Decimal::ONE,
            required_data: required.iter().map(|name| (*name).to_owned()).collect(),
            verification_required: true,
        }
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn value(successes: &[ScorableSuccess]) -> String {
        score(successes, now()).value.normalize().to_string()
    }

    #[test]
    fn three_fresh_successes_make_fifty_and_six_make_seventy_five() {
        let fresh = success("supabase", 0, "1");
        assert_eq!([value(&[]), value(&vec![fresh.clone(); 3]), value(&vec![fresh; 6])], ["0", "50", "75"]);
    }

    #[test]
    fn ninety_days_halve_the_weight() {
        let score = score(&vec![success("supabase", 90, "1"); 6], now());
        assert_eq!((score.value, score.parts[0].age_days), (Decimal::from(50), 90));
        assert_eq!(score.parts[0].contribution, Decimal::new(5, 1));
        assert_eq!(value(&[success("supabase", 90, "2"), success("supabase", 0, "2")]), "50");
    }

    #[test]
    fn unverified_expired_and_future_successes_do_not_count() {
        let unverified = ScorableSuccess { verified: false, ..success("supabase", 1, "2") };
        let expired = ScorableSuccess { expires_at: Some(now()), ..success("supabase", 1, "2") };
        let all = [unverified, expired, success("supabase", -1, "2")];
        assert_eq!(score(&all, now()), Score { value: Decimal::ZERO, parts: vec![] });
    }

    #[test]
    fn the_score_with_a_partner_looks_at_its_successes_only() {
        let all = [success("supabase", 0, "3"), success("railway", 0, "3")];
        assert_eq!(score_with_partner(&all, &"railway".parse().unwrap(), now()).value, Decimal::from(50));
        assert_eq!(score(&all, now()).value, Decimal::from(75));
        assert_eq!(score_with_partner(&all, &"figma".parse().unwrap(), now()).parts, []);
    }

    #[test]
    fn a_case_study_needs_three_recent_verified_successes_with_one_partner() {
        let partner = "supabase".parse().unwrap();
        let eligible = |successes: &[ScorableSuccess]| eligible_for_case_study(successes, &partner, now());
        let recent = success("supabase", 90, "1");
        assert!(eligible(&vec![recent.clone(); 3]));
        assert!(!eligible(&vec![recent.clone(); 2]));
        assert!(!eligible(&[recent.clone(), recent.clone(), success("railway", 1, "1")]));
        assert!(!eligible(&[recent.clone(), recent.clone(), success("supabase", 91, "1")]));
        assert!(!eligible(&[recent.clone(), recent.clone(), ScorableSuccess { verified: false, ..recent }]));
    }

    #[test]
    fn sound_evidence_passes_with_more_than_is_required() {
        let metric = metric(&["project_id", "deployment_url", "deployment_date", "rows_count"]);
        for date in ["2026-11-22", "2026-11-22T12:00:00Z"] {
            let evidence =
                json!({"project_id": 7, "deployment_url": "https://a.example", "deployment_date": date, "rows_count": 3, "more": [1]});
            assert_eq!(check_evidence(&metric, &map(evidence)), Ok(()));
        }
        assert_eq!(check_evidence(&self::metric(&[]), &Map::new()), Ok(()));
    }

    #[test]
    fn wrong_evidence_names_its_field() {
        let metric = metric(&["project_id", "deployment_url", "deployment_date", "rows_count"]);
        let good = json!({"project_id": "p", "deployment_url": "https://a.example", "deployment_date": "2026-11-22", "rows_count": 0});
        for (name, value) in [
            ("project_id", json!(null)),
            ("project_id", json!(" ")),
            ("project_id", json!({"id": 1})),
            ("project_id", json!(["p"])),
            ("project_id", json!(true)),
            ("deployment_url", json!("a.example")),
            ("deployment_url", json!("javascript:alert(1)")),
            ("deployment_url", json!(7)),
            ("deployment_date", json!("yesterday")),
            ("deployment_date", json!(1_795_176_000)),
            ("deployment_date", json!("2026-11-31")),
            ("rows_count", json!("three")),
            ("rows_count", json!(-1)),
        ] {
            let mut evidence = map(good.clone());
            evidence.insert(name.to_owned(), value.clone());
            assert_eq!(check_evidence(&metric, &evidence).unwrap_err().field, format!("evidence.{name}"), "{value}");
        }
        let mut missing = map(good.clone());
        missing.remove("deployment_url");
        assert!(check_evidence(&metric, &missing).unwrap_err().to_string().starts_with("evidence.deployment_url: is missing"));
        let mut long = map(good);
        long.insert("log".to_owned(), json!("x".repeat(EVIDENCE_BYTES_MAX)));
        assert_eq!(check_evidence(&metric, &long).unwrap_err().field, "evidence");
    }

    #[test]
    fn an_unknown_metric_is_named_beside_the_known_ones() {
        let metrics = [metric(&[])];
        assert!(find_metric(&metrics, "deployed").is_ok());
        let error = find_metric(&metrics, "Deployed").unwrap_err();
        assert_eq!(error.to_string(), "metric: `Deployed` is no metric of the partner, expected one of: deployed");
    }

    #[test]
    fn evidence_is_the_same_in_any_order_and_another_by_any_change() {
        let digest =
            |metric: &str, developer: &str, text: &str| evidence_digest(metric, developer, &map(serde_json::from_str(text).unwrap()));
        let one = digest("m", "d", r#"{"a":1,"b":{"x":[1,2],"y":null}}"#);
        assert_eq!(one, digest("m", "d", r#"{ "b": {"y": null, "x": [1, 2]}, "a": 1 }"#));
        for other in [
            digest("m", "d", r#"{"a":2,"b":{"x":[1,2],"y":null}}"#),
            digest("m", "d", r#"{"a":1,"b":{"x":[2,1],"y":null}}"#),
            digest("m", "d", r#"{"a":"1","b":{"x":[1,2],"y":null}}"#),
            digest("m", "e", r#"{"a":1,"b":{"x":[1,2],"y":null}}"#),
            digest("n", "d", r#"{"a":1,"b":{"x":[1,2],"y":null}}"#),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(canonical_json(&json!({"b": "\"\n", "a": [true, 1.5]})), r#"{"a":[true,1.5],"b":"\"\n"}"#);
    }

    proptest! {
        #[test]
        fn the_score_stays_within_bounds_and_grows_with_each_success(ages in proptest::collection::vec((0_i64..2000, 1_i64..100), 0..20), more in 0_i64..2000) {
            let mut all: Vec<_> = ages.iter().map(|(age, tenths)| success("supabase", *age, &Decimal::new(*tenths, 1).to_string())).collect();
            let before = score(&all, now());
            prop_assert!(before.value >= Decimal::ZERO && before.value <= Decimal::ONE_HUNDRED);
            all.reverse();
            prop_assert_eq!(&score(&all, now()), &before);
            all.push(success("supabase", more, "1"));
            prop_assert!(score(&all, now()).value >= before.value);
        }

        #[test]
        fn canonical_json_reads_back_and_forgets_the_order(entries in proptest::collection::vec(("\\PC{0,6}", any::<i32>()), 0..8)) {
            let forward: Map<_, _> = entries.iter().map(|(key, number)| (key.clone(), json!({key: number}))).collect();
            let backward: Map<_, _> = forward.iter().rev().map(|(key, value)| (key.clone(), value.clone())).collect();
            let text = canonical_json(&Value::Object(forward.clone()));
            prop_assert_eq!(&text, &canonical_json(&Value::Object(backward.clone())));
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), Value::Object(forward.clone()));
            prop_assert_eq!(evidence_digest("m", "d", &forward), evidence_digest("m", "d", &backward));
        }
    }
}
