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

use crate::{bring_up, supervise};

const PATIENCE: Duration = Duration::from_secs(2);

pub async fn live() -> &'static str {
    "ok\n"
}

/// 200 once redirects know the partners, else 503. What is away is told, and does not count: redirects go on without Postgres and Redis, and
/// another instance would miss the same ones. The same goes for what is not up yet after a start without Postgres.
pub async fn ready(State(engine): State<Engine>) -> (StatusCode, Json<Value>) {
    let postgres = engine.clicks.store.postgres_answers();
    let mut redis = engine.redis.clone();
    let ping = redis::cmd("PING");
    let redis = tokio::time::timeout(PATIENCE, ping.query_async::<String>(&mut redis));
    let (postgres, redis) = tokio::join!(postgres, redis);
    readiness(engine.codes.are_loaded(), [bring_up::is_up(), postgres, matches!(redis, Ok(Ok(_)))])
}

fn readiness(links: bool, [up, postgres, redis]: [bool; 3]) -> (StatusCode, Json<Value>) {
    let status = if links { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let degraded = !(links && up && postgres && redis);
    (status, Json(json!({ "links": links, "up": up, "postgres": postgres, "redis": redis, "degraded": degraded })))
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
    if let Ok(set_aside) = engine::click::set_aside_length(&engine).await {
        text.push_str("# HELP orchestrator_clicks_set_aside Entries of the fallback that cannot be stored; the stream clicks:fallback:bad has them, with the reason.\n# TYPE orchestrator_clicks_set_aside gauge\n");
        let _ = writeln!(text, "orchestrator_clicks_set_aside {set_aside}");
    }
    text.push_str("# HELP orchestrator_loop_restarts_total Loops that ended or panicked, and were started again.\n# TYPE orchestrator_loop_restarts_total counter\n");
    for (name, restarts) in supervise::restarts() {
        let _ = writeln!(text, "orchestrator_loop_restarts_total{{loop=\"{name}\"}} {restarts}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_can_redirect_is_ready_whatever_is_away() {
        let (status, Json(body)) = readiness(true, [true, false, false]);
        assert_eq!(
            (status, &body["degraded"], &body["postgres"], &body["redis"]),
            (StatusCode::OK, &json!(true), &json!(false), &json!(false))
        );
        assert_eq!(readiness(false, [true, true, true]).0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(readiness(true, [true, true, true]).1.0["degraded"], json!(false));
    }

    #[test]
    fn a_start_that_is_not_complete_is_told_though_all_services_are_there() {
        let (status, Json(body)) = readiness(true, [false, true, true]);
        assert_eq!((status, &body["up"], &body["degraded"]), (StatusCode::OK, &json!(false), &json!(true)));
    }
}
