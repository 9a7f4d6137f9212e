//! Storing what came in, once per message id, so that it can be acknowledged.

use domain::{PartnerId, WebhookDeliveryId, webhook::DeliveryState};
use serde_json::{Value, json};

use super::Receipt;
use crate::{
    Engine, Result,
    inbound::{Again, start_anew},
    work::Work,
};

/// Stores a message. One that came before has no second effect, unless it was given up: then it starts anew, with the body that it has now.
pub(super) async fn store(
    engine: &Engine,
    partner_id: &PartnerId,
    path: &str,
    message_id: &str,
    headers: Value,
    body: &[u8],
    event_type: &str,
) -> Result<Receipt> {
    let id: WebhookDeliveryId = engine.new_id();
    let row = sqlx::query!(
        r#"insert into webhook_deliveries as d (webhook_delivery_id, partner_id, event_path, message_id, headers, body, received_at, state, next_attempt_at, event_type)
           values ($1, $2, $3, $4, $5, $6, $7, 'received', $7, $8)
           on conflict on constraint webhook_deliveries_partner_id_message_id_key do update set duplicates = d.duplicates + 1
           returning webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId", state as "state: DeliveryState""#,
        id.0,
        partner_id.as_str(),
        path,
        message_id,
        headers,
        body,
        engine.now(),
        event_type,
    )
    .fetch_one(&engine.db)
    .await?;
    let receipt = Receipt { webhook_delivery_id: row.webhook_delivery_id, duplicate: row.webhook_delivery_id != id };
    if !receipt.duplicate || row.state != DeliveryState::Dead {
        return Ok(receipt);
    }
    let again = Again { message_id: message_id.to_owned(), body: body.to_vec(), event_type: event_type.to_owned(), line: None };
    let mut work = Work::begin(engine).await?;
    // Nothing if it was replayed in the meantime, or came wrong too often.
    let started = start_anew(&mut work, partner_id, path, &headers, None, vec![again]).await?;
    work.commit().await?;
    Ok(Receipt { duplicate: started.is_empty(), ..receipt })
}

/// Stores an event that came by another authenticated way (a postback), so that it takes the same path as a webhook.
pub async fn enqueue(engine: &Engine, partner_id: &PartnerId, path: &str, message_id: &str, body: &Value) -> Result<Receipt> {
    let kind = body.get("type").and_then(Value::as_str).unwrap_or_default();
    let receipt = store(engine, partner_id, path, message_id, json!({}), body.to_string().as_bytes(), kind).await?;
    engine.work.notify_one();
    Ok(receipt)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::path::Path;

    use domain::{auth::Principal, partner::SecretPurpose, signature};
    use sqlx::PgPool;

    use super::*;
    use crate::{partner, referral_code, testing, webhook};

    const WHO: Principal = Principal::CommandLine;

    /// A partner that sends signed messages.
    struct Sender {
        engine: Engine,
        partner_id: PartnerId,
        secret: String,
    }

    impl Sender {
        async fn over(db: PgPool) -> Self {
            let engine = testing::engine(db);
            partner::import_files(&engine, Path::new("../partners")).await.unwrap();
            referral_code::refresh_links(&engine).await.unwrap();
            let partner_id: PartnerId = "supabase".parse().unwrap();
            let secret = partner::set_secret(&engine, &WHO, &partner_id, SecretPurpose::Webhook, None).await.unwrap();
            Self { engine, partner_id, secret }
        }

        async fn send(&self, message_id: &str, body: &Value) -> Receipt {
            let body = body.to_string();
            let scheme = domain::partner::WebhookScheme::StandardWebhooks;
            let headers = signature::sign(scheme, &self.secret, message_id, body.as_bytes(), self.engine.now()).unwrap();
            let header = |name: &'static str| headers.iter().find(|(sent, _)| *sent == name).map(|(_, value)| value.as_str());
            webhook::receive(&self.engine, self.partner_id.as_str(), "events", header, body.as_bytes()).await.unwrap()
        }

        async fn work_off(&self) {
            while webhook::work_one(&self.engine).await.unwrap() {}
        }

        async fn state_of(&self, receipt: Receipt) -> (DeliveryState, String) {
            let (delivery, _) = webhook::find(&self.engine, &WHO, receipt.webhook_delivery_id).await.unwrap();
            (delivery.state, delivery.event_path)
        }
    }

    fn sale(amount: &str, at: chrono::DateTime<chrono::Utc>) -> Value {
        let data = json!({ "conversion_id": "order", "occurred_at": at, "amount": amount, "currency": "USD", "user_id": "somebody" });
        json!({ "type": "conversion.created", "data": data })
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_message_that_was_given_up_counts_when_it_is_sent_again_corrected(db: PgPool) {
        let it = Sender::over(db).await;
        let at = it.engine.now();
        let wrong = it.send("msg_1", &sale("forty-nine", at)).await;
        it.work_off().await;
        assert_eq!(it.state_of(wrong).await.0, DeliveryState::Dead);

        let corrected = it.send("msg_1", &sale("49.00", at)).await;
        assert_eq!(corrected, Receipt { webhook_delivery_id: wrong.webhook_delivery_id, duplicate: false });
        it.work_off().await;
        assert_eq!(it.state_of(corrected).await, (DeliveryState::Processed, "events".to_owned()));
        let value = sqlx::query_scalar!("select value_minor from conversions where external_event_id = 'order'");
        assert_eq!(value.fetch_one(&it.engine.db).await.unwrap(), 4900);
        let earlier = sqlx::query_scalar!(r#"select jsonb_array_length(earlier_bodies) as "length!" from webhook_deliveries"#);
        assert_eq!(earlier.fetch_one(&it.engine.db).await.unwrap(), 1, "what it said before stays in the log");
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_message_that_was_worked_off_has_no_second_effect(db: PgPool) {
        let it = Sender::over(db).await;
        let at = it.engine.now();
        let first = it.send("msg_1", &sale("49.00", at)).await;
        assert!(it.send("msg_1", &sale("49.00", at)).await.duplicate, "while it waits");
        it.work_off().await;
        assert_eq!(it.send("msg_1", &sale("59.00", at)).await, Receipt { duplicate: true, ..first });
        it.work_off().await;
        let value = sqlx::query_scalar!("select value_minor from conversions where external_event_id = 'order'");
        assert_eq!(value.fetch_one(&it.engine.db).await.unwrap(), 4900);
    }
}
