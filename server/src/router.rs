//! All routes of the HTTP surface.

use app::{App, shell};
use axum::{
    Router,
    extract::{FromRef, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use chrono::{DateTime, Utc};
use engine::Engine;
use leptos::config::LeptosOptions;
use leptos::prelude::provide_context;
use leptos_axum::{LeptosRoutes, generate_route_list};
use tokio::sync::watch;
use tower_http::{compression::CompressionLayer, set_header::SetResponseHeaderLayer};

use crate::{api, auth, demo, downloads, embed, events, exports, health, postback, redirect, webhooks};

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
}

pub fn router(state: AppState) -> Router {
    // Every click pays for what lies around its route: no layers, and no state but the engine.
    let links = Router::new().route("/r/{code}", get(redirect::follow)).with_state(state.engine.clone());
    // Neither looks at who asks: links are for everyone, webhooks are signed.
    let open = Router::new()
        .route("/webhooks/{partner}/{path}", post(webhooks::receive))
        .route("/postback/{partner}", any(postback::receive))
        .route("/demo", get(demo::show))
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
        .leptos_routes_with_context(&state, routes, context_of(&state.engine), move || shell(options.clone()))
        .merge(api::routes())
        .merge(downloads::routes())
        .merge(exports::routes())
        .fallback(leptos_axum::file_and_error_handler_with_context::<AppState, _>(context_of(&state.engine), shell))
        // The page of an unknown address has the frame of those who are signed in, so it is asked for the same way.
        .layer(middleware::from_fn_with_state(state.engine.clone(), auth::identify))
        .layer(header_layer("x-frame-options", "SAMEORIGIN"))
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

/// Lets the simulator tell the time of its requests.
async fn simulated_time(request: Request, next: Next) -> Response {
    let at = auth::text(request.headers(), "x-simulated-time").map(DateTime::parse_from_rfc3339);
    match at {
        None => next.run(request).await,
        Some(Ok(at)) => engine::clock::at(DateTime::<Utc>::from(at), next.run(request)).await,
        Some(Err(_)) => {
            (axum::http::StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "text/plain")], "x-simulated-time is no RFC 3339 time")
                .into_response()
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use axum::{body::Body, http::StatusCode};
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

    #[tokio::test]
    async fn the_header_counts_only_where_it_is_allowed() {
        let healthz = async |allow_simulated_time, time| {
            let options = LeptosOptions::builder().output_name("orchestrator").build();
            let (_stop, stopping) = watch::channel(false);
            let state = AppState { engine: lazy_engine(), options, stopping, allow_simulated_time };
            answer(router(state), "/healthz", time).await.0
        };
        assert_eq!(healthz(true, LATER).await, StatusCode::OK);
        assert_eq!(healthz(true, "tomorrow").await, StatusCode::BAD_REQUEST);
        assert_eq!(healthz(false, "tomorrow").await, StatusCode::OK, "nobody looks at it");
    }
}
