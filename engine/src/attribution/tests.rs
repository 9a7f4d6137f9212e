//! Attribution end to end on a real database: clicks and conversions go in, shares and money come out.

mod by_hand;
mod comparison;
mod looking_again;

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ClickId, ConversionId, Currency, Money, PartnerId, SessionId, SiteId,
    attribution::Model,
    auth::{Principal, Role},
    click::{ClickToken, partner_digest},
    conversion::{Claim, ConversionState, ConversionType, NewConversion, Source},
    referral_code::ReferralCode,
};
use rust_decimal::Decimal;
use sqlx::PgPool;

use super::*;
use crate::{click, conversion, ledger, new_id, partner, simulation::PlantedLink, testing};

/// An installation with the partners of the repository and two sites, of two developers, with links to Supabase.
pub(crate) struct Fixture {
    pub engine: Engine,
    pub sites: [Site; 2],
}

pub(crate) struct Site {
    pub site_id: SiteId,
    pub code: ReferralCode,
    pub link: PlantedLink,
}

pub(crate) async fn fixture(db: PgPool) -> Fixture {
    let engine = testing::engine(db);
    partner::import_files(&engine, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../partners")).await.unwrap();
    let sites = [add_site(&engine, 0).await, add_site(&engine, 1).await];
    Fixture { engine, sites }
}

async fn add_site(engine: &Engine, number: usize) -> Site {
    let link = testing::plant_site(engine, &format!("Site {number}"), &supabase()).await;
    Site { site_id: link.site_id, code: link.referral_code.parse().unwrap(), link }
}

pub(crate) fn supabase() -> PartnerId {
    "supabase".parse().unwrap()
}

impl Fixture {
    pub fn now(&self) -> DateTime<Utc> {
        self.engine.now()
    }

    /// The short name of a site's link.
    pub fn alias(&self, site: usize) -> &str {
        &self.sites[site].link.alias
    }

    /// Changes the terms that have been in force from the beginning.
    pub async fn set_policy(&self, model: Model, window_hours: i32, minimum_seconds: i32) {
        sqlx::query(
            "update partner_terms set attribution_model = $1, attribution_window_hours = $2, attribution_minimum_seconds = $3
             where partner_id = 'supabase'",
        )
        .bind(model)
        .bind(window_hours)
        .bind(minimum_seconds)
        .execute(&self.engine.db)
        .await
        .unwrap();
    }

    pub async fn click(&self, site: usize, clicked_at: DateTime<Utc>, session_id: Option<SessionId>) -> ClickId {
        let click = testing::click(&self.sites[site].link, clicked_at, session_id);
        let click_id = click.click_id;
        click::insert_history(&self.engine, &[click]).await.unwrap();
        click_id
    }

    pub fn token(&self, site: usize, clicked_at: DateTime<Utc>) -> String {
        let token = ClickToken {
            click_id: new_id(clicked_at),
            session_id: None,
            code_digest: self.sites[site].code.digest(),
            partner_digest: partner_digest(&supabase()),
        };
        token.sign(&self.engine.keys.click_mac)
    }

    pub async fn sale(&self, id: &str, amount: &str, claim: Claim) -> (ConversionId, ConversionState) {
        self.convert(id, ConversionType::Sale, self.now(), amount, claim).await
    }

    pub async fn convert(
        &self,
        id: &str,
        conversion_type: ConversionType,
        occurred_at: DateTime<Utc>,
        amount: &str,
        claim: Claim,
    ) -> (ConversionId, ConversionState) {
        let new = NewConversion {
            partner_id: supabase(),
            external_event_id: id.to_owned(),
            conversion_type,
            occurred_at,
            value: Money::parse(amount, Currency::USD).unwrap(),
            claim,
        };
        let mut work = Work::begin(&self.engine).await.unwrap();
        let recorded = conversion::record(&mut work, &new, Source::Webhook, None).await.unwrap();
        work.commit().await.unwrap();
        match recorded {
            conversion::Recorded::New(id, state) => (id, state),
            conversion::Recorded::Duplicate(id) => panic!("{id} is there already"),
        }
    }

    /// Site, share and part of the commission of each touch, the oldest first.
    pub async fn credits(&self, id: ConversionId) -> Vec<(SiteId, String, i64)> {
        let rows: Vec<(SiteId, Decimal, i64)> =
            sqlx::query_as("select site_id, share, commission_minor from attributions where conversion_id = $1 order by position")
                .bind(id)
                .fetch_all(&self.engine.db)
                .await
                .unwrap();
        rows.into_iter().map(|(site_id, share, minor)| (site_id, share.normalize().to_string(), minor)).collect()
    }

    pub async fn state(&self, id: ConversionId) -> (ConversionState, Option<String>) {
        sqlx::query_as("select state, state_reason from conversions where conversion_id = $1")
            .bind(id)
            .fetch_one(&self.engine.db)
            .await
            .unwrap()
    }

    /// What Supabase owes by the ledger, in cents.
    pub async fn receivable(&self) -> i64 {
        let balances = ledger::balances(&self.engine).await.unwrap();
        balances.iter().filter(|balance| balance.account == "partner_receivable").map(|balance| balance.amount_minor).sum()
    }

    pub async fn is_clean(&self) -> bool {
        let report = ledger::verify(&self.engine).await.unwrap();
        assert_eq!(report.findings, []);
        report.transactions > 0
    }
}

pub(crate) fn by_session(session_id: SessionId) -> Claim {
    Claim { session_id: Some(session_id), ..Claim::default() }
}

pub(crate) fn by_token(token: String) -> Claim {
    Claim { click_token: Some(token), ..Claim::default() }
}

pub(crate) fn customer(name: &str) -> Claim {
    Claim { user_identifier: Some(name.to_owned()), ..Claim::default() }
}

pub(crate) fn analyst() -> Principal {
    Principal::Operator { id: new_id(Utc::now()), email: "analyst@example.com".to_owned(), role: Role::Analyst }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn each_model_shares_credit_and_money_of_two_sites_to_the_last_cent(db: PgPool) {
    let it = fixture(db).await;
    // 20 % of 100.05 are 20.01, which two sites cannot share alike.
    type Credits = &'static [(usize, &'static str, i64)];
    let expected: [(Model, Credits); 5] = [
        (Model::LastTouch, &[(1, "1", 2001)]),
        (Model::FirstTouch, &[(0, "1", 2001)]),
        (Model::Linear, &[(0, "0.5", 1001), (1, "0.5", 1000)]),
        (Model::PositionBased, &[(0, "0.5", 1001), (1, "0.5", 1000)]),
        (Model::TimeDecay, &[(0, "0.333333333", 667), (1, "0.666666667", 1334)]),
    ];
    for (model, credits) in expected {
        it.set_policy(model, 24 * 30, 0).await;
        // One now for both: shares by age tell apart a click that took some milliseconds.
        let (session, now): (SessionId, _) = (it.engine.new_id(), it.now());
        it.click(0, now - TimeDelta::days(8), Some(session)).await;
        it.click(1, now - TimeDelta::days(1), Some(session)).await;
        let (id, state) = it.sale(model.as_str(), "100.05", by_session(session)).await;
        let credits: Vec<_> = credits.iter().map(|(site, share, minor)| (it.sites[*site].site_id, (*share).to_owned(), *minor)).collect();
        assert_eq!((state, it.credits(id).await), (ConversionState::Attributed, credits), "{model}");
    }
    assert_eq!(it.receivable().await, 5 * 2001);
    assert!(it.is_clean().await);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_journey_that_a_click_id_ends_shares_with_the_session_s_earlier_clicks(db: PgPool) {
    let it = fixture(db).await;
    it.set_policy(Model::Linear, 24, 0).await;
    let session: SessionId = it.engine.new_id();
    it.click(0, it.now() - TimeDelta::hours(3), Some(session)).await;
    let claim = Claim { session_id: Some(session), ..by_token(it.token(1, it.now() - TimeDelta::hours(1))) };
    let (id, _) = it.sale("ord_1", "100.00", claim).await;
    let expected = [(it.sites[0].site_id, "0.5".to_owned(), 1000), (it.sites[1].site_id, "0.5".to_owned(), 1000)];
    assert_eq!(it.credits(id).await, expected);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_plain_id_of_a_click_finds_its_row_under_the_same_rules(db: PgPool) {
    let it = fixture(db).await;
    it.set_policy(Model::LastTouch, 24, 10).await;
    let by_id = |click_id: ClickId| by_token(click_id.to_string());
    let recent = it.click(1, it.now() - TimeDelta::hours(1), None).await;
    let (id, state) = it.sale("ord_1", "49.00", by_id(recent)).await;
    assert_eq!((state, it.credits(id).await), (ConversionState::Attributed, vec![(it.sites[1].site_id, "1".to_owned(), 980)]));
    let matched_by: MatchedBy = sqlx::query_scalar("select matched_by from attributions").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!(matched_by, MatchedBy::ClickRow);

    let old = it.click(0, it.now() - TimeDelta::hours(25), None).await;
    assert_eq!(it.sale("ord_2", "49.00", by_id(old)).await.1, ConversionState::Expired);
    let young = it.click(0, it.now() - TimeDelta::seconds(9), None).await;
    assert_eq!(it.sale("ord_3", "49.00", by_id(young)).await.1, ConversionState::Refused);
    let mut others = testing::click(&it.sites[0].link, it.now() - TimeDelta::hours(1), None);
    others.partner_id = "railway".parse().unwrap();
    click::insert_history(&it.engine, std::slice::from_ref(&others)).await.unwrap();
    let (id, state) = it.sale("ord_4", "49.00", by_id(others.click_id)).await;
    assert_eq!(
        (state, it.state(id).await.1.unwrap().as_str()),
        (ConversionState::Refused, "click id belongs to another partner than `supabase`")
    );
    assert_eq!(it.receivable().await, 980);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_plain_id_of_a_click_waits_for_its_row(db: PgPool) {
    let it = fixture(db).await;
    let late = testing::click(&it.sites[0].link, it.now() - TimeDelta::hours(1), None);
    let (id, state) = it.sale("ord_1", "49.00", by_token(late.click_id.to_string())).await;
    assert_eq!(state, ConversionState::Unattributed);
    click::insert_history(&it.engine, std::slice::from_ref(&late)).await.unwrap();
    reconsider_clicks(&it.engine, &[late]).await.unwrap();
    while recheck_one(&it.engine).await.unwrap() {}
    assert_eq!((it.state(id).await.0, it.receivable().await), (ConversionState::Attributed, 980));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_conversion_sooner_than_the_minimum_is_refused_and_one_at_it_is_not(db: PgPool) {
    let it = fixture(db).await;
    it.set_policy(Model::LastTouch, 24, 10).await;
    let (id, state) = it.sale("ord_1", "49.00", by_token(it.token(0, it.now() - TimeDelta::seconds(9)))).await;
    let (_, reason) = it.state(id).await;
    assert_eq!(
        (state, reason.unwrap().as_str()),
        (ConversionState::Refused, "it came 9 s after its click, and the terms ask for at least 10 s")
    );
    let at = it.now();
    let (_, state) = it.convert("ord_2", ConversionType::Sale, at, "49.00", by_token(it.token(0, at - TimeDelta::seconds(10)))).await;
    assert_eq!((state, it.receivable().await), (ConversionState::Attributed, 980));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_window_s_last_moment_counts_and_the_one_after_does_not(db: PgPool) {
    let it = fixture(db).await;
    // Postgres keeps microseconds, a click id milliseconds.
    let at = DateTime::from_timestamp_millis(it.now().timestamp_millis()).unwrap();
    let window = TimeDelta::hours(24);
    it.set_policy(Model::LastTouch, 24, 0).await;
    let (inside, outside): (SessionId, SessionId) = (it.engine.new_id(), it.engine.new_id());
    it.click(0, at - window, Some(inside)).await;
    it.click(0, at - window - TimeDelta::milliseconds(1), Some(outside)).await;
    let sale = async |id: &str, claim: Claim| it.convert(id, ConversionType::Sale, at, "49.00", claim).await.1;
    assert_eq!(sale("ord_1", by_session(inside)).await, ConversionState::Attributed);
    assert_eq!(sale("ord_2", by_session(outside)).await, ConversionState::Unattributed);
    assert_eq!(sale("ord_3", by_token(it.token(0, at - window))).await, ConversionState::Attributed);
    assert_eq!(sale("ord_4", by_token(it.token(0, at - window - TimeDelta::milliseconds(1)))).await, ConversionState::Expired);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_renewal_that_names_only_the_customer_finds_the_click_that_their_lead_came_by(db: PgPool) {
    let it = fixture(db).await;
    let session: SessionId = it.engine.new_id();
    it.click(1, it.now() - TimeDelta::hours(2), Some(session)).await;
    let lead = Claim { user_identifier: Some("cus_1".to_owned()), ..by_session(session) };
    it.convert("lead_1", ConversionType::Lead, it.now() - TimeDelta::hours(1), "0.00", lead).await;
    let (id, state) = it.convert("renewal_1", ConversionType::Renewal, it.now(), "10.00", customer("cus_1")).await;
    assert_eq!((state, it.credits(id).await), (ConversionState::Attributed, vec![(it.sites[1].site_id, "1".to_owned(), 200)]));
    let (_, state) = it.convert("renewal_2", ConversionType::Renewal, it.now(), "10.00", customer("cus_2")).await;
    assert_eq!(state, ConversionState::Unattributed, "another customer has no part in it");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_session_that_becomes_known_late_has_the_customer_s_conversions_looked_at_again(db: PgPool) {
    let it = fixture(db).await;
    let session: SessionId = it.engine.new_id();
    it.click(0, it.now() - TimeDelta::hours(2), Some(session)).await;
    let (id, state) = it.convert("renewal_1", ConversionType::Renewal, it.now(), "10.00", customer("cus_1")).await;
    assert_eq!((state, recheck_one(&it.engine).await.unwrap()), (ConversionState::Unattributed, false));

    let lead = Claim { user_identifier: Some("cus_1".to_owned()), ..by_session(session) };
    it.convert("lead_1", ConversionType::Lead, it.now() - TimeDelta::hours(1), "0.00", lead).await;
    assert!(recheck_one(&it.engine).await.unwrap());
    assert_eq!((it.state(id).await, it.receivable().await), ((ConversionState::Attributed, None), 200));
    assert!(!recheck_one(&it.engine).await.unwrap());
    let unattributed: i64 =
        sqlx::query_scalar("select sum(conversions_unattributed)::bigint from hourly_counts").fetch_one(&it.engine.db).await.unwrap();
    assert_eq!(unattributed, 0);
    assert!(it.is_clean().await);
}
