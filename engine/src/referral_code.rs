//! Finding what a referral code or its alias stands for, from memory.
//!
//! A code never changes its partner or site, so that it may be kept for long; whether its partner is active, and where
//! its link leads, is read anew every two seconds. Redis holds a copy for restarts while Postgres is away.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use domain::{
    DeveloperId, PartnerId, SiteId,
    click::{Alias, partner_digest},
    partner::{IntegrationKind, IntegrationMethod, UrlTemplate, WebhookEvent, WebhookScheme},
    referral_code::{ReferralCode, code_digest},
};
use moka::sync::Cache;
use redis::AsyncCommands;
use serde::{Deserialize, Serialize};

use crate::{Engine, Error, Result};

/// What a referral code stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    pub referral_code: Arc<str>,
    pub code_digest: [u8; 8],
    pub partner_id: PartnerId,
    pub partner_digest: [u8; 4],
    pub site_id: SiteId,
    pub developer_id: DeveloperId,
    pub developer_hash: Arc<str>,
    pub project_type: String,
    pub active: bool,
}

/// What requests need to know of a partner, kept in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub active: bool,
    /// Where its links lead, in the partner's order.
    pub urls: Vec<(IntegrationKind, UrlTemplate)>,
    /// For how long a click counts.
    pub window_hours: u32,
    /// Its webhooks, by path.
    pub webhooks: HashMap<String, WebhookScheme>,
}

#[derive(Clone)]
pub struct Codes {
    known: Cache<String, Arc<Code>>,
    /// Codes that do not exist, so that guessing costs no query each.
    unknown: Cache<String, ()>,
    links: Arc<RwLock<HashMap<PartnerId, Arc<Link>>>>,
}

impl Link {
    /// Where a link leads: the way that was asked for if the partner has it, else its deep link.
    pub fn url(&self, via: Option<IntegrationKind>) -> Option<&UrlTemplate> {
        let by = |kind| self.urls.iter().find(|(way, _)| *way == kind).map(|(_, url)| url);
        via.and_then(by).or_else(|| by(IntegrationKind::DeepLink))
    }
}

impl Default for Codes {
    fn default() -> Self {
        Self {
            known: Cache::new(1_000_000),
            unknown: Cache::builder().max_capacity(100_000).time_to_live(Duration::from_secs(5)).build(),
            links: Arc::default(),
        }
    }
}

impl Codes {
    /// The partner as requests see it; `None` if it is unknown.
    pub fn link(&self, partner_id: &PartnerId) -> Option<Arc<Link>> {
        self.links.read().ok()?.get(partner_id).cloned()
    }

    fn set_links(&self, links: HashMap<PartnerId, Arc<Link>>) {
        if let Ok(mut current) = self.links.write() {
            *current = links;
        }
    }
}

/// Finds what a code or alias stands for, active or not.
///
/// # Errors
/// [`Error::NotFound`] if it does not exist, [`Error::Unavailable`] if only a database that is away could tell.
pub async fn find(engine: &Engine, text: &str) -> Result<Arc<Code>> {
    let not_found = || Error::not_found(format!("referral code `{text}`"));
    if let Some(code) = engine.codes.known.get(text) {
        return Ok(code);
    }
    if engine.codes.unknown.contains_key(text) || (text.parse::<Alias>().is_err() && text.parse::<ReferralCode>().is_err()) {
        return Err(not_found());
    }
    let code = match load(engine, text).await {
        Ok(found) => {
            if let Some(code) = &found {
                keep_copy(engine, text, code).await;
            }
            found
        }
        Err(away) => Some(copy(engine, text).await.ok_or(away)?),
    };
    let Some(code) = code else {
        engine.codes.unknown.insert(text.to_owned(), ());
        return Err(not_found());
    };
    let code = Arc::new(code);
    engine.codes.known.insert(text.to_owned(), code.clone());
    Ok(code)
}

async fn load(engine: &Engine, text: &str) -> Result<Option<Code>> {
    let row = sqlx::query!(
        r#"select referral_code, partner_id as "partner_id: PartnerId", site_id as "site_id: SiteId",
                  developer_id as "developer_id: DeveloperId", developer_hash, active,
                  coalesce((select analysis ->> 'kind' from sites where sites.site_id = referral_codes.site_id), '') as "project_type!"
           from referral_codes
           where referral_code = $1 or alias = $1"#,
        text,
    )
    .fetch_optional(&engine.db)
    .await?;
    Ok(row.map(|row| Code {
        code_digest: code_digest(&row.referral_code),
        partner_digest: partner_digest(&row.partner_id),
        referral_code: row.referral_code.into(),
        partner_id: row.partner_id,
        site_id: row.site_id,
        developer_id: row.developer_id,
        developer_hash: row.developer_hash.into(),
        project_type: row.project_type,
        active: row.active,
    }))
}

async fn keep_copy(engine: &Engine, text: &str, code: &Code) {
    if let Ok(json) = serde_json::to_string(code) {
        let _: redis::RedisResult<()> = engine.redis.clone().set(format!("code:{text}"), json).await;
    }
}

async fn copy(engine: &Engine, text: &str) -> Option<Code> {
    let json: Option<String> = engine.redis.clone().get(format!("code:{text}")).await.ok()?;
    serde_json::from_str(&json?).ok()
}

/// Forgets a code, so that its next use reads it anew.
pub fn forget(engine: &Engine, text: &str) {
    engine.codes.known.invalidate(text);
    engine.codes.unknown.invalidate(text);
}

/// Reads all partners' links anew.
pub async fn refresh_links(engine: &Engine) -> Result<()> {
    let rows = sqlx::query!(
        r#"select partner_id as "partner_id: PartnerId", active, integration_methods, webhook_events,
                  (select attribution_window_hours from partner_terms
                   where partner_terms.partner_id = partners.partner_id and effective_from <= $1
                   order by effective_from desc limit 1) as window_hours
           from partners"#,
        engine.now(),
    )
    .fetch_all(&engine.db)
    .await?;
    let mut links = HashMap::with_capacity(rows.len());
    for row in rows {
        let methods: Vec<IntegrationMethod> = serde_json::from_value(row.integration_methods)?;
        let webhooks: Vec<WebhookEvent> = serde_json::from_value(row.webhook_events)?;
        let link = Link {
            active: row.active,
            urls: methods.into_iter().map(|method| (method.kind, method.url_template)).collect(),
            window_hours: u32::try_from(row.window_hours.unwrap_or(24)).unwrap_or(24),
            webhooks: webhooks.into_iter().map(|webhook| (webhook.path, webhook.authentication)).collect(),
        };
        links.insert(row.partner_id, Arc::new(link));
    }
    engine.codes.set_links(links);
    Ok(())
}

/// Loads the newest codes, so that redirects go on if Postgres goes away right after the start.
pub async fn warm_up(engine: &Engine) -> Result<()> {
    refresh_links(engine).await?;
    let names = sqlx::query!("select alias, referral_code from referral_codes where active order by created_at desc limit 20000")
        .fetch_all(&engine.db)
        .await?;
    for names in names.chunks(64) {
        futures::future::join_all(names.iter().map(|name| find(engine, &name.alias))).await;
    }
    Ok(())
}
