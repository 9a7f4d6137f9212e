//! A test starts and stops at once, on every server, whatever becomes of Redis.
//!
//! Visitors ask two servers all the time while tests are started and stopped at either. An answer that was asked for after a step was
//! acknowledged must follow it; so must one that came before the step was even sent follow the one before.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bench::place::{Place, Process, await_that, free_address};
use domain::SiteId;
use tokio::task::JoinSet;

use crate::support::{Client, TEXTS, add_site, button_test, with_place};

const PATIENCE: Duration = Duration::from_secs(30);
/// Of each server.
const VISITORS: usize = 4;
/// Starts and stops in each state of Redis.
const ROUNDS: usize = 3;
/// Answers that must be there at each server between two steps, so that none goes unseen.
const ANSWERS_BETWEEN: usize = 20;

/// A Redis that nobody starts again, other than the place's own.
struct Redis {
    socket: PathBuf,
    process: Option<Process>,
}

impl Redis {
    fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    async fn start(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(&self.socket);
        self.process = Some(Process::spawn(&mut command).expect("Redis starts"));
        let client = redis::Client::open(self.url()).expect("a URL");
        await_that("Redis answers", PATIENCE, async || {
            let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return Ok(false) };
            Ok(redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok())
        })
        .await
        .expect("Redis answers");
    }

    fn kill(&mut self) {
        self.process = None;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// An answer that a visitor got from a server.
struct Seen {
    server: usize,
    asked: Instant,
    answered: Instant,
    in_test: bool,
}

/// A step of the test.
struct Stepped {
    sent: Instant,
    acknowledged: Instant,
    runs: bool,
}

#[derive(Default)]
struct Watch {
    over: AtomicBool,
    seen: Mutex<Vec<Seen>>,
}

impl Watch {
    /// Answers of a server that were asked for after `since`.
    fn count(&self, server: usize, since: Instant) -> usize {
        let seen = self.seen.lock().expect("no visitor panicked");
        seen.iter().rev().take_while(|seen| seen.answered >= since).filter(|seen| seen.server == server && seen.asked >= since).count()
    }
}

async fn visit(watch: Arc<Watch>, client: Client, server: usize, number: usize, site_id: SiteId) {
    let query = format!("visitor=visitor-of-{server}-number-{number}");
    while !watch.over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let answer = client.offers(site_id, &query).await;
        let answered = Instant::now();
        assert_eq!(answer.status, 200, "{answer:?}");
        let in_test = TEXTS.contains(&answer.button());
        watch.seen.lock().expect("no visitor panicked").push(Seen { server, asked, answered, in_test });
    }
}

async fn serve(place: &Place, redis: &Redis) -> (Process, Client) {
    let address = free_address().expect("a free port");
    let mut command = place.command(&["serve"]);
    command.env("ORCHESTRATOR_LISTEN", &address).env("REDIS_URL", redis.url());
    let server = Process::start(command, &address, "/healthz").await.expect("the server starts");
    (server, Client::anonymous(&address))
}

#[test]
fn a_test_starts_and_stops_at_once_on_two_servers_with_redis_up_down_and_restarted() {
    with_place("experiments-at-once", async |place, engine| {
        let socket = std::env::temp_dir().join(format!("experiments-at-once-{}.sock", std::process::id()));
        let mut redis = Redis { socket, process: None };
        redis.start().await;
        let servers = [serve(place, &redis).await, serve(place, &redis).await];
        let site_id = add_site(engine).await;
        let scopes = ["experiments:write"];
        let machines = [
            Client::machine(engine, &servers[0].1.address(), &scopes).await,
            Client::machine(engine, &servers[1].1.address(), &scopes).await,
        ];

        let watch = Arc::new(Watch::default());
        let mut visitors = JoinSet::new();
        for (server, (_, client)) in servers.iter().enumerate() {
            for number in 0..VISITORS {
                visitors.spawn(visit(watch.clone(), client.clone(), server, number, site_id));
            }
        }
        let mut steps = Vec::new();
        for state in ["up", "down", "restarted"] {
            match state {
                "down" => redis.kill(),
                "restarted" => redis.start().await,
                _ => {}
            }
            for round in 0..ROUNDS {
                let key = format!("{state}-{round}");
                let (here, there) = (&machines[round % 2], &machines[(round + 1) % 2]);
                assert_eq!(here.post("/api/v1/experiments", &button_test(&key, "visitor")).await.status, 201);
                steps.push(step(here, &key, "start", true).await);
                await_answers(&watch, &steps).await;
                steps.push(step(there, &key, "stop", false).await);
                await_answers(&watch, &steps).await;
            }
        }
        watch.over.store(true, Ordering::Relaxed);
        while let Some(visited) = visitors.join_next().await {
            visited.expect("every visitor is answered");
        }
        check(&watch.seen.lock().expect("no visitor panicked"), &steps);
    });
}

async fn step(machine: &Client, key: &str, step: &str, runs: bool) -> Stepped {
    let sent = Instant::now();
    machine.step(key, step).await;
    Stepped { sent, acknowledged: Instant::now(), runs }
}

async fn await_answers(watch: &Watch, steps: &[Stepped]) {
    let since = steps.last().expect("a step").acknowledged;
    let enough = async || Ok((0..2).all(|server| watch.count(server, since) >= ANSWERS_BETWEEN));
    await_that("visitors of both servers are answered", PATIENCE, enough).await.expect("visitors go on");
}

/// Holds each answer against the steps before it, unless one was under way meanwhile.
fn check(seen: &[Seen], steps: &[Stepped]) {
    let mut judged = [0; 2];
    for answer in seen {
        let is_under_way = |step: &&Stepped| step.sent <= answer.answered && step.acknowledged >= answer.asked;
        if steps.iter().any(|step| is_under_way(&step)) {
            continue;
        }
        let before = steps.iter().filter(|step| step.acknowledged < answer.asked).count();
        let runs = before.checked_sub(1).is_some_and(|last| steps[last].runs);
        let after = before.checked_sub(1).map(|last| answer.asked - steps[last].acknowledged);
        assert_eq!(answer.in_test, runs, "server {}, {after:?} after step {before}", answer.server);
        judged[answer.server] += 1;
    }
    assert!(judged.iter().all(|count| *count >= steps.len() * ANSWERS_BETWEEN / 2), "{judged:?} answers for {} steps", steps.len());
}
