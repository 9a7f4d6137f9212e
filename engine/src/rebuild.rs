//! Rebuilding all that follows from events: from the facts, the raw inbound log and the operators' decisions, in another database.
//!
//! *Facts* are what nothing here can derive: the registry, sites and codes, clicks, exchange rates. They are copied. The *log* is
//! replayed: every delivery at the time when it came, merged in time order with the imports of rates and with what operators
//! decided. What comes of it is then compared with what the live database holds, by natural keys, since ids are made anew. Any
//! difference means that the live state is not what its events say.
//!
//! All of the live database is read in one snapshot, so that a server may go on working meanwhile.

mod compare;
mod decide;
mod facts;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
mod timeline;

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use sqlx::{Connection, PgConnection};

use crate::{Engine, Error, MIGRATOR, Result, attribution, clock, commission, ledger, webhook};
use timeline::{Delivery, Moment};

pub use compare::Difference;

/// Differences that are kept; the rest is counted.
pub const DIFFERENCES_MAX: usize = 200;

/// What a rebuild did and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows of facts that were copied.
    pub facts: u64,
    pub deliveries: usize,
    /// Of the live log, those that were not worked off yet: they were left out.
    pub waiting: usize,
    pub decisions: usize,
    /// Rows of derived state that were compared.
    pub compared: usize,
    /// The first of them; `difference_count` has all.
    pub differences: Vec<Difference>,
    pub difference_count: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        writeln!(f, "{} facts copied, {} deliveries and {} decisions replayed", self.facts, self.deliveries, self.decisions)?;
        if self.waiting > 0 {
            writeln!(f, "{} deliveries still wait in the queue and were left out", self.waiting)?;
        }
        write!(f, "{} rows of derived state compared, {} differences", self.compared, self.difference_count)
    }
}

/// Rebuilds the state of `live` in the database of `target`, which must be empty, with `workers` deliveries at a time; 1 replays
/// them strictly in order. Both engines must have the same keys.
///
/// # Errors
/// [`Error::Conflict`] if the target holds anything, or a decision cannot be repeated on what was rebuilt.
pub async fn rebuild(live: &Engine, target: &Engine, workers: usize) -> Result<Report> {
    MIGRATOR.run(&target.db).await.map_err(Error::internal)?;
    target.live.mute();
    let mut connection = live.db.acquire().await?;
    let mut snapshot = connection.begin_with("begin isolation level repeatable read read only").await?;
    let end = live.now();

    let mut report = Report { facts: facts::copy(&mut snapshot, target).await?, ..Report::default() };
    report.waiting = facts::count_waiting(&mut snapshot).await?;
    let timeline = timeline::load(&mut snapshot).await?;
    for moment in &timeline {
        match moment {
            Moment::Deliveries(deliveries) => {
                replay(target, deliveries, workers).await?;
                report.deliveries += deliveries.iter().filter(|delivery| !delivery.again).count();
            }
            Moment::RatesImported(at) => clock::at(*at, release_held(target)).await?,
            Moment::Approval(at) => {
                clock::at(*at, async {
                    settle(target).await?;
                    commission::approve_due(target).await
                })
                .await?;
            }
            Moment::Decision(decision) => {
                clock::at(decision.at, async {
                    settle(target).await?;
                    decide::repeat(target, decision).await
                })
                .await?;
                report.decisions += 1;
            }
        }
    }
    clock::at(end, async {
        settle(target).await?;
        while attribution::retry_one(target).await? {}
        settle(target).await
    })
    .await?;
    ledger::seal_all(target).await?;
    compare::compare(&mut snapshot, target, &mut report).await?;
    Ok(report)
}

/// Works off a run of deliveries, each at the time when it came, and then those that are tried again.
async fn replay(target: &Engine, deliveries: &[Delivery], workers: usize) -> Result<()> {
    let (again, first): (Vec<&Delivery>, Vec<&Delivery>) = deliveries.iter().partition(|delivery| delivery.again);
    let next = AtomicUsize::new(0);
    let work = || async {
        while let Some(delivery) = first.get(next.fetch_add(1, Ordering::Relaxed)) {
            clock::at(delivery.at, webhook::work_one(target)).await?;
        }
        Ok::<_, Error>(())
    };
    futures::future::try_join_all((0..workers.max(1)).map(|_| work())).await?;
    let Some(last) = deliveries.last() else { return Ok(()) };
    clock::at(last.at, async {
        // What a worker did not see because another held it.
        while webhook::work_one(target).await? {}
        settle(target).await
    })
    .await?;
    for delivery in again {
        clock::at(delivery.at, try_again(target, delivery)).await?;
    }
    Ok(())
}

/// Works off a delivery once more if it failed at the time when it came.
async fn try_again(target: &Engine, delivery: &Delivery) -> Result<()> {
    let failed = sqlx::query!(
        "update webhook_deliveries set state = 'received', attempts = 0, last_error = null, next_attempt_at = $2
         where webhook_delivery_id = $1 and state in ('dead', 'retrying')",
        delivery.webhook_delivery_id.0,
        delivery.at,
    )
    .execute(&target.db)
    .await?;
    if failed.rows_affected() > 0 {
        // Others that wait for their customer may be due before it.
        while webhook::work_one(target).await? {}
    }
    Ok(())
}

/// Looks again at everything that something became known about.
async fn settle(target: &Engine) -> Result<()> {
    while attribution::recheck_one(target).await? {}
    Ok(())
}

/// What an import of exchange rates does beside adding them.
async fn release_held(target: &Engine) -> Result<()> {
    settle(target).await?;
    sqlx::query!("insert into attribution_rechecks (conversion_id) select conversion_id from conversions where state = 'held'")
        .execute(&target.db)
        .await?;
    settle(target).await
}

/// A column of a row that must be there.
fn one_of<'d>(detail: &'d serde_json::Value, names: &[&str]) -> Result<&'d str> {
    names
        .iter()
        .find_map(|name| detail.get(name)?.as_str())
        .ok_or_else(|| Error::Conflict(format!("the audit entry's detail {detail} lacks `{}`", names.join("` or `"))))
}

/// Whether the target is empty: it must be, since the facts of two installations do not mix.
async fn require_empty(connection: &mut PgConnection) -> Result<()> {
    let used = sqlx::query_scalar!(r#"select exists (select from partners) or exists (select from webhook_deliveries) as "used!""#)
        .fetch_one(connection)
        .await?;
    if used { Err(Error::Conflict("the target database holds data already: a rebuild needs an empty one".to_owned())) } else { Ok(()) }
}
