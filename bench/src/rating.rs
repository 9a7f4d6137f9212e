//! Rating: from the queue to sealed ledger entries, and how its cost grows with what is in the tables already.
//!
//! Each size is seeded by SQL ([`seed`]); then fresh signed conversions are posted while no worker runs, and a worker process of
//! its own works them off. The first [`WARM_UP`] of them are not counted.

mod expensive;
mod seed;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use engine::{Engine, click, simulation::PlantedLink};
use futures::{StreamExt, TryStreamExt};

use crate::{
    Result,
    partner::{Sender, a_click, a_sale},
    place::{Place, Process, await_that, free_address, plant},
    processes::{child, cpu_seconds},
};

/// Fills the worker's caches and prepares its statements.
const WARM_UP: usize = 200;
/// Conversions of one site over time.
const CONVERSIONS_PER_SITE: usize = 50;
const POSTS_AT_ONCE: usize = 32;
const PATIENCE: Duration = Duration::from_secs(600);
/// Of the cost per conversion at the largest size to that at the smallest.
const GROWTH_MAX: f64 = 1.3;

pub struct Options {
    /// Conversions in the tables, ascending.
    pub sizes: Vec<usize>,
    /// Fresh conversions of one round.
    pub conversions: usize,
    /// How often each size is measured; the median counts.
    pub rounds: usize,
    /// Adds a round for each size that lists the most expensive statements and the tables that are read in whole.
    pub statements: bool,
}

/// Seconds of one conversion.
#[derive(Clone, Copy, Debug)]
struct Cost {
    wall: f64,
    server: f64,
    postgres: f64,
    redis: f64,
}

impl Cost {
    fn cpu(&self) -> f64 {
        self.server + self.postgres + self.redis
    }
}

/// Seeds, measures and prints; exits 1 if a conversion is missing in the ledger.
pub async fn run(place: &Place, options: &Options) -> Result<ExitCode> {
    let engine = place.engine().await?;
    if options.statements {
        expensive::enable(&engine, &place.database_url(embedded::DATABASE)).await?;
    }
    // Vacuuming is done before each size and not in the middle of it.
    sqlx::query("alter system set autovacuum = off").execute(&engine.db).await?;
    sqlx::query("select pg_reload_conf()").execute(&engine.db).await?;
    click::ensure_partitions(&engine, 13).await?;
    let (mut sites, mut links) = (0, Vec::new());
    let mut costs = Vec::new();
    let mut lists = Vec::new();
    for &size in &options.sizes {
        let wanted = size.div_ceil(CONVERSIONS_PER_SITE).max(sites);
        links.extend(plant(&engine, sites..wanted).await?);
        sites = wanted;
        seed::fill(&engine, size).await?;
        let sender = Sender::new(&engine, &links).await?;
        let mut rounds = Vec::new();
        for number in 0..options.rounds {
            eprintln!("{size} conversions in the tables, round {} of {}", number + 1, options.rounds);
            rounds.push(measure(place, &engine, &sender, &links, &format!("rating-{size}-{number}-"), options.conversions).await?);
        }
        rounds.sort_by(|a, b| a.cpu().total_cmp(&b.cpu()));
        costs.push((size, rounds[rounds.len() / 2]));
        if options.statements {
            let before = expensive::reset(&engine).await?;
            measure(place, &engine, &sender, &links, &format!("rating-{size}-statements-"), options.conversions).await?;
            lists.push((size, expensive::list(&engine, before, options.conversions + WARM_UP).await?));
        }
    }
    print(&costs);
    for (size, list) in lists {
        println!("\n{size} conversions in the tables:\n\n{list}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(place: &Place, engine: &Engine, sender: &Sender, links: &[PlantedLink], prefix: &str, conversions: usize) -> Result<Cost> {
    let total = conversions + WARM_UP;
    post(place, engine, sender, links, prefix, total).await?;
    sqlx::query("checkpoint").execute(&engine.db).await?;

    let worker = Process::spawn(&mut place.command(&["serve", "--role", "worker"]))?;
    let processes = [worker.id(), child("postgres").ok_or("Postgres is gone")?, child("redis-server").ok_or("Redis is gone")?];
    await_that("the worker is warm", PATIENCE, async || Ok(left(engine).await? + conversions <= total)).await?;
    let (start, before, left_before) = (Instant::now(), processes.map(cpu_seconds), left(engine).await?);
    await_that("the queue is empty and sealed", PATIENCE, async || Ok(left(engine).await? == 0 && unsealed(engine).await? == 0)).await?;
    let (wall, after) = (start.elapsed().as_secs_f64(), processes.map(cpu_seconds));
    drop(worker);

    let booked: i64 = sqlx::query_scalar(
        "select count(*) from conversions join ledger_transactions using (conversion_id)
         where starts_with(external_event_id, $1) and state = 'attributed' and kind = 'commission'",
    )
    .bind(prefix)
    .fetch_one(&engine.db)
    .await?;
    if usize::try_from(booked)? != total {
        return Err(format!("{booked} of {total} conversions are booked").into());
    }
    let per_conversion = |index: usize| (after[index] - before[index]) / left_before as f64;
    Ok(Cost { wall: wall / left_before as f64, server: per_conversion(0), postgres: per_conversion(1), redis: per_conversion(2) })
}

/// Posts signed conversions to a server that works nothing off, and stops it.
async fn post(place: &Place, engine: &Engine, sender: &Sender, links: &[PlantedLink], prefix: &str, total: usize) -> Result<()> {
    // Spread over all sites, however many there are.
    let clicks: Vec<_> = (0..total).map(|number| a_click(&links[number * 7_919 % links.len()])).collect();
    click::insert_history(engine, &clicks).await?;
    let address = free_address()?;
    let mut command = place.command(&["serve", "--role", "web"]);
    command.env("ORCHESTRATOR_LISTEN", &address);
    let _server = Process::start(command, &address, "/healthz").await?;
    let requests: Vec<_> = clicks
        .iter()
        .enumerate()
        .map(|(number, click)| {
            let id = format!("{prefix}{number}");
            sender.request(&address, &click.partner_id, &id, &a_sale(engine, &id, number, "49.00", click))
        })
        .collect::<Result<_>>()?;
    futures::stream::iter(requests)
        .map(async |request| Ok::<_, crate::Error>(request.send().await?.error_for_status()?))
        .buffer_unordered(POSTS_AT_ONCE)
        .try_for_each(async |_| Ok(()))
        .await
}

async fn left(engine: &Engine) -> Result<usize> {
    let left: i64 =
        sqlx::query_scalar("select count(*) from webhook_deliveries where state in ('received', 'retrying')").fetch_one(&engine.db).await?;
    Ok(usize::try_from(left)?)
}

async fn unsealed(engine: &Engine) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from ledger_unsealed").fetch_one(&engine.db).await?)
}

fn print(costs: &[(usize, Cost)]) {
    println!("| conversions in the tables | conversions/s | CPU ms per conversion: server + Postgres + Redis | total | to the first |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    let first = costs.first().map_or(f64::NAN, |(_, cost)| cost.cpu());
    for (size, cost) in costs {
        let [server, postgres, redis, total] = [cost.server, cost.postgres, cost.redis, cost.cpu()].map(|seconds| seconds * 1000.0);
        let growth = cost.cpu() / first;
        println!("| {size} | {:.0} | {server:.2} + {postgres:.2} + {redis:.2} | {total:.2} | {growth:.2} × |", 1.0 / cost.wall);
    }
    if let (Some((smallest, first)), Some((largest, last))) = (costs.first(), costs.last()) {
        let (cpu, wall) = (last.cpu() / first.cpu(), last.wall / first.wall);
        let verdict = if cpu < GROWTH_MAX { "met" } else { "**not met**" };
        println!(
            "\nFrom {smallest} to {largest}: CPU per conversion {cpu:.2} ×, wall time {wall:.2} ×; the goal, below {GROWTH_MAX} ×, is {verdict}."
        );
    }
}
