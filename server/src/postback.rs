//! `/postback/{partner}`: one GET or POST per conversion or refund, as trackers send them.
//!
//! It is not signed, so that a token of the partner's own stands in its query. What it says takes the same path as a
//! webhook of our contract. `docs/PARTNER-WEBHOOKS.md` lists the parameters.

use std::collections::HashMap;

use axum::{
    Json,
    body::to_bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::{Currency, PartnerId, Problem, partner::SecretPurpose, signature};
use engine::{Engine, inbound, partner, webhook};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::{
    auth::text,
    problem::{ApiError, ApiResult},
    redirect::is_prefetch,
};

type Parameters = HashMap<String, String>;

/// 64 KiB: a form of a few short fields.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// A transparent pixel, for trackers that put postbacks into pages.
const PIXEL: &[u8; 43] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

/// Answers 200 once the event is durable. What a browser only tries out beforehand (HEAD, prefetch) has no effect.
pub async fn receive(State(engine): State<Engine>, Path(partner): Path<String>, request: Request) -> Response {
    match *request.method() {
        Method::HEAD => return StatusCode::OK.into_response(),
        Method::GET | Method::POST => {}
        _ => return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD, POST")]).into_response(),
    }
    if is_prefetch(request.headers()) {
        return (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response();
    }
    let parameters = match read_parameters(request).await {
        Ok(parameters) => parameters,
        Err(error) => return error.into_response(),
    };
    match accept(&engine, &partner, &parameters).await {
        Ok(_) if parameters.get("format").is_some_and(|format| format == "gif") => {
            ([(header::CONTENT_TYPE, "image/gif"), (header::CACHE_CONTROL, "no-store")], PIXEL.as_slice()).into_response()
        }
        Ok(answer) => ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response(),
        Err(error) => error.into_response(),
    }
}

/// The query's parameters and, over them, those of a form.
async fn read_parameters(request: Request) -> ApiResult<Parameters> {
    let owned = |pairs: form_urlencoded::Parse<'_>| pairs.into_owned().collect::<Parameters>();
    let (parts, body) = request.into_parts();
    let mut parameters = owned(form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()));
    if parts.method == Method::POST {
        let too_large = |_| Problem::new(413, "too_large", "body too large").detail(format!("a form may have {FORM_BYTES_MAX} bytes"));
        let body = to_bytes(body, FORM_BYTES_MAX).await.map_err(too_large)?;
        if !body.is_empty() {
            refuse_other_than_forms(&parts.headers)?;
            parameters.extend(owned(form_urlencoded::parse(&body)));
        }
    }
    Ok(parameters)
}

fn refuse_other_than_forms(headers: &HeaderMap) -> ApiResult<()> {
    let kind = text(headers, "content-type").unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        return Ok(());
    }
    let detail = format!("the body is `{kind}`, expected application/x-www-form-urlencoded");
    Err(Problem::new(415, "unsupported", "unsupported body").detail(detail).into())
}

async fn accept(engine: &Engine, partner: &str, parameters: &Parameters) -> ApiResult<Value> {
    let not_found = || ApiError(Problem::new(404, "not_found", "not found").detail(format!("there is no partner `{partner}`")));
    let partner_id: PartnerId = partner.parse().map_err(|_| not_found())?;
    engine.codes.link(&partner_id).ok_or_else(not_found)?;
    let tokens = partner::active_secrets(engine, &partner_id, SecretPurpose::Postback).await?;
    let given = parameters.get("token").map_or("", String::as_str);
    if let Err(error) = signature::verify_token(given, &tokens) {
        webhook::note_refusal(engine, partner, "", webhook::Reason::WrongToken).await;
        return Err(Problem::new(401, "invalid_token", "the token does not hold").field("token").detail(error.to_string()).into());
    }

    let now = engine.now();
    let currency = inbound::payout_currency(engine, &partner_id, now).await?;
    let event = Event::read(parameters, now, currency)?;
    let queued = inbound::enqueue(engine, &partner_id, &event.message_id, &event.body).await?;
    Ok(json!({ "id": queued.webhook_delivery_id, "duplicate": queued.duplicate }))
}

/// A postback in the words of our contract.
#[derive(Debug)]
struct Event {
    message_id: String,
    body: Value,
}

/// The names under which trackers send a field; the first is ours and stands in errors.
mod names {
    pub const CLICK: &[&str] = &["click_id", "clickid", "cid", "subid"];
    pub const CODE: &[&str] = &["referral_code"];
    pub const SESSION: &[&str] = &["session_id"];
    pub const CUSTOMER: &[&str] = &["user_id", "customer_id", "customer"];
    pub const TRANSACTION: &[&str] = &["txid", "order_id", "transaction_id", "conversion_id"];
    pub const REFUND: &[&str] = &["refund_id", "reversal_id"];
    pub const AMOUNT: &[&str] = &["amount", "payout", "revenue"];
    pub const CURRENCY: &[&str] = &["currency"];
    pub const TYPE: &[&str] = &["type", "event"];
    pub const STATUS: &[&str] = &["status"];
    pub const TIME: &[&str] = &["occurred_at", "timestamp"];
    pub const REASON: &[&str] = &["reason"];
    pub const ALL: [&[&str]; 12] = [CLICK, CODE, SESSION, CUSTOMER, TRANSACTION, REFUND, AMOUNT, CURRENCY, TYPE, STATUS, TIME, REASON];
}

fn invalid(field: &str, reason: impl Into<String>) -> ApiError {
    Problem::new(422, "invalid", "invalid input").field(field).detail(reason).into()
}

impl Event {
    /// A postback that does not say when its event happened means now; a lead without an amount is one of nothing in `currency`.
    fn read(parameters: &Parameters, now: DateTime<Utc>, currency: Currency) -> ApiResult<Self> {
        refuse_control_characters(parameters)?;
        refuse_macros(parameters)?;
        // A tracker may send all names that it knows, most of them empty.
        let first =
            |names: &[&str]| names.iter().filter_map(|name| parameters.get(*name)).map(String::as_str).find(|value| !value.is_empty());
        let occurred_at = read_time(first(names::TIME), now)?;
        if takes_back(first(names::TYPE), first(names::STATUS))? {
            reversal(&first, &occurred_at)
        } else {
            conversion(&first, &occurred_at, currency)
        }
    }
}

fn refuse_control_characters(parameters: &Parameters) -> ApiResult<()> {
    let mut given = names::ALL.iter().flat_map(|names| names.iter()).filter_map(|name| parameters.get(*name).map(|value| (*name, value)));
    match given.find(|(_, value)| value.chars().any(char::is_control)) {
        Some((name, _)) => Err(invalid(name, "must be a text without control characters")),
        None => Ok(()),
    }
}

/// A macro that the tracker did not replace: taking it for a value would book nonsense, or one conversion for all.
fn refuse_macros(parameters: &Parameters) -> ApiResult<()> {
    let enclosed = |value: &str, mark: char| value.len() > 2 && value.starts_with(mark) && value.ends_with(mark);
    let is_macro = |value: &str| {
        value.contains('{')
            || value.contains('}')
            || value.starts_with('[') && value.ends_with(']')
            || enclosed(value, '%')
            || enclosed(value, '#')
    };
    let names = names::ALL.iter().flat_map(|names| names.iter());
    match names.filter_map(|name| parameters.get(*name).map(|value| (*name, value))).find(|(_, value)| is_macro(value)) {
        Some((name, value)) => {
            let value: String = value.chars().take(100).collect();
            Err(invalid(name, format!("`{value}` is a macro that the tracker did not replace")))
        }
        None => Ok(()),
    }
}

/// RFC 3339, or seconds since 1970.
fn read_time(text: Option<&str>, now: DateTime<Utc>) -> ApiResult<String> {
    let written = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let Some(text) = text else { return Ok(written(now)) };
    match text.parse::<i64>() {
        Ok(seconds) => {
            DateTime::from_timestamp(seconds, 0).map(written).ok_or_else(|| invalid("timestamp", format!("`{text}` is no time")))
        }
        Err(_) => Ok(text.to_owned()),
    }
}

fn takes_back(kind: Option<&str>, status: Option<&str>) -> ApiResult<bool> {
    let by_kind = match kind {
        None | Some("lead" | "sale" | "renewal" | "upgrade" | "custom") => false,
        Some("refund" | "reversal" | "chargeback" | "cancellation") => true,
        Some(other) => {
            return Err(invalid(
                "type",
                format!("`{other}` is none of lead, sale, renewal, upgrade, custom, refund, reversal, chargeback, cancellation"),
            ));
        }
    };
    let by_status = match status {
        None | Some("lead" | "sale" | "approved" | "confirmed" | "paid" | "pending") => false,
        Some("rejected" | "declined" | "reversed" | "refunded" | "cancelled" | "canceled" | "chargeback" | "void") => true,
        Some(other) => {
            let known =
                "lead, sale, approved, confirmed, paid, pending, rejected, declined, reversed, refunded, cancelled, chargeback, void";
            return Err(invalid("status", format!("`{other}` is none of {known}")));
        }
    };
    Ok(by_kind || by_status)
}

fn conversion<'p>(first: &impl Fn(&[&str]) -> Option<&'p str>, occurred_at: &str, currency: Currency) -> ApiResult<Event> {
    let (click_id, code, customer) = (first(names::CLICK), first(names::CODE), first(names::CUSTOMER));
    if click_id.or(code).or(customer).is_none() {
        return Err(invalid("click_id", "is missing, and so are `referral_code` and `user_id`"));
    }
    let conversion_type = if first(names::STATUS) == Some("lead") { "lead" } else { first(names::TYPE).unwrap_or("sale") };
    let transaction = transaction(first, conversion_type)?;
    let (amount, code_of_currency) = match (first(names::AMOUNT), first(names::CURRENCY)) {
        (Some(amount), Some(code)) => (amount, code),
        (Some(_), None) => return Err(invalid("currency", "is missing beside `amount`")),
        (None, _) if conversion_type != "lead" => {
            return Err(invalid("amount", "is missing: a decimal such as 49.00; only a lead may do without"));
        }
        (None, code) => ("0", code.unwrap_or(currency.code())),
    };
    let data = json!({ "conversion_id": transaction, "type": conversion_type, "occurred_at": occurred_at, "amount": amount, "currency": code_of_currency });
    let claim = [("click_id", click_id), ("referral_code", code), ("session_id", first(names::SESSION)), ("user_id", customer)];
    Ok(event("conversion.created", &transaction, data, &claim))
}

/// What a conversion is known by: the tracker's id, or the click and the type. A lead has a name of its own, so that the sale that it
/// turns into under the same id is not taken for the lead once more.
fn transaction<'p>(first: &impl Fn(&[&str]) -> Option<&'p str>, conversion_type: &str) -> ApiResult<String> {
    match (first(names::TRANSACTION), first(names::CLICK)) {
        (Some(transaction), _) if conversion_type == "lead" => Ok(format!("{transaction}:lead")),
        (Some(transaction), _) => Ok(transaction.to_owned()),
        (None, Some(click_id)) => Ok(format!("{click_id}:{conversion_type}")),
        (None, None) => Err(invalid("txid", "is missing; only beside a `click_id` it may be")),
    }
}

/// An amount counts only beside an id of the refund's own: without, two partial refunds could not be told from one that is sent twice.
fn reversal<'p>(first: &impl Fn(&[&str]) -> Option<&'p str>, occurred_at: &str) -> ApiResult<Event> {
    let taken_back = first(names::TYPE).filter(|kind| matches!(*kind, "lead" | "sale" | "renewal" | "upgrade" | "custom"));
    let by_status_alone = first(names::TYPE).is_none() || taken_back.is_some();
    let transaction = transaction(first, taken_back.unwrap_or("sale"))?;
    let (refund, amount) = (first(names::REFUND), first(names::AMOUNT));
    if refund.is_none() && amount.is_some() && !by_status_alone {
        return Err(invalid("refund_id", "is missing beside `amount`: an id of this refund; leave both out to take back all"));
    }
    let data = json!({ "conversion_id": transaction, "occurred_at": occurred_at });
    let (amount, currency) = if refund.is_some() { (amount, first(names::CURRENCY).filter(|_| amount.is_some())) } else { (None, None) };
    let name = refund.map_or_else(|| format!("{transaction}/refund"), str::to_owned);
    let more = [("reversal_id", Some(name.as_str())), ("amount", amount), ("currency", currency), ("reason", first(names::REASON))];
    Ok(event("conversion.reversed", &name, data, &more))
}

fn event(kind: &str, own_id: &str, mut data: Value, more: &[(&str, Option<&str>)]) -> Event {
    let none = &mut Map::new();
    let fields = data.as_object_mut().unwrap_or(none);
    fields.extend(more.iter().filter_map(|(name, value)| value.map(|value| ((*name).to_owned(), value.into()))));
    Event { message_id: format!("postback:{own_id}:{kind}"), body: json!({ "type": kind, "data": data }) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> ApiResult<Event> {
        let parameters = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Event::read(&parameters, DateTime::UNIX_EPOCH, "EUR".parse().unwrap())
    }

    fn data(pairs: &[(&str, &str)]) -> Value {
        read(pairs).unwrap().body["data"].clone()
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        read(pairs).unwrap_err().0.field.unwrap()
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
    fn a_lead_may_do_without_an_amount_and_a_sale_may_not() {
        let lead = data(&[("subid", "abc"), ("status", "lead"), ("timestamp", "60")]);
        assert_eq!((&lead["amount"], &lead["currency"], &lead["conversion_id"]), (&json!("0"), &json!("EUR"), &json!("abc:lead")));
        assert_eq!(lead["occurred_at"], "1970-01-01T00:01:00Z");
        assert_eq!(refused(&[("click_id", "abc"), ("txid", "t1")]), "amount");
        assert_eq!(refused(&[("click_id", "abc"), ("txid", "t1"), ("amount", "5")]), "currency");
    }

    #[test]
    fn whom_it_is_about_and_what_is_needed() {
        let sale = data(&[("user_id", "u1"), ("order_id", "o1"), ("amount", "5"), ("currency", "USD"), ("type", "renewal")]);
        assert_eq!((&sale["user_id"], &sale["type"]), (&json!("u1"), &json!("renewal")));
        assert_eq!(refused(&[("txid", "t1"), ("amount", "5"), ("currency", "USD")]), "click_id");
        assert_eq!(refused(&[("user_id", "u1"), ("amount", "5"), ("currency", "USD")]), "txid");
    }

    #[test]
    fn a_refund_takes_back_all_or_an_amount_under_an_id_of_its_own() {
        let whole = read(&[("txid", "t1"), ("status", "rejected"), ("amount", "9.50"), ("currency", "EUR")]).unwrap();
        assert_eq!(
            (whole.message_id.as_str(), &whole.body["type"]),
            ("postback:t1/refund:conversion.reversed", &json!("conversion.reversed"))
        );
        assert_eq!(whole.body["data"].get("amount"), None, "a status is about the whole transaction");
        let part = data(&[("txid", "t1"), ("type", "refund"), ("refund_id", "r1"), ("amount", "2"), ("currency", "EUR")]);
        assert_eq!((&part["reversal_id"], &part["amount"]), (&json!("r1"), &json!("2")));
        assert_eq!(refused(&[("txid", "t1"), ("type", "refund"), ("amount", "2"), ("currency", "EUR")]), "refund_id");
        assert_eq!(refused(&[("type", "refund")]), "txid");
    }

    #[test]
    fn without_an_id_of_its_own_the_same_click_and_type_take_it_back() {
        let name = |more: &[(&str, &str)]| {
            data(&[&[("click_id", "abc"), ("amount", "5"), ("currency", "USD")], more].concat())["conversion_id"].clone()
        };
        assert_eq!([name(&[]), name(&[("status", "rejected")]), name(&[("type", "refund"), ("refund_id", "r1")])], ["abc:sale"; 3]);
        assert_eq!([name(&[("type", "upgrade")]), name(&[("type", "upgrade"), ("status", "void")])], ["abc:upgrade"; 2]);
    }

    #[test]
    fn a_lead_is_another_conversion_than_the_sale_under_its_id() {
        let name = |more: &[(&str, &str)]| {
            data(&[&[("click_id", "abc"), ("txid", "t1"), ("amount", "5"), ("currency", "USD")], more].concat())["conversion_id"].clone()
        };
        assert_eq!(
            [name(&[("status", "lead")]), name(&[("type", "lead")]), name(&[("type", "lead"), ("status", "rejected")])],
            ["t1:lead"; 3]
        );
        assert_eq!([name(&[("status", "sale")]), name(&[("status", "rejected")])], ["t1"; 2]);
    }

    #[test]
    fn a_name_without_a_value_hides_none_that_has_one() {
        let sale = data(&[
            ("click_id", ""),
            ("subid", "abc"),
            ("txid", ""),
            ("order_id", "o1"),
            ("amount", ""),
            ("payout", "5"),
            ("currency", "USD"),
        ]);
        assert_eq!((&sale["click_id"], &sale["conversion_id"], &sale["amount"]), (&json!("abc"), &json!("o1"), &json!("5")));
    }

    #[test]
    fn unknown_words_and_macros_that_were_not_replaced_are_named() {
        assert_eq!(refused(&[("click_id", "abc"), ("status", "maybe")]), "status");
        assert_eq!(refused(&[("click_id", "abc"), ("type", "gift")]), "type");
        for unreplaced in ["{amount}", "{{payout}}", "${amount}", "[amount]", "%amount%", "#amount#"] {
            assert_eq!(refused(&[("click_id", "abc"), ("payout", unreplaced), ("currency", "USD")]), "payout", "{unreplaced}");
        }
        assert_eq!(refused(&[("click_id", "abc"), ("txid", "t\u{0}"), ("amount", "1"), ("currency", "USD")]), "txid");
        assert_eq!(refused(&[("click_id", "{click_id}"), ("amount", "1"), ("currency", "USD")]), "click_id");
    }
}
