//! `orchestrator simulate`: journeys with known truth over real HTTP, and a report that compares; and history for a demo.
//!
//! [`plan`] makes the journeys and their truth from a seed, [`play`] sends them, [`truth`] computes what they must earn, and
//! [`report`] compares. The server must have been started with `--allow-simulated-time` and use the same database: links are
//! made, and the outcome is read, behind its back.

mod plan;
mod play;
mod report;
mod truth;

use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

use chrono::{SubsecRound, Utc};
use clap::Args;
use domain::{
    PartnerId,
    auth::Principal,
    conversion::ConversionState,
    partner::{Partner, SecretPurpose},
};
use engine::{Engine, history, partner, simulation};
use futures::StreamExt;
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::cli::Outcome;
use plan::{Journey, Link, Site, Step, World};
use play::{Address, Played, Sender, Stage};
use report::{Book, Evidence, Report};
use truth::{Counted, Rates};

/// How long after the last request the queue may take to drain.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Journeys that share a site, on average, and sites that share a developer.
const JOURNEYS_PER_SITE: usize = 8;
const SITES_PER_DEVELOPER: usize = 3;

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

async fn simulate(args: &SimulateArgs, engine: &Engine) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let now = Utc::now().trunc_subsecs(0);
    let partners = partner::list_active(&mut *engine.db.acquire().await?).await?;
    if partners.len() < 2 {
        return Err("the journeys need two active partners at least".into());
    }
    let run = format!("sim{}-{:x}", args.seed, now.timestamp());
    let metrics =
        |partner: &Partner| partner.success_metrics.iter().map(|metric| (metric.id.clone(), metric.required_data.clone())).collect();
    let world = World {
        seed: args.seed,
        run,
        now,
        partners: partners.iter().map(metrics).collect(),
        shared_sites: (args.journeys / JOURNEYS_PER_SITE).max(1),
    };
    let journeys: Vec<Journey> = (0..args.journeys).map(|number| plan::journey(&world, number)).collect();

    let mut books = Vec::new();
    for partner in &partners {
        books.push(book(engine, partner, &world).await?);
    }
    let stage = Stage {
        http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(30)).build()?,
        base_url: args.base_url.trim_end_matches('/').to_owned(),
        senders: senders(engine, &partners).await?,
        addresses: plant(engine, &world, &partners, &journeys).await?,
        troubles: std::sync::Mutex::default(),
    };
    stage.knock(&world.run).await?;

    let started = Instant::now();
    let played: Vec<Played> =
        futures::stream::iter(&journeys).map(|journey| stage.play(journey)).buffered(args.concurrency.max(1)).collect().await;
    let sending = started.elapsed();
    let prefix = format!("{}-", world.run);
    await_drained(engine, &prefix, &journeys).await?;

    let outcomes = simulation::outcomes(engine, &prefix).await?;
    let names: Vec<String> = stage.addresses.values().map(|address| address.referral_code.clone()).collect();
    let counts = simulation::click_counts(engine, &names).await?;
    let clicks = stage.addresses.iter().filter_map(|(link, address)| Some((*link, *counts.get(&address.referral_code)?))).collect();
    let evidence = Evidence {
        journeys: &journeys,
        played: &played,
        books: &books,
        outcomes: &outcomes,
        deliveries: simulation::delivery_counts(engine, &prefix).await?,
        clicks: &clicks,
        developer: &developer,
    };
    let mut report = report::compare(&evidence);
    report.requests_per_second = report.requests as f64 / sending.as_secs_f64();
    let latencies = simulation::ledger_latencies_ms(engine, &prefix).await?;
    report.ledger_latency_ms_p50 = percentile(&latencies, 50);
    report.ledger_latency_ms_p99 = percentile(&latencies, 99);
    let troubles = stage.troubles.into_inner().unwrap_or_default();
    report.troubles = troubles.len();
    report.examples.extend(troubles.into_iter().take(10));
    Ok(report)
}

/// Sites of one developer come one after the other; a site of one journey has a developer of its own.
fn developer(site: Site) -> usize {
    match site {
        Site::Shared(index) => 2 * (index / SITES_PER_DEVELOPER),
        Site::Own(number) => 2 * number + 1,
    }
}

/// Makes the sites and links that the journeys use.
async fn plant(engine: &Engine, world: &World, partners: &[Partner], journeys: &[Journey]) -> engine::Result<HashMap<Link, Address>> {
    let steps = journeys.iter().flat_map(|journey| &journey.steps);
    let own: BTreeSet<Site> = steps
        .filter_map(|step| match step {
            Step::Click { link, .. } => Some(link.site),
            Step::Send(_) => None,
        })
        .filter(|site| matches!(site, Site::Own(_)))
        .collect();
    let sites: Vec<Site> = (0..world.shared_sites).map(Site::Shared).chain(own).collect();
    let new_sites: Vec<_> = sites
        .iter()
        .map(|site| simulation::NewSite {
            user_ref: format!("{}-developer-{}", world.run, developer(*site)),
            name: format!("Simulated site {site:?}"),
            url: None,
            analysis: None,
            created_at: world.now,
        })
        .collect();
    let partner_ids: Vec<PartnerId> = partners.iter().map(|partner| partner.partner_id.clone()).collect();
    let planted = simulation::plant(engine, &new_sites, &partner_ids).await?;
    Ok(planted
        .into_iter()
        .enumerate()
        .map(|(index, link)| {
            (
                Link { site: sites[link.site], partner: index % partners.len() },
                Address { alias: link.alias, referral_code: link.referral_code },
            )
        })
        .collect())
}

/// Each partner with the secret that it signs with; one is made for those that have none.
async fn senders(engine: &Engine, partners: &[Partner]) -> engine::Result<Vec<Sender>> {
    let mut senders = Vec::new();
    for partner in partners {
        let partner_id = partner.partner_id.clone();
        let secret = match partner::active_secrets(engine, &partner_id, SecretPurpose::Webhook).await?.into_iter().next() {
            Some(secret) => secret,
            None => partner::set_secret(engine, &Principal::CommandLine, &partner_id, SecretPurpose::Webhook, None).await?,
        };
        senders.push(Sender { partner_id, secret });
    }
    Ok(senders)
}

async fn book(engine: &Engine, partner: &Partner, world: &World) -> Result<Book, Box<dyn Error + Send + Sync>> {
    let partner_id = partner.partner_id.clone();
    // the earliest event lies some days back, and must fall under the same terms
    let terms = partner::terms_at(&mut *engine.db.acquire().await?, &partner_id, world.now).await?;
    if terms.effective_from > world.now - chrono::TimeDelta::days(8) || terms.values.attribution_window_hours != plan::WINDOW_HOURS {
        return Err(format!("the terms of `{partner_id}` must be 8 days old and have a window of {} h", plan::WINDOW_HOURS).into());
    }
    let ppm = |value: Decimal| (value * Decimal::from(1_000_000)).to_i128().ok_or("a rate does not fit");
    let rates = Rates {
        commission_ppm: ppm(terms.values.commission_rate)?,
        bonus_ppm: ppm(terms.values.success_bonus_rate)?,
        cap_ppm: ppm(terms.values.multiplier_cap)?,
    };
    let mut metrics = HashMap::new();
    for metric in &partner.success_metrics {
        metrics
            .insert(metric.id.clone(), Counted { multiplier_ppm: ppm(metric.value_multiplier)?, milestone: metric.verification_required });
    }
    Ok(Book { partner_id, rates, metrics })
}

/// Waits until no message is in the queue and no conversion still waits for a click that must come, but not for ever:
/// what is missing then stands in the report.
async fn await_drained(engine: &Engine, prefix: &str, journeys: &[Journey]) -> engine::Result<()> {
    let expected: usize = journeys.iter().flat_map(|journey| &journey.conversions).filter(|conversion| conversion.credit.is_some()).count();
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if simulation::delivery_counts(engine, prefix).await?.waiting == 0 {
            let outcomes = simulation::outcomes(engine, prefix).await?;
            let attributed = outcomes.iter().filter(|outcome| outcome.state == ConversionState::Attributed).count();
            if attributed >= expected {
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
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
