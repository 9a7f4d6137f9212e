//! An engine for tests: the test's own database, keys that are always the same, and the Redis that `REDIS_URL` names.

use sqlx::PgPool;

use crate::{Engine, secret::Keys};

/// An engine over a database that `sqlx::test` made. Redis is not connected to until something asks it.
pub fn engine(db: PgPool) -> Engine {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let client = redis::Client::open(url).expect("REDIS_URL must be the address of a Redis");
    let redis = redis::aio::ConnectionManager::new_lazy_with_config(client, redis::aio::ConnectionManagerConfig::new())
        .expect("no connection is made yet");
    Engine::with(db, redis, Keys::from_master(&[7; 32]))
}
