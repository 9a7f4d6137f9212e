//! An engine for tests: the test's own database, keys that are always the same, and the Redis that `REDIS_URL` names. And what most
//! tests begin with: a site with a link, and a click on it.

use std::net::TcpListener;

use chrono::{DateTime, Utc};
use domain::{PartnerId, SessionId, click::AgentClass};
use sqlx::PgPool;

use crate::{
    Engine,
    click::Click,
    new_id,
    secret::Keys,
    simulation::{NewSite, PlantedLink, plant},
};

/// An engine over a database that `sqlx::test` made. Redis is not connected to until something asks it.
pub fn engine(db: PgPool) -> Engine {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let client = redis::Client::open(url).expect("REDIS_URL must be the address of a Redis");
    let redis = redis::aio::ConnectionManager::new_lazy_with_config(client, redis::aio::ConnectionManagerConfig::new())
        .expect("no connection is made yet");
    Engine::with(db, redis, Keys::from_master(&[7; 32]))
}

/// An engine whose Postgres and Redis take connections and never answer, as long as the listener lives.
pub fn engine_of_silence() -> (Engine, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let db = PgPool::connect_lazy(&format!("postgres://nobody@127.0.0.1:{port}/nothing?sslmode=disable")).expect("the address is one");
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).expect("the address is one");
    let redis = redis::aio::ConnectionManager::new_lazy_with_config(client, redis::aio::ConnectionManagerConfig::new())
        .expect("no connection is made yet");
    (Engine::with(db, redis, Keys::from_master(&[7; 32])), listener)
}

/// A site of a developer of its own, with a link to a partner that is there already.
pub async fn plant_site(engine: &Engine, name: &str, partner_id: &PartnerId) -> PlantedLink {
    let created_at = engine.now();
    let site = NewSite { user_ref: format!("owner of {name}"), name: name.to_owned(), url: None, analysis: None, created_at };
    let mut links = plant(engine, &[site], std::slice::from_ref(partner_id)).await.expect("the partner is there");
    links.remove(0)
}

/// A person's click on a link. It counts.
pub fn click(link: &PlantedLink, clicked_at: DateTime<Utc>, session_id: Option<SessionId>) -> Click {
    Click {
        click_id: new_id(clicked_at),
        clicked_at,
        referral_code: link.referral_code.as_str().into(),
        partner_id: link.partner_id.clone(),
        site_id: link.site_id,
        developer_hash: link.developer_hash.as_str().into(),
        session_id,
        source_url: None,
        agent_class: AgentClass::Desktop,
        counted: true,
        ip_hash: None,
        country: None,
        recommendation_id: None,
        window_hours: 24,
    }
}
