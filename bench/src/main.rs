//! `bench assign | clicks | webhooks | rating | statements | experiment-results | durability`: see `docs/BENCHMARKS.md`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use bench::{Result, assign, clicks, durability, experiment_results, place::Place, rating, statements, webhooks};
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    /// The server under test, if not the one that was built beside this program
    #[arg(long, global = true)]
    server: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Assignments to running tests per second on one core, beside GrowthBook's SDK
    Assign {
        #[arg(long, default_value_t = 20)]
        tests: usize,
        #[arg(long, default_value_t = 500_000)]
        units: usize,
        /// How often each is measured; the median counts
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
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
    /// From the queue to the ledger, with more and more conversions in the tables
    Rating {
        /// Conversions in the tables, ascending
        #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
        sizes: Vec<usize>,
        /// Fresh conversions of a round
        #[arg(long, default_value_t = 2_000)]
        conversions: usize,
        /// How often each size is measured; the median counts
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// List the most expensive statements, too
        #[arg(long)]
        statements: bool,
    },
    /// Close a partner's month of very many entries
    Statements {
        #[arg(long, default_value_t = 100_000)]
        entries: u32,
    },
    /// Results of tests with more and more exposures
    ExperimentResults {
        /// Exposures of a test, ascending
        #[arg(long, value_delimiter = ',', default_value = "100000,1000000,10000000")]
        sizes: Vec<u32>,
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
    if let Command::Assign { tests, units, rounds } = cli.command {
        return assign::run(tests, units, rounds);
    }
    let server = match cli.server {
        Some(server) => server,
        None => std::env::current_exe()?.with_file_name("orchestrator"),
    };
    let place = Place::start("bench", server)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Assign { .. } => unreachable!("it needs no servers"),
            Command::Clicks { seconds, rounds, bun, only } => clicks::run(&place, seconds, rounds, bun, &only).await,
            Command::Webhooks { rate, seconds } => webhooks::run(&place, rate, seconds).await,
            Command::Rating { sizes, conversions, rounds, statements } => {
                rating::run(&place, &rating::Options { sizes, conversions, rounds, statements }).await
            }
            Command::Statements { entries } => statements::run(&place, entries).await,
            Command::ExperimentResults { sizes } => experiment_results::run(&place, &sizes).await,
            Command::Durability { clicks, connections, rounds } => {
                let options = durability::Options { clicks, connections, rounds, patience: Duration::from_secs(60) };
                let outcome = durability::run(&place, &options).await?;
                println!("{outcome}");
                Ok(if outcome.passes() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
        }
    })
}
