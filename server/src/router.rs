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
    let engine = state.engine.clone();
    let options = state.options.clone();
    let pages = Router::new()
        .route("/events", get(events::stream))
        .leptos_routes_with_context(&state, routes, move || provide_context(engine.clone()), move || shell(options.clone()))
        .merge(api::routes())
        .merge(downloads::routes())
        .merge(exports::routes())
        .fallback(leptos_axum::file_and_error_handler_with_context::<AppState, _>(
            {
                let engine = state.engine.clone();
                move || provide_context(engine.clone())
            },
            shell,
        ))
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
