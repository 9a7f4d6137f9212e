//! Where clicks go: a batch into the attribution cache and Postgres, or into the fallback stream.
//!
//! Every step has a limit, so that no visitor waits long, whatever hangs.

use std::{
    io,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::aio::ConnectionManager;
use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::time::{Instant, timeout};

use super::{Click, Durability, fallback::FALLBACK, insert};
use crate::{Engine, Error, Result, attribution, experiment::credit};

/// Longer than any healthy commit on a busy disk; a visitor should not wait longer.
const POSTGRES_PATIENCE: Duration = Duration::from_secs(2);

/// For the last try, when visitors have waited up to three seconds already: enough for a Postgres that has just come back.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// For a batch that no visitor waits for.
const LATE_PATIENCE: Duration = Duration::from_secs(10);

/// How long the writer's connection may rest. Whatever is between may have forgotten an older one, and the next batch would hang on it.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(60);

pub struct Store {
    /// A pool of its own, so that redirects never queue behind reports.
    pub(super) db: PgPool,
    /// The connection that took the last batch, and when. Back in the pool it would be asked first whether it still answers, and the next
    /// batch, which does not wait for that, would go over another.
    pub(super) kept: Mutex<Option<(PoolConnection<Postgres>, Instant)>>,
    pub(super) redis: ConnectionManager,
    shard: i16,
    pub(super) postgres_away: AtomicBool,
    pub(super) redis_away: AtomicBool,
    /// The stream that holds clicks while Postgres is away.
    pub(super) fallback: String,
    /// To the experiments, for clicks that are in Postgres.
    pub handover: credit::Handover,
}

/// What is asked of Postgres in bounded time.
#[derive(Clone, Copy)]
pub(super) enum Statement<'c> {
    /// Whether it answers.
    Probe,
    /// To insert clicks that it never had.
    New(&'c [Click]),
    /// To insert clicks that it may have already.
    Again(&'c [Click]),
}

impl Store {
    pub fn new(db: PgPool, redis: ConnectionManager, shard: i16) -> Self {
        Self {
            db,
            kept: Mutex::default(),
            redis,
            shard,
            postgres_away: AtomicBool::new(false),
            redis_away: AtomicBool::new(false),
            fallback: FALLBACK.to_owned(),
            handover: credit::Handover::default(),
        }
    }

    pub fn postgres_is_away(&self) -> bool {
        self.postgres_away.load(Ordering::Relaxed)
    }

    /// Whether Postgres answers just now, within a second.
    pub async fn postgres_answers(&self) -> bool {
        self.run(Statement::Probe, LAST_PATIENCE).await.is_ok()
    }

    /// Makes a batch durable; tells where.
    pub async fn write(&self, mut clicks: Vec<Click>) -> Durability {
        // A session that began with its click cannot have been here before: its place in the cache need not be read first.
        let (begun, known): (Vec<usize>, Vec<usize>) = (0..clicks.len()).partition(|index| clicks[*index].begins_session());
        let left = self.find_repeats(&mut clicks, &known).await;
        let ((), durability) = tokio::join!(self.cache(&clicks, &begun, left), self.make_durable(&clicks));
        if durability == Durability::Postgres {
            self.handover.give(&clicks);
        }
        durability
    }

    async fn make_durable(&self, clicks: &[Click]) -> Durability {
        if !self.postgres_is_away() {
            match self.run(Statement::New(clicks), POSTGRES_PATIENCE).await {
                Ok(()) => return Durability::Postgres,
                Err(error) => tracing::warn!(error = %error, clicks = clicks.len(), "Postgres did not take a batch of clicks"),
            }
            // The batch may be committed all the same; draining it again changes nothing then.
            self.postgres_away.store(true, Ordering::Relaxed);
        }
        let Err(error) = self.append_to_fallback(clicks).await else { return Durability::Fallback };
        tracing::error!(error = %error, clicks = clicks.len(), "the fallback did not take a batch of clicks");
        // Postgres may have come back since the last look at it; the batch may even be there from a try that seemed to fail.
        match self.insert_over_any_connection(clicks).await {
            Ok(()) => {
                self.postgres_away.store(false, Ordering::Relaxed);
                Durability::Postgres
            }
            Err(error) => {
                tracing::error!(error = %error, clicks = clicks.len(), "clicks lost: neither Postgres nor Redis took them");
                Durability::Lost
            }
        }
    }

    /// Every connection of the pool may be one that ended with the Postgres before: each such try takes one out of it.
    async fn insert_over_any_connection(&self, clicks: &[Click]) -> sqlx::Result<()> {
        let until = Instant::now() + LAST_PATIENCE;
        let patience = || until.saturating_duration_since(Instant::now());
        for _ in 0..self.db.options().get_max_connections() {
            if let Ok(()) = self.run(Statement::Again(clicks), patience()).await {
                return Ok(());
            }
        }
        self.run(Statement::Again(clicks), patience()).await
    }

    /// Runs a statement. A connection over which no answer comes in time is closed: back in the pool it would wait for that answer, and
    /// keep its place there, for as long as the network says nothing.
    pub(super) async fn run(&self, statement: Statement<'_>, patience: Duration) -> sqlx::Result<()> {
        let is_batch = matches!(statement, Statement::New(_));
        let mut taken = if is_batch { self.take_kept() } else { None };
        let answer = timeout(patience, async {
            let connection = match &mut taken {
                Some(kept) => kept,
                none => none.insert(self.db.acquire().await?),
            };
            match statement {
                Statement::Probe => sqlx::query("select 1").execute(&mut **connection).await.map(|_| ()),
                Statement::New(clicks) => insert::new(connection, clicks, self.shard).await,
                Statement::Again(clicks) => insert::again(connection, clicks, self.shard).await,
            }
        });
        let Ok(answer) = answer.await else {
            drop(taken.map(|connection| connection.detach()));
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        };
        if is_batch
            && answer.is_ok()
            && let Ok(mut kept) = self.kept.lock()
        {
            *kept = taken.map(|connection| (connection, Instant::now()));
        }
        answer
    }

    /// The connection that took the last batch, unless that was long ago. Such a one is closed: the pool would ask it whether it answers,
    /// without a limit.
    pub(super) fn take_kept(&self) -> Option<PoolConnection<Postgres>> {
        let (connection, used_at) = self.kept.lock().ok()?.take()?;
        if used_at.elapsed() < KEPT_FOR {
            return Some(connection);
        }
        drop(connection.detach());
        None
    }

    /// Inserts clicks that come late, and maybe again, credits them to experiments, and has conversions looked at again that they may claim.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if that takes longer than ten seconds, too.
    pub(crate) async fn insert_late(&self, engine: &Engine, clicks: &[Click]) -> Result<()> {
        self.run(Statement::Again(clicks), LATE_PATIENCE).await?;
        let rest = async {
            let counted: Vec<_> = clicks.iter().filter_map(credit::CountedClick::of).collect();
            credit::credit_clicks(engine, &counted).await?;
            attribution::reconsider_clicks(engine, clicks).await
        };
        timeout(LATE_PATIENCE, rest).await.map_err(|elapsed| Error::Unavailable(elapsed.into()))?
    }
}

/// Inserts clicks of the past in one go, for demo history and the fixtures of tests; durable when it returns.
pub async fn insert_history(engine: &Engine, clicks: &[Click]) -> Result<()> {
    let store = &engine.clicks.store;
    for clicks in clicks.chunks(5_000) {
        let mut connection = store.db.acquire().await?;
        insert::new(&mut connection, clicks, store.shard).await?;
    }
    Ok(())
}
