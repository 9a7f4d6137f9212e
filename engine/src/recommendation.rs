//! Recommendations for a site: ranked from memory, logged with what was shown, and the impressions that widgets report.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    PartnerId, RecommendationId, SiteId,
    analysis::Analysis,
    id::uuid_v7_time,
    partner::{Partner, TermsValues},
    recommendation::{History, LinkedOffer, MODEL_VERSION, Offer, PartnerHistory, Recommendations, Settings, rank},
    site::SiteLink,
};
use moka::sync::Cache;
use serde_json::{Value, json};
use uuid::Uuid;

mod asker;
mod offered;
mod preview;
mod tailored;
pub use asker::{Asker, Forced};
pub(crate) use offered::{Offered, concerned, is_in_vain, offered};
pub use preview::preview;
use tailored::Tailored;

use crate::{Engine, Error, Result, batch::Batcher, experiment, partner, site, work::Work};

/// How long a change of a partner, its terms or a site may take to show.
const FRESH: Duration = Duration::from_secs(10);
/// History moves slowly, and summing it costs more.
const HISTORY_FRESH: Duration = Duration::from_secs(300);
/// Older traffic says little about a partner's present rate.
const HISTORY_DAYS: i64 = 90;

/// How often an answer is made anew because a test started or stopped while it was made.
const ATTEMPTS: usize = 8;

/// What was ranked lately, and the group commit of the log.
#[derive(Clone)]
pub struct Recommender {
    /// By the weight of the revenue too, as the bits of the float: a test may try another.
    ranked: Cache<(SiteId, u64), Arc<Ranked>>,
    sites: Cache<SiteId, Arc<Analysed>>,
    partners: Cache<(), Arc<Vec<(Partner, TermsValues)>>>,
    history: Cache<(), Arc<History>>,
    /// Answers the revision of the tests that stood when a batch was logged; nothing if it could not be.
    log: Batcher<Logged, Option<i64>>,
}

/// What of a site decides about its offers.
struct Analysed {
    analysis: Analysis,
    links: Vec<SiteLink>,
}

/// A site's offers with the aliases of their links.
struct Ranked {
    offers: Vec<(Offer, String)>,
}

/// A row of the log.
struct Logged {
    recommendation_id: RecommendationId,
    recommended_at: DateTime<Utc>,
    site_id: SiteId,
    offers: Value,
    visitor: Option<String>,
    experiments: Option<Value>,
}

impl Recommender {
    pub fn new(db: sqlx::PgPool) -> Self {
        Self {
            ranked: Cache::builder().max_capacity(20_000).time_to_live(FRESH).build(),
            sites: Cache::builder().max_capacity(20_000).time_to_live(FRESH).build(),
            partners: Cache::builder().max_capacity(1).time_to_live(FRESH).build(),
            history: Cache::builder().max_capacity(1).time_to_live(HISTORY_FRESH).build(),
            log: Batcher::start(move |rows| {
                let db = db.clone();
                async move {
                    let written = write_log(&db, rows).await;
                    written.inspect_err(|error| tracing::warn!(%error, "recommendations could not be logged")).ok()
                }
            }),
        }
    }

    /// Forgets what was ranked, so that the next answer follows a change at once.
    pub fn forget(&self) {
        self.ranked.invalidate_all();
        self.sites.invalidate_all();
        self.partners.invalidate_all();
        self.history.invalidate_all();
    }
}

/// Ranks the active partners for a site, shows what the running tests assign to whoever asks, and logs what is answered; impressions and
/// clicks refer to the log. Each call makes a new recommendation.
///
/// # Errors
/// [`Error::NotFound`] if there is no such site, [`Error::Conflict`] if it was never analysed or is retired, [`Error::Invalid`] for a preview
/// of a test or variant that there is not, [`Error::Unavailable`] if it cannot be logged.
pub async fn for_site(engine: &Engine, site_id: SiteId, asker: &Asker) -> Result<Recommendations> {
    let site = analysed(engine, site_id).await?;
    let mut running = experiment::current(engine).await?;
    for _ in 0..ATTEMPTS {
        let tailored = tailored::tailor(engine, &running, site_id, &site, asker).await?;
        let recommended_at = engine.now();
        let recommendation_id: RecommendationId = crate::new_id(recommended_at);
        let row = Logged {
            recommendation_id,
            recommended_at,
            site_id,
            offers: tailored.offers.iter().map(|tailored| logged(&tailored.offer)).collect(),
            visitor: asker.visitor.clone(),
            experiments: tailored.logged()?,
        };
        let revision = engine.recommender.log.write(row).await.flatten();
        let revision = revision.ok_or_else(|| Error::Unavailable("the recommendation could not be logged".into()))?;
        if revision == running.revision {
            return Ok(answer(site_id, recommendation_id, tailored));
        }
        // A test started or stopped, here or on another instance. What was just logged is shown to nobody.
        running = experiment::reload(engine, revision).await?;
    }
    Err(Error::Unavailable("tests change faster than offers can be made".into()))
}

fn answer(site_id: SiteId, recommendation_id: RecommendationId, tailored: Tailored) -> Recommendations {
    let linked = |tailored: tailored::TailoredOffer| {
        let via = tailored.via.map(|kind| format!("&via={}", kind.as_str())).unwrap_or_default();
        LinkedOffer { link: format!("/r/{}?rid={recommendation_id}{via}", tailored.alias), offer: tailored.offer }
    };
    Recommendations {
        recommendation_id,
        site_id,
        model_version: MODEL_VERSION.to_owned(),
        offers: tailored.offers.into_iter().map(linked).collect(),
        layout: tailored.layout,
        variants: tailored.variants,
        keeps_visitor: tailored.keeps_visitor,
    }
}

/// Notes that visitors saw offers; their positions are those of the log. Answers how many are new: an offer that was reported before, or
/// that was never recommended, changes nothing.
///
/// # Errors
/// If the database is away.
pub async fn record_impressions(engine: &Engine, recommendation_id: RecommendationId, partner_ids: &[PartnerId]) -> Result<u64> {
    // The log is partitioned by time, which the id carries to the millisecond.
    let Some(at) = uuid_v7_time(recommendation_id.0) else { return Ok(0) };
    let mut work = Work::begin(engine).await?;
    let row = sqlx::query!(
        r#"select site_id, recommended_at, array(select jsonb_array_elements(offers) ->> 'partner_id') as "partner_ids!: Vec<String>",
                  experiments as "experiments: sqlx::types::Json<Vec<experiment::Shown>>"
           from recommendations
           where recommendation_id = $1
             and recommended_at >= $2
             and recommended_at < $3"#,
        recommendation_id.0,
        at,
        at + TimeDelta::milliseconds(1),
    )
    .fetch_optional(work.connection())
    .await?;
    let Some(row) = row else { return Ok(0) };

    let place = |partner_id: &PartnerId| {
        let position = row.partner_ids.iter().position(|offered| offered == partner_id.as_str())?;
        Some((partner_id.clone(), i16::try_from(position).ok()?))
    };
    let (partner_ids, positions): (Vec<PartnerId>, Vec<i16>) = partner_ids.iter().filter_map(place).unzip();
    let names: Vec<String> = partner_ids.iter().map(ToString::to_string).collect();
    let added = sqlx::query!(
        r#"insert into impressions (recommendation_id, partner_id, recommended_at, seen_at, site_id, position)
           select $1, partner_id, $2, $3, $4, position
           from unnest($5::text[], $6::smallint[]) as seen (partner_id, position)
           order by partner_id
           on conflict do nothing
           returning partner_id as "partner_id: PartnerId""#,
        recommendation_id.0,
        row.recommended_at,
        engine.now(),
        row.site_id,
        &names,
        &positions,
    )
    .fetch_all(work.connection())
    .await?;
    for row in &added {
        work.counts(&row.partner_id, engine.now()).impressions += 1;
    }
    if let Some(shown) = &row.experiments {
        experiment::expose(&mut work, recommendation_id, shown, &partner_ids).await?;
    }
    work.commit().await?;
    if !added.is_empty() {
        engine.clicks.metrics.changed.store(true, Ordering::Relaxed);
    }
    Ok(added.len() as u64)
}

async fn analysed(engine: &Engine, site_id: SiteId) -> Result<Arc<Analysed>> {
    if let Some(site) = engine.recommender.sites.get(&site_id) {
        return Ok(site);
    }
    let site = site::load(engine, site_id).await?;
    if site.archived_at.is_some() {
        return Err(Error::Conflict(format!("site `{site_id}` is retired and shows no offers")));
    }
    let analysis = site.analysis.ok_or_else(|| Error::Conflict(format!("site `{site_id}` was not analysed yet")))?;
    let site = Arc::new(Analysed { analysis, links: site.links });
    engine.recommender.sites.insert(site_id, site.clone());
    Ok(site)
}

async fn ranked(engine: &Engine, site_id: SiteId, site: &Analysed, settings: &Settings) -> Result<Arc<Ranked>> {
    let key = (site_id, settings.revenue_weight.to_bits());
    if let Some(ranked) = engine.recommender.ranked.get(&key) {
        return Ok(ranked);
    }
    let partners = partners(engine).await?;
    let offers = rank(&site.analysis, &partners, &*history(engine, &partners).await?, settings);
    let alias = |offer: &Offer| site.links.iter().find(|link| link.partner_id == offer.partner_id).map(|link| link.alias.clone());
    // A partner that was switched on this very moment has no code yet; it comes with the next ranking.
    let offers = offers.into_iter().filter_map(|offer| Some((alias(&offer)?, offer))).map(|(alias, offer)| (offer, alias));
    let ranked = Arc::new(Ranked { offers: offers.collect() });
    engine.recommender.ranked.insert(key, ranked.clone());
    Ok(ranked)
}

/// What later evaluation needs of an offer; its place in the list is its position.
fn logged(offer: &Offer) -> Value {
    json!({
        "partner_id": offer.partner_id,
        "score": offer.score,
        "fit": offer.fit.value,
        "conversion_probability": offer.conversion_probability,
        "expected_revenue_minor": offer.expected_revenue_minor,
        "currency": offer.currency,
        "down_ranked": offer.down_ranked.is_some(),
    })
}

async fn partners(engine: &Engine) -> Result<Arc<Vec<(Partner, TermsValues)>>> {
    if let Some(partners) = engine.recommender.partners.get(&()) {
        return Ok(partners);
    }
    let mut connection = engine.db.acquire().await?;
    let mut partners = Vec::new();
    for found in partner::list_active(&mut connection).await? {
        match partner::terms_at(&mut connection, &found.partner_id, engine.now()).await {
            Ok(terms) => partners.push((found, terms.values)),
            // Without terms a conversion could not be rated: not recommended until they start.
            Err(Error::NotFound { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    let partners = Arc::new(partners);
    engine.recommender.partners.insert((), partners.clone());
    Ok(partners)
}

/// Clicks, attributed conversions, and the commission of those rated in the present payout currency, in the last 90 days. What was earned in
/// another currency is in neither the sum nor the count that it is divided by: amounts of two currencies cannot be added.
async fn history(engine: &Engine, partners: &[(Partner, TermsValues)]) -> Result<Arc<History>> {
    if let Some(history) = engine.recommender.history.get(&()) {
        return Ok(history);
    }
    let since = engine.now() - TimeDelta::days(HISTORY_DAYS);
    let rows = sqlx::query!(
        r#"select partner_id as "partner_id: PartnerId",
                  sum(clicks)::bigint as "clicks!",
                  sum(conversions - conversions_unattributed)::bigint as "conversions!"
           from hourly_counts
           where hour >= $1
           group by partner_id"#,
        since,
    )
    .fetch_all(&engine.db)
    .await?;
    let earned = sqlx::query!(
        r#"select partner_id as "partner_id: PartnerId", currency, sum(commission_minor)::bigint as "commission_minor!", sum(rated)::bigint as "rated!"
           from hourly_money
           where hour >= $1
           group by partner_id, currency"#,
        since,
    )
    .fetch_all(&engine.db)
    .await?;
    let history: History = rows
        .into_iter()
        .filter_map(|row| {
            let (_, terms) = partners.iter().find(|(partner, _)| partner.partner_id == row.partner_id)?;
            let earned =
                earned.iter().find(|earned| earned.partner_id == row.partner_id && earned.currency == terms.payout_currency.code());
            let entry = PartnerHistory {
                clicks: u64::try_from(row.clicks).unwrap_or(0),
                conversions: u64::try_from(row.conversions).unwrap_or(0),
                rated: earned.map_or(0, |earned| u64::try_from(earned.rated).unwrap_or(0)),
                commission_minor: earned.map_or(0, |earned| earned.commission_minor.max(0)),
            };
            Some((row.partner_id, entry))
        })
        .collect();
    let history = Arc::new(history);
    engine.recommender.history.insert((), history.clone());
    Ok(history)
}

/// Logs a batch, and looks at which revision the tests are in the same moment.
async fn write_log(db: &sqlx::PgPool, rows: Vec<Logged>) -> Result<i64> {
    let (mut ids, mut times, mut sites, mut offers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut visitors, mut experiments) = (Vec::new(), Vec::new());
    for row in rows {
        ids.push(row.recommendation_id.0);
        times.push(row.recommended_at);
        sites.push(row.site_id.0);
        offers.push(row.offers);
        visitors.push(row.visitor);
        experiments.push(row.experiments);
    }
    let revision = sqlx::query_scalar!(
        "with logged as (
             insert into recommendations (recommendation_id, recommended_at, site_id, model_version, offers, visitor, experiments)
             select recommendation_id, recommended_at, site_id, $1, offers, visitor, experiments
             from unnest($2::uuid[], $3::timestamptz[], $4::uuid[], $5::jsonb[], $6::text[], $7::jsonb[])
                      as row (recommendation_id, recommended_at, site_id, offers, visitor, experiments)
         )
         select revision from experiment_revision",
        MODEL_VERSION,
        &ids as &[Uuid],
        &times as &[DateTime<Utc>],
        &sites as &[Uuid],
        &offers as &[Value],
        &visitors as &[Option<String>],
        &experiments as &[Option<Value>],
    )
    .fetch_one(db)
    .await?;
    Ok(revision)
}

#[cfg(test)]
mod tests;
