//! Attribution by hand: it earns and stays, and what may not be repaired is refused.

use domain::{conversion::NewReversal, dashboard::hour_of};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::*;
use crate::{
    Error,
    attribution::manual::{ACTION, attribute_by_hand, candidates},
    reversal,
};

const OPERATOR: Principal = Principal::CommandLine;

/// A sale that names a customer of whom nothing is known.
async fn unclaimed(it: &Fixture, id: &str) -> ConversionId {
    let (conversion_id, state) = it.sale(id, "49.00", customer(id)).await;
    assert_eq!(state, ConversionState::Unattributed);
    conversion_id
}

async fn by_hand(it: &Fixture, id: ConversionId, code: &str) -> Result<ConversionState> {
    attribute_by_hand(&it.engine, &OPERATOR, id, code, None, "the customer wrote so").await
}

fn field(result: Result<ConversionState>) -> String {
    match result.unwrap_err() {
        Error::Invalid { field, .. } => field,
        other => panic!("{other}"),
    }
}

fn conflict(result: Result<ConversionState>) -> String {
    match result.unwrap_err() {
        Error::Conflict(reason) => reason,
        other => panic!("{other}"),
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn it_earns_is_counted_and_stays_whatever_becomes_known_later(db: PgPool) {
    let it = fixture(db).await;
    let id = unclaimed(&it, "cus_1").await;
    let click_id = it.click(0, it.now() - TimeDelta::hours(30), None).await;
    let code = it.sites[0].code.to_string();
    let state = attribute_by_hand(&it.engine, &OPERATOR, id, &code, Some(click_id), " the customer wrote so ").await.unwrap();
    assert_eq!((state, it.credits(id).await), (ConversionState::Attributed, vec![(it.sites[0].site_id, "1".to_owned(), 980)]));
    assert_eq!(it.receivable().await, 980);

    // A session of the customer's becomes known, with a click on the other site.
    let session: SessionId = it.engine.new_id();
    it.click(1, it.now() - TimeDelta::hours(2), Some(session)).await;
    let lead = Claim { user_identifier: Some("cus_1".to_owned()), ..by_session(session) };
    it.convert("lead_1", ConversionType::Lead, it.now() - TimeDelta::hours(1), "0.00", lead).await;
    assert!(recheck_one(&it.engine).await.unwrap());
    assert_eq!(it.credits(id).await, [(it.sites[0].site_id, "1".to_owned(), 980)]);
    assert!(it.is_clean().await);

    let unattributed: i64 =
        sqlx::query_scalar("select sum(conversions_unattributed)::bigint from hourly_counts").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!(unattributed, 0);
}

/// Conversions, those without a click, those that were rated and the commission, of each hour that counted any.
async fn hours(db: &PgPool) -> Vec<(DateTime<Utc>, i64, i64, i64, i64)> {
    sqlx::query_as(
        "select hour, sum(conversions)::bigint, sum(conversions_unattributed)::bigint, sum(rated)::bigint, sum(commission_minor)::bigint
         from (
             select hour, conversions, conversions_unattributed, 0 as rated, 0 as commission_minor from hourly_counts
             union all
             select hour, 0, 0, rated, commission_minor from hourly_money
         ) as counted
         group by hour having sum(conversions) <> 0 or sum(conversions_unattributed) <> 0 or sum(rated) <> 0 order by hour",
    )
    .fetch_all(db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_is_attributed_and_taken_back_later_counts_in_the_hour_in_which_it_happened(db: PgPool) {
    let it = fixture(db).await;
    let yesterday = it.now() - TimeDelta::hours(30);
    let hour = hour_of(yesterday);
    let (id, _) = it.convert("cus_1", ConversionType::Sale, yesterday, "49.00", customer("cus_1")).await;
    assert_eq!(hours(&it.engine.db).await, [(hour, 1, 1, 0, 0)]);

    it.engine.clock.advance(TimeDelta::days(1));
    by_hand(&it, id, it.alias(0)).await.unwrap();
    assert_eq!(hours(&it.engine.db).await, [(hour, 1, 0, 1, 980)]);

    let refund = NewReversal {
        partner_id: supabase(),
        external_event_id: "refund_1".to_owned(),
        conversion_external_event_id: "cus_1".to_owned(),
        amount: None,
        reason: None,
        occurred_at: it.now(),
    };
    let mut work = Work::begin(&it.engine).await.unwrap();
    reversal::record(&mut work, &refund, None).await.unwrap();
    work.commit().await.unwrap();
    assert_eq!(hours(&it.engine.db).await, [(hour, 1, 0, 1, 0)]);
}

/// As the version before counted: in the hour of the booking.
#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_was_counted_in_other_hours_is_moved_by_the_migration(db: PgPool) {
    const MIGRATION: &str = include_str!("../../../../migrations/20261125030010_count_conversions_when_they_happened.sql");
    let it = fixture(db).await;
    let (yesterday, db) = (it.now() - TimeDelta::hours(30), &it.engine.db);
    for sale in ["cus_1", "cus_2"] {
        let (id, _) = it.convert(sale, ConversionType::Sale, yesterday, "49.00", customer(sale)).await;
        if sale == "cus_1" {
            by_hand(&it, id, it.alias(0)).await.unwrap();
        }
    }
    let right = hours(db).await;
    assert_eq!(right, [(hour_of(yesterday), 2, 1, 1, 980)]);
    for table in ["hourly_counts", "hourly_money"] {
        sqlx::query(AssertSqlSafe(format!("update {table} set hour = hour + interval '1 day'"))).execute(db).await.unwrap();
    }
    sqlx::query("update hourly_money set rated = 0").execute(db).await.unwrap();
    assert_ne!(hours(db).await, right);
    sqlx::raw_sql(MIGRATION).execute(db).await.unwrap();
    assert_eq!(hours(db).await, right);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_audit_log_keeps_what_a_rebuild_needs(db: PgPool) {
    let it = fixture(db).await;
    let id = unclaimed(&it, "cus_1").await;
    by_hand(&it, id, it.alias(1)).await.unwrap();
    let (subject, detail): (String, Value) =
        sqlx::query_as("select subject, detail from audit_entries where action = $1").bind(ACTION).fetch_one(&it.engine.db).await.unwrap();
    assert_eq!(subject, "conversion supabase/cus_1");
    let expected = serde_json::json!({
        "partner": "supabase", "external_event_id": "cus_1", "referral_code": it.sites[1].code.to_string(), "click_id": null,
        "reason": "the customer wrote so", "before": "unattributed",
    });
    assert_eq!(detail, expected);
    let found = conversion::find(&it.engine, &OPERATOR, id).await.unwrap();
    assert_eq!(found.by_hand.unwrap().reason, "the customer wrote so");
    assert_eq!((found.touches[0].click_id, found.touches[0].commission_minor), (None, 980));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_claim_that_was_forged_or_expired_may_be_repaired_by_hand(db: PgPool) {
    let it = fixture(db).await;
    let mut forged = it.token(0, it.now());
    forged.replace_range(40..41, if &forged[40..41] == "A" { "B" } else { "A" });
    let (forged, state) = it.sale("ord_1", "49.00", by_token(forged)).await;
    assert_eq!(state, ConversionState::Refused);
    let (expired, state) = it.sale("ord_2", "49.00", by_token(it.token(0, it.now() - TimeDelta::days(400)))).await;
    assert_eq!(state, ConversionState::Expired);
    for id in [forged, expired] {
        assert_eq!(by_hand(&it, id, it.alias(0)).await.unwrap(), ConversionState::Attributed);
    }
    assert_eq!(it.receivable().await, 2 * 980);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_the_terms_or_an_inactive_partner_refuse_stays_refused(db: PgPool) {
    let it = fixture(db).await;
    it.set_policy(Model::LastTouch, 24, 10).await;
    let (soon, _) = it.sale("ord_1", "49.00", by_token(it.token(0, it.now()))).await;
    assert_eq!(conflict(by_hand(&it, soon, it.alias(0)).await), "it came sooner after its click than the 10 s that the terms ask for");
    sqlx::query("insert into partner_activity values ('supabase', $1, false)").bind(it.now()).execute(&it.engine.db).await.unwrap();
    let (late, state) = it.sale("ord_2", "49.00", customer("cus_1")).await;
    assert_eq!(state, ConversionState::Refused);
    let reason = conflict(by_hand(&it, late, it.alias(0)).await);
    assert!(reason.ends_with("a deactivated partner earns nothing new"), "{reason}");
    assert_eq!(it.receivable().await, 0);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_second_decision_and_one_about_an_attributed_conversion_are_refused(db: PgPool) {
    let it = fixture(db).await;
    let id = unclaimed(&it, "cus_1").await;
    by_hand(&it, id, it.alias(0)).await.unwrap();
    assert_eq!(conflict(by_hand(&it, id, it.alias(1)).await), "it is attributed already");
    let (found, _) = it.sale("ord_2", "49.00", by_token(it.token(0, it.now() - TimeDelta::hours(1)))).await;
    assert_eq!(conflict(by_hand(&it, found, it.alias(1)).await), "it is attributed already");
    assert_eq!(it.receivable().await, 2 * 980);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn of_many_decisions_at_once_one_counts(db: PgPool) {
    let it = fixture(db).await;
    let id = unclaimed(&it, "cus_1").await;
    let code = |number: usize| it.alias(number % 2);
    let results = futures::future::join_all((0..8).map(|number| by_hand(&it, id, code(number)))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!((it.credits(id).await.len(), it.receivable().await), (1, 980));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn wrong_input_is_named_and_changes_nothing(db: PgPool) {
    let it = fixture(db).await;
    let id = unclaimed(&it, "cus_1").await;
    let code = it.sites[0].code.to_string();
    let other_link = it.click(1, it.now() - TimeDelta::hours(1), None).await;
    let after = it.click(0, it.now() + TimeDelta::hours(1), None).await;
    let with = |click_id: ClickId| attribute_by_hand(&it.engine, &OPERATOR, id, &code, Some(click_id), "because");
    assert_eq!(field(with(other_link).await), "click_id");
    assert_eq!(field(with(after).await), "click_id");
    assert_eq!(field(with(ClickId(Uuid::from_u128(7))).await), "click_id");
    assert_eq!(field(by_hand(&it, id, "unknown").await), "referral_code");
    let moved = sqlx::query("update referral_codes set partner_id = 'figma' where alias = $1").bind(it.alias(1));
    assert_eq!(moved.execute(&it.engine.db).await.unwrap().rows_affected(), 1);
    assert_eq!(field(by_hand(&it, id, it.alias(1)).await), "referral_code");
    for reason in ["", " \n", &"x".repeat(1_001)] {
        assert_eq!(field(attribute_by_hand(&it.engine, &OPERATOR, id, &code, None, reason).await), "reason");
    }
    let missing = attribute_by_hand(&it.engine, &OPERATOR, ConversionId(Uuid::from_u128(7)), &code, None, "because").await;
    assert!(matches!(missing, Err(Error::NotFound { .. })));
    let forbidden = attribute_by_hand(&it.engine, &analyst(), id, &code, None, "because").await;
    assert!(matches!(forbidden, Err(Error::Forbidden(_))));
    assert_eq!((it.state(id).await.0, it.receivable().await), (ConversionState::Unattributed, 0));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn clicks_of_the_conversion_s_own_session_are_offered_first(db: PgPool) {
    let it = fixture(db).await;
    let session: SessionId = it.engine.new_id();
    let own = it.click(1, it.now() - TimeDelta::hours(50), Some(session)).await;
    let newest = it.click(0, it.now() - TimeDelta::hours(1), None).await;
    it.click(0, it.now() - TimeDelta::hours(2), None).await;
    let (id, state) = it.sale("ord_1", "49.00", by_session(session)).await;
    assert_eq!(state, ConversionState::Unattributed);
    let offered = candidates(&it.engine, &analyst(), id).await.unwrap();
    let words: Vec<_> = offered.iter().map(|offered| (offered.click_id, offered.same_session)).collect();
    assert_eq!(words, [(own, true), (newest, false)], "the last of each link");
}
