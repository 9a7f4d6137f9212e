//! What cost others money before us, one test per failure.
//!
//! Some failures are shown elsewhere. In `money_tests`: a partial refund takes its share and does not void the sale; one message
//! replayed, or many of one sale, count once; no refund takes more than is left; forged, expired and other partners' click ids
//! earn nothing; a deactivated partner keeps what it earned. In `money_tests::settlement`: a refund after the payout is a negative
//! balance that carries forward. In `order_tests`: any order and any repetition of events. In the server's
//! `tests/concurrency.rs`: the same events by many senders at two instances at once.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{
    SessionId, SuccessEventId,
    auth::Principal,
    click::{ClickToken, partner_digest},
    conversion::Source,
    live::LiveEvent,
    partner::PartnerEdit,
    referral_code::code_digest,
    webhook::{Event, parse_event},
};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::{
    Engine, Error, Result, attribution, click, commission, conversion, exchange, ledger, new_id, partner, reversal,
    secret::Keys,
    simulation::{self, NewSite, PlantedLink, plant},
    success, testing, webhook,
    work::Work,
};

const SUPABASE: &str = "supabase";
const RAILWAY: &str = "railway";

/// An installation with the partners of the repository, and one developer's site with links to two of them.
struct Fixture {
    engine: Engine,
    links: Vec<PlantedLink>,
}

async fn fixture(db: PgPool) -> Fixture {
    fixture_over(testing::engine(db)).await
}

async fn fixture_over(engine: Engine) -> Fixture {
    partner::import_files(&engine, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../partners")).await.unwrap();
    let created_at = engine.now();
    let site = NewSite { user_ref: "user-1".to_owned(), name: "a site".to_owned(), url: None, analysis: None, created_at };
    let links = plant(&engine, &[site], &[SUPABASE.parse().unwrap(), RAILWAY.parse().unwrap()]).await.unwrap();
    Fixture { engine, links }
}

impl Fixture {
    fn now(&self) -> DateTime<Utc> {
        self.engine.now()
    }

    fn link(&self, partner: &str) -> &PlantedLink {
        self.links.iter().find(|link| link.partner_id.as_str() == partner).unwrap()
    }

    /// A sale that happens now, an hour after its click.
    fn sale(&self, partner: &str, id: &str, amount: &str, currency: &str) -> Value {
        let link = self.link(partner);
        let token = ClickToken {
            click_id: new_id(self.now() - TimeDelta::hours(1)),
            session_id: None,
            code_digest: code_digest(&link.referral_code),
            partner_digest: partner_digest(&link.partner_id),
        };
        let click_id = token.sign(&self.engine.keys.click_mac);
        json!({ "type": "conversion.created", "data": {
            "conversion_id": id, "occurred_at": self.now(), "amount": amount, "currency": currency, "click_id": click_id,
        } })
    }

    fn refund(&self, id: &str, sale: &str, amount: &str, currency: &str) -> Value {
        json!({ "type": "conversion.reversed", "data": {
            "reversal_id": id, "conversion_id": sale, "occurred_at": self.now(), "amount": amount, "currency": currency,
        } })
    }

    fn success(&self, partner: &str, id: &str, metric: &str) -> Value {
        json!({ "type": "success.achieved", "data": {
            "success_id": id, "metric": metric, "occurred_at": self.now(), "referral_code": self.link(partner).referral_code,
            "evidence": {
                "project_id": format!("project of {id}"), "deployment_url": "https://example.com", "deployment_date": "2026-11-22",
                "domain": "example.com", "setup_date": "2026-11-22",
            },
        } })
    }

    async fn send(&self, partner: &str, path: &str, message_id: &str, event: &Value) {
        webhook::enqueue(&self.engine, &partner.parse().unwrap(), path, message_id, event).await.unwrap();
    }

    /// Works until there is nothing left to do.
    async fn drain(&self) {
        while webhook::work_one(&self.engine).await.unwrap() || attribution::recheck_one(&self.engine).await.unwrap() {}
    }

    async fn happen(&self, partner: &str, message_id: &str, event: &Value) {
        self.send(partner, "events", message_id, event).await;
        self.drain().await;
    }

    /// A worker that takes one delivery, beside the test.
    fn worker(&self) -> JoinHandle<Result<bool>> {
        let engine = self.engine.clone();
        tokio::spawn(async move { webhook::work_one(&engine).await })
    }

    /// Waits until a connection waits for a lock, and returns its process at the database.
    async fn until_somebody_waits(&self) -> i32 {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            let waiting: Option<i32> =
                sqlx::query_scalar("select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
                    .fetch_optional(&self.engine.db)
                    .await
                    .unwrap();
            if let Some(pid) = waiting {
                return pid;
            }
        }
        panic!("nobody waits for a lock");
    }

    fn parse(&self, partner: &str, event: &Value) -> Event {
        parse_event(&partner.parse().unwrap(), "msg", event.to_string().as_bytes()).unwrap()
    }

    /// Records a sale as a worker does, and stops before the commit.
    async fn record(&self, partner: &str, event: &Value) -> Work<'_> {
        let mut work = Work::begin(&self.engine).await.unwrap();
        let Event::ConversionCreated(new) = self.parse(partner, event) else { panic!("{event} is no sale") };
        conversion::record(&mut work, &new, Source::Webhook, None).await.unwrap();
        work
    }

    async fn set_active(&self, partner: &str, active: bool) {
        let edit = PartnerEdit { active: Some(active), ..PartnerEdit::default() };
        partner::update(&self.engine, &Principal::CommandLine, &partner.parse().unwrap(), edit).await.unwrap();
        self.engine.clock.advance(TimeDelta::minutes(1));
    }

    async fn import_rate(&self, day: NaiveDate, dollars_per_euro: &str) -> exchange::Imported {
        let imported =
            exchange::import(&self.engine, &Principal::CommandLine, &format!("Date,USD\n{day},{dollars_per_euro}\n")).await.unwrap();
        self.drain().await;
        imported
    }

    async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.engine.db).await.unwrap()
    }

    /// What the partner owes by the ledger, in minor units: for all, or for one sale.
    async fn owed(&self, partner: &str, sale: Option<&str>) -> i64 {
        sqlx::query_scalar(
            "select coalesce(sum(amount_minor), 0)::bigint
             from ledger_entries join ledger_transactions t using (ledger_transaction_id) join conversions c using (conversion_id)
             where account = 'partner_receivable' and t.partner_id = $1 and ($2::text is null or external_event_id = $2)",
        )
        .bind(partner)
        .bind(sale)
        .fetch_one(&self.engine.db)
        .await
        .unwrap()
    }

    async fn state(&self, sale: &str) -> String {
        sqlx::query_scalar("select state from conversions where external_event_id = $1")
            .bind(sale)
            .fetch_one(&self.engine.db)
            .await
            .unwrap()
    }

    /// Conversions and commissions by the statistics, and the ledger's transactions.
    async fn counted(&self) -> (i64, i64, i64) {
        (
            self.number("select coalesce(sum(conversions), 0)::bigint from hourly_counts").await,
            self.number("select coalesce(sum(commission_minor), 0)::bigint from hourly_money").await,
            self.number("select count(*) from ledger_transactions").await,
        )
    }

    async fn assert_clean(&self) {
        assert_eq!(ledger::verify(&self.engine).await.unwrap().findings, []);
        assert_eq!(self.number("select count(*) from webhook_deliveries where state in ('dead', 'retrying')").await, 0);
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_same_invoice_twice_at_once_by_two_ways_counts_once(db: PgPool) {
    let it = fixture(db).await;
    let sale = it.sale(SUPABASE, "inv_1", "49.00", "USD");
    let first = it.record(SUPABASE, &sale).await;
    it.send(SUPABASE, "postback", "msg_2", &sale).await;
    let second = it.worker();
    it.until_somebody_waits().await;
    first.commit().await.unwrap();
    assert!(second.await.unwrap().unwrap());
    assert_eq!((it.number("select count(*) from conversions").await, it.owed(SUPABASE, None).await), (1, 980));
    assert_eq!(it.counted().await, (1, 980, 1));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_second_of_two_equal_invoices_counts_if_the_first_comes_to_nothing(db: PgPool) {
    let it = fixture(db).await;
    let sale = it.sale(SUPABASE, "inv_1", "49.00", "USD");
    let first = it.record(SUPABASE, &sale).await;
    it.send(SUPABASE, "events", "msg_2", &sale).await;
    let second = it.worker();
    it.until_somebody_waits().await;
    drop(first);
    assert!(second.await.unwrap().unwrap());
    assert_eq!((it.counted().await, it.owed(SUPABASE, None).await), ((1, 980, 1), 980));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_refund_and_a_success_that_come_while_their_sale_is_being_booked_do_not_miss_it(db: PgPool) {
    let it = fixture(db).await;
    for (id, event, owed) in
        [("inv_1", it.refund("r_1", "inv_1", "25.00", "USD"), 1500), ("inv_2", it.success(SUPABASE, "s_1", "production_deployment"), 3600)]
    {
        let first = it.record(SUPABASE, &it.sale(SUPABASE, id, "100.00", "USD")).await;
        it.send(SUPABASE, "events", id, &event).await;
        let second = it.worker();
        it.until_somebody_waits().await;
        first.commit().await.unwrap();
        assert!(second.await.unwrap().unwrap());
        assert_eq!(it.owed(SUPABASE, Some(id)).await, owed, "{id}");
    }
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_missing_exchange_rate_never_mixes_currencies_and_the_first_rate_stays(db: PgPool) {
    let it = fixture(db).await;
    let day = |days_ago| (it.now() - TimeDelta::days(days_ago)).date_naive();
    it.happen(SUPABASE, "msg_1", &it.sale(SUPABASE, "inv_1", "100.00", "EUR")).await;
    it.happen(SUPABASE, "msg_2", &it.refund("r_1", "inv_1", "10.00", "EUR")).await;
    it.happen(SUPABASE, "msg_3", &it.sale(SUPABASE, "inv_2", "49.00", "USD")).await;
    assert_eq!((it.state("inv_1").await, it.owed(SUPABASE, Some("inv_1")).await), ("held".to_owned(), 0));
    assert_eq!(it.counted().await, (2, 980, 1));
    it.assert_clean().await;

    assert_eq!(it.import_rate(day(8), "9.99").await.released, 1, "it is looked at, and that rate is too old");
    assert_eq!(it.state("inv_1").await, "held");
    it.import_rate(day(3), "1.10").await;
    // 90.00 EUR at 1.10, of which 20 %
    assert_eq!((it.state("inv_1").await, it.owed(SUPABASE, Some("inv_1")).await), ("attributed".to_owned(), 1980));

    it.import_rate(day(1), "1.50").await;
    it.happen(SUPABASE, "msg_4", &it.refund("r_2", "inv_1", "40.00", "EUR")).await;
    it.happen(SUPABASE, "msg_5", &it.success(SUPABASE, "s_1", "production_deployment")).await;
    it.happen(SUPABASE, "msg_6", &it.sale(SUPABASE, "inv_3", "100.00", "EUR")).await;
    // 50.00 EUR at the rate of the first booking, and 100.00 EUR at the nearer one; each × 1.5 and the bonus of 30 %
    assert_eq!(it.owed(SUPABASE, Some("inv_1")).await, 1650 + 330);
    assert_eq!(it.owed(SUPABASE, Some("inv_3")).await, 4500 + 900);
    assert_eq!(it.number("select count(*) from ledger_transactions where currency <> 'USD'").await, 0);
    assert_eq!(it.number("select count(*) from hourly_money where currency <> 'USD'").await, 0);
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_deactivated_partner_earns_nothing_that_comes_in_later_though_it_happened_before(db: PgPool) {
    let it = fixture(db).await;
    it.happen(SUPABASE, "msg_1", &it.sale(SUPABASE, "inv_1", "49.00", "USD")).await;
    let late = it.sale(SUPABASE, "inv_2", "49.00", "USD");
    it.engine.clock.advance(TimeDelta::minutes(1));
    it.set_active(SUPABASE, false).await;
    it.happen(SUPABASE, "msg_2", &late).await;
    assert_eq!((it.state("inv_2").await, it.owed(SUPABASE, None).await), ("refused".to_owned(), 980));
    it.happen(RAILWAY, "msg_3", &it.sale(RAILWAY, "inv_3", "100.00", "USD")).await;
    assert_eq!(it.owed(RAILWAY, None).await, 2500);
    it.happen(SUPABASE, "msg_4", &it.refund("r_1", "inv_1", "49.00", "USD")).await;
    assert_eq!(it.owed(SUPABASE, None).await, 0, "what it earned before can still be taken back");
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_partner_that_is_active_again_earns_again_but_not_for_what_came_in_meanwhile(db: PgPool) {
    let it = fixture(db).await;
    it.set_active(SUPABASE, false).await;
    let meanwhile = it.sale(SUPABASE, "inv_1", "49.00", "USD");
    it.happen(SUPABASE, "msg_1", &meanwhile).await;
    it.set_active(SUPABASE, true).await;
    it.happen(SUPABASE, "msg_2", &meanwhile).await;
    it.happen(SUPABASE, "msg_3", &it.success(SUPABASE, "s_1", "production_deployment")).await;
    assert_eq!((it.state("inv_1").await, it.owed(SUPABASE, None).await), ("refused".to_owned(), 0));
    it.happen(SUPABASE, "msg_4", &it.sale(SUPABASE, "inv_2", "100.00", "USD")).await;
    assert_eq!(it.owed(SUPABASE, None).await, 3600);
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_success_that_a_deactivated_partner_reports_raises_nothing_and_what_one_raised_before_can_be_taken_back(db: PgPool) {
    let it = fixture(db).await;
    it.happen(SUPABASE, "msg_1", &it.sale(SUPABASE, "inv_1", "100.00", "USD")).await;
    it.set_active(SUPABASE, false).await;
    it.happen(SUPABASE, "msg_2", &it.success(SUPABASE, "s_1", "production_deployment")).await;
    assert_eq!((it.owed(SUPABASE, None).await, it.number("select count(*) from ledger_transactions").await), (2000, 1));
    it.assert_clean().await;

    it.set_active(SUPABASE, true).await;
    it.happen(SUPABASE, "msg_3", &it.success(SUPABASE, "s_2", "production_deployment")).await;
    assert_eq!(it.owed(SUPABASE, None).await, 3600);
    it.set_active(SUPABASE, false).await;
    let id: SuccessEventId = sqlx::query_scalar("select success_event_id from success_events where external_event_id = 's_2'")
        .fetch_one(&it.engine.db)
        .await
        .unwrap();
    success::reject(&it.engine, &Principal::CommandLine, id, "no deployment was found").await.unwrap();
    assert_eq!(it.owed(SUPABASE, None).await, 2000, "the other one came while the partner was not active");
    // Many at once are read by a statement of their own.
    let again = simulation::rederive(&it.engine, "inv_").await.unwrap();
    assert_eq!((again.commissions, again.differing), (1, vec![]));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn nothing_is_booked_on_a_commission_under_other_terms_than_its_own(db: PgPool) {
    let it = fixture(db).await;
    it.happen(SUPABASE, "msg_1", &it.sale(SUPABASE, "inv_1", "100.00", "USD")).await;
    let before = it.counted().await;
    let conversion_id = sqlx::query_scalar("select conversion_id from conversions").fetch_one(&it.engine.db).await.unwrap();
    for (version, currency) in [(2, "EUR"), (3, "USD")] {
        // No way leads here: terms that begin before what was rated already.
        sqlx::query(
            "insert into partner_terms
             select (jsonb_populate_record(t, jsonb_build_object('partner_terms_id', gen_random_uuid(), 'version', $1::int, 'payout_currency', $2::text,
                                                                'effective_from', $3::timestamptz))).*
             from partner_terms t where partner_id = 'supabase' and version = 1",
        )
        .bind(version)
        .bind(currency)
        .bind(it.now() - TimeDelta::minutes(10 - i64::from(version)))
        .execute(&it.engine.db)
        .await
        .unwrap();
        let mut work = Work::begin(&it.engine).await.unwrap();
        let rated = commission::rate(&mut work, conversion_id, commission::Cause::Reversal).await;
        assert!(matches!(rated, Err(Error::Internal(_))), "version {version} in {currency}: {rated:?}");
    }
    assert_eq!((it.counted().await, it.state("inv_1").await, it.owed(SUPABASE, None).await), (before, "attributed".to_owned(), 2000));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_refund_that_is_booked_while_the_ledger_is_checked_raises_no_alarm(db: PgPool) {
    let it = fixture(db).await;
    for id in ["inv_1", "inv_2"] {
        it.happen(SUPABASE, id, &it.sale(SUPABASE, id, "100.00", "USD")).await;
    }
    let Event::ConversionReversed(refund) = it.parse(SUPABASE, &it.refund("r_1", "inv_2", "25.00", "USD")) else {
        panic!("it is a refund")
    };
    // The check knows by then what is booked, and looks up the first sale's terms.
    let mut work = Work::begin(&it.engine).await.unwrap();
    sqlx::query("lock table partner_terms in access exclusive mode").execute(work.connection()).await.unwrap();
    let engine = it.engine.clone();
    let check = tokio::spawn(async move { ledger::verify(&engine).await });
    it.until_somebody_waits().await;
    reversal::record(&mut work, &refund, None).await.unwrap();
    work.commit().await.unwrap();
    let report = check.await.unwrap().unwrap();
    assert_eq!((report.transactions, report.commissions, report.findings), (2, 2, vec![]));
    assert_eq!(it.owed(SUPABASE, None).await, 2000 + 1500);
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_conversion_that_waits_to_be_rated_raises_no_alarm_when_its_exchange_rate_comes(db: PgPool) {
    let it = fixture(db).await;
    it.happen(SUPABASE, "msg_1", &it.sale(SUPABASE, "inv_1", "100.00", "EUR")).await;
    let waiting = async || {
        it.assert_clean().await;
        ledger::verify(&it.engine).await.unwrap().waiting
    };
    assert_eq!(waiting().await, 1);
    let yesterday = (it.now() - TimeDelta::days(1)).date_naive();
    exchange::import(&it.engine, &Principal::CommandLine, &format!("Date,USD\n{yesterday},1.10\n")).await.unwrap();
    assert_eq!((it.state("inv_1").await, waiting().await), ("held".to_owned(), 1));
    it.drain().await;
    assert_eq!((it.owed(SUPABASE, None).await, waiting().await), (2200, 0));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn equal_external_ids_of_two_partners_do_not_collide(db: PgPool) {
    let it = fixture(db).await;
    for partner in [SUPABASE, RAILWAY] {
        it.happen(partner, "1", &it.sale(partner, "1", "100.00", "USD")).await;
    }
    assert_eq!((it.owed(SUPABASE, None).await, it.owed(RAILWAY, None).await), (2000, 2500));
    it.happen(SUPABASE, "2", &it.refund("2", "1", "50.00", "USD")).await;
    assert_eq!((it.owed(SUPABASE, None).await, it.owed(RAILWAY, None).await), (1000, 2500));
    it.happen(RAILWAY, "2", &it.refund("2", "1", "20.00", "USD")).await;
    it.happen(SUPABASE, "3", &it.success(SUPABASE, "3", "production_deployment")).await;
    assert_eq!((it.owed(SUPABASE, None).await, it.owed(RAILWAY, None).await), (1500 + 300, 2000));
    it.happen(RAILWAY, "3", &it.success(RAILWAY, "3", "custom_domain_added")).await;
    assert_eq!((it.owed(SUPABASE, None).await, it.owed(RAILWAY, None).await), (1800, 2600));

    // A refund that waits for its sale does not take another partner's of that name.
    it.happen(SUPABASE, "4", &it.refund("4", "late", "100.00", "USD")).await;
    it.happen(RAILWAY, "4", &it.sale(RAILWAY, "late", "100.00", "USD")).await;
    it.happen(SUPABASE, "5", &it.sale(SUPABASE, "late", "100.00", "USD")).await;
    assert_eq!((it.owed(SUPABASE, Some("late")).await, it.owed(RAILWAY, Some("late")).await), (0, 3250));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn edited_terms_and_value_multipliers_never_touch_what_happened_before_them(db: PgPool) {
    let it = fixture(db).await;
    let partner_id = SUPABASE.parse().unwrap();
    it.happen(SUPABASE, "msg_1", &it.sale(SUPABASE, "inv_1", "100.00", "USD")).await;
    let late = it.sale(SUPABASE, "inv_2", "100.00", "USD");
    let old = partner::terms_at(&mut it.engine.db.acquire().await.unwrap(), &partner_id, it.now()).await.unwrap();
    let (mut values, mut metrics) = (old.values, old.success_metrics);
    (values.commission_rate, values.success_bonus_rate) = ("0.50".parse().unwrap(), "0.10".parse().unwrap());
    for metric in metrics.iter_mut().filter(|metric| metric.id == "production_deployment") {
        metric.value_multiplier = "2.5".parse().unwrap();
    }
    let from = it.now() + TimeDelta::hours(1);
    partner::add_terms(&it.engine, &Principal::CommandLine, &partner_id, values.clone(), Some(metrics), from).await.unwrap();
    partner::add_terms(&it.engine, &Principal::CommandLine, &partner_id, values, Some(Vec::new()), from + TimeDelta::hours(4))
        .await
        .unwrap();
    it.engine.clock.advance(TimeDelta::hours(2));

    it.happen(SUPABASE, "msg_2", &late).await;
    it.happen(SUPABASE, "msg_3", &it.sale(SUPABASE, "inv_3", "100.00", "USD")).await;
    it.happen(SUPABASE, "msg_4", &it.success(SUPABASE, "s_1", "production_deployment")).await;
    for (sale, owed) in [("inv_1", 3000 + 600), ("inv_2", 3000 + 600), ("inv_3", 12_500 + 500)] {
        assert_eq!(it.owed(SUPABASE, Some(sale)).await, owed, "{sale}");
    }
    it.engine.clock.advance(TimeDelta::hours(4));
    it.happen(SUPABASE, "msg_5", &it.sale(SUPABASE, "inv_4", "100.00", "USD")).await;
    for sale in ["inv_1", "inv_2", "inv_3", "inv_4"] {
        it.happen(SUPABASE, &format!("refund of {sale}"), &it.refund(&format!("r_{sale}"), sale, "50.00", "USD")).await;
    }
    // The last one happened when the metric was none any more.
    for (sale, owed) in [("inv_1", 1800), ("inv_2", 1800), ("inv_3", 6500), ("inv_4", 2500)] {
        assert_eq!(it.owed(SUPABASE, Some(sale)).await, owed, "{sale}");
    }
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_worker_that_dies_before_it_commits_leaves_nothing_and_loses_nothing(db: PgPool) {
    let it = fixture(db).await;
    let sale = it.sale(SUPABASE, "inv_1", "49.00", "USD");
    it.send(SUPABASE, "events", "msg_1", &sale).await;
    drop(it.record(SUPABASE, &sale).await);
    assert_eq!((it.number("select count(*) from conversions").await, it.counted().await), (0, (0, 0, 0)));
    it.drain().await;
    assert_eq!((it.owed(SUPABASE, None).await, it.counted().await), (980, (1, 980, 1)));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_connection_that_dies_between_the_conversion_and_its_commission_loses_nothing(db: PgPool) {
    let it = fixture(db).await;
    it.send(SUPABASE, "events", "msg_1", &it.sale(SUPABASE, "inv_1", "49.00", "USD")).await;
    // The conversion is inserted and attributed by then; its rating waits for the developer.
    let mut others = Work::begin(&it.engine).await.unwrap();
    commission::lock_developer(&mut others, it.link(SUPABASE).developer_id).await.unwrap();
    let worker = it.worker();
    let process = it.until_somebody_waits().await;
    sqlx::query("select pg_terminate_backend($1)").bind(process).execute(&it.engine.db).await.unwrap();
    let died = worker.await.unwrap();
    assert!(matches!(died, Err(Error::Unavailable(_))), "{died:?}");
    drop(others);
    assert_eq!((it.number("select count(*) from conversions").await, it.counted().await), (0, (0, 0, 0)));
    assert_eq!(it.number("select count(*) from webhook_deliveries where state = 'received' and attempts = 0").await, 1);
    it.drain().await;
    assert_eq!((it.owed(SUPABASE, None).await, it.counted().await), (980, (1, 980, 1)));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_live_announcement_that_fails_after_the_money_was_written_pays_once_and_fails_nothing(db: PgPool) {
    // Nobody listens on port 1.
    let client = redis::Client::open("redis://127.0.0.1:1/").unwrap();
    let redis = ConnectionManager::new_lazy_with_config(client, ConnectionManagerConfig::new()).unwrap();
    let it = fixture_over(Engine::with(db, redis, Keys::from_master(&[7; 32]))).await;
    let session_id: SessionId = it.engine.new_id();
    let click = testing::click(it.link(SUPABASE), it.now() - TimeDelta::hours(1), Some(session_id));
    click::insert_history(&it.engine, &[click]).await.unwrap();
    // By code and session, so that the attribution asks Redis, too.
    let mut sale = it.sale(SUPABASE, "inv_1", "49.00", "USD");
    sale["data"].as_object_mut().unwrap().remove("click_id");
    sale["data"]["referral_code"] = it.link(SUPABASE).referral_code.clone().into();
    sale["data"]["session_id"] = session_id.to_string().into();

    let mut browsers = it.engine.live.subscribe();
    it.happen(SUPABASE, "msg_1", &sale).await;
    assert!(matches!(*browsers.try_recv().unwrap(), LiveEvent::Conversion { .. }), "this process tells its own browsers");
    assert_eq!(it.number("select count(*) from webhook_deliveries where state = 'processed' and attempts = 1").await, 1);
    it.happen(SUPABASE, "msg_1", &sale).await;
    it.happen(SUPABASE, "msg_2", &sale).await;
    assert_eq!((it.owed(SUPABASE, None).await, it.counted().await), (980, (1, 980, 1)));
    it.assert_clean().await;
}
