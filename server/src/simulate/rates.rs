//! Exchange rates of the simulation: a file before it starts, and one that comes late.
//!
//! Rates that the database holds already stay as they are; the simulation fills in what is missing. One currency has rates of
//! days that are too old at first: conversions in it wait until the second file.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc, Weekday};
use domain::auth::Principal;
use engine::{Engine, exchange, simulation};
use rust_decimal::Decimal;

use super::truth::PerEuro;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Days before now that any conversion of the simulation may happen in, and the days that a rate serves for.
const DAYS: u64 = 32;

/// The last rates of the late currency are so many days old: older than any that serves.
const GAP_DAYS: u64 = 30;

/// Units in ten thousandths for one euro, which vary by the day.
const STEADY: [(&str, i64); 2] = [("USD", 10_823), ("JPY", 1_552_000)];

/// The first of them without recent rates is the one that comes late; all have two digits.
const LATE: [(&str, i64); 10] = [
    ("GBP", 8_571),
    ("CHF", 9_312),
    ("SEK", 114_905),
    ("NOK", 117_270),
    ("DKK", 74_591),
    ("PLN", 42_530),
    ("CZK", 252_450),
    ("CAD", 15_203),
    ("AUD", 16_411),
    ("NZD", 18_007),
];

/// The two files.
pub struct Files {
    pub late_currency: Option<&'static str>,
    first: String,
    second: String,
}

/// Plans the rates that are not in the database yet.
pub async fn plan(engine: &Engine, now: DateTime<Utc>) -> Result<Files, Failure> {
    let known = per_euro(engine).await?;
    let today = now.date_naive();
    let oldest = today - Days::new(DAYS + GAP_DAYS);
    let gap_from = today - Days::new(GAP_DAYS);
    let days: Vec<NaiveDate> =
        oldest.iter_days().take_while(|day| *day <= today).filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)).collect();
    let has_recent = |code: &str| known.get(code).is_some_and(|rates| rates.keys().any(|day| *day >= gap_from - Days::new(8)));
    let late = LATE.into_iter().find(|(code, _)| !has_recent(code));
    let cell = |code: &str, usual: i64, day: NaiveDate| {
        let is_known = known.get(code).is_some_and(|rates| rates.contains_key(&day));
        if is_known { String::new() } else { Decimal::new(usual + i64::from(day.num_days_from_ce() % 97), 4).to_string() }
    };
    let steady: Vec<(&str, i64)> = STEADY.to_vec();
    let early = |day: &NaiveDate| *day < gap_from - Days::new(8);
    let row = |day: NaiveDate, with_late: bool, with_steady: bool| {
        let cells = steady.iter().map(|(code, usual)| if with_steady { cell(code, *usual, day) } else { String::new() });
        let late = late.iter().map(|(code, usual)| if with_late { cell(code, *usual, day) } else { String::new() });
        format!("{day},{}\n", cells.chain(late).collect::<Vec<_>>().join(","))
    };
    let header = format!("Date,{}\n", steady.iter().chain(late.iter()).map(|(code, _)| *code).collect::<Vec<_>>().join(","));
    let first = days.iter().map(|day| row(*day, early(day), true));
    let second = days.iter().filter(|day| !early(day)).map(|day| row(*day, true, false));
    Ok(Files {
        late_currency: late.map(|(code, _)| code),
        first: [header.clone()].into_iter().chain(first).collect(),
        second: [header].into_iter().chain(second).collect(),
    })
}

/// Imports the rates that conversions are rated with at once.
pub async fn import_first(engine: &Engine, files: &Files) -> Result<(), Failure> {
    exchange::import(engine, &Principal::CommandLine, &files.first).await?;
    Ok(())
}

/// Imports the late rates; conversions that wait for them go on.
pub async fn import_second(engine: &Engine, files: &Files) -> Result<(), Failure> {
    if files.late_currency.is_some() {
        exchange::import(engine, &Principal::CommandLine, &files.second).await?;
    }
    Ok(())
}

/// All rates of the database.
pub async fn per_euro(engine: &Engine) -> Result<PerEuro, Failure> {
    let mut per_euro = PerEuro::new();
    for (currency, day, rate) in simulation::rates(engine).await? {
        let rate = rate.normalize();
        per_euro.entry(currency).or_default().insert(day, (rate.mantissa(), 10_i128.pow(rate.scale())));
    }
    Ok(per_euro)
}
