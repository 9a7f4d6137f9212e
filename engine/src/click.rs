//! Clicks: resolve the code, sign the click id, make the click durable, answer with the partner's link.
//!
//! A click is durable when the batch that holds it is committed in Postgres or, while Postgres is away, when it was
//! appended to a Redis stream (AOF) that drains by itself later. When both are away the visitor is redirected all the
//! same, with the signed token, and the loss is counted.

use std::{
    collections::BTreeSet,
    mem,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use chrono::{DateTime, Utc};
use domain::{
    ClickId, ExperimentId, PartnerId, RecommendationId, SessionId, SiteId,
    click::{AgentClass, ClickToken},
    partner::{IntegrationKind, TemplateValues},
};
use serde::{Deserialize, Serialize};

use crate::{
    Engine, Error, Result, agent,
    batch::Batcher,
    ip_hash, new_id,
    referral_code::{self, Code},
};

mod cache;
mod fallback;
mod insert;
mod partition;
mod store;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
pub use cache::cached_click;
pub use fallback::{doubts_about_redis, drain, fallback_length, set_aside_length};
pub use partition::{ensure_partitions, tables_with_stray_rows};
pub use store::{Store, insert_history};

/// A request that follows a link.
#[derive(Clone, Debug, Default)]
pub struct Visit<'a> {
    pub source_url: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    pub ip: Option<IpAddr>,
    pub session_id: Option<SessionId>,
    /// Do Not Track or Global Privacy Control: no cookie, no session id, no hash of the address.
    pub private: bool,
    /// A HEAD request, or a browser that loads ahead of its visitor.
    pub prefetch: bool,
    /// A server-side caller of the API, whose user agent says nothing about the visitor.
    pub server_side: bool,
    pub country: Option<&'a str>,
    pub recommendation_id: Option<RecommendationId>,
    /// The way to the partner, if not its deep link.
    pub via: Option<IntegrationKind>,
}

/// Where to send the visitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    pub location: String,
    /// The signed click id; `None` for bots and prefetches, which are redirected but claim nothing.
    pub click_token: Option<String>,
    pub partner_id: PartnerId,
    pub window_hours: u32,
    /// To be set as the cookie, if the visitor has none yet and wants one.
    pub new_session: Option<SessionId>,
    pub durability: Durability,
}

/// Where a click was made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Postgres,
    Fallback,
    /// Neither Postgres nor Redis took it, or its turn did not come.
    Lost,
}

/// A click as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    pub click_id: ClickId,
    pub clicked_at: DateTime<Utc>,
    pub referral_code: Arc<str>,
    pub partner_id: PartnerId,
    pub site_id: SiteId,
    pub developer_hash: Arc<str>,
    pub session_id: Option<SessionId>,
    pub source_url: Option<String>,
    pub agent_class: AgentClass,
    /// False for bots and prefetches; the store makes it false for a session's repeats within an hour, too.
    pub counted: bool,
    pub ip_hash: Option<[u8; 16]>,
    pub country: Option<String>,
    pub recommendation_id: Option<RecommendationId>,
    /// How long the attribution cache keeps it.
    pub window_hours: u32,
}

impl Click {
    /// No click of its session can have come before: its id was made together with the click's.
    fn begins_session(&self) -> bool {
        let session_began_at = self.session_id.and_then(|id| domain::id::uuid_v7_time(id.0));
        session_began_at.is_some_and(|at| at.timestamp_millis() == self.clicked_at.timestamp_millis())
    }
}

/// Hands clicks to the group commit.
#[derive(Clone)]
pub struct Recorder {
    batcher: Batcher<Click, Durability>,
    pub store: Arc<Store>,
    pub metrics: Arc<Metrics>,
}

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    pub postgres: AtomicU64,
    pub fallback: AtomicU64,
    pub lost: AtomicU64,
    /// Something changed since the browsers were last told.
    pub changed: AtomicBool,
    /// Experiments whose figures changed since the browsers were last told.
    changed_experiments: Mutex<BTreeSet<ExperimentId>>,
}

impl Metrics {
    /// Has browsers told, with the next look, that these experiments' figures changed.
    pub fn note_experiments(&self, changed: impl Iterator<Item = ExperimentId>) {
        if let Ok(mut experiments) = self.changed_experiments.lock() {
            experiments.extend(changed);
        }
    }

    /// The experiments whose figures changed since the last call.
    pub fn take_experiments(&self) -> BTreeSet<ExperimentId> {
        self.changed_experiments.lock().map(|mut experiments| mem::take(&mut *experiments)).unwrap_or_default()
    }
}

impl Recorder {
    pub fn start(store: Store) -> Self {
        let store = Arc::new(store);
        let writer = store.clone();
        let batcher = Batcher::start(move |clicks| {
            let store = writer.clone();
            async move { store.write(clicks).await }
        });
        Self { batcher, store, metrics: Arc::default() }
    }

    async fn record(&self, click: Click) -> Durability {
        let durability = self.batcher.write(click).await.unwrap_or_else(|| {
            tracing::error!("click lost: the queue refused it, or its batch failed");
            Durability::Lost
        });
        let counter = match durability {
            Durability::Postgres => &self.metrics.postgres,
            Durability::Fallback => &self.metrics.fallback,
            Durability::Lost => &self.metrics.lost,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.metrics.changed.store(true, Ordering::Relaxed);
        durability
    }
}

/// Records a click on a referral code or alias and says where to send the visitor. Returns once the click is durable.
///
/// # Errors
/// [`Error::NotFound`] if the code is unknown, inactive, or its partner is not active: there is nowhere to go.
pub async fn follow(engine: &Engine, code: &str, visit: Visit<'_>) -> Result<Redirect> {
    let code = referral_code::find(engine, code).await?;
    let gone = || Error::not_found(format!("an active link for referral code `{}`", code.referral_code));
    let link = engine.codes.link(&code.partner_id).filter(|link| link.active).ok_or_else(gone)?;
    let way = link.way(visit.via).ok_or_else(gone)?;

    let now = engine.now();
    let agent_class = match () {
        () if visit.prefetch => AgentClass::Prefetch,
        () if visit.server_side => AgentClass::Server,
        () => agent::classify(visit.user_agent),
    };
    let person = !matches!(agent_class, AgentClass::Bot | AgentClass::Prefetch);
    let session_id = (person && !visit.private).then(|| visit.session_id.unwrap_or_else(|| new_id(now)));
    let click_id: ClickId = new_id(now);
    let token = person.then(|| {
        ClickToken { click_id, session_id, code_digest: code.code_digest, partner_digest: code.partner_digest }.sign(&engine.keys.click_mac)
    });
    let location = way.url_template.expand(&TemplateValues {
        project_type: &code.project_type,
        template_id: way.template_id(&code.project_type),
        referral_code: &code.referral_code,
        click_id: token.as_deref().unwrap_or_default(),
        site_id: &code.site_id.to_string(),
    });

    let click = new_click(engine, &code, &visit, (click_id, now), agent_class, session_id, link.window_hours).await;
    let durability = engine.clicks.record(click).await;
    Ok(Redirect {
        location,
        click_token: token,
        partner_id: code.partner_id.clone(),
        window_hours: link.window_hours,
        new_session: session_id.filter(|_| visit.session_id.is_none()),
        durability,
    })
}

async fn new_click(
    engine: &Engine,
    code: &Code,
    visit: &Visit<'_>,
    (click_id, clicked_at): (ClickId, DateTime<Utc>),
    agent_class: AgentClass,
    session_id: Option<SessionId>,
    window_hours: u32,
) -> Click {
    let ip = visit.ip.filter(|_| !visit.private);
    Click {
        click_id,
        clicked_at,
        referral_code: code.referral_code.clone(),
        partner_id: code.partner_id.clone(),
        site_id: code.site_id,
        developer_hash: code.developer_hash.clone(),
        session_id,
        source_url: visit.source_url.and_then(strip_query),
        agent_class,
        counted: !matches!(agent_class, AgentClass::Bot | AgentClass::Prefetch),
        ip_hash: match ip {
            Some(ip) => ip_hash::hash(engine, ip, clicked_at).await,
            None => None,
        },
        country: visit
            .country
            .filter(|country| country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()))
            .map(str::to_owned),
        recommendation_id: visit.recommendation_id,
        window_hours,
    }
}

/// Origin and path of a URL, at most 500 bytes; queries and fragments may hold personal data.
fn strip_query(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let text = format!("{}{}", url.origin().ascii_serialization(), url.path());
    Some(text.chars().take(500).collect())
}
