//! What-if: right on small cases, the same each time, and without a trace in the database.

use domain::{attribution::Policy, dashboard::Period};

use super::*;
use crate::{Error, attribution::manual::attribute_by_hand};

fn policy(model: Model, window_hours: i64, minimum_seconds: i64) -> Policy {
    Policy { model, window: TimeDelta::hours(window_hours), minimum: TimeDelta::seconds(minimum_seconds) }
}

fn last_days(it: &Fixture) -> Period {
    Period { from: it.now() - TimeDelta::days(3), to: it.now() + TimeDelta::hours(1) }
}

async fn compare(it: &Fixture, policy: Policy) -> WhatIf {
    what_if(&it.engine, &analyst(), Some(&supabase()), last_days(it), &policy).await.unwrap()
}

/// Site number, commission now and then.
fn sites(it: &Fixture, report: &WhatIf) -> Vec<(usize, i64, i64)> {
    let number = |site_id: SiteId| it.sites.iter().position(|site| site.site_id == site_id).unwrap();
    let line = |change: &Change| (number(change.site.as_ref().unwrap().0), change.now.commission_minor, change.then.commission_minor);
    report.sites.iter().map(line).collect()
}

/// One sale of 100 dollars with clicks on both sites, one of 10 dollars with a click 30 hours before, one by hand of 49.
async fn month(db: PgPool) -> Fixture {
    let it = fixture(db).await;
    let (both, old): (SessionId, SessionId) = (it.engine.new_id(), it.engine.new_id());
    it.click(0, it.now() - TimeDelta::hours(5), Some(both)).await;
    it.click(1, it.now() - TimeDelta::hours(1), Some(both)).await;
    it.click(0, it.now() - TimeDelta::hours(30), Some(old)).await;
    it.sale("ord_1", "100.00", by_session(both)).await;
    it.sale("ord_2", "10.00", by_session(old)).await;
    let (id, _) = it.sale("ord_3", "49.00", customer("cus_1")).await;
    attribute_by_hand(&it.engine, &Principal::CommandLine, id, it.alias(1), None, "because").await.unwrap();
    it
}

/// A checksum of each table's rows.
async fn checksums(it: &Fixture) -> Vec<(String, String)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE' order by 1",
    )
    .fetch_all(&it.engine.db)
    .await
    .unwrap();
    let mut sums = Vec::new();
    for table in tables {
        let sum: String = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "select md5(coalesce(string_agg(row::text, '|' order by row::text), '')) from {table} as row"
        )))
        .fetch_one(&it.engine.db)
        .await
        .unwrap();
        sums.push((table, sum));
    }
    sums
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn another_model_moves_money_between_sites_and_none_between_partners(db: PgPool) {
    let it = month(db).await;
    let report = compare(&it, policy(Model::Linear, 24, 0)).await;
    assert_eq!((report.conversions, report.unchanged, report.moved, report.gained, report.lost), (3, 2, 1, 0, 0));
    assert_eq!(sites(&it, &report), [(0, 0, 1000), (1, 2980, 1980)]);
    let partner = &report.partners[0];
    assert_eq!((partner.now, partner.then), (partner.then, partner.now));
    assert_eq!((partner.now.conversions, partner.now.commission_minor), (Decimal::TWO, 2980));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_longer_window_gains_and_a_minimum_or_a_shorter_window_loses_or_moves(db: PgPool) {
    let it = month(db).await;
    let longer = compare(&it, policy(Model::LastTouch, 48, 0)).await;
    assert_eq!((longer.gained, longer.lost, longer.moved, longer.unchanged), (1, 0, 0, 2));
    assert_eq!(sites(&it, &longer), [(0, 0, 200), (1, 2980, 2980)]);
    let minimum = compare(&it, policy(Model::LastTouch, 24, 2 * 3600)).await;
    assert_eq!((minimum.moved, sites(&it, &minimum)), (1, vec![(0, 0, 2000), (1, 2980, 980)]));
    let late = compare(&it, policy(Model::LastTouch, 24, 6 * 3600)).await;
    assert_eq!((late.lost, sites(&it, &late)), (1, vec![(1, 2980, 980)]));
    assert_eq!(late.partners[0].difference_minor(), -2000);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_policy_in_force_changes_nothing(db: PgPool) {
    let it = month(db).await;
    let report = compare(&it, policy(Model::LastTouch, 24, 0)).await;
    assert_eq!((report.unchanged, report.moved, report.gained, report.lost, report.unrated), (3, 0, 0, 0, 0));
    assert!(report.sites.iter().chain(&report.partners).all(|change| change.now == change.then));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_report_is_the_same_byte_for_byte_and_leaves_no_trace(db: PgPool) {
    let it = month(db).await;
    let before = checksums(&it).await;
    let period = last_days(&it);
    let policy = policy(Model::TimeDecay, 48, 60);
    let ask = async || serde_json::to_string(&what_if(&it.engine, &analyst(), None, period, &policy).await.unwrap()).unwrap();
    let first = ask().await;
    for _ in 0..3 {
        assert_eq!(ask().await, first);
    }
    // Time passes; the answer does not depend on when it is asked for.
    it.engine.clock.advance(TimeDelta::days(40));
    assert_eq!(ask().await, first);
    assert_eq!(checksums(&it).await, before);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_successes_of_the_developers_who_would_be_credited_count(db: PgPool) {
    let it = month(db).await;
    let achieved_at = it.now();
    sqlx::query(
        "insert into success_events (success_event_id, partner_id, external_event_id, developer_id, metric_id, occurred_at, received_at,
                                     evidence, verified_at, state, source)
         select gen_random_uuid(), 'supabase', 's_1', developer_id, 'production_deployment', $1, $1, '{}', $1, 'verified', 'webhook'
         from referral_codes where alias = $2",
    )
    .bind(achieved_at)
    .bind(it.alias(0))
    .execute(&it.engine.db)
    .await
    .unwrap();
    let report = compare(&it, policy(Model::FirstTouch, 24, 0)).await;
    // 20.00 × 1.5 + 20.00 × 0.30 go to the first site, whose developer had the success.
    assert_eq!(sites(&it, &report), [(0, 0, 3600), (1, 2980, 980)]);

    // It would not have counted had the partner not been active when it came.
    sqlx::query("insert into partner_activity values ('supabase', $1, false)").bind(achieved_at).execute(&it.engine.db).await.unwrap();
    let report = compare(&it, policy(Model::FirstTouch, 24, 0)).await;
    assert_eq!(sites(&it, &report), [(0, 0, 2000), (1, 2980, 980)]);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn strangers_and_policies_out_of_bounds_are_refused(db: PgPool) {
    let it = fixture(db).await;
    let ask = async |who: &Principal, policy: Policy| what_if(&it.engine, who, None, last_days(&it), &policy).await;
    assert!(matches!(ask(&Principal::Anonymous, policy(Model::Linear, 24, 0)).await, Err(Error::Unauthenticated)));
    for (window, minimum, wrong) in [(0, 0, "window_hours"), (87_601, 0, "window_hours"), (1, 3600, "minimum_seconds")] {
        let refused = ask(&analyst(), policy(Model::Linear, window, minimum)).await;
        assert!(matches!(refused, Err(Error::Invalid { field, .. }) if field == wrong));
    }
    let nothing = ask(&analyst(), policy(Model::Linear, 24, 0)).await.unwrap();
    assert_eq!((nothing.conversions, nothing.partners, nothing.sites), (0, vec![], vec![]));
}
