//! `orchestrator simulate`: journeys with known truth over real HTTP, and a report that compares; and history for a demo.
//!
//! [`cast`] provides partners with all attribution models, [`rates`] exchange rates; [`plan`] makes the journeys and their truth
//! from a seed, [`play`] sends them, [`page`] is the widget in them, [`truth`] computes what they must earn, and [`report`] compares.
//! The server must have been started with `--allow-simulated-time` and use the same database: partners and links are made, and the
//! outcome is read, behind its back.

mod cast;
mod page;
mod plan;
mod play;
mod rates;
mod report;
mod truth;

use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

use chrono::{SubsecRound, TimeDelta, Utc};
use clap::Args;
use domain::conversion::ConversionState;
use engine::{
    Engine, commission, history,
    simulation::{self, DeliveryCounts},
};
use futures::StreamExt;

use crate::cli::Outcome;
use cast::Cast;
use plan::{Journey, Link, Site, Step, World};
use play::{Address, Played, Stage};
use report::{Evidence, Held, Report};
use truth::{Facts, PerEuro};

/// How long the queue may stand still before the wait for it is given up.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Journeys that share a site, on average, and sites that share a developer.
const JOURNEYS_PER_SITE: usize = 8;
const SITES_PER_DEVELOPER: usize = 3;

/// The partners' terms change so long before now: in the middle of the simulated time.
const CHANGE_AGE: TimeDelta = TimeDelta::hours(4 * 24 + 12);

#[derive(Args)]
pub struct SimulateArgs {
    /// The server to send to; it must run with --allow-simulated-time on this installation's database
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    base_url: String,
    #[arg(long, default_value_t = 10_000)]
    journeys: usize,
    /// The same seed makes the same journeys
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Journeys under way at the same time
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Send nothing; fill the database with so many days of plausible history, such as 90d
    #[arg(long, value_parser = parse_days, value_name = "DAYS")]
    history: Option<u32>,
}

fn parse_days(text: &str) -> Result<u32, String> {
    let days = text.strip_suffix('d').unwrap_or(text).parse().ok();
    days.filter(|days| (1..=365).contains(days)).ok_or_else(|| format!("`{text}` is no number of days from 1d to 365d"))
}

/// Runs the simulation; exits 1 if anything is not as it must be.
pub async fn run(args: SimulateArgs, engine: &Engine) -> Outcome {
    if let Some(days) = args.history {
        println!("{}", history::fill(engine, days, args.seed).await?);
        return Ok(ExitCode::SUCCESS);
    }
    let report = simulate(&args, engine).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(if report.passes() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Fills an installation that has no sites yet with 90 days of history, for a demo.
pub async fn fill_if_empty(engine: &Engine) -> engine::Result<()> {
    if history::is_empty(engine).await? {
        tracing::info!("filling in 90 days of demo history");
        tracing::info!("{}", history::fill(engine, 90, 1).await?);
    }
    Ok(())
}

type Failure = Box<dyn Error + Send + Sync>;

async fn simulate(args: &SimulateArgs, engine: &Engine) -> Result<Report, Failure> {
    let now = Utc::now().trunc_subsecs(0);
    let change_at = now - CHANGE_AGE;
    let files = rates::plan(engine, now).await?;
    rates::import_first(engine, &files).await?;
    let run = format!("sim{:x}-{:x}", args.seed, now.timestamp());
    let cast = cast::engage(engine, &run, change_at).await?;
    let world = World {
        seed: args.seed,
        run,
        now,
        change_at,
        partners: cast.parties.clone(),
        shared_sites: (args.journeys / JOURNEYS_PER_SITE).max(5),
        late_currency: files.late_currency,
    };
    let journeys: Vec<Journey> = (0..args.journeys).map(|number| plan::journey(&world, number)).collect();
    let simulated = run_journeys(args, engine, &world, &cast, &files, &journeys).await;
    cast::dismiss(engine, &cast).await?;
    simulated
}

async fn run_journeys(
    args: &SimulateArgs,
    engine: &Engine,
    world: &World,
    cast: &Cast,
    files: &rates::Files,
    journeys: &[Journey],
) -> Result<Report, Failure> {
    let mut clock = Stopwatch::start();
    let stage = Stage {
        http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(30)).build()?,
        base_url: args.base_url.trim_end_matches('/').to_owned(),
        run: world.run.clone(),
        senders: cast.senders.clone(),
        addresses: plant(engine, world, cast, journeys).await?,
        troubles: std::sync::Mutex::default(),
    };
    stage.knock().await?;
    clock.lap("1 prepare");

    let prefix = format!("{}-", world.run);
    let concurrency = args.concurrency.max(1);
    let unplayed = journeys.iter().map(|journey| (journey, &journey.steps, Played::default()));
    let played = play(&stage, unplayed, concurrency).await;
    clock.lap("2 send");
    let wanted = journeys.iter().flat_map(|journey| &journey.conversions).filter(|conversion| conversion.credit.is_some()).count();
    await_drained(engine, &prefix, wanted, &[ConversionState::Attributed, ConversionState::Held]).await?;
    clock.lap("3 work off");

    let without_rate = rates::per_euro(engine).await?;
    let held = Held {
        expected: expected_held(journeys, cast, &without_rate),
        found: simulation::state_count(engine, &prefix, &[ConversionState::Held]).await?,
    };
    rates::import_second(engine, files).await?;
    await_drained(engine, &prefix, wanted, &[ConversionState::Attributed]).await?;
    commission::approve_due(engine).await?;
    clock.lap("4 late rates, approval");

    let late = journeys.iter().zip(played).map(|(journey, played)| (journey, &journey.late_steps, played));
    let played = play(&stage, late, concurrency).await;
    await_drained(engine, &prefix, wanted, &[ConversionState::Attributed]).await?;
    commission::approve_due(engine).await?;
    clock.lap("5 late events");

    let mut report = gather(engine, world, cast, &stage, journeys, &played, held).await?;
    clock.lap("6 compare");
    let sending = clock.laps.iter().find(|(phase, _)| *phase == "2 send").map_or(0.0, |(_, time)| time.as_secs_f64());
    report.requests_per_second = played.iter().map(|played| f64::from(played.requests)).sum::<f64>() / sending;
    for (phase, time) in clock.laps {
        report.took(phase, time);
    }
    let troubles = stage.troubles.into_inner().unwrap_or_default();
    report.troubles = troubles.len();
    report.examples.extend(troubles.into_iter().take(10));
    Ok(report)
}

async fn play<'j>(stage: &Stage, acts: impl Iterator<Item = (&'j Journey, &'j Vec<Step>, Played)>, concurrency: usize) -> Vec<Played> {
    futures::stream::iter(acts).map(|(journey, steps, played)| stage.play(journey, steps, played)).buffered(concurrency).collect().await
}

async fn gather(
    engine: &Engine,
    world: &World,
    cast: &Cast,
    stage: &Stage,
    journeys: &[Journey],
    played: &[Played],
    held: Held,
) -> Result<Report, Failure> {
    let prefix = format!("{}-", world.run);
    let names: Vec<String> = stage.addresses.values().map(|address| address.referral_code.clone()).collect();
    let counts = simulation::click_counts(engine, &names).await?;
    let clicks = stage.addresses.iter().filter_map(|(link, address)| Some((*link, *counts.get(&address.referral_code)?))).collect();
    let seen: Vec<_> = played.iter().flat_map(|played| played.seen.iter().cloned()).collect();
    let per_euro = rates::per_euro(engine).await?;
    let evidence = Evidence {
        journeys,
        played,
        facts: &Facts::new(&cast.books, &per_euro, journeys, developer, world.now),
        outcomes: &simulation::outcomes(engine, &prefix).await?,
        balances: &simulation::balances(engine, &prefix).await?,
        deliveries: simulation::delivery_counts(engine, &prefix).await?,
        clicks: &clicks,
        impressions: simulation::impression_counts(engine, &seen, &cast.partner_ids()).await?,
        rederived: &simulation::rederive(engine, &prefix).await?,
        held,
    };
    let mut report = report::compare(&evidence);
    let latencies = simulation::ledger_latencies_ms(engine, &prefix).await?;
    report.ledger_latency_ms_p50 = percentile(&latencies, 50);
    report.ledger_latency_ms_p99 = percentile(&latencies, 99);
    Ok(report)
}

/// The conversions with a click but, so far, without an exchange rate.
fn expected_held(journeys: &[Journey], cast: &Cast, per_euro: &PerEuro) -> usize {
    let credited = journeys.iter().flat_map(|journey| &journey.conversions).filter(|conversion| conversion.credit.is_some());
    let lacks_rate = |conversion: &&plan::Expected| {
        let (from, to) = (conversion.value.currency, &cast.books[conversion.partner].at(conversion.at).currency);
        from != to && truth::rate(per_euro, from, to, conversion.at.date_naive()).is_none()
    };
    credited.filter(lacks_rate).count()
}

/// Sites of one developer come one after the other; a site of one journey has a developer of its own.
fn developer(site: Site) -> usize {
    match site {
        Site::Shared(index) => 3 * (index / SITES_PER_DEVELOPER),
        Site::Own(number) => 3 * number + 1,
        Site::Door => 2,
    }
}

/// Makes the sites and links that the journeys use, and a site to see whether the server is ready.
async fn plant(engine: &Engine, world: &World, cast: &Cast, journeys: &[Journey]) -> engine::Result<HashMap<Link, Address>> {
    let visited = journeys.iter().flat_map(|journey| &journey.steps).filter_map(|step| match step {
        Step::Click { link, .. } => Some(link.site),
        Step::Send(_) => None,
    });
    let analysis = serde_json::to_value(cast::analysis())?;
    let sites: Vec<Site> = visited.chain([Site::Door]).collect::<BTreeSet<_>>().into_iter().collect();
    let new_sites: Vec<_> = sites
        .iter()
        .map(|site| simulation::NewSite {
            user_ref: format!("{}-developer-{}", world.run, developer(*site)),
            name: format!("Simulated site {site:?}"),
            url: None,
            analysis: Some(analysis.clone()),
            created_at: world.now,
        })
        .collect();
    let partner_ids = cast.partner_ids();
    let planted = simulation::plant(engine, &new_sites, &partner_ids).await?;
    let address = |(index, link): (usize, simulation::PlantedLink)| {
        let address = Address { site_id: link.site_id, alias: link.alias, referral_code: link.referral_code };
        (Link { site: sites[link.site], partner: index % partner_ids.len() }, address)
    };
    Ok(planted.into_iter().enumerate().map(address).collect())
}

/// Waits until no message is in the queue and as many conversions as `wanted` are in these states; gives up when nothing has
/// moved for a while: what is missing then stands in the report.
async fn await_drained(engine: &Engine, prefix: &str, wanted: usize, states: &[ConversionState]) -> engine::Result<()> {
    let mut last: Option<(DeliveryCounts, usize)> = None;
    let mut moved_at = Instant::now();
    while moved_at.elapsed() < PATIENCE {
        let seen = (simulation::delivery_counts(engine, prefix).await?, simulation::state_count(engine, prefix, states).await?);
        if seen.0.waiting == 0 && seen.1 >= wanted && simulation::is_settled(engine).await? {
            return Ok(());
        }
        if last != Some(seen) {
            (last, moved_at) = (Some(seen), Instant::now());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Takes the time of phases.
struct Stopwatch {
    since: Instant,
    laps: Vec<(&'static str, Duration)>,
}

impl Stopwatch {
    fn start() -> Self {
        Self { since: Instant::now(), laps: Vec::new() }
    }

    fn lap(&mut self, phase: &'static str) {
        self.laps.push((phase, self.since.elapsed()));
        self.since = Instant::now();
    }
}

/// Of ascending values; 0 of none.
fn percentile(ascending: &[f64], percent: usize) -> f64 {
    ascending.get((ascending.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "whole numbers are exact")]
    fn a_percentile_is_a_value_that_so_many_do_not_exceed() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            [percentile(&values, 50), percentile(&values, 99), percentile(&values, 100), percentile(&[], 50)],
            [50.0, 99.0, 100.0, 0.0]
        );
    }

    #[test]
    fn days_are_read_with_their_unit_and_within_a_year() {
        assert_eq!(parse_days("90d"), Ok(90));
        assert!(parse_days("0d").is_err() && parse_days("400d").is_err() && parse_days("soon").is_err());
    }
}
