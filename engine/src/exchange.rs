//! Reference exchange rates: imported once, looked up by day.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{
    ConversionId, Currency, Money, PartnerId,
    auth::Principal,
    exchange::{ExchangeRate, RATE_AGE_DAYS_MAX, Rate, cross, parse_ecb},
};
use rust_decimal::Decimal;
use serde_json::json;
use sqlx::PgConnection;

use crate::{
    Engine, Error, Result,
    access::{require_operate, require_read},
    audit,
    conversion::currency,
    experiment,
};

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

/// 32 MiB: the ECB's whole history has 1 MiB.
pub const RATE_FILE_BYTES_MAX: usize = 32 << 20;

/// Rows of one statement.
const CHUNK_LENGTH: usize = 10_000;

/// Waiting conversions that are listed.
const WAITING_MAX: i64 = 100;

/// The advisory lock that raters share and imports hold alone.
const RATES_LOCK: i64 = 0x7261_7465_7300;

/// The rate from one currency to another that was known at `known_at` for `day`; `None` if one of the two is missing.
pub async fn rate_on(
    connection: &mut PgConnection,
    from: Currency,
    to: Currency,
    day: NaiveDate,
    known_at: DateTime<Utc>,
) -> Result<Option<ExchangeRate>> {
    // A rater that finds nothing and an import must not miss each other: the import waits until the rater's conversion is marked
    // as held, or the rater sees what was imported.
    sqlx::query!("select pg_advisory_xact_lock_shared($1)", RATES_LOCK).fetch_one(&mut *connection).await?;
    // The last day within reach on which both were published: a rate never mixes two days.
    let row = sqlx::query!(
        r#"select day, min(per_euro) filter (where currency = $1) as from_per_euro, min(per_euro) filter (where currency = $2) as to_per_euro
           from exchange_rates
           where currency in ($1, $2) and day between $3 and $4 and imported_at <= $5
           group by day
           having count(*) = (case when 'EUR' in ($1, $2) then 1 else 2 end)
           order by day desc
           limit 1"#,
        from.code(),
        to.code(),
        day - TimeDelta::days(RATE_AGE_DAYS_MAX),
        day,
        known_at,
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    // The euro itself stands in no file of its rates.
    let rate =
        |currency, per_euro: Option<Decimal>| Rate { currency, day: row.day, per_euro: per_euro.unwrap_or(Decimal::ONE).normalize() };
    let exchange = cross(&rate(from, row.from_per_euro), &rate(to, row.to_per_euro)).map_err(Error::internal)?;
    Ok(Some(exchange))
}

/// What an import of rates did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub added: u64,
    /// Rates that were there already, with the same value.
    pub kept: u64,
    /// Columns of currencies that ISO 4217 does not know (any more).
    pub unknown_currencies: Vec<String>,
    /// Conversions that waited for a rate and are looked at again.
    pub released: u64,
}

/// Imports a file in the ECB's format and lets the conversions go on that waited for a rate. A second call adds nothing.
///
/// # Errors
/// [`Error::Invalid`] names the line and column that is wrong, or the rate that differs from one imported before: what
/// money was rated with stays. Nothing is written then.
pub async fn import(engine: &Engine, who: &Principal, text: &str) -> Result<Imported> {
    require_operate(who, "import exchange rates")?;
    if text.len() > RATE_FILE_BYTES_MAX {
        return Err(Error::invalid("file", format!("{} bytes are too many, at most {RATE_FILE_BYTES_MAX}", text.len())));
    }
    let file = parse_ecb(text).map_err(|error| Error::invalid("file", error.to_string()))?;
    if file.rates.iter().any(|rate| rate.currency.code() == "EUR") {
        return Err(Error::invalid("file", "has a column EUR: all rates are for one euro"));
    }
    let mut tx = engine.db.begin().await?;
    // One import at a time, so that what is found missing stays missing.
    sqlx::query!("select pg_advisory_xact_lock($1)", RATES_LOCK).fetch_one(&mut *tx).await?;
    let now = engine.now();
    let mut imported = Imported { unknown_currencies: file.skipped_columns, ..Imported::default() };
    for rates in file.rates.chunks(CHUNK_LENGTH) {
        let currencies: Vec<String> = rates.iter().map(|rate| rate.currency.code().to_owned()).collect();
        let days: Vec<NaiveDate> = rates.iter().map(|rate| rate.day).collect();
        let values: Vec<Decimal> = rates.iter().map(|rate| rate.per_euro).collect();
        refuse_changes(&mut tx, &currencies, &days, &values).await?;
        let added = sqlx::query!(
            "insert into exchange_rates (currency, day, per_euro, imported_at, imported_by)
             select currency, day, per_euro, $4, $5 from unnest($1::text[], $2::date[], $3::numeric[]) as rate (currency, day, per_euro)
             on conflict do nothing",
            &currencies,
            &days,
            &values,
            now,
            who.actor(),
        )
        .execute(&mut *tx)
        .await?
        .rows_affected();
        imported.added += added;
        imported.kept += rates.len() as u64 - added;
    }
    if imported.added > 0 {
        let detail = json!({ "added": imported.added, "kept": imported.kept });
        audit::record(engine, &mut tx, who, "exchange_rates.imported", "exchange rates", detail).await?;
    }
    tx.commit().await?;
    imported.released = release(engine).await?;
    Ok(imported)
}

/// Puts the conversions that wait for a rate back into the queue, and tells how many. In a transaction of its own, since
/// somebody who rates one of them may wait for an import.
pub async fn release(engine: &Engine) -> Result<u64> {
    let released =
        sqlx::query!("insert into attribution_rechecks (conversion_id) select conversion_id from conversions where state = 'held'")
            .execute(&engine.db)
            .await?
            .rows_affected();
    experiment::credit::release(engine).await?;
    if released > 0 {
        engine.work.notify_one();
    }
    Ok(released)
}

async fn refuse_changes(tx: &mut PgConnection, currencies: &[String], days: &[NaiveDate], values: &[Decimal]) -> Result<()> {
    let changed = sqlx::query!(
        r#"select currency as "currency!", day as "day!", r.per_euro as "before!", rate.per_euro as "after!"
           from unnest($1::text[], $2::date[], $3::numeric[]) as rate (currency, day, per_euro)
           join exchange_rates r using (currency, day)
           where r.per_euro <> rate.per_euro
           order by day, currency
           limit 1"#,
        currencies,
        days,
        values,
    )
    .fetch_optional(tx)
    .await?;
    match changed {
        None => Ok(()),
        Some(row) => Err(Error::invalid(
            "file",
            format!(
                "{} of {} is {} in the file and was imported as {} before: a rate that is in use never changes",
                row.currency,
                row.day,
                row.after.normalize(),
                row.before.normalize()
            ),
        )),
    }
}

/// A day's rates, as far as they were imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestRate {
    pub currency: String,
    pub day: NaiveDate,
    /// Units of the currency for one euro.
    pub per_euro: Decimal,
}

/// The newest rate of each currency.
///
/// # Errors
/// Refuses who may not read.
pub async fn latest(engine: &Engine, who: &Principal) -> Result<Vec<LatestRate>> {
    require_read(who, "see exchange rates")?;
    let rates = sqlx::query_as!(
        LatestRate,
        "select distinct on (currency) currency, day, per_euro from exchange_rates order by currency, day desc",
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(rates)
}

/// A conversion that is not rated for want of a rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub conversion_id: ConversionId,
    pub partner_id: PartnerId,
    pub external_event_id: String,
    pub occurred_at: DateTime<Utc>,
    pub value: Money,
    /// What is missing.
    pub reason: String,
}

/// The conversions that wait for a rate, the newest 100, and how many there are.
///
/// # Errors
/// Refuses who may not read.
pub async fn waiting(engine: &Engine, who: &Principal) -> Result<(Vec<Waiting>, i64)> {
    require_read(who, "see conversions")?;
    let total = sqlx::query_scalar!(r#"select count(*) as "total!" from conversions where state = 'held'"#).fetch_one(&engine.db).await?;
    let rows = sqlx::query!(
        r#"select conversion_id as "conversion_id: ConversionId", partner_id as "partner_id: PartnerId", external_event_id, occurred_at,
                  value_minor, currency, coalesce(state_reason, '') as "reason!"
           from conversions
           where state = 'held'
           order by occurred_at desc, conversion_id
           limit $1"#,
        WAITING_MAX,
    )
    .fetch_all(&engine.db)
    .await?;
    let waiting = rows.into_iter().map(|row| {
        Ok(Waiting {
            conversion_id: row.conversion_id,
            partner_id: row.partner_id,
            external_event_id: row.external_event_id,
            occurred_at: row.occurred_at,
            value: Money::new(row.value_minor, currency(&row.currency)?),
            reason: row.reason,
        })
    });
    Ok((waiting.collect::<Result<_>>()?, total))
}
