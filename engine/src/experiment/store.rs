//! Tests as they stand in the tables.

use chrono::{DateTime, Utc};
use domain::{
    ExperimentId,
    auth::Principal,
    experiment::{Design, Experiment, ExperimentKind, Phase, Status},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;

use super::require_read;
use crate::{Engine, Error, Result};

/// More tests than these are narrowed down by filters.
const LIST_MAX: i64 = 500;

/// Which tests to list: what is absent or empty does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Without one, all but the archived.
    pub status: Option<Status>,
    pub kind: Option<ExperimentKind>,
    /// A part of the name or the key.
    pub search: String,
}

/// A row of a test with its present phase and that phase's latest weights.
struct Row {
    experiment_id: ExperimentId,
    key: String,
    status: Status,
    owner: String,
    design: Value,
    phase: Option<i32>,
    seed: Option<String>,
    started_at: Option<DateTime<Utc>>,
    weights: Option<Vec<f64>>,
    period: Option<i32>,
    created_at: DateTime<Utc>,
    stopped_at: Option<DateTime<Utc>>,
    shipped_variant: Option<String>,
}

impl TryFrom<Row> for Experiment {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let phase = row.phase.zip(row.seed).zip(row.started_at).zip(row.weights.zip(row.period));
        Ok(Self {
            experiment_id: row.experiment_id,
            key: row.key,
            status: row.status,
            owner: row.owner,
            design: serde_json::from_value(row.design).map_err(Error::internal)?,
            phase: phase.map(|(((number, seed), started_at), (weights, period))| Phase { number, seed, started_at, weights, period }),
            created_at: row.created_at,
            stopped_at: row.stopped_at,
            shipped_variant: row.shipped_variant,
        })
    }
}

/// Finds a test.
///
/// # Errors
/// [`Error::NotFound`]; refuses who may not read.
pub async fn find(engine: &Engine, who: &Principal, key: &str) -> Result<Experiment> {
    require_read(who)?;
    load(&mut *engine.db.acquire().await?, key).await
}

/// The tests, newest first: at most 500.
///
/// # Errors
/// Refuses who may not read.
pub async fn list(engine: &Engine, who: &Principal, filter: &Filter) -> Result<Vec<Experiment>> {
    require_read(who)?;
    let statuses = match filter.status {
        Some(status) => vec![status],
        None => Status::ALL.into_iter().filter(|status| *status != Status::Archived).collect(),
    };
    let wanted = Wanted { key: None, statuses: &statuses, kind: filter.kind, search: filter.search.trim(), length_max: Some(LIST_MAX) };
    select(&mut *engine.db.acquire().await?, &wanted).await
}

/// The test of a key.
pub(crate) async fn load(connection: &mut PgConnection, key: &str) -> Result<Experiment> {
    let wanted = Wanted { key: Some(key), statuses: &Status::ALL, kind: None, search: "", length_max: None };
    let found = select(connection, &wanted).await?.pop();
    found.ok_or_else(|| Error::not_found(format!("experiment `{key}`")))
}

/// The tests that may assign somebody, the earliest first.
pub(super) async fn load_running(connection: &mut PgConnection) -> Result<Vec<Experiment>> {
    let statuses = &[Status::Running, Status::Paused];
    let mut running = select(connection, &Wanted { key: None, statuses, kind: None, search: "", length_max: None }).await?;
    running.reverse();
    Ok(running)
}

/// Which tests to read; what is absent or empty does not filter.
struct Wanted<'w> {
    key: Option<&'w str>,
    statuses: &'w [Status],
    kind: Option<ExperimentKind>,
    search: &'w str,
    length_max: Option<i64>,
}

/// Reads tests with their present phase and its latest weights, the newest first.
async fn select(connection: &mut PgConnection, wanted: &Wanted<'_>) -> Result<Vec<Experiment>> {
    let statuses: Vec<&str> = wanted.statuses.iter().map(|status| status.as_str()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select experiment_id as "experiment_id: ExperimentId", key, status as "status: Status", owner, e.design, phase,
                  seed as "seed?", started_at as "started_at?", weights as "weights?", period as "period?",
                  created_at, stopped_at, shipped_variant
           from experiments e
           left join experiment_phases using (experiment_id, phase)
           left join lateral (
               select period, weights
               from experiment_weights w
               where w.experiment_id = e.experiment_id and w.phase = e.phase
               order by period desc
               limit 1
           ) as latest on true
           where ($1::text is null or key = $1)
             and status = any($2)
             and ($3::text is null or e.design ->> 'kind' = $3)
             and (strpos(lower(key), lower($4)) > 0 or strpos(lower(e.design ->> 'name'), lower($4)) > 0)
           order by experiment_id desc
           limit $5"#,
        wanted.key,
        &statuses as &[&str],
        wanted.kind.map(ExperimentKind::as_str),
        wanted.search,
        wanted.length_max,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Experiment::try_from).collect()
}

/// Locks a test until the transaction ends, so that two edits follow each other.
pub(super) async fn lock(connection: &mut PgConnection, key: &str) -> Result<Experiment> {
    sqlx::query!("select experiment_id from experiments where key = $1 for update", key).fetch_optional(&mut *connection).await?;
    load(connection, key).await
}

/// Writes what stands in `experiments` itself.
pub(super) async fn save(connection: &mut PgConnection, experiment: &Experiment) -> Result<()> {
    sqlx::query!(
        "update experiments
         set status = $2, design = $3, phase = $4, shipped_variant = $5, stopped_at = $6
         where experiment_id = $1",
        experiment.experiment_id.0,
        experiment.status.as_str(),
        as_json(&experiment.design)?,
        experiment.phase.as_ref().map(|phase| phase.number),
        experiment.shipped_variant,
        experiment.stopped_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn insert(connection: &mut PgConnection, experiment: &Experiment) -> Result<()> {
    let inserted = sqlx::query!(
        "insert into experiments (experiment_id, key, status, owner, design, created_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (key) do nothing",
        experiment.experiment_id.0,
        experiment.key,
        experiment.status.as_str(),
        experiment.owner,
        as_json(&experiment.design)?,
        experiment.created_at,
    )
    .execute(connection)
    .await?;
    match inserted.rows_affected() {
        0 => Err(Error::Conflict(format!("there is a test with the key `{}` already", experiment.key))),
        _ => Ok(()),
    }
}

/// Ends the present phase of a test, if it has one.
pub(super) async fn end_phase(connection: &mut PgConnection, experiment: &Experiment, at: DateTime<Utc>) -> Result<()> {
    let Some(phase) = &experiment.phase else { return Ok(()) };
    sqlx::query!(
        "update experiment_phases set ended_at = $3 where experiment_id = $1 and phase = $2",
        experiment.experiment_id.0,
        phase.number,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes a test's phase and its first weights, as [`save`] points at it.
pub(super) async fn insert_phase(connection: &mut PgConnection, experiment: &Experiment, phase: &Phase) -> Result<()> {
    let experiment_id = experiment.experiment_id.0;
    sqlx::query!(
        "insert into experiment_phases (experiment_id, phase, seed, design, started_at) values ($1, $2, $3, $4, $5)",
        experiment_id,
        phase.number,
        phase.seed,
        as_json(&experiment.design)?,
        phase.started_at,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "insert into experiment_weights (experiment_id, phase, period, weights, since) values ($1, $2, $3, $4, $5)",
        experiment_id,
        phase.number,
        phase.period,
        &phase.weights,
        phase.started_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes a design that leaves everybody where they are into the present phase too.
pub(super) async fn update_phase_design(connection: &mut PgConnection, experiment: &Experiment) -> Result<()> {
    let Some(phase) = &experiment.phase else { return Ok(()) };
    sqlx::query!(
        "update experiment_phases set design = $3 where experiment_id = $1 and phase = $2",
        experiment.experiment_id.0,
        phase.number,
        as_json(&experiment.design)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) fn as_json(design: &Design) -> Result<Value> {
    serde_json::to_value(design).map_err(Error::internal)
}
