//! The lower bound: a route that answers 302 and stores nothing.

use axum::{Router, http::header, response::IntoResponse, routing::get};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

async fn follow() -> impl IntoResponse {
    (
        axum::http::StatusCode::FOUND,
        [(header::LOCATION, "https://supabase.com/dashboard/new/_?ref=project4site"), (header::CACHE_CONTROL, "no-store")],
    )
}

#[tokio::main]
async fn main() -> bench::Result<()> {
    let listener = tokio::net::TcpListener::bind(std::env::var("LISTEN")?).await?;
    axum::serve(listener, Router::new().route("/r/{code}", get(follow))).await?;
    Ok(())
}
