//! The real program, started while Postgres is away.

use bench::place::{Place, Process, free_address, plant};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";

#[test]
fn links_are_followed_after_a_start_without_postgres() {
    // outside of the runtime: the private services end with the thread that started them
    let place = Place::start("without-postgres-test", env!("CARGO_BIN_EXE_orchestrator").into()).expect("a private Postgres and Redis");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(follow_a_link(&place));
}

async fn follow_a_link(place: &Place) {
    let engine = place.engine().await.expect("the services are up");
    let alias = plant(&engine, 0..1).await.expect("sites are planted").swap_remove(0).alias;
    engine::referral_code::warm_up(&engine).await.expect("it leaves copies of the links");

    let address = free_address().expect("loopback has a free port");
    let mut command = place.command(&["serve"]);
    // Nobody listens on port 1.
    command.env("ORCHESTRATOR_LISTEN", &address).env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing");
    let _server = Process::start(command, &address, "/healthz").await.expect("it serves");
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let ready = http.get(format!("http://{address}/readyz")).send().await.expect("an answer");
    assert_eq!(ready.status(), 200);
    let state: serde_json::Value = ready.json().await.expect("JSON");
    assert_eq!((&state["postgres"], &state["degraded"]), (&false.into(), &true.into()));
    assert_eq!(state["up"], false);

    let answer = http.get(format!("http://{address}/r/{alias}")).header("user-agent", BROWSER).send().await.expect("an answer");
    assert_eq!(answer.status(), 302);
    assert!(answer.headers()["location"].to_str().expect("text").contains("click_id="), "{:?}", answer.headers());
    assert_eq!(engine::click::fallback_length(&engine).await.expect("Redis answers"), 1, "the click waits for Postgres");
}
