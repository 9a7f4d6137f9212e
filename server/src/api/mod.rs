//! The REST API under `/api/v1`, and the forms of pages that upload a file.
//!
//! Handlers translate between HTTP and the engine, which authorises and decides. To add a resource: a file here, its routes below.

mod case_studies;
pub mod conversions;
mod experiments;
mod files;
mod impressions;
mod multitouch;
pub mod recommendations;
mod reversals;
mod sites;
mod successes;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, Method, header},
    routing::{get, post, put},
};
use tower_http::cors::{Any, CorsLayer};

use crate::{auth::text, redirect, router::AppState};

/// Routes that look at who asks.
pub fn routes() -> Router<AppState> {
    let uploads = Router::new()
        .route("/api/v1/sites", post(sites::create))
        .route("/api/v1/sites/{id}/analysis", put(sites::analyse))
        .route("/sites", post(sites::create_by_form))
        .route("/sites/{id}/analysis", post(sites::analyse_by_form))
        .layer(DefaultBodyLimit::max(sites::UPLOAD_BYTES_MAX));
    let files = Router::new()
        .route("/imports", post(files::upload_import))
        .route("/exchange-rates", post(files::upload_rates))
        .layer(DefaultBodyLimit::max(files::UPLOAD_BYTES_MAX));
    let events = Router::new()
        .route("/api/v1/conversions", post(conversions::create))
        .route("/api/v1/reversals", post(reversals::create))
        .route("/api/v1/clicks", post(redirect::record))
        .layer(DefaultBodyLimit::max(conversions::BODY_BYTES_MAX));
    let experiments = Router::new()
        .route("/api/v1/experiments", get(experiments::list).post(experiments::create))
        .route("/api/v1/experiments/assignments", get(experiments::assignments))
        .route("/api/v1/experiments/holdout", get(experiments::show_holdout).put(experiments::set_holdout))
        .route("/api/v1/experiments/{key}", get(experiments::show).put(experiments::edit))
        .route("/api/v1/experiments/{key}/growthbook", get(experiments::growthbook))
        .route("/api/v1/experiments/{key}/results", get(experiments::results))
        .route("/api/v1/experiments/{key}/ship", post(experiments::ship))
        .route("/api/v1/experiments/{key}/{step}", post(experiments::step))
        .layer(DefaultBodyLimit::max(conversions::BODY_BYTES_MAX));
    Router::new()
        .route("/api/v1/sites/{id}/recommendations", get(recommendations::list))
        .layer(any_origin())
        .route("/api/v1/sites/{id}", get(sites::show).patch(sites::edit).layer(DefaultBodyLimit::max(conversions::BODY_BYTES_MAX)))
        .route("/api/v1/successes", post(successes::create).layer(DefaultBodyLimit::max(successes::BODY_BYTES_MAX)))
        .route("/case-studies/{id}/export/{format}", get(case_studies::export))
        .route("/reports/attribution.csv", get(multitouch::export))
        .route("/imports/{id}/errors.csv", get(files::import_errors))
        .merge(files)
        .merge(events)
        .merge(experiments)
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
