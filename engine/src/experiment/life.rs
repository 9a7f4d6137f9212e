//! What operators do to a test: write it down, start it, edit it, stop it, and ship what won.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::{
    PartnerId,
    auth::Principal,
    experiment::{self, Deal, Design, Edit, Eligibility, Experiment, Moves, Payload, Phase, Status, Step},
    live::LiveEvent,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::{require_read, require_write, running, store};
use crate::{Engine, Error, Result, audit, work::Work};

/// What stands in the place of a key in addresses of pages and of the API.
const RESERVED_KEYS: [&str; 5] = ["assignments", "compare", "holdout", "new", "unit"];

/// What an edit would do, or has done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edited {
    pub experiment: Experiment,
    /// Absent for a draft, which nobody takes part in.
    pub edit: Option<Edit>,
    /// What becomes of the units; absent if nobody is assigned otherwise.
    pub moves: Option<Moves>,
}

/// Writes a test down as a draft. Without a key, one is made from its name.
///
/// # Errors
/// [`Error::Invalid`] for a key or design that could never be kept, [`Error::Conflict`] if the key is taken; refuses who may not change
/// tests.
pub async fn create(engine: &Engine, who: &Principal, key: Option<&str>, design: Design) -> Result<Experiment> {
    require_write(who)?;
    let key = key.map_or_else(|| key_of(&design.name), str::to_owned);
    let is_key = (1..=40).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !is_key {
        return Err(Error::invalid("key", format!("`{key}` must be 1 to 40 characters of a-z, 0-9 and -")));
    }
    if RESERVED_KEYS.contains(&key.as_str()) {
        return Err(Error::invalid("key", format!("`{key}` is a word of our own addresses")));
    }
    check(&design)?;
    let experiment = Experiment {
        experiment_id: engine.new_id(),
        key,
        status: Status::Draft,
        owner: who.actor(),
        design,
        phase: None,
        created_at: engine.now(),
        stopped_at: None,
        shipped_variant: None,
    };
    let mut work = Work::begin(engine).await?;
    store::insert(work.connection(), &experiment).await?;
    record(&mut work, who, "experiment.created", &experiment, json!({ "design": experiment.design })).await?;
    work.commit().await?;
    Ok(experiment)
}

/// Tells what [`edit`] would do, and changes nothing.
///
/// # Errors
/// As [`edit`], but for the confirmation.
pub async fn preview_edit(engine: &Engine, who: &Principal, key: &str, design: &Design) -> Result<Edited> {
    require_read(who)?;
    let before = store::load(&mut *engine.db.acquire().await?, key).await?;
    edited(engine, before, design)
}

/// Changes the design. Of a running test only names and end are edited in place, and more traffic joins; anything else opens a new phase,
/// which deals everybody anew and has to be confirmed.
///
/// # Errors
/// [`Error::Invalid`] names what is wrong with the design, [`Error::Conflict`] for a test that is over, for a new phase that was not
/// confirmed and, if it runs, for another test that changes the same for the same units; refuses who may not change tests.
pub async fn edit(engine: &Engine, who: &Principal, key: &str, design: Design, confirms_new_phase: bool) -> Result<Edited> {
    change(engine, who, key, design, if confirms_new_phase { Consent::NewPhase } else { Consent::InPlace }).await
}

/// Changes the design as [`edit`] does, for somebody who has seen what that does to the test as `seen` names it ([`version`]): a new phase is
/// confirmed by that, and what others changed meanwhile is not undone.
///
/// # Errors
/// As [`edit`], and [`Error::Conflict`] if the test is not as it was seen.
pub async fn edit_as_seen(engine: &Engine, who: &Principal, key: &str, design: Design, seen: &str) -> Result<Edited> {
    change(engine, who, key, design, Consent::AsSeen(seen)).await
}

/// Names a test as it stands: another design or phase has another name.
pub fn version(experiment: &Experiment) -> Result<String> {
    let stands = json!([experiment.phase.as_ref().map(|phase| phase.number), store::as_json(&experiment.design)?]);
    Ok(hex::encode(Sha256::digest(stands.to_string())))
}

/// What somebody who changes a test agrees to.
#[derive(Clone, Copy)]
enum Consent<'c> {
    /// Nobody is dealt anew.
    InPlace,
    NewPhase,
    /// Whatever it does to the test of this version.
    AsSeen(&'c str),
}

async fn change(engine: &Engine, who: &Principal, key: &str, design: Design, consent: Consent<'_>) -> Result<Edited> {
    require_write(who)?;
    check(&design)?;
    let mut work = Work::begin(engine).await?;
    let before = lock(&mut work, key).await?;
    if let Consent::AsSeen(seen) = consent
        && version(&before)? != seen
    {
        return Err(Error::Conflict(format!(
            "somebody else has changed the test `{key}` meanwhile: look at what this edit does to it now"
        )));
    }
    let from = before.design.clone();
    let mut done = edited(engine, before, &design)?;
    match done.edit {
        None => {}
        Some(Edit::Description | Edit::MoreTraffic) => store::update_phase_design(work.connection(), &done.experiment).await?,
        Some(Edit::NewPhase) if matches!(consent, Consent::InPlace) => {
            let moved = done.moves.map_or(0.0, |moves| (moves.moved * 100.0).round());
            return Err(Error::Conflict(format!(
                "this edit opens a new phase, in which about {moved} % of the units see another variant: confirm it, or leave the test as it is"
            )));
        }
        Some(Edit::NewPhase) => open_phase(engine, work.connection(), &mut done.experiment).await?,
    }
    // A later end, too, may reach into another test's time.
    if done.experiment.status == Status::Running {
        refuse_rivals(&mut work, &done.experiment).await?;
    }
    store::save(work.connection(), &done.experiment).await?;
    let detail =
        json!({ "before": from, "after": done.experiment.design, "phase": done.experiment.phase.as_ref().map(|phase| phase.number) });
    record(&mut work, who, "experiment.edited", &done.experiment, detail).await?;
    work.commit().await?;
    Ok(done)
}

fn edited(engine: &Engine, mut experiment: Experiment, design: &Design) -> Result<Edited> {
    if matches!(experiment.status, Status::Stopped | Status::Archived) {
        return Err(Error::Conflict(format!("a test that is {} is not edited any more", experiment.status.as_str())));
    }
    let Some(phase) = &experiment.phase else {
        experiment.design = design.clone();
        return Ok(Edited { experiment, edit: None, moves: None });
    };
    let edit = experiment::edit(&experiment.design, design);
    let from = Deal { design: &experiment.design, seed: &phase.seed, weights: &phase.weights };
    let after = Experiment { design: design.clone(), ..experiment.clone() };
    let next = next_phase(engine, &after);
    let to = match edit {
        Edit::NewPhase => Deal { design, seed: &next.seed, weights: &next.weights },
        Edit::Description | Edit::MoreTraffic => Deal { design, ..from },
    };
    let moves = (edit != Edit::Description).then(|| experiment::moves(&from, &to));
    Ok(Edited { experiment: after, edit: Some(edit), moves })
}

/// Starts, pauses, resumes, stops or archives a test. It counts at once, on every instance.
///
/// # Errors
/// [`Error::Conflict`] if the step does not follow from the status or, on a start, if another test would change the same for the same units;
/// [`Error::Invalid`] names what is wrong with the design; refuses who may not change tests.
pub async fn step(engine: &Engine, who: &Principal, key: &str, step: Step) -> Result<Experiment> {
    require_write(who)?;
    let mut work = Work::begin(engine).await?;
    let mut experiment = lock(&mut work, key).await?;
    let before = experiment.status;
    experiment.status = before.after(step).map_err(|wrong| Error::Conflict(wrong.to_string()))?;
    let now = engine.now();
    let mut detail = json!({ "before": before.as_str(), "after": experiment.status.as_str() });
    match step {
        Step::Start => {
            check(&experiment.design)?;
            if experiment.design.has_ended(now) {
                return Err(Error::invalid("ends_at", "the end has passed already"));
            }
            refuse_rivals(&mut work, &experiment).await?;
            open_phase(engine, work.connection(), &mut experiment).await?;
            // What was planned is on record before the first figure comes in.
            let design = store::as_json(&experiment.design)?;
            detail["design_sha256"] = json!(hex::encode(Sha256::digest(design.to_string())));
        }
        Step::Resume => refuse_rivals(&mut work, &experiment).await?,
        Step::Stop => {
            experiment.stopped_at = Some(now);
            store::end_phase(work.connection(), &experiment, now).await?;
        }
        Step::Pause | Step::Archive => {}
    }
    store::save(work.connection(), &experiment).await?;
    let action = match step {
        Step::Start => "experiment.started",
        Step::Pause => "experiment.paused",
        Step::Resume => "experiment.resumed",
        Step::Stop => "experiment.stopped",
        Step::Archive => "experiment.archived",
    };
    record(&mut work, who, action, &experiment, detail).await?;
    work.commit().await?;
    Ok(experiment)
}

/// Stops a test, if it still runs, and makes a variant's payload the default for the partners, sites and segments that the test was for, in
/// place of what it shipped before. Shipping a variant that changes nothing takes that back, and keeps what is shown without the test.
///
/// # Errors
/// [`Error::Invalid`] for a variant that the test does not have, [`Error::Conflict`] for a draft or an archived test; refuses who may not
/// change tests.
pub async fn ship(engine: &Engine, who: &Principal, key: &str, variant_key: &str) -> Result<Experiment> {
    require_write(who)?;
    let mut work = Work::begin(engine).await?;
    let mut experiment = lock(&mut work, key).await?;
    let now = engine.now();
    match experiment.status {
        Status::Running | Status::Paused => {
            experiment.status = Status::Stopped;
            experiment.stopped_at = Some(now);
            store::end_phase(work.connection(), &experiment, now).await?;
        }
        Status::Stopped => {}
        Status::Draft | Status::Archived => {
            return Err(Error::Conflict(format!("a test that is {} has nothing to ship", experiment.status.as_str())));
        }
    }
    let variant = experiment.design.variants.iter().find(|variant| variant.key == variant_key);
    let payload = variant.ok_or_else(|| Error::invalid("variant", format!("`{variant_key}` is no variant of `{key}`")))?.payload.clone();
    let takes_back = take_back(work.connection(), &experiment).await?;
    if payload != Payload::Unchanged {
        for partner_id in concerned(&experiment.design) {
            set_default(work.connection(), who, now, &experiment, partner_id, &payload).await?;
        }
    }
    let before = experiment.shipped_variant.replace(variant_key.to_owned());
    store::save(work.connection(), &experiment).await?;
    let detail = json!({
        "variant": variant_key,
        "payload": payload,
        "partners": experiment.design.eligibility.partner_ids,
        "taken_back": before.filter(|_| takes_back),
    });
    record(&mut work, who, "experiment.shipped", &experiment, detail).await?;
    work.commit().await?;
    Ok(experiment)
}

/// The partners whose default a decision sets; the empty text is all of them.
fn concerned(design: &Design) -> Vec<&str> {
    let partner_ids = &design.eligibility.partner_ids;
    if partner_ids.is_empty() { vec![""] } else { partner_ids.iter().map(PartnerId::as_str).collect() }
}

/// Removes the defaults that this test has set; tells whether there were any. What they outweighed counts again.
async fn take_back(connection: &mut PgConnection, experiment: &Experiment) -> Result<bool> {
    let removed = sqlx::query!("delete from recommendation_defaults where experiment_id = $1", experiment.experiment_id.0);
    Ok(removed.execute(connection).await?.rows_affected() > 0)
}

async fn set_default(
    connection: &mut PgConnection,
    who: &Principal,
    at: DateTime<Utc>,
    experiment: &Experiment,
    partner_id: &str,
    payload: &Payload,
) -> Result<()> {
    sqlx::query!(
        "insert into recommendation_defaults (kind, partner_id, scope, payload, experiment_id, shipped_at, shipped_by)
         values ($1, $2, $3, $4, $5, $6, $7)",
        experiment.design.kind.as_str(),
        partner_id,
        serde_json::to_value(Eligibility { partner_ids: BTreeSet::new(), ..experiment.design.eligibility.clone() })?,
        serde_json::to_value(payload)?,
        experiment.experiment_id.0,
        at,
        who.actor(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn open_phase(engine: &Engine, connection: &mut PgConnection, experiment: &mut Experiment) -> Result<()> {
    let phase = next_phase(engine, experiment);
    store::end_phase(connection, experiment, phase.started_at).await?;
    store::insert_phase(connection, experiment, &phase).await?;
    experiment.phase = Some(phase);
    Ok(())
}

/// The phase that would follow the present one, with the weights of the design and a seed of its own.
fn next_phase(engine: &Engine, experiment: &Experiment) -> Phase {
    let number = experiment.phase.as_ref().map_or(0, |phase| phase.number) + 1;
    Phase {
        number,
        seed: format!("{}:{number}", experiment.key),
        started_at: engine.now(),
        weights: experiment.design.weights(),
        period: 0,
    }
}

/// Locks a test, and says that something changes. Whoever else changes a test waits until the work ends, so that it then sees what this one
/// did: of two rivals that start at once, the later one is refused.
async fn lock(work: &mut Work<'_>, key: &str) -> Result<Experiment> {
    let experiment = store::lock(work.connection(), key).await?;
    running::bump(work.connection()).await?;
    Ok(experiment)
}

/// Two tests that change the same for the same units would disturb each other, and only one could be shown. One whose end has passed changes
/// nothing any more.
async fn refuse_rivals(work: &mut Work<'_>, experiment: &Experiment) -> Result<()> {
    let now = work.now();
    if experiment.design.has_ended(now) {
        return Ok(());
    }
    let others = store::load_running(work.connection()).await?;
    let is_rival = |other: &Experiment| {
        other.experiment_id != experiment.experiment_id
            && other.status == Status::Running
            && !other.design.has_ended(now)
            && experiment.design.collides(&other.design)
    };
    match others.into_iter().find(is_rival) {
        None => Ok(()),
        Some(rival) => Err(Error::Conflict(format!(
            "the test `{}` already changes the same ({}) for the same units: stop it, or deal both by the same unit, in disjoint parts of one exclusion group",
            rival.key,
            rival.design.kind.as_str()
        ))),
    }
}

fn check(design: &Design) -> Result<()> {
    match design.faults().into_iter().next() {
        None => Ok(()),
        Some(fault) => Err(Error::Invalid { field: fault.field, reason: fault.reason }),
    }
}

async fn record(work: &mut Work<'_>, who: &Principal, action: &str, experiment: &Experiment, detail: serde_json::Value) -> Result<()> {
    let engine = work.engine;
    audit::record(engine, work.connection(), who, action, &format!("experiment {}", experiment.key), detail).await?;
    work.announce(LiveEvent::Experiment { experiment_id: experiment.experiment_id });
    Ok(())
}

/// `Shorter button text` becomes `shorter-button-text`.
fn key_of(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut key = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    key.truncate(40);
    key.trim_end_matches('-').to_owned()
}
