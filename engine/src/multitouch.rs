//! The multi-touch report of the whole programme: how much each partner, or each site, took part in the conversions of a period.
//!
//! It pays nobody. What pays is [`attribution`](crate::attribution), order by order; its figures stand beside, for comparison. The
//! journeys are real: the clicks of a person (bots and prefetches left out) in the order of time. Sessions that a partner named as the
//! same customer's are one person's. A path ends with a conversion, or with the period; clicks after a conversion begin a new one, and
//! a conversion without a click since the one before, such as a renewal, counts for the same path again. `paths.rs` cuts them,
//! [`domain::multitouch`] shares out the conversions.
//!
//! What counts as a conversion here: it was attributed, and not wholly taken back. How many do not is told by [`LeftOut`].

mod booked;
mod compute;
mod csv;
mod load;
mod paths;
mod question;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    Currency, Money,
    auth::Principal,
    dashboard::Period,
    multitouch::{CHANNELS_MAX, Credits},
};
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::PgConnection;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{Engine, Error, Result, access::require_read};
use load::Sale;

pub use csv::to_csv;
pub use question::{By, Question};

/// 2 million: about ten seconds on two busy cores, and 300 MB. A longer period is cut at this click and says so.
pub const CLICKS_MAX: usize = 2_000_000;

/// 500,000, each of which is looked up in two indexes. A longer period is cut at this conversion and says so.
pub const CONVERSIONS_MAX: usize = 500_000;

/// Each takes memory; the others wait.
static RUNNING: Semaphore = Semaphore::const_new(2);

/// How much each channel took part, under each model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MultitouchReport {
    pub by: By,
    /// As it was asked for.
    pub period: Period,
    /// There are more clicks or conversions than a report takes: from this time on they were not looked at.
    pub cut_at: Option<DateTime<Utc>>,
    /// Clicks of people.
    pub clicks: usize,
    /// People as far as sessions tell: joined where they are known to be the same customer's.
    pub people: usize,
    /// Different ways through the channels.
    pub paths: usize,
    /// Conversions that are shared out.
    pub conversions: usize,
    /// Paths that ended without a conversion.
    pub nulls: usize,
    /// Of the conversions in this one currency, less what was taken back.
    pub value: Money,
    /// Every currency with its number of conversions; values in others than that of [`MultitouchReport::value`] are left out.
    pub currencies: Vec<(Currency, usize)>,
    pub left_out: LeftOut,
    /// Channels that were put together, those with the fewest clicks.
    pub folded: usize,
    /// Those with the largest part under the Markov model with null paths first.
    pub channels: Vec<Channel>,
}

/// Conversions of the period that are not shared out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// No click claims them, or they were refused.
    pub unattributed: usize,
    /// Refunds took all of their value.
    pub reversed: usize,
    /// Their clicks lie before the period, or are not known.
    pub without_click: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Channel {
    /// The id of the partner or site, or what stands for the rest.
    pub key: String,
    pub name: String,
    /// Whether this is all those that have no line of their own.
    pub is_rest: bool,
    pub clicks: usize,
    /// In conversions.
    pub conversions: Credits,
    /// In minor units of the report's currency; under each model they sum to the value of the report.
    pub value_minor: Credits<i64>,
    /// Part of the conversions that would be lost without the channel, 0 to 1.
    pub removal_effect_with_nulls: f64,
    pub removal_effect_without_nulls: f64,
    /// Conversions by the rule that pays: the sum of shares.
    pub per_order: Decimal,
    /// Commission and bonus by the rule that pays, by currency.
    pub commissions: Vec<Commission>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commission {
    pub booked: Money,
    /// What of it the partner has paid.
    pub paid: Money,
}

#[derive(Clone, Copy)]
struct Limits {
    clicks: usize,
    conversions: usize,
    channels: usize,
}

/// Shares out the conversions of a period among its channels under every model. It changes nothing and pays nobody; the same rows give
/// the same report, byte for byte.
///
/// # Errors
/// Refuses who may not read; [`Error::Invalid`] names a period that is empty or longer than [`MAX_CUSTOM_DAYS`](domain::dashboard::MAX_CUSTOM_DAYS).
pub async fn report(engine: &Engine, who: &Principal, question: Question) -> Result<MultitouchReport> {
    report_within(engine, who, question, Limits { clicks: CLICKS_MAX, conversions: CONVERSIONS_MAX, channels: CHANNELS_MAX }).await
}

async fn report_within(engine: &Engine, who: &Principal, question: Question, limits: Limits) -> Result<MultitouchReport> {
    require_read(who, "see the attribution report")?;
    question::check(question.period)?;
    let _turn = RUNNING.acquire().await.map_err(Error::internal)?;

    // One snapshot for all that follows, and Postgres refuses to write in it.
    let mut tx = engine.db.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let mut seen = load::clicks(&mut tx, question, limits.clicks).await?;
    let sales = load::sales(&mut tx, question.period, limits.conversions).await?;
    let cut_at = seen.cut_at.into_iter().chain(sales.cut_at).min();
    let end = cut_at.unwrap_or(question.period.to);
    seen.clicks.retain(|click| click.at < end);
    let sales: Vec<Sale> = sales.sales.into_iter().filter(|sale| sale.occurred_at < end).collect();
    let identified = load::identified(&mut tx, Period { to: end, ..question.period }).await?;
    let booked = booked::load(&mut tx, question.by, Period { to: end, ..question.period }).await?;

    let task = move || compute::compute(question, cut_at, seen, &sales, &identified, limits.channels);
    let (mut report, keys) = tokio::task::spawn_blocking(task).await.map_err(Error::internal)??;
    booked::add(&mut report, &keys, booked);
    name(&mut tx, &mut report).await?;
    Ok(report)
}

/// Ids become names; an id that is gone stays as it is.
async fn name(connection: &mut PgConnection, report: &mut MultitouchReport) -> Result<()> {
    let keys: Vec<String> = report.channels.iter().filter(|channel| !channel.is_rest).map(|channel| channel.key.clone()).collect();
    let names: HashMap<String, String> = match report.by {
        By::Partner => {
            let rows = sqlx::query!("select partner_id, display_name from partners where partner_id = any($1)", &keys);
            rows.fetch_all(connection).await?.into_iter().map(|row| (row.partner_id, row.display_name)).collect()
        }
        By::Site => {
            let ids: Vec<Uuid> = keys.iter().filter_map(|key| key.parse().ok()).collect();
            let rows = sqlx::query!("select site_id, name from sites where site_id = any($1)", &ids);
            rows.fetch_all(connection).await?.into_iter().map(|row| (row.site_id.to_string(), row.name)).collect()
        }
    };
    for channel in &mut report.channels {
        if let Some(name) = names.get(&channel.key) {
            channel.name.clone_from(name);
        }
    }
    Ok(())
}
