//! What simulations need of the database: sites with links in bulk before they start, and the outcome afterwards.
//!
//! Nothing of the workflows calls this. What is right or wrong about an outcome is the simulator's to say.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    ClickId, DeveloperId, PartnerId, SiteId,
    click::Alias,
    conversion::ConversionState,
    referral_code::{ReferralCode, site_hash, user_hash},
};
use uuid::Uuid;

use crate::{Engine, Error, Result, new_id};

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

/// What became of a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub partner_id: PartnerId,
    pub external_event_id: String,
    pub state: ConversionState,
    /// How many clicks share the credit; the fields after it are of the first.
    pub credits: i64,
    pub click_id: Option<ClickId>,
    /// Whose referral code got the credit.
    pub credited_partner_id: Option<PartnerId>,
    pub currency: String,
    pub reversed_minor: i64,
    /// By the ledger's entries.
    pub commission_minor: i64,
    pub bonus_minor: i64,
    /// Accounts' entries that do not sum to zero would show here.
    pub imbalance_minor: i64,
}

/// Every conversion whose external id begins with `prefix`.
pub async fn outcomes(engine: &Engine, prefix: &str) -> Result<Vec<Outcome>> {
    let outcomes = sqlx::query_as!(
        Outcome,
        r#"select conversions.partner_id as "partner_id: PartnerId", external_event_id, state as "state: ConversionState",
                  (select count(*) from attributions a where a.conversion_id = conversions.conversion_id) as "credits!",
                  first.click_id as "click_id?: ClickId", owner.partner_id as "credited_partner_id?: PartnerId", conversions.currency, reversed_minor,
                  coalesce(sum(amount_minor) filter (where component = 'commission' and account = 'partner_receivable'), 0)::bigint as "commission_minor!",
                  coalesce(sum(amount_minor) filter (where component = 'bonus' and account = 'partner_receivable'), 0)::bigint as "bonus_minor!",
                  coalesce(sum(amount_minor), 0)::bigint as "imbalance_minor!"
           from conversions
           left join attributions first on first.conversion_id = conversions.conversion_id and first.position = 1
           left join referral_codes owner on owner.referral_code = first.referral_code
           left join ledger_transactions t on t.conversion_id = conversions.conversion_id
           left join ledger_entries e on e.ledger_transaction_id = t.ledger_transaction_id
           where starts_with(external_event_id, $1)
           group by conversions.conversion_id, first.click_id, owner.partner_id"#,
        prefix,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(outcomes)
}

/// The stored clicks of one referral code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClickCounts {
    pub people: i64,
    pub bots: i64,
    pub counted: i64,
}

/// Counts the clicks of referral codes; a code without clicks is absent.
pub async fn click_counts(engine: &Engine, referral_codes: &[String]) -> Result<HashMap<String, ClickCounts>> {
    let rows = sqlx::query!(
        r#"select referral_code, count(*) filter (where not bot) as "people!", count(*) filter (where bot) as "bots!", count(*) filter (where counted) as "counted!"
           from clicks
           where referral_code = any($1)
           group by referral_code"#,
        referral_codes,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.referral_code, ClickCounts { people: row.people, bots: row.bots, counted: row.counted })).collect())
}

/// The deliveries whose message ids begin with a prefix, by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    pub waiting: i64,
    pub processed: i64,
    pub ignored: i64,
    pub dead: i64,
}

pub async fn delivery_counts(engine: &Engine, prefix: &str) -> Result<DeliveryCounts> {
    let counts = sqlx::query_as!(
        DeliveryCounts,
        r#"select count(*) filter (where state in ('received', 'retrying')) as "waiting!", count(*) filter (where state = 'processed') as "processed!",
                  count(*) filter (where state = 'ignored') as "ignored!", count(*) filter (where state = 'dead') as "dead!"
           from webhook_deliveries
           where starts_with(message_id, $1)"#,
        prefix,
    )
    .fetch_one(&engine.db)
    .await?;
    Ok(counts)
}

/// Milliseconds from a webhook's arrival to the first ledger entry of its conversion, ascending, for messages whose ids
/// begin with `prefix`. Conversions that were attributed at a later try are left out: their wait is for the click.
pub async fn ledger_latencies_ms(engine: &Engine, prefix: &str) -> Result<Vec<f64>> {
    let latencies = sqlx::query_scalar!(
        r#"select latency_ms as "latency_ms!"
           from (
               select extract(epoch from min(booked_at) - min(d.received_at))::float8 * 1000 as latency_ms
               from webhook_deliveries d
               join conversions c using (webhook_delivery_id)
               join ledger_transactions using (conversion_id)
               where starts_with(message_id, $1)
                     and exists (select from attributions a where a.conversion_id = c.conversion_id and a.attributed_at <= d.processed_at)
               group by c.conversion_id
           ) as latencies
           order by 1"#,
        prefix,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(latencies)
}
