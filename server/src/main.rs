//! `orchestrator`: the server, its workers and the command line in one binary.

// Views are deeply nested types.
#![recursion_limit = "512"]

mod admin;
mod api;
mod auth;
mod bring_up;
mod cli;
mod demo;
mod downloads;
mod embed;
mod eval;
mod events;
mod exports;
mod first_operator;
mod health;
mod html;
mod loops;
mod peer;
mod postback;
mod problem;
mod rebuild;
mod redirect;
mod router;
mod serve;
mod settings;
mod simulate;
mod supervise;
mod webhooks;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
