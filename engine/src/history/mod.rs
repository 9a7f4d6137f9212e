//! Plausible history for a demo: sites, traffic with the rhythm of days and weeks, and what partners report.
//!
//! Traffic is inserted in bulk; what earns money goes through the same workflows as real events, each at its own time, so
//! that the books of a demo hold what the rules say. Nothing here runs in an installation that did not ask for it.

mod events;
mod sites;
mod traffic;
mod trial;

use std::fmt;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::recommendation::{self, History, Offer};
use rand::{SeedableRng, rngs::StdRng};
use serde::Serialize;

use crate::{
    Engine, Result, click,
    experiment::credit::recheck_one,
    ledger, partner,
    simulation::{self, PlantedLink},
};

/// What was filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub days: u32,
    pub sites: usize,
    pub impressions: usize,
    pub clicks: usize,
    pub conversions: usize,
    pub successes: usize,
    pub reversals: usize,
    pub dead_deliveries: usize,
    pub duration_ms: u128,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { days, sites, impressions, clicks, conversions, successes, reversals, .. } = self;
        let seconds = self.duration_ms / 1000;
        write!(
            f,
            "{days} days of history: {sites} sites, {impressions} impressions, {clicks} clicks, {conversions} conversions, {successes} successes, {reversals} refunds, in {seconds} s"
        )
    }
}

/// No site and no click: nothing would be mixed with the history.
pub async fn is_empty(engine: &Engine) -> Result<bool> {
    let empty = sqlx::query_scalar!(r#"select not exists (select from sites) and not exists (select from clicks) as "empty!""#)
        .fetch_one(&engine.db)
        .await?;
    Ok(empty)
}

/// Fills in `days` of history that ends now. The same seed gives the same traffic, up to the ids.
///
/// # Errors
/// As the workflows; what was written until then stays.
pub async fn fill(engine: &Engine, days: u32, seed: u64) -> Result<Summary> {
    let started = std::time::Instant::now();
    let mut rng = StdRng::seed_from_u64(seed);
    let now = engine.now().duration_trunc(TimeDelta::seconds(1)).unwrap_or(engine.now());
    let period = Period { from: now - TimeDelta::days(i64::from(days)), to: now };
    click::ensure_partitions(engine, i32::try_from(days / 28 + 1).unwrap_or(12)).await?;

    let places = plant(engine, period).await?;
    let trial = trial::start(engine, period).await?;
    let traffic = traffic::make(&mut rng, &places, period, &trial);
    traffic::insert(engine, &traffic).await?;
    trial::credit(engine, &trial, &traffic.seen(), &traffic.clicks).await?;
    let partners = partner::list_active(&mut *engine.db.acquire().await?).await?;
    let planned = events::plan(engine, &mut rng, &places, &partners, &traffic.clicks, period);
    let (conversions, successes, reversals) = events::run(engine, &planned).await?;
    while recheck_one(engine).await? {}
    let dead_deliveries = events::insert_dead(engine, &places, &partners, period).await?;
    ledger::seal_all(engine).await?;
    sqlx::query("analyze").execute(&engine.db).await?;
    Ok(Summary {
        days,
        sites: places.len(),
        impressions: traffic.impressions(),
        clicks: traffic.clicks.len(),
        conversions,
        successes,
        reversals,
        dead_deliveries,
        duration_ms: started.elapsed().as_millis(),
    })
}

#[derive(Clone, Copy)]
struct Period {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

/// A site with what was offered there, best first, and the link of each offer.
struct Place {
    offers: Vec<Offer>,
    links: Vec<PlantedLink>,
    window_hours: Vec<u32>,
    created_at: DateTime<Utc>,
    url: String,
    /// Share of all visits; 0 for a site that nobody visits yet.
    popularity: f64,
}

async fn plant(engine: &Engine, period: Period) -> Result<Vec<Place>> {
    let mut connection = engine.db.acquire().await?;
    let mut partners = Vec::new();
    for partner in partner::list_active(&mut connection).await? {
        let terms = partner::terms_at(&mut connection, &partner.partner_id, period.from).await?.values;
        partners.push((partner, terms));
    }
    drop(connection);
    let demo = sites::all(period.from, period.to)?;
    let new_sites: Vec<_> = demo.iter().map(|site| site.new_site.clone()).collect();
    let partner_ids: Vec<_> = partners.iter().map(|(partner, _)| partner.partner_id.clone()).collect();
    let links = simulation::plant(engine, &new_sites, &partner_ids).await?;
    let mut places = Vec::new();
    for (index, site) in demo.into_iter().enumerate() {
        let mut place = Place {
            offers: recommendation::rank(&site.analysis, &partners, &History::new(), &recommendation::Settings::default()),
            links: Vec::new(),
            window_hours: Vec::new(),
            created_at: site.new_site.created_at,
            url: site.new_site.url.unwrap_or_default(),
            popularity: site.popularity,
        };
        for offer in &place.offers {
            place.links.extend(links.iter().find(|link| link.site == index && link.partner_id == offer.partner_id).cloned());
            let terms = partners.iter().find(|(partner, _)| partner.partner_id == offer.partner_id).map(|(_, terms)| terms);
            place.window_hours.push(terms.map_or(24, |terms| terms.attribution_window_hours));
        }
        places.push(place);
    }
    Ok(places)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_filled_demo_has_clean_books_and_is_no_longer_empty(db: sqlx::PgPool) {
        let engine = crate::testing::engine(db);
        partner::import_files(&engine, std::path::Path::new("../partners")).await.unwrap();
        assert!(is_empty(&engine).await.unwrap());
        let summary = fill(&engine, 6, 1).await.unwrap();
        assert!(!is_empty(&engine).await.unwrap());
        assert!(summary.clicks > 1_000 && summary.conversions > 20, "{summary:?}");
        let report = ledger::verify(&engine).await.unwrap();
        assert!(report.commissions > 20 && report.findings.is_empty(), "{:?}", report.findings);
    }
}
