//! Whether the process lives, whether it can work, and its counters for Prometheus.

use std::{fmt::Write, sync::atomic::Ordering, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use engine::Engine;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(2);

pub async fn live() -> &'static str {
    "ok\n"
}

/// 200 if Postgres and Redis answer, else 503 with the one that does not.
pub async fn ready(State(engine): State<Engine>) -> (StatusCode, Json<Value>) {
    let postgres = tokio::time::timeout(PATIENCE, sqlx::query("select 1").execute(&engine.db));
    let mut redis = engine.redis.clone();
    let ping = redis::cmd("PING");
    let redis = tokio::time::timeout(PATIENCE, ping.query_async::<String>(&mut redis));
    let (postgres, redis) = tokio::join!(postgres, redis);
    let (postgres, redis) = (matches!(postgres, Ok(Ok(_))), matches!(redis, Ok(Ok(_))));
    let status = if postgres && redis { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "postgres": postgres, "redis": redis })))
}

pub async fn metrics(State(engine): State<Engine>) -> impl IntoResponse {
    let clicks = &engine.clicks.metrics;
    let mut text = String::from(
        "# HELP orchestrator_clicks_total Clicks by where they were made durable; lost ones were redirected all the same.\n# TYPE orchestrator_clicks_total counter\n",
    );
    for (place, counter) in [("postgres", &clicks.postgres), ("fallback", &clicks.fallback), ("lost", &clicks.lost)] {
        let _ = writeln!(text, "orchestrator_clicks_total{{durability=\"{place}\"}} {}", counter.load(Ordering::Relaxed));
    }
    if let Ok(waiting) = engine::click::fallback_length(&engine).await {
        text.push_str("# HELP orchestrator_clicks_fallback_length Clicks that wait in the fallback for Postgres.\n# TYPE orchestrator_clicks_fallback_length gauge\n");
        let _ = writeln!(text, "orchestrator_clicks_fallback_length {waiting}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
