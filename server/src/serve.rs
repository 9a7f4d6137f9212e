//! `orchestrator serve`: bring everything up, serve, and end in good order.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use engine::Engine;
use leptos::config::{Env, LeptosOptions};
use tokio::{net::TcpListener, sync::watch};
use tracing_subscriber::EnvFilter;

use crate::{
    bring_up::BringUp,
    cli::Outcome,
    loops,
    router::{AppState, router},
    settings::{Installation, site_root, trusted_proxies},
};

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
    let trusted_proxies = trusted_proxies()?;
    // First of all: whoever finds the address taken must not have migrated or worked off anything. Early visitors wait.
    let listener = match args.role {
        Role::Worker => None,
        _ => Some(TcpListener::bind(args.listen).await.map_err(|error| format!("cannot listen on {} (--listen): {error}", args.listen))?),
    };
    let engine = installation.connect_later()?;
    tokio::task::spawn_blocking(engine::agent::warm_up).await?;
    let bring_up = BringUp {
        partners: args.partners,
        data_dir: installation.data_dir.clone(),
        demo: args.demo,
        serves: args.role != Role::Worker,
        works: args.role != Role::Web,
    };
    let sign_in = bring_up.run(&engine).await?;
    if !installation.runs_services() {
        warn_of_redis(&engine).await;
    }

    let (stop, stopping) = watch::channel(false);
    loops::start(&engine, &redis::Client::open(installation.settings.redis_url.as_str())?);
    tokio::spawn(async move {
        wait_for_signal().await;
        let _ = stop.send(true);
        // Whoever asks twice does not want to wait. Nothing that was acknowledged is lost by it.
        wait_for_signal().await;
        std::process::exit(130);
    });
    let Some(listener) = listener else {
        wait_until_stopping(stopping).await;
        engine.live.flush().await;
        return Ok(ExitCode::SUCCESS);
    };
    let options = LeptosOptions::builder()
        .output_name("orchestrator")
        .site_root(site_root())
        .site_addr(args.listen)
        .env(Env::PROD)
        .hash_files(true)
        .build();
    let allow_simulated_time = args.allow_simulated_time;
    let state = AppState { engine: engine.clone(), options, stopping: stopping.clone(), allow_simulated_time, trusted_proxies };
    announce(args.listen, &sign_in, installation);
    let service = router(state).into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(wait_until_stopping(stopping.clone()));
    tokio::select! {
        ended = serving.into_future() => ended?,
        // Requests that hang must not keep the process: what they do is durable or not yet acknowledged.
        () = async { wait_until_stopping(stopping).await; tokio::time::sleep(Duration::from_secs(10)).await } => tracing::warn!("ended with requests under way"),
    }
    engine.live.flush().await;
    // A report that still runs would be waited for.
    let _ = tokio::time::timeout(Duration::from_secs(5), engine.db.close()).await;
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

/// The private Redis keeps what it took; one of the operator's own may be set otherwise.
async fn warn_of_redis(engine: &Engine) {
    match engine::click::doubts_about_redis(engine).await {
        Ok(doubts) => doubts.iter().for_each(|doubt| tracing::warn!("{doubt}")),
        Err(error) => tracing::warn!(
            %error,
            "Redis does not say how it is set: clicks that come while Postgres is away last only with `appendonly yes` and `maxmemory-policy noeviction`"
        ),
    }
}
