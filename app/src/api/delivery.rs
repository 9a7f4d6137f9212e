//! Webhook deliveries and their replay.

use chrono::{DateTime, Utc};
use domain::{PartnerId, WebhookDeliveryId, webhook::DeliveryState};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub webhook_delivery_id: WebhookDeliveryId,
    pub partner_id: PartnerId,
    pub event_path: String,
    pub event_type: Option<String>,
    pub message_id: String,
    pub received_at: DateTime<Utc>,
    pub processed_at: Option<DateTime<Utc>>,
    pub state: DeliveryState,
    pub attempts: i32,
    pub duplicates: i32,
    pub next_attempt_at: DateTime<Utc>,
    pub outcome: Option<String>,
    pub last_error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryList {
    pub deliveries: Vec<Delivery>,
    /// The cursor of the older ones.
    pub next: Option<WebhookDeliveryId>,
    /// What was refused at the door of late, under the same partner: HTML, empty if nothing was.
    pub refusals: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryDetail {
    pub id: String,
    pub event: String,
    pub partner: String,
    /// Where it stands, what happened to it, and its headers: HTML, see `panels`.
    pub story: String,
    /// The raw body, as text.
    pub body: String,
    /// The same, indented, if it is JSON.
    pub pretty_body: Option<String>,
}

/// The newest deliveries first, 50 a page; an empty text does not filter.
#[server]
pub async fn list_deliveries(state: String, partner: String, before: String) -> Result<DeliveryList, AppError> {
    let (engine, who) = super::backend().await?;
    let filter = read_filter(&state, &partner, &before)?;
    let page = engine::webhook::list(&engine, &who, &filter).await?;
    let refusals = crate::panels::refusals(engine::webhook::list_refusals(&engine, &who, filter.partner_id.as_ref()).await.ok());
    Ok(DeliveryList { deliveries: page.deliveries.into_iter().map(Delivery::from).collect(), next: page.next, refusals })
}

#[server]
pub async fn find_delivery(id: String) -> Result<DeliveryDetail, AppError> {
    let (engine, who) = super::backend().await?;
    let id = id.parse().map_err(|_| engine::Error::not_found(format!("webhook delivery `{id}`")))?;
    let (delivery, body) = engine::webhook::find(&engine, &who, id).await?;
    let headers = engine::webhook::headers(&engine, &who, id).await?;
    Ok(DeliveryDetail {
        id: id.to_string(),
        event: delivery.event_type.clone().unwrap_or_else(|| "unknown event".to_owned()),
        partner: delivery.partner_id.to_string(),
        story: crate::panels::delivery(delivery, headers),
        pretty_body: indented(&body),
        body,
    })
}

/// Puts a delivery back into the queue.
#[server]
pub async fn replay_delivery(id: WebhookDeliveryId) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    engine::webhook::replay(&engine, &who, id).await?;
    super::request::lead_plain_form_to(&format!("/deliveries/{id}?done=replayed"));
    Ok(())
}

/// Puts every delivery that was given up back into the queue, of one partner or, with an empty text, of all; tells how many.
#[server]
pub async fn replay_dead_deliveries(#[server(default)] partner: String) -> Result<u64, AppError> {
    let (engine, who) = super::backend().await?;
    let filter = read_filter("", &partner, "")?;
    let replayed = engine::webhook::replay_dead(&engine, &who, filter.partner_id.as_ref()).await?;
    super::request::lead_plain_form_to("/deliveries?done=replayed-all");
    Ok(replayed)
}

#[cfg(feature = "ssr")]
mod server {
    use engine::webhook::Filter;
    use serde::Deserialize;

    use super::{Delivery, DeliveryState};
    use crate::{
        AppError,
        api::request::{invalid, read},
    };

    /// 64 KiB: indented, deep JSON grows many times over.
    const INDENTED_MAX: usize = 64 * 1024;

    impl From<engine::webhook::Delivery> for Delivery {
        fn from(delivery: engine::webhook::Delivery) -> Self {
            Self {
                webhook_delivery_id: delivery.webhook_delivery_id,
                partner_id: delivery.partner_id,
                event_path: delivery.event_path,
                event_type: delivery.event_type,
                message_id: delivery.message_id,
                received_at: delivery.received_at,
                processed_at: delivery.processed_at,
                state: delivery.state,
                attempts: delivery.attempts,
                duplicates: delivery.duplicates,
                next_attempt_at: delivery.next_attempt_at,
                outcome: delivery.outcome,
                last_error: delivery.last_error,
            }
        }
    }

    pub fn read_filter(state: &str, partner: &str, before: &str) -> Result<Filter, AppError> {
        let known = |text: &str| DeliveryState::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text)).ok();
        Ok(Filter {
            state: if state.is_empty() {
                None
            } else {
                Some(known(state).ok_or_else(|| invalid("state", format!("`{state}` is no state of a delivery")))?)
            },
            partner_id: read("partner", partner)?,
            before: read("before", before)?,
        })
    }

    /// JSON with a line per value. Only blanks between values change: numbers, texts and the order of keys stay as they were sent.
    pub fn indented(json: &str) -> Option<String> {
        // Reading it as a value also bounds the depth.
        if json.len() > INDENTED_MAX || serde_json::from_str::<serde_json::Value>(json).is_err() {
            return None;
        }
        let mut out = String::with_capacity(json.len() * 2);
        let (mut depth, mut in_text, mut escaped, mut opened) = (0_usize, false, false, false);
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        };
        for c in json.chars() {
            if in_text {
                in_text = escaped || c != '"';
                escaped = !escaped && c == '\\';
                out.push(c);
                continue;
            }
            match c {
                _ if c.is_ascii_whitespace() => continue,
                '}' | ']' => {
                    depth = depth.saturating_sub(1);
                    if !opened {
                        line(&mut out, depth);
                    }
                    out.push(c);
                    opened = false;
                    continue;
                }
                _ => {}
            }
            if opened {
                line(&mut out, depth);
            }
            opened = matches!(c, '{' | '[');
            depth += usize::from(opened);
            in_text = c == '"';
            out.push(c);
            match c {
                ',' => line(&mut out, depth),
                ':' => out.push(' '),
                _ => {}
            }
        }
        Some(out)
    }

    #[cfg(test)]
    #[expect(clippy::unwrap_used, reason = "a test may panic")]
    mod tests {
        use super::*;

        #[test]
        fn indenting_changes_blanks_only() {
            let json = r#"{"z":1.10,"a":[ ],"text":"{\"[,:\\","list":[1,{"b":null}],"big":12345678901234567890123}"#;
            let pretty = indented(json).unwrap();
            assert_eq!(
                pretty,
                "{\n  \"z\": 1.10,\n  \"a\": [],\n  \"text\": \"{\\\"[,:\\\\\",\n  \"list\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n  \"big\": 12345678901234567890123\n}"
            );
        }

        #[test]
        fn what_is_no_json_or_too_deep_or_too_long_stays_as_it_is() {
            assert_eq!(indented("{"), None);
            assert_eq!(indented("a=b&c=d"), None);
            assert_eq!(indented(&"[".repeat(1000)), None);
            assert_eq!(indented(&format!("{}{}", "[".repeat(1000), "]".repeat(1000))), None);
            assert_eq!(indented(&format!("\"{}\"", "x".repeat(INDENTED_MAX))), None);
        }

        #[test]
        fn a_filter_names_what_it_cannot_read() {
            let field = |result: Result<Filter, AppError>| result.unwrap_err().0.field.unwrap();
            assert_eq!(field(read_filter("lost", "", "")), "state");
            assert_eq!(field(read_filter("", "No Partner", "")), "partner");
            assert_eq!(field(read_filter("", "", "7")), "before");
            let filter = read_filter("dead", "figma", "").unwrap();
            assert_eq!((filter.state, filter.partner_id.unwrap().as_str(), filter.before), (Some(DeliveryState::Dead), "figma", None));
        }
    }
}

#[cfg(feature = "ssr")]
pub(super) use server::indented;
#[cfg(feature = "ssr")]
use server::read_filter;
