//! The run of an import: batches of rows go into the inbound log, each in one transaction with the progress that it makes.
//!
//! A run that is interrupted goes on behind its last batch. Should two workers ever run one import, the second finds that its
//! lease is gone; and whatever they do, an event has one place in the log.

use std::time::Duration;

use chrono::TimeDelta;
use domain::{ImportId, conversion::Source, import::Table, live::LiveEvent};
use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    Import, ImportState, ROW_ERRORS_MAX, load,
    plan::{self, Fate, Known, Tally},
};
use crate::{Engine, Error, Result, inbound, work::Work};

/// Rows of one transaction, and events of an import that wait in the queue at a time: what partners send meanwhile must not
/// wait behind a whole file.
const BATCH_LENGTH: usize = 200;
/// Longer than any batch takes; another worker takes over after it.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// Between two looks for an import to run, or for room in the queue.
const POLL: Duration = Duration::from_millis(200);

/// An import that this worker runs.
pub struct Run {
    import: Import,
    table: Table,
    lease_id: Uuid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A batch went into the log.
    Advanced,
    /// The queue is full of this import's events.
    Waiting,
    /// Nothing is left to do, or another worker has taken over.
    Ended,
}

/// Takes the next import that nobody runs.
///
/// # Errors
/// Only if the database is away.
pub async fn claim(engine: &Engine) -> Result<Option<Run>> {
    let (now, lease_id) = (engine.now(), engine.new_id::<Uuid>());
    let claimed = sqlx::query_scalar!(
        r#"update imports set lease_id = $1, leased_until = $3
           where import_id = (
               select import_id from imports
               where state = 'running' and (leased_until is null or leased_until < $2)
               order by created_at
               limit 1
               for update skip locked
           )
           returning import_id as "import_id: ImportId""#,
        lease_id,
        now,
        now + LEASE,
    )
    .fetch_optional(&engine.db)
    .await?;
    let Some(import_id) = claimed else { return Ok(None) };
    let (import, table) = load(engine, import_id).await?;
    Ok(Some(Run { import, table, lease_id }))
}

/// Does one batch of a run and renews its lease.
///
/// # Errors
/// If the database is away; the batch is then done by whoever goes on.
pub async fn step(engine: &Engine, run: &Run) -> Result<Step> {
    let mut work = Work::begin(engine).await?;
    let now = work.now();
    let import_id = run.import.import_id;
    let progress = sqlx::query!(
        r#"update imports set leased_until = $3
           where import_id = $1 and lease_id = $2 and state = 'running'
           returning rows_done, jsonb_array_length(row_errors) as "errors!""#,
        import_id.0,
        run.lease_id,
        now + LEASE,
    )
    .fetch_optional(work.connection())
    .await?;
    let Some(progress) = progress else { return Ok(Step::Ended) };
    let waiting = sqlx::query_scalar!(
        r#"select count(*) as "count!" from webhook_deliveries where import_id = $1 and state = 'received'"#,
        import_id.0
    )
    .fetch_one(work.connection())
    .await?;
    if usize::try_from(waiting).unwrap_or(usize::MAX) >= BATCH_LENGTH {
        work.commit().await?;
        return Ok(Step::Waiting);
    }

    let from = usize::try_from(progress.rows_done).unwrap_or(0);
    let mut known = Known::new();
    let mut fates = plan::plan(work.connection(), now, &run.import, &run.table, from, BATCH_LENGTH, &mut known).await?;
    let done = i32::try_from(fates.len()).unwrap_or(i32::MAX);
    append(&mut work, run, &mut fates).await?;
    let mut tally = Tally::default();
    fates.into_iter().for_each(|fate| tally.add(fate));
    let room = ROW_ERRORS_MAX.saturating_sub(usize::try_from(progress.errors).unwrap_or(ROW_ERRORS_MAX));
    tally.errors.truncate(room);
    let finished = progress.rows_done + done >= run.import.rows_total;
    sqlx::query!(
        "update imports
         set rows_done = rows_done + $2, rows_new = rows_new + $3, rows_duplicate = rows_duplicate + $4, rows_failed = rows_failed + $5,
             row_errors = row_errors || $6, state = $7, finished_at = $8
         where import_id = $1",
        import_id.0,
        done,
        tally.new,
        tally.duplicate,
        tally.failed,
        Json(tally.errors) as _,
        if finished { ImportState::Finished } else { ImportState::Running } as _,
        finished.then_some(now),
    )
    .execute(work.connection())
    .await?;
    work.announce(LiveEvent::Import { import_id });
    work.commit().await?;
    engine.work.notify_one();
    Ok(if finished { Step::Ended } else { Step::Advanced })
}

/// Puts what is new into the inbound log, and what was given up before in its new form. What came in between on its own turns into a
/// duplicate.
async fn append(work: &mut Work<'_>, run: &Run, fates: &mut [Fate]) -> Result<()> {
    let now = work.now();
    let (mut ids, mut message_ids, mut bodies, mut types, mut lines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for fate in fates.iter() {
        let Fate::New(line, events) = fate else { continue };
        for event in events {
            ids.push(work.engine.new_id::<Uuid>());
            message_ids.push(event.message_id.clone());
            bodies.push(event.body.to_string().into_bytes());
            types.push(event.body["type"].as_str().unwrap_or_default().to_owned());
            lines.push(i64::try_from(*line).unwrap_or(i64::MAX));
        }
    }
    // In the order of their ids, so that two files that overlap never wait for each other crosswise.
    let mut stored: Vec<String> = sqlx::query_scalar!(
        "insert into webhook_deliveries (webhook_delivery_id, partner_id, event_path, message_id, headers, body, received_at, state, next_attempt_at,
                                         event_type, import_id, import_line)
         select id, $1, $2, message_id, '{}', body, $3, 'received', $3, event_type, $4, line
         from unnest($5::uuid[], $6::text[], $7::bytea[], $8::text[], $9::bigint[]) as event (id, message_id, body, event_type, line)
         order by message_id
         on conflict on constraint webhook_deliveries_partner_id_message_id_key do nothing
         returning message_id",
        run.import.partner_id.as_str(),
        inbound::event_path(Source::Csv),
        now,
        run.import.import_id.0,
        &ids,
        &message_ids,
        &bodies,
        &types,
        &lines,
    )
    .fetch_all(work.connection())
    .await?;
    if stored.len() < ids.len() {
        stored.extend(start_anew(work, run, fates, &stored).await?);
        for fate in fates.iter_mut() {
            if matches!(fate, Fate::New(_, events) if events.iter().all(|event| !stored.contains(&event.message_id))) {
                *fate = Fate::Duplicate;
            }
        }
    }
    Ok(())
}

/// Puts those of the new events that are not stored, since they were given up before, into the queue again; tells which.
async fn start_anew(work: &mut Work<'_>, run: &Run, fates: &[Fate], stored: &[String]) -> Result<Vec<String>> {
    let mut again = Vec::new();
    for fate in fates {
        let Fate::New(line, events) = fate else { continue };
        for event in events.iter().filter(|event| !stored.contains(&event.message_id)) {
            again.push(inbound::Again {
                message_id: event.message_id.clone(),
                body: event.body.to_string().into_bytes(),
                event_type: event.body["type"].as_str().unwrap_or_default().to_owned(),
                line: Some(i64::try_from(*line).unwrap_or(i64::MAX)),
            });
        }
    }
    let Run { import, .. } = run;
    let path = inbound::event_path(Source::Csv);
    inbound::start_anew(work, &import.partner_id, path, &json!({}), Some(import.import_id), again).await
}

/// Runs imports for as long as the process lives.
pub async fn work_loop(engine: Engine) {
    loop {
        if let Err(error) = run_next(&engine).await {
            match error {
                Error::Unavailable(_) => tracing::warn!(error = %error, "an import waits for the database"),
                error => tracing::error!(error = ?error, "an import failed; it is tried again when its lease has ended"),
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn run_next(engine: &Engine) -> Result<()> {
    let Some(run) = claim(engine).await? else { return Ok(()) };
    loop {
        match step(engine, &run).await? {
            Step::Advanced => {}
            Step::Waiting => tokio::time::sleep(POLL).await,
            Step::Ended => return Ok(()),
        }
    }
}
