//! Sites: registering a project with its analysis, and a referral code to each active partner; what changes of them later.

use chrono::{DateTime, Utc};
use domain::{
    DeveloperId, PartnerId, SiteId,
    analysis::Analysis,
    auth::Principal,
    click::Alias,
    referral_code::{ReferralCode, site_hash, user_hash},
    site::{Site, SiteLink, SiteSummary},
};
use serde_json::{Value, json};
use sqlx::PgConnection;

mod change;
mod overview;
mod request;
pub use change::{Change, analyse, edit};
pub use overview::{Overview, overview};
pub use request::{Request, made_before};

use crate::{
    Engine, Error, Result,
    access::{self, require_scope},
    audit, partner, referral_code,
};

/// A project to be registered.
#[derive(Clone, Debug)]
pub struct NewSite {
    pub name: String,
    /// Where it is served, http or https.
    pub url: Option<String>,
    /// The developer, by the caller's own stable name for them; only its salted hash leaves the installation.
    pub user_ref: String,
    pub analysis: Analysis,
}

/// More sites than these are asked for by page.
pub const LIST_MAX: i64 = 200;

/// How often chance may make a code or an alias that is taken (24 and 40 bits) before we give up.
const ATTEMPTS: usize = 5;

/// Registers a site; the developer too, if nobody of that name is known. Each call makes a new site.
///
/// # Errors
/// [`Error::Invalid`] with the field that is out of bounds; refuses who lacks the scope `sites:write`.
pub async fn create(engine: &Engine, who: &Principal, new: NewSite) -> Result<Site> {
    create_once(engine, who, None, new).await
}

/// [`create`], but a request that came before answers the site that it made then.
///
/// # Errors
/// As [`create`]; [`Error::Conflict`] if the request's name came before with something else.
pub async fn create_once(engine: &Engine, who: &Principal, request: Option<&Request>, new: NewSite) -> Result<Site> {
    require_scope(who, "sites:write", "add sites")?;
    let name = bounded("name", &new.name)?;
    let user_ref = bounded("user_ref", &new.user_ref)?;
    let url = new.url.as_deref().map(checked_url).transpose()?;
    let analysis = without_nul(serde_json::to_value(&new.analysis)?);

    for _ in 0..ATTEMPTS {
        let site_id: SiteId = engine.new_id();
        let now = engine.now();
        let mut tx = engine.db.begin().await?;
        let developer_id = find_or_create_developer(engine, &mut tx, user_ref, now).await?;
        sqlx::query!(
            "insert into sites (site_id, developer_id, name, url, site_hash, analysis, analysed_at, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7)",
            site_id.0,
            developer_id.0,
            name,
            url,
            site_hash(site_id, &engine.keys.hash_salt),
            analysis,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if let Some(request) = request
            && !request::note(&mut tx, who, request, site_id, now).await?
        {
            tx.rollback().await?;
            return made_before(engine, who, request).await?.ok_or_else(|| Error::internal("a request was noted and is gone"));
        }
        if create_codes(engine, &mut tx, site_id, developer_id, user_ref, now).await?.is_none() {
            continue;
        }
        audit::record(engine, &mut tx, who, "site.created", &format!("site {site_id}"), json!({ "name": name, "url": url })).await?;
        tx.commit().await?;
        learn(engine, site_id).await;
        return load(engine, site_id).await;
    }
    Err(Error::Conflict("no free referral code was found: try again".to_owned()))
}

/// Finds a site with its analysis and links.
///
/// # Errors
/// [`Error::NotFound`]; refuses who may neither read nor write sites.
pub async fn find(engine: &Engine, who: &Principal, site_id: SiteId) -> Result<Site> {
    require_read(who)?;
    load(engine, site_id).await
}

/// The newest sites that show offers, or those made before a time: the last one's `created_at` asks for the next page.
///
/// # Errors
/// [`Error::Invalid`] for a limit that is not from 1 to [`LIST_MAX`]; refuses who may neither read nor write sites.
pub async fn list(engine: &Engine, who: &Principal, before: Option<DateTime<Utc>>, limit: i64) -> Result<Vec<SiteSummary>> {
    require_read(who)?;
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(Error::invalid("limit", format!("`{limit}` must be from 1 to {LIST_MAX}")));
    }
    let rows = sqlx::query_as!(
        SiteSummary,
        r#"select site_id as "site_id: SiteId", name, url, analysis ->> 'kind' as kind, created_at
           from sites
           where archived_at is null
             and ($1::timestamptz is null or created_at < $1)
           order by created_at desc, site_id desc
           limit $2"#,
        before,
        limit,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(rows)
}

/// The site as stored, whoever asks. Codes for partners that joined after the site are made on the way.
pub(crate) async fn load(engine: &Engine, site_id: SiteId) -> Result<Site> {
    let row = sqlx::query!(
        r#"select developer_id as "developer_id: DeveloperId", user_ref, name, url, analysis, analysed_at, archived_at, sites.created_at
           from sites
           join developers using (developer_id)
           where site_id = $1"#,
        site_id.0,
    )
    .fetch_optional(&engine.db)
    .await?
    .ok_or_else(|| Error::not_found(format!("site `{site_id}`")))?;

    let mut links = links_of(engine, site_id).await?;
    let mut tx = engine.db.begin().await?;
    let missing = partner::list_active(&mut tx).await?.iter().any(|partner| links.iter().all(|link| link.partner_id != partner.partner_id));
    if missing && create_codes(engine, &mut tx, site_id, row.developer_id, &row.user_ref, engine.now()).await?.is_some() {
        tx.commit().await?;
        learn(engine, site_id).await;
        links = links_of(engine, site_id).await?;
    }
    Ok(Site {
        site_id,
        developer_id: row.developer_id,
        name: row.name,
        url: row.url,
        created_at: row.created_at,
        archived_at: row.archived_at,
        analysed_at: row.analysed_at,
        analysis: row.analysis.and_then(|analysis| read_analysis(site_id, analysis)),
        links,
    })
}

/// New codes are made all the same if they cannot be kept: then they are read when they are first followed.
async fn learn(engine: &Engine, site_id: SiteId) {
    if let Err(error) = referral_code::learn(engine, site_id).await {
        tracing::warn!(site.id = %site_id, %error, "new links are not kept in memory");
    }
}

/// An analysis of another version may be one that this one cannot read: then the site counts as not analysed until it is analysed again.
fn read_analysis(site_id: SiteId, stored: Value) -> Option<Analysis> {
    serde_json::from_value(stored)
        .inspect_err(|error| tracing::warn!(site.id = %site_id, %error, "a stored analysis cannot be read: analyse the site again"))
        .ok()
}

async fn links_of(engine: &Engine, site_id: SiteId) -> Result<Vec<SiteLink>> {
    let links = sqlx::query_as!(
        SiteLink,
        r#"select partner_id as "partner_id: PartnerId", referral_code, alias
           from referral_codes
           where site_id = $1
             and metadata is null
             and active
           order by partner_id"#,
        site_id.0,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(links)
}

async fn find_or_create_developer(engine: &Engine, tx: &mut PgConnection, user_ref: &str, now: DateTime<Utc>) -> Result<DeveloperId> {
    let id: DeveloperId = engine.new_id();
    // The update changes nothing; it makes the row come back when it is there already.
    let row = sqlx::query!(
        r#"insert into developers (developer_id, user_ref, developer_hash, created_at)
           values ($1, $2, $3, $4)
           on conflict (user_ref) do update
           set user_ref = excluded.user_ref
           returning developer_id as "developer_id: DeveloperId""#,
        id.0,
        user_ref,
        user_hash(user_ref, &engine.keys.hash_salt),
        now,
    )
    .fetch_one(tx)
    .await?;
    Ok(row.developer_id)
}

/// Makes the codes for the active partners that have none yet and answers the new ones; `None` if one was taken by chance.
async fn create_codes(
    engine: &Engine,
    tx: &mut PgConnection,
    site_id: SiteId,
    developer_id: DeveloperId,
    user_ref: &str,
    now: DateTime<Utc>,
) -> Result<Option<Vec<SiteLink>>> {
    let mut links = Vec::new();
    for partner in partner::list_active(tx).await? {
        let code = ReferralCode::generate(user_ref, &partner.partner_id, site_id, None, &engine.keys.hash_salt);
        let alias = Alias::from_random(rand::random());
        let text = code.to_string();
        let inserted = sqlx::query!(
            "insert into referral_codes (referral_code, alias, code_digest, partner_id, site_id, developer_id, developer_hash, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict do nothing",
            text,
            alias.as_str(),
            &code.digest(),
            partner.partner_id.as_str(),
            site_id.0,
            developer_id.0,
            code.user,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 1 {
            links.push(SiteLink { partner_id: partner.partner_id, referral_code: text, alias: alias.as_str().to_owned() });
        } else if !has_code(tx, site_id, &partner.partner_id).await? {
            return Ok(None);
        }
    }
    links.sort_by(|a, b| a.partner_id.cmp(&b.partner_id));
    Ok(Some(links))
}

async fn has_code(tx: &mut PgConnection, site_id: SiteId, partner_id: &PartnerId) -> Result<bool> {
    let row = sqlx::query!(
        r#"select exists(select from referral_codes where site_id = $1 and partner_id = $2 and metadata is null) as "exists!""#,
        site_id.0,
        partner_id.as_str(),
    )
    .fetch_one(tx)
    .await?;
    Ok(row.exists)
}

fn require_read(who: &Principal) -> Result<()> {
    if who.has_scope("sites:write") { Ok(()) } else { access::require_read(who, "see sites") }
}

fn bounded<'t>(field: &str, text: &'t str) -> Result<&'t str> {
    let text = text.trim();
    if text.is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must be a text of 1 to 200 bytes without control characters"));
    }
    Ok(text)
}

fn checked_url(text: &str) -> Result<&str> {
    let is_plain = text.len() <= 2000 && !text.chars().any(char::is_control);
    let is_web = is_plain && url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_web {
        Ok(text)
    } else {
        Err(Error::invalid(
            "url",
            format!("`{}` must be an http or https URL of up to 2000 bytes without control characters", text.escape_debug()),
        ))
    }
}

/// Postgres keeps no NUL in JSON, and a manifest may hold one as `\u0000`.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key.replace('\0', ""), without_nul(value))).collect(),
        other => other,
    }
}

#[cfg(test)]
pub(crate) mod tests;
