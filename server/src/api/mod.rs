//! The REST API under `/api/v1`, and the one form of a page that uploads a file.
//!
//! Handlers translate between HTTP and the engine, which authorises and decides. To add a resource: a file here, its routes below.

mod impressions;
pub mod recommendations;
mod sites;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, Method, header},
    routing::{get, post},
};
use tower_http::cors::{Any, CorsLayer};

use crate::{auth::text, redirect, router::AppState};

/// Routes that look at who asks.
pub fn routes() -> Router<AppState> {
    let uploads = Router::new()
        .route("/api/v1/sites", post(sites::create))
        .route("/sites", post(sites::create_by_form))
        .layer(DefaultBodyLimit::max(sites::UPLOAD_BYTES_MAX));
    Router::new()
        .route("/api/v1/sites/{id}/recommendations", get(recommendations::list))
        .layer(any_origin())
        .route("/api/v1/sites/{id}", get(sites::show))
        .route("/api/v1/clicks", post(redirect::record))
        .merge(uploads)
}

/// Routes for everyone, which do not look at cookies or tokens at all.
pub fn open_routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/impressions", post(impressions::record))
        .layer(DefaultBodyLimit::max(impressions::BODY_BYTES_MAX))
        .layer(any_origin())
}

/// Lets the widget on any site call. Without `Allow-Credentials`, so that no page can read what only its visitor may see.
fn any_origin() -> CorsLayer {
    CorsLayer::new().allow_origin(Any).allow_methods([Method::GET, Method::POST]).allow_headers([header::CONTENT_TYPE])
}

/// `https://host` as the caller sees it, for links that leave this server. Only ever told to the caller itself.
pub fn base_url(headers: &HeaderMap) -> String {
    let is_host = |host: &&str| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    let host = text(headers, "x-forwarded-host").or_else(|| text(headers, "host")).filter(is_host).unwrap_or("127.0.0.1:3000");
    let scheme = if text(headers, "x-forwarded-proto") == Some("https") { "https" } else { "http" };
    format!("{scheme}://{host}")
}

/// The line that shows a site's offers on any page.
pub fn embed_line(base_url: &str, site_id: domain::SiteId) -> String {
    format!(r#"<script src="{base_url}/widget.js" data-site="{site_id}" async></script>"#)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_none_does_not_get_into_links() {
        let mut headers = HeaderMap::new();
        headers.insert("host", "offers.example:8443".parse().unwrap());
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        assert_eq!(base_url(&headers), "https://offers.example:8443");
        headers.insert("host", "a\"><script>".parse().unwrap());
        assert_eq!(base_url(&headers), "https://127.0.0.1:3000");
    }
}
