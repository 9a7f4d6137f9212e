//! A unit of work: one database transaction with the counters and live events that go with it.
//!
//! Helpers take `&mut Work` and never commit. Counters are added up here and written last, in one fixed order, so that
//! two units never wait for each other crosswise.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{ConversionId, Currency, PartnerId, dashboard::hour_of, live::LiveEvent};
use sqlx::{PgConnection, Postgres, Transaction};

use crate::{
    Engine, Result,
    experiment::{credit, sums},
    rollup::{self, Counts, Sums},
};

pub struct Work<'e> {
    pub engine: &'e Engine,
    tx: Transaction<'static, Postgres>,
    counts: BTreeMap<(DateTime<Utc>, PartnerId), Counts>,
    sums: BTreeMap<(DateTime<Utc>, PartnerId, Currency), Sums>,
    experiment_sums: BTreeMap<sums::Place, sums::Sums>,
    rated: BTreeSet<ConversionId>,
    live: Vec<LiveEvent>,
    booked: bool,
}

impl<'e> Work<'e> {
    pub async fn begin(engine: &'e Engine) -> Result<Self> {
        let tx = engine.db.begin().await?;
        let (counts, sums, experiment_sums) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { engine, tx, counts, sums, experiment_sums, rated: BTreeSet::new(), live: Vec::new(), booked: false })
    }

    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.engine.now()
    }

    /// The counters of the hour in which what they count happened.
    pub fn counts(&mut self, partner_id: &PartnerId, at: DateTime<Utc>) -> &mut Counts {
        self.counts.entry((hour_of(at), partner_id.clone())).or_default()
    }

    /// As [`Work::counts`]; a commission belongs to the hour of its conversion.
    pub fn sums(&mut self, partner_id: &PartnerId, currency: Currency, at: DateTime<Utc>) -> &mut Sums {
        self.sums.entry((hour_of(at), partner_id.clone(), currency)).or_default()
    }

    pub fn experiment_sums(&mut self, place: sums::Place) -> &mut sums::Sums {
        self.experiment_sums.entry(place).or_default()
    }

    /// What the conversion is worth to experiments may have changed.
    pub fn mark_rated(&mut self, conversion_id: ConversionId) {
        self.rated.insert(conversion_id);
    }

    /// Tells open browsers once the work is committed.
    pub fn announce(&mut self, event: LiveEvent) {
        self.live.push(event);
    }

    /// The ledger got a transaction that waits for its seal.
    pub fn mark_booked(&mut self) {
        self.booked = true;
    }

    /// Marks the place that [`Work::rollback_to_savepoint`] goes back to.
    pub async fn savepoint(&mut self) -> Result<()> {
        sqlx::query("savepoint step").execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Undoes everything since the savepoint, counters and events included.
    pub async fn rollback_to_savepoint(&mut self) -> Result<()> {
        sqlx::query("rollback to savepoint step").execute(&mut *self.tx).await?;
        self.counts.clear();
        self.sums.clear();
        self.experiment_sums.clear();
        self.rated.clear();
        self.live.clear();
        self.booked = false;
        Ok(())
    }

    /// Writes the counters, commits, and tells the browsers, without waiting for Redis.
    pub async fn commit(mut self) -> Result<()> {
        let now = self.now();
        let shard = self.engine.shard.of_work();
        for ((hour, partner_id), counts) in &self.counts {
            rollup::add_counts(&mut self.tx, *hour, partner_id, shard, counts).await?;
        }
        for ((hour, partner_id, currency), sums) in &self.sums {
            rollup::add_sums(&mut self.tx, *hour, partner_id, *currency, shard, sums).await?;
        }
        for (place, sums) in &self.experiment_sums {
            sums::add(&mut self.tx, place, shard, sums).await?;
        }
        if !self.rated.is_empty() {
            credit::request_rechecks(&mut self.tx, now, self.rated.iter().copied()).await?;
        }
        self.tx.commit().await?;
        self.engine.clicks.metrics.note_experiments(self.experiment_sums.keys().map(|place| place.experiment_id));
        if self.booked {
            self.engine.seal.notify_one();
        }
        for event in self.live {
            self.engine.live.publish(event);
        }
        Ok(())
    }
}
