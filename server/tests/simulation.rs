//! `orchestrator simulate` against the real program, and `orchestrator ledger verify` before and after somebody changed a row.

use std::process::Output;

use bench::place::{Place, Process, free_address};
use uuid::Uuid;

/// Enough for each kind of journey, with duplicates, disorder, late and lost events, refunds and bots.
const JOURNEYS: &str = "400";

#[test]
fn simulated_journeys_come_to_the_truth_and_a_changed_row_is_named() {
    // outside of the runtime: the private services end with the thread that started them
    let place = Place::start("simulation-test", env!("CARGO_BIN_EXE_orchestrator").into()).expect("a private Postgres and Redis");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(simulate(&place));
}

async fn simulate(place: &Place) {
    let engine = place.engine().await.expect("the services are up");
    let address = free_address().expect("loopback has a free port");
    let mut command = place.command(&["serve", "--allow-simulated-time"]);
    command.env("ORCHESTRATOR_LISTEN", &address);
    let _server = Process::start(command, &address, "/readyz").await.expect("it serves");

    let base_url = format!("http://{address}");
    let simulated = run(place, &["simulate", "--journeys", JOURNEYS, "--seed", "7", "--base-url", &base_url]);
    let report = String::from_utf8_lossy(&simulated.stdout);
    assert!(simulated.status.success(), "{report}{}", String::from_utf8_lossy(&simulated.stderr));
    assert!(report.contains("PASSED"), "{report}");
    let verified = run(place, &["ledger", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));

    let mut connection = engine.db.acquire().await.expect("the database is there");
    sqlx::query("set session_replication_role = replica").execute(&mut *connection).await.expect("a superuser may");
    let changed: Uuid = sqlx::query_scalar(
        "update ledger_entries
         set amount_minor = amount_minor + 1
         where ctid = (select ctid from ledger_entries limit 1)
         returning ledger_transaction_id",
    )
    .fetch_one(&mut *connection)
    .await
    .expect("there are entries");
    let verified = run(place, &["ledger", "verify"]);
    let findings = String::from_utf8_lossy(&verified.stdout);
    assert_eq!(verified.status.code(), Some(1), "{findings}");
    assert!(findings.contains(&changed.to_string()), "{findings}");
}

fn run(place: &Place, arguments: &[&str]) -> Output {
    place.command(arguments).output().expect("the program runs")
}
