//! Deliveries whose effects cannot be written or committed: they are tried again, and given up in the end.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{PartnerId, auth::Principal, webhook::DeliveryState};
use serde_json::json;
use sqlx::PgPool;

use super::{Delivery, Filter, enqueue, list, work_one};
use crate::{Engine, clock, partner, testing};

/// An engine with the partners of the repository.
async fn engine_with_partners(db: PgPool) -> Engine {
    let engine = testing::engine(db);
    partner::import_files(&engine, Path::new("../partners")).await.unwrap();
    engine
}

/// From now on no counter of Supabase can take another sale, so that none can be committed.
async fn fill_counters(engine: &Engine) {
    sqlx::query(
        "insert into hourly_counts (hour, partner_id, shard, conversions)
         select date_trunc('hour', $1::timestamptz) + hour * interval '1 hour', 'supabase', shard, 9223372036854775807
         from generate_series(0, 40) shard, generate_series(-30, 30) hour",
    )
    .bind(engine.now())
    .execute(&engine.db)
    .await
    .unwrap();
}

/// Takes in a sale.
async fn receive_sale(engine: &Engine, partner: &str) {
    let partner_id: PartnerId = partner.parse().unwrap();
    let data = json!({ "conversion_id": "ord_1", "occurred_at": engine.now(), "amount": "49.00", "currency": "USD", "user_id": "cus_1" });
    enqueue(engine, &partner_id, "events", "msg_1", &json!({ "type": "conversion.created", "data": data })).await.unwrap();
}

/// Works one delivery off at a time of the test's choice; tells whether one was due.
async fn work_at(engine: &Engine, at: DateTime<Utc>) -> bool {
    clock::at(at, work_one(engine)).await.unwrap()
}

async fn delivery_of(engine: &Engine, partner: &str) -> Delivery {
    let filter = Filter { partner_id: Some(partner.parse().unwrap()), ..Filter::default() };
    list(engine, &Principal::CommandLine, &filter).await.unwrap().deliveries.remove(0)
}

async fn conversions(engine: &Engine) -> i64 {
    sqlx::query_scalar("select count(*) from conversions").fetch_one(&engine.db).await.unwrap()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_commit_that_fails_is_a_failed_try_and_keeps_no_other_delivery_waiting(db: PgPool) {
    let engine = engine_with_partners(db).await;
    fill_counters(&engine).await;
    for partner in ["supabase", "figma"] {
        receive_sale(&engine, partner).await;
    }
    while work_one(&engine).await.unwrap() {}

    let failed = delivery_of(&engine, "supabase").await;
    assert_eq!((failed.state, failed.attempts), (DeliveryState::Retrying, 1));
    assert!(failed.last_error.as_deref().unwrap_or_default().contains("out of range"), "{failed:?}");
    assert_eq!(delivery_of(&engine, "figma").await.state, DeliveryState::Processed);
    assert_eq!(conversions(&engine).await, 1);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_delivery_that_failed_once_succeeds_when_its_wait_is_over(db: PgPool) {
    let engine = engine_with_partners(db).await;
    let came_at = engine.now();
    clock::at(came_at, receive_sale(&engine, "supabase")).await;
    sqlx::query("alter table conversions add constraint closed check (false)").execute(&engine.db).await.unwrap();
    assert!(work_at(&engine, came_at).await);
    let failed = delivery_of(&engine, "supabase").await;
    assert_eq!((failed.state, failed.attempts), (DeliveryState::Retrying, 1));
    assert!(failed.last_error.as_deref().unwrap_or_default().contains("\"closed\""), "{failed:?}");
    sqlx::query("alter table conversions drop constraint closed").execute(&engine.db).await.unwrap();

    let due_at = failed.next_attempt_at;
    assert!(due_at > came_at);
    assert!(!work_at(&engine, due_at - TimeDelta::microseconds(1)).await, "it waits");
    assert!(work_at(&engine, due_at).await);
    let processed = delivery_of(&engine, "supabase").await;
    assert_eq!((processed.state, processed.attempts, processed.last_error), (DeliveryState::Processed, 2, None));
    assert_eq!(conversions(&engine).await, 1);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_delivery_that_keeps_failing_is_given_up_after_its_tenth_try(db: PgPool) {
    let engine = engine_with_partners(db).await;
    fill_counters(&engine).await;
    let mut now = engine.now();
    clock::at(now, receive_sale(&engine, "supabase")).await;
    for (attempts, seconds) in (1..).zip([1, 4, 16, 64, 256, 1024, 3600, 3600, 3600]) {
        assert!(work_at(&engine, now).await);
        let failed = delivery_of(&engine, "supabase").await;
        assert_eq!((failed.state, failed.attempts), (DeliveryState::Retrying, attempts));
        let (wait, least) = (failed.next_attempt_at - now, TimeDelta::seconds(seconds));
        assert!((least..=least * 5 / 4).contains(&wait), "{wait} after try {attempts}");
        assert!(!work_at(&engine, failed.next_attempt_at - TimeDelta::microseconds(1)).await, "it waits");
        now = failed.next_attempt_at;
    }
    assert!(work_at(&engine, now).await);
    let given_up = delivery_of(&engine, "supabase").await;
    assert_eq!((given_up.state, given_up.attempts), (DeliveryState::Dead, 10));
    assert!(given_up.last_error.as_deref().unwrap_or_default().starts_with("given up after 10 tries: "), "{given_up:?}");
    assert!(!work_at(&engine, now + TimeDelta::days(400)).await, "it is left alone");
    assert_eq!(conversions(&engine).await, 0);
}
