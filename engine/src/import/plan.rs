//! What each row of a file would do: something new, nothing since it is known, or nothing since it is wrong.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    Money,
    import::{Field, ImportedEvent, ImportedRow, RowError, Table, rows},
};
use serde_json::Value;
use sqlx::PgConnection;

use super::{Import, ROW_ERRORS_MAX, invalid_mapping};
use crate::{
    Result,
    conversion::{CLOCK_SKEW, currency},
    inbound,
};

/// Rows whose events are looked up at once.
pub const CHUNK_LENGTH: usize = 2_000;

pub enum Fate {
    /// The events that are not known yet, and the row's line.
    New(u64, Vec<ImportedEvent>),
    Duplicate,
    Failed(RowError),
}

/// Rows by what they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub new: i32,
    pub duplicate: i32,
    pub failed: i32,
    /// The first [`ROW_ERRORS_MAX`].
    pub errors: Vec<RowError>,
}

impl Tally {
    pub fn add(&mut self, fate: Fate) {
        match fate {
            Fate::New(..) => self.new += 1,
            Fate::Duplicate => self.duplicate += 1,
            Fate::Failed(error) => {
                self.failed += 1;
                if self.errors.len() < ROW_ERRORS_MAX {
                    self.errors.push(error);
                }
            }
        }
    }
}

/// The money of each event that is known, by its message id; `None` for a reversal of all that is left.
pub type Known = HashMap<String, Option<Money>>;

/// Tells the fate of up to `length` rows from row `from` on. `known` holds what earlier rows of the file have brought, and grows.
pub async fn plan(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    import: &Import,
    table: &Table,
    from: usize,
    length: usize,
    known: &mut Known,
) -> Result<Vec<Fate>> {
    let read = rows(table, &import.mapping, &import.partner_id).map_err(invalid_mapping)?;
    let chunk: Vec<(u64, Result<ImportedRow, RowError>)> =
        table.rows.iter().map(|row| row.line).zip(read).skip(from).take(length).collect();
    let parts: Vec<Part> = chunk.iter().filter_map(|(_, row)| row.as_ref().ok()).flat_map(parts_of).collect();
    look_up(connection, import, &parts, known).await?;
    Ok(chunk.into_iter().map(|(line, row)| row.and_then(|row| fate(import, line, &row, now, known)).unwrap_or_else(Fate::Failed)).collect())
}

fn fate(import: &Import, line: u64, row: &ImportedRow, now: DateTime<Utc>, known: &mut Known) -> Result<Fate, RowError> {
    let mut fresh = Vec::new();
    for part in parts_of(row) {
        if part.occurred_at > now + CLOCK_SKEW {
            let time = part.occurred_at.to_rfc3339();
            return Err(refused(import, line, Field::OccurredAt, time, "a time that is not in the future".to_owned()));
        }
        match known.get(&part.event.message_id) {
            None => fresh.push(part),
            Some(before) if *before == part.money => {}
            Some(before) => {
                let words = |money: Option<Money>| money.map_or_else(|| "all that is left".to_owned(), |money| money.to_string());
                let expected = format!("{}, as `{}` was recorded before: one id is one event", words(*before), part.external_id);
                return Err(refused(import, line, Field::Amount, words(part.money), expected));
            }
        }
    }
    for part in &fresh {
        known.insert(part.event.message_id.clone(), part.money);
    }
    Ok(if fresh.is_empty() { Fate::Duplicate } else { Fate::New(line, fresh.into_iter().map(|part| part.event).collect()) })
}

fn refused(import: &Import, line: u64, field: Field, value: String, expected: String) -> RowError {
    let column = import.mapping.columns.get(&field).cloned().unwrap_or_else(|| field.name().to_owned());
    RowError { line, column, value, expected }
}

/// One event of a row, with what it is compared by.
struct Part {
    event: ImportedEvent,
    external_id: String,
    is_reversal: bool,
    money: Option<Money>,
    occurred_at: DateTime<Utc>,
}

fn parts_of(row: &ImportedRow) -> Vec<Part> {
    let (conversion, reversal) = match row {
        ImportedRow::Conversion(conversion) => (Some(conversion), None),
        ImportedRow::Reversal(reversal) => (None, Some(reversal)),
        ImportedRow::Both(conversion, reversal) => (Some(conversion), Some(reversal)),
    };
    let conversion = conversion.map(|new| (new.external_event_id.clone(), false, Some(new.value), new.occurred_at));
    let reversal = reversal.map(|new| (new.external_event_id.clone(), true, new.amount, new.occurred_at));
    let parts = conversion.into_iter().chain(reversal).zip(row.events());
    parts
        .map(|((external_id, is_reversal, money, occurred_at), event)| Part { event, external_id, is_reversal, money, occurred_at })
        .collect()
}

/// Adds what is known of some events: by the log, where they may still wait, or by what came on other ways.
async fn look_up(connection: &mut PgConnection, import: &Import, parts: &[Part], known: &mut Known) -> Result<()> {
    let partner_id = &import.partner_id;
    let message_ids: Vec<String> = parts.iter().map(|part| part.event.message_id.clone()).collect();
    for (message_id, body) in inbound::find_bodies(connection, partner_id, &message_ids).await? {
        known.insert(message_id, money_of(&body)?);
    }
    let ids = |is_reversal: bool| -> Vec<String> {
        parts.iter().filter(|part| part.is_reversal == is_reversal).map(|part| part.external_id.clone()).collect()
    };
    let messages: HashMap<(bool, &str), &str> =
        parts.iter().map(|part| ((part.is_reversal, part.external_id.as_str()), part.event.message_id.as_str())).collect();
    let conversions = sqlx::query!(
        "select external_event_id, value_minor, currency from conversions where partner_id = $1 and external_event_id = any($2)",
        partner_id.as_str(),
        &ids(false),
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in conversions {
        if let Some(message_id) = messages.get(&(false, row.external_event_id.as_str())) {
            known.insert((*message_id).to_owned(), Some(Money::new(row.value_minor, currency(&row.currency)?)));
        }
    }
    let reversals = sqlx::query!(
        "select external_event_id, amount_minor, currency from reversals where partner_id = $1 and external_event_id = any($2)",
        partner_id.as_str(),
        &ids(true),
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in reversals {
        let Some(message_id) = messages.get(&(true, row.external_event_id.as_str())) else { continue };
        let money = match (row.amount_minor, row.currency) {
            (Some(minor), Some(code)) => Some(Money::new(minor, currency(&code)?)),
            _ => None,
        };
        known.insert((*message_id).to_owned(), money);
    }
    Ok(())
}

/// The money of an event in the log.
fn money_of(body: &Value) -> Result<Option<Money>> {
    match (body["data"]["amount"].as_str(), body["data"]["currency"].as_str()) {
        (Some(amount), Some(code)) => Ok(Money::parse(amount, currency(code)?).ok()),
        _ => Ok(None),
    }
}
