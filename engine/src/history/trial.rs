//! A test of the button's text that has run for some weeks, so that a demo has results to look at.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    PartnerId, RecommendationId, SiteId,
    auth::Principal,
    experiment::{Design, Step, Subject, assign},
};
use rand::{RngExt, rngs::StdRng};
use serde_json::json;

use super::Period;
use crate::{
    Engine, Error, Result,
    click::Click,
    clock,
    experiment::{
        self, NewExposure, Running, Shown,
        credit::{CountedClick, credit_clicks},
    },
    work::Work,
};

const DAYS: i64 = 35;

/// Among those who click, the share that saw the variant: it draws more clicks than what is shown without the test.
const SHARE_OF_CLICKS: f64 = 0.515;

/// Exposures, or clicks, of one transaction.
const CHUNK_LENGTH: usize = 1_000;

/// The running test, as visitors of the past saw it.
pub struct Trial {
    running: Arc<Running>,
    pub began_at: DateTime<Utc>,
}

/// Designs the test and starts it some weeks before the period ends.
pub async fn start(engine: &Engine, period: Period) -> Result<Trial> {
    let began_at = period.from.max(period.to - TimeDelta::days(DAYS));
    let design: Design = serde_json::from_value(json!({
        "name": "Name the first step on the button",
        "hypothesis": "Developers who read what happens next click more often than those who read a general invitation.",
        "kind": "cta",
        "variants": [
            { "key": "control", "name": "As it is", "weight": 0.5, "payload": { "type": "unchanged" } },
            { "key": "first-step", "name": "First step", "weight": 0.5, "payload": { "type": "cta", "text": "Set up {partner} for this project" } },
        ],
        "primary_metric": "click_rate",
        "guardrails": [{ "metric": "conversion_rate", "margin": 0.2 }],
        "plan": { "minimum_detectable_lift": 0.05, "planned_units": 24_000 },
        "currency": "USD",
    }))
    .map_err(Error::internal)?;
    clock::at(began_at, async {
        let test = experiment::create(engine, &Principal::CommandLine, Some("first-step-button"), design).await?;
        experiment::step(engine, &Principal::CommandLine, &test.key, Step::Start).await
    })
    .await?;
    Ok(Trial { running: experiment::reload(engine, 0).await?, began_at })
}

impl Trial {
    /// Somebody who sees the control or the variant, the latter with a chance; `None` before the test began. Whether the visitor clicks is
    /// drawn first, so that ids are tried until the product's own assignment says what is wanted.
    pub fn visitor(&self, rng: &mut StdRng, site_id: SiteId, partners: &[PartnerId], at: DateTime<Utc>, chance: f64) -> Option<Shown> {
        let test = self.running.tests.first().filter(|_| at >= self.began_at)?;
        let phase = test.experiment.phase.as_ref()?;
        let wanted = usize::from(rng.random_bool(chance));
        loop {
            let unit = format!("{:032x}", rng.random::<u128>());
            let subject = Subject { visitor: Some(&unit), site_id, partners: Some(partners), segment: None };
            if assign(&test.evaluator, &subject, &self.running.holdout, at).variant? == wanted {
                return Some(Shown {
                    experiment_id: test.experiment.experiment_id,
                    phase: phase.number,
                    period: phase.period,
                    variant: i16::try_from(wanted).ok()?,
                    propensity: phase.weights[wanted],
                    unit,
                    partner_ids: partners.to_vec(),
                });
            }
        }
    }
}

/// The share of the variant among those who click, and among those who do not, of which `click_rate` do: both arms get the same number.
pub fn share_of_variant(clicks: bool, click_rate: f64) -> f64 {
    if clicks { SHARE_OF_CLICKS } else { (0.5 - SHARE_OF_CLICKS * click_rate) / (1.0 - click_rate) }
}

/// What visitors of the past saw, as it is noted: in the order of the days.
pub struct Seen<'v> {
    pub recommendation_id: RecommendationId,
    pub at: DateTime<Utc>,
    pub shown: &'v Shown,
}

/// Exposes visitors, and credits their clicks, day by day and as the product does.
pub async fn credit(engine: &Engine, trial: &Trial, seen: &[Seen<'_>], clicks: &[Click]) -> Result<()> {
    for seen in seen.chunk_by(|a, b| a.at.date_naive() == b.at.date_naive()) {
        for seen in seen.chunks(CHUNK_LENGTH) {
            let Some(last) = seen.last() else { continue };
            let new: Vec<_> =
                seen.iter().map(|seen| NewExposure { shown: seen.shown, recommendation_id: seen.recommendation_id, at: seen.at }).collect();
            clock::at(last.at, async {
                let mut work = Work::begin(engine).await?;
                experiment::insert_exposures(&mut work, &new).await?;
                work.commit().await
            })
            .await?;
        }
    }
    let counted: Vec<CountedClick> =
        clicks.iter().filter(|click| click.clicked_at >= trial.began_at).filter_map(CountedClick::of).collect();
    for clicks in counted.chunk_by(|a, b| a.clicked_at.date_naive() == b.clicked_at.date_naive()) {
        for clicks in clicks.chunks(CHUNK_LENGTH) {
            let Some(last) = clicks.last() else { continue };
            clock::at(last.clicked_at, credit_clicks(engine, clicks)).await?;
        }
    }
    Ok(())
}
