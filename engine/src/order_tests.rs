//! Random histories of clicks, sales, refunds and successes: whatever the order in which their events come in, and however
//! often, the books end up the same.
//!
//! Five tests, one for each model, try 52 histories each, the first of them made by hand; `PROPTEST_CASES=2000 cargo test --release -p engine order_tests` is the
//! long run.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ClickId, ConversionId, DeveloperId, PartnerId, SessionId,
    attribution::Model,
    click::{ClickToken, partner_digest},
    id::uuid_v7,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use rust_decimal::Decimal;
use serde_json::json;
use sqlx::PgPool;

use crate::{
    Engine, attribution,
    click::Click,
    clock, commission, ledger, new_id, partner,
    simulation::{NewSite, PlantedLink, plant},
    testing, webhook,
    work::Work,
};

const METRICS: [&str; 3] = ["project_created", "first_table_created", "production_deployment"];
const WINDOW_HOURS: i32 = 10;
const CASES: u32 = 52;

/// How a sale names its click.
#[derive(Clone, Copy, Debug)]
enum By {
    Token(usize),
    Code(usize),
    CodeAndSession(usize, usize),
    TokenAndCustomer(usize, usize),
    SessionAndCustomer(usize, usize),
    Customer(usize),
}

/// How a success names its developer.
#[derive(Clone, Copy, Debug)]
enum Of {
    Code(usize),
    Session(usize),
    Customer(usize),
    SessionAndCustomer(usize, usize),
}

/// Times are minutes of one day.
#[derive(Clone, Debug)]
enum Happening {
    Click { site: usize, session: Option<usize>, minute: i64 },
    Sale { minute: i64, amount_minor: i64, by: By },
    Refund { sale: usize, amount_minor: Option<i64> },
    Success { minute: i64, metric: usize, of: Of },
}

#[derive(Clone, Debug)]
struct History {
    happenings: Vec<Happening>,
    shuffle: u64,
}

fn history() -> impl Strategy<Value = History> {
    let click = (0..3_usize, proptest::option::weighted(0.9, 0..2_usize), 0..1200_i64)
        .prop_map(|(site, session, minute)| Happening::Click { site, session, minute });
    let by = prop_oneof![
        any::<usize>().prop_map(By::Token),
        (0..3_usize).prop_map(By::Code),
        (0..3_usize, 0..2_usize).prop_map(|(site, session)| By::CodeAndSession(site, session)),
        (any::<usize>(), 0..2_usize).prop_map(|(click, customer)| By::TokenAndCustomer(click, customer)),
        (0..2_usize, 0..2_usize).prop_map(|(session, customer)| By::SessionAndCustomer(session, customer)),
        (0..2_usize).prop_map(By::Customer),
    ];
    let of = prop_oneof![
        (0..3_usize).prop_map(Of::Code),
        (0..2_usize).prop_map(Of::Session),
        (0..2_usize).prop_map(Of::Customer),
        (0..2_usize, 0..2_usize).prop_map(|(session, customer)| Of::SessionAndCustomer(session, customer)),
    ];
    let sale = (0..1440_i64, 0..2_000_000_i64, by).prop_map(|(minute, amount_minor, by)| Happening::Sale { minute, amount_minor, by });
    let refund =
        (any::<usize>(), proptest::option::of(1..1_500_000_i64)).prop_map(|(sale, amount_minor)| Happening::Refund { sale, amount_minor });
    let success = (0..1440_i64, 0..METRICS.len(), of).prop_map(|(minute, metric, of)| Happening::Success { minute, metric, of });
    let many = |low, high| low..high;
    (
        proptest::collection::vec(click, many(1, 6)),
        proptest::collection::vec(sale, many(1, 4)),
        proptest::collection::vec(refund, many(0, 3)),
        proptest::collection::vec(success, many(0, 4)),
        any::<u64>(),
    )
        .prop_map(|(clicks, sales, refunds, successes, shuffle)| {
            let happenings = clicks.into_iter().chain(sales).chain(refunds).chain(successes).collect();
            History { happenings, shuffle }
        })
}

/// A customer whose success comes first, then the sale that tells whose link they came by, and then a sale that names only them.
fn first_history() -> History {
    let sale = |minute, by| Happening::Sale { minute, amount_minor: 10_000, by };
    let happenings = vec![
        Happening::Click { site: 0, session: Some(0), minute: 0 },
        Happening::Success { minute: 1, metric: 2, of: Of::Customer(0) },
        sale(10, By::TokenAndCustomer(0, 0)),
        sale(20, By::Customer(0)),
    ];
    History { happenings, shuffle: 0 }
}

/// All that became of a history.
#[derive(Clone, Debug, PartialEq)]
struct Books {
    sales: Vec<Outcome>,
    /// Whose each success is, by the position of the site; `None` if it still waits for its customer.
    successes: Vec<Option<usize>>,
}

/// How often what a test is about came up.
#[derive(Debug, Default)]
struct Seen {
    sales_by_customer: usize,
    successes_by_customer: usize,
}

/// What became of a sale, in terms that two runs of the same history share.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    state: String,
    reversed_minor: i64,
    /// Of each touch: which click of the history, its share, its part of the money.
    credits: Vec<(usize, Decimal, i64)>,
    commission: Option<(i64, i64, String)>,
    booked: (i64, i64),
}

/// One delivery of a history's events, with sites, sessions and ids of its own.
struct Run<'e> {
    engine: &'e Engine,
    name: String,
    partner_id: PartnerId,
    /// Midnight of the day in which everything happens.
    day: DateTime<Utc>,
    links: Vec<PlantedLink>,
    sessions: Vec<SessionId>,
    clicks: Vec<Click>,
}

impl<'e> Run<'e> {
    async fn new(engine: &'e Engine, history: &History, partner_id: PartnerId, name: String, day: DateTime<Utc>) -> Self {
        let sites: Vec<NewSite> = (0..3)
            .map(|site| NewSite {
                user_ref: format!("{name}-{site}"),
                name: "a site".to_owned(),
                url: None,
                analysis: None,
                created_at: day,
            })
            .collect();
        let links = plant(engine, &sites, std::slice::from_ref(&partner_id)).await.unwrap();
        let sessions: Vec<SessionId> = (0..2).map(|_| new_id(day)).collect();
        let clicks = history
            .happenings
            .iter()
            .enumerate()
            .filter_map(|(index, happening)| match *happening {
                Happening::Click { site, session, minute } => {
                    Some(new_click(index, &links[site], session.map(|session| sessions[session]), day + TimeDelta::minutes(minute)))
                }
                _ => None,
            })
            .collect();
        Self { engine, name, partner_id, day, links, sessions, clicks }
    }

    /// Delivers the events of `happenings`, which are named by their position in the history, in this order.
    async fn deliver(&self, history: &History, order: &[usize]) {
        for (nth, &index) in order.iter().enumerate() {
            match &history.happenings[index] {
                // As the fallback drains: clicks may come in after what they led to, and twice.
                Happening::Click { .. } => {
                    let click = &self.clicks[index];
                    self.engine.clicks.store.insert_late(self.engine, std::slice::from_ref(click)).await.unwrap();
                }
                happening => {
                    let body = self.body(history, index, happening);
                    let message_id = format!("{}-{index}-{nth}", self.name);
                    webhook::enqueue(self.engine, &self.partner_id, "events", &message_id, &body).await.unwrap();
                    while webhook::work_one(self.engine).await.unwrap() {}
                }
            }
        }
        // Time stands still: what waits for its customer is looked at again only if what became known later has seen to that.
        while webhook::work_one(self.engine).await.unwrap() || attribution::recheck_one(self.engine).await.unwrap() {}
    }

    fn customer(&self, customer: usize) -> serde_json::Value {
        format!("{}-{customer}", self.name).into()
    }

    fn session(&self, session: usize) -> serde_json::Value {
        self.sessions[session].to_string().into()
    }

    fn token(&self, click: usize) -> String {
        let click = &self.clicks[click % self.clicks.len()];
        let link = self.links.iter().find(|link| *link.referral_code == *click.referral_code).unwrap();
        let code: domain::referral_code::ReferralCode = link.referral_code.parse().unwrap();
        let token = ClickToken {
            click_id: click.click_id,
            session_id: click.session_id,
            code_digest: code.digest(),
            partner_digest: partner_digest(&self.partner_id),
        };
        token.sign(&self.engine.keys.click_mac)
    }

    fn body(&self, history: &History, index: usize, happening: &Happening) -> serde_json::Value {
        let at = |minute: i64| (self.day + TimeDelta::minutes(minute)).to_rfc3339();
        let sale_id = |index: usize| format!("{}-{index}", self.name);
        let amount = |minor: i64| Decimal::new(minor, 2).to_string();
        match *happening {
            Happening::Click { .. } => unreachable!("a click is no event of the partner's"),
            Happening::Sale { minute, amount_minor, by } => {
                let mut data = json!({ "conversion_id": sale_id(index), "occurred_at": at(minute), "amount": amount(amount_minor), "currency": "USD" });
                match by {
                    By::Token(click) => data["click_id"] = self.token(click).into(),
                    By::Code(site) => data["referral_code"] = self.links[site].referral_code.clone().into(),
                    By::CodeAndSession(site, session) => {
                        data["referral_code"] = self.links[site].referral_code.clone().into();
                        data["session_id"] = self.session(session);
                    }
                    By::TokenAndCustomer(click, customer) => {
                        data["click_id"] = self.token(click).into();
                        data["user_id"] = self.customer(customer);
                    }
                    By::SessionAndCustomer(session, customer) => {
                        data["session_id"] = self.session(session);
                        data["user_id"] = self.customer(customer);
                    }
                    By::Customer(customer) => data["user_id"] = self.customer(customer),
                }
                json!({ "type": "conversion.created", "data": data })
            }
            Happening::Refund { sale, amount_minor } => {
                let sales: Vec<usize> = sales_of(history);
                let mut data =
                    json!({ "reversal_id": sale_id(index), "conversion_id": sale_id(sales[sale % sales.len()]), "occurred_at": at(1440) });
                if let Some(minor) = amount_minor {
                    data["amount"] = amount(minor).into();
                    data["currency"] = "USD".into();
                }
                json!({ "type": "conversion.reversed", "data": data })
            }
            Happening::Success { minute, metric, of } => {
                let mut data = json!({
                    "success_id": sale_id(index), "metric": METRICS[metric], "occurred_at": at(minute), "evidence": evidence(index),
                });
                match of {
                    Of::Code(site) => data["referral_code"] = self.links[site].referral_code.clone().into(),
                    Of::Session(session) => data["session_id"] = self.session(session),
                    Of::Customer(customer) => data["user_id"] = self.customer(customer),
                    Of::SessionAndCustomer(session, customer) => {
                        data["session_id"] = self.session(session);
                        data["user_id"] = self.customer(customer);
                    }
                }
                json!({ "type": "success.achieved", "data": data })
            }
        }
    }

    async fn books(&self, history: &History) -> Books {
        Books { sales: self.outcomes(history).await, successes: self.successes(history).await }
    }

    async fn successes(&self, history: &History) -> Vec<Option<usize>> {
        let mut successes = Vec::new();
        for index in successes_of(history) {
            let developer_id: Option<DeveloperId> =
                sqlx::query_scalar("select developer_id from success_events where partner_id = $1 and external_event_id = $2")
                    .bind(self.partner_id.as_str())
                    .bind(format!("{}-{index}", self.name))
                    .fetch_optional(&self.engine.db)
                    .await
                    .unwrap();
            let site_of = |developer_id| self.links.iter().position(|link| link.developer_id == developer_id).unwrap();
            successes.push(developer_id.map(site_of));
        }
        successes
    }

    async fn outcomes(&self, history: &History) -> Vec<Outcome> {
        let ordinal: HashMap<ClickId, usize> = self.clicks.iter().enumerate().map(|(index, click)| (click.click_id, index)).collect();
        let mut outcomes = Vec::new();
        for index in sales_of(history) {
            let (conversion_id, state, reversed_minor): (ConversionId, String, i64) = sqlx::query_as(
                "select conversion_id, state, reversed_minor from conversions where partner_id = $1 and external_event_id = $2",
            )
            .bind(self.partner_id.as_str())
            .bind(format!("{}-{index}", self.name))
            .fetch_one(&self.engine.db)
            .await
            .unwrap();
            let credits: Vec<(ClickId, Decimal, i64)> =
                sqlx::query_as("select click_id, share, commission_minor from attributions where conversion_id = $1 order by position")
                    .bind(conversion_id)
                    .fetch_all(&self.engine.db)
                    .await
                    .unwrap();
            let commission: Option<(i64, i64, String)> =
                sqlx::query_as("select final_minor, bonus_minor, state from commissions where conversion_id = $1")
                    .bind(conversion_id)
                    .fetch_optional(&self.engine.db)
                    .await
                    .unwrap();
            let booked = ledger::booked(&mut self.engine.db.acquire().await.unwrap(), conversion_id).await.unwrap();
            let credits: Vec<_> = credits.into_iter().map(|(click, share, part)| (ordinal[&click], share, part)).collect();
            let booked = (booked.commission_minor.unwrap_or(0), booked.bonus_minor.unwrap_or(0));
            let outcome = Outcome { state, reversed_minor, credits, commission, booked };
            self.check(conversion_id, &outcome).await;
            outcomes.push(outcome);
        }
        outcomes
    }

    /// What holds for each sale, whatever happened.
    async fn check(&self, conversion_id: ConversionId, outcome: &Outcome) {
        let Some((final_minor, bonus_minor, _)) = outcome.commission else {
            assert_eq!((&outcome.credits[..], outcome.booked), (&[][..], (0, 0)));
            return;
        };
        assert_eq!(outcome.credits.iter().map(|credit| credit.1).sum::<Decimal>(), Decimal::ONE, "shares sum to 1");
        assert_eq!(outcome.credits.iter().map(|credit| credit.2).sum::<i64>(), final_minor + bonus_minor, "parts sum to the commission");
        let explanation = commission::explain(self.engine, &conversion_id.to_string()).await.unwrap();
        assert!(explanation.agrees(), "{explanation:?}");
        let receipt = &explanation.derived.receipt;
        let left = Decimal::from(receipt.value_minor - receipt.reversed_minor);
        assert!(
            Decimal::from(final_minor + bonus_minor) <= (left * receipt.commission_rate * receipt.multiplier_cap).ceil(),
            "above the cap"
        );
        assert!(final_minor >= 0 && bonus_minor >= 0, "a reversal took more than was booked");
    }
}

/// Positions of the sales in a history.
fn sales_of(history: &History) -> Vec<usize> {
    (0..history.happenings.len()).filter(|index| matches!(history.happenings[*index], Happening::Sale { .. })).collect()
}

/// Positions of the successes in a history.
fn successes_of(history: &History) -> Vec<usize> {
    (0..history.happenings.len()).filter(|index| matches!(history.happenings[*index], Happening::Success { .. })).collect()
}

impl Seen {
    fn add(&mut self, history: &History, books: &Books) {
        for (index, outcome) in sales_of(history).into_iter().zip(&books.sales) {
            let by_customer = matches!(history.happenings[index], Happening::Sale { by: By::Customer(_), .. });
            self.sales_by_customer += usize::from(by_customer && outcome.state == "attributed");
        }
        for (index, developer) in successes_of(history).into_iter().zip(&books.successes) {
            let of_customer = matches!(history.happenings[index], Happening::Success { of: Of::Customer(_), .. });
            self.successes_by_customer += usize::from(of_customer && developer.is_some());
        }
    }
}

/// What all three metrics ask for; another one for each success.
fn evidence(index: usize) -> serde_json::Value {
    json!({
        "project_id": format!("p{index}"), "user_id": "u", "creation_date": "2026-11-22", "table_name": "t",
        "deployment_url": format!("https://example.com/{index}"), "deployment_date": "2026-11-22",
    })
}

/// Of two clicks at the same time, the one with the lower id is the earlier one: in every run it is the same of the two.
fn new_click(index: usize, link: &PlantedLink, session_id: Option<SessionId>, clicked_at: DateTime<Utc>) -> Click {
    let mut random: [u8; 10] = rand::random();
    // The first byte that follows the time.
    random[2] = u8::try_from(index).unwrap();
    Click {
        click_id: uuid_v7(clicked_at, random).into(),
        window_hours: u32::try_from(WINDOW_HOURS).unwrap(),
        ..testing::click(link, clicked_at, session_id)
    }
}

/// A partner like Supabase, but with this model. Each history has its own: a late click has all conversions of its partner looked at again,
/// so the histories of one partner would be slower one after the other.
async fn plant_partner(engine: &Engine, number: u32, model: Model) -> PartnerId {
    let partner_id = format!("acme-{number}");
    sqlx::query(
        "insert into partners
         select (jsonb_populate_record(p, jsonb_build_object('partner_id', $1::text))).* from partners p where partner_id = 'supabase'",
    )
    .bind(&partner_id)
    .execute(&engine.db)
    .await
    .unwrap();
    sqlx::query(
        "insert into partner_terms
         select (jsonb_populate_record(t, jsonb_build_object('partner_id', $1::text, 'partner_terms_id', gen_random_uuid(), 'attribution_model', $2::text,
                                                            'attribution_window_hours', $3::int, 'attribution_minimum_seconds', 60))).*
         from partner_terms t where partner_id = 'supabase'",
    )
    .bind(&partner_id)
    .bind(model)
    .bind(WINDOW_HOURS)
    .execute(&engine.db)
    .await
    .unwrap();
    partner_id.parse().unwrap()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn any_order_ends_in_the_same_books_under_last_touch(db: PgPool) {
    any_order_ends_in_the_same_books(db, Model::LastTouch).await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn any_order_ends_in_the_same_books_under_first_touch(db: PgPool) {
    any_order_ends_in_the_same_books(db, Model::FirstTouch).await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn any_order_ends_in_the_same_books_under_linear(db: PgPool) {
    any_order_ends_in_the_same_books(db, Model::Linear).await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn any_order_ends_in_the_same_books_under_position_based(db: PgPool) {
    any_order_ends_in_the_same_books(db, Model::PositionBased).await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn any_order_ends_in_the_same_books_under_time_decay(db: PgPool) {
    any_order_ends_in_the_same_books(db, Model::TimeDecay).await;
}

async fn any_order_ends_in_the_same_books(db: PgPool, model: Model) {
    let engine = testing::engine(db);
    partner::import_files(&engine, &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../partners")).await.unwrap();
    let now = engine.now();
    let day = now - TimeDelta::days(2);
    let config = Config {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES),
        failure_persistence: None,
        ..Config::default()
    };
    let runtime = tokio::runtime::Handle::current();
    let mut number = 0;
    let mut seen = Seen::default();
    // The runner is not async: it gets a thread of its own, in which each case may wait for the database.
    tokio::task::spawn_blocking(move || {
        let check = |history: History| {
            number += 1;
            let (engine, number, seen) = (&engine, number, &mut seen);
            runtime.block_on(clock::at(now, async move {
                let in_order: Vec<usize> = (0..history.happenings.len()).collect();
                // Every other history in another order, the others so with all events twice.
                let mut other = if number % 2 == 0 { in_order.clone() } else { [in_order.clone(), in_order.clone()].concat() };
                other.shuffle(&mut StdRng::seed_from_u64(history.shuffle));
                let partner_id = plant_partner(engine, number, model).await;
                let mut ends = Vec::new();
                for (suffix, order) in [("a", in_order), ("b", other)] {
                    let run = Run::new(engine, &history, partner_id.clone(), format!("h{number}{suffix}"), day).await;
                    run.deliver(&history, &order).await;
                    ends.push(run.books(&history).await);
                }
                seen.add(&history, &ends[0]);
                prop_assert_eq!(&ends[0], &ends[1]);
                Ok(())
            }))
        };
        let check = std::cell::RefCell::new(check);
        (check.borrow_mut())(first_history()).unwrap();
        TestRunner::new(config).run(&history(), |history| (check.borrow_mut())(history)).unwrap();
        assert!(seen.sales_by_customer > 0 && seen.successes_by_customer > 0, "customers were not tried: {seen:?}");
        runtime.block_on(nothing_was_refused(&engine));
        runtime.block_on(rating_again_books_nothing(&engine));
    })
    .await
    .unwrap();
}

/// An event that is a dead letter has tried nothing.
async fn nothing_was_refused(engine: &Engine) {
    let refused: Vec<String> =
        sqlx::query_scalar("select last_error from webhook_deliveries where last_error is not null").fetch_all(&engine.db).await.unwrap();
    assert_eq!(refused, [""; 0]);
}

/// After all histories: each conversion rated once more changes no book, and the proof of the ledger holds.
async fn rating_again_books_nothing(engine: &Engine) {
    let before = ledger::balances(engine).await.unwrap();
    let count = || async { sqlx::query_scalar::<_, i64>("select count(*) from ledger_transactions").fetch_one(&engine.db).await.unwrap() };
    let transactions = count().await;
    let rated: Vec<ConversionId> = sqlx::query_scalar("select conversion_id from commissions").fetch_all(&engine.db).await.unwrap();
    for conversion_id in rated {
        let mut work = Work::begin(engine).await.unwrap();
        commission::rate(&mut work, conversion_id, commission::Cause::Success).await.unwrap();
        work.commit().await.unwrap();
    }
    assert_eq!((ledger::balances(engine).await.unwrap(), count().await), (before, transactions));
    assert_eq!(ledger::verify(engine).await.unwrap().findings, []);
}
