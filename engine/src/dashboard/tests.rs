//! The figures, read from roll-ups that the test writes itself.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use domain::{
    ApiTokenId, OperatorId,
    auth::Role,
    dashboard::{Ratio, growth},
};
use uuid::Uuid;

use super::*;

fn analyst() -> Principal {
    Principal::Operator { id: OperatorId(Uuid::nil()), email: "reader@example.com".to_owned(), role: Role::Analyst }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn metrics_at(engine: &Engine, now: &str, range: Range) -> Metrics {
    crate::clock::at(at(now), metrics(engine, &analyst(), range)).await.unwrap()
}

async fn add_partner(db: &PgPool, id: &str) {
    sqlx::query(
        "insert into partners (partner_id, name, display_name, description, category, homepage_url, api_base_url, auth_type, tier,
                               integration_methods, webhook_events, priors, created_at, updated_at)
         values ($1, $1, initcap($1), '', 'database', '', '', 'api_key', 1, '[]', '[]', '{}', now(), now())",
    )
    .bind(id)
    .execute(db)
    .await
    .unwrap();
}

/// (impressions, clicks, conversions, unattributed)
async fn add_counts(db: &PgPool, hour: &str, partner: &str, shard: i16, counts: (i64, i64, i64, i64)) {
    sqlx::query("insert into hourly_counts (hour, partner_id, shard, impressions, clicks, conversions, conversions_unattributed) values ($1, $2, $3, $4, $5, $6, $7)")
        .bind(at(hour))
        .bind(partner)
        .bind(shard)
        .bind(counts.0)
        .bind(counts.1)
        .bind(counts.2)
        .bind(counts.3)
        .execute(db)
        .await
        .unwrap();
}

async fn add_commission(db: &PgPool, hour: &str, partner: &str, currency: &str, shard: i16, commission_minor: i64) {
    sqlx::query(
        "insert into hourly_money (hour, partner_id, currency, shard, value_minor, commission_minor) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(at(hour))
    .bind(partner)
    .bind(currency)
    .bind(shard)
    .bind(commission_minor * 10)
    .bind(commission_minor)
    .execute(db)
    .await
    .unwrap();
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_empty_installation_has_figures_of_nothing(db: PgPool) {
    let engine = crate::testing::engine(db);
    let metrics = metrics_at(&engine, "2026-11-22T14:35:00Z", Range::Last7Days).await;
    assert_eq!(metrics.currency, Currency::USD);
    assert_eq!((metrics.commission_today, metrics.held), (usd(0), vec![usd(0)]));
    assert_eq!((metrics.average_commission.now, metrics.earnings_per_click.now), (None, None));
    assert_eq!(metrics.series.len(), 7);
    assert!(metrics.recent_conversions.is_empty() && metrics.top_partners.is_empty());
    assert_eq!(metrics.health, Health::default());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn only_those_who_may_read_see_figures(db: PgPool) {
    let engine = crate::testing::engine(db);
    let machine =
        Principal::Machine { id: ApiTokenId(Uuid::nil()), name: "ci".to_owned(), scopes: vec!["sites:write".to_owned()], partner_id: None };
    assert!(matches!(metrics(&engine, &Principal::Anonymous, Range::default()).await, Err(Error::Unauthenticated)));
    assert!(matches!(metrics(&engine, &machine, Range::default()).await, Err(Error::Forbidden(_))));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn shards_add_up_and_the_period_before_stands_apart(db: PgPool) {
    add_partner(&db, "supabase").await;
    add_partner(&db, "figma").await;
    add_counts(&db, "2026-11-22T14:00:00Z", "supabase", 0, (100, 20, 3, 1)).await;
    add_counts(&db, "2026-11-22T14:00:00Z", "supabase", 1, (50, 10, 2, 0)).await;
    add_counts(&db, "2026-11-16T00:00:00Z", "figma", 0, (10, 5, 1, 0)).await;
    // the last hour of the period before, and the first after it, which belongs to neither
    add_counts(&db, "2026-11-15T14:00:00Z", "figma", 0, (7, 3, 0, 0)).await;
    add_counts(&db, "2026-11-15T15:00:00Z", "figma", 0, (1000, 1000, 0, 0)).await;
    add_commission(&db, "2026-11-22T14:00:00Z", "supabase", "USD", 0, 1200).await;
    add_commission(&db, "2026-11-22T14:00:00Z", "supabase", "USD", 1, 301).await;
    add_commission(&db, "2026-11-15T14:00:00Z", "figma", "USD", 0, 1000).await;

    let metrics = metrics_at(&crate::testing::engine(db), "2026-11-22T14:35:00Z", Range::Last7Days).await;
    let Compared { now, before } = metrics.counts;
    assert_eq!((now.impressions, now.clicks, now.conversions, now.conversions_unattributed), (160, 35, 6, 1));
    assert_eq!((before.impressions, before.clicks), (7, 3));
    assert_eq!(now.conversion_rate(), Ratio { part: 5, whole: 35 });
    assert_eq!(now.attribution_rate(), Ratio { part: 5, whole: 6 });
    assert_eq!(metrics.commission, Compared { now: usd(1501), before: usd(1000) });
    assert_eq!(growth(1501, 1000).unwrap().basis_points(), Some(5010));
    assert_eq!(metrics.average_commission.now, Some(usd(300)));
    assert_eq!(metrics.earnings_per_click.now, Some(usd(43)));
    assert_eq!(metrics.commission_today, usd(1501));
    assert_eq!(
        metrics.top_partners.iter().map(|partner| (partner.display_name.as_str(), partner.commission)).collect::<Vec<_>>(),
        [("Supabase", usd(1501)), ("Figma", usd(0))]
    );
    let last = metrics.series.last().unwrap();
    assert_eq!((last.at, last.clicks, last.commission_minor, last.value_minor), (at("2026-11-22T00:00:00Z"), 30, 1501, 15_010));
    assert_eq!(metrics.series.first().unwrap().clicks, 5);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn currencies_are_never_added_up(db: PgPool) {
    add_partner(&db, "supabase").await;
    add_commission(&db, "2026-11-22T13:00:00Z", "supabase", "EUR", 0, 100).await;
    add_commission(&db, "2026-11-22T14:00:00Z", "supabase", "EUR", 0, 200).await;
    // a large number in one hour does not make it the main currency
    add_commission(&db, "2026-11-22T14:00:00Z", "supabase", "JPY", 0, 90_000).await;
    let metrics = metrics_at(&crate::testing::engine(db), "2026-11-22T14:35:00Z", Range::Last24Hours).await;
    let money = |minor, code: &str| Money::new(minor, code.parse().unwrap());
    assert_eq!(metrics.currency.code(), "EUR");
    assert_eq!(metrics.commission.now, money(300, "EUR"));
    assert_eq!(metrics.other_commissions, [money(90_000, "JPY")]);
    assert_eq!(metrics.series.iter().map(|point| point.commission_minor).sum::<i64>(), 300);
    assert_eq!(metrics.average_commission.now, None);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_month_is_compared_with_the_same_part_of_the_month_before(db: PgPool) {
    add_partner(&db, "supabase").await;
    add_commission(&db, "2026-11-01T00:00:00Z", "supabase", "USD", 0, 500).await;
    add_commission(&db, "2026-11-22T14:00:00Z", "supabase", "USD", 0, 70).await;
    add_commission(&db, "2026-10-01T00:00:00Z", "supabase", "USD", 0, 300).await;
    add_commission(&db, "2026-10-22T14:00:00Z", "supabase", "USD", 0, 10).await;
    add_commission(&db, "2026-10-22T15:00:00Z", "supabase", "USD", 0, 9999).await;
    add_commission(&db, "2026-09-30T23:00:00Z", "supabase", "USD", 0, 9999).await;
    let engine = crate::testing::engine(db);
    let november = metrics_at(&engine, "2026-11-22T14:35:00Z", Range::Last30Days).await;
    assert_eq!(november.commission_this_month, Compared { now: usd(570), before: usd(310) });
    assert_eq!(november.commission_today, usd(70));
    // the 31st is compared with a month of 30 days, no part of which counts twice
    let december = metrics_at(&engine, "2026-12-31T23:59:00Z", Range::Last30Days).await;
    assert_eq!(december.commission_this_month, Compared { now: usd(0), before: usd(570) });
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_recent_conversion_shows_its_click_and_its_commission(db: PgPool) {
    add_partner(&db, "supabase").await;
    let [developer, site, terms, rated, open] = [1, 2, 3, 4, 5].map(Uuid::from_u128);
    for (statement, ids) in [
        ("insert into developers values ($1, 'u', 'h', now())", vec![developer]),
        ("insert into sites (site_id, developer_id, name, site_hash, created_at) values ($1, $2, 'My site', 's', '2026-11-22T10:00Z')", vec![site, developer]),
        (
            "insert into partner_terms values ($1, 'supabase', 1, '2026-01-01', 0.15, 0.05, 3, 24, 30, 90, 'USD', now(), 'test', 'last_touch', 0, 0, '[]')",
            vec![terms],
        ),
        (
            "insert into conversions (conversion_id, partner_id, external_event_id, conversion_type, occurred_at, received_at, value_minor,
                                      reversed_minor, currency, source, state)
             values ($1, 'supabase', 'a', 'sale', '2026-11-22T12:00Z', '2026-11-22T12:00Z', 4900, 900, 'USD', 'webhook', 'attributed'),
                    ($2, 'supabase', 'b', 'lead', '2026-11-22T11:00Z', '2026-11-22T12:01Z', 0, 0, 'USD', 'webhook', 'unattributed')",
            vec![rated, open],
        ),
        (
            "insert into attributions values ($1, 1, 1, $2, '2026-11-22T11:00Z', 'code', $2, $3, 'click_token', 1, now())",
            vec![rated, site, developer],
        ),
        (
            "insert into commissions (commission_id, conversion_id, partner_id, partner_terms_id, value_currency, currency, base_minor, multiplier,
                                      final_minor, bonus_minor, receipt, hold_until, created_at, rated_at)
             values ($1, $1, 'supabase', $2, 'USD', 'USD', 600, 1.5, 900, 30, '{}', now(), now(), now())",
            vec![rated, terms],
        ),
    ] {
        let bound = ids.into_iter().fold(sqlx::query(statement), |query, id| query.bind(id));
        bound.execute(&db).await.unwrap();
    }

    let metrics = metrics_at(&crate::testing::engine(db), "2026-11-22T14:35:00Z", Range::Last24Hours).await;
    let [newest, older] = metrics.recent_conversions.as_slice() else { panic!("{:?}", metrics.recent_conversions) };
    assert_eq!((newest.conversion_id.0, newest.state, newest.commission, &newest.site), (open, ConversionState::Unattributed, None, &None));
    assert_eq!((older.conversion_id.0, older.value, older.commission), (rated, usd(4000), Some(usd(930))));
    assert_eq!(older.site, Some((SiteId(site), "My site".to_owned())));
    assert_eq!((older.matched_by.as_deref(), older.commission_state.as_deref()), (Some("click_token"), Some("pending")));
    assert_eq!((metrics.held, metrics.new_sites.now), (vec![usd(930)], 1));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn health_counts_what_waits_and_what_was_given_up(db: PgPool) {
    add_partner(&db, "supabase").await;
    for (number, state, received_at) in [
        (1, "received", "2026-11-22T14:00:00Z"),
        (2, "retrying", "2026-11-22T13:00:00Z"),
        (3, "dead", "2026-11-20T00:00:00Z"),
        (4, "processed", "2026-11-01T00:00:00Z"),
    ] {
        sqlx::query(
            "insert into webhook_deliveries (webhook_delivery_id, partner_id, event_path, message_id, headers, body, received_at, state, next_attempt_at)
             values ($1, 'supabase', 'events', $1::text, '{}', '', $2, $3, $2)",
        )
        .bind(Uuid::from_u128(number))
        .bind(at(received_at))
        .bind(state)
        .execute(&db)
        .await
        .unwrap();
    }
    sqlx::query("insert into ledger_unsealed values ($1)").bind(Uuid::from_u128(9)).execute(&db).await.unwrap();
    let metrics = metrics_at(&crate::testing::engine(db), "2026-11-22T14:35:00Z", Range::Last24Hours).await;
    assert_eq!(
        metrics.health,
        Health { deliveries_waiting: 2, deliveries_dead: 1, oldest_waiting_at: Some(at("2026-11-22T13:00:00Z")), transactions_unsealed: 1 }
    );
}
