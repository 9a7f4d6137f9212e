//! `bench clicks | webhooks | durability`: see `docs/BENCHMARKS.md`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use bench::{Result, clicks, durability, place::Place, webhooks};
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    /// The server under test
    #[arg(long, global = true, default_value = "target/release/orchestrator")]
    server: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Throughput, latency and CPU time of redirects, beside a bare route and the naive design
    Clicks {
        /// Seconds of each measurement
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// How often each is measured; the median counts
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Bun's program, for the naive design on Bun
        #[arg(long)]
        bun: Option<PathBuf>,
        /// Only these: bare, ours, naive, bun, bun-own
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// From a webhook's acknowledgement to the ledger, at a steady rate
    Webhooks {
        #[arg(long, default_value_t = 200)]
        rate: u32,
        #[arg(long, default_value_t = 30)]
        seconds: u32,
    },
    /// Kill the server, Postgres and Redis in turn under load, and look for every acknowledged click
    Durability {
        /// Acknowledged clicks between two kills
        #[arg(long, default_value_t = 20_000)]
        clicks: usize,
        #[arg(long, default_value_t = 64)]
        connections: usize,
        /// Rounds of all three kills
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let place = Place::start("bench", cli.server)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Clicks { seconds, rounds, bun, only } => clicks::run(&place, seconds, rounds, bun, &only).await,
            Command::Webhooks { rate, seconds } => webhooks::run(&place, rate, seconds).await,
            Command::Durability { clicks, connections, rounds } => {
                let options = durability::Options { clicks, connections, rounds, patience: Duration::from_secs(60) };
                let outcome = durability::run(&place, &options).await?;
                println!("{outcome}");
                Ok(if outcome.passes() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
        }
    })
}
