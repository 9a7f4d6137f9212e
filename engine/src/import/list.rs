//! Imports as operators see them, with what became of the rows.

use domain::{ImportId, PartnerId, WebhookDeliveryId, auth::Principal, export, import::RowError};
use sqlx::{PgPool, types::Json};

use super::{Import, ImportState};
use crate::{Engine, Error, Result, access::require_read};

const PAGE_LENGTH: i64 = 50;
/// Events of one import that were given up and are shown.
const GIVEN_UP_MAX: i64 = 100;

#[derive(Clone, Debug, PartialEq)]
pub struct ImportPage {
    pub imports: Vec<Import>,
    /// The cursor of the older ones.
    pub next: Option<ImportId>,
}

/// The newest imports first, 50 a page; ids grow with time.
///
/// # Errors
/// Refuses who may not read.
pub async fn list(engine: &Engine, who: &Principal, before: Option<ImportId>) -> Result<ImportPage> {
    require_read(who, "see imports")?;
    let ids = sqlx::query_scalar!(
        r#"select import_id as "import_id: ImportId" from imports where $1::uuid is null or import_id < $1 order by import_id desc limit $2"#,
        before.map(|id| id.0),
        PAGE_LENGTH + 1,
    )
    .fetch_all(&engine.db)
    .await?;
    let page_length = usize::try_from(PAGE_LENGTH).unwrap_or(usize::MAX);
    let next = (ids.len() > page_length).then(|| ids[page_length - 1]);
    let ids: Vec<_> = ids.into_iter().take(page_length).map(|id| id.0).collect();
    let mut imports = load_all(&engine.db, &ids).await?;
    imports.sort_by_key(|import| std::cmp::Reverse(import.import_id));
    Ok(ImportPage { imports, next })
}

/// # Errors
/// [`Error::NotFound`] if there is no such import; refuses who may not read.
pub async fn find(engine: &Engine, who: &Principal, id: ImportId) -> Result<Import> {
    require_read(who, "see imports")?;
    load(&engine.db, id).await
}

pub(super) async fn load(db: &PgPool, id: ImportId) -> Result<Import> {
    load_all(db, &[id.0]).await?.pop().ok_or_else(|| Error::not_found(format!("import `{id}`")))
}

async fn load_all(db: &PgPool, ids: &[uuid::Uuid]) -> Result<Vec<Import>> {
    let rows = sqlx::query!(
        r#"select import_id as "import_id: ImportId", partner_id as "partner_id: PartnerId", file_name, mapping as "mapping: Json<domain::import::Mapping>",
                  state as "state: ImportState", rows_total, rows_done, rows_new, rows_duplicate, rows_failed,
                  row_errors as "row_errors: Json<Vec<RowError>>", created_at, created_by, finished_at
           from imports where import_id = any($1)"#,
        ids,
    )
    .fetch_all(db)
    .await?;
    let imports = rows.into_iter().map(|row| Import {
        import_id: row.import_id,
        partner_id: row.partner_id,
        file_name: row.file_name,
        mapping: row.mapping.0,
        state: row.state,
        rows_total: row.rows_total,
        rows_done: row.rows_done,
        rows_new: row.rows_new,
        rows_duplicate: row.rows_duplicate,
        rows_failed: row.rows_failed,
        row_errors: row.row_errors.0,
        created_at: row.created_at,
        created_by: row.created_by,
        finished_at: row.finished_at,
    });
    Ok(imports.collect())
}

/// What became of an import's events since they are in the inbound log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    pub waiting: i64,
    pub processed: i64,
    /// The first hundred by line.
    pub given_up: Vec<GivenUp>,
    pub given_up_total: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    pub webhook_delivery_id: WebhookDeliveryId,
    pub line: i64,
    pub reason: String,
}

/// # Errors
/// Refuses who may not read.
pub async fn effects(engine: &Engine, who: &Principal, id: ImportId) -> Result<Effects> {
    require_read(who, "see imports")?;
    let counts = sqlx::query!(
        r#"select count(*) filter (where state in ('received', 'retrying')) as "waiting!", count(*) filter (where state in ('processed', 'ignored')) as "processed!",
                  count(*) filter (where state = 'dead') as "dead!"
           from webhook_deliveries where import_id = $1"#,
        id.0,
    )
    .fetch_one(&engine.db)
    .await?;
    let given_up = sqlx::query_as!(
        GivenUp,
        r#"select webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId", coalesce(import_line, 0) as "line!", coalesce(last_error, '') as "reason!"
           from webhook_deliveries where import_id = $1 and state = 'dead'
           order by import_line, webhook_delivery_id
           limit $2"#,
        id.0,
        GIVEN_UP_MAX,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(Effects { waiting: counts.waiting, processed: counts.processed, given_up, given_up_total: counts.dead })
}

/// The rows that are wrong and the events that were given up, as CSV for whoever corrects the file.
///
/// # Errors
/// [`Error::NotFound`] if there is no such import; refuses who may not read.
pub async fn errors_csv(engine: &Engine, who: &Principal, id: ImportId) -> Result<String> {
    let import = find(engine, who, id).await?;
    let effects = effects(engine, who, id).await?;
    let head = ["line", "column", "value", "expected"].map(str::to_owned);
    let wrong = |error: RowError| {
        [error.line.to_string(), export::guard_cell(&error.column), export::guard_cell(&error.value), export::guard_cell(&error.expected)]
    };
    let given_up = |event: GivenUp| [event.line.to_string(), "given up".to_owned(), String::new(), export::guard_cell(&event.reason)];
    let rows = import.row_errors.into_iter().map(wrong).chain(effects.given_up.into_iter().map(given_up));
    Ok(export::csv(std::iter::once(head).chain(rows)))
}
