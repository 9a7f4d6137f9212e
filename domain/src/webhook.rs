//! Our own contract for partners' webhooks: `{ "type": …, "timestamp": …, "data": { … } }`, signed as Standard Webhooks.
//! `docs/PARTNER-WEBHOOKS.md` explains it to partners.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Currency, Money, PartnerId, SessionId,
    conversion::{Claim, ConversionType, NewConversion, NewReversal, NewSuccess},
};

/// The largest body that is taken: 1 MiB.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// 10^12 major units: more than any sale, and so little that sums of many such amounts fit into 64 bits of minor units.
pub const AMOUNT_MAJOR_MAX: i64 = 1_000_000_000_000;

/// Whether an amount, or a refund written as a negative one, is above [`AMOUNT_MAJOR_MAX`]. No door lets such an amount in.
pub fn is_too_large(money: Money) -> bool {
    money.to_decimal().abs() > Decimal::from(AMOUNT_MAJOR_MAX)
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "lowercase"))]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    Received,
    Processed,
    /// Understood, and without effect on purpose: a test event, or a type that we do not use.
    Ignored,
    Retrying,
    /// Given up after the last retry, or malformed; an operator can replay it.
    Dead,
}

impl DeliveryState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Processed => "processed",
            Self::Ignored => "ignored",
            Self::Retrying => "retrying",
            Self::Dead => "dead",
        }
    }
}

/// What a delivery asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    ConversionCreated(NewConversion),
    ConversionReversed(NewReversal),
    SuccessAchieved(NewSuccess),
    /// Nothing is to be done, and why.
    Nothing(String),
}

/// What is wrong in an event's body: the field, as a path from the top, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidEvent {
    pub field: String,
    pub reason: String,
}

fn invalid<T>(field: &str, reason: impl ToString) -> Result<T, InvalidEvent> {
    Err(InvalidEvent { field: field.to_owned(), reason: reason.to_string() })
}

/// Checks that a body is an object with a `type`, which is all that must hold before it is acknowledged.
///
/// # Errors
/// Names what is missing.
pub fn event_type(body: &[u8]) -> Result<String, InvalidEvent> {
    #[derive(Deserialize)]
    struct Head {
        r#type: Option<Value>,
    }
    let head: Head = serde_json::from_slice(body).or_else(|error| invalid("body", format!("is not a JSON object: {error}")))?;
    match head.r#type {
        Some(Value::String(text)) if (1..=100).contains(&text.len()) && !text.chars().any(char::is_control) => Ok(text),
        _ => invalid("type", "must be a text such as `conversion.created`"),
    }
}

/// Reads an event of our contract.
///
/// # Errors
/// Names the field and what was expected of it.
pub fn parse_event(partner_id: &PartnerId, message_id: &str, body: &[u8]) -> Result<Event, InvalidEvent> {
    let kind = event_type(body)?;
    let body: Value = serde_json::from_slice(body).or_else(|error| invalid("body", error))?;
    let Some(data) = body.get("data").and_then(Value::as_object) else { return invalid("data", "must be an object") };
    let fields = Fields(data);
    let is_test = fields.flag("is_test")?;
    let event = match kind.as_str() {
        "conversion.created" => Event::ConversionCreated(NewConversion {
            partner_id: partner_id.clone(),
            external_event_id: fields.id("conversion_id")?,
            conversion_type: fields.conversion_type()?,
            occurred_at: fields.required_time("occurred_at")?,
            value: fields.money()?.map_or_else(|| invalid("data.amount", "is missing: a decimal text such as \"49.00\""), Ok)?,
            claim: fields.claim()?,
        }),
        "conversion.reversed" => Event::ConversionReversed(NewReversal {
            partner_id: partner_id.clone(),
            external_event_id: fields.optional_text("reversal_id", 200)?.unwrap_or_else(|| message_id.to_owned()),
            conversion_external_event_id: fields.id("conversion_id")?,
            amount: match fields.money()? {
                Some(amount) if amount.amount_minor == 0 => {
                    return invalid("data.amount", "must be more than 0; leave it out to reverse all");
                }
                amount => amount,
            },
            reason: fields.optional_text("reason", 500)?,
            occurred_at: fields.required_time("occurred_at")?,
        }),
        "success.achieved" => Event::SuccessAchieved(NewSuccess {
            partner_id: partner_id.clone(),
            external_event_id: fields.id("success_id")?,
            metric_id: fields.id("metric")?,
            occurred_at: fields.required_time("occurred_at")?,
            value: fields.money()?,
            evidence: match data.get("evidence") {
                None | Some(Value::Null) => Map::new(),
                Some(Value::Object(evidence)) => evidence.clone(),
                Some(_) => return invalid("data.evidence", "must be an object"),
            },
            expires_at: fields.optional_time("expires_at")?,
            claim: fields.claim()?,
        }),
        other => Event::Nothing(format!("event type `{other}` is not used")),
    };
    Ok(if is_test { Event::Nothing("test event".to_owned()) } else { event })
}

/// The `data` object, read field by field.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn optional_text(&self, name: &str, longest: usize) -> Result<Option<String>, InvalidEvent> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= longest && !text.contains('\0') => Ok(Some(text.clone())),
            Some(_) => invalid(&format!("data.{name}"), format!("must be a text of 1 to {longest} bytes")),
        }
    }

    fn id(&self, name: &str) -> Result<String, InvalidEvent> {
        self.optional_text(name, 200)?.map_or_else(|| invalid(&format!("data.{name}"), "is missing: a text of 1 to 200 bytes"), Ok)
    }

    fn flag(&self, name: &str) -> Result<bool, InvalidEvent> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => invalid(&format!("data.{name}"), "must be true or false"),
        }
    }

    fn optional_time(&self, name: &str) -> Result<Option<DateTime<Utc>>, InvalidEvent> {
        let Some(text) = self.optional_text(name, 40)? else { return Ok(None) };
        DateTime::parse_from_rfc3339(&text)
            .map(|time| Some(time.to_utc()))
            .or_else(|_| invalid(&format!("data.{name}"), format!("`{text}` must be a time with zone, such as 2026-11-22T12:00:00Z")))
    }

    fn required_time(&self, name: &str) -> Result<DateTime<Utc>, InvalidEvent> {
        self.optional_time(name)?.map_or_else(|| invalid(&format!("data.{name}"), "is missing: a time such as 2026-11-22T12:00:00Z"), Ok)
    }

    /// `amount` with `currency`; both or none.
    fn money(&self) -> Result<Option<Money>, InvalidEvent> {
        if self.0.get("amount").is_some_and(Value::is_number) {
            return invalid("data.amount", "must be a text such as \"49.00\", since JSON numbers lose digits");
        }
        let amount = self.optional_text("amount", 40)?;
        let currency = self.optional_text("currency", 3)?;
        match (amount, currency) {
            (None, None) => Ok(None),
            (None, Some(_)) => invalid("data.amount", "is missing beside `currency`"),
            (Some(_), None) => invalid("data.currency", "is missing beside `amount`"),
            (Some(amount), Some(currency)) => {
                let currency: Currency = currency.parse().or_else(|error| invalid("data.currency", error))?;
                let money = Money::parse(&amount, currency).or_else(|error| invalid("data.amount", error))?;
                if money.amount_minor < 0 {
                    return invalid("data.amount", format!("`{amount}` must not be negative"));
                }
                if is_too_large(money) {
                    return invalid("data.amount", format!("`{amount}` must be at most {AMOUNT_MAJOR_MAX}"));
                }
                Ok(Some(money))
            }
        }
    }

    fn conversion_type(&self) -> Result<ConversionType, InvalidEvent> {
        match self.0.get("type") {
            None | Some(Value::Null) => Ok(ConversionType::Sale),
            Some(value) => {
                ConversionType::deserialize(value).or_else(|_| invalid("data.type", "must be lead, sale, renewal, upgrade or custom"))
            }
        }
    }

    fn claim(&self) -> Result<Claim, InvalidEvent> {
        let session_id = match self.optional_text("session_id", 40)? {
            Some(text) => Some(SessionId(text.parse().or_else(|_| invalid("data.session_id", format!("`{text}` must be a UUID")))?)),
            None => None,
        };
        Ok(Claim {
            click_token: self.optional_text("click_id", 200)?,
            referral_code: self.optional_text("referral_code", 120)?,
            session_id,
            user_identifier: self.optional_text("user_id", 200)?,
        })
    }
}

/// Waits before retry `attempt` (1, 2, …), in seconds: 1, 4, 16, … up to an hour; the caller adds jitter.
/// `None` after the last: the delivery is dead.
pub fn retry_delay_seconds(attempt: u32) -> Option<u64> {
    /// 10 tries span 3.4 hours, and up to 4.2 with jitter: longer than a database failover or a deploy takes.
    const ATTEMPTS_MAX: u32 = 10;
    (attempt < ATTEMPTS_MAX).then(|| 4_u64.pow(attempt.saturating_sub(1).min(6)).min(3600))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(kind: &str, data: Value) -> Result<Event, InvalidEvent> {
        parse_event(&"supabase".parse().unwrap(), "msg_1", json!({ "type": kind, "data": data }).to_string().as_bytes())
    }

    fn refused_field(kind: &str, data: Value) -> String {
        parse(kind, data).unwrap_err().field
    }

    #[test]
    fn a_conversion_is_read_with_its_claim() {
        let data = json!({"conversion_id": "ord_1", "occurred_at": "2026-11-22T12:00:00Z", "amount": "49.00", "currency": "USD", "click_id": "abc", "type": "upgrade"});
        let Event::ConversionCreated(conversion) = parse("conversion.created", data).unwrap() else { panic!("another event") };
        assert_eq!((conversion.value.amount_minor, conversion.conversion_type), (4900, ConversionType::Upgrade));
        assert_eq!(conversion.claim.click_token.as_deref(), Some("abc"));
    }

    #[test]
    fn each_wrong_field_is_named() {
        let good = json!({"conversion_id": "ord_1", "occurred_at": "2026-11-22T12:00:00Z", "amount": "49.00", "currency": "USD"});
        let with = |name: &str, value: Value| {
            let mut data = good.clone();
            data[name] = value;
            refused_field("conversion.created", data)
        };
        assert_eq!(with("conversion_id", Value::Null), "data.conversion_id");
        assert_eq!(with("conversion_id", json!("x".repeat(201))), "data.conversion_id");
        assert_eq!(with("occurred_at", json!("yesterday")), "data.occurred_at");
        assert_eq!(with("amount", json!(49.0)), "data.amount");
        assert_eq!(with("amount", json!("49.001")), "data.amount");
        assert_eq!(with("amount", json!("-1")), "data.amount");
        assert_eq!(with("amount", json!("1000000000000.01")), "data.amount");
        assert_eq!(with("amount", Value::Null), "data.amount");
        assert_eq!(with("currency", json!("usd")), "data.currency");
        assert_eq!(with("currency", Value::Null), "data.currency");
        assert_eq!(with("type", json!("gift")), "data.type");
        assert_eq!(with("session_id", json!("7")), "data.session_id");
        assert_eq!(with("is_test", json!("yes")), "data.is_test");
        assert_eq!(
            refused_field(
                "success.achieved",
                json!({"success_id": "s", "metric": "m", "occurred_at": "2026-11-22T12:00:00Z", "evidence": []})
            ),
            "data.evidence"
        );
        assert_eq!(
            refused_field(
                "conversion.reversed",
                json!({"conversion_id": "o", "occurred_at": "2026-11-22T12:00:00Z", "amount": "0", "currency": "USD"})
            ),
            "data.amount"
        );
    }

    #[test]
    fn an_amount_has_an_upper_bound_in_major_units_of_every_currency() {
        let amount = |amount: &str, currency: &str| {
            let data = json!({"conversion_id": "ord_1", "occurred_at": "2026-11-22T12:00:00Z", "amount": amount, "currency": currency});
            parse("conversion.created", data).map(drop).map_err(|error| error.to_string())
        };
        for currency in ["USD", "JPY", "KWD"] {
            assert_eq!(amount("1000000000000", currency), Ok(()));
            let refused = amount("1000000000001", currency);
            assert_eq!(refused, Err("data.amount: `1000000000001` must be at most 1000000000000".to_owned()), "{currency}");
        }
    }

    #[test]
    fn test_events_and_unknown_types_do_nothing() {
        let mut sale = json!({"conversion_id": "inv_1", "occurred_at": "2026-11-22T12:00:00Z", "amount": "49.00", "currency": "USD"});
        assert!(matches!(parse("conversion.created", sale.clone()), Ok(Event::ConversionCreated(_))));
        sale["is_test"] = json!(true);
        assert!(matches!(parse("conversion.created", sale), Ok(Event::Nothing(_))));
        assert!(matches!(parse("invoice.sent", json!({})), Ok(Event::Nothing(_))));
    }

    #[test]
    fn a_test_event_tells_what_a_real_one_would() {
        let wrong = json!({"is_test": true, "conversion_id": "inv_1", "occurred_at": "2026-11-22T12:00:00Z", "amount": 49});
        assert_eq!(parse("conversion.created", wrong).unwrap_err().field, "data.amount");
    }

    #[test]
    fn what_is_not_an_object_with_a_type_is_refused_at_the_door() {
        for body in ["", "[]", "{", "{\"type\": 5}", "{\"type\": \"\"}", "{\"type\": \"a\\u0000b\"}", "\u{0}"] {
            assert!(event_type(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn retries_end() {
        assert_eq!((1..=11).map(retry_delay_seconds).collect::<Vec<_>>()[..4], [Some(1), Some(4), Some(16), Some(64)]);
        assert_eq!(retry_delay_seconds(10), None);
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body: Vec<u8>) {
            let _ = parse_event(&"supabase".parse().unwrap(), "m", &body);
        }
    }
}
