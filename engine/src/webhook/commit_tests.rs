//! A delivery whose effects cannot be committed.

use std::path::Path;

use domain::{PartnerId, auth::Principal, webhook::DeliveryState};
use serde_json::json;
use sqlx::PgPool;

use super::{Filter, enqueue, list, work_one};
use crate::{partner, testing};

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_commit_that_fails_is_a_failed_try_and_keeps_no_other_delivery_waiting(db: PgPool) {
    let engine = testing::engine(db);
    partner::import_files(&engine, Path::new("../partners")).await.unwrap();
    // No counter of this partner can take another sale.
    sqlx::query(
        "insert into hourly_counts (hour, partner_id, shard, conversions)
         select date_trunc('hour', $1::timestamptz) + hour * interval '1 hour', 'supabase', shard, 9223372036854775807
         from generate_series(0, 40) shard, generate_series(-30, 30) hour",
    )
    .bind(engine.now())
    .execute(&engine.db)
    .await
    .unwrap();
    for partner in ["supabase", "figma"] {
        let partner_id: PartnerId = partner.parse().unwrap();
        let data =
            json!({ "conversion_id": "ord_1", "occurred_at": engine.now(), "amount": "49.00", "currency": "USD", "user_id": "cus_1" });
        enqueue(&engine, &partner_id, "events", "msg_1", &json!({ "type": "conversion.created", "data": data })).await.unwrap();
    }
    while work_one(&engine).await.unwrap() {}

    let deliveries = list(&engine, &Principal::CommandLine, &Filter::default()).await.unwrap().deliveries;
    let of = |partner: &str| deliveries.iter().find(|delivery| delivery.partner_id.as_str() == partner).unwrap();
    let failed = of("supabase");
    assert_eq!((failed.state, failed.attempts), (DeliveryState::Retrying, 1));
    assert!(failed.last_error.as_deref().unwrap_or_default().contains("out of range"), "{failed:?}");
    assert_eq!(of("figma").state, DeliveryState::Processed);
    let conversions: i64 = sqlx::query_scalar("select count(*) from conversions").fetch_one(&engine.db).await.unwrap();
    assert_eq!(conversions, 1);
}
