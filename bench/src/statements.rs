//! How long a month's end takes: a partner's statement of very many entries, issued, read, exported and checked.

use std::{process::ExitCode, time::Instant};

use chrono::{TimeDelta, Utc};
use domain::{
    Currency, PartnerId,
    auth::Principal,
    statement::{Month, to_csv, to_html},
};
use engine::{Engine, statement};

use crate::{Result, place::Place};

/// What the specification allows for a statement of 100 000 entries.
const SECONDS_MAX: f64 = 2.0;

/// Books `entries` commissions of last month and closes it. Fails if issuing takes longer than 2 s per 100 000 entries.
pub async fn run(place: &Place, entries: u32) -> Result<ExitCode> {
    let engine = place.engine().await?;
    let month = Month::of(Month::of(Utc::now()).range().0 - TimeDelta::days(1));
    let partner_id: PartnerId = "supabase".parse()?;
    let planted = Instant::now();
    plant(&engine, month, entries).await?;
    println!("{entries} commissions of {month} planted in {:.1} s", planted.elapsed().as_secs_f64());

    let who = Principal::CommandLine;
    let started = Instant::now();
    let drafts = statement::preview(&engine, &who, month).await?;
    say("preview of the month", started);

    let started = Instant::now();
    let issued = statement::issue(&engine, &who, &partner_id, month, Currency::USD).await?;
    let seconds = say("issue", started);

    let started = Instant::now();
    statement::lines(&engine, &who, issued.statement_id, 1).await?;
    say("first page of lines", started);
    let started = Instant::now();
    let whole = statement::export(&engine, &who, issued.statement_id).await?;
    say("read whole", started);
    let started = Instant::now();
    let (csv, html) = (to_csv(&whole).len(), to_html(&whole).len());
    say(&format!("written as CSV ({csv} bytes) and HTML ({html} bytes)"), started);
    let started = Instant::now();
    let findings = statement::check(&engine, None).await?;
    say("check against the ledger", started);

    let complete = drafts.len() == 1 && issued.line_count == i64::from(entries) && findings.is_empty();
    let limit = SECONDS_MAX * f64::from(entries) / 100_000.0;
    println!("{} lines, {} findings; issuing took {seconds:.2} s of at most {limit:.2} s", issued.line_count, findings.len());
    Ok(if complete && seconds <= limit { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints and returns the seconds since `started`.
fn say(what: &str, started: Instant) -> f64 {
    let seconds = started.elapsed().as_secs_f64();
    println!("{what:<60} {seconds:>7.2} s");
    seconds
}

/// Conversions with approved commissions and their bookings, spread over the month. Triggers are off: the bookings balance by construction.
async fn plant(engine: &Engine, month: Month, entries: u32) -> Result<()> {
    let mut tx = engine.db.begin().await?;
    for statement in [
        "set local session_replication_role = replica",
        // ids that begin with their time, as the real ones do
        "create temporary table planted on commit drop as
         select number, at, (prefix || '1' || tail)::uuid as conversion_id, (prefix || '2' || tail)::uuid as commission_id,
                (prefix || '3' || tail)::uuid as ledger_transaction_id
         from (
             select number, at, lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' as prefix,
                    '008' || substr(md5(number::text), 1, 15) as tail
             from (select number, $1::timestamptz + number * (interval '28 days' / $2) as at from generate_series(1, $2::int) as number) moments
         ) ids",
        "insert into conversions (conversion_id, partner_id, external_event_id, conversion_type, occurred_at, received_at, value_minor, currency, source, state)
         select conversion_id, 'supabase', 'bench_' || number, 'sale', at, at, 4900, 'USD', 'webhook', 'attributed' from planted",
        "insert into commissions (commission_id, conversion_id, partner_id, partner_terms_id, value_currency, currency, base_minor, multiplier, final_minor,
                                  bonus_minor, receipt, state, hold_until, created_at, rated_at, approved_at, approved_by)
         select commission_id, conversion_id, 'supabase', (select partner_terms_id from partner_terms where partner_id = 'supabase' order by version limit 1),
                'USD', 'USD', 980, 1, 980, 0, '{}', 'approved', at, at, at, at, 'hold period'
         from planted",
        "insert into ledger_transactions (ledger_transaction_id, currency, kind, component, partner_id, conversion_id, commission_id, booked_at, receipt)
         select ledger_transaction_id, 'USD', 'commission', 'commission', 'supabase', conversion_id, commission_id, at, '{}' from planted",
        "insert into ledger_entries (ledger_transaction_id, line, account, amount_minor)
         select ledger_transaction_id, line, account, amount_minor
         from planted, (values (1::smallint, 'partner_receivable', 980), (2::smallint, 'earned_commission', -980)) entry (line, account, amount_minor)",
    ] {
        let query = sqlx::query(statement);
        let query = if statement.starts_with("create") { query.bind(month.range().0).bind(i32::try_from(entries)?) } else { query };
        query.execute(&mut *tx).await?;
    }
    tx.commit().await?;
    sqlx::raw_sql("analyze").execute(&engine.db).await?;
    Ok(())
}
