//! Which statements cost most, by `pg_stat_statements`, and which tables are read in whole.

use std::{collections::HashMap, fmt::Write, time::Duration};

use engine::Engine;
use sqlx::Connection;

use crate::{
    Result,
    place::await_that,
    processes::{child, kill},
};

const LISTED: i64 = 8;
const TEXT_LENGTH: usize = 150;
/// Rows that a conversion may read of a table without an index, before it is named.
const ROWS_READ_MAX: i64 = 100;

/// Loads the extension, for which Postgres has to start again; its keeper does that.
///
/// # Errors
/// Postgres does not come back.
pub(super) async fn enable(engine: &Engine, database_url: &str) -> Result<()> {
    sqlx::raw_sql("alter system set shared_preload_libraries = 'pg_stat_statements'").execute(&engine.db).await?;
    sqlx::query("checkpoint").execute(&engine.db).await?;
    kill(child("postgres").ok_or("Postgres is gone")?)?;
    await_that("Postgres is back", Duration::from_secs(60), async || Ok(sqlx::PgConnection::connect(database_url).await.is_ok())).await?;
    sqlx::raw_sql("create extension if not exists pg_stat_statements").execute(&engine.db).await?;
    Ok(())
}

/// Rows that were read of each table without an index so far.
pub(super) type Reads = HashMap<String, i64>;

/// Begins to count anew.
pub(super) async fn reset(engine: &Engine) -> Result<Reads> {
    sqlx::raw_sql("select pg_stat_statements_reset()").execute(&engine.db).await?;
    reads(engine).await
}

async fn reads(engine: &Engine) -> Result<Reads> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select relname::text, seq_tup_read from pg_stat_user_tables").fetch_all(&engine.db).await?;
    Ok(rows.into_iter().collect())
}

/// The most expensive statements of a conversion, as a table, without what this run and the start of the servers ask; and the tables that
/// are read in whole.
pub(super) async fn list(engine: &Engine, before: Reads, conversions: usize) -> Result<String> {
    let mut text = "| statement | calls per conversion | ms per conversion |\n| --- | ---: | ---: |\n".to_owned();
    let statements: Vec<(String, f64, f64)> = sqlx::query_as(
        "select regexp_replace(query, '\\s+', ' ', 'g'), calls / $1, total_exec_time / $1
         from pg_stat_statements
         where calls >= $1 / 10 and query !~ 'starts_with|select count|insert into clicks|insert into webhook_deliveries|developer_hash'
         order by total_exec_time desc limit $2",
    )
    .bind(conversions as f64)
    .bind(LISTED)
    .fetch_all(&engine.db)
    .await?;
    for (query, calls, milliseconds) in statements {
        let query: String = query.replace('|', "\\|").chars().take(TEXT_LENGTH).collect();
        writeln!(text, "| `{query}` | {calls:.1} | {milliseconds:.3} |")?;
    }
    let (all_calls, all_milliseconds): (f64, f64) = sqlx::query_as(
        "select sum(calls)::float8 / $1, sum(total_exec_time)::float8 / $1 from pg_stat_statements where query !~ 'starts_with'",
    )
    .bind(conversions as f64)
    .fetch_one(&engine.db)
    .await?;
    writeln!(text, "| all | {all_calls:.1} | {all_milliseconds:.3} |")?;
    let limit = ROWS_READ_MAX * i64::try_from(conversions)?;
    for (table, after) in reads(engine).await? {
        let rows = after - before.get(&table).copied().unwrap_or(0);
        if rows > limit {
            writeln!(text, "\n`{table}` is read without an index: {} rows per conversion", rows / i64::try_from(conversions)?)?;
        }
    }
    Ok(text)
}
