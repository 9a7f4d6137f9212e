//! From whatever database there is to one that this program can work on; and a start without it, for redirects alone.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use engine::Engine;

use crate::{first_operator, loops, simulate};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Between tries while Postgres is away.
const PAUSE: Duration = Duration::from_secs(2);

static UP: AtomicBool = AtomicBool::new(false);

/// Whether everything was brought up; until then, links can be followed at most.
pub fn is_up() -> bool {
    UP.load(Ordering::Relaxed)
}

/// What a start does before it serves.
pub struct BringUp {
    pub partners: PathBuf,
    pub data_dir: PathBuf,
    pub demo: bool,
    /// Serves pages, which somebody will sign in to.
    pub serves: bool,
    /// Works off the queues.
    pub works: bool,
}

impl BringUp {
    /// Brings everything up; says how to sign in.
    ///
    /// While Postgres does not answer, links are followed by the copies in Redis, if an earlier start has left any; the rest is done once
    /// Postgres is there.
    ///
    /// # Errors
    /// Something is wrong that waiting would not mend, or there is nothing to do meanwhile.
    pub async fn run(self, engine: &Engine) -> Result<String> {
        if self.serves && !engine.clicks.store.postgres_answers().await && engine::referral_code::restore_links(engine).await {
            tracing::error!("Postgres is away: links can be followed, everything else waits for it");
            tokio::spawn(self.later(engine.clone()));
            return Ok("once Postgres is back".to_owned());
        }
        self.complete(engine).await
    }

    async fn later(self, engine: Engine) {
        while let Err(error) = self.complete(&engine).await {
            if engine.clicks.store.postgres_answers().await {
                tracing::error!(%error, "Postgres is there, and still not everything is up; this may not mend itself");
            } else {
                tracing::warn!(%error, "not everything is up yet");
            }
            tokio::time::sleep(PAUSE).await;
        }
        tracing::info!("everything is up");
    }

    async fn complete(&self, engine: &Engine) -> Result<String> {
        engine::MIGRATOR.run(&engine.db).await?;
        tracing::info!("{}", engine::partner::import_files(engine, &self.partners).await?);
        if let Err(error) = engine::click::ensure_partitions(engine, 0).await {
            tracing::warn!(%error, "not all partitions could be made; housekeeping tries again in a minute");
        }
        engine::referral_code::warm_up(engine).await?;
        engine::ip_hash::prepare(engine).await?;
        if self.demo {
            simulate::fill_if_empty(engine).await?;
        }
        // A process that prints nothing would keep the password to itself.
        let sign_in = if self.serves { first_operator::ensure(engine, &self.data_dir).await? } else { String::new() };
        if self.works {
            loops::start_workers(engine);
        }
        UP.store(true, Ordering::Relaxed);
        Ok(sign_in)
    }
}
