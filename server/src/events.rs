//! `/events`: what changes, pushed to signed-in browsers as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::State,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use domain::auth::Principal;
use engine::access::require_read;
use futures::{Stream, StreamExt};
use tokio_stream::wrappers::{BroadcastStream, WatchStream};

use crate::{problem::ApiError, router::AppState};

pub async fn stream(State(state): State<AppState>, Extension(who): Extension<Principal>) -> Response {
    if let Err(refusal) = require_read(&who, "see live events") {
        return ApiError::from(refusal).into_response();
    }
    let stopping = WatchStream::new(state.stopping.clone()).filter(|stopping| std::future::ready(*stopping)).into_future();
    Sse::new(events(&state).take_until(stopping)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response()
}

/// The first event comes at once, so that the browser knows that it is connected.
fn events(state: &AppState) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let hello = futures::stream::once(async { Ok(Event::default().retry(Duration::from_millis(1000)).comment("connected")) });
    let live = BroadcastStream::new(state.engine.live.subscribe()).filter_map(|event| async move {
        // A browser that lagged behind is told that traffic changed, which makes it fetch everything anew.
        let text = match event {
            Ok(event) => serde_json::to_string(&*event).ok()?,
            Err(_) => serde_json::to_string(&domain::live::LiveEvent::Traffic).ok()?,
        };
        Some(Ok(Event::default().data(text)))
    });
    hello.chain(live)
}
