//! Successes on a real database, from the API or a signed webhook to the ledger.

use std::path::Path;

use chrono::TimeDelta;
use domain::{
    ApiTokenId, OperatorId, PartnerId, SuccessEventId,
    auth::{Principal, Role},
    click::{ClickToken, partner_digest},
    referral_code::ReferralCode,
};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Filter, Listed, State, find, list, metrics, queue, reject, scores, submit, verify};
use crate::{
    Engine, Error, commission, ledger, new_id, partner, referral_code,
    simulation::{NewSite, PlantedLink, plant},
    testing, webhook,
};

/// An installation with the partners of the repository and two developers' links to Supabase.
pub(crate) struct It {
    pub engine: Engine,
    pub partner_id: PartnerId,
    pub links: Vec<PlantedLink>,
}

pub(crate) async fn it(db: PgPool) -> It {
    let engine = testing::engine(db);
    partner::import_files(&engine, Path::new("../partners")).await.unwrap();
    let partner_id: PartnerId = "supabase".parse().unwrap();
    let site = |user_ref: &str| NewSite {
        user_ref: user_ref.to_owned(),
        name: format!("Site of {user_ref}"),
        url: None,
        analysis: None,
        created_at: engine.now(),
    };
    let links = plant(&engine, &[site("user-1"), site("user-2")], std::slice::from_ref(&partner_id)).await.unwrap();
    referral_code::refresh_links(&engine).await.unwrap();
    It { engine, partner_id, links }
}

pub(crate) fn operator(role: Role) -> Principal {
    Principal::Operator { id: OperatorId(Uuid::nil()), email: "operator@example.com".to_owned(), role }
}

fn machine(scopes: &[&str]) -> Principal {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    Principal::Machine { id: ApiTokenId(Uuid::nil()), name: "our service".to_owned(), scopes, partner_id: None }
}

impl It {
    /// A success of the first developer, with evidence of its own.
    pub fn success(&self, id: &str, metric: &str) -> Value {
        json!({
            "type": "success.achieved",
            "data": {
                "success_id": id, "metric": metric, "occurred_at": self.engine.now().to_rfc3339(), "referral_code": self.links[0].referral_code,
                "evidence": {
                    "project_id": id, "user_id": "u", "creation_date": "2026-11-22", "table_name": "t",
                    "deployment_url": "https://example.com", "deployment_date": "2026-11-22",
                },
            },
        })
    }

    pub fn deployment(&self, id: &str) -> Value {
        self.success(id, "production_deployment")
    }

    pub async fn submit(&self, event: &Value) -> Result<super::Submitted, Error> {
        submit(&self.engine, &machine(&["successes:write"]), &self.partner_id, event.clone()).await
    }

    pub async fn submitted(&self, event: &Value) -> Listed {
        self.submit(event).await.unwrap().success
    }

    /// As the partner would, signed.
    pub async fn send(&self, message_id: &str, event: &Value) {
        webhook::enqueue(&self.engine, &self.partner_id, "events", message_id, event).await.unwrap();
        while webhook::work_one(&self.engine).await.unwrap() {}
    }

    /// A sale of 100 dollars, by a click an hour before.
    pub async fn sell(&self, id: &str) {
        let code: ReferralCode = self.links[0].referral_code.parse().unwrap();
        let token = ClickToken {
            click_id: new_id(self.engine.now() - TimeDelta::hours(1)),
            session_id: None,
            code_digest: code.digest(),
            partner_digest: partner_digest(&self.partner_id),
        };
        let data = json!({
            "conversion_id": id, "occurred_at": self.engine.now().to_rfc3339(), "amount": "100.00", "currency": "USD",
            "click_id": token.sign(&self.engine.keys.click_mac),
        });
        self.send(&format!("msg_{id}"), &json!({ "type": "conversion.created", "data": data })).await;
    }

    pub async fn verify(&self, id: SuccessEventId) {
        verify(&self.engine, &operator(Role::Operator), id, Some("seen it")).await.unwrap();
    }

    pub async fn receivable(&self) -> i64 {
        let balances = ledger::balances(&self.engine).await.unwrap();
        balances.iter().filter(|balance| balance.account == "partner_receivable").map(|balance| balance.amount_minor).sum()
    }

    /// By name, since those of one millisecond have no order.
    async fn kinds(&self) -> Vec<String> {
        sqlx::query_scalar("select kind from ledger_transactions order by kind").fetch_all(&self.engine.db).await.unwrap()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.engine.db).await.unwrap()
    }

    async fn counted(&self) -> i64 {
        self.count("select coalesce(sum(successes), 0)::bigint from hourly_counts").await
    }

    async fn state(&self, id: SuccessEventId) -> State {
        find(&self.engine, &Principal::CommandLine, id).await.unwrap().success.state
    }

    /// The books, and what is derived from the events, agree.
    pub async fn assert_clean(&self) {
        assert_eq!(ledger::verify(&self.engine).await.unwrap().findings, []);
    }
}

fn field(result: Result<super::Submitted, Error>) -> String {
    match result {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_the_api_states_waits_and_multiplies_nothing(db: PgPool) {
    let it = it(db).await;
    let success = it.submitted(&it.deployment("s_1")).await;
    it.sell("ord_1").await;
    assert_eq!((success.state, success.verified_by, it.receivable().await), (State::Unverified, None, 2000));
    let waiting = queue(&it.engine, &Principal::CommandLine).await.unwrap();
    assert_eq!((waiting.waiting, waiting.successes[0].success_event_id), (1, success.success_event_id));
    assert_eq!(it.counted().await, 0);
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_verification_rates_again_and_books_an_adjustment(db: PgPool) {
    let it = it(db).await;
    it.sell("ord_1").await;
    let id = it.submitted(&it.deployment("s_1")).await.success_event_id;
    assert_eq!(it.receivable().await, 2000);
    it.verify(id).await;
    // 20.00 × 1.5 + 20.00 × 0.30
    assert_eq!(
        (it.receivable().await, it.kinds().await),
        (3600, vec!["adjustment".to_owned(), "bonus".to_owned(), "commission".to_owned()])
    );
    let detail = find(&it.engine, &Principal::CommandLine, id).await.unwrap();
    assert_eq!((detail.success.verified_by.as_deref(), detail.decision_reason.as_deref()), (Some("operator@example.com"), Some("seen it")));
    assert_eq!(detail.conversions[0].adjusted.unwrap().amount_minor, 1000);
    assert_eq!(it.counted().await, 1);
    let audit: (String, Value) = sqlx::query_as("select subject, detail from audit_entries where action = 'success.verified'")
        .fetch_one(&it.engine.db)
        .await
        .unwrap();
    assert_eq!((audit.0.as_str(), &audit.1["external_event_id"]), ("success supabase/s_1", &json!("s_1")));
    assert!(matches!(verify(&it.engine, &Principal::CommandLine, id, None).await, Err(Error::Conflict(_))));
    assert!(commission::explain(&it.engine, "ord_1").await.unwrap().agrees());
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn after_the_adjustment_window_a_verification_moves_no_money(db: PgPool) {
    let it = it(db).await;
    it.sell("ord_1").await;
    let id = it.submitted(&it.deployment("s_1")).await.success_event_id;
    it.engine.clock.advance(TimeDelta::days(91));
    it.verify(id).await;
    assert_eq!((it.receivable().await, it.kinds().await), (2000, vec!["commission".to_owned()]));
    it.sell("ord_2").await;
    assert_eq!(it.receivable().await, 2000 + 3600);
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn rating_again_never_passes_the_cap(db: PgPool) {
    let it = it(db).await;
    let mut values = partner::terms_at(&mut it.engine.db.acquire().await.unwrap(), &it.partner_id, it.engine.now()).await.unwrap().values;
    values.multiplier_cap = "1.4".parse().unwrap();
    partner::add_terms(&it.engine, &Principal::CommandLine, &it.partner_id, values, None, it.engine.now()).await.unwrap();
    it.engine.clock.advance(TimeDelta::hours(2));
    it.sell("ord_1").await;
    it.submitted(&it.success("s_1", "first_table_created")).await;
    assert_eq!(it.receivable().await, 2400);
    for id in ["s_2", "s_3"] {
        let id = it.submitted(&it.deployment(id)).await.success_event_id;
        it.verify(id).await;
        assert_eq!(it.receivable().await, 2800);
    }
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_metric_that_needs_no_verification_counts_at_once(db: PgPool) {
    let it = it(db).await;
    it.sell("ord_1").await;
    let success = it.submitted(&it.success("s_1", "first_table_created")).await;
    assert_eq!((success.state, success.verified_by.as_deref()), (State::Verified, Some("not required")));
    // 20.00 × 1.2, and no bonus: that is for milestones that are verified
    assert_eq!((it.receivable().await, it.counted().await), (2400, 1));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_same_external_id_or_evidence_gets_the_answer_of_the_first(db: PgPool) {
    let it = it(db).await;
    let event = it.deployment("s_1");
    let first = it.submit(&event).await.unwrap();
    let again = it.submit(&event).await.unwrap();
    let mut other_id = event.clone();
    other_id["data"]["success_id"] = "s_2".into();
    let same_evidence = it.submit(&other_id).await.unwrap();
    assert_eq!((first.new, again.new, same_evidence.new), (true, false, false));
    assert_eq!((&first.success, &first.success), (&again.success, &same_evidence.success));

    let mut other_developer = other_id.clone();
    other_developer["data"]["referral_code"] = it.links[1].referral_code.as_str().into();
    assert!(it.submit(&other_developer).await.unwrap().new);
    assert_eq!(it.count("select count(*) from success_events").await, 2);
    it.verify(first.success.success_event_id).await;
    it.submit(&event).await.unwrap();
    assert_eq!((it.counted().await, it.state(first.success.success_event_id).await), (1, State::Verified));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_success_without_an_id_is_named_by_what_it_says(db: PgPool) {
    let it = it(db).await;
    let mut event = it.deployment("s_1");
    event["data"].as_object_mut().unwrap().remove("success_id");
    let first = it.submit(&event).await.unwrap();
    assert!(first.success.external_event_id.starts_with("sha256:"));
    assert!(!it.submit(&event).await.unwrap().new);
    event["data"]["evidence"]["project_id"] = "another".into();
    assert!(it.submit(&event).await.unwrap().new);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn many_at_once_with_the_same_evidence_are_one_success(db: PgPool) {
    let it = it(db).await;
    it.sell("ord_1").await;
    let events: Vec<_> = (0..8)
        .map(|number| {
            let mut event = it.success("s", "first_table_created");
            event["data"]["success_id"] = format!("s_{number}").into();
            event
        })
        .collect();
    let answers = futures::future::join_all(events.iter().map(|event| it.submit(event))).await;
    assert_eq!(answers.into_iter().filter(|answer| answer.as_ref().unwrap().new).count(), 1);
    assert_eq!((it.count("select count(*) from success_events").await, it.counted().await, it.receivable().await), (1, 1, 2400));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_signed_webhook_confirms_evidence_that_waits(db: PgPool) {
    let it = it(db).await;
    it.sell("ord_1").await;
    let event = it.deployment("s_1");
    let id = it.submitted(&event).await.success_event_id;
    let mut stated = event.clone();
    stated["data"]["success_id"] = "the partner's own id".into();
    it.send("msg_1", &stated).await;
    it.send("msg_2", &stated).await;
    it.send("msg_3", &event).await;
    let detail = find(&it.engine, &Principal::CommandLine, id).await.unwrap().success;
    assert_eq!((detail.state, detail.verified_by.as_deref()), (State::Verified, Some("signed webhook")));
    assert_eq!((it.receivable().await, it.counted().await, it.count("select count(*) from success_events").await), (3600, 1, 1));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_signed_webhook_about_another_metric_under_a_known_id_is_a_dead_letter(db: PgPool) {
    let it = it(db).await;
    let id = it.submitted(&it.deployment("s_1")).await.success_event_id;
    it.send("msg_1", &it.success("s_1", "first_table_created")).await;
    let error: String =
        sqlx::query_scalar("select last_error from webhook_deliveries where state = 'dead'").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!(error, "success `s_1` was recorded before for another metric or developer");
    assert_eq!(it.state(id).await, State::Unverified);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn replaying_what_the_api_stated_proves_nothing(db: PgPool) {
    let it = it(db).await;
    let id = it.submitted(&it.deployment("s_1")).await.success_event_id;
    let delivery = find(&it.engine, &Principal::CommandLine, id).await.unwrap().webhook_delivery_id.unwrap();
    webhook::replay(&it.engine, &Principal::CommandLine, delivery).await.unwrap();
    while webhook::work_one(&it.engine).await.unwrap() {}
    assert_eq!(it.state(id).await, State::Unverified);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_was_rejected_stays_so_until_an_operator_decides_otherwise(db: PgPool) {
    let it = it(db).await;
    it.sell("ord_1").await;
    let event = it.deployment("s_1");
    let id = it.submitted(&event).await.success_event_id;
    let who = operator(Role::Operator);
    assert!(matches!(reject(&it.engine, &who, id, "  ").await, Err(Error::Invalid { field, .. }) if field == "reason"));
    assert!(matches!(reject(&it.engine, &who, id, &"x".repeat(1001)).await, Err(Error::Invalid { .. })));
    reject(&it.engine, &who, id, "the address does not answer").await.unwrap();
    it.send("msg_1", &event).await;
    assert_eq!((it.state(id).await, it.receivable().await, it.counted().await), (State::Rejected, 2000, 0));
    assert!(matches!(reject(&it.engine, &who, id, "again").await, Err(Error::Conflict(_))));
    it.verify(id).await;
    assert_eq!((it.receivable().await, it.counted().await), (3600, 1));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn rejecting_a_verified_success_takes_back_what_it_earned_at_any_time(db: PgPool) {
    let it = it(db).await;
    it.sell("ord_1").await;
    it.send("msg_1", &it.deployment("s_1")).await;
    assert_eq!(it.receivable().await, 3600);
    let id = list(&it.engine, &Principal::CommandLine, &Filter::default()).await.unwrap().successes[0].success_event_id;
    it.engine.clock.advance(TimeDelta::days(200));
    reject(&it.engine, &operator(Role::Owner), id, "the site was never there").await.unwrap();
    assert_eq!((it.receivable().await, it.counted().await), (2000, 0));
    it.assert_clean().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_success_that_expired_before_the_sale_multiplies_nothing(db: PgPool) {
    let it = it(db).await;
    let mut event = it.deployment("s_1");
    event["data"]["expires_at"] = (it.engine.now() + TimeDelta::hours(1)).to_rfc3339().into();
    let success = it.submitted(&event).await;
    it.verify(success.success_event_id).await;
    it.sell("ord_1").await;
    assert_eq!(it.receivable().await, 3600);
    it.engine.clock.advance(TimeDelta::hours(2));
    it.sell("ord_2").await;
    assert_eq!(it.receivable().await, 3600 + 2000);
    let scores = scores(&it.engine, &Principal::CommandLine, success.developer_id, &it.partner_id).await.unwrap();
    assert_eq!(scores.overall.parts, []);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn each_wrong_field_is_named_and_nothing_is_stored(db: PgPool) {
    let it = it(db).await;
    let with = |name: &str, value: Value| {
        let mut event = it.deployment("s_1");
        event["data"][name] = value;
        event
    };
    let evidence = |name: &str, value: Value| {
        let mut event = it.deployment("s_1");
        event["data"]["evidence"][name] = value;
        event
    };
    let now = it.engine.now();
    for (expected, event) in [
        ("data.success_id", with("success_id", json!(""))),
        ("data.metric", with("metric", json!(7))),
        ("metric", with("metric", json!("first_invite_sent"))),
        ("data.occurred_at", with("occurred_at", json!("yesterday"))),
        ("occurred_at", with("occurred_at", json!((now + TimeDelta::hours(1)).to_rfc3339()))),
        ("expires_at", with("expires_at", json!((now - TimeDelta::hours(1)).to_rfc3339()))),
        ("data.currency", with("amount", json!("1.00"))),
        ("data.evidence", with("evidence", json!([]))),
        ("evidence.project_id", with("evidence", json!({}))),
        ("evidence.deployment_url", evidence("deployment_url", json!("javascript:alert(1)"))),
        ("evidence.deployment_date", evidence("deployment_date", json!(7))),
        ("evidence", evidence("note", json!("a\u{0}b"))),
        ("click_id", with("referral_code", json!("p4s_00000000_supabase_000000"))),
        ("click_id", with("click_id", json!("forged"))),
        ("type", json!({ "type": "conversion.exchanged", "data": { "is_test": true } })),
    ] {
        assert_eq!(field(it.submit(&event).await), expected);
    }
    let unknown = submit(&it.engine, &machine(&["successes:write"]), &"nobody".parse().unwrap(), it.deployment("s_1")).await;
    assert_eq!(field(unknown), "partner");
    let railway = Principal::Machine {
        id: ApiTokenId(Uuid::nil()),
        name: "their server".to_owned(),
        scopes: vec!["successes:write".to_owned()],
        partner_id: Some("railway".parse().unwrap()),
    };
    assert_eq!(field(submit(&it.engine, &railway, &it.partner_id, it.deployment("s_1")).await), "partner", "another's is no partner to it");
    assert_eq!(it.count("select count(*) from success_events").await + it.count("select count(*) from webhook_deliveries").await, 0);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn each_may_do_what_its_role_or_scope_allows(db: PgPool) {
    let it = it(db).await;
    let event = it.deployment("s_1");
    let submit_as = async |who: Principal| submit(&it.engine, &who, &it.partner_id, event.clone()).await.map(|submitted| submitted.new);
    assert!(matches!(submit_as(Principal::Anonymous).await, Err(Error::Unauthenticated)));
    assert!(matches!(submit_as(machine(&["sites:write"])).await, Err(Error::Forbidden(_))));
    assert!(matches!(submit_as(operator(Role::Analyst)).await, Err(Error::Forbidden(_))));
    let id = it.submitted(&event).await.success_event_id;
    for who in [operator(Role::Analyst), machine(&["successes:write"])] {
        assert!(matches!(verify(&it.engine, &who, id, None).await, Err(Error::Forbidden(_))));
        assert!(matches!(reject(&it.engine, &who, id, "no").await, Err(Error::Forbidden(_))));
    }
    assert!(find(&it.engine, &operator(Role::Analyst), id).await.is_ok());
    assert!(matches!(list(&it.engine, &machine(&["successes:write"]), &Filter::default()).await, Err(Error::Forbidden(_))));
    let unknown = SuccessEventId(Uuid::nil());
    assert!(matches!(verify(&it.engine, &operator(Role::Owner), unknown, None).await, Err(Error::NotFound { .. })));
    assert!(matches!(find(&it.engine, &operator(Role::Owner), unknown).await, Err(Error::NotFound { .. })));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_list_is_filtered_searched_and_paged(db: PgPool) {
    let it = it(db).await;
    for number in 0..51 {
        it.submitted(&it.success(&format!("s_{number}"), "first_table_created")).await;
        it.engine.clock.advance(TimeDelta::milliseconds(2));
    }
    let waiting = it.submitted(&it.deployment("deploy_100%")).await;
    let page = async |filter: Filter| list(&it.engine, &Principal::CommandLine, &filter).await.unwrap();
    let first = page(Filter::default()).await;
    assert_eq!((first.successes.len(), first.successes[0].success_event_id), (50, waiting.success_event_id));
    let second = page(Filter { before: first.next, ..Filter::default() }).await;
    assert_eq!((second.successes.len(), second.next), (2, None));
    let ids = async |filter: Filter| page(filter).await.successes.into_iter().map(|success| success.external_event_id).collect::<Vec<_>>();
    assert_eq!(ids(Filter { state: Some(State::Unverified), ..Filter::default() }).await, ["deploy_100%"]);
    assert_eq!(ids(Filter { metric_id: Some("production_deployment".to_owned()), ..Filter::default() }).await, ["deploy_100%"]);
    assert!(ids(Filter { partner_id: Some("figma".parse().unwrap()), ..Filter::default() }).await.is_empty());
    let search = async |text: &str| ids(Filter { search: Some(text.to_owned()), ..Filter::default() }).await.len();
    assert_eq!([search("0%").await, search("DEPLOY").await, search("s_4").await, search("%").await, search(" ").await], [1, 1, 11, 1, 50]);
    assert_eq!([search(&waiting.developer_name).await, search(&it.links[1].developer_hash).await], [50, 0]);
    let names = metrics(&it.engine, &Principal::CommandLine, Some(&it.partner_id)).await.unwrap();
    assert_eq!(names[1], ("production_deployment".to_owned(), "Production Deployment".to_owned()));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_score_counts_verified_successes_by_their_multipliers(db: PgPool) {
    let it = it(db).await;
    let success = it.submitted(&it.deployment("s_1")).await;
    let present = async || scores(&it.engine, &Principal::CommandLine, success.developer_id, &it.partner_id).await.unwrap();
    assert_eq!(present().await.overall.parts, []);
    it.verify(success.success_event_id).await;
    let score = present().await.with_partner;
    assert_eq!((score.parts.len(), score.parts[0].weight.to_string().as_str()), (1, "1.5"));
    assert_eq!(present().await.overall, score);
}
