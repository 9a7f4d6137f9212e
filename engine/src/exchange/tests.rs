//! Rates from the file to the ledger: amounts of two currencies are never added, and what was rated stays.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use domain::{
    auth::Principal,
    exchange::{find_rate, parse_ecb},
};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{Imported, import, latest, rate_on, release, waiting};
use crate::{
    Error, commission,
    conversion::currency,
    inbound::tests::{It, it},
};

/// The last Sunday that is over, at noon.
fn sunday(now: DateTime<Utc>) -> DateTime<Utc> {
    let days = i64::from(now.weekday().num_days_from_sunday());
    let day = now.date_naive() - TimeDelta::days(if days == 0 { 7 } else { days });
    day.and_hms_opt(12, 0, 0).unwrap().and_utc()
}

fn friday(now: DateTime<Utc>) -> NaiveDate {
    sunday(now).date_naive() - TimeDelta::days(2)
}

async fn import_rates(it: &It, text: &str) -> Result<Imported, Error> {
    import(&it.engine, &Principal::CommandLine, text).await
}

async fn sell(it: &It, id: &str, amount: &str, currency: &str) -> Value {
    it.create(None, &it.sale(id, amount, currency, sunday(it.now()))).await.unwrap().answer
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_missing_rate_holds_the_conversion_says_so_and_books_nothing(db: PgPool) {
    let it = it(db).await;
    let day = sunday(it.now()).date_naive();
    let held = sell(&it, "ord_1", "10000", "JPY").await;
    let reason = format!("no exchange rate from JPY to USD of {day} or the days before it");
    assert_eq!((&held["state"], &held["reason"], &held["commission"]), (&json!("held"), &json!(reason), &Value::Null));
    let (list, total) = waiting(&it.engine, &Principal::CommandLine).await.unwrap();
    assert_eq!((list.len(), total, list[0].reason.as_str(), list[0].value.to_string().as_str()), (1, 1, reason.as_str(), "¥10,000"));
    assert_eq!(it.count("ledger_transactions").await, 0);

    // One of the two is not enough, and another day is none.
    import_rates(&it, &format!("Date,USD\n{},1.0823\n", friday(it.now()))).await.unwrap();
    import_rates(&it, &format!("Date,JPY\n{},162.35\n", friday(it.now()) - TimeDelta::days(1))).await.unwrap();
    it.drain().await;
    assert_eq!(it.count("ledger_transactions").await, 0);
    it.assert_books_are_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_import_releases_what_waits_and_a_sunday_takes_fridays_rate(db: PgPool) {
    let it = it(db).await;
    sell(&it, "ord_jpy", "10000", "JPY").await;
    sell(&it, "ord_eur", "50.00", "EUR").await;
    let dollars = sell(&it, "ord_usd", "100.00", "USD").await;
    assert_eq!((&dollars["state"], it.receivable().await), (&json!("attributed"), 2000));

    let friday = friday(it.now());
    let file = format!("Date,USD,JPY,CYP\n{friday},1.0823,162.35,0.58\n{},1.0700,160.00,N/A\n", friday - TimeDelta::days(1));
    let imported = import_rates(&it, &file).await.unwrap();
    assert_eq!((imported.added, imported.kept, imported.released), (4, 0, 2));
    assert_eq!(imported.unknown_currencies, ["CYP"]);
    it.drain().await;
    // ¥10000 × 1.0823 ÷ 162.35 × 0.2 = $13.3329…, €50 × 1.0823 × 0.2 = $10.823, $100 × 0.2
    assert_eq!(it.receivable().await, 1333 + 1082 + 2000);
    assert_eq!(waiting(&it.engine, &Principal::CommandLine).await.unwrap().1, 0);
    let explained = commission::explain(&it.engine, "ord_jpy").await.unwrap();
    assert!(explained.agrees());
    assert_eq!(explained.derived.receipt.exchange_rate.unwrap().day, friday);
    it.assert_books_are_clean().await;

    let audited: Value = sqlx::query_scalar("select detail from audit_entries where action = 'exchange_rates.imported'")
        .fetch_one(&it.engine.db)
        .await
        .unwrap();
    assert_eq!(audited["added"], 4);
    let again = import_rates(&it, &file).await.unwrap();
    assert_eq!((again.added, again.kept, again.released), (0, 4, 0));
    assert_eq!(latest(&it.engine, &Principal::CommandLine).await.unwrap()[1].per_euro, "1.0823".parse().unwrap());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_was_rated_keeps_its_rate_though_a_nearer_day_is_imported_later(db: PgPool) {
    let it = it(db).await;
    let day = sunday(it.now()).date_naive();
    import_rates(&it, &format!("Date,USD\n{},1.1000\n", day - TimeDelta::days(4))).await.unwrap();
    sell(&it, "ord_1", "100.00", "EUR").await;
    assert_eq!(it.receivable().await, 2200);
    import_rates(&it, &format!("Date,USD\n{},1.5000\n", day - TimeDelta::days(2))).await.unwrap();
    release(&it.engine).await.unwrap();
    let refund = json!({ "partner": "supabase", "external_event_id": "re_1", "conversion_id": "ord_1", "occurred_at": it.now().to_rfc3339(), "amount": "50.00", "currency": "EUR" });
    it.reverse(None, &refund).await.unwrap();
    it.drain().await;
    assert_eq!(it.receivable().await, 1100);
    // A sale of the same day that comes later takes the nearer one.
    sell(&it, "ord_2", "100.00", "EUR").await;
    assert_eq!(it.receivable().await, 1100 + 3000);
    it.assert_books_are_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_rate_that_changed_and_a_file_that_is_wrong_are_refused_whole(db: PgPool) {
    let it = it(db).await;
    import_rates(&it, "Date,USD,JPY\n2026-11-20,1.0823,162.35\n").await.unwrap();
    let refused = async |text: &str| match import_rates(&it, text).await {
        Err(Error::Invalid { field, reason }) if field == "file" => reason,
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(
        refused("Date,USD,JPY\n2026-11-19,1.0700,160.00\n2026-11-20,1.0823,162.36\n").await,
        "JPY of 2026-11-20 is 162.36 in the file and was imported as 162.35 before: a rate that is in use never changes"
    );
    assert!(refused("Date,USD\n2026-11-20,abc\n").await.contains("`abc`"));
    assert!(refused("Day,USD\n2026-11-20,1\n").await.contains("`Day`"));
    assert!(refused("Date,EUR\n2026-11-20,1\n").await.contains("EUR"));
    assert!(!refused("").await.is_empty());
    assert_eq!(it.count("exchange_rates").await, 2, "nothing of a refused file stays");
    let who = Principal::Anonymous;
    assert!(matches!(import(&it.engine, &who, "Date,USD\n2026-11-20,1\n").await, Err(Error::Unauthenticated)));
    assert!(matches!(latest(&it.engine, &who).await, Err(Error::Unauthenticated)));
    assert!(matches!(waiting(&it.engine, &who).await, Err(Error::Unauthenticated)));
}

/// A file of 60 days in which each currency has a rate on about every fourth, so that there are gaps of all lengths.
fn rates_with_gaps(first: NaiveDate) -> String {
    let mut random = 1_u64;
    let mut text = "Date,USD,JPY,KWD\n".to_owned();
    for (number, day) in first.iter_days().take(60).enumerate() {
        text += &day.to_string();
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text += &if random >> 62 == 0 { format!(",{}.{:02}", 1 + random % 7, number) } else { ",N/A".to_owned() };
        }
        text += "\n";
    }
    text
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_database_finds_the_rate_that_the_rule_names(db: PgPool) {
    let it = it(db).await;
    let first: NaiveDate = "2026-01-01".parse().unwrap();
    let text = rates_with_gaps(first);
    import_rates(&it, &text).await.unwrap();
    let rates = parse_ecb(&text).unwrap().rates;
    let currencies = ["EUR", "USD", "JPY", "KWD"].map(|code| currency(code).unwrap());
    let mut connection = it.engine.db.acquire().await.unwrap();
    let mut found = 0;
    for day in first.iter_days().take(70) {
        for (from, to) in currencies.iter().flat_map(|from| currencies.iter().map(move |to| (*from, *to))).filter(|(from, to)| from != to) {
            let rate = rate_on(&mut connection, from, to, day, it.now()).await.unwrap();
            assert_eq!(rate, find_rate(&rates, from, to, day), "{from} to {to} on {day}");
            found += usize::from(rate.is_some());
        }
    }
    assert!((100..800).contains(&found), "{found} of 840: neither all nor none");
}
