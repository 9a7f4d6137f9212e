//! `POST /api/v1/successes`: a success that one of our services saw. It proves nothing by itself, so that a metric which needs
//! verification leaves it waiting for an operator or for the partner's signed webhook.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
};
use chrono::{DateTime, Utc};
use domain::{PartnerId, Problem, SuccessEventId, auth::Principal};
use engine::{
    Engine, Error,
    access::require_scope,
    success::{self, Listed},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::conversions::{self, read_object};
use crate::{
    auth::text,
    problem::{ApiError, ApiResult},
};

/// 64 KiB, as [`read_object`] says: evidence may have 16 KiB, and JSON can write a character in six.
pub const BODY_BYTES_MAX: usize = conversions::BODY_BYTES_MAX;

/// A field's name in a request, and in our webhook contract.
const FIELDS: [(&str, &str); 8] = [
    ("external_event_id", "success_id"),
    ("metric", "metric"),
    ("occurred_at", "occurred_at"),
    ("click_id", "click_id"),
    ("referral_code", "referral_code"),
    ("session_id", "session_id"),
    ("user_identifier", "user_id"),
    ("expires_at", "expires_at"),
];

/// A success as the API tells it.
#[derive(Serialize)]
struct Answer {
    success_id: SuccessEventId,
    partner: PartnerId,
    external_event_id: String,
    metric: String,
    /// `unverified`, `verified` or `rejected`.
    state: &'static str,
    verified_by: Option<String>,
    occurred_at: DateTime<Utc>,
    received_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    value: Option<Value>,
}

impl Answer {
    fn new(success: Listed) -> Self {
        Self {
            success_id: success.success_event_id,
            partner: success.partner_id,
            external_event_id: success.external_event_id,
            metric: success.metric_id,
            state: success.state.name(),
            verified_by: success.verified_by,
            occurred_at: success.occurred_at,
            received_at: success.received_at,
            expires_at: success.expires_at,
            value: success.value.map(|value| json!({ "amount": value.to_decimal().to_string(), "currency": value.currency.code() })),
        }
    }
}

/// Answers 201 for a new success, and 200 with the one that was there if its external id or its evidence came before.
pub async fn create(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<(StatusCode, Json<impl Serialize>)> {
    // Who may not is told so, and not what is wrong with the body.
    require_scope(&who, "successes:write", "record successes")?;
    let (partner_id, event) = read(&read_object(body)?, text(&headers, "idempotency-key"))?;
    let submitted = success::submit(&engine, &who, &partner_id, event).await.map_err(in_words_of_the_request)?;
    let status = if submitted.new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Answer::new(submitted.success))))
}

/// The request as an event of our webhook contract. An unknown field is refused, since it may be a slip in the name of a known one.
fn read(fields: &Map<String, Value>, key: Option<&str>) -> ApiResult<(PartnerId, Value)> {
    let partner_id = match fields.get("partner") {
        Some(Value::String(text)) => text.parse::<PartnerId>().map_err(|error| Error::invalid("partner", error))?,
        _ => return Err(Error::invalid("partner", "is missing: a partner's id such as `supabase`").into()),
    };
    let mut data = Map::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        match (name.as_str(), value) {
            ("partner", _) => {}
            ("evidence", value) => drop(data.insert("evidence".to_owned(), value.clone())),
            ("value", Value::Object(money)) => {
                if let Some(unknown) = money.keys().find(|key| !["amount", "currency"].contains(&key.as_str())) {
                    return Err(Error::invalid(format!("value.{unknown}"), "is no field of a value: send amount and currency").into());
                }
                data.extend(money.clone());
            }
            ("value", _) => return Err(Error::invalid("value", "must be an object with amount and currency").into()),
            (name, value) => {
                let known = FIELDS.iter().find(|(sent, _)| *sent == name);
                let (_, contract) = known.ok_or_else(|| Error::invalid(name, "is no field of a success"))?;
                data.insert((*contract).to_owned(), value.clone());
            }
        }
    }
    if let (None, Some(key)) = (data.get("success_id"), key) {
        data.insert("success_id".to_owned(), key.into());
    }
    Ok((partner_id, json!({ "type": "success.achieved", "data": data })))
}

/// Names the field as the request did.
fn in_words_of_the_request(error: Error) -> ApiError {
    let mut problem = Problem::from(error);
    problem.field = problem.field.map(|field| name_in_the_request(&field));
    problem.into()
}

fn name_in_the_request(field: &str) -> String {
    let contract = field.strip_prefix("data.").unwrap_or(field);
    match contract {
        "amount" | "currency" => format!("value.{contract}"),
        _ => FIELDS.iter().find(|(_, known)| *known == contract).map_or(contract, |(sent, _)| sent).to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use chrono::TimeDelta;
    use domain::{SessionId, conversion::Claim};

    use super::*;

    fn request(fields: Value, key: Option<&str>) -> ApiResult<(PartnerId, Value)> {
        read(fields.as_object().unwrap(), key)
    }

    fn refused(fields: Value) -> String {
        request(fields, None).map(|_| ()).unwrap_err().0.field.unwrap()
    }

    #[test]
    fn a_request_becomes_an_event_of_our_contract() {
        let fields = json!({
            "partner": "supabase", "metric": "production_deployment", "user_identifier": "u-1", "occurred_at": "2026-11-22T12:00:00Z",
            "value": { "amount": "9.50", "currency": "EUR" }, "evidence": { "project_id": "p" }, "expires_at": null,
        });
        let (partner_id, event) = request(fields, Some("key-1")).unwrap();
        assert_eq!(partner_id.as_str(), "supabase");
        let data = json!({
            "success_id": "key-1", "metric": "production_deployment", "user_id": "u-1", "occurred_at": "2026-11-22T12:00:00Z",
            "amount": "9.50", "currency": "EUR", "evidence": { "project_id": "p" },
        });
        assert_eq!(event, json!({ "type": "success.achieved", "data": data }));
    }

    #[test]
    fn its_own_id_comes_before_the_key() {
        let id = |fields: Value, key| request(fields, key).unwrap().1["data"].get("success_id").cloned();
        assert_eq!(id(json!({ "partner": "figma", "external_event_id": "own" }), Some("key")), Some("own".into()));
        assert_eq!(id(json!({ "partner": "figma" }), Some("key")), Some("key".into()));
        assert_eq!(id(json!({ "partner": "figma" }), None), None);
    }

    #[test]
    fn what_is_wrong_is_named_as_the_request_named_it() {
        assert_eq!(refused(json!({})), "partner");
        assert_eq!(refused(json!({ "partner": "No Partner" })), "partner");
        assert_eq!(refused(json!({ "partner": "figma", "metrik": "a" })), "metrik");
        assert_eq!(refused(json!({ "partner": "figma", "value": "9.50" })), "value");
        assert_eq!(refused(json!({ "partner": "figma", "value": { "ammount": "9.50" } })), "value.ammount");
        let named = |field: &str| in_words_of_the_request(Error::invalid(field, "is wrong")).0.field.unwrap();
        assert_eq!(
            ["data.amount", "data.user_id", "data.success_id", "evidence.url", "metric"].map(named),
            ["value.amount", "user_identifier", "external_event_id", "evidence.url", "metric"]
        );
        let unknown = |user: Option<&str>, session: Option<SessionId>| {
            let claim = Claim { click_token: None, referral_code: None, session_id: session, user_identifier: user.map(str::to_owned) };
            let problem = in_words_of_the_request(Error::NotYet { claim: Box::new(claim), patience: TimeDelta::hours(1) }).0;
            (problem.status, problem.field.unwrap())
        };
        assert_eq!(unknown(Some("u-1"), None), (422, "user_identifier".to_owned()));
        assert_eq!(unknown(None, Some(SessionId(uuid::Uuid::nil()))), (422, "session_id".to_owned()));
    }
}
