//! Requests to the API and postbacks on a real database, from the door to the ledger.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ApiTokenId, PartnerId,
    auth::Principal,
    click::{ClickToken, partner_digest},
    referral_code::ReferralCode,
};
use futures::future::join_all;
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Answered, enqueue, record_conversion, record_reversal};
use crate::{
    Engine, Error, attribution, ledger, new_id, partner, referral_code, reversal,
    simulation::{NewSite, plant},
    testing, webhook,
};

/// An installation with the partners of the repository and one developer's link to Supabase.
pub(crate) struct It {
    pub engine: Engine,
    pub partner_id: PartnerId,
    pub code: ReferralCode,
}

pub(crate) async fn it(db: PgPool) -> It {
    let engine = testing::engine(db);
    partner::import_files(&engine, Path::new("../partners")).await.unwrap();
    let partner_id: PartnerId = "supabase".parse().unwrap();
    let site = NewSite { user_ref: "user-1".to_owned(), name: "A site".to_owned(), url: None, analysis: None, created_at: engine.now() };
    let links = plant(&engine, &[site], std::slice::from_ref(&partner_id)).await.unwrap();
    referral_code::refresh_links(&engine).await.unwrap();
    It { engine, partner_id, code: links[0].referral_code.parse().unwrap() }
}

impl It {
    pub fn now(&self) -> DateTime<Utc> {
        self.engine.now()
    }

    /// A click an hour before something.
    pub fn click_before(&self, at: DateTime<Utc>) -> String {
        let token = ClickToken {
            click_id: new_id(at - TimeDelta::hours(1)),
            session_id: None,
            code_digest: self.code.digest(),
            partner_digest: partner_digest(&self.partner_id),
        };
        token.sign(&self.engine.keys.click_mac)
    }

    /// A sale by an own click, at a whole second so that it reads the same everywhere.
    pub fn sale(&self, id: &str, amount: &str, currency: &str, at: DateTime<Utc>) -> Value {
        json!({
            "partner": "supabase", "external_event_id": id, "type": "sale", "occurred_at": at.to_rfc3339(),
            "amount": amount, "currency": currency, "click_id": self.click_before(at),
        })
    }

    pub async fn create(&self, key: Option<&str>, request: &Value) -> Result<Answered, Error> {
        record_conversion(&self.engine, &machine("conversions:write"), key, request.as_object().unwrap()).await
    }

    pub async fn reverse(&self, key: Option<&str>, request: &Value) -> Result<Answered, Error> {
        record_reversal(&self.engine, &machine("conversions:write"), key, request.as_object().unwrap()).await
    }

    /// Works until the queues are empty.
    pub async fn drain(&self) {
        while webhook::work_one(&self.engine).await.unwrap() || attribution::recheck_one(&self.engine).await.unwrap() {}
    }

    /// What Supabase owes by the ledger, in cents.
    pub async fn receivable(&self) -> i64 {
        let balances = ledger::balances(&self.engine).await.unwrap();
        balances.iter().filter(|balance| balance.account == "partner_receivable").map(|balance| balance.amount_minor).sum()
    }

    pub async fn count(&self, table: &str) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}"))).fetch_one(&self.engine.db).await.unwrap()
    }

    pub async fn assert_books_are_clean(&self) {
        assert_eq!(ledger::verify(&self.engine).await.unwrap().findings, []);
    }
}

fn machine(scope: &str) -> Principal {
    Principal::Machine { id: ApiTokenId(Uuid::nil()), name: "billing".to_owned(), scopes: vec![scope.to_owned()], partner_id: None }
}

/// The server of a partner.
fn machine_of(partner_id: &str) -> Principal {
    Principal::Machine {
        id: ApiTokenId(Uuid::nil()),
        name: "their server".to_owned(),
        scopes: vec!["conversions:write".to_owned()],
        partner_id: Some(partner_id.parse().unwrap()),
    }
}

fn field(result: Result<Answered, Error>) -> String {
    match result {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("not refused as invalid: {other:?}"),
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_request_is_attributed_rated_booked_and_answered_at_once(db: PgPool) {
    let it = it(db).await;
    let answered = it.create(Some("key-1"), &it.sale("ord_1", "49.00", "USD", it.now())).await.unwrap();
    assert_eq!((answered.duplicate, answered.replayed), (false, false));
    let answer = &answered.answer;
    assert_eq!((&answer["conversion_id"], &answer["state"], &answer["reason"]), (&json!("ord_1"), &json!("attributed"), &Value::Null));
    assert_eq!((&answer["commission"]["amount"], &answer["commission"]["state"]), (&json!("9.80"), &json!("pending")));
    assert_eq!(it.receivable().await, 980);
    let logged: (String, String, String) =
        sqlx::query_as("select event_path, state, message_id from webhook_deliveries").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!(logged, ("api".to_owned(), "processed".to_owned(), "api:key:key-1".to_owned()));
    let source: String = sqlx::query_scalar("select source from conversions").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!(source, "api");
    it.assert_books_are_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_same_key_gets_the_same_answer_and_another_body_under_it_is_named(db: PgPool) {
    let it = it(db).await;
    let sale = it.sale("ord_1", "49.00", "USD", it.now());
    let first = it.create(Some("key-1"), &sale).await.unwrap();
    let again = it.create(Some("\"key-1\""), &sale).await.unwrap();
    assert_eq!((again.answer == first.answer, again.replayed, again.duplicate), (true, true, false));

    let mut other = sale.clone();
    other["amount"] = "50.00".into();
    let Err(Error::Conflict(words)) = it.create(Some("key-1"), &other).await else { panic!("not a conflict") };
    assert_eq!(words, "`key-1` was sent before with another body: `amount` was \"49.00\"");
    let Err(Error::Conflict(words)) =
        it.reverse(Some("key-1"), &json!({ "partner": "supabase", "conversion_id": "ord_1", "occurred_at": "2026-11-22T12:00:00Z" })).await
    else {
        panic!("not a conflict")
    };
    assert!(words.contains("`type` was"), "{words}");
    assert_eq!((it.receivable().await, it.count("conversions").await, it.count("reversals").await), (980, 1, 0));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn equal_requests_at_once_have_one_effect_and_one_answer(db: PgPool) {
    let it = it(db).await;
    let sale = it.sale("ord_1", "49.00", "USD", it.now());
    let answers = join_all((0..12).map(|_| it.create(Some("key-1"), &sale))).await;
    let answers: Vec<Answered> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answered| !answered.replayed).count(), 1);
    assert!(answers.iter().all(|answered| answered.answer == answers[0].answer));
    let counted: i64 = sqlx::query_scalar("select sum(conversions)::bigint from hourly_counts").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!((it.receivable().await, it.count("conversions").await, counted), (980, 1, 1));

    // Under a key each: the event's own id decides.
    let keys: Vec<String> = (0..12).map(|number| format!("key-{number}-b")).collect();
    let other = it.sale("ord_2", "10.00", "USD", it.now());
    let answers = join_all(keys.iter().map(|key| it.create(Some(key), &other))).await;
    assert_eq!(answers.iter().filter(|answered| !answered.as_ref().unwrap().duplicate).count(), 1);
    assert_eq!((it.receivable().await, it.count("conversions").await), (1180, 2));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_request_that_is_wrong_names_its_field_and_leaves_nothing(db: PgPool) {
    let it = it(db).await;
    let good = it.sale("ord_1", "49.00", "USD", it.now());
    let refused = async |name: &str, value: Value| {
        let mut request = good.clone();
        request[name] = value;
        field(it.create(Some("key-1"), &request).await)
    };
    assert_eq!(refused("partner", Value::Null).await, "partner");
    assert_eq!(refused("partner", json!("nobody")).await, "partner");
    assert_eq!(refused("amount", json!(49.0)).await, "amount");
    assert_eq!(refused("amount", json!("-1.00")).await, "amount");
    assert_eq!(refused("amount", json!("1.001")).await, "amount");
    assert_eq!(refused("amount", json!("1000000000000.01")).await, "amount");
    assert_eq!(refused("currency", json!("usd")).await, "currency");
    assert_eq!(refused("type", json!("gift")).await, "type");
    assert_eq!(refused("occurred_at", json!("yesterday")).await, "occurred_at");
    assert_eq!(refused("occurred_at", json!((it.now() + TimeDelta::hours(1)).to_rfc3339())).await, "occurred_at");
    assert_eq!(refused("session_id", json!("7")).await, "session_id");
    assert_eq!(refused("clik_id", json!("abc")).await, "clik_id");
    assert_eq!(refused("conversion_id", json!("ord_2")).await, "external_event_id", "two names for one field");
    assert_eq!(field(it.create(Some(""), &good).await), "Idempotency-Key");
    assert_eq!(field(it.create(Some(&"k".repeat(191)), &good).await), "Idempotency-Key");
    let mut nameless = good.clone();
    nameless.as_object_mut().unwrap().remove("external_event_id");
    assert_eq!(field(it.create(None, &nameless).await), "conversion_id");
    assert_eq!((it.count("webhook_deliveries").await, it.count("conversions").await), (0, 0));

    // The key is free again, and serves as the id where there is none.
    let answered = it.create(Some("key-1"), &nameless).await.unwrap();
    assert_eq!(answered.answer["conversion_id"], "key-1");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn only_who_may_write_conversions_does(db: PgPool) {
    let it = it(db).await;
    let nothing = Map::new();
    for who in [machine("sites:write"), machine("conversions:read")] {
        assert!(matches!(record_conversion(&it.engine, &who, None, &nothing).await, Err(Error::Forbidden(_))));
        assert!(matches!(record_reversal(&it.engine, &who, None, &nothing).await, Err(Error::Forbidden(_))));
    }
    assert!(matches!(record_conversion(&it.engine, &Principal::Anonymous, None, &nothing).await, Err(Error::Unauthenticated)));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn to_a_partners_token_there_is_no_other_partner(db: PgPool) {
    let it = it(db).await;
    let sale = it.sale("ord_1", "49.00", "USD", it.now());
    let refund =
        json!({ "partner": "supabase", "external_event_id": "re_1", "conversion_id": "ord_1", "occurred_at": it.now().to_rfc3339() });
    let send = async |who: Principal, refunded: bool| {
        let fields = if refunded { &refund } else { &sale }.as_object().unwrap();
        if refunded {
            record_reversal(&it.engine, &who, None, fields).await
        } else {
            record_conversion(&it.engine, &who, None, fields).await
        }
    };
    assert!(!send(machine_of("supabase"), false).await.unwrap().duplicate);
    for refunded in [false, true] {
        let Err(Error::Invalid { field, reason }) = send(machine_of("railway"), refunded).await else { panic!("not refused") };
        assert_eq!((field.as_str(), reason.as_str()), ("partner", "there is no partner `supabase`"), "as of one that there is not");
    }
    assert_eq!((it.count("webhook_deliveries").await, it.count("reversals").await, it.receivable().await), (1, 0, 980));
    send(machine_of("supabase"), true).await.unwrap();
    assert_eq!(it.receivable().await, 0);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_event_ahead_of_our_clock_keeps_the_terms_that_it_was_rated_under(db: PgPool) {
    let it = it(db).await;
    let ahead = it.now() + TimeDelta::seconds(90);
    it.create(None, &it.sale("ord_1", "100.00", "USD", ahead)).await.unwrap();
    let mut connection = it.engine.db.acquire().await.unwrap();
    let mut values = partner::terms_at(&mut connection, &it.partner_id, it.now()).await.unwrap().values;
    (values.commission_rate, values.payout_currency) = ("0.50".parse().unwrap(), "EUR".parse().unwrap());
    partner::add_terms(&it.engine, &Principal::CommandLine, &it.partner_id, values, None, it.now()).await.unwrap();
    it.assert_books_are_clean().await;

    it.engine.clock.advance(TimeDelta::minutes(10));
    let at = it.now().to_rfc3339();
    let refund = json!({ "partner": "supabase", "external_event_id": "re_1", "conversion_id": "ord_1", "occurred_at": at, "amount": "50.00", "currency": "USD" });
    it.reverse(None, &refund).await.unwrap();
    assert_eq!(it.receivable().await, 1000);
    it.assert_books_are_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn one_event_on_two_ways_is_one_conversion_and_another_amount_is_refused(db: PgPool) {
    let it = it(db).await;
    let now = it.now();
    let data = json!({ "conversion_id": "ord_1", "occurred_at": now.to_rfc3339(), "amount": "49.00", "currency": "USD", "click_id": it.click_before(now) });
    webhook::enqueue(&it.engine, &it.partner_id, "events", "msg_1", &json!({ "type": "conversion.created", "data": data })).await.unwrap();
    it.drain().await;
    let answered = it.create(None, &it.sale("ord_1", "49.00", "USD", now)).await.unwrap();
    assert_eq!((answered.duplicate, answered.replayed, it.receivable().await), (true, false, 980));
    let Err(Error::Conflict(words)) = it.create(Some("other"), &it.sale("ord_1", "90.00", "USD", now)).await else {
        panic!("not a conflict")
    };
    assert_eq!(words, "`ord_1` was recorded before with 49.00 USD");
    assert_eq!((it.count("conversions").await, it.count("webhook_deliveries").await), (1, 2));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn reversals_come_before_and_after_their_conversion_in_part_and_in_full(db: PgPool) {
    let it = it(db).await;
    let reversal = |id: &str, amount: Option<&str>| {
        let mut request = json!({ "partner": "supabase", "external_event_id": id, "conversion_id": "ord_1", "occurred_at": "2026-11-22T12:00:00Z", "reason": "asked for" });
        if let Some(amount) = amount {
            request["amount"] = amount.into();
            request["currency"] = "USD".into();
        }
        request
    };
    let early = it.reverse(None, &reversal("re_1", Some("40.00"))).await.unwrap();
    assert_eq!((&early.answer["state"], &early.answer["applied"]), (&json!("waiting"), &Value::Null));
    let sale = it.create(None, &it.sale("ord_1", "100.00", "USD", it.now())).await.unwrap();
    assert_eq!(sale.answer["commission"]["amount"], "12.00");

    let part = it.reverse(Some("refund-2"), &reversal("re_2", Some("10.00"))).await.unwrap();
    assert_eq!(
        (&part.answer["state"], &part.answer["applied"], &part.answer["commission"]["amount"]),
        (&json!("applied"), &json!("10.00"), &json!("10.00"))
    );
    assert!(it.reverse(Some("refund-2"), &reversal("re_2", Some("10.00"))).await.unwrap().replayed);
    assert!(it.reverse(Some("refund-2b"), &reversal("re_2", Some("10.00"))).await.unwrap().duplicate);
    assert!(matches!(it.reverse(Some("refund-2c"), &reversal("re_2", Some("11.00"))).await, Err(Error::Conflict(_))));
    assert_eq!(it.receivable().await, 1000);

    let logged = it.count("webhook_deliveries").await;
    let mut euros = reversal("re_3", Some("10.00"));
    euros["currency"] = "EUR".into();
    assert_eq!(field(it.reverse(None, &euros).await), "currency");
    assert_eq!(field(it.reverse(None, &reversal("re_3", Some("0"))).await), "amount");
    assert_eq!(it.count("webhook_deliveries").await, logged);

    let rest = it.reverse(None, &reversal("re_4", None)).await.unwrap();
    assert_eq!((&rest.answer["applied"], it.receivable().await), (&json!("50.00"), 0));
    it.assert_books_are_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_postback_is_checked_at_the_door_and_queued_once(db: PgPool) {
    let it = it(db).await;
    let event = |amount: &str, at: &str| {
        let data =
            json!({ "conversion_id": "t1", "occurred_at": at, "amount": amount, "currency": "USD", "click_id": it.click_before(it.now()) });
        json!({ "type": "conversion.created", "data": data })
    };
    let send = async |event: Value| enqueue(&it.engine, &it.partner_id, "postback:t1", &event).await;
    assert!(matches!(send(event("9,50", "2026-11-22T12:00:00Z")).await, Err(Error::Invalid { field, .. }) if field == "amount"));
    assert_eq!(it.count("webhook_deliveries").await, 0);

    let now = it.now().to_rfc3339();
    assert!(!send(event("9.50", &now)).await.unwrap().duplicate);
    assert!(send(event("9.50", &(it.now() + TimeDelta::seconds(9)).to_rfc3339())).await.unwrap().duplicate);
    assert!(matches!(send(event("19.50", &now)).await, Err(Error::Conflict(_))));
    it.drain().await;
    let error: Option<String> = sqlx::query_scalar("select last_error from webhook_deliveries").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!(error, None);
    let source: String = sqlx::query_scalar("select source from conversions").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!((source.as_str(), it.receivable().await), ("postback", 190));
}

/// A refund of `ord_1` as a postback.
fn refund(at: DateTime<Utc>, amount: &str, currency: &str) -> Value {
    let data =
        json!({ "reversal_id": "re_1", "conversion_id": "ord_1", "occurred_at": at.to_rfc3339(), "amount": amount, "currency": currency });
    json!({ "type": "conversion.reversed", "data": data })
}

impl It {
    async fn send_refund(&self, amount: &str, currency: &str) -> bool {
        let queued = enqueue(&self.engine, &self.partner_id, "postback:re_1", &refund(self.now(), amount, currency)).await.unwrap();
        self.drain().await;
        queued.duplicate
    }

    /// Why the refund was given up, and how many bodies it had before.
    async fn refund_in_log(&self) -> (String, Option<String>, Option<i32>) {
        sqlx::query_as(
            "select state, last_error, jsonb_array_length(earlier_bodies) from webhook_deliveries where message_id = 'postback:re_1'",
        )
        .fetch_one(&self.engine.db)
        .await
        .unwrap()
    }
}

const OTHER_CURRENCY: &str = "currency: `EUR` is not the conversion's USD";

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_refund_in_another_currency_is_given_up_when_its_sale_comes_and_may_come_again_corrected(db: PgPool) {
    let it = it(db).await;
    assert!(!it.send_refund("10.00", "EUR").await);
    let waiting = reversal::list_waiting(&it.engine, &Principal::CommandLine).await.unwrap();
    assert_eq!((waiting.total, waiting.reversals[0].conversion_external_event_id.as_str()), (1, "ord_1"));
    assert_eq!(waiting.reversals[0].amount.unwrap().to_string(), "€10.00");
    let nobody = reversal::list_waiting(&it.engine, &Principal::Anonymous).await;
    assert!(matches!(nobody, Err(Error::Unauthenticated)));

    it.create(None, &it.sale("ord_1", "100.00", "USD", it.now())).await.unwrap();
    assert_eq!(it.refund_in_log().await, ("dead".to_owned(), Some(OTHER_CURRENCY.to_owned()), None));
    assert_eq!(reversal::list_waiting(&it.engine, &Principal::CommandLine).await.unwrap().total, 0);
    assert_eq!(it.receivable().await, 2000);

    assert!(!it.send_refund("10.00", "USD").await, "it was given up, so that this is its first effect");
    assert_eq!(it.refund_in_log().await, ("processed".to_owned(), None, Some(1)));
    assert_eq!(it.receivable().await, 1800);
    assert!(it.send_refund("10.00", "USD").await);
    assert_eq!(it.receivable().await, 1800);
    let before: Value = sqlx::query_scalar("select convert_from(decode(earlier_bodies -> 0 ->> 'body', 'base64'), 'utf8')::jsonb from webhook_deliveries where earlier_bodies is not null")
        .fetch_one(&it.engine.db)
        .await
        .unwrap();
    assert_eq!(before["data"]["currency"], "EUR", "the raw log keeps what came first");
    it.assert_books_are_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_event_that_stays_wrong_has_only_so_many_bodies(db: PgPool) {
    let it = it(db).await;
    it.create(None, &it.sale("ord_1", "100.00", "USD", it.now())).await.unwrap();
    for number in 1..=21 {
        assert!(!it.send_refund(&format!("{number}.00"), "EUR").await, "{number}");
    }
    let full = ("dead".to_owned(), Some(OTHER_CURRENCY.to_owned()), Some(20));
    assert_eq!(it.refund_in_log().await, full);
    let other = enqueue(&it.engine, &it.partner_id, "postback:re_1", &refund(it.now(), "1.00", "USD")).await;
    assert!(matches!(other, Err(Error::Conflict(_))), "an operator has to look at it");
    it.drain().await;
    assert_eq!((it.refund_in_log().await, it.receivable().await), (full, 2000));
}
