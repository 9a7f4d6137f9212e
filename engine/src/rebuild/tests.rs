use chrono::TimeDelta;
use domain::{
    Currency,
    auth::{Principal, Role},
    statement::Month,
};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};

use super::{Report, rebuild};
use crate::{
    Engine, Error, attribution, clock, commission, exchange, inbound, payout, statement, success,
    success::tests::{It, it, operator},
    testing, webhook,
};

/// Rebuilds in a database of its own, beside the test's, with several workers.
async fn rebuilt(live: &Engine) -> Result<Report, Error> {
    let name = format!("rebuild_{:016x}", rand::random::<u64>());
    sqlx::raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&live.db).await.unwrap();
    let options = (*live.db.connect_options()).clone().database(&name);
    let target = testing::engine(PgPoolOptions::new().max_connections(5).connect_with(options).await.unwrap());
    let mut report = rebuild(live, &target, 3).await;
    if report.is_ok() {
        // Nothing is rebuilt over what is there.
        assert!(matches!(rebuild(live, &target, 1).await, Err(Error::Conflict(_))));
        let findings = crate::ledger::verify(&target).await.unwrap().findings;
        report = report.inspect(|_| assert_eq!(findings, []));
    }
    target.db.close().await;
    sqlx::raw_sql(AssertSqlSafe(format!("drop database {name} with (force)"))).execute(&live.db).await.unwrap();
    report
}

impl It {
    async fn refund(&self, message_id: &str, sale: &str, amount: &str) {
        let at = self.engine.now().to_rfc3339();
        let data = json!({ "reversal_id": message_id, "conversion_id": sale, "occurred_at": at, "amount": amount, "currency": "USD" });
        self.send(message_id, &json!({ "type": "conversion.reversed", "data": data })).await;
    }

    async fn sell_unclaimed(&self, id: &str, amount: &str, currency: &str, code: Option<&str>) {
        let at = self.engine.now().to_rfc3339();
        let data = json!({ "conversion_id": id, "occurred_at": at, "amount": amount, "currency": currency, "referral_code": code });
        self.send(&format!("msg_{id}"), &json!({ "type": "conversion.created", "data": data })).await;
    }

    async fn commission_of(&self, sale: &str) -> domain::CommissionId {
        commission::explain(&self.engine, sale).await.unwrap().commission_id
    }

    async fn conversion_of(&self, sale: &str) -> domain::ConversionId {
        let id: uuid::Uuid = sqlx::query_scalar("select conversion_id from conversions where external_event_id = $1")
            .bind(sale)
            .fetch_one(&self.engine.db)
            .await
            .unwrap();
        id.into()
    }
}

/// A month with sales, refunds, a success, decisions of all kinds, a statement, and its payout.
async fn month(db: PgPool) -> It {
    let it = it(db).await;
    let (engine, who) = (it.engine.clone(), operator(Role::Operator));
    let month = Month::of(engine.now());
    it.refund("refund-early", "ord_2", "10.00").await;
    for sale in ["ord_1", "ord_2", "ord_3", "ord_4"] {
        it.sell(sale).await;
    }
    it.refund("refund-late", "ord_1", "25.00").await;
    let waiting = it.submitted(&it.deployment("success_1")).await;
    it.verify(waiting.success_event_id).await;
    let wrong = it.submitted(&it.success("success_2", "first_table_created")).await;
    success::reject(&engine, &who, wrong.success_event_id, "an empty table").await.unwrap();

    it.sell_unclaimed("ord_5", "70.00", "USD", Some("p4s_00000000_nobody_000000")).await;
    let code = &it.links[1].referral_code;
    attribution::attribute_by_hand(&engine, &who, it.conversion_of("ord_5").await, code, None, "the customer told us").await.unwrap();
    it.sell_unclaimed("ord_6", "70.00", "USD", Some(code)).await;
    it.sell_unclaimed("ord_7", "-1.00", "USD", None).await;

    commission::hold(&engine, &who, &[it.commission_of("ord_3").await, it.commission_of("ord_4").await], "looks odd").await.unwrap();
    commission::release(&engine, &who, &[it.commission_of("ord_4").await]).await.unwrap();
    let early = [it.commission_of("ord_1").await, it.commission_of("ord_2").await];
    commission::approve_early(&engine, &who, &early, "a known customer").await.unwrap();

    engine.clock.advance(TimeDelta::days(40));
    commission::approve_due(&engine).await.unwrap();
    let issued = statement::issue(&engine, &who, &it.partner_id, month, Currency::USD).await.unwrap();
    let payout = payout::create(&engine, &who, &[issued.statement_id]).await.unwrap();
    payout::mark_paid(&engine, &who, payout.payout_id, "B-1", engine.now().date_naive()).await.unwrap();
    it.refund("refund-after-payout", "ord_2", "20.00").await;
    it
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_is_rebuilt_from_log_and_decisions_is_the_live_state(db: PgPool) {
    let it = month(db).await;
    let report = rebuilt(&it.engine).await.unwrap();
    assert_eq!(report.differences, [], "{report}");
    assert_eq!((report.deliveries, report.decisions, report.waiting), (12, 11, 0));
    assert!(report.compared > 40, "{report}");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_is_not_what_the_events_say_is_found(db: PgPool) {
    let it = month(db).await;
    for change in [
        "update commissions set final_minor = final_minor + 1 where conversion_id = (select conversion_id from conversions where external_event_id = 'ord_4')",
        "delete from attributions where conversion_id = (select conversion_id from conversions where external_event_id = 'ord_5')",
        "update success_events set expires_at = now() where external_event_id = 'success_1'",
        "update webhook_deliveries set state = 'ignored' where message_id = 'msg_ord_6'",
        "update hourly_counts set conversions = conversions + 1
         where (hour, partner_id, shard) in (select hour, partner_id, shard from hourly_counts where conversions > 0 limit 1)",
    ] {
        sqlx::query(change).execute(&it.engine.db).await.unwrap();
    }
    let report = rebuilt(&it.engine).await.unwrap();
    // A counter's key ends with its hour.
    let key = |what: &str, key: &str| if what == "count" { key.rsplit_once('/').unwrap().0.to_owned() } else { key.to_owned() };
    let found: Vec<_> = report.differences.iter().map(|difference| (difference.what, key(difference.what, &difference.key))).collect();
    let wanted = [
        ("delivery", "supabase/msg_ord_6"),
        ("attribution", "supabase/ord_5/1"),
        ("commission", "supabase/ord_4"),
        ("success", "supabase/success_1"),
        ("count", "supabase/conversions"),
    ];
    assert_eq!(found, wanted.map(|(what, key)| (what, key.to_owned())));
    assert_eq!(report.differences[1].live, None);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_counts_in_another_hour_than_that_in_which_it_happened_is_found(db: PgPool) {
    let it = it(db).await;
    it.sell("ord_1").await;
    sqlx::query("update hourly_money set hour = hour + interval '1 day'").execute(&it.engine.db).await.unwrap();
    let report = rebuilt(&it.engine).await.unwrap();
    assert!(report.differences.iter().all(|difference| difference.what == "count"), "{report}");
    assert_eq!(report.difference_count, 4, "commission and rated, each here and there: {report}");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_conversion_that_waited_for_its_exchange_rate_is_rated_at_the_same_one(db: PgPool) {
    let it = it(db).await;
    let (engine, code) = (it.engine.clone(), it.links[0].referral_code.clone());
    it.sell("ord_1").await;
    let session = "0193a1f0-0000-7000-8000-000000000001";
    sqlx::query(
        "insert into clicks (click_id, clicked_at, referral_code, partner_id, site_id, developer_hash, session_id, agent_class, bot, counted)
         values (gen_random_uuid(), now() - interval '1 hour', $1, 'supabase', $2, 'x', $3::uuid, 'desktop', false, true)",
    )
    .bind(&code)
    .bind(it.links[0].site_id)
    .bind(session)
    .execute(&engine.db)
    .await
    .unwrap();
    it.sell_unclaimed("ord_2", "70.00", "CHF", Some(&code)).await;
    let day = (engine.now() - TimeDelta::days(1)).date_naive();
    engine.clock.advance(TimeDelta::minutes(10));
    exchange::import(&engine, &Principal::CommandLine, &format!("Date,USD,CHF\n{day},1.0823,0.9312\n")).await.unwrap();
    while attribution::recheck_one(&engine).await.unwrap() {}
    engine.clock.advance(TimeDelta::minutes(10));
    let today = engine.now().date_naive();
    exchange::import(&engine, &Principal::CommandLine, &format!("Date,USD,CHF\n{today},1.1,0.9\n")).await.unwrap();
    let report = rebuilt(&engine).await.unwrap();
    assert_eq!(report.differences, [], "{report}");
    assert_eq!(report.decisions, 0);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_dead_letter_that_was_replayed_later_is_worked_off_then(db: PgPool) {
    let it = it(db).await;
    let (engine, code) = (it.engine.clone(), it.links[0].referral_code.clone());
    // Of a customer whom nobody knows for longer than it waits.
    let begin = engine.now();
    let at = (begin - TimeDelta::seconds(1)).to_rfc3339();
    let mut success = it.deployment("success_1");
    success["data"]["referral_code"] = json!(null);
    success["data"]["user_id"] = json!("customer-1");
    it.send("msg_success", &success).await;
    engine.clock.advance(TimeDelta::days(91));
    assert!(webhook::work_one(&engine).await.unwrap());
    let click =
        crate::click::follow(&engine, &code, crate::click::Visit { user_agent: Some("Mozilla/5.0 Firefox/140"), ..Default::default() });
    let click = clock::at(begin - TimeDelta::minutes(10), click).await.unwrap();
    let data = json!({ "conversion_id": "ord_1", "occurred_at": at, "amount": "9.00", "currency": "USD", "click_id": click.click_token, "user_id": "customer-1" });
    it.send("msg_ord_1", &json!({ "type": "conversion.created", "data": data })).await;
    assert_eq!(webhook::replay_dead(&engine, &operator(Role::Operator), None).await.unwrap(), 1);
    while webhook::work_one(&engine).await.unwrap() {}
    let report = rebuilt(&engine).await.unwrap();
    assert_eq!(report.differences, [], "{report}");
    assert_eq!(report.deliveries, 2);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_event_that_came_again_corrected_counts_since_then(db: PgPool) {
    let it = it(db).await;
    let engine = it.engine.clone();
    let refund = async |currency: &str| {
        let at = engine.now().to_rfc3339();
        let data = json!({ "reversal_id": "re_1", "conversion_id": "ord_1", "occurred_at": at, "amount": "10.00", "currency": currency });
        let event = json!({ "type": "conversion.reversed", "data": data });
        inbound::enqueue(&engine, &it.partner_id, "postback:re_1", &event).await.unwrap();
        while webhook::work_one(&engine).await.unwrap() {}
        engine.clock.advance(TimeDelta::minutes(1));
    };
    refund("EUR").await;
    it.sell("ord_1").await;
    engine.clock.advance(TimeDelta::minutes(1));
    refund("USD").await;
    let report = rebuilt(&engine).await.unwrap();
    assert_eq!((report.differences, report.deliveries), (Vec::new(), 2));
    let reversed: i64 = sqlx::query_scalar("select reversed_minor from conversions").fetch_one(&engine.db).await.unwrap();
    assert_eq!(reversed, 1000);
}
