//! `/postback/{partner}`: one GET or POST per conversion, as trackers send them (SPEC 3.4).
//!
//! It is not signed, so that a token of the partner's own stands in its query. What it says takes the same path as a
//! webhook of our contract.

use std::collections::HashMap;

use axum::{
    Form, Json,
    extract::{FromRequest, Path, Query, Request, State},
    http::Method,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use domain::{PartnerId, Problem, partner::SecretPurpose, signature};
use engine::{Engine, partner, webhook};
use serde_json::{Value, json};

use crate::problem::{ApiError, ApiResult};

type Parameters = HashMap<String, String>;

pub async fn receive(
    State(engine): State<Engine>,
    Path(partner): Path<String>,
    Query(query): Query<Parameters>,
    request: Request,
) -> Response {
    let mut parameters = query;
    if request.method() == Method::POST
        && let Ok(Form(form)) = Form::<Parameters>::from_request(request, &()).await
    {
        parameters.extend(form);
    }
    match accept(&engine, &partner, &parameters).await {
        Ok(answer) => answer.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn accept(engine: &Engine, partner: &str, parameters: &Parameters) -> ApiResult<Json<Value>> {
    let not_found = || ApiError(Problem::new(404, "not_found", "not found").detail(format!("there is no partner `{partner}`")));
    let partner_id: PartnerId = partner.parse().map_err(|_| not_found())?;
    engine.codes.link(&partner_id).ok_or_else(not_found)?;
    let tokens = partner::active_secrets(engine, &partner_id, SecretPurpose::Postback).await?;
    let given = parameters.get("token").map_or("", String::as_str);
    signature::verify_token(given, &tokens)
        .map_err(|error| Problem::new(401, "invalid_token", "the token does not hold").field("token").detail(error.to_string()))?;

    let event = Event::read(parameters, engine.now())?;
    let receipt = webhook::enqueue(engine, &partner_id, "postback", &event.message_id, &event.body).await?;
    Ok(Json(json!({ "id": receipt.webhook_delivery_id, "duplicate": receipt.duplicate })))
}

/// A postback in the words of our contract.
struct Event {
    message_id: String,
    body: Value,
}

impl Event {
    /// A postback that does not say when its event happened means now.
    fn read(parameters: &Parameters, now: DateTime<Utc>) -> ApiResult<Self> {
        let first = |names: &[&str]| names.iter().find_map(|name| parameters.get(*name)).filter(|value| !value.is_empty());
        let invalid = |field: &str, reason: &str| ApiError(Problem::new(422, "invalid", "invalid input").field(field).detail(reason));
        let click_id = first(&["click_id", "clickid", "cid", "subid"]).ok_or_else(|| invalid("click_id", "is missing"))?;
        let event = first(&["event"]).map_or("sale", String::as_str);
        let transaction = first(&["txid", "order_id", "transaction_id"]).cloned().unwrap_or_else(|| format!("{click_id}:{event}"));
        let amount = first(&["amount", "payout", "revenue"]).map_or("0", String::as_str);
        let currency = first(&["currency"]).map_or("USD", String::as_str);
        let status = first(&["status"]).map_or("approved", String::as_str);
        let occurred_at = first(&["occurred_at"]).cloned().unwrap_or_else(|| now.to_rfc3339());
        let kind = match status {
            "lead" | "sale" | "approved" | "pending" => "conversion.created",
            "rejected" | "reversed" | "refunded" => "conversion.reversed",
            _ => return Err(invalid("status", "must be lead, sale, approved, pending, rejected, reversed or refunded")),
        };
        let conversion_type = if status == "lead" { "lead" } else { event };
        let mut data = json!({ "conversion_id": transaction, "occurred_at": occurred_at });
        if kind == "conversion.created" {
            data["type"] = conversion_type.into();
            data["amount"] = amount.into();
            data["currency"] = currency.into();
            data["click_id"] = click_id.as_str().into();
        }
        Ok(Self { message_id: format!("postback:{transaction}:{kind}"), body: json!({ "type": kind, "data": data }) })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> ApiResult<Event> {
        let parameters = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Event::read(&parameters, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_postback_becomes_an_event_of_our_contract() {
        let event =
            read(&[("click_id", "abc"), ("txid", "t1"), ("payout", "9.50"), ("currency", "EUR"), ("occurred_at", "2026-11-22T12:00:00Z")])
                .unwrap();
        assert_eq!(event.message_id, "postback:t1:conversion.created");
        let data = json!({"amount": "9.50", "click_id": "abc", "conversion_id": "t1", "currency": "EUR", "occurred_at": "2026-11-22T12:00:00Z", "type": "sale"});
        assert_eq!(event.body, json!({"type": "conversion.created", "data": data}));
    }

    #[test]
    fn a_rejected_status_reverses_and_an_unknown_one_is_named() {
        assert_eq!(read(&[("click_id", "abc"), ("txid", "t1"), ("status", "rejected")]).unwrap().body["type"], "conversion.reversed");
        let refused = |pairs: &[(&str, &str)]| read(pairs).map(|_| ()).unwrap_err().0.field;
        assert_eq!(refused(&[("click_id", "abc"), ("status", "maybe")]).as_deref(), Some("status"));
        assert_eq!(refused(&[("txid", "t1")]).as_deref(), Some("click_id"));
    }
}
