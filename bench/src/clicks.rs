//! Redirects side by side: a bare route, the server under test, and the naive design, each measured in turn.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use sqlx::PgPool;

use crate::{
    Result,
    place::{Place, Process, free_address, plant, project_folder},
    processes::{child, cpu_seconds},
    wrk::{self, Load},
};

const CONNECTIONS: [usize; 2] = [64, 256];
const NAIVE_DATABASE: &str = "naive";
const WARM_UP_SECONDS: u64 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Bare,
    Ours,
    Naive,
    Bun,
    BunOwn,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Ours => "ours",
            Self::Naive => "naive",
            Self::Bun => "bun",
            Self::BunOwn => "bun-own",
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Bare => "bare axum 302, nothing stored",
            Self::Ours => "this server, durable clicks",
            Self::Naive => "naive in Rust: one INSERT, one SETEX",
            Self::Bun => "naive on Bun, pg and ioredis",
            Self::BunOwn => "naive on Bun, its own clients",
        }
    }
}

/// One measurement; CPU times are in seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    load: Load,
    server_cpu: f64,
    postgres_cpu: f64,
    redis_cpu: f64,
    stored: u64,
}

impl Sample {
    fn micros_per_click(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.load.requests.max(1) as f64
    }

    fn total_micros(&self) -> f64 {
        self.micros_per_click(self.server_cpu + self.postgres_cpu + self.redis_cpu)
    }
}

struct Setup<'p> {
    place: &'p Place,
    alias: String,
    ours: PgPool,
    naive: PgPool,
    bun: Option<PathBuf>,
}

/// Measures and prints a Markdown table; exits 1 if an acknowledged click is missing.
pub async fn run(place: &Place, seconds: u64, rounds: usize, bun: Option<PathBuf>, only: &[String]) -> Result<ExitCode> {
    let engine = place.engine().await?;
    let alias = plant(&engine, 0..1).await?.swap_remove(0).alias;
    place.create_database(NAIVE_DATABASE)?;
    let naive = PgPool::connect(&place.database_url(NAIVE_DATABASE)).await?;
    engine::MIGRATOR.run(&naive).await?;
    sqlx::query("select ensure_month_partition('clicks', now())").execute(&naive).await?;
    // Rewriting its file is work that Redis puts off and that would fall to whoever is measured at that moment.
    let mut redis = engine.redis.clone();
    let _: () = redis::cmd("CONFIG").arg("SET").arg("auto-aof-rewrite-percentage").arg(0).query_async(&mut redis).await?;
    let setup = Setup { place, alias, ours: engine.db.clone(), naive, bun };
    let mut targets = vec![Target::Bare, Target::Ours, Target::Naive, Target::Bun, Target::BunOwn];
    targets.retain(|target| {
        (only.is_empty() || only.iter().any(|name| name == target.name()))
            && (!matches!(target, Target::Bun | Target::BunOwn) || setup.bun.is_some())
    });

    let mut lost = 0;
    for connections in CONNECTIONS {
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); targets.len()];
        for _ in 0..rounds {
            for (target, samples) in targets.iter().zip(&mut samples) {
                let sample = measure(&setup, *target, connections, seconds).await?;
                if *target != Target::Bare {
                    lost += sample.load.requests.saturating_sub(sample.stored);
                }
                eprintln!(
                    "{connections} connections, {}: {:.0}/s, {:.1} µs CPU per click",
                    target.name(),
                    sample.load.per_second,
                    sample.total_micros()
                );
                samples.push(sample);
            }
        }
        print_table(connections, &targets, &samples);
    }
    println!("\nacknowledged clicks that are not stored: {lost}");
    Ok(if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(setup: &Setup<'_>, target: Target, connections: usize, seconds: u64) -> Result<Sample> {
    let address = free_address()?;
    let process = start(setup, target, &address).await?;
    let url = format!("http://{address}/r/{}", setup.alias);
    wrk::run(&url, connections, WARM_UP_SECONDS).await?;
    // each starts with the same amount of work left for the disk: none
    sqlx::query("checkpoint").execute(&setup.ours).await?;

    let services = [child("postgres").ok_or("Postgres is gone")?, child("redis-server").ok_or("Redis is gone")?];
    let cpu = || [process.id(), services[0], services[1]].map(cpu_seconds);
    let (stored_before, before) = (stored(setup, target).await?, cpu());
    let load = wrk::run(&url, connections, seconds).await?;
    let after = cpu();
    if load.errors > 0 {
        return Err(format!("{}: {} requests failed", target.name(), load.errors).into());
    }
    let stored = stored(setup, target).await? - stored_before;
    let used = |index: usize| after[index] - before[index];
    Ok(Sample { load, server_cpu: used(0), postgres_cpu: used(1), redis_cpu: used(2), stored })
}

async fn start(setup: &Setup<'_>, target: Target, address: &str) -> Result<Process> {
    let place = setup.place;
    let beside = |name: &str| -> Result<Command> { Ok(Command::new(std::env::current_exe()?.with_file_name(name))) };
    let mut command = match target {
        Target::Ours => return place.serve(address).await,
        Target::Bare => beside("bare")?,
        Target::Naive => beside("naive")?,
        Target::Bun | Target::BunOwn => {
            let mut command = Command::new(setup.bun.as_deref().unwrap_or(Path::new("bun")));
            let script = if target == Target::Bun { "server.ts" } else { "own-clients.ts" };
            command
                .arg(project_folder().join("bench/naive-bun").join(script))
                .env("PGSOCKETS", place.sockets()?)
                .env("PGDATABASE", NAIVE_DATABASE);
            command
        }
    };
    command.env("LISTEN", address).env("DATABASE_URL", place.database_url(NAIVE_DATABASE)).env("REDIS_URL", place.redis_url());
    Process::start(command, address, "/").await
}

/// Rows in the target's table of clicks.
async fn stored(setup: &Setup<'_>, target: Target) -> Result<u64> {
    let db = match target {
        Target::Bare => return Ok(0),
        Target::Ours => &setup.ours,
        Target::Naive | Target::Bun | Target::BunOwn => &setup.naive,
    };
    let count: i64 = sqlx::query_scalar("select count(*) from clicks").fetch_one(db).await?;
    Ok(u64::try_from(count)?)
}

fn print_table(connections: usize, targets: &[Target], samples: &[Vec<Sample>]) {
    println!("\n{connections} connections\n");
    println!("| design | clicks/s | p50 ms | p99 ms | CPU µs per click: server + Postgres + Redis | total |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (target, samples) in targets.iter().zip(samples) {
        let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value).collect());
        println!(
            "| {} | {:.0} | {:.1} | {:.1} | {:.0} + {:.0} + {:.0} | {:.0} |",
            target.describe(),
            of(|sample| sample.load.per_second),
            of(|sample| sample.load.p50_ms),
            of(|sample| sample.load.p99_ms),
            of(|sample| sample.micros_per_click(sample.server_cpu)),
            of(|sample| sample.micros_per_click(sample.postgres_cpu)),
            of(|sample| sample.micros_per_click(sample.redis_cpu)),
            of(Sample::total_micros),
        );
    }
    let of = |wanted: Target, value: fn(&Sample) -> f64| {
        let position = targets.iter().position(|target| *target == wanted)?;
        Some(median(samples[position].iter().map(value).collect()))
    };
    for naive in [Target::Naive, Target::Bun, Target::BunOwn] {
        let ratio = |value| Some(of(Target::Ours, value)? / of(naive, value)?);
        if let (Some(speed), Some(cpu), Some(p99)) =
            (ratio(|sample| sample.load.per_second), ratio(Sample::total_micros), ratio(|sample| sample.load.p99_ms))
        {
            println!("\nthis server to {}: throughput {speed:.1} ×, CPU {cpu:.2} ×, p99 {p99:.2} ×", naive.describe());
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
