//! A request to the API as an event of our webhook contract, and what is told when it is wrong or came before.

use domain::{PartnerId, auth::Principal, webhook::InvalidEvent};
use serde_json::{Map, Value, json};

use super::Earlier;
use crate::{Engine, Error, Result};

/// 200 bytes, as our contract's ids, less what stands before the key in the log.
const KEY_BYTES_MAX: usize = 190;

/// A field's name in a request, and in our webhook contract.
type Names = [(&'static str, &'static str)];

const CONVERSION: &Names = &[
    ("external_event_id", "conversion_id"),
    ("conversion_id", "conversion_id"),
    ("type", "type"),
    ("occurred_at", "occurred_at"),
    ("amount", "amount"),
    ("currency", "currency"),
    ("click_id", "click_id"),
    ("referral_code", "referral_code"),
    ("session_id", "session_id"),
    ("user_identifier", "user_id"),
    ("user_id", "user_id"),
];

const REVERSAL: &Names = &[
    ("external_event_id", "reversal_id"),
    ("reversal_id", "reversal_id"),
    ("conversion_id", "conversion_id"),
    ("occurred_at", "occurred_at"),
    ("amount", "amount"),
    ("currency", "currency"),
    ("reason", "reason"),
];

pub struct Request {
    pub partner_id: PartnerId,
    /// The key, or the event's own id.
    pub name: String,
    /// Unique for the partner in the log.
    pub message_id: String,
    /// The event.
    pub body: Value,
}

pub fn conversion(engine: &Engine, who: &Principal, key: Option<&str>, fields: &Map<String, Value>) -> Result<Request> {
    read(engine, who, "conversion.created", "conversion_id", CONVERSION, key, fields)
}

pub fn reversal(engine: &Engine, who: &Principal, key: Option<&str>, fields: &Map<String, Value>) -> Result<Request> {
    read(engine, who, "conversion.reversed", "reversal_id", REVERSAL, key, fields)
}

/// An unknown field is refused: it may be a slip in the name of one that decides about money.
fn read(
    engine: &Engine,
    who: &Principal,
    kind: &str,
    own_id: &str,
    names: &Names,
    key: Option<&str>,
    fields: &Map<String, Value>,
) -> Result<Request> {
    let key = key.map(read_key).transpose()?;
    let partner_id = match fields.get("partner") {
        Some(Value::String(text)) => text.parse::<PartnerId>().map_err(|error| Error::invalid("partner", error))?,
        _ => return Err(Error::invalid("partner", "is missing: a partner's id such as `supabase`")),
    };
    if engine.codes.link(&partner_id).is_none() || !who.may_speak_for(&partner_id) {
        return Err(Error::invalid("partner", format!("there is no partner `{partner_id}`")));
    }
    let mut data = Map::new();
    for (name, value) in fields.iter().filter(|(name, value)| *name != "partner" && !value.is_null()) {
        let known = names.iter().find(|(sent, _)| sent == name);
        let (_, contract) = known.ok_or_else(|| Error::invalid(name, format!("is no field of a {}", kind_in_words(kind))))?;
        if data.insert((*contract).to_owned(), value.clone()).is_some() {
            return Err(Error::invalid(name, format!("is there already as `{contract}`")));
        }
    }
    let external_id = match (data.get(own_id), key) {
        (Some(Value::String(id)), _) => id.clone(),
        (Some(_), _) => return Err(Error::invalid(own_id, "must be a text of 1 to 200 bytes")),
        (None, Some(key)) => key.to_owned(),
        (None, None) => return Err(Error::invalid(own_id, "is missing: send it, or the header `Idempotency-Key`")),
    };
    data.insert(own_id.to_owned(), json!(external_id));
    let message_id = key.map_or_else(|| format!("api:{kind}:{external_id}"), |key| format!("api:key:{key}"));
    Ok(Request { partner_id, name: key.unwrap_or(&external_id).to_owned(), message_id, body: json!({ "type": kind, "data": data }) })
}

fn kind_in_words(kind: &str) -> &'static str {
    if kind == "conversion.created" { "conversion" } else { "reversal" }
}

/// With or without the quotes that the header's draft puts around it
/// (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).
fn read_key(text: &str) -> Result<&str> {
    let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let fits = (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if fits { Ok(key) } else { Err(Error::invalid("Idempotency-Key", format!("must be 1 to {KEY_BYTES_MAX} visible ASCII characters"))) }
}

/// The contract's fields stand under `data`, those of a request do not.
pub fn invalid(error: InvalidEvent) -> Error {
    Error::invalid(error.field.strip_prefix("data.").unwrap_or(&error.field), error.reason)
}

/// What is missing for an event is a fault of the request, not a missing page.
pub fn about_the_request(error: Error) -> Error {
    match error {
        Error::NotFound { what } => Error::invalid("occurred_at", format!("{what} were not found")),
        other => other,
    }
}

/// The answer of then, if the request is the same.
pub fn same_answer(request: &Request, earlier: &Earlier) -> Result<Value> {
    let name = &request.name;
    if let Some(difference) = difference(&earlier.body, &request.body) {
        return Err(Error::Conflict(format!("`{name}` was sent before with another body: {difference}")));
    }
    earlier.answer.clone().ok_or_else(|| Error::Conflict(format!("`{name}` came before on another way than the API")))
}

/// A postback that is repeated may differ in its time, but never in its money.
pub fn refuse_other_amount(earlier: &Value, body: &Value) -> Result<()> {
    for field in ["amount", "currency"] {
        let (before, now) = (&earlier["data"][field], &body["data"][field]);
        if before != now {
            return Err(Error::Conflict(format!("this event came before with {field} {before} and now has {now}")));
        }
    }
    Ok(())
}

/// The first field in which two events differ, in words.
fn difference(before: &Value, now: &Value) -> Option<String> {
    if before["type"] != now["type"] {
        return Some(format!("`type` was {}", before["type"]));
    }
    let none = Map::new();
    let fields = |event: &Value| event["data"].as_object().cloned().unwrap_or_else(|| none.clone());
    let (before, now) = (fields(before), fields(now));
    let names = before.keys().chain(now.keys());
    names.into_iter().find(|name| before.get(*name) != now.get(*name)).map(|name| match before.get(name) {
        Some(value) => format!("`{name}` was {value}"),
        None => format!("`{name}` was absent"),
    })
}
