//! `orchestrator serve`: bring everything up, serve, and end in good order.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::atomic::Ordering, time::Duration};

use clap::{Args, ValueEnum};
use domain::live::LiveEvent;
use engine::Engine;
use leptos::config::{Env, LeptosOptions};
use tokio::{net::TcpListener, sync::watch};
use tracing_subscriber::EnvFilter;

use crate::{
    admin,
    cli::Outcome,
    router::{AppState, router},
    settings::{Installation, site_root},
    simulate,
};

/// Deliveries that one process handles at the same time.
const WORKERS: usize = 4;

#[derive(Args)]
pub struct ServeArgs {
    /// Where to listen
    #[arg(long, env = "ORCHESTRATOR_LISTEN", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Serve the web, work off the queue, or both
    #[arg(long, default_value = "all")]
    role: Role,
    /// The folder of the partner files
    #[arg(long, env = "ORCHESTRATOR_PARTNERS", default_value = "partners")]
    partners: PathBuf,
    /// Fill an empty installation with 90 days of plausible history
    #[arg(long)]
    demo: bool,
    /// Let requests set the clock by the header x-simulated-time; never on a server that others can reach
    #[arg(long)]
    allow_simulated_time: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    All,
    Web,
    Worker,
}

pub fn start_logging(serving: bool) {
    let default = if serving { "info,sqlx=warn" } else { "warn" };
    let filter = EnvFilter::try_from_env("ORCHESTRATOR_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    if crate::settings::variable("ORCHESTRATOR_LOG_FORMAT").as_deref() == Some("json") {
        tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    } else {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    }
}

pub async fn run(args: ServeArgs, installation: &Installation) -> Outcome {
    let engine = installation.connect().await?;
    engine::MIGRATOR.run(&engine.db).await?;
    tracing::info!("{}", engine::partner::import_files(&engine, &args.partners).await?);
    engine::click::ensure_partitions(&engine, 0).await?;
    engine::referral_code::warm_up(&engine).await?;
    tokio::task::spawn_blocking(engine::agent::warm_up).await?;
    let sign_in = admin::first_operator(&engine, &installation.data_dir).await?;
    if args.demo {
        simulate::fill_if_empty(&engine).await?;
    }

    let (stop, stopping) = watch::channel(false);
    tokio::spawn(engine.live.clone().forward(redis::Client::open(installation.settings.redis_url.as_str())?));
    tokio::spawn(engine::click::drain(engine.clone()));
    tokio::spawn(engine::experiment::credit::credit_loop(engine.clone()));
    tokio::spawn(keep_house(engine.clone()));
    tokio::spawn(announce_traffic(engine.clone()));
    if args.role != Role::Web {
        for _ in 0..WORKERS {
            tokio::spawn(engine::webhook::work_loop(engine.clone()));
        }
        tokio::spawn(engine::ledger::seal_loop(engine.clone()));
        tokio::spawn(engine::commission::approve_loop(engine.clone()));
        tokio::spawn(engine::import::work_loop(engine.clone()));
        tokio::spawn(engine::experiment::credit::recheck_loop(engine.clone()));
        tokio::spawn(engine::experiment::bandit::reweigh_loop(engine.clone()));
    }
    tokio::spawn(async move {
        wait_for_signal().await;
        let _ = stop.send(true);
    });
    if args.role == Role::Worker {
        wait_until_stopping(stopping).await;
        return Ok(ExitCode::SUCCESS);
    }

    let listener = TcpListener::bind(args.listen).await.map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let options = LeptosOptions::builder()
        .output_name("orchestrator")
        .site_root(site_root())
        .site_addr(args.listen)
        .env(Env::PROD)
        .hash_files(true)
        .build();
    let state = AppState { engine: engine.clone(), options, stopping: stopping.clone(), allow_simulated_time: args.allow_simulated_time };
    announce(args.listen, &sign_in, installation);
    let service = router(state).into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(wait_until_stopping(stopping.clone()));
    tokio::select! {
        ended = serving.into_future() => ended?,
        // Requests that hang must not keep the process: what they do is durable or not yet acknowledged.
        () = async { wait_until_stopping(stopping).await; tokio::time::sleep(Duration::from_secs(10)).await } => tracing::warn!("ended with requests under way"),
    }
    engine.db.close().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

fn announce(listen: SocketAddr, sign_in: &str, installation: &Installation) {
    let services =
        if installation.runs_services() { "a private Postgres and Redis" } else { "the Postgres and Redis of DATABASE_URL and REDIS_URL" };
    println!(
        "\n  Developer Toolkit Orchestrator\n\n  Open      http://{listen}\n  Sign in   {sign_in}\n  Demo      http://{listen}/demo\n  Data      {} ({services})\n\n  Ctrl-C stops it.\n",
        installation.data_dir.display()
    );
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

async fn wait_until_stopping(mut stopping: watch::Receiver<bool>) {
    // an error means that the sender is gone, and with it the process
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Tells browsers once a second if there was traffic, and which experiments have new figures.
async fn announce_traffic(engine: Engine) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        if engine.clicks.metrics.changed.swap(false, Ordering::Relaxed) {
            engine.live.publish(LiveEvent::Traffic).await;
        }
        for experiment_id in engine.clicks.metrics.take_experiments() {
            engine.live.publish(LiveEvent::Experiment { experiment_id }).await;
        }
    }
}

/// Reads the partners anew every two seconds; once an hour, makes partitions ahead of time and forgets old keys.
async fn keep_house(engine: Engine) {
    const TICKS_PER_HOUR: u32 = 1800;
    let mut tick = tokio::time::interval(Duration::from_secs(2));
    for count in 1.. {
        tick.tick().await;
        if let Err(error) = engine::referral_code::refresh_links(&engine).await {
            tracing::debug!(error = %error, "could not read the partners anew");
        }
        if count % TICKS_PER_HOUR == 0 {
            let kept = async {
                engine::click::ensure_partitions(&engine, 0).await?;
                engine::exchange::release(&engine).await?;
                engine::experiment::credit::purge(&engine).await?;
                engine::ip_hash::forget_old_keys(&engine).await
            };
            if let Err(error) = kept.await {
                tracing::warn!(error = %error, "housekeeping failed; the next try is in an hour");
            }
        }
    }
}
