//! Kills the real program and its services under load. `bench durability` is the same with more clicks.

use std::time::Duration;

use bench::{durability, place::Place};

#[test]
fn every_acknowledged_click_survives_the_kill_of_the_server_of_postgres_and_of_redis() {
    // outside of the runtime: the private services end with the thread that started them
    let place = Place::start("durability-test", env!("CARGO_BIN_EXE_orchestrator").into()).expect("a private Postgres and Redis");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let options = durability::Options { clicks: 1_000, connections: 16, rounds: 1, patience: Duration::from_secs(30) };
    let outcome = runtime.block_on(durability::run(&place, &options)).expect("everything comes back by itself");
    println!("{outcome}");
    assert!(outcome.passes(), "{outcome:?}");
    assert_eq!(outcome.kills.len(), 3);
}
