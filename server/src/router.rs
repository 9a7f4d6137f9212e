//! All routes of the HTTP surface.

use app::{App, shell};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef, Request},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use chrono::{DateTime, Utc};
use domain::webhook::BODY_LIMIT;
use engine::Engine;
use leptos::config::LeptosOptions;
use leptos::prelude::provide_context;
use leptos_axum::{LeptosRoutes, generate_route_list};
use tokio::sync::watch;
use tower_http::{compression::CompressionLayer, set_header::SetResponseHeaderLayer};

use crate::{api, auth, demo, downloads, embed, events, exports, health, peer::TrustedProxies, postback, redirect, webhooks};

#[derive(Clone, FromRef)]
pub struct AppState {
    pub engine: Engine,
    pub options: LeptosOptions,
    /// Becomes true when the process shall end; long answers end then.
    #[from_ref(skip)]
    pub stopping: watch::Receiver<bool>,
    /// Requests may set the clock by a header: for the simulator only.
    #[from_ref(skip)]
    pub allow_simulated_time: bool,
    pub trusted_proxies: TrustedProxies,
}

pub fn router(state: AppState) -> Router {
    // Every click pays for what lies around its route: no layers, and no state but what it needs.
    let of_links = redirect::Links { engine: state.engine.clone(), trusted_proxies: state.trusted_proxies.clone() };
    let links = Router::new().route("/r/{code}", get(redirect::follow)).with_state(of_links);
    // Neither looks at who asks: links are for everyone, webhooks are signed.
    let open = Router::new()
        .route("/webhooks/{partner}/{path}", post(webhooks::receive).layer(DefaultBodyLimit::max(BODY_LIMIT)))
        .route("/postback/{partner}", any(postback::receive))
        .route("/demo/style.css", get(demo::style))
        .route("/embed/{site}", get(embed::show))
        .merge(api::open_routes())
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics));

    let routes = generate_route_list(App);
    let options = state.options.clone();
    let pages = Router::new()
        .route("/events", get(events::stream))
        .route("/demo", get(demo::show))
        .leptos_routes_with_context(&state, routes, context_of(&state.engine), move || shell(options.clone()))
        .merge(api::routes())
        .merge(downloads::routes())
        .merge(exports::routes())
        .fallback(leptos_axum::file_and_error_handler_with_context::<AppState, _>(context_of(&state.engine), shell))
        // The page of an unknown address has the frame of those who are signed in, so it is asked for the same way.
        .layer(middleware::from_fn_with_state(state.clone(), auth::identify))
        .layer(middleware::map_response(forbid_keeping))
        .layer(header_layer("x-frame-options", "SAMEORIGIN"))
        .layer(middleware::from_fn(embed::lend_script))
        .layer(CompressionLayer::new());

    let allow_simulated_time = state.allow_simulated_time;
    let app = open
        .merge(pages)
        .layer(header_layer("x-content-type-options", "nosniff"))
        .layer(header_layer("referrer-policy", "strict-origin-when-cross-origin"))
        .with_state(state)
        .merge(links);
    if allow_simulated_time { app.layer(middleware::from_fn(simulated_time)) } else { app }
}

/// What pages and server functions are given, called in the task of the request. They load in tasks of their own.
fn context_of(engine: &Engine) -> impl Fn() + Clone + Send + Sync + 'static {
    let engine = engine.clone();
    move || provide_context(engine.with_time_of_task())
}

fn header_layer(name: &'static str, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), HeaderValue::from_static(value))
}

/// What depends on who asks is kept by no browser and no proxy: after signing out, Back would show it. Files are for everyone, and known by
/// when they were last modified, or by not having been since.
async fn forbid_keeping(mut response: Response) -> Response {
    let is_file = response.status() == StatusCode::NOT_MODIFIED || response.headers().contains_key(header::LAST_MODIFIED);
    if !is_file {
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
    }
    response
}

/// Lets the simulator tell the time of its requests.
async fn simulated_time(request: Request, next: Next) -> Response {
    let at = auth::text(request.headers(), "x-simulated-time").map(DateTime::parse_from_rfc3339);
    match at {
        None => next.run(request).await,
        Some(Ok(at)) => engine::clock::at(DateTime::<Utc>::from(at), next.run(request)).await,
        Some(Err(_)) => {
            (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "text/plain")], "x-simulated-time is no RFC 3339 time").into_response()
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::net::SocketAddr;

    use app::api::VisitorAddress;
    use axum::{Extension, body::Body, extract::ConnectInfo};
    use engine::secret::Keys;
    use leptos::prelude::{Owner, use_context};
    use tower::ServiceExt;

    use super::*;

    const LATER: &str = "2031-12-01T01:00:00+00:00";

    /// An engine whose database and Redis are never asked.
    fn lazy_engine() -> Engine {
        let redis = redis::Client::open("redis://127.0.0.1/").unwrap();
        let redis = redis::aio::ConnectionManager::new_lazy_with_config(redis, redis::aio::ConnectionManagerConfig::new()).unwrap();
        Engine::with(sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1/nothing").unwrap(), redis, Keys::from_master(&[7; 32]))
    }

    async fn answer(router: Router, path: &str, time: &str) -> (StatusCode, String) {
        let request = Request::builder().uri(path).header("x-simulated-time", time).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        (status, String::from_utf8(axum::body::to_bytes(response.into_body(), 10_000).await.unwrap().to_vec()).unwrap())
    }

    /// The year in which a page would load, in a task of its own.
    fn page_with_the_year(engine: &Engine) -> Router {
        let context = context_of(engine);
        let page = move || async move {
            let owner = Owner::new();
            let engine = owner.with(|| {
                context();
                use_context::<Engine>().unwrap()
            });
            tokio::spawn(async move { engine.now().format("%Y").to_string() }).await.unwrap()
        };
        Router::new().route("/", get(page))
    }

    #[tokio::test]
    async fn a_simulated_time_reaches_what_a_page_loads_in_other_tasks() {
        let page = page_with_the_year(&lazy_engine());
        let simulated = page.clone().layer(middleware::from_fn(simulated_time));
        assert_eq!(answer(simulated, "/", LATER).await, (StatusCode::OK, "2031".to_owned()));
        assert_eq!(answer(page, "/", LATER).await.1, Utc::now().format("%Y").to_string(), "not without the layer");
    }

    /// Over an engine that answers nothing.
    fn state(allow_simulated_time: bool) -> AppState {
        let site_root = concat!(env!("CARGO_MANIFEST_DIR"), "/../public");
        let options = LeptosOptions::builder().output_name("orchestrator").site_root(site_root).build();
        let (_stop, stopping) = watch::channel(false);
        let trusted_proxies = "10.0.0.0/8".parse().unwrap();
        AppState { engine: lazy_engine(), options, stopping, allow_simulated_time, trusted_proxies }
    }

    fn whole_router(allow_simulated_time: bool) -> Router {
        router(state(allow_simulated_time))
    }

    #[tokio::test]
    async fn pages_are_told_where_a_visitor_is_also_behind_a_trusted_proxy() {
        let tell = async |Extension(VisitorAddress(address)): Extension<VisitorAddress>| address.to_string();
        let page = Router::new().route("/", get(tell)).layer(middleware::from_fn_with_state(state(false), auth::identify));
        let seen = async |peer: [u8; 4]| {
            let request = Request::get("/").header("x-forwarded-for", "192.0.2.1, 198.51.100.9");
            let request = request.extension(ConnectInfo(SocketAddr::from((peer, 4000)))).body(Body::empty()).unwrap();
            let body = page.clone().oneshot(request).await.unwrap().into_body();
            String::from_utf8(axum::body::to_bytes(body, 100).await.unwrap().to_vec()).unwrap()
        };
        assert_eq!(seen([10, 0, 0, 7]).await, "198.51.100.9");
        assert_eq!(seen([203, 0, 113, 5]).await, "203.0.113.5");
    }

    #[tokio::test]
    async fn the_header_counts_only_where_it_is_allowed() {
        let healthz = async |allow_simulated_time, time| answer(whole_router(allow_simulated_time), "/healthz", time).await.0;
        assert_eq!(healthz(true, LATER).await, StatusCode::OK);
        assert_eq!(healthz(true, "tomorrow").await, StatusCode::BAD_REQUEST);
        assert_eq!(healthz(false, "tomorrow").await, StatusCode::OK, "nobody looks at it");
    }
    #[tokio::test]
    async fn what_depends_on_who_asks_is_kept_by_no_browser_and_files_are() {
        let get = async |path: &str| {
            let response = whole_router(false).oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            (response.status(), response.headers().get(header::CACHE_CONTROL).map(|value| value.to_str().unwrap().to_owned()))
        };
        for path in ["/events", "/payouts/open.csv", "/statements/any/statement.html", "/conversions.csv"] {
            let (status, kept) = get(path).await;
            assert!(status.is_client_error(), "{path}: {status}");
            assert_eq!(kept.as_deref(), Some("private, no-store"), "{path}");
        }
        assert_eq!(get("/favicon.svg").await, (StatusCode::OK, None));
    }

    #[tokio::test]
    async fn pages_that_isolate_themselves_may_use_the_widgets_script_and_nothing_else() {
        let policy = async |path: &str| {
            let response = whole_router(false).oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            (response.status(), response.headers().get("cross-origin-resource-policy").cloned())
        };
        assert_eq!(policy("/widget.js").await, (StatusCode::OK, Some(HeaderValue::from_static("cross-origin"))));
        assert_eq!(policy("/favicon.svg").await, (StatusCode::OK, None));
    }

    #[tokio::test]
    async fn a_webhook_that_breaks_off_is_told_apart_from_one_that_is_too_large() {
        let answer_to = async |body: Body| {
            let request = Request::post("/webhooks/supabase/made-up").body(body).unwrap();
            whole_router(false).oneshot(request).await.unwrap().status()
        };
        assert_eq!(answer_to(Body::from(vec![b' '; BODY_LIMIT + 1])).await, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer_to(Body::from(vec![b' '; BODY_LIMIT])).await, StatusCode::NOT_FOUND);
        let broken = futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("the sender is gone"))]);
        assert_eq!(answer_to(Body::from_stream(broken)).await, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn nobody_is_told_which_sites_there_are_before_signing_in() {
        let (status, page) = answer(whole_router(false), "/demo", LATER).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "no database was asked");
        assert!(page.contains("Sign in to see your sites"), "{page}");
    }

    /// Also without a session, which a browser keeps back when another site's page sends a form.
    #[tokio::test]
    async fn a_form_of_another_site_signs_nobody_in_or_out() {
        let post = async |site: &'static str| {
            let request = Request::post("/imports").header("sec-fetch-site", site).body(Body::empty()).unwrap();
            whole_router(false).oneshot(request).await.unwrap().status()
        };
        assert_eq!(post("cross-site").await, StatusCode::FORBIDDEN);
        assert_eq!(post("same-site").await, StatusCode::FORBIDDEN);
        assert_ne!(post("same-origin").await, StatusCode::FORBIDDEN);
    }
}
