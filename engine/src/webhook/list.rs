//! Deliveries as operators see them.

use chrono::{DateTime, Utc};
use domain::{PartnerId, WebhookDeliveryId, auth::Principal, webhook::DeliveryState};
use serde::{Deserialize, Serialize};

use crate::{Engine, Error, Result, access::require_read};

const PAGE_LENGTH: i64 = 50;

/// Which deliveries to list: of one state or partner, and older than a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    pub state: Option<DeliveryState>,
    pub partner_id: Option<PartnerId>,
    pub before: Option<WebhookDeliveryId>,
}

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
pub struct DeliveryPage {
    pub deliveries: Vec<Delivery>,
    /// The cursor of the next page, if there is one.
    pub next: Option<WebhookDeliveryId>,
}

/// The newest deliveries first, 50 a page.
///
/// # Errors
/// Refuses who may not read.
pub async fn list(engine: &Engine, who: &Principal, filter: &Filter) -> Result<DeliveryPage> {
    require_read(who, "see webhook deliveries")?;
    let mut deliveries = sqlx::query_as!(
        Delivery,
        r#"select webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId", partner_id as "partner_id: PartnerId", event_path, event_type, message_id,
                  received_at, processed_at, state as "state: DeliveryState", attempts, duplicates, next_attempt_at, outcome, last_error
           from webhook_deliveries
           where ($1::text is null or state = $1) and ($2::text is null or partner_id = $2) and ($3::uuid is null or webhook_delivery_id < $3)
           order by webhook_delivery_id desc
           limit $4"#,
        filter.state as _,
        filter.partner_id.as_ref().map(PartnerId::as_str),
        filter.before.map(|id| id.0),
        PAGE_LENGTH + 1,
    )
    .fetch_all(&engine.db)
    .await?;
    let more = deliveries.len() > usize::try_from(PAGE_LENGTH).unwrap_or(usize::MAX);
    if more {
        deliveries.pop();
    }
    Ok(DeliveryPage { next: deliveries.last().filter(|_| more).map(|last| last.webhook_delivery_id), deliveries })
}

/// One delivery with its raw body, as text where it is UTF-8.
///
/// # Errors
/// [`Error::NotFound`] if there is none; refuses who may not read.
pub async fn find(engine: &Engine, who: &Principal, id: WebhookDeliveryId) -> Result<(Delivery, String)> {
    require_read(who, "see webhook deliveries")?;
    let delivery = sqlx::query_as!(
        Delivery,
        r#"select webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId", partner_id as "partner_id: PartnerId", event_path, event_type, message_id,
                  received_at, processed_at, state as "state: DeliveryState", attempts, duplicates, next_attempt_at, outcome, last_error
           from webhook_deliveries where webhook_delivery_id = $1"#,
        id.0,
    )
    .fetch_optional(&engine.db)
    .await?
    .ok_or_else(|| Error::not_found(format!("webhook delivery `{id}`")))?;
    let body =
        sqlx::query_scalar!("select body from webhook_deliveries where webhook_delivery_id = $1", id.0).fetch_one(&engine.db).await?;
    Ok((delivery, String::from_utf8_lossy(&body).into_owned()))
}
