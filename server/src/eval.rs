//! `orchestrator eval`: the product's own numbers on files, so that they can be checked on data that it has never seen.
//!
//! A task reads its files, calls the functions of `domain` that serve, and prints its answer to standard output; notes go to standard
//! error. It needs no database and no network, and the same files give the same bytes. A malformed row is named (file, line, field),
//! nothing is printed to standard output, and the exit code is 2. `docs/EVAL.md` shows each task with an example.
//!
//! To add a task: a file here with a function from its input to its output, a variant of [`EvalCommand`], a section of `docs/EVAL.md` with
//! an example in `docs/eval/`.

mod assign;
mod attribution;
mod experiment;
mod input;
mod json_lines;
mod multitouch;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use crate::cli::Outcome;

/// Exit code for input that cannot be read.
const MALFORMED: u8 = 2;

#[derive(Args)]
pub struct EvalArgs {
    #[command(subcommand)]
    task: EvalCommand,
    /// Print JSON where the task's own format is another
    #[arg(long, global = true)]
    json: bool,
    /// Seed of the tasks that draw random numbers; the others give the same answer for any
    #[arg(long, global = true, default_value_t = 0)]
    seed: u64,
}

#[derive(Subcommand)]
enum EvalCommand {
    /// Hash, bucket ranges and variant of units, by the published algorithm
    Assign {
        /// JSON lines: {seed, unit, weights[], coverage?, hash_version, namespace?}
        file: PathBuf,
    },
    /// Which clicks claim each order of a log of events, and their shares
    Attribution {
        /// CSV: received_at,type,id,occurred_at,partner,cookie,customer,order_id,click_id,prefetch_or_amount
        #[arg(long)]
        events: PathBuf,
        /// JSON object of each partner's window in seconds: a file, or the text itself
        #[arg(long)]
        windows: String,
    },
    /// What the statistics of an experiment's arms say: differences, p-values at one look and at any, beliefs, sample ratio
    Experiment {
        /// JSON lines: {id, metric: binomial or mean, arms: [{n, sum, sum_squares}], weights?, alpha?, planned_n?, prior?}
        file: PathBuf,
    },
    /// What each channel of a programme contributed under eight models; a report that pays nobody
    Multitouch {
        /// CSV: path,total_conversions,total_conversion_value,total_null
        file: PathBuf,
    },
}

/// Runs a task. Malformed input ends with exit code 2, after naming it on standard error.
pub fn run(args: EvalArgs) -> Outcome {
    let done = match args.task {
        EvalCommand::Assign { file } => assign::evaluate(&file),
        EvalCommand::Attribution { events, windows } => attribution::evaluate(&events, &windows, args.json),
        EvalCommand::Experiment { file } => experiment::evaluate(&file),
        EvalCommand::Multitouch { file } => multitouch::evaluate(&file, args.json),
    };
    match done {
        Ok(output) => {
            std::io::stdout().write_all(output.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(malformed) => {
            eprintln!("error: {malformed}");
            Ok(ExitCode::from(MALFORMED))
        }
    }
}

#[cfg(test)]
mod tests;
