//! CSV imports of conversions and reversals: upload, mapping, dry run, run.
//!
//! The file stays as it came, and `domain::import` reads it. Each row becomes an event of the inbound log, so that all that holds
//! there holds for files: one effect per event, retries, dead letters, replay. [`plan`] tells what a row would do, for the dry
//! run and the run alike; [`run`] works a file off in batches and goes on where it was interrupted.

mod list;
mod plan;
mod run;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use chrono::{DateTime, Utc};
use domain::{
    ImportId, PartnerId,
    auth::Principal,
    import::{InvalidMapping, Mapping, RowError, Table, rows},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::types::Json;

use crate::{
    Engine, Error, Result,
    access::{require_operate, require_read},
    audit, partner,
};

pub use list::{Effects, GivenUp, ImportPage, effects, errors_csv, find, list};
pub use plan::Tally;
pub use run::{Run, Step, claim, step, work_loop};

/// 10 MiB: about 100 000 rows.
pub const FILE_BYTES_MAX: usize = 10 << 20;
/// Errors that are kept of one file.
pub const ROW_ERRORS_MAX: usize = 1_000;
/// Rows and errors that a preview shows.
const PREVIEW_LENGTH: usize = 10;
const FILE_NAME_BYTES_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// Uploaded; the mapping can still change, and nothing was imported.
    Previewed,
    Running,
    /// Every row is in the inbound log, was there already, or is listed as wrong.
    Finished,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    pub import_id: ImportId,
    pub partner_id: PartnerId,
    pub file_name: String,
    pub mapping: Mapping,
    pub state: ImportState,
    pub rows_total: i32,
    pub rows_done: i32,
    pub rows_new: i32,
    pub rows_duplicate: i32,
    pub rows_failed: i32,
    /// The first [`ROW_ERRORS_MAX`].
    pub row_errors: Vec<RowError>,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub finished_at: Option<DateTime<Utc>>,
}

/// Stores a file with a guessed mapping and reads nothing into the books. The same file of the same partner again is the same import.
///
/// # Errors
/// [`Error::Invalid`] for a file that is no table, is empty or too large; [`Error::NotFound`] for an unknown partner.
pub async fn upload(engine: &Engine, who: &Principal, partner_id: &PartnerId, file_name: &str, bytes: Vec<u8>) -> Result<ImportId> {
    require_operate(who, "import files")?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Error::invalid("file", format!("has {} bytes, expected at most {FILE_BYTES_MAX}", bytes.len())));
    }
    let (bytes, table) = read_table(bytes).await?;
    if table.rows.is_empty() {
        return Err(Error::invalid("file", "has a header but no rows"));
    }
    let mapping = Mapping::guess(&table.headers);
    let digest = Sha256::digest(&bytes);
    let id: ImportId = engine.new_id();
    let mut tx = engine.db.begin().await?;
    partner::find(&mut tx, partner_id).await?;
    let row = sqlx::query!(
        r#"insert into imports as i (import_id, partner_id, file_name, file_digest, body, mapping, state, rows_total, created_at, created_by)
           values ($1, $2, $3, $4, $5, $6, 'previewed', $7, $8, $9)
           on conflict on constraint imports_file_key do update set file_name = i.file_name
           returning import_id as "import_id: ImportId""#,
        id.0,
        partner_id.as_str(),
        clean_name(file_name),
        digest.as_slice(),
        bytes,
        Json(mapping) as _,
        i32::try_from(table.rows.len()).unwrap_or(i32::MAX),
        engine.now(),
        who.actor(),
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(row.import_id)
}

/// A file's name is shown only; browsers may send a whole path.
fn clean_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut clean: String = name.chars().filter(|character| !character.is_control()).collect();
    while clean.len() > FILE_NAME_BYTES_MAX {
        clean.pop();
    }
    if clean.is_empty() { "unnamed.csv".to_owned() } else { clean }
}

/// Reading is work for a processor, up to a tenth of a second.
async fn read_table(bytes: Vec<u8>) -> Result<(Vec<u8>, Table)> {
    let read = move || Table::read(&bytes).map(|table| (bytes, table));
    tokio::task::spawn_blocking(read).await.map_err(Error::internal)?.map_err(|error| Error::invalid("file", error))
}

/// Says which column is what. An import that has finished can be mapped anew and run again: what it did is not done twice.
///
/// # Errors
/// [`Error::Invalid`] names the field whose column the file does not have, or that is missing; [`Error::Conflict`] while it runs.
pub async fn save_mapping(engine: &Engine, who: &Principal, id: ImportId, mapping: Mapping) -> Result<()> {
    require_operate(who, "map imports")?;
    let (_, table) = load(engine, id).await?;
    mapping.check(&table).map_err(invalid_mapping)?;
    let updated = sqlx::query!(
        "update imports
         set mapping = $2, state = 'previewed', rows_done = 0, rows_new = 0, rows_duplicate = 0, rows_failed = 0, row_errors = '[]', finished_at = null
         where import_id = $1 and state <> 'running'",
        id.0,
        Json(mapping) as _,
    )
    .execute(&engine.db)
    .await?;
    if updated.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Error::Conflict("the import is running; its mapping cannot change now".to_owned()))
    }
}

fn invalid_mapping(error: InvalidMapping) -> Error {
    Error::invalid(error.field.name(), error.reason)
}

/// What a file looks like under its mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    pub delimiter: char,
    pub headers: Vec<String>,
    /// The first rows: line and cells.
    pub rows: Vec<(u64, Vec<String>)>,
    /// Why no row can be read at all.
    pub invalid_mapping: Option<InvalidMapping>,
    /// The first rows that cannot be read.
    pub errors: Vec<RowError>,
    pub errors_total: usize,
}

/// Reads the file under its mapping and asks nothing else.
///
/// # Errors
/// [`Error::NotFound`] if there is no such import; refuses who may not read.
pub async fn preview(engine: &Engine, who: &Principal, id: ImportId) -> Result<Preview> {
    require_read(who, "see imports")?;
    let (import, table) = load(engine, id).await?;
    let read = move || {
        let (invalid_mapping, errors) = match rows(&table, &import.mapping, &import.partner_id) {
            Ok(rows) => (None, rows.filter_map(Result::err).collect()),
            Err(invalid) => (Some(invalid), Vec::new()),
        };
        let cells = |row: &domain::import::Row| (row.line, row.cells().map(str::to_owned).collect());
        Preview {
            delimiter: table.delimiter,
            rows: table.rows.iter().take(PREVIEW_LENGTH).map(cells).collect(),
            errors_total: errors.len(),
            errors: errors.into_iter().take(PREVIEW_LENGTH).collect(),
            headers: table.headers,
            invalid_mapping,
        }
    };
    tokio::task::spawn_blocking(read).await.map_err(Error::internal)
}

/// Tells what a run would do now, row by row, and writes nothing.
///
/// # Errors
/// [`Error::Invalid`] if the mapping does not fit; [`Error::NotFound`] if there is no such import.
pub async fn dry_run(engine: &Engine, who: &Principal, id: ImportId) -> Result<Tally> {
    require_read(who, "see imports")?;
    let (import, table) = load(engine, id).await?;
    import.mapping.check(&table).map_err(invalid_mapping)?;
    let mut known = plan::Known::new();
    let mut tally = Tally::default();
    let mut connection = engine.db.acquire().await?;
    for from in (0..table.rows.len()).step_by(plan::CHUNK_LENGTH) {
        let fates = plan::plan(&mut connection, engine.now(), &import, &table, from, plan::CHUNK_LENGTH, &mut known).await?;
        fates.into_iter().for_each(|fate| tally.add(fate));
    }
    Ok(tally)
}

/// Starts a run; a worker does it.
///
/// # Errors
/// [`Error::Invalid`] if the mapping does not fit, [`Error::Conflict`] if the import runs or has finished, [`Error::NotFound`].
pub async fn start(engine: &Engine, who: &Principal, id: ImportId) -> Result<()> {
    require_operate(who, "import files")?;
    let (import, table) = load(engine, id).await?;
    import.mapping.check(&table).map_err(invalid_mapping)?;
    let mut tx = engine.db.begin().await?;
    let updated = sqlx::query!(
        "update imports set state = 'running', lease_id = null, leased_until = null where import_id = $1 and state = 'previewed'",
        id.0
    )
    .execute(&mut *tx)
    .await?;
    if updated.rows_affected() != 1 {
        return Err(Error::Conflict("the import is running or has finished".to_owned()));
    }
    let subject = format!("import of {} for {}", import.file_name, import.partner_id);
    audit::record(engine, &mut tx, who, "import.started", &subject, json!({ "rows": import.rows_total, "mapping": import.mapping }))
        .await?;
    tx.commit().await?;
    Ok(())
}

async fn load(engine: &Engine, id: ImportId) -> Result<(Import, Table)> {
    let import = list::load(&engine.db, id).await?;
    let body = sqlx::query_scalar!("select body from imports where import_id = $1", id.0).fetch_one(&engine.db).await?;
    let (_, table) = read_table(body).await?;
    Ok((import, table))
}
