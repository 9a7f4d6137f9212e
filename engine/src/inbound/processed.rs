//! Events that were processed before they are logged, in the same unit of work.

use domain::{PartnerId, WebhookDeliveryId, conversion::Source};
use serde_json::Value;

use super::event_path;
use crate::{Result, work::Work};

/// Logs an event of our webhook contract that this unit of work has processed; the same `message_id` again is counted as a
/// repeat of the first.
pub(crate) async fn record_processed(
    work: &mut Work<'_>,
    id: WebhookDeliveryId,
    partner_id: &PartnerId,
    source: Source,
    message_id: &str,
    body: &Value,
    outcome: &str,
) -> Result<()> {
    let now = work.now();
    let bytes = body.to_string().into_bytes();
    sqlx::query!(
        "insert into webhook_deliveries as d (webhook_delivery_id, partner_id, event_path, message_id, headers, body, received_at, state,
                                              attempts, next_attempt_at, event_type, outcome, processed_at)
         values ($1, $2, $3, $4, '{}', $5, $6, 'processed', 1, $6, $7, $8, $6)
         on conflict on constraint webhook_deliveries_partner_id_message_id_key do update set duplicates = d.duplicates + 1",
        id.0,
        partner_id.as_str(),
        event_path(source),
        message_id,
        bytes,
        now,
        body.get("type").and_then(Value::as_str).unwrap_or_default(),
        outcome,
    )
    .execute(work.connection())
    .await?;
    Ok(())
}
