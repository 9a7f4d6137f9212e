//! The page in the browser: fetches itself anew, and takes over what has changed.

use std::{cell::Cell, rc::Rc, time::Duration};

use leptos::{prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Document, DomParser, Element, HtmlElement, RequestInit, Response, SupportedType};

use super::{Connection, follow::sleep, morph::morph};

/// Under a burst of events the page is fetched this often, and still shows each well within a second.
const REST: Duration = Duration::from_millis(250);
/// Before a page that could not be had is asked for again.
const RETRY_AFTER: Duration = Duration::from_secs(3);
/// A page takes some 100 ms; an answer that never comes must not hold up those after it.
const PATIENCE_MILLIS: u32 = 10_000;

pub struct Page {
    connection: RwSignal<Connection>,
    /// Events come in.
    listening: Cell<bool>,
    fetching: Cell<bool>,
    /// Something changed since the page was last asked for.
    outdated: Cell<bool>,
    /// The parts that are left alone, by id, as the server sent them.
    left_alone: Vec<(String, String)>,
}

enum Answer {
    Page(Document),
    /// Such as 404: it would be the same the next time, and holds nothing to take over.
    Refusal,
    SignIn {
        href: String,
    },
}

impl Page {
    pub fn new(connection: RwSignal<Connection>) -> Rc<Self> {
        let left_alone = all("[data-left-alone]").into_iter().map(|part| (part.id(), part.inner_html())).collect();
        let (listening, fetching, outdated) = (Cell::new(false), Cell::new(false), Cell::new(false));
        Rc::new(Self { connection, listening, fetching, outdated, left_alone })
    }

    /// Fetches the page once at a time; what changes meanwhile is fetched after a short rest.
    pub fn refresh(self: &Rc<Self>) {
        self.outdated.set(true);
        if self.is_signed_out() || self.fetching.replace(true) {
            return;
        }
        let page = self.clone();
        spawn_local(async move {
            while page.outdated.replace(false) {
                let rest = page.catch_up().await;
                sleep(rest).await;
            }
            page.fetching.set(false);
        });
    }

    /// The connection stands again. It shows once the page has caught up.
    pub fn find(self: &Rc<Self>) {
        self.listening.set(true);
        self.refresh();
    }

    pub fn is_signed_out(&self) -> bool {
        self.connection.with_untracked(|connection| matches!(connection, Connection::SignedOut { .. }))
    }

    /// The connection is lost.
    pub fn lose(&self) {
        self.listening.set(false);
        self.show_lost();
    }

    /// The page is hidden, and hears nothing until it is shown again.
    pub fn set_aside(&self) {
        self.listening.set(false);
        self.show(Connection::Opening);
    }

    /// Asks for the page once, and returns how long to leave the server alone.
    async fn catch_up(&self) -> Duration {
        let answer = fetch().await.and_then(|answer| {
            if let Answer::Page(fresh) = &answer {
                self.take_over(fresh)?;
            }
            Ok(answer)
        });
        match answer {
            Ok(Answer::SignIn { href }) => self.show(Connection::SignedOut { href }),
            Ok(Answer::Page(_) | Answer::Refusal) if self.listening.get() => self.show(Connection::Open),
            Ok(Answer::Page(_) | Answer::Refusal) => {}
            Err(_) => {
                self.show_lost();
                // A hidden page catches up when it is shown.
                self.outdated.set(!document().hidden());
                return RETRY_AFTER;
            }
        }
        REST
    }

    fn take_over(&self, fresh: &Document) -> Result<(), JsValue> {
        let focus = document().active_element();
        for region in all("[data-live-region]") {
            if let Some(fresh) = fresh.get_element_by_id(&region.id()) {
                morph(&region, &fresh)?;
            }
        }
        // What had to be moved has lost it.
        if let Some(focus) = focus.filter(|focus| focus.is_connected() && document().active_element().as_ref() != Some(focus)) {
            focus.unchecked_into::<HtmlElement>().focus()?;
        }
        for (id, html) in &self.left_alone {
            let is_same = fresh.get_element_by_id(id).is_some_and(|fresh| fresh.inner_html() == *html);
            for notice in all(&format!("[data-outdated='{id}']")) {
                notice.toggle_attribute_with_force("hidden", is_same)?;
            }
        }
        Ok(())
    }

    fn show_lost(&self) {
        if !self.connection.with_untracked(|connection| matches!(connection, Connection::Lost { .. })) {
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are whole and far below 2^53")]
            let at_millis = web_sys::js_sys::Date::now() as i64;
            self.show(Connection::Lost { at_millis });
        }
    }

    fn show(&self, connection: Connection) {
        if !self.is_signed_out() && self.connection.with_untracked(|shown| *shown != connection) {
            self.connection.set(connection);
        }
    }
}

/// The page as the server would show it now.
async fn fetch() -> Result<Answer, JsValue> {
    let window = window();
    let request = RequestInit::new();
    request.set_signal(Some(&AbortSignal::timeout_with_u32(PATIENCE_MILLIS)));
    let asked = window.fetch_with_str_and_init(&window.location().href()?, &request);
    let response: Response = JsFuture::from(asked).await?.dyn_into()?;
    if response.redirected() {
        // Only who is not signed in is sent elsewhere.
        return Ok(Answer::SignIn { href: response.url() });
    }
    match response.status() {
        200..=299 => {}
        429 | 500.. => return Err(response.status().into()),
        _ => return Ok(Answer::Refusal),
    }
    let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
    Ok(Answer::Page(DomParser::new()?.parse_from_string(&text, SupportedType::TextHtml)?))
}

fn all(selector: &str) -> Vec<Element> {
    let Ok(found) = document().query_selector_all(selector) else { return Vec::new() };
    (0..found.length()).filter_map(|index| found.get(index)?.dyn_into().ok()).collect()
}
