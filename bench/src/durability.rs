//! Kills the server, Postgres and Redis in turn while visitors follow links, and looks for every acknowledged click.
//!
//! A click is acknowledged by a 302 that carries its click id. The services are started again by `embedded`, the server by
//! this run, as a process supervisor would.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use domain::click::ClickToken;
use engine::Engine;
use uuid::Uuid;

use crate::{
    Result,
    place::{Place, Process, await_that, free_address, plant},
    processes::{child, kill},
};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";

pub struct Options {
    /// Acknowledged clicks before the first kill and after each.
    pub clicks: usize,
    pub connections: usize,
    pub rounds: usize,
    /// How long each wait may take.
    pub patience: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub kills: Vec<Kill>,
    pub acknowledged: usize,
    pub found: usize,
    /// Stored clicks beyond the acknowledged ones: under way when something was killed.
    pub unacknowledged: usize,
    /// Until the fallback was empty and all clicks were found, after the last one was sent.
    pub drained_after: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    pub what: &'static str,
    /// Until it answered again.
    pub away_for: Duration,
    /// Clicks that were acknowledged meanwhile.
    pub acknowledged_meanwhile: usize,
}

impl Outcome {
    /// Nothing acknowledged is lost, and redirects went on while Postgres or Redis was away.
    pub fn passes(&self) -> bool {
        let went_on = |kill: &Kill| kill.what == SERVER || kill.acknowledged_meanwhile > 0;
        self.acknowledged > 0 && self.found == self.acknowledged && self.kills.iter().all(went_on)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| killed with -9 | away for | clicks acknowledged meanwhile |\n| --- | ---: | ---: |")?;
        for kill in &self.kills {
            writeln!(f, "| {} | {} ms | {} |", kill.what, kill.away_for.as_millis(), kill.acknowledged_meanwhile)?;
        }
        let Self { acknowledged, found, unacknowledged, drained_after, .. } = self;
        write!(
            f,
            "\nacknowledged {acknowledged}, found {found}, stored without acknowledgement {unacknowledged}, all there {} ms after the last click",
            drained_after.as_millis()
        )
    }
}

const SERVER: &str = "server";
const POSTGRES: &str = "Postgres";
const REDIS: &str = "Redis";

/// What the visitors share.
struct Visitors {
    http: reqwest::Client,
    url: String,
    /// Signs the click ids.
    click_mac: [u8; 32],
    stop: AtomicBool,
    count: AtomicUsize,
    acknowledged: Mutex<Vec<Uuid>>,
}

/// # Errors
/// Something did not come back in time, or cannot be killed.
pub async fn run(place: &Place, options: &Options) -> Result<Outcome> {
    let engine = place.engine().await?;
    let alias = plant(&engine, 0..1).await?.swap_remove(0).alias;
    let address = free_address()?;
    let mut server = place.serve(&address).await?;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(10)).build()?;
    let visitors = Arc::new(Visitors {
        http,
        url: format!("http://{address}/r/{alias}"),
        click_mac: engine.keys.click_mac,
        stop: AtomicBool::new(false),
        count: AtomicUsize::new(0),
        acknowledged: Mutex::default(),
    });
    let mut visiting = tokio::task::JoinSet::new();
    for _ in 0..options.connections {
        visiting.spawn(visit(visitors.clone()));
    }

    let mut outcome = Outcome::default();
    for _ in 0..options.rounds {
        for what in [SERVER, POSTGRES, REDIS] {
            await_clicks(&visitors, options).await?;
            outcome.kills.push(kill_one(place, &engine, &mut server, &address, &visitors, what, options).await?);
        }
    }
    await_clicks(&visitors, options).await?;
    visitors.stop.store(true, Ordering::Relaxed);
    visiting.join_all().await;

    let stopped = Instant::now();
    let acknowledged = visitors.acknowledged.lock().map_err(|_| "a visitor panicked")?.clone();
    outcome.acknowledged = acknowledged.len();
    await_that("the fallback is empty", options.patience, async || {
        Ok(engine::click::fallback_length(&engine).await.is_ok_and(|length| length == 0))
    })
    .await?;
    let mut stored = 0;
    await_that("all clicks are there", options.patience, async || {
        (outcome.found, stored) = find(&engine, &acknowledged).await?;
        Ok(outcome.found == acknowledged.len())
    })
    .await
    .or_else(|error| if outcome.found < acknowledged.len() { Ok(()) } else { Err(error) })?;
    outcome.unacknowledged = stored.saturating_sub(outcome.found);
    outcome.drained_after = stopped.elapsed();
    Ok(outcome)
}

async fn visit(visitors: Arc<Visitors>) {
    while !visitors.stop.load(Ordering::Relaxed) {
        match visitors.http.get(&visitors.url).header("user-agent", BROWSER).send().await {
            Ok(answer) => {
                if let Some(click_id) = click_id(&answer, &visitors.click_mac)
                    && let Ok(mut acknowledged) = visitors.acknowledged.lock()
                {
                    acknowledged.push(click_id);
                    visitors.count.fetch_add(1, Ordering::Relaxed);
                }
            }
            // refused connections come back at once: the server is away
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

fn click_id(answer: &reqwest::Response, click_mac: &[u8; 32]) -> Option<Uuid> {
    let location = answer.headers().get("location")?.to_str().ok()?;
    let target = url::Url::parse(location).ok().filter(|_| answer.status() == reqwest::StatusCode::FOUND)?;
    let token = target.query_pairs().find(|(name, _)| name == "click_id")?.1.into_owned();
    Some(ClickToken::verify(&token, click_mac).ok()?.click_id.0)
}

async fn kill_one(
    place: &Place,
    engine: &Engine,
    server: &mut Process,
    address: &str,
    visitors: &Visitors,
    what: &'static str,
    options: &Options,
) -> Result<Kill> {
    let count = || visitors.count.load(Ordering::Relaxed);
    let killed_at = Instant::now();
    let acknowledged = count();
    match what {
        SERVER => {
            server.kill();
            *server = place.serve(address).await?;
        }
        POSTGRES => {
            kill(child("postgres").ok_or("Postgres is gone")?)?;
            let url = place.database_url(embedded::DATABASE);
            await_that("Postgres is back", options.patience, async || {
                use sqlx::Connection;
                Ok(sqlx::PgConnection::connect(&url).await.is_ok())
            })
            .await?;
        }
        _ => {
            kill(child("redis-server").ok_or("Redis is gone")?)?;
            await_that("Redis is back", options.patience, async || Ok(engine::click::fallback_length(engine).await.is_ok())).await?;
        }
    }
    Ok(Kill { what, away_for: killed_at.elapsed(), acknowledged_meanwhile: count() - acknowledged })
}

async fn await_clicks(visitors: &Visitors, options: &Options) -> Result<()> {
    let goal = visitors.count.load(Ordering::Relaxed) + options.clicks;
    await_that("clicks are acknowledged", options.patience, async || Ok(visitors.count.load(Ordering::Relaxed) >= goal)).await
}

/// How many of the clicks are stored, and how many there are altogether.
async fn find(engine: &Engine, clicks: &[Uuid]) -> Result<(usize, usize)> {
    let found: i64 = sqlx::query_scalar("select count(*) from unnest($1::uuid[]) as wanted (click_id) where exists (select from clicks where clicks.click_id = wanted.click_id)")
        .bind(clicks)
        .fetch_one(&engine.db)
        .await?;
    let stored: i64 = sqlx::query_scalar("select count(*) from clicks").fetch_one(&engine.db).await?;
    Ok((usize::try_from(found)?, usize::try_from(stored)?))
}
