//! A test webhook: signed as the partner would and received as a real one, so that it proves secret, path and workers.

use chrono::SecondsFormat;
use domain::{
    PartnerId,
    auth::Principal,
    partner::{Partner, SecretPurpose, WebhookEvent},
    signature,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Receipt, Refusal, receive};
use crate::{Engine, Error, Result, access::require_operate, partner};

/// Signs a `conversion.created` that says `is_test` with the partner's newest active secret and delivers it to ourselves. It never converts.
///
/// # Errors
/// [`Error::Conflict`] if no secret is active or no webhook takes the event, or says why the delivery was refused;
/// refuses anyone but operators.
pub async fn send_test(engine: &Engine, who: &Principal, partner_id: &PartnerId) -> Result<Receipt> {
    require_operate(who, "send test webhooks")?;
    let partner = partner::show(engine, who, partner_id).await?;
    let webhook =
        conversion_webhook(&partner).ok_or_else(|| Error::Conflict(format!("`{partner_id}` has no webhook for `conversion.created`")))?;
    let secrets = partner::active_secrets(engine, partner_id, SecretPurpose::Webhook).await?;
    let secret = secrets.first().ok_or_else(|| Error::Conflict(format!("`{partner_id}` has no active webhook secret: make one first")))?;

    let message_id = format!("test_{}", engine.new_id::<Uuid>());
    let body = test_event(engine, &message_id).to_string();
    let headers = signature::sign(webhook.authentication, secret, &message_id, body.as_bytes(), engine.now()).map_err(Error::internal)?;
    let header = |name: &'static str| match name {
        "content-type" => Some("application/json"),
        "user-agent" => Some("orchestrator-test"),
        _ => headers.iter().find(|(sent, _)| *sent == name).map(|(_, value)| value.as_str()),
    };
    receive(engine, partner_id.as_str(), &webhook.path, header, body.as_bytes()).await.map_err(|refusal| match refusal {
        Refusal::Engine(error) => error,
        other => Error::Conflict(format!("the test webhook was refused: {other}")),
    })
}

/// The webhook that takes conversions: the one made for them, or the one for every event.
fn conversion_webhook(partner: &Partner) -> Option<&WebhookEvent> {
    let taking = |event: &str| partner.webhook_events.iter().find(|webhook| webhook.event == event);
    taking("conversion.created").or_else(|| taking("*"))
}

fn test_event(engine: &Engine, message_id: &str) -> Value {
    let now = engine.now().to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({
        "type": "conversion.created",
        "timestamp": now,
        "data": { "is_test": true, "conversion_id": message_id, "occurred_at": now, "amount": "49.00", "currency": "USD" },
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::path::Path;

    use domain::webhook::DeliveryState;
    use sqlx::PgPool;

    use super::*;
    use crate::{referral_code, testing, webhook};

    async fn registry(db: PgPool) -> (Engine, PartnerId) {
        let engine = testing::engine(db);
        partner::import_files(&engine, Path::new("../partners")).await.unwrap();
        referral_code::refresh_links(&engine).await.unwrap();
        (engine, "supabase".parse().unwrap())
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_test_webhook_is_received_and_has_no_effect(db: PgPool) {
        let (engine, supabase) = registry(db).await;
        let who = Principal::CommandLine;
        partner::set_secret(&engine, &who, &supabase, SecretPurpose::Webhook, None).await.unwrap();

        let receipt = send_test(&engine, &who, &supabase).await.unwrap();
        assert!(webhook::work_one(&engine).await.unwrap());

        let (delivery, body) = webhook::find(&engine, &who, receipt.webhook_delivery_id).await.unwrap();
        assert_eq!((delivery.state, delivery.outcome.as_deref()), (DeliveryState::Ignored, Some("test event")));
        assert!(body.contains("\"is_test\":true"));
        let headers = webhook::headers(&engine, &who, receipt.webhook_delivery_id).await.unwrap();
        assert_eq!(headers["webhook-id"], delivery.message_id);
        assert!(!headers.contains_key("webhook-signature"), "what proves the sender is not kept");
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn without_a_secret_no_test_webhook_is_sent(db: PgPool) {
        let (engine, supabase) = registry(db).await;
        let error = send_test(&engine, &Principal::CommandLine, &supabase).await.unwrap_err();
        assert_eq!(error.to_string(), "`supabase` has no active webhook secret: make one first");
        assert!(matches!(send_test(&engine, &Principal::Anonymous, &supabase).await, Err(Error::Unauthenticated)));
    }
}
