//! Replaying many deliveries at once.

use domain::{PartnerId, auth::Principal};
use serde_json::json;

use crate::{Engine, Result, access::require_operate, audit};

/// 10,000: what one statement puts back, so that it neither locks for long nor floods the workers; a second call takes the next ones.
const REPLAYED_MAX: i64 = 10_000;

/// Puts deliveries that were given up back into the queue, the oldest first, of one partner or of all; tells how many. What they already
/// did is not done twice.
///
/// # Errors
/// Refuses anyone but operators.
pub async fn replay_dead(engine: &Engine, who: &Principal, partner_id: Option<&PartnerId>) -> Result<u64> {
    require_operate(who, "replay deliveries")?;
    let mut tx = engine.db.begin().await?;
    let replayed = sqlx::query!(
        "update webhook_deliveries
         set state = 'received',
             attempts = 0,
             last_error = null,
             next_attempt_at = $2
         where webhook_delivery_id in (
             select webhook_delivery_id
             from webhook_deliveries
             where state = 'dead'
               and ($1::text is null or partner_id = $1)
             order by received_at
             limit $3
             for update skip locked
         )",
        partner_id.map(PartnerId::as_str),
        engine.now(),
        REPLAYED_MAX,
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if replayed > 0 {
        let subject = partner_id.map_or_else(|| "webhook deliveries".to_owned(), |partner_id| format!("partner {partner_id}"));
        audit::record(engine, &mut tx, who, "webhook.replay_dead", &subject, json!({ "replayed": replayed })).await?;
    }
    tx.commit().await?;
    engine.work.notify_one();
    Ok(replayed)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::path::Path;

    use domain::webhook::DeliveryState;
    use serde_json::json;
    use sqlx::PgPool;

    use super::*;
    use crate::{
        Error, partner, testing,
        webhook::{self, Filter},
    };

    /// One dead delivery each of Supabase and Figma.
    async fn with_dead_deliveries(db: PgPool) -> Engine {
        let engine = testing::engine(db);
        partner::import_files(&engine, Path::new("../partners")).await.unwrap();
        for partner in ["supabase", "figma"] {
            let body = json!({ "type": "conversion.created", "data": {} });
            webhook::enqueue(&engine, &partner.parse().unwrap(), "postback", "message", &body).await.unwrap();
        }
        while webhook::work_one(&engine).await.unwrap() {}
        engine
    }

    async fn dead(engine: &Engine) -> usize {
        let filter = Filter { state: Some(DeliveryState::Dead), ..Filter::default() };
        webhook::list(engine, &Principal::CommandLine, &filter).await.unwrap().deliveries.len()
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn dead_deliveries_of_one_partner_or_of_all_are_put_back(db: PgPool) {
        let engine = with_dead_deliveries(db).await;
        assert_eq!(dead(&engine).await, 2);
        assert_eq!(replay_dead(&engine, &Principal::CommandLine, Some(&"figma".parse().unwrap())).await.unwrap(), 1);
        assert_eq!(dead(&engine).await, 1);
        assert_eq!(replay_dead(&engine, &Principal::CommandLine, None).await.unwrap(), 1);
        assert_eq!((dead(&engine).await, replay_dead(&engine, &Principal::CommandLine, None).await.unwrap()), (0, 0));
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn the_audit_log_says_what_a_delivery_was_before_its_replay(db: PgPool) {
        let engine = with_dead_deliveries(db).await;
        let figma = Filter { partner_id: Some("figma".parse().unwrap()), ..Filter::default() };
        let dead = webhook::list(&engine, &Principal::CommandLine, &figma).await.unwrap().deliveries.remove(0);
        webhook::replay(&engine, &Principal::CommandLine, dead.webhook_delivery_id).await.unwrap();
        let detail: serde_json::Value =
            sqlx::query_scalar("select detail from audit_entries where action = 'webhook.replay'").fetch_one(&engine.db).await.unwrap();
        assert_eq!(detail["before"]["state"], "dead");
        assert!(detail["before"]["error"].as_str().is_some_and(|error| !error.is_empty()), "{detail}");
        assert_eq!(detail["after"], json!({ "state": "received", "attempts": 0, "error": null }));
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn only_operators_see_and_replay(db: PgPool) {
        let engine = with_dead_deliveries(db).await;
        let id = engine.new_id();
        let scopes = vec!["conversions:write".to_owned()];
        let machine = Principal::Machine { id: engine.new_id(), name: "ci".to_owned(), scopes, partner_id: None };
        for who in [Principal::Anonymous, machine] {
            let refusals = [
                replay_dead(&engine, &who, None).await.map(drop),
                webhook::replay(&engine, &who, id).await,
                webhook::list(&engine, &who, &Filter::default()).await.map(drop),
                webhook::find(&engine, &who, id).await.map(drop),
                webhook::headers(&engine, &who, id).await.map(drop),
                webhook::send_test(&engine, &who, &"figma".parse().unwrap()).await.map(drop),
            ];
            for refusal in refusals.map(Result::unwrap_err) {
                let right = match who {
                    Principal::Anonymous => matches!(refusal, Error::Unauthenticated),
                    _ => matches!(refusal, Error::Forbidden(_)),
                };
                assert!(right, "{who:?}: {refusal}");
            }
        }
        assert_eq!(dead(&engine).await, 2);
    }
}
