//! `/events`: what changes, pushed to signed-in browsers as server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use domain::{auth::Principal, live::LiveEvent};
use engine::access::require_read;
use futures::{Stream, StreamExt};
use tokio_stream::wrappers::{BroadcastStream, WatchStream, errors::BroadcastStreamRecvError};

use crate::{problem::ApiError, router::AppState};

/// So often a browser hears something: one that hears nothing for two of its ticks of 25 s takes the connection for lost.
const BEAT: Duration = Duration::from_secs(15);

pub async fn stream(State(state): State<AppState>, Extension(who): Extension<Principal>) -> Response {
    if let Err(refusal) = require_read(&who, "see live events") {
        return ApiError::from(refusal).into_response();
    }
    let stopping = WatchStream::new(state.stopping.clone()).filter(|stopping| std::future::ready(*stopping)).into_future();
    // A message rather than a comment, which scripts are not told of. It names no topic.
    let beat = KeepAlive::new().interval(BEAT).event(Event::default().data("still here"));
    Sse::new(events(&state).take_until(stopping)).keep_alive(beat).into_response()
}

/// The first event comes at once, so that the browser knows that it is connected.
fn events(state: &AppState) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let hello = futures::stream::once(async { Ok(Event::default().retry(Duration::from_millis(1000)).comment("connected")) });
    let live = BroadcastStream::new(state.engine.live.subscribe());
    hello.chain(live.filter_map(async |event| Some(Ok(Event::default().data(text(event)?)))))
}

/// A browser that lagged behind does not know what it missed, so it has to fetch everything anew.
fn text(event: Result<Arc<LiveEvent>, BroadcastStreamRecvError>) -> Option<String> {
    match event {
        Ok(event) => serde_json::to_string(&*event).ok(),
        Err(BroadcastStreamRecvError::Lagged(_)) => serde_json::to_string(&LiveEvent::Resync).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_that_lagged_behind_refetches_whatever_its_page_shows() {
        assert_eq!(text(Ok(Arc::new(LiveEvent::Traffic))).as_deref(), Some(r#"{"topic":"traffic"}"#));
        let lagged = text(Err(BroadcastStreamRecvError::Lagged(3))).unwrap_or_default();
        assert!(LiveEvent::concerns(&lagged, "experiment"), "{lagged}");
    }
}
