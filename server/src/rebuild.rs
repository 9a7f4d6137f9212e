//! `orchestrator rebuild`: everything that follows from events once more, from the raw inbound log, in an empty database.

use std::process::ExitCode;

use clap::Args;
use engine::{Engine, rebuild};
use sqlx::{
    AssertSqlSafe,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{cli::Outcome, settings::Installation};

#[derive(Args)]
pub struct RebuildArgs {
    /// The empty database to rebuild in, which stays
    #[arg(long, value_name = "DATABASE_URL", required_unless_present = "check", conflicts_with = "check")]
    into: Option<String>,
    /// Rebuild in a database beside the live one, which is dropped afterwards
    #[arg(long)]
    check: bool,
    /// Deliveries that are replayed at the same time; 1 keeps their order strictly
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

/// Rebuilds and compares; exits 1 if the live state is not what the events say.
pub async fn run(args: RebuildArgs, live: &Engine, installation: &Installation) -> Outcome {
    let options: PgConnectOptions = match &args.into {
        Some(url) => url.parse()?,
        None => create_scratch(live).await?,
    };
    let scratch = args.check.then(|| options.get_database().unwrap_or_default().to_owned());
    let outcome = rebuild_in(&args, live, installation, options).await;
    if let Some(name) = scratch {
        sqlx::raw_sql(AssertSqlSafe(format!("drop database \"{name}\" with (force)"))).execute(&live.db).await?;
    }
    outcome
}

async fn rebuild_in(args: &RebuildArgs, live: &Engine, installation: &Installation, options: PgConnectOptions) -> Outcome {
    // A crash only means to rebuild once more: no commit needs to wait for the disk.
    let options = options.options([("synchronous_commit", "off")]);
    let connections = u32::try_from(args.workers)?.saturating_add(4);
    let db = PgPoolOptions::new().max_connections(connections).connect_with(options).await?;
    let target = Engine::with(db, live.redis.clone(), installation.keys.clone());
    let report = rebuild::rebuild(live, &target, args.workers).await;
    target.db.close().await;
    let report = report?;
    println!("{report}");
    Ok(if report.difference_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes an empty database beside the live one.
async fn create_scratch(live: &Engine) -> Result<PgConnectOptions, Box<dyn std::error::Error + Send + Sync>> {
    let options = (*live.db.connect_options()).clone();
    let name = format!("{}_rebuild_{:08x}", options.get_database().unwrap_or("orchestrator"), rand::random::<u32>());
    sqlx::raw_sql(AssertSqlSafe(format!("create database \"{name}\""))).execute(&live.db).await?;
    Ok(options.database(&name))
}
