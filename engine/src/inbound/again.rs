//! Events that were given up and come again under their old message id, as a rule corrected: they start anew.
//!
//! One that was given up has had no effect, so that nothing stands against another body. The old one stays in the raw log. The event
//! then counts as received when the new body came, which is when a rebuild works it off.

use domain::{ImportId, PartnerId};
use serde_json::Value;

use crate::{Result, work::Work};

/// 20: who is wrong that often needs a person, and a row must not grow without end.
const EARLIER_BODIES_MAX: i32 = 20;

/// An event as it came now.
pub(crate) struct Again {
    pub message_id: String,
    pub body: Vec<u8>,
    pub event_type: String,
    /// Of the import's file.
    pub line: Option<i64>,
}

/// Puts those of the events that were given up into the queue again, with the bodies that they have now; tells their message ids. The
/// way by which an event came is that of its new body: what is proven by a signature must not be claimed by a body that had none.
pub(crate) async fn start_anew(
    work: &mut Work<'_>,
    partner_id: &PartnerId,
    event_path: &str,
    headers: &Value,
    import_id: Option<ImportId>,
    events: Vec<Again>,
) -> Result<Vec<String>> {
    let now = work.now();
    let (mut message_ids, mut bodies, mut types, mut lines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for event in events {
        message_ids.push(event.message_id);
        bodies.push(event.body);
        types.push(event.event_type);
        lines.push(event.line);
    }
    // Locked in the order of their ids, so that two files that overlap never wait for each other crosswise.
    let started = sqlx::query_scalar!(
        "with given_up as (
             select d.webhook_delivery_id, event.body, event.event_type, event.line,
                    d.body = event.body and d.event_path = $2 as same
             from unnest($6::text[], $7::bytea[], $8::text[], $9::bigint[]) as event (message_id, body, event_type, line)
             join webhook_deliveries d on d.partner_id = $1 and d.message_id = event.message_id
             where d.state = 'dead' and (d.earlier_bodies is null or jsonb_array_length(d.earlier_bodies) < $10)
             order by d.message_id
             for update of d
         )
         update webhook_deliveries d
         set earlier_bodies = case when same then d.earlier_bodies else coalesce(d.earlier_bodies, '[]') || jsonb_build_object(
                 'received_at', d.received_at, 'event_path', d.event_path, 'body', encode(d.body, 'base64'), 'error', d.last_error) end,
             event_path = $2, headers = $3, body = given_up.body, event_type = given_up.event_type, received_at = $4,
             state = 'received', attempts = 0, next_attempt_at = $4, outcome = null, last_error = null, processed_at = null, answer = null,
             import_id = $5, import_line = given_up.line
         from given_up
         where d.webhook_delivery_id = given_up.webhook_delivery_id
         returning d.message_id",
        partner_id.as_str(),
        event_path,
        headers,
        now,
        import_id.map(|id| id.0),
        &message_ids,
        &bodies,
        &types,
        &lines as _,
        EARLIER_BODIES_MAX,
    )
    .fetch_all(work.connection())
    .await?;
    Ok(started)
}
