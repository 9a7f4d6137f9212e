//! Visits: recommendations shown, and links clicked.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use domain::{PartnerId, RecommendationId, SiteId, click::AgentClass, dashboard::hour_of};
use rand::{RngExt, rngs::StdRng};
use uuid::Uuid;

use super::{
    Period, Place,
    trial::{Seen, Trial, share_of_variant},
};
use crate::{
    Engine, Result,
    click::{self, Click},
    experiment::Shown,
};

/// Clicks per day, on average over the period.
const CLICKS_PER_DAY: f64 = 320.0;

/// Visits to a site's recommendations for each click.
const VISITS_PER_CLICK: f64 = 1.6;

/// Rows of one statement.
const CHUNK_LENGTH: usize = 10_000;

/// Which of a site's offers is clicked, by its place.
const CLICK_SHARES: [f64; 3] = [0.55, 0.30, 0.15];

const COUNTRIES: [&str; 12] = ["US", "US", "US", "DE", "GB", "IN", "IN", "FR", "BR", "CA", "NL", "JP"];

#[derive(Default)]
pub struct Traffic {
    pub clicks: Vec<Click>,
    /// By place in the list of places: recommendation and its time.
    visits: Vec<Visit>,
    offers: Vec<(SiteId, Vec<PartnerId>)>,
}

struct Visit {
    recommendation_id: RecommendationId,
    at: DateTime<Utc>,
    place: usize,
    /// Who took part in the test.
    visitor: Option<Shown>,
}

impl Traffic {
    pub fn impressions(&self) -> usize {
        self.visits.iter().map(|visit| self.offers[visit.place].1.len()).sum()
    }

    /// What of the test was seen, in the order of time.
    pub fn seen(&self) -> Vec<Seen<'_>> {
        let mut seen: Vec<Seen<'_>> = self
            .visits
            .iter()
            .filter_map(|visit| Some(Seen { recommendation_id: visit.recommendation_id, at: visit.at, shown: visit.visitor.as_ref()? }))
            .collect();
        seen.sort_by_key(|seen| seen.at);
        seen
    }
}

pub fn make(rng: &mut StdRng, places: &[Place], period: Period, trial: &Trial) -> Traffic {
    let mut traffic = Traffic { offers: places.iter().map(offered).collect(), ..Traffic::default() };
    let hours: Vec<DateTime<Utc>> = std::iter::successors(Some(hour_of(period.from)), |hour| Some(*hour + TimeDelta::hours(1)))
        .take_while(|hour| *hour <= period.to)
        .collect();
    let total: f64 = hours.iter().map(|hour| busyness(*hour, period)).sum();
    let days = (period.to - period.from).num_seconds() as f64 / 86_400.0;
    for hour in hours {
        let expected = CLICKS_PER_DAY * days * busyness(hour, period) / total * rng.random_range(0.75..1.25);
        for _ in 0..whole(rng, expected * VISITS_PER_CLICK) {
            visit(rng, &mut traffic, places, hour, period, trial);
        }
    }
    traffic
}

fn offered(place: &Place) -> (SiteId, Vec<PartnerId>) {
    (place.links.first().map_or(SiteId(Uuid::nil()), |link| link.site_id), place.links.iter().map(|link| link.partner_id.clone()).collect())
}

fn visit(rng: &mut StdRng, traffic: &mut Traffic, places: &[Place], hour: DateTime<Utc>, period: Period, trial: &Trial) {
    let at = hour + TimeDelta::milliseconds(rng.random_range(0..3_600_000));
    let chances = places.iter().map(|place| if place.created_at <= at { place.popularity } else { 0.0 });
    let Some(index) = choose(rng, chances) else { return };
    if at >= period.to || at < period.from {
        return;
    }
    let place = &places[index];
    let recommendation_id: RecommendationId = domain::id::uuid_v7(at, rng.random()).into();
    let clicked_at = at + TimeDelta::seconds(rng.random_range(4..240));
    let clicks = rng.random_bool(1.0 / VISITS_PER_CLICK) && clicked_at < period.to;
    let (site_id, partners) = &traffic.offers[index];
    let visitor = trial.visitor(rng, *site_id, partners, at, share_of_variant(clicks, 1.0 / VISITS_PER_CLICK));
    traffic.visits.push(Visit { recommendation_id, at, place: index, visitor });
    if clicks {
        let Some(offer) = choose(rng, CLICK_SHARES.into_iter().take(place.links.len())) else { return };
        let click = follow(rng, place, offer, recommendation_id, clicked_at);
        if click.counted && rng.random_bool(0.06) {
            let again_at = clicked_at + TimeDelta::seconds(rng.random_range(5..900));
            let again = Click {
                click_id: domain::id::uuid_v7(again_at, rng.random()).into(),
                clicked_at: again_at,
                counted: false,
                ..click.clone()
            };
            traffic.clicks.extend((again_at < period.to).then_some(again));
        }
        traffic.clicks.push(click);
    }
}

fn follow(rng: &mut StdRng, place: &Place, offer: usize, recommendation_id: RecommendationId, clicked_at: DateTime<Utc>) -> Click {
    let agent_class = match rng.random_range(0..100) {
        0..58 => AgentClass::Desktop,
        58..93 => AgentClass::Mobile,
        93..98 => AgentClass::Bot,
        _ => AgentClass::Prefetch,
    };
    let person = matches!(agent_class, AgentClass::Desktop | AgentClass::Mobile);
    let link = &place.links[offer];
    Click {
        click_id: domain::id::uuid_v7(clicked_at, rng.random()).into(),
        clicked_at,
        referral_code: link.referral_code.as_str().into(),
        partner_id: link.partner_id.clone(),
        site_id: link.site_id,
        developer_hash: link.developer_hash.as_str().into(),
        session_id: (person && rng.random_bool(0.9)).then(|| domain::id::uuid_v7(clicked_at, rng.random()).into()),
        source_url: Some(format!("{}/", place.url)),
        agent_class,
        counted: person,
        ip_hash: None,
        country: Some(COUNTRIES[rng.random_range(0..COUNTRIES.len())].to_owned()),
        recommendation_id: Some(recommendation_id),
        window_hours: place.window_hours[offer],
    }
}

/// How busy an hour is: days peak in the afternoon, weekends are quiet, and all of it grows to more than twice its start.
fn busyness(hour: DateTime<Utc>, period: Period) -> f64 {
    let growth = 0.6 + (hour - period.from).num_seconds() as f64 / (period.to - period.from).num_seconds() as f64;
    let weekly = [1.1, 1.2, 1.15, 1.1, 1.0, 0.55, 0.5][hour.weekday().num_days_from_monday() as usize];
    let daily = 1.0 - 0.7 * (std::f64::consts::TAU * (f64::from(hour.hour()) - 3.0) / 24.0).cos();
    growth * weekly * daily
}

/// A whole number whose mean is `expected`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred visits an hour at most")]
fn whole(rng: &mut StdRng, expected: f64) -> u32 {
    (expected + rng.random_range(0.0..1.0)) as u32
}

/// One of them, by its weight; `None` if all are 0.
fn choose(rng: &mut StdRng, weights: impl Iterator<Item = f64> + Clone) -> Option<usize> {
    let total: f64 = weights.clone().sum();
    if total <= 0.0 {
        return None;
    }
    let mut left = rng.random_range(0.0..total);
    for (index, weight) in weights.enumerate() {
        if left < weight {
            return Some(index);
        }
        left -= weight;
    }
    None
}

/// Writes the traffic and its counters.
pub async fn insert(engine: &Engine, traffic: &Traffic) -> Result<()> {
    for visits in traffic.visits.chunks(CHUNK_LENGTH) {
        insert_recommendations(engine, traffic, visits).await?;
        insert_impressions(engine, traffic, visits).await?;
    }
    count_impressions(engine, traffic).await?;
    click::insert_history(engine, &traffic.clicks).await
}

async fn insert_recommendations(engine: &Engine, traffic: &Traffic, visits: &[Visit]) -> Result<()> {
    let ids: Vec<Uuid> = visits.iter().map(|visit| visit.recommendation_id.0).collect();
    let times: Vec<DateTime<Utc>> = visits.iter().map(|visit| visit.at).collect();
    let sites: Vec<Uuid> = visits.iter().map(|visit| traffic.offers[visit.place].0.0).collect();
    let offers: Vec<serde_json::Value> = visits
        .iter()
        .map(|visit| {
            traffic.offers[visit.place]
                .1
                .iter()
                .enumerate()
                .map(|(index, partner_id)| serde_json::json!({ "partner_id": partner_id, "position": index + 1 }))
                .collect()
        })
        .collect();
    let visitors: Vec<Option<&str>> = visits.iter().map(|visit| visit.visitor.as_ref().map(|shown| shown.unit.as_str())).collect();
    let experiments = visits.iter().map(|visit| visit.visitor.as_ref().map(|shown| serde_json::to_value([shown])).transpose());
    let experiments: Vec<Option<serde_json::Value>> = experiments.collect::<Result<_, _>>()?;
    sqlx::query!(
        "insert into recommendations (recommendation_id, recommended_at, site_id, model_version, offers, visitor, experiments)
         select id, at, site, $5, offers, visitor, experiments
         from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::jsonb[], $6::text[], $7::jsonb[])
                  as shown (id, at, site, offers, visitor, experiments)",
        &ids,
        &times,
        &sites,
        &offers,
        domain::recommendation::MODEL_VERSION,
        &visitors as &[Option<&str>],
        &experiments as &[Option<serde_json::Value>],
    )
    .execute(&engine.db)
    .await?;
    Ok(())
}

async fn insert_impressions(engine: &Engine, traffic: &Traffic, visits: &[Visit]) -> Result<()> {
    let (mut ids, mut partners, mut times, mut sites, mut positions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for visit in visits {
        let (site_id, offered) = &traffic.offers[visit.place];
        for (position, partner_id) in (1_i16..).zip(offered) {
            ids.push(visit.recommendation_id.0);
            partners.push(partner_id.to_string());
            times.push(visit.at);
            sites.push(site_id.0);
            positions.push(position);
        }
    }
    sqlx::query!(
        "insert into impressions (recommendation_id, partner_id, recommended_at, seen_at, site_id, position)
         select id, partner, at, at + interval '1 second', site, position
         from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[], $5::smallint[]) as seen (id, partner, at, site, position)",
        &ids,
        &partners,
        &times,
        &sites,
        &positions,
    )
    .execute(&engine.db)
    .await?;
    Ok(())
}

async fn count_impressions(engine: &Engine, traffic: &Traffic) -> Result<()> {
    let mut counts: BTreeMap<(DateTime<Utc>, &PartnerId), i64> = BTreeMap::new();
    for visit in &traffic.visits {
        for partner_id in &traffic.offers[visit.place].1 {
            *counts.entry((hour_of(visit.at), partner_id)).or_default() += 1;
        }
    }
    let hours: Vec<DateTime<Utc>> = counts.keys().map(|(hour, _)| *hour).collect();
    let partners: Vec<String> = counts.keys().map(|(_, partner_id)| partner_id.to_string()).collect();
    let numbers: Vec<i64> = counts.into_values().collect();
    sqlx::query!(
        "insert into hourly_counts as h (hour, partner_id, shard, impressions)
         select hour, partner, 0, number from unnest($1::timestamptz[], $2::text[], $3::bigint[]) as counted (hour, partner, number)
         on conflict (hour, partner_id, shard) do update set impressions = h.impressions + excluded.impressions",
        &hours,
        &partners,
        &numbers,
    )
    .execute(&engine.db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn afternoons_are_busier_than_nights_workdays_than_weekends_and_the_end_than_the_start() {
        let at = |day, hour| Utc.with_ymd_and_hms(2026, 11, day, hour, 0, 0).unwrap();
        let period = Period { from: at(1, 0), to: at(30, 0) };
        let busy = |day, hour| busyness(at(day, hour), period);
        assert!(busy(17, 15) > 2.0 * busy(17, 3));
        assert!(busy(17, 15) > busy(22, 15));
        assert!(busy(24, 12) > busy(3, 12));
    }
}
