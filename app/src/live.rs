//! Live updates: one event stream per page, turned into counters that pages depend on to fetch again.
//!
//! ```ignore
//! let live = use_live();
//! let rows = Resource::new(move || (filter.get(), live.deliveries.get()), |(filter, _)| api::list_deliveries(filter));
//! ```

use leptos::prelude::*;

use crate::api::Viewer;

/// Whether the page hears of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Not yet answered.
    Opening,
    Open,
    /// Broken off at this time, in milliseconds since 1970. The browser tries again by itself.
    Lost {
        at_millis: i64,
    },
}

/// Counters that grow when something changed; all of them grow after a lost connection came back.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    pub connection: RwSignal<Connection>,
    pub conversions: RwSignal<u32>,
    /// Grows at most once a second.
    pub traffic: RwSignal<u32>,
    pub deliveries: RwSignal<u32>,
}

/// The page's live updates.
pub fn use_live() -> Live {
    use_context::<Live>().unwrap_or_else(Live::new)
}

/// Listens while somebody is signed in; on the server, where pages are rendered once, it never hears anything.
pub fn listen(viewer: RwSignal<Option<Viewer>>) -> Live {
    let live = Live::new();
    #[cfg(feature = "hydrate")]
    Effect::new(move |connected: Option<bool>| {
        let connected = connected.unwrap_or(false);
        if viewer.with(Option::is_some) && !connected {
            browser::connect(live);
            return true;
        }
        connected
    });
    #[cfg(not(feature = "hydrate"))]
    let _ = viewer;
    live
}

impl Live {
    fn new() -> Self {
        Self {
            connection: RwSignal::new(Connection::Opening),
            conversions: RwSignal::new(0),
            traffic: RwSignal::new(0),
            deliveries: RwSignal::new(0),
        }
    }
}

#[cfg(feature = "hydrate")]
mod browser {
    use std::{cell::Cell, rc::Rc, time::Duration};

    use domain::live::LiveEvent;
    use futures::{StreamExt, stream};
    use gloo_net::eventsource::{State, futures::EventSource};
    use leptos::prelude::*;

    use super::{Connection, Live};

    /// After an answer that the browser takes for final, such as a proxy's 502.
    const RETRY_AFTER: Duration = Duration::from_secs(3);
    /// Under a burst of conversions the page fetches this often, and is still well within a second.
    const CONVERSIONS_EVERY: Duration = Duration::from_millis(200);
    const TRAFFIC_EVERY: Duration = Duration::from_secs(1);

    pub fn connect(live: Live) {
        leptos::task::spawn_local(async move {
            follow(live).await;
            set_timeout(move || connect(live), RETRY_AFTER);
        });
    }

    /// Follows one event source until it is closed for good. A break shows as an `error` event, after which the browser
    /// connects again by itself and `open` follows.
    async fn follow(live: Live) -> Option<()> {
        let mut source = EventSource::new("/events").ok()?;
        let opened = source.subscribe("open").ok()?;
        let broken = source.subscribe("error").ok()?;
        let messages = source.subscribe("message").ok()?;
        let mut events = stream::select(stream::select(opened, broken), messages);
        let conversions = throttled(live.conversions, CONVERSIONS_EVERY);
        let deliveries = throttled(live.deliveries, CONVERSIONS_EVERY);
        let traffic = throttled(live.traffic, TRAFFIC_EVERY);

        while let Some(event) = events.next().await {
            let Ok((kind, message)) = event else { continue };
            match kind.as_str() {
                "open" => opened_again(live),
                "error" => {
                    lost(live);
                    if source.state() == State::Closed {
                        break;
                    }
                }
                _ => match message.data().as_string().and_then(|json| serde_json::from_str(&json).ok()) {
                    Some(LiveEvent::Conversion { .. }) => conversions(),
                    Some(LiveEvent::Traffic) => traffic(),
                    Some(LiveEvent::Delivery { .. }) => deliveries(),
                    None => {}
                },
            }
        }
        Some(())
    }

    fn opened_again(live: Live) {
        let was_lost = matches!(live.connection.get_untracked(), Connection::Lost { .. });
        live.connection.set(Connection::Open);
        if was_lost {
            for counter in [live.conversions, live.traffic, live.deliveries] {
                counter.update(|version| *version = version.wrapping_add(1));
            }
        }
    }

    fn lost(live: Live) {
        if !matches!(live.connection.get_untracked(), Connection::Lost { .. }) {
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are whole and far below 2^53")]
            let at_millis = web_sys::js_sys::Date::now() as i64;
            live.connection.set(Connection::Lost { at_millis });
        }
    }

    /// Counts at once, then at most once per `every`, so that the last of a burst is counted too.
    fn throttled(counter: RwSignal<u32>, every: Duration) -> impl Fn() {
        let resting = Rc::new(Cell::new(false));
        let missed = Rc::new(Cell::new(false));
        move || {
            if resting.get() {
                missed.set(true);
            } else {
                count(counter, &resting, &missed, every);
            }
        }
    }

    fn count(counter: RwSignal<u32>, resting: &Rc<Cell<bool>>, missed: &Rc<Cell<bool>>, every: Duration) {
        counter.update(|version| *version = version.wrapping_add(1));
        resting.set(true);
        let (resting, missed) = (Rc::clone(resting), Rc::clone(missed));
        set_timeout(
            move || {
                resting.set(false);
                if missed.replace(false) {
                    count(counter, &resting, &missed, every);
                }
            },
            every,
        );
    }
}
