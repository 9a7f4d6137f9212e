//! What runs beside the requests, for as long as the process lives.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use domain::live::LiveEvent;
use engine::Engine;

use crate::supervise::keep_running;

/// Deliveries that one process handles at the same time.
const WORKERS: usize = 4;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Starts what every process needs. `redis` is where the other processes' live events come from.
pub fn start(engine: &Engine, redis: &redis::Client) {
    let redis = redis.clone();
    keep(engine, "live", move |engine| engine.live.clone().forward(redis.clone()));
    keep(engine, "drain", engine::click::drain);
    keep(engine, "credit", engine::experiment::credit::credit_loop);
    keep(engine, "house", keep_house);
    keep(engine, "traffic", announce_traffic);
}

/// Starts what works off the queues.
pub fn start_workers(engine: &Engine) {
    for _ in 0..WORKERS {
        keep(engine, "work", engine::webhook::work_loop);
    }
    keep(engine, "seal", engine::ledger::seal_loop);
    keep(engine, "approve", engine::commission::approve_loop);
    keep(engine, "import", engine::import::work_loop);
    keep(engine, "recheck", engine::experiment::credit::recheck_loop);
    keep(engine, "reweigh", engine::experiment::bandit::reweigh_loop);
}

fn keep<Loop>(engine: &Engine, name: &'static str, run: impl Fn(Engine) -> Loop + Send + 'static)
where
    Loop: Future<Output = ()> + Send + 'static,
{
    let engine = engine.clone();
    keep_running(name, move || run(engine.clone()));
}

/// Tells browsers once a second if there was traffic, and which experiments have new figures.
async fn announce_traffic(engine: Engine) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        if engine.clicks.metrics.changed.swap(false, Ordering::Relaxed) {
            engine.live.publish(LiveEvent::Traffic);
        }
        for experiment_id in engine.clicks.metrics.take_experiments() {
            engine.live.publish(LiveEvent::Experiment { experiment_id });
        }
    }
}

/// Reads the partners anew every two seconds, and forgets what was kept of sites that were analysed again; once an hour, does what
/// [`keep_house_hourly`] says, and what of that failed again after a minute.
async fn keep_house(engine: Engine) {
    let mut tick = tokio::time::interval(Duration::from_secs(2));
    let mut hourly_at = Instant::now();
    loop {
        tick.tick().await;
        let anew = async {
            engine::referral_code::refresh_links(&engine).await?;
            engine::referral_code::forget_changed(&engine).await
        };
        if let Err(error) = anew.await {
            tracing::debug!(error = %error, "could not read the partners anew");
        }
        if Instant::now() >= hourly_at {
            hourly_at = Instant::now() + if keep_house_hourly(&engine).await { HOUR } else { MINUTE };
        }
    }
}

/// Makes partitions and keys ahead of time, forgets what is old, and lets go on what waited for exchange rates; tells whether all of it went.
async fn keep_house_hourly(engine: &Engine) -> bool {
    let kept = [
        ("make partitions", engine::click::ensure_partitions(engine, 0).await),
        ("make the keys of address hashes", engine::ip_hash::prepare(engine).await),
        ("forget old keys of address hashes", engine::ip_hash::forget_old_keys(engine).await.map(drop)),
        ("release what waited for exchange rates", engine::exchange::release(engine).await.map(drop)),
        ("forget old clicks of experiments", engine::experiment::credit::purge(engine).await),
        ("look for rows without a partition", tell_stray_rows(engine).await),
    ];
    let mut all = true;
    for (what, outcome) in kept {
        if let Err(error) = outcome {
            tracing::warn!(%error, "housekeeping could not {what}; the next try is in a minute");
            all = false;
        }
    }
    all
}

async fn tell_stray_rows(engine: &Engine) -> engine::Result<()> {
    for table in engine::click::tables_with_stray_rows(engine).await? {
        tracing::warn!("{table}_default holds rows: their months have no partition of their own, which makes reports on them slow");
    }
    Ok(())
}
