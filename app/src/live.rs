//! Live updates: one event stream per page. When something changed that the page shows, the browser asks the server for the page
//! again and takes over its live regions, so that pages are written once, for the server.
//!
//! ```ignore
//! <LiveIndicator topics="delivery"/>
//! <div id="deliveries" data-live-region>…</div>
//! ```
//!
//! A live region needs an id and must hold no island, since what is taken over is plain HTML. Open `details` stay open, and the focus
//! stays where it was.

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

#[cfg(feature = "hydrate")]
pub use browser::follow;

#[cfg(feature = "hydrate")]
mod browser {
    use std::{cell::Cell, rc::Rc, time::Duration};

    use futures::{StreamExt, stream};
    use gloo_net::eventsource::{State, futures::EventSource};
    use leptos::{prelude::*, task::spawn_local};
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{Document, DomParser, Element, HtmlElement, Response, SupportedType};

    use super::Connection;

    /// After an answer that the browser takes for final, such as a proxy's 502.
    const RETRY_AFTER: Duration = Duration::from_secs(3);
    /// Under a burst of events the page is fetched this often, and still shows each well within a second.
    const REST: Duration = Duration::from_millis(250);
    /// What the focus can be on.
    const FOCUSABLE: &str = "a[href], button, input, select, summary, [tabindex]";

    /// Listens for events of the given topics for as long as the page is open.
    pub fn follow(topics: String, connection: RwSignal<Connection>) {
        let refresher = Refresher::default();
        spawn_local(async move {
            listen(&topics, connection, &refresher).await;
            set_timeout(move || follow(topics, connection), RETRY_AFTER);
        });
    }

    /// Follows one event source until it is closed for good. A break shows as an `error` event, after which the browser
    /// connects again by itself and `open` follows.
    async fn listen(topics: &str, connection: RwSignal<Connection>, refresher: &Refresher) -> Option<()> {
        let mut source = EventSource::new("/events").ok()?;
        let opened = source.subscribe("open").ok()?;
        let broken = source.subscribe("error").ok()?;
        let messages = source.subscribe("message").ok()?;
        let mut events = stream::select(stream::select(opened, broken), messages);
        while let Some(event) = events.next().await {
            let Ok((kind, message)) = event else { continue };
            match kind.as_str() {
                "open" => {
                    // What happened since the page was rendered, or since the connection was lost, was missed.
                    refresher.refresh();
                    connection.set(Connection::Open);
                }
                "error" => {
                    lost(connection);
                    if source.state() == State::Closed {
                        break;
                    }
                }
                _ => {
                    let text = message.data().as_string().unwrap_or_default();
                    if topics.split(' ').any(|topic| text.contains(&format!("\"topic\":\"{topic}\""))) {
                        refresher.refresh();
                    }
                }
            }
        }
        Some(())
    }

    fn lost(connection: RwSignal<Connection>) {
        if !matches!(connection.get_untracked(), Connection::Lost { .. }) {
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are whole and far below 2^53")]
            let at_millis = web_sys::js_sys::Date::now() as i64;
            connection.set(Connection::Lost { at_millis });
        }
    }

    /// Fetches the page once at a time; what changes meanwhile is fetched after a short rest.
    #[derive(Clone, Default)]
    struct Refresher {
        busy: Rc<Cell<bool>>,
        again: Rc<Cell<bool>>,
    }

    impl Refresher {
        fn refresh(&self) {
            if self.busy.replace(true) {
                self.again.set(true);
                return;
            }
            let this = self.clone();
            spawn_local(async move {
                // A page that cannot be had now is had with the next event; the stream itself tells of a lost server.
                let _ = take_over_regions().await;
                set_timeout(
                    move || {
                        this.busy.set(false);
                        if this.again.replace(false) {
                            this.refresh();
                        }
                    },
                    REST,
                );
            });
        }
    }

    async fn take_over_regions() -> Result<(), JsValue> {
        let window = window();
        let href = window.location().href()?;
        let response: Response = JsFuture::from(window.fetch_with_str(&href)).await?.dyn_into()?;
        if response.redirected() {
            // The session has ended: the sign-in page tells so better than figures that no longer move.
            return window.location().reload();
        }
        let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
        let fresh = DomParser::new()?.parse_from_string(&text, SupportedType::TextHtml)?;
        let regions = document().query_selector_all("[data-live-region]")?;
        for index in 0..regions.length() {
            if let Some(region) = regions.get(index).and_then(|node| node.dyn_into::<Element>().ok()) {
                take_over(&region, &fresh);
            }
        }
        Ok(())
    }

    fn take_over(region: &Element, fresh: &Document) {
        let Some(fresh) = fresh.get_element_by_id(&region.id()) else { return };
        let html = fresh.inner_html();
        if region.inner_html() == html {
            return;
        }
        let open = indices(region, "details", |details| details.has_attribute("open"));
        let active = document().active_element();
        let focus = indices(region, FOCUSABLE, |element| Some(element) == active.as_ref());
        region.set_inner_html(&html);
        for index in open {
            if let Some(details) = nth(region, "details", index) {
                let _ = details.set_attribute("open", "");
            }
        }
        if let Some(element) = focus.first().and_then(|index| nth(region, FOCUSABLE, *index)) {
            let _ = element.unchecked_into::<HtmlElement>().focus();
        }
    }

    /// The positions of the elements among those of a selector that a test finds.
    fn indices(region: &Element, selector: &str, test: impl Fn(&Element) -> bool) -> Vec<u32> {
        let Ok(elements) = region.query_selector_all(selector) else { return Vec::new() };
        (0..elements.length())
            .filter(|index| elements.get(*index).is_some_and(|node| node.dyn_ref::<Element>().is_some_and(&test)))
            .collect()
    }

    fn nth(region: &Element, selector: &str, index: u32) -> Option<Element> {
        region.query_selector_all(selector).ok()?.get(index)?.dyn_into().ok()
    }
}
