//! The naive design: each click is one `insert` and one `setex`, then the answer. It writes the same columns into the same
//! table with the same indexes as the server under test, in a database of its own, and knows its one code by heart.

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::Utc;
use redis::AsyncCommands;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone)]
struct Handles {
    db: sqlx::PgPool,
    redis: redis::aio::MultiplexedConnection,
}

async fn follow(State(handles): State<Handles>, Path(code): Path<String>, headers: HeaderMap) -> Response {
    match record(handles, &code, &headers).await {
        Ok(click_id) => {
            let location = format!("https://supabase.com/dashboard/new/_?ref=project4site&click_id={click_id}");
            (StatusCode::FOUND, [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())]).into_response()
        }
        Err(error) => {
            eprintln!("{error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn record(mut handles: Handles, code: &str, headers: &HeaderMap) -> bench::Result<Uuid> {
    let now = Utc::now();
    let (click_id, session_id): (Uuid, Uuid) = (engine::new_id(now), engine::new_id(now));
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let class = if agent.contains("Mobi") { "mobile" } else { "desktop" };
    sqlx::query(
        "insert into clicks (click_id, clicked_at, referral_code, partner_id, site_id, developer_hash, session_id, agent_class, bot, counted)
         values ($1, $2, $3, 'supabase', $4, '0123abcd', $5, $6, false, true)",
    )
    .bind(click_id)
    .bind(now)
    .bind(code)
    .bind(Uuid::nil())
    .bind(session_id)
    .bind(class)
    .execute(&handles.db)
    .await?;
    let value = format!(r#"{{"click_id":"{click_id}","clicked_at":"{}"}}"#, now.to_rfc3339());
    let _: () = handles.redis.set_ex(format!("attribution:supabase:{code}:{session_id}"), value, 24 * 3600).await?;
    Ok(click_id)
}

#[tokio::main]
async fn main() -> bench::Result<()> {
    // more connections than this were slower on two cores: see docs/BENCHMARKS.md
    let db = PgPoolOptions::new().max_connections(20).test_before_acquire(false).connect(&std::env::var("DATABASE_URL")?).await?;
    let redis = redis::Client::open(std::env::var("REDIS_URL")?)?.get_multiplexed_async_connection().await?;
    let app = Router::new().route("/r/{code}", get(follow)).with_state(Handles { db, redis });
    let listener = tokio::net::TcpListener::bind(std::env::var("LISTEN")?).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
