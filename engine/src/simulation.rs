//! What simulations need of the database: sites with links in bulk before they start, and the outcome afterwards.
//!
//! Nothing of the workflows calls this. What is right or wrong about an outcome is the simulator's to say.

mod outcome;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    DeveloperId, PartnerId, SiteId,
    click::Alias,
    referral_code::{ReferralCode, site_hash, user_hash},
};
use uuid::Uuid;

use crate::{Engine, Error, Result, new_id};

pub use outcome::{
    Balance, ClickCounts, Credit, DeliveryCounts, ImpressionCounts, Outcome, Rederived, balances, click_counts, delivery_counts,
    impression_counts, is_settled, ledger_latencies_ms, outcomes, rates, rederive, state_count,
};

/// Rows of one statement.
const CHUNK_LENGTH: usize = 5_000;

/// A site to be planted.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSite {
    /// Sites with the same one belong to the same developer.
    pub user_ref: String,
    pub name: String,
    pub url: Option<String>,
    pub analysis: Option<serde_json::Value>,
    pub created_at: DateTime<Utc>,
}

/// A site's link to a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlantedLink {
    /// Position in the list of new sites.
    pub site: usize,
    pub site_id: SiteId,
    pub developer_id: DeveloperId,
    pub developer_hash: String,
    pub partner_id: PartnerId,
    pub referral_code: String,
    pub alias: String,
}

/// Makes sites and their developers, with a referral code for each of `partners`. The links come in the order of the
/// sites, then of the partners.
///
/// # Errors
/// [`Error::Conflict`] if two of the new codes are equal by chance: a few in a million at 10 000 sites of one developer.
pub async fn plant(engine: &Engine, sites: &[NewSite], partners: &[PartnerId]) -> Result<Vec<PlantedLink>> {
    let salt = &engine.keys.hash_salt;
    let mut links = Vec::with_capacity(sites.len() * partners.len());
    for (chunk, sites) in sites.chunks(CHUNK_LENGTH).enumerate() {
        let developers = plant_developers(engine, sites).await?;
        let mut rows = SiteRows::default();
        for (index, site) in sites.iter().enumerate() {
            let site_id: SiteId = new_id(site.created_at);
            let developer_id = *developers.get(&site.user_ref).ok_or_else(|| Error::not_found(format!("developer `{}`", site.user_ref)))?;
            rows.push(site, site_id, developer_id, salt);
            links.extend(partners.iter().map(|partner_id| PlantedLink {
                site: chunk * CHUNK_LENGTH + index,
                site_id,
                developer_id,
                developer_hash: user_hash(&site.user_ref, salt),
                partner_id: partner_id.clone(),
                referral_code: ReferralCode::generate(&site.user_ref, partner_id, site_id, None, salt).to_string(),
                alias: Alias::from_random(rand::random()).as_str().to_owned(),
            }));
        }
        rows.insert(engine).await?;
    }
    for links in links.chunks(CHUNK_LENGTH) {
        insert_codes(engine, sites, links).await?;
    }
    Ok(links)
}

async fn plant_developers(engine: &Engine, sites: &[NewSite]) -> Result<HashMap<String, DeveloperId>> {
    let (mut ids, mut names, mut hashes, mut times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for site in sites {
        ids.push(new_id::<DeveloperId>(site.created_at).0);
        names.push(site.user_ref.clone());
        hashes.push(user_hash(&site.user_ref, &engine.keys.hash_salt));
        times.push(site.created_at);
    }
    sqlx::query!(
        "insert into developers (developer_id, user_ref, developer_hash, created_at)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
         on conflict do nothing",
        &ids,
        &names,
        &hashes,
        &times,
    )
    .execute(&engine.db)
    .await?;
    let rows =
        sqlx::query!(r#"select user_ref, developer_id as "developer_id: DeveloperId" from developers where user_ref = any($1)"#, &names)
            .fetch_all(&engine.db)
            .await?;
    Ok(rows.into_iter().map(|row| (row.user_ref, row.developer_id)).collect())
}

#[derive(Default)]
struct SiteRows {
    site_id: Vec<Uuid>,
    developer_id: Vec<Uuid>,
    name: Vec<String>,
    url: Vec<Option<String>>,
    site_hash: Vec<String>,
    analysis: Vec<Option<serde_json::Value>>,
    created_at: Vec<DateTime<Utc>>,
}

impl SiteRows {
    fn push(&mut self, site: &NewSite, site_id: SiteId, developer_id: DeveloperId, salt: &[u8]) {
        self.site_id.push(site_id.0);
        self.developer_id.push(developer_id.0);
        self.name.push(site.name.clone());
        self.url.push(site.url.clone());
        self.site_hash.push(site_hash(site_id, salt));
        self.analysis.push(site.analysis.clone());
        self.created_at.push(site.created_at);
    }

    async fn insert(&self, engine: &Engine) -> Result<()> {
        sqlx::query!(
            "insert into sites (site_id, developer_id, name, url, site_hash, analysis, analysed_at, created_at)
             select site_id, developer_id, name, url, site_hash, analysis, case when analysis is not null then created_at end, created_at
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[])
                  as site (site_id, developer_id, name, url, site_hash, analysis, created_at)",
            &self.site_id,
            &self.developer_id,
            &self.name,
            &self.url as &[Option<String>],
            &self.site_hash,
            &self.analysis as &[Option<serde_json::Value>],
            &self.created_at,
        )
        .execute(&engine.db)
        .await?;
        Ok(())
    }
}

async fn insert_codes(engine: &Engine, sites: &[NewSite], links: &[PlantedLink]) -> Result<()> {
    let column = |value: fn(&PlantedLink) -> String| links.iter().map(value).collect::<Vec<_>>();
    let digests: Vec<Vec<u8>> = links.iter().map(|link| domain::referral_code::code_digest(&link.referral_code).to_vec()).collect();
    let site_ids: Vec<Uuid> = links.iter().map(|link| link.site_id.0).collect();
    let developer_ids: Vec<Uuid> = links.iter().map(|link| link.developer_id.0).collect();
    let created_at: Vec<DateTime<Utc>> = links.iter().map(|link| sites[link.site].created_at).collect();
    let inserted = sqlx::query!(
        "insert into referral_codes (referral_code, alias, code_digest, partner_id, site_id, developer_id, developer_hash, created_at)
         select * from unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::timestamptz[])
         on conflict do nothing",
        &column(|link| link.referral_code.clone()),
        &column(|link| link.alias.clone()),
        &digests,
        &column(|link| link.partner_id.to_string()),
        &site_ids,
        &developer_ids,
        &column(|link| link.developer_hash.clone()),
        &created_at,
    )
    .execute(&engine.db)
    .await?;
    if inserted.rows_affected() != links.len() as u64 {
        return Err(Error::Conflict("two referral codes are equal by chance: try again".to_owned()));
    }
    Ok(())
}
