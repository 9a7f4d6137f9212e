//! What happens: each workflow loads, asks `domain`, and writes, in one transaction.
//!
//! [`Engine`] holds the handles that every workflow needs. Functions that change something take the
//! [`Principal`](domain::auth::Principal) who asks and authorise it themselves. Status codes, headers and HTML are absent here.

pub mod access;
mod advisory_lock;
pub mod agent;
pub mod analysis;
pub mod api_token;
pub mod attribution;
pub mod audit;
pub mod batch;
pub mod case_study;
pub mod click;
pub mod clock;
pub mod commission;
pub mod conversion;
pub mod dashboard;
pub mod error;
pub mod exchange;
pub mod experiment;
pub mod history;
pub mod import;
pub mod inbound;
pub mod ip_hash;
pub mod ledger;
pub mod live;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod money_tests;
pub mod multitouch;
pub mod operator;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod order_tests;
pub mod partner;
pub mod payout;
pub mod rebuild;
pub mod recommendation;
pub mod referral_code;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod regression_tests;
pub mod reversal;
pub mod rollup;
pub mod secret;
pub mod settings;
pub mod simulation;
pub mod site;
pub mod statement;
pub mod success;
#[cfg(test)]
mod testing;
pub mod webhook;
pub mod work;

use std::{ops::Deref, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use redis::aio::ConnectionManagerConfig;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Notify;
use uuid::Uuid;

pub use clock::Clock;
pub use error::{Error, Result};
use secret::Keys;
pub use settings::Settings;

/// The schema, embedded in the binary.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// The handles of one process. Cloning counts one reference up, since each request does it.
#[derive(Clone)]
pub struct Engine {
    handles: Arc<Handles>,
    /// The time that this clone stays at; see [`Engine::with_time_of_task`].
    kept_time: Option<DateTime<Utc>>,
}

impl Deref for Engine {
    type Target = Handles;
    fn deref(&self) -> &Handles {
        &self.handles
    }
}

pub struct Handles {
    pub db: sqlx::PgPool,
    pub redis: redis::aio::ConnectionManager,
    pub clock: Clock,
    pub keys: Keys,
    pub live: live::Live,
    pub codes: referral_code::Codes,
    pub secrets: partner::Secrets,
    pub ip_keys: ip_hash::DayKeys,
    pub clicks: click::Recorder,
    pub recommender: recommendation::Recommender,
    pub experiments: experiment::Experiments,
    /// Wakes a worker: something is in the queue.
    pub work: Notify,
    /// Wakes the sealer: something was booked.
    pub seal: Notify,
    pub shard: rollup::Shard,
}

impl Engine {
    /// Connects to Postgres and Redis and starts the group commit of clicks. It neither migrates nor starts other loops.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if either does not answer within 10 s.
    pub async fn connect(settings: &Settings, keys: Keys) -> Result<Self> {
        let engine = Self::connect_later(settings, keys)?;
        engine.db.acquire().await?;
        redis::cmd("PING").query_async::<String>(&mut engine.redis.clone()).await?;
        Ok(engine)
    }

    /// An engine that connects once something is asked of Postgres or Redis.
    ///
    /// # Errors
    /// An address is malformed.
    pub fn connect_later(settings: &Settings, keys: Keys) -> Result<Self> {
        let db = PgPoolOptions::new()
            .max_connections(settings.database_connections)
            .acquire_timeout(Duration::from_secs(10))
            .connect_lazy(&settings.database_url)?;
        let client = redis::Client::open(settings.redis_url.as_str())?;
        // A second for answers, as long as anybody waits for one: clicks are appended to a disk that may be busy.
        let redis_config = ConnectionManagerConfig::new()
            .set_max_delay(Duration::from_millis(500))
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_response_timeout(Some(Duration::from_secs(1)));
        let redis = redis::aio::ConnectionManager::new_lazy_with_config(client, redis_config)?;
        Ok(Self::with(db, redis, keys))
    }

    /// An engine over handles that are there already: the ones that [`Engine::connect`] made, or a test's own.
    pub fn with(db: sqlx::PgPool, redis: redis::aio::ConnectionManager, keys: Keys) -> Self {
        // Half a second: a visitor must not wait for a database that is away, since the fallback is there.
        let clicks_db = PgPoolOptions::new()
            .max_connections(3)
            .acquire_timeout(Duration::from_millis(500))
            .test_before_acquire(false)
            // Planning each batch anew would copy its columns to find the same plan. Who has lost patience with a statement only closes the
            // socket, which Postgres does not notice while it waits for a lock or the disk: without a limit of its own, each such statement
            // would leave a process there that holds a place among its connections. Nobody waits longer than ten seconds.
            .after_connect(|connection, _| {
                let settings =
                    "select set_config('plan_cache_mode', 'force_generic_plan', false), set_config('statement_timeout', '10s', false)";
                Box::pin(async move { sqlx::query(settings).execute(connection).await.map(|_| ()) })
            })
            .connect_lazy_with((*db.connect_options()).clone());
        let shard = rollup::Shard::random();
        let handles = Handles {
            live: live::Live::new(redis.clone()),
            clicks: click::Recorder::start(click::Store::new(clicks_db, redis.clone(), shard.of_clicks())),
            recommender: recommendation::Recommender::new(db.clone()),
            experiments: experiment::Experiments::default(),
            db,
            redis,
            clock: Clock::default(),
            keys,
            codes: referral_code::Codes::default(),
            secrets: partner::Secrets::default(),
            ip_keys: ip_hash::DayKeys::default(),
            work: Notify::new(),
            seal: Notify::new(),
            shard,
        };
        Self { handles: Arc::new(handles), kept_time: None }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.kept_time.unwrap_or_else(|| self.clock.now())
    }

    /// The same handles, to hand to what runs in tasks of its own: if this task is at a simulated time, all of it is at that time.
    pub fn with_time_of_task(&self) -> Self {
        Self { handles: self.handles.clone(), kept_time: clock::simulated() }
    }

    /// A new UUIDv7 at the engine's time.
    pub fn new_id<Id: From<Uuid>>(&self) -> Id {
        new_id(self.now())
    }
}

/// A new UUIDv7 at a given time.
pub fn new_id<Id: From<Uuid>>(at: DateTime<Utc>) -> Id {
    domain::id::uuid_v7(at, rand::random()).into()
}
