//! Benchmarks of the click path, of webhooks, of rating and of experiments, and the durability test. `docs/BENCHMARKS.md` says how to
//! read them.
//!
//! Every run but that of assignments brings its own Postgres and Redis ([`place`]) and talks to servers over loopback only. The designs
//! that the click path is compared with are `src/bin/bare.rs`, `src/bin/naive.rs` and `naive-bun/`.

pub mod assign;
pub mod clicks;
pub mod durability;
pub mod experiment_results;
pub mod partner;
pub mod place;
pub mod processes;
pub mod rating;
pub mod statements;
pub mod webhooks;
pub mod wrk;

/// What any of the runs can fail with; they are for people to read.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T, E = Error> = std::result::Result<T, E>;
