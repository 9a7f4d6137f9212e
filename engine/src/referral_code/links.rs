//! Partners as requests see them, kept in memory: where their links lead, and whether they do.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, atomic::Ordering},
};

use domain::{
    PartnerId,
    partner::{Customization, IntegrationKind, IntegrationMethod, UrlTemplate, WebhookEvent, WebhookScheme},
};
use redis::AsyncCommands;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

use super::{COPY_PATIENCE, Codes};
use crate::{Engine, Result};

/// What requests need to know of a partner, kept in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub active: bool,
    /// The ways to it that can be followed, in the partner's order. Without a deep link its home page takes that place.
    pub ways: Vec<IntegrationMethod>,
    /// For how long a click counts.
    pub window_hours: u32,
    /// Its webhooks, by path.
    pub webhooks: HashMap<String, WebhookScheme>,
}

#[derive(Default, PartialEq, Eq)]
pub(super) struct Links {
    by_partner: HashMap<PartnerId, Arc<Link>>,
    /// Partners whose row could not be read; their links are those of before.
    unreadable: BTreeSet<PartnerId>,
}

/// Where Redis holds a copy of all partners' links, for a start without Postgres.
const COPY: &str = "links";

impl Link {
    /// Where a link leads: the way that was asked for if the partner has it, else its deep link.
    pub fn way(&self, via: Option<IntegrationKind>) -> Option<&IntegrationMethod> {
        let by = |kind| self.ways.iter().find(|way| way.kind == kind);
        via.and_then(by).or_else(|| by(IntegrationKind::DeepLink))
    }
}

impl Codes {
    /// The partner as requests see it; `None` if it is unknown.
    pub fn link(&self, partner_id: &PartnerId) -> Option<Arc<Link>> {
        self.links.read().ok()?.as_ref()?.by_partner.get(partner_id).cloned()
    }

    /// Whether redirects know the partners.
    pub fn are_loaded(&self) -> bool {
        self.links.read().is_ok_and(|links| links.is_some())
    }

    fn was_unreadable(&self, partner_id: &PartnerId) -> bool {
        self.links.read().is_ok_and(|links| links.as_ref().is_some_and(|links| links.unreadable.contains(partner_id)))
    }

    fn set_links(&self, links: Links) {
        let Ok(mut current) = self.links.write() else { return };
        if current.as_ref() != Some(&links) {
            *current = Some(links);
            self.links_are_copied.store(false, Ordering::Relaxed);
        }
    }

    fn all_links(&self) -> HashMap<PartnerId, Arc<Link>> {
        self.links.read().ok().and_then(|links| Some(links.as_ref()?.by_partner.clone())).unwrap_or_default()
    }
}

/// Leaves a copy of the links in Redis, if they have changed since the last one.
async fn keep_copy(engine: &Engine, key: &str) {
    if engine.codes.links_are_copied.load(Ordering::Relaxed) || engine.clicks.store.redis_is_away() {
        return;
    }
    let Ok(json) = serde_json::to_string(&engine.codes.all_links()) else { return };
    let mut redis = engine.redis.clone();
    if let Ok(Ok(())) = timeout(COPY_PATIENCE, redis.set::<_, _, ()>(key, json)).await {
        engine.codes.links_are_copied.store(true, Ordering::Relaxed);
    }
}

/// Takes the links from their copy in Redis, for as long as Postgres cannot be asked; tells whether there is one.
pub async fn restore_links(engine: &Engine) -> bool {
    restore(engine, COPY).await.is_some()
}

async fn restore(engine: &Engine, key: &str) -> Option<()> {
    let json: Option<String> = engine.redis.clone().get(key).await.ok()?;
    let by_partner = serde_json::from_str(&json?).ok()?;
    engine.codes.set_links(Links { by_partner, unreadable: BTreeSet::new() });
    Some(())
}

/// Reads all partners' links anew. One that cannot be read keeps the links that it had, and is logged once.
pub async fn refresh_links(engine: &Engine) -> Result<()> {
    let rows = sqlx::query!(
        r#"select partner_id as "partner_id: PartnerId", active, homepage_url, integration_methods, webhook_events,
                  (select attribution_window_hours from partner_terms
                   where partner_terms.partner_id = partners.partner_id and effective_from <= $1
                   order by effective_from desc limit 1) as window_hours
           from partners"#,
        engine.now(),
    )
    .fetch_all(&engine.db)
    .await?;
    let mut links = Links::default();
    for row in rows {
        let link = match read(row.active, row.window_hours, row.homepage_url, row.integration_methods, row.webhook_events) {
            Ok(link) => Some(Arc::new(link)),
            Err(error) => {
                if !engine.codes.was_unreadable(&row.partner_id) {
                    tracing::error!(partner.id = %row.partner_id, %error, "a partner cannot be read: its links stay as they were");
                }
                links.unreadable.insert(row.partner_id.clone());
                engine.codes.link(&row.partner_id)
            }
        };
        if let Some(link) = link {
            links.by_partner.insert(row.partner_id, link);
        }
    }
    engine.codes.set_links(links);
    keep_copy(engine, COPY).await;
    Ok(())
}

fn read(active: bool, window_hours: Option<i32>, homepage_url: String, methods: Value, webhooks: Value) -> serde_json::Result<Link> {
    let methods: Vec<IntegrationMethod> = serde_json::from_value(methods)?;
    let mut ways: Vec<_> = methods.into_iter().filter(|method| !method.url_template.is_ours()).collect();
    if !ways.iter().any(|way| way.kind == IntegrationKind::DeepLink)
        && let Ok(url_template) = UrlTemplate::try_from(homepage_url)
    {
        ways.push(IntegrationMethod {
            kind: IntegrationKind::DeepLink,
            url_template,
            conversion_tracking: false,
            customization: Customization::default(),
            template_ids: BTreeMap::new(),
        });
    }
    let webhooks: Vec<WebhookEvent> = serde_json::from_value(webhooks)?;
    Ok(Link {
        active,
        ways,
        window_hours: window_hours.and_then(|hours| u32::try_from(hours).ok()).unwrap_or(24),
        webhooks: webhooks.into_iter().map(|webhook| (webhook.path, webhook.authentication)).collect(),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::{partner, testing};

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn one_partner_that_cannot_be_read_freezes_no_other(db: PgPool) {
        let engine = testing::engine(db.clone());
        assert!(!engine.codes.are_loaded());
        partner::import_files(&engine, "../partners".as_ref()).await.unwrap();
        let is_active = |partner: &str| engine.codes.link(&partner.parse().unwrap()).unwrap().active;
        assert!(engine.codes.are_loaded() && is_active("supabase") && is_active("figma"));

        sqlx::query("update partners set active = false").execute(&db).await.unwrap();
        sqlx::query("update partners set integration_methods = '[{}]' where partner_id = 'supabase'").execute(&db).await.unwrap();
        refresh_links(&engine).await.unwrap();
        assert!(!is_active("figma"), "what is read is taken over");
        assert!(is_active("supabase"), "what is not stays");
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_link_takes_no_way_that_leads_nowhere(db: PgPool) {
        let engine = testing::engine(db.clone());
        partner::import_files(&engine, "../partners".as_ref()).await.unwrap();
        let supabase = "supabase".parse().unwrap();
        let leads_to = |via| {
            let link = engine.codes.link(&supabase).unwrap();
            link.way(via).unwrap().url_template.as_str().to_owned()
        };
        let deep_link = leads_to(None);
        assert!(deep_link.starts_with("https://supabase.com/dashboard/new/_?"), "{deep_link}");
        assert_eq!(leads_to(Some(IntegrationKind::ApiRedirect)), deep_link, "nothing answers under the path of ours");
        assert_eq!(leads_to(Some(IntegrationKind::EmbedWidget)), deep_link);

        let without = "update partners set integration_methods = integration_methods - 0 where partner_id = 'supabase'";
        sqlx::query(without).execute(&db).await.unwrap();
        refresh_links(&engine).await.unwrap();
        assert_eq!([leads_to(None), leads_to(Some(IntegrationKind::ApiRedirect))], ["https://supabase.com", "https://supabase.com"]);
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_start_without_postgres_takes_the_copy(db: PgPool) {
        let engine = testing::engine(db.clone());
        partner::import_files(&engine, "../partners".as_ref()).await.unwrap();
        // A name of its own, since all tests share one Redis.
        let key = format!("test:{}", rand::random::<u64>());
        engine.codes.links_are_copied.store(false, Ordering::Relaxed);
        keep_copy(&engine, &key).await;
        let started = testing::engine(db);
        assert_eq!(restore(&started, "test:nothing").await, None);
        assert!(!started.codes.are_loaded());
        assert_eq!(restore(&started, &key).await, Some(()));
        assert_eq!(started.codes.all_links(), engine.codes.all_links());
        let _: i64 = engine.redis.clone().del(&key).await.unwrap();
    }
}
