//! What the scripts `run`, `test` and `setup` need beyond cargo: `cargo run --profile tool -p xtask -- COMMAND`.
//!
//! - `front`: build the browser bundle into `target/site`, see [`front`]; with `--any-size` even if it is over its budget;
//! - `services -- COMMAND...`: run a command with a Postgres and a Redis of its own, named by `DATABASE_URL` and `REDIS_URL`;
//! - `sqlx-prepare`, `sqlx-check`: write, or compare, the folder `.sqlx` with the types of all SQL queries, see [`sqlx`].

mod front;
mod services;
mod site;
mod sqlx;

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: xtask front [--any-size] | services -- COMMAND... | sqlx-prepare | sqlx-check";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["front"] => front::build(true).map(|()| ExitCode::SUCCESS),
        ["front", "--any-size"] => front::build(false).map(|()| ExitCode::SUCCESS),
        ["services", "--", command @ ..] if !command.is_empty() => services::run(command),
        ["sqlx-prepare"] => sqlx::prepare().map(|()| ExitCode::SUCCESS),
        ["sqlx-check"] => sqlx::check().map(|()| ExitCode::SUCCESS),
        _ => Err(USAGE.into()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error}");
        ExitCode::FAILURE
    })
}

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace").to_owned()
}

/// Cargo in the workspace, with the machine's own toolchain.
fn cargo() -> Command {
    let mut command = Command::new("cargo");
    // What `cargo run` set for this process is not meant for another cargo.
    for name in ["CARGO", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command.current_dir(root());
    command
}

/// Runs a command and passes its output on.
fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}").into()) }
}

/// Adds the file's name to an error about it.
fn at<T, E: std::fmt::Display>(path: &Path, result: std::result::Result<T, E>) -> Result<T> {
    result.map_err(|error| format!("{}: {error}", path.display()).into())
}
