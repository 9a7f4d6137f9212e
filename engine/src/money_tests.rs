//! The money path as a whole, on a real database: a signed webhook goes in, balanced transactions come out.

mod month_close;
mod settlement;

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ClickId, PartnerId, SessionId,
    auth::Principal,
    click::{ClickToken, partner_digest},
    partner::{PartnerEdit, SecretPurpose},
    referral_code::ReferralCode,
    signature::{InvalidSignature, sign_standard},
};
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    Engine, attribution, click, commission, ledger, new_id, partner, referral_code,
    simulation::PlantedLink,
    testing,
    webhook::{self, Refusal},
};

/// An installation with the partners of the repository and one site's referral code for Supabase.
struct Fixture {
    engine: Engine,
    secret: String,
    link: PlantedLink,
    code: ReferralCode,
}

async fn fixture(db: PgPool) -> Fixture {
    let engine = testing::engine(db);
    let partners = Path::new(env!("CARGO_MANIFEST_DIR")).join("../partners");
    partner::import_files(&engine, &partners).await.unwrap();
    let supabase: PartnerId = "supabase".parse().unwrap();
    let secret = partner::set_secret(&engine, &Principal::CommandLine, &supabase, SecretPurpose::Webhook, None).await.unwrap();
    let link = testing::plant_site(&engine, "A site", &supabase).await;
    let code = link.referral_code.parse().unwrap();
    referral_code::refresh_links(&engine).await.unwrap();
    Fixture { engine, secret, link, code }
}

impl Fixture {
    fn now(&self) -> DateTime<Utc> {
        self.engine.now()
    }

    fn token(&self, clicked_at: DateTime<Utc>) -> String {
        self.token_for("supabase", clicked_at)
    }

    fn token_for(&self, partner: &str, clicked_at: DateTime<Utc>) -> String {
        let token = ClickToken {
            click_id: new_id(clicked_at),
            session_id: None,
            code_digest: self.code.digest(),
            partner_digest: partner_digest(&partner.parse().unwrap()),
        };
        token.sign(&self.engine.keys.click_mac)
    }

    /// Posts an event as the partner would.
    async fn post(&self, message_id: &str, kind: &str, data: Value) -> Result<webhook::Receipt, Refusal> {
        self.post_raw(message_id, self.now(), json!({ "type": kind, "data": data }).to_string().as_bytes(), &self.secret).await
    }

    async fn post_raw(&self, message_id: &str, at: DateTime<Utc>, body: &[u8], secret: &str) -> Result<webhook::Receipt, Refusal> {
        let timestamp = at.timestamp().to_string();
        let signature = sign_standard(secret, message_id, &timestamp, body).unwrap();
        let header = |name: &'static str| match name {
            "webhook-id" => Some(message_id),
            "webhook-timestamp" => Some(timestamp.as_str()),
            "webhook-signature" => Some(signature.as_str()),
            _ => None,
        };
        webhook::receive(&self.engine, "supabase", "events", header, body).await
    }

    /// Works until the queue is empty.
    async fn drain(&self) {
        while webhook::work_one(&self.engine).await.unwrap() {}
    }

    fn sale(&self, id: &str, amount: &str) -> Value {
        let clicked_at = self.now() - TimeDelta::hours(1);
        json!({ "conversion_id": id, "occurred_at": self.now().to_rfc3339(), "amount": amount, "currency": "USD", "click_id": self.token(clicked_at) })
    }

    fn refund(&self, id: &str, amount: Option<&str>) -> Value {
        match amount {
            Some(amount) => json!({ "conversion_id": id, "occurred_at": self.now().to_rfc3339(), "amount": amount, "currency": "USD" }),
            None => json!({ "conversion_id": id, "occurred_at": self.now().to_rfc3339() }),
        }
    }

    fn deployment(&self, id: &str) -> Value {
        json!({
            "success_id": id, "metric": "production_deployment", "occurred_at": self.now().to_rfc3339(), "referral_code": self.code.to_string(),
            "evidence": { "project_id": "p", "deployment_url": "https://example.com", "deployment_date": "2026-11-22" },
        })
    }

    /// What Supabase owes by the ledger, in cents.
    async fn receivable(&self) -> i64 {
        let balances = ledger::balances(&self.engine).await.unwrap();
        balances.iter().filter(|balance| balance.account == "partner_receivable").map(|balance| balance.amount_minor).sum()
    }

    async fn kinds(&self) -> Vec<String> {
        sqlx::query_scalar("select kind from ledger_transactions order by ledger_transaction_id").fetch_all(&self.engine.db).await.unwrap()
    }

    async fn states(&self) -> Vec<(String, Option<String>)> {
        sqlx::query_as("select state, state_reason from conversions order by conversion_id").fetch_all(&self.engine.db).await.unwrap()
    }

    async fn count(&self, table: &str) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}"))).fetch_one(&self.engine.db).await.unwrap()
    }

    async fn is_clean(&self) -> bool {
        let report = ledger::verify(&self.engine).await.unwrap();
        assert_eq!(report.findings, []);
        report.transactions > 0
    }

    async fn insert_click(&self, clicked_at: DateTime<Utc>, session_id: Option<SessionId>) -> ClickId {
        let click = testing::click(&self.link, clicked_at, session_id);
        let click_id = click.click_id;
        click::insert_history(&self.engine, &[click]).await.unwrap();
        click_id
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_signed_sale_with_a_click_id_is_attributed_rated_and_booked(db: PgPool) {
    let it = fixture(db).await;
    it.post("msg_1", "conversion.created", it.sale("ord_1", "49.00")).await.unwrap();
    it.drain().await;
    assert_eq!(it.states().await, [("attributed".to_owned(), None)]);
    assert_eq!((it.receivable().await, it.kinds().await), (980, vec!["commission".to_owned()]));
    assert!(it.is_clean().await);
    let explanation = commission::explain(&it.engine, "ord_1").await.unwrap();
    assert!(explanation.agrees());
    assert_eq!(explanation.derived.receipt.steps[0], "base = $49.00 × 0.2 = 9.8 USD");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_replayed_message_and_a_second_message_of_the_same_sale_change_nothing(db: PgPool) {
    let it = fixture(db).await;
    let sale = it.sale("ord_1", "49.00");
    assert!(!it.post("msg_1", "conversion.created", sale.clone()).await.unwrap().duplicate);
    assert!(it.post("msg_1", "conversion.created", sale.clone()).await.unwrap().duplicate);
    it.drain().await;
    assert!(it.post("msg_1", "conversion.created", sale.clone()).await.unwrap().duplicate);
    it.post("msg_2", "conversion.created", sale).await.unwrap();
    it.drain().await;
    assert_eq!((it.count("conversions").await, it.receivable().await), (1, 980));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_same_sale_in_many_messages_at_once_counts_once_in_money_and_statistics(db: PgPool) {
    let it = fixture(db).await;
    let sale = it.sale("ord_1", "49.00");
    join_all((0..12).map(|number| it.post_owned(number, sale.clone()))).await;
    join_all((0..6).map(|_| it.drain())).await;
    assert_eq!((it.count("conversions").await, it.receivable().await), (1, 980));
    let counted: i64 = sqlx::query_scalar("select sum(conversions)::bigint from hourly_counts").fetch_one(&it.engine.db).await.unwrap();
    let money: i64 = sqlx::query_scalar("select sum(commission_minor)::bigint from hourly_money").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!((counted, money), (1, 980));
}

impl Fixture {
    async fn post_owned(&self, number: usize, data: Value) {
        self.post(&format!("msg_{number}"), "conversion.created", data).await.unwrap();
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_partial_refund_takes_back_its_share_and_no_refund_takes_more_than_is_left(db: PgPool) {
    let it = fixture(db).await;
    it.post("msg_1", "conversion.created", it.sale("ord_1", "100.00")).await.unwrap();
    it.post("msg_2", "conversion.reversed", it.refund("ord_1", Some("25.00"))).await.unwrap();
    it.drain().await;
    assert_eq!(it.receivable().await, 1500);
    it.post("msg_3", "conversion.reversed", it.refund("ord_1", Some("500.00"))).await.unwrap();
    it.post("msg_4", "conversion.reversed", it.refund("ord_1", None)).await.unwrap();
    it.drain().await;
    assert_eq!((it.receivable().await, it.kinds().await), (0, vec!["commission".to_owned(), "reversal".to_owned(), "reversal".to_owned()]));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_refund_may_come_before_its_sale(db: PgPool) {
    let it = fixture(db).await;
    it.post("msg_1", "conversion.reversed", it.refund("ord_1", Some("40.00"))).await.unwrap();
    it.drain().await;
    it.post("msg_2", "conversion.created", it.sale("ord_1", "100.00")).await.unwrap();
    it.drain().await;
    assert_eq!(it.receivable().await, 1200);
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_refund_in_another_currency_is_a_dead_letter_that_says_so(db: PgPool) {
    let it = fixture(db).await;
    it.post("msg_1", "conversion.created", it.sale("ord_1", "100.00")).await.unwrap();
    let mut refund = it.refund("ord_1", Some("10.00"));
    refund["currency"] = "EUR".into();
    it.post("msg_2", "conversion.reversed", refund).await.unwrap();
    it.drain().await;
    let error: String =
        sqlx::query_scalar("select last_error from webhook_deliveries where state = 'dead'").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!((error.as_str(), it.receivable().await), ("currency: `EUR` is not the conversion's USD", 2000));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_success_after_the_sale_adjusts_it_and_pays_the_bonus_once(db: PgPool) {
    let it = fixture(db).await;
    it.post("msg_1", "conversion.created", it.sale("ord_1", "100.00")).await.unwrap();
    it.drain().await;
    it.post("msg_2", "success.achieved", it.deployment("s_1")).await.unwrap();
    it.post("msg_3", "success.achieved", it.deployment("s_1")).await.unwrap();
    it.post("msg_4", "success.achieved", it.deployment("s_2")).await.unwrap();
    it.drain().await;
    // 20.00 × 1.5 + 20.00 × 0.30
    let mut kinds = it.kinds().await;
    kinds.sort();
    assert_eq!((it.receivable().await, kinds), (3600, vec!["adjustment".to_owned(), "bonus".to_owned(), "commission".to_owned()]));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_success_without_its_required_data_is_refused_by_name(db: PgPool) {
    let it = fixture(db).await;
    let mut success = it.deployment("s_1");
    success["evidence"].as_object_mut().unwrap().remove("deployment_url");
    it.post("msg_1", "success.achieved", success).await.unwrap();
    it.drain().await;
    let error: String = sqlx::query_scalar("select last_error from webhook_deliveries").fetch_one(&it.engine.db).await.unwrap();
    assert!(error.starts_with("evidence.deployment_url: is missing"), "{error}");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn forged_expired_and_other_partners_click_ids_earn_nothing_and_say_why(db: PgPool) {
    let it = fixture(db).await;
    let with_click = |id: &str, token: String| {
        let mut sale = it.sale(id, "49.00");
        sale["click_id"] = token.into();
        sale
    };
    let mut forged = it.token(it.now());
    forged.replace_range(40..41, if &forged[40..41] == "A" { "B" } else { "A" });
    it.post("msg_1", "conversion.created", with_click("ord_1", forged)).await.unwrap();
    it.post("msg_2", "conversion.created", with_click("ord_2", it.token(it.now() - TimeDelta::days(400)))).await.unwrap();
    it.post("msg_3", "conversion.created", with_click("ord_3", it.token_for("railway", it.now()))).await.unwrap();
    it.drain().await;
    let states = it.states().await;
    let words: Vec<_> = states.iter().map(|(state, reason)| (state.as_str(), reason.as_deref().unwrap_or_default())).collect();
    assert!(matches!(words[0], ("refused", reason) if reason.contains("forged")), "{words:?}");
    assert!(matches!(words[1], ("expired", reason) if reason.contains("older than")), "{words:?}");
    assert!(matches!(words[2], ("refused", reason) if reason.contains("another partner")), "{words:?}");
    assert_eq!(it.count("ledger_transactions").await, 0);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_deactivated_partner_earns_nothing_new_and_keeps_what_it_earned(db: PgPool) {
    let it = fixture(db).await;
    it.post("msg_1", "conversion.created", it.sale("ord_1", "49.00")).await.unwrap();
    it.drain().await;
    let edit = PartnerEdit { active: Some(false), ..PartnerEdit::default() };
    partner::update(&it.engine, &Principal::CommandLine, &it.code.partner_id, edit).await.unwrap();
    it.post("msg_2", "conversion.created", it.sale("ord_2", "49.00")).await.unwrap();
    it.drain().await;
    assert_eq!((it.receivable().await, it.states().await[1].0.as_str()), (980, "refused"));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn new_terms_leave_earlier_conversions_as_they_were(db: PgPool) {
    let it = fixture(db).await;
    it.post("msg_1", "conversion.created", it.sale("ord_1", "100.00")).await.unwrap();
    it.drain().await;
    let mut values = partner::terms_at(&mut it.engine.db.acquire().await.unwrap(), &it.code.partner_id, it.now()).await.unwrap().values;
    values.commission_rate = "0.50".parse().unwrap();
    let from = it.now() + TimeDelta::hours(1);
    partner::add_terms(&it.engine, &Principal::CommandLine, &it.code.partner_id, values, None, from).await.unwrap();
    it.engine.clock.advance(TimeDelta::hours(2));
    it.post("msg_2", "success.achieved", it.deployment("s_1")).await.unwrap();
    it.drain().await;
    assert_eq!(it.receivable().await, 3600);
    it.post("msg_3", "conversion.created", it.sale("ord_2", "100.00")).await.unwrap();
    it.drain().await;
    // under the new terms: 50.00 × 1.5 + 50.00 × 0.30
    assert_eq!(it.receivable().await, 3600 + 9000);
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn webhooks_that_are_forged_stale_truncated_oversized_or_unknown_leave_no_trace(db: PgPool) {
    let it = fixture(db).await;
    let body = json!({ "type": "conversion.created", "data": it.sale("ord_1", "49.00") }).to_string();
    let other = "whsec_bm90IHRoZSBzZWNyZXQgdGhhdCB5b3UgbG9vayBmb3I=";
    let refused = |result: Result<webhook::Receipt, Refusal>| result.unwrap_err();
    assert!(matches!(refused(it.post_raw("m", it.now(), body.as_bytes(), other).await), Refusal::Signature(InvalidSignature::NoMatch)));
    let stale = it.now() - TimeDelta::minutes(6);
    assert!(matches!(
        refused(it.post_raw("m", stale, body.as_bytes(), &it.secret).await),
        Refusal::Signature(InvalidSignature::TooOld { .. })
    ));
    assert!(matches!(refused(it.post_raw("m", it.now(), &body.as_bytes()[..40], &it.secret).await), Refusal::Malformed(_)));
    let oversized = vec![b' '; domain::webhook::BODY_LIMIT + 1];
    assert!(matches!(refused(it.post_raw("m", it.now(), &oversized, &it.secret).await), Refusal::TooLarge));
    let missing = webhook::receive(&it.engine, "supabase", "events", |_| None, body.as_bytes()).await;
    assert!(matches!(refused(missing), Refusal::Signature(InvalidSignature::MissingHeader("webhook-id"))));
    let unknown = webhook::receive(&it.engine, "supabase", "nothing-here", |_| None, body.as_bytes()).await;
    assert!(matches!(refused(unknown), Refusal::Unknown { .. }));
    assert_eq!(it.count("webhook_deliveries").await, 0);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_event_with_a_wrong_field_is_a_dead_letter_that_names_it_and_can_be_replayed(db: PgPool) {
    let it = fixture(db).await;
    let mut sale = it.sale("ord_1", "49.00");
    sale["occurred_at"] = (it.now() + TimeDelta::hours(1)).to_rfc3339().into();
    let receipt = it.post("msg_1", "conversion.created", sale).await.unwrap();
    it.drain().await;
    let error: String =
        sqlx::query_scalar("select last_error from webhook_deliveries where state = 'dead'").fetch_one(&it.engine.db).await.unwrap();
    assert!(error.starts_with("occurred_at: ") && error.ends_with("lies in the future"), "{error}");
    it.engine.clock.advance(TimeDelta::hours(1));
    webhook::replay(&it.engine, &Principal::CommandLine, receipt.webhook_delivery_id).await.unwrap();
    it.drain().await;
    assert_eq!(it.receivable().await, 980);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_sale_by_referral_code_goes_to_the_session_s_click_or_waits_for_one(db: PgPool) {
    let it = fixture(db).await;
    let own: SessionId = it.engine.new_id();
    let sale = |id: &str, session: SessionId| json!({ "conversion_id": id, "occurred_at": it.now().to_rfc3339(), "amount": "10.00", "currency": "USD", "referral_code": it.code.to_string(), "session_id": session });
    it.post("msg_1", "conversion.created", sale("ord_1", own)).await.unwrap();
    it.drain().await;
    assert_eq!(it.states().await[0].0, "unattributed");

    let clicked_at = it.now() - TimeDelta::hours(2);
    let click_id = it.insert_click(clicked_at, Some(own)).await;
    it.insert_click(it.now() - TimeDelta::hours(1), Some(it.engine.new_id())).await;
    it.engine.clock.advance(TimeDelta::seconds(10));
    assert!(attribution::retry_one(&it.engine).await.unwrap());
    let matched: (Uuid, String) = sqlx::query_as("select click_id, matched_by from attributions").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!(matched, (click_id.0, "session".to_owned()));
    assert_eq!(it.receivable().await, 200);
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_sale_whose_click_never_comes_is_listed_as_expired_once_the_window_has_closed(db: PgPool) {
    let it = fixture(db).await;
    let sale = json!({ "conversion_id": "ord_1", "occurred_at": it.now().to_rfc3339(), "amount": "10.00", "currency": "USD", "referral_code": it.code.to_string() });
    it.post("msg_1", "conversion.created", sale).await.unwrap();
    it.drain().await;
    it.engine.clock.advance(TimeDelta::days(400));
    assert!(attribution::retry_one(&it.engine).await.unwrap());
    assert_eq!(it.states().await[0].0, "expired");
    assert!(!attribution::retry_one(&it.engine).await.unwrap());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_database_refuses_unbalanced_and_changed_entries(db: PgPool) {
    let it = fixture(db).await;
    it.post("msg_1", "conversion.created", it.sale("ord_1", "49.00")).await.unwrap();
    it.drain().await;
    let refused = |statement: &'static str| {
        let db = it.engine.db.clone();
        async move { sqlx::query(statement).execute(&db).await.unwrap_err().to_string() }
    };
    assert!(refused("update ledger_entries set amount_minor = amount_minor * 2").await.contains("append-only"));
    assert!(refused("delete from ledger_transactions").await.contains("append-only"));
    assert!(refused("truncate ledger_seals").await.contains("append-only"));
    let lone = "insert into ledger_entries select ledger_transaction_id, 3, 'cash', 1 from ledger_transactions";
    assert!(refused(lone).await.contains("is not balanced: 3 entries sum to 1"));
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn verify_names_a_row_that_somebody_with_all_rights_changed(db: PgPool) {
    let it = fixture(db).await;
    for number in 0..3 {
        it.post(&format!("msg_{number}"), "conversion.created", it.sale(&format!("ord_{number}"), "49.00")).await.unwrap();
    }
    it.drain().await;
    assert!(it.is_clean().await);
    let victim: Uuid = sqlx::query_scalar("select ledger_transaction_id from ledger_transactions order by 1 offset 1 limit 1")
        .fetch_one(&it.engine.db)
        .await
        .unwrap();
    let tamper = async |statement: &'static str| {
        let mut connection = it.engine.db.acquire().await.unwrap();
        sqlx::query("set session_replication_role = replica").execute(&mut *connection).await.unwrap();
        sqlx::query(statement).bind(victim).execute(&mut *connection).await.unwrap();
        sqlx::query("set session_replication_role = origin").execute(&mut *connection).await.unwrap();
    };
    let subject = format!("ledger transaction {victim}");
    // both sides doubled: it still balances, and only the seal and the derivation can tell
    tamper("update ledger_entries set amount_minor = amount_minor * 2 where ledger_transaction_id = $1").await;
    let report = ledger::verify(&it.engine).await.unwrap();
    assert!(
        report.findings.iter().any(|finding| finding.subject == subject && finding.what.contains("changed after it was sealed")),
        "{:?}",
        report.findings
    );
    assert!(report.findings.iter().any(|finding| finding.subject.starts_with("commission ")), "{:?}", report.findings);
    tamper("delete from ledger_transactions where ledger_transaction_id = $1").await;
    let report = ledger::verify(&it.engine).await.unwrap();
    assert!(report.findings.iter().any(|finding| finding.subject == subject && finding.what.contains("deleted")), "{:?}", report.findings);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn every_order_of_the_same_events_ends_in_the_same_balance(db: PgPool) {
    let it = fixture(db).await;
    // 4 events have 24 orders; each order gets a developer's sale of its own, but the successes are shared from the first on.
    let mut balances = Vec::new();
    for order in 0..24_usize {
        let sale_id = format!("ord_{order}");
        let before = it.receivable().await;
        let mut events = vec![
            ("conversion.created", it.sale(&sale_id, "99.99")),
            ("conversion.reversed", it.refund(&sale_id, Some("33.33"))),
            ("conversion.reversed", it.refund(&sale_id, Some("10.01"))),
            ("success.achieved", it.deployment("s_1")),
        ];
        let mut rest = order;
        let mut number = 0;
        while !events.is_empty() {
            let (kind, data) = events.remove(rest % events.len());
            rest /= events.len() + 1;
            for copy in 0..2 {
                let result = it.post(&format!("msg_{order}_{number}_{}", if copy == 0 { 0 } else { number % 2 }), kind, data.clone()).await;
                // the second copy is a replay for half of the events and a second message for a sale or a success
                assert!(result.is_ok());
                if kind == "conversion.reversed" {
                    break;
                }
            }
            it.drain().await;
            number += 1;
        }
        balances.push(it.receivable().await - before);
    }
    // (99.99 − 43.34) × 0.20 × 1.5 = 16.995 and its bonus 3.399
    assert_eq!(balances, vec![1700 + 340; 24]);
    assert!(it.is_clean().await);
}
