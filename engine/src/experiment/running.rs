//! The tests that assign somebody now, in memory, with the defaults and the holdout that go with them.
//!
//! What is in memory carries the revision that it was read at. Whoever uses it has the revision looked at again when the answer is logged
//! (see [`crate::recommendation`]): so a test that starts or stops does so at once, on every instance, whatever becomes of Redis.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{
    PartnerId, SiteId,
    analysis::ProjectKind,
    experiment::{Eligibility, Evaluator, Experiment, ExperimentKind, Holdout, Payload, UnitKind},
};
use sqlx::PgConnection;
use tokio::sync::RwLock;

use super::store;
use crate::{Engine, Error, Result};

/// What stands at one revision.
#[derive(Clone, Debug)]
pub struct Running {
    pub revision: i64,
    /// The running and paused ones, the earliest first.
    pub tests: Vec<RunningTest>,
    pub defaults: Vec<Default>,
    pub holdout: Holdout,
}

#[derive(Clone, Debug)]
pub struct RunningTest {
    pub experiment: Experiment,
    pub evaluator: Evaluator,
}

/// What a decided test made the default, for one partner or for all, on the sites that the test was for.
#[derive(Clone, Debug, PartialEq)]
pub struct Default {
    pub kind: ExperimentKind,
    pub partner_id: Option<PartnerId>,
    /// Sites and segments; empty means all.
    pub scope: Eligibility,
    pub payload: Payload,
}

impl Default {
    pub fn applies_to(&self, site_id: SiteId, segment: ProjectKind) -> bool {
        let Eligibility { site_ids, segments, .. } = &self.scope;
        (site_ids.is_empty() || site_ids.contains(&site_id)) && (segments.is_empty() || segments.contains(&segment))
    }
}

/// The latest that this process has read.
#[derive(Clone, std::default::Default)]
pub struct Experiments(Arc<RwLock<Option<Arc<Running>>>>);

/// What was read last; it is read now if nothing was.
pub async fn current(engine: &Engine) -> Result<Arc<Running>> {
    if let Some(running) = engine.experiments.0.read().await.as_ref() {
        return Ok(running.clone());
    }
    reload(engine, 0).await
}

/// Reads what stands, unless another task has read revision `at_least` or a later one meanwhile.
pub async fn reload(engine: &Engine, at_least: i64) -> Result<Arc<Running>> {
    let mut held = engine.experiments.0.write().await;
    if let Some(running) = held.as_ref().filter(|running| running.revision >= at_least && at_least > 0) {
        return Ok(running.clone());
    }
    let running = Arc::new(read(engine).await?);
    *held = Some(running.clone());
    Ok(running)
}

async fn read(engine: &Engine) -> Result<Running> {
    let mut tx = engine.db.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let revision = sqlx::query_scalar!("select revision from experiment_revision").fetch_one(&mut *tx).await?;
    let tests = store::load_running(&mut tx).await?;
    let defaults = defaults(&mut tx).await?;
    let (share, seed) = super::holdout::load(&mut tx).await?;
    tx.commit().await?;
    let tests = tests.into_iter().map(|experiment| RunningTest { evaluator: Evaluator::new(&experiment), experiment });
    Ok(Running { revision, tests: tests.collect(), defaults, holdout: Holdout::new(&seed, share) })
}

async fn defaults(connection: &mut PgConnection) -> Result<Vec<Default>> {
    // The newest of each place; the latest comes last, so that of those that apply it outweighs the others, however narrow they are.
    let rows = sqlx::query!(
        r#"select kind, partner_id, scope, payload
           from (
               select distinct on (kind, partner_id, scope) *
               from recommendation_defaults
               order by kind, partner_id, scope, shipped_at desc, experiment_id desc
           ) as latest
           order by shipped_at, experiment_id"#,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = ExperimentKind::ALL.into_iter().find(|kind| kind.as_str() == row.kind);
            Ok(Default {
                kind: kind.ok_or_else(|| Error::internal(format!("unknown kind `{}`", row.kind)))?,
                partner_id: Some(row.partner_id).filter(|id| !id.is_empty()).map(|id| id.parse()).transpose().map_err(Error::internal)?,
                scope: serde_json::from_value(row.scope).map_err(Error::internal)?,
                payload: serde_json::from_value(row.payload).map_err(Error::internal)?,
            })
        })
        .collect()
}

/// Says that something about assignment or defaults has changed; it counts from the commit of the transaction. Until then whoever else
/// changes something waits here.
pub(super) async fn bump(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("update experiment_revision set revision = revision + 1").execute(connection).await?;
    Ok(())
}

impl Running {
    /// The running test of this key, also a paused one.
    pub fn test(&self, key: &str) -> Option<&RunningTest> {
        self.tests.iter().find(|test| test.experiment.key == key)
    }

    /// Whether a test on this site deals by visitor and has not ended, so that its visitors need an id that stays. So they do while it is
    /// paused: with another id, who comes back after the pause would be dealt anew, and counted twice.
    pub fn deals_by_visitor(&self, site_id: SiteId, now: DateTime<Utc>) -> bool {
        self.tests.iter().map(|test| &test.experiment).any(|experiment| {
            let sites = &experiment.design.eligibility.site_ids;
            !experiment.design.has_ended(now)
                && experiment.design.unit == UnitKind::Visitor
                && (sites.is_empty() || sites.contains(&site_id))
        })
    }
}
