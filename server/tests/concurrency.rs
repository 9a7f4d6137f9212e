//! The same events from many senders at two servers at once: each has exactly one effect, in money and in statistics alike.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bench::{
    partner::{Sender, a_click, a_sale},
    place::{Place, await_that, free_address, plant},
};
use chrono::Utc;
use domain::PartnerId;
use engine::{Engine, click, simulation::PlantedLink};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use tokio::{sync::Barrier, task::JoinSet};

const WORKERS: usize = 64;
/// Of each event: every worker sends all of them, in the same order, so that they meet; half of the copies go to each server.
const COPIES: usize = WORKERS;
const SITES: usize = 40;
const SALES: usize = 250;
const PATIENCE: Duration = Duration::from_secs(180);

/// What the truth needs of a partner's file, in hundredths.
struct Rates {
    partner: &'static str,
    commission: i64,
    metric: &'static str,
    multiplier: i64,
    bonus: i64,
}

/// Railway's metric needs no verification, so that it earns no bonus.
const PARTNERS: [Rates; 2] = [
    Rates { partner: "supabase", commission: 20, metric: "production_deployment", multiplier: 150, bonus: 30 },
    Rates { partner: "railway", commission: 25, metric: "custom_domain_added", multiplier: 130, bonus: 0 },
];

/// A message of a partner.
struct Message {
    id: String,
    partner_id: PartnerId,
    event: Value,
}

/// What must become of a sale, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outcome {
    reversed: i64,
    commission: i64,
    bonus: i64,
}

#[derive(Default)]
struct Plan {
    messages: Vec<Message>,
    /// By partner and the partner's id of the sale: two partners have the same ids.
    truth: BTreeMap<(String, String), Outcome>,
    successes: i64,
    reversals: i64,
}

impl Plan {
    fn add(&mut self, partner_id: &PartnerId, event: &Value) {
        let id = format!("msg-{}", self.messages.len());
        self.messages.push(Message { id, partner_id: partner_id.clone(), event: event.clone() });
    }

    /// Sales, half of them twice; refunds of every third, some twice; a success of every fourth site, twice.
    async fn of_partner(&mut self, engine: &Engine, rates: &Rates, links: &[&PlantedLink]) {
        let partner_id: PartnerId = rates.partner.parse().expect("a partner's id");
        let clicks: Vec<_> = links.iter().map(|link| a_click(link)).collect();
        click::insert_history(engine, &clicks).await.expect("clicks are stored");
        for number in 0..SALES {
            let site = number % SITES;
            let value = 1_000 + i64::try_from(number * 7_919 % 50_000).expect("a small number");
            let id = format!("order-{number}");
            let sale = a_sale(engine, &id, number, &decimal(value), &clicks[site]);
            self.add(&partner_id, &sale);
            if number < SALES * 13 / 25 {
                self.add(&partner_id, &sale);
            }
            let mut reversed = 0;
            if number.is_multiple_of(3) && number < 240 {
                let refund;
                (reversed, refund) = a_refund(number, value);
                self.add(&partner_id, &refund);
                if number < 60 {
                    self.add(&partner_id, &refund);
                }
                self.reversals += 1;
            }
            let left = value - reversed;
            let (multiplier, bonus) = if has_success(site) { (rates.multiplier, rates.bonus) } else { (100, 0) };
            let outcome = Outcome {
                reversed,
                commission: half_even(left * rates.commission * multiplier),
                bonus: half_even(left * rates.commission * bonus),
            };
            self.truth.insert((rates.partner.to_owned(), id), outcome);
        }
        for (site, link) in links.iter().enumerate().filter(|(site, _)| has_success(*site)) {
            let success = a_success(rates, site, link);
            self.add(&partner_id, &success);
            self.add(&partner_id, &success);
            self.successes += 1;
        }
    }
}

fn has_success(site: usize) -> bool {
    site.is_multiple_of(4)
}

/// What it takes back, and the event.
fn a_refund(number: usize, value: i64) -> (i64, Value) {
    let mut data =
        json!({ "reversal_id": format!("refund-{number}"), "conversion_id": format!("order-{number}"), "occurred_at": Utc::now() });
    let amount = if number.is_multiple_of(15) { value } else { value / 7 * (1 + i64::try_from(number % 5).expect("a small number")) };
    if amount < value {
        data["amount"] = json!(decimal(amount));
        data["currency"] = json!("USD");
    }
    (amount, json!({ "type": "conversion.reversed", "data": data }))
}

fn a_success(rates: &Rates, site: usize, link: &PlantedLink) -> Value {
    json!({ "type": "success.achieved", "data": {
        "success_id": format!("success-{site}"), "metric": rates.metric, "occurred_at": Utc::now(), "referral_code": link.referral_code,
        "evidence": {
            "project_id": format!("project-{site}"), "deployment_url": "https://example.com", "deployment_date": "2026-11-22", "domain": "example.com",
            "setup_date": "2026-11-22",
        },
    } })
}

fn decimal(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// `ten_thousandths / 10 000`, half to even.
fn half_even(ten_thousandths: i64) -> i64 {
    let (whole, rest) = (ten_thousandths / 10_000, ten_thousandths % 10_000);
    whole + i64::from(rest > 5_000 || (rest == 5_000 && whole % 2 == 1))
}

#[test]
fn the_same_thousand_events_from_64_workers_at_two_servers_have_one_effect_each() {
    // outside of the runtime: the private services end with the thread that started them
    let place = Place::start("concurrency-test", env!("CARGO_BIN_EXE_orchestrator").into()).expect("a private Postgres and Redis");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let engine = place.engine().await.expect("a database with the schema");
        click::ensure_partitions(&engine, 1).await.expect("partitions");
        let links = plant(&engine, 0..SITES).await.expect("sites with links");
        let mut plan = Plan::default();
        for rates in &PARTNERS {
            let own: Vec<&PlantedLink> = links.iter().filter(|link| link.partner_id.as_str() == rates.partner).collect();
            plan.of_partner(&engine, rates, &own).await;
        }
        assert_eq!(plan.messages.len(), 1_000);

        fire(&place, &engine, &links, &mut plan).await;
        check_deliveries(&engine).await;
        check_money(&engine, &plan).await;
        check_statistics(&engine, &plan).await;
        let verified = place.command(&["ledger", "verify"]).output().expect("the program starts");
        let report = String::from_utf8_lossy(&verified.stdout);
        assert!(verified.status.success() && report.contains("500 commissions checked, 0 findings"), "{report}");
    });
}

/// Sends every message [`COPIES`] times to two servers and waits until nothing is left to do.
async fn fire(place: &Place, engine: &Engine, links: &[PlantedLink], plan: &mut Plan) {
    let sender = Arc::new(Sender::new(engine, links).await.expect("secrets"));
    let addresses = [free_address().expect("a free port"), free_address().expect("a free port")];
    let _first = place.serve(&addresses[0]).await.expect("the first server starts");
    let _second = place.serve(&addresses[1]).await.expect("the second server starts");

    plan.messages.shuffle(&mut StdRng::seed_from_u64(64));
    let requests: Vec<reqwest::RequestBuilder> = plan
        .messages
        .iter()
        .flat_map(|message| std::iter::repeat_n(message, COPIES).enumerate())
        .map(|(copy, message)| {
            sender.request(&addresses[copy % 2], &message.partner_id, &message.id, &message.event).expect("it is signed")
        })
        .collect();
    let mut hands: Vec<Vec<reqwest::RequestBuilder>> = (0..WORKERS).map(|_| Vec::new()).collect();
    for (number, request) in requests.into_iter().enumerate() {
        hands[number % WORKERS].push(request);
    }
    let start = Arc::new(Barrier::new(WORKERS));
    let mut workers = JoinSet::new();
    for hand in hands {
        let start = start.clone();
        workers.spawn(async move {
            start.wait().await;
            for request in hand {
                let answer = request.send().await.expect("the server answers");
                assert!(answer.status().is_success(), "{answer:?}");
            }
        });
    }
    workers.join_all().await;
    let waiting = "select (select count(*) from webhook_deliveries where state in ('received', 'retrying')) + (select count(*) from attribution_rechecks)
                        + (select count(*) from ledger_unsealed)";
    await_that("the queue is empty", PATIENCE, async || Ok(number(engine, waiting).await == 0)).await.expect("all is worked off");
}

async fn number(engine: &Engine, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&engine.db).await.expect("a number")
}

async fn check_deliveries(engine: &Engine) {
    let processed = number(engine, "select count(*) from webhook_deliveries where state = 'processed'").await;
    let again = number(engine, "select sum(duplicates)::bigint from webhook_deliveries").await;
    assert_eq!((processed, again), (1_000, 1_000 * (i64::try_from(COPIES).expect("a small number") - 1)));
    assert_eq!(number(engine, "select count(*) from webhook_deliveries").await, 1_000);
}

async fn check_money(engine: &Engine, plan: &Plan) {
    let rows: Vec<(String, String, String, i64, i64, i64, i64)> = sqlx::query_as(
        "select c.partner_id, external_event_id, state, reversed_minor,
                (select count(*) from attributions a where a.conversion_id = c.conversion_id),
                coalesce(sum(amount_minor) filter (where component = 'commission'), 0)::bigint,
                coalesce(sum(amount_minor) filter (where component = 'bonus'), 0)::bigint
         from conversions c
         left join (ledger_transactions t join ledger_entries e on e.ledger_transaction_id = t.ledger_transaction_id and account = 'partner_receivable')
                on t.conversion_id = c.conversion_id
         group by c.conversion_id",
    )
    .fetch_all(&engine.db)
    .await
    .expect("conversions");
    assert_eq!(rows.len(), plan.truth.len());
    for (partner, id, state, reversed, credits, commission, bonus) in rows {
        let truth = plan.truth[&(partner.clone(), id.clone())];
        assert_eq!((state.as_str(), credits), ("attributed", 1), "{partner} {id}");
        assert_eq!(Outcome { reversed, commission, bonus }, truth, "{partner} {id}");
    }
    let effects = (number(engine, "select count(*) from reversals").await, number(engine, "select count(*) from success_events").await);
    assert_eq!(effects, (plan.reversals, plan.successes));
    assert_eq!(number(engine, "select sum(amount_minor)::bigint from ledger_entries").await, 0);
}

async fn check_statistics(engine: &Engine, plan: &Plan) {
    let counts: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "select partner_id, sum(conversions)::bigint, sum(conversions_unattributed)::bigint, sum(successes)::bigint
         from hourly_counts group by partner_id having sum(conversions) > 0 order by partner_id desc",
    )
    .fetch_all(&engine.db)
    .await
    .expect("counters");
    let sales = i64::try_from(SALES).expect("a small number");
    let expected = PARTNERS.map(|rates| (rates.partner.to_owned(), sales, 0, plan.successes / 2));
    assert_eq!(counts, expected);
    let money: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "select partner_id, currency, sum(rated)::bigint, sum(commission_minor)::bigint
         from hourly_money group by partner_id, currency order by partner_id desc, currency",
    )
    .fetch_all(&engine.db)
    .await
    .expect("sums");
    let earned =
        |partner: &str| plan.truth.iter().filter(|(key, _)| key.0 == partner).map(|(_, truth)| truth.commission + truth.bonus).sum();
    let expected = PARTNERS.map(|rates| (rates.partner.to_owned(), "USD".to_owned(), sales, earned(rates.partner)));
    assert_eq!(money, expected);
}
