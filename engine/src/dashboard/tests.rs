//! The figures, read from roll-ups that the test writes itself.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use domain::{ApiTokenId, Money, OperatorId, SiteId, auth::Role, conversion::ConversionState, dashboard::Ratio};
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

/// Of two conversions.
async fn add_commission(db: &PgPool, hour: &str, partner: &str, currency: &str, shard: i16, commission_minor: i64) {
    sqlx::query("insert into hourly_money (hour, partner_id, currency, shard, rated, commission_minor) values ($1, $2, $3, $4, 2, $5)")
        .bind(at(hour))
        .bind(partner)
        .bind(currency)
        .bind(shard)
        .bind(commission_minor)
        .execute(db)
        .await
        .unwrap();
}

async fn add_terms(db: &PgPool, partner: &str, version: i32, from: &str, currency: &str) {
    sqlx::query(
        "insert into partner_terms (partner_terms_id, partner_id, version, effective_from, commission_rate, success_bonus_rate, multiplier_cap,
                                    attribution_window_hours, hold_period_days, adjustment_window_days, payout_currency, created_at, created_by,
                                    success_metrics)
         values (gen_random_uuid(), $1, $2, $3, 0.15, 0.05, 3, 24, 30, 90, $4, now(), 'test', '[]')",
    )
    .bind(partner)
    .bind(version)
    .bind(at(from))
    .bind(currency)
    .execute(db)
    .await
    .unwrap();
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_empty_installation_has_figures_of_nothing(db: PgPool) {
    let engine = crate::testing::engine(db);
    let metrics = metrics_at(&engine, "2026-11-22T14:35:00Z", Range::Last7Days).await;
    assert_eq!(metrics.currency, Currency::USD);
    assert_eq!((metrics.commission_today, metrics.held, metrics.paid), (vec![usd(0)], vec![usd(0)], vec![usd(0)]));
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
    for partner in ["supabase", "figma"] {
        add_partner(&db, partner).await;
        add_terms(&db, partner, 1, "2026-01-01T00:00:00Z", "USD").await;
    }
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
    assert_eq!(metrics.average_commission.now, Some(usd(375)));
    assert_eq!(metrics.earnings_per_click.now, Some(usd(43)));
    assert_eq!(metrics.commission_today, [usd(1501)]);
    assert_eq!(
        metrics.top_partners.iter().map(|partner| (partner.display_name.as_str(), partner.commissions.clone())).collect::<Vec<_>>(),
        [("Supabase", vec![usd(1501)]), ("Figma", vec![])]
    );
    let last = metrics.series.last().unwrap();
    assert_eq!((last.at, last.clicks, last.commission_minor), (at("2026-11-22T00:00:00Z"), 30, 1501));
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
    assert_eq!(metrics.average_commission.now, Some(money(75, "EUR")));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn hours_whose_bookings_cancel_out_choose_no_currency(db: PgPool) {
    add_partner(&db, "supabase").await;
    for hour in ["2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z"] {
        add_commission(&db, hour, "supabase", "EUR", 0, 100).await;
        add_commission(&db, hour, "supabase", "EUR", -1, -100).await;
    }
    add_commission(&db, "2026-11-22T13:00:00Z", "supabase", "JPY", 0, 100).await;
    let metrics = metrics_at(&crate::testing::engine(db), "2026-11-22T14:35:00Z", Range::Last7Days).await;
    assert_eq!(metrics.currency.code(), "JPY");
    assert_eq!(metrics.commission_today[0].currency.code(), "JPY");
}

/// A partner that pays in dollars beside one that pays in euros, with one sale in yen that was paid in dollars.
#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn each_currency_has_its_own_clicks_and_conversions(db: PgPool) {
    for (partner, currency) in [("supabase", "USD"), ("figma", "EUR")] {
        add_partner(&db, partner).await;
        add_terms(&db, partner, 1, "2026-01-01T00:00:00Z", currency).await;
    }
    for hour in ["2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z", "2026-11-22T14:00:00Z"] {
        add_counts(&db, hour, "supabase", 0, (0, 20, 2, 0)).await;
        add_commission(&db, hour, "supabase", "USD", 0, 1000).await;
    }
    add_counts(&db, "2026-11-22T14:00:00Z", "figma", 0, (0, 940, 8, 1)).await;
    add_commission(&db, "2026-11-22T14:00:00Z", "figma", "EUR", 0, 90_000).await;

    let metrics = metrics_at(&crate::testing::engine(db), "2026-11-22T14:35:00Z", Range::Last7Days).await;
    assert_eq!((metrics.commission.now, metrics.other_commissions), (usd(3000), vec![eur(90_000)]));
    assert_eq!(metrics.average_commission.now, Some(usd(500)), "of six conversions, not of all fourteen");
    assert_eq!(metrics.earnings_per_click.now, Some(usd(50)), "of the sixty clicks that could earn dollars");
    // Nobody can say which amount is larger, so that conversions decide.
    let top: Vec<_> = metrics.top_partners.iter().map(|partner| (partner.partner_id.as_str(), partner.commissions.clone())).collect();
    assert_eq!(top, [("figma", vec![eur(90_000)]), ("supabase", vec![usd(3000)])]);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_partner_s_clicks_count_for_the_currency_that_it_paid_at_their_time(db: PgPool) {
    add_partner(&db, "supabase").await;
    add_terms(&db, "supabase", 1, "2026-11-20T10:30:00Z", "EUR").await;
    add_terms(&db, "supabase", 2, "2026-11-22T00:00:00Z", "USD").await;
    for (hour, clicks) in [("2026-11-20T10:00:00Z", 7), ("2026-11-21T23:00:00Z", 5), ("2026-11-22T00:00:00Z", 10)] {
        add_counts(&db, hour, "supabase", 0, (0, clicks, 0, 0)).await;
    }
    add_commission(&db, "2026-11-22T00:00:00Z", "supabase", "USD", 0, 100).await;
    let metrics = metrics_at(&crate::testing::engine(db), "2026-11-22T14:35:00Z", Range::Last7Days).await;
    assert_eq!((metrics.earnings_per_click.now, metrics.counts.now.clicks), (Some(usd(10)), 22));
    let [supabase] = metrics.top_partners.as_slice() else { panic!("{:?}", metrics.top_partners) };
    assert_eq!((supabase.counts.clicks, supabase.commissions.clone()), (22, vec![usd(100)]));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn today_and_this_month_do_not_change_with_the_range_and_leave_no_currency_out(db: PgPool) {
    add_partner(&db, "supabase").await;
    for (hour, currency, minor) in [
        ("2026-11-02T09:00:00Z", "EUR", 100),
        ("2026-11-03T09:00:00Z", "EUR", 200),
        ("2026-10-03T09:00:00Z", "EUR", 50),
        ("2026-11-22T13:00:00Z", "USD", 7000),
    ] {
        add_commission(&db, hour, "supabase", currency, 0, minor).await;
    }
    let engine = crate::testing::engine(db);
    for (range, main) in [(Range::Last24Hours, "USD"), (Range::Last30Days, "EUR")] {
        let metrics = metrics_at(&engine, "2026-11-22T14:35:00Z", range).await;
        assert_eq!(metrics.currency.code(), main);
        assert_eq!(metrics.commission_today, [eur(0), usd(7000)]);
        assert_eq!(metrics.commission_this_month, Compared { now: eur(300), before: eur(50) });
        assert_eq!(metrics.other_commissions_this_month, [usd(7000)]);
    }
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
    assert_eq!(november.commission_today, [usd(70)]);
    // the 31st is compared with a month of 30 days, no part of which counts twice
    let december = metrics_at(&engine, "2026-12-31T23:59:00Z", Range::Last30Days).await;
    assert_eq!(december.commission_this_month, Compared { now: usd(0), before: usd(570) });
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_recent_conversion_shows_its_click_and_its_commission(db: PgPool) {
    add_partner(&db, "supabase").await;
    let [developer, site, terms, rated, open] = [1, 2, 3, 4, 5].map(Uuid::from_u128);
    for (statement, ids) in [
        ("insert into developers values ($1, 'u', 'h', '2026-11-22T10:00Z')", vec![developer]),
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

    let engine = crate::testing::engine(db);
    let metrics = metrics_at(&engine, "2026-11-22T14:35:00Z", Range::Last24Hours).await;
    let [newest, older] = metrics.recent_conversions.as_slice() else { panic!("{:?}", metrics.recent_conversions) };
    assert_eq!((newest.conversion_id.0, newest.state, newest.commission, &newest.site), (open, ConversionState::Unattributed, None, &None));
    assert_eq!((older.conversion_id.0, older.value, older.commission), (rated, usd(4000), Some(usd(930))));
    assert_eq!(older.site, Some((SiteId(site), "My site".to_owned())));
    assert_eq!((older.matched_by.as_deref(), older.commission_state.as_deref()), (Some("click_token"), Some("pending")));
    assert_eq!((metrics.new_developers.now, metrics.new_sites.now), (1, 1));
    assert_eq!((metrics.held, metrics.approved, metrics.paid), (vec![usd(930)], vec![usd(0)], vec![usd(0)]));

    for (state, approved) in [("approved", 930), ("invoiced", 930), ("paid", 0)] {
        sqlx::query("update commissions set state = $1, approved_at = now()").bind(state).execute(&engine.db).await.unwrap();
        let metrics = metrics_at(&engine, "2026-11-22T14:35:00Z", Range::Last24Hours).await;
        assert_eq!((metrics.held, metrics.approved), (vec![usd(0)], vec![usd(approved)]), "{state}");
    }
    sqlx::query(
        "insert into payouts (payout_id, reference, partner_id, currency, amount_minor, state, created_at, created_by, paid_at)
         values (gen_random_uuid(), 'P-1', 'supabase', 'EUR', 930, 'paid', now(), 'test', now()),
                (gen_random_uuid(), 'P-2', 'supabase', 'USD', 4, 'open', now(), 'test', null)",
    )
    .execute(&engine.db)
    .await
    .unwrap();
    assert_eq!(metrics_at(&engine, "2026-11-22T14:35:00Z", Range::Last24Hours).await.paid, [usd(0), eur(930)]);
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
