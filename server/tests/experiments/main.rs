//! Experiments through the real program's HTTP surface, on a real Postgres and Redis.

mod api;
mod at_once;
mod shown;
mod support;
