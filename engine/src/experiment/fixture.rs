//! A running test on a real database, for the tests of exposures, credits and results.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Currency, ExperimentId, PartnerId, RecommendationId, SessionId,
    click::{ClickToken, partner_digest},
    experiment::{Design, Eligibility, ExperimentKind, Metric, Payload, Plan, UnitKind, Variant},
    referral_code::ReferralCode,
};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{Shown, credit};
use crate::{
    attribution,
    click::{self, Click},
    new_id,
    success::tests::{It, it},
    testing, webhook,
};

pub(super) struct Fixture {
    pub it: It,
    pub experiment_id: ExperimentId,
}

pub(super) fn design() -> Design {
    let variant = |key: &str, payload| Variant { key: key.to_owned(), name: key.to_owned(), weight: 0.5, payload };
    Design {
        name: "Call to action".to_owned(),
        hypothesis: String::new(),
        kind: ExperimentKind::Cta,
        unit: UnitKind::Visitor,
        variants: vec![variant("control", Payload::Unchanged), variant("try-it", Payload::Cta { text: "Try it".to_owned() })],
        traffic_allocation: 1.0,
        primary_metric: Metric::ClickRate,
        guardrails: Vec::new(),
        eligibility: Eligibility::default(),
        exclusion_group: None,
        starts_at: None,
        ends_at: None,
        plan: Plan::default(),
        bandit: None,
        currency: Currency::USD,
    }
}

pub(super) fn supabase() -> PartnerId {
    "supabase".parse().unwrap()
}

/// An installation with a running test of this design.
pub(super) async fn begin(db: PgPool, design: &Design) -> Fixture {
    let it = it(db).await;
    let experiment_id: ExperimentId = it.engine.new_id();
    let started_at = it.engine.now() - TimeDelta::days(1);
    let (json, weights) = (serde_json::to_value(design).unwrap(), design.weights());
    sqlx::query(
        "insert into experiments (experiment_id, key, status, owner, design, phase, created_at) values ($1, 'cta', 'running', 'o', $2, 1, $3)",
    )
    .bind(experiment_id)
    .bind(&json)
    .bind(started_at)
    .execute(&it.engine.db)
    .await
    .unwrap();
    sqlx::query("insert into experiment_phases (experiment_id, phase, seed, design, started_at) values ($1, 1, 'cta-1', $2, $3)")
        .bind(experiment_id)
        .bind(&json)
        .bind(started_at)
        .execute(&it.engine.db)
        .await
        .unwrap();
    sqlx::query("insert into experiment_weights (experiment_id, phase, period, weights, since) values ($1, 1, 0, $2, $3)")
        .bind(experiment_id)
        .bind(&weights)
        .bind(started_at)
        .execute(&it.engine.db)
        .await
        .unwrap();
    Fixture { it, experiment_id }
}

impl Fixture {
    pub fn now(&self) -> DateTime<Utc> {
        self.it.engine.now()
    }

    pub fn shown(&self, unit: &str, variant: i16) -> Shown {
        let (phase, period, propensity) = (1, 0, 0.5);
        Shown { experiment_id: self.experiment_id, phase, period, variant, propensity, unit: unit.to_owned(), partner_ids: Vec::new() }
    }

    /// Logs a recommendation of Supabase for a site, as the widget would get it.
    pub async fn give(&self, site: usize, visitor: Option<&str>, shown: &[Shown]) -> RecommendationId {
        // The id carries the row's time.
        let recommended_at = self.now();
        let recommendation_id: RecommendationId = new_id(recommended_at);
        sqlx::query(
            "insert into recommendations (recommendation_id, recommended_at, site_id, model_version, offers, visitor, experiments)
             values ($1, $2, $3, 'test', '[{\"partner_id\":\"supabase\"},{\"partner_id\":\"figma\"}]', $4, $5)",
        )
        .bind(recommendation_id)
        .bind(recommended_at)
        .bind(self.it.links[site].site_id)
        .bind(visitor)
        .bind((!shown.is_empty()).then(|| serde_json::to_value(shown).unwrap()))
        .execute(&self.it.engine.db)
        .await
        .unwrap();
        recommendation_id
    }

    /// A click that is not in the database yet.
    pub fn new_click(&self, site: usize, recommendation_id: RecommendationId, session_id: Option<SessionId>) -> Click {
        Click { recommendation_id: Some(recommendation_id), ..testing::click(&self.it.links[site], self.now(), session_id) }
    }

    /// A click that is durable, and not credited yet.
    pub async fn click(&self, site: usize, recommendation_id: RecommendationId) -> Click {
        let click = self.new_click(site, recommendation_id, None);
        click::insert_history(&self.it.engine, std::slice::from_ref(&click)).await.unwrap();
        click
    }

    pub fn token(&self, click: &Click) -> String {
        let code: ReferralCode = click.referral_code.parse().unwrap();
        let partner_digest = partner_digest(&click.partner_id);
        ClickToken { click_id: click.click_id, session_id: click.session_id, code_digest: code.digest(), partner_digest }
            .sign(&self.it.engine.keys.click_mac)
    }

    pub async fn sell(&self, id: &str, amount: &str, currency: &str, claim: Value) {
        let mut data = json!({ "conversion_id": id, "occurred_at": self.now().to_rfc3339(), "amount": amount, "currency": currency });
        data.as_object_mut().unwrap().extend(claim.as_object().unwrap().clone());
        self.it.send(&format!("msg_{id}"), &json!({ "type": "conversion.created", "data": data })).await;
    }

    /// All that is left, without an amount.
    pub async fn refund(&self, refund: &str, sale: &str, amount: Option<&str>) {
        let mut data = json!({ "reversal_id": refund, "conversion_id": sale, "occurred_at": self.now().to_rfc3339() });
        if let Some(amount) = amount {
            data["amount"] = amount.into();
            data["currency"] = "USD".into();
        }
        self.it.send(&format!("msg_{refund}"), &json!({ "type": "conversion.reversed", "data": data })).await;
    }

    /// Does what the loops of a server would.
    pub async fn settle(&self) {
        while webhook::work_one(&self.it.engine).await.unwrap() || attribution::recheck_one(&self.it.engine).await.unwrap() {}
        while credit::recheck_one(&self.it.engine).await.unwrap() {}
    }

    /// Clicks, conversions, successes and commission of a unit; `None` if it was not exposed.
    pub async fn unit(&self, unit: &str) -> Option<(i32, i32, i32, i64)> {
        sqlx::query_as("select clicks, conversions, successes, commission_minor from experiment_exposures where unit = $1")
            .bind(unit)
            .fetch_optional(&self.it.engine.db)
            .await
            .unwrap()
    }

    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.it.engine.db).await.unwrap()
    }

    /// The sums are those of the exposures' rows, whatever made them.
    pub async fn assert_sums_are_those_of_the_rows(&self) {
        let different: Vec<String> = sqlx::query_scalar(
            "with rows as (
                 select experiment_id, phase, period, variant, count(*)::numeric, count(*) filter (where clicks > 0)::numeric,
                        count(*) filter (where conversions > 0)::numeric, count(*) filter (where successes > 0)::numeric, sum(clicks)::numeric,
                        sum(clicks::numeric * clicks), sum(conversions)::numeric, sum(commission_minor)::numeric,
                        sum(commission_minor::numeric * commission_minor), sum(x), sum(x * x), coalesce(sum(x) filter (where clicks > 0), 0),
                        coalesce(sum(x) filter (where conversions > 0), 0), coalesce(sum(x) filter (where successes > 0), 0),
                        sum(x * clicks), sum(x * commission_minor)
                 from (select *, clicks_before::numeric as x from experiment_exposures) e
                 group by 1, 2, 3, 4
             ), sums as (
                 select experiment_id, phase, period, variant, sum(exposures)::numeric, sum(clicked)::numeric, sum(converted)::numeric,
                        sum(succeeded)::numeric, sum(clicks)::numeric, sum(clicks_squares), sum(conversions)::numeric,
                        sum(commission_minor)::numeric, sum(commission_squares), sum(x), sum(x_squares), sum(x_clicked), sum(x_converted),
                        sum(x_succeeded), sum(x_clicks), sum(x_commission)
                 from experiment_sums
                 group by 1, 2, 3, 4
             )
             select 'of rows alone: ' || r::text from (select * from rows except select * from sums) r
             union all
             select 'of sums alone: ' || s::text from (select * from sums except select * from rows) s",
        )
        .fetch_all(&self.it.engine.db)
        .await
        .unwrap();
        assert_eq!(different, [""; 0]);
    }
}
