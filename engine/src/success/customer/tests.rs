use chrono::{DateTime, TimeDelta, Utc};
use domain::{DeveloperId, SessionId, auth::Principal, webhook::DeliveryState};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    attribution, click,
    success::tests::{It, it},
    testing, webhook,
};

/// What a sale of 100 dollars earns, without a success and with a production deployment.
const PLAIN: i64 = 2000;
const RAISED: i64 = 3600;

impl It {
    /// A deployment of a customer or session, in place of a link.
    fn deployment_of(&self, id: &str, at: DateTime<Utc>, claim: &Value) -> Value {
        let mut event = self.deployment(id);
        event["data"]["occurred_at"] = at.to_rfc3339().into();
        event["data"]["referral_code"] = Value::Null;
        event["data"].as_object_mut().unwrap().extend(claim.as_object().unwrap().clone());
        event
    }

    async fn click(&self, link: usize, at: DateTime<Utc>, session: SessionId) {
        click::insert_history(&self.engine, &[testing::click(&self.links[link], at, Some(session))]).await.unwrap();
    }

    /// A click that the fallback kept until now.
    async fn late_click(&self, link: usize, at: DateTime<Utc>, session: SessionId) {
        let click = testing::click(&self.links[link], at, Some(session));
        self.engine.clicks.store.insert_late(&self.engine, &[click]).await.unwrap();
    }

    /// A sale of 100 dollars that tells whose session it was.
    async fn sell_to(&self, customer: &str, session: SessionId, id: &str) {
        let data = json!({
            "conversion_id": id, "occurred_at": self.engine.now().to_rfc3339(), "amount": "100.00", "currency": "USD",
            "session_id": session, "user_id": customer,
        });
        self.send(&format!("msg_{id}"), &json!({ "type": "conversion.created", "data": data })).await;
    }

    async fn work(&self) {
        while webhook::work_one(&self.engine).await.unwrap() || attribution::recheck_one(&self.engine).await.unwrap() {}
    }

    async fn delivery(&self, message_id: &str) -> webhook::Delivery {
        let page = webhook::list(&self.engine, &Principal::CommandLine, &webhook::Filter::default()).await.unwrap();
        page.deliveries.into_iter().find(|delivery| delivery.message_id == message_id).unwrap()
    }

    async fn developer_of(&self, id: &str) -> DeveloperId {
        sqlx::query_scalar("select developer_id from success_events where external_event_id = $1")
            .bind(id)
            .fetch_one(&self.engine.db)
            .await
            .unwrap()
    }

    async fn earned_by(&self, sale: &str) -> i64 {
        sqlx::query_scalar(
            "select final_minor + bonus_minor from commissions join conversions using (conversion_id) where external_event_id = $1",
        )
        .bind(sale)
        .fetch_one(&self.engine.db)
        .await
        .unwrap()
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_success_before_the_sale_that_names_its_customer_waits_and_then_raises_it(db: PgPool) {
    let it = it(db).await;
    let session: SessionId = it.engine.new_id();
    it.click(0, it.engine.now() - TimeDelta::hours(2), session).await;
    it.send("msg_1", &it.deployment_of("s_1", it.engine.now(), &json!({ "user_id": "cus_1" }))).await;
    let waiting = it.delivery("msg_1").await;
    assert_eq!((waiting.state, waiting.attempts, waiting.last_error), (DeliveryState::Retrying, 0, None));
    assert_eq!(waiting.outcome.unwrap(), "waits for its customer: no earlier click of customer `cus_1` is known yet");

    it.engine.clock.advance(TimeDelta::days(3));
    it.click(0, it.engine.now() - TimeDelta::hours(1), session).await;
    // The sale of another customer teaches nothing about this one, and its worker finds that out.
    it.sell_to("cus_2", it.engine.new_id(), "ord_2").await;
    assert_eq!(it.delivery("msg_1").await.attempts, 0);
    it.sell_to("cus_1", session, "ord_1").await;
    let processed = it.delivery("msg_1").await;
    assert_eq!((processed.state, processed.attempts), (DeliveryState::Processed, 1));
    assert_eq!((it.earned_by("ord_1").await, it.developer_of("s_1").await), (RAISED, it.links[0].developer_id));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn looks_at_a_success_that_waits_become_rare_and_end_with_a_reason(db: PgPool) {
    let it = it(db).await;
    it.send("msg_1", &it.deployment_of("s_1", it.engine.now(), &json!({ "user_id": "cus_1" }))).await;
    let pause = async || it.delivery("msg_1").await.next_attempt_at - it.engine.now();
    assert!(pause().await <= TimeDelta::seconds(5));
    it.engine.clock.advance(TimeDelta::days(1));
    it.work().await;
    assert!(pause().await > TimeDelta::hours(5));
    it.engine.clock.advance(TimeDelta::days(89));
    it.work().await;
    let dead = it.delivery("msg_1").await;
    assert_eq!(
        (dead.state, dead.last_error.as_deref(), dead.outcome),
        (DeliveryState::Dead, Some("given up after 90 days: no earlier click of customer `cus_1` is known yet"), None)
    );
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_click_that_comes_late_ends_the_wait_at_once(db: PgPool) {
    let it = it(db).await;
    let (session, known): (SessionId, SessionId) = (it.engine.new_id(), it.engine.new_id());
    it.send("msg_1", &it.deployment_of("s_1", it.engine.now(), &json!({ "session_id": session }))).await;
    it.sell_to("cus_1", known, "ord_1").await;
    it.send("msg_2", &it.deployment_of("s_2", it.engine.now(), &json!({ "user_id": "cus_1" }))).await;
    for (session, id, link) in [(session, "s_1", 0), (known, "s_2", 1)] {
        it.late_click(link, it.engine.now() - TimeDelta::hours(1), session).await;
        it.work().await;
        assert_eq!(it.developer_of(id).await, it.links[link].developer_id);
    }
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_success_that_comes_after_its_customer_followed_another_link_stays_with_the_first(db: PgPool) {
    let it = it(db).await;
    let (first, second): (SessionId, SessionId) = (it.engine.new_id(), it.engine.new_id());
    it.click(0, it.engine.now() - TimeDelta::hours(1), first).await;
    it.click(1, it.engine.now() - TimeDelta::minutes(30), second).await;
    it.sell_to("cus_1", first, "ord_1").await;
    let happened = it.engine.now();
    it.engine.clock.advance(TimeDelta::days(1));
    // In the session that was known then, and in one whose click is older than the success but that is known only now.
    it.click(1, it.engine.now() - TimeDelta::hours(1), first).await;
    it.click(1, it.engine.now() - TimeDelta::hours(1), second).await;
    it.sell_to("cus_1", second, "ord_2").await;
    it.send("msg_1", &it.deployment_of("s_1", happened, &json!({ "user_id": "cus_1" }))).await;
    assert_eq!(it.developer_of("s_1").await, it.links[0].developer_id);
    assert_eq!((it.earned_by("ord_1").await, it.earned_by("ord_2").await), (RAISED, PLAIN));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_becomes_known_late_hands_a_success_over_with_all_that_it_earned(db: PgPool) {
    let it = it(db).await;
    let sessions: [SessionId; 3] = std::array::from_fn(|_| it.engine.new_id());
    let now = it.engine.now();
    for link in [0, 1] {
        it.click(link, now - TimeDelta::hours(1), sessions[link]).await;
        it.sell_to(&format!("cus_{link}"), sessions[link], &format!("ord_{link}")).await;
    }
    it.click(0, now - TimeDelta::hours(3), sessions[2]).await;
    it.send("msg_1", &it.deployment_of("s_1", now, &json!({ "session_id": sessions[2] }))).await;
    assert_eq!((it.earned_by("ord_0").await, it.earned_by("ord_1").await), (RAISED, PLAIN));
    it.late_click(1, now - TimeDelta::hours(2), sessions[2]).await;
    it.work().await;
    assert_eq!((it.earned_by("ord_0").await, it.earned_by("ord_1").await), (PLAIN, RAISED));
    assert_eq!((it.developer_of("s_1").await, it.receivable().await), (it.links[1].developer_id, PLAIN + RAISED));

    // The message again is no statement about another developer.
    it.send("msg_2", &it.deployment_of("s_1", now, &json!({ "session_id": sessions[2] }))).await;
    assert_eq!(it.delivery("msg_2").await.state, DeliveryState::Processed);
    // A click after the success has no part in it.
    it.late_click(0, now + TimeDelta::seconds(1), sessions[2]).await;
    it.work().await;
    assert_eq!(it.developer_of("s_1").await, it.links[1].developer_id);
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn waiting_costs_no_adjustment_window(db: PgPool) {
    let it = it(db).await;
    let session: SessionId = it.engine.new_id();
    it.sell("ord_1").await;
    it.engine.clock.advance(TimeDelta::days(1));
    it.click(0, it.engine.now() - TimeDelta::hours(2), session).await;
    it.send("msg_1", &it.deployment_of("s_1", it.engine.now(), &json!({ "user_id": "cus_1" }))).await;
    it.engine.clock.advance(TimeDelta::hours(89 * 24 + 12));
    it.sell_to("cus_1", session, "ord_2").await;
    assert_eq!((it.delivery("msg_1").await.state, it.earned_by("ord_1").await), (DeliveryState::Processed, RAISED));
    it.assert_clean().await;
}
