//! The event source: open while the page is shown, and made anew whenever it is lost.

use std::{future::ready, rc::Rc, time::Duration};

use domain::live::LiveEvent;
use futures::{
    StreamExt,
    channel::{mpsc, oneshot},
    stream,
};
use gloo_net::eventsource::{
    State,
    futures::{EventSource, EventSourceSubscription},
};
use leptos::{prelude::*, task::spawn_local};

use super::{Connection, page::Page};

/// After an answer that the browser takes for final, such as a proxy's 502.
const RETRY_AFTER: Duration = Duration::from_secs(3);
/// The server sends something every 15 s: two ticks without anything between them mean that the connection broke without a word.
const TICK: Duration = Duration::from_secs(25);

enum Heard {
    Opened,
    Broken,
    Message(String),
    /// The page was shown or hidden.
    Visibility,
    Tick,
}

/// Listens for events of the given topics until the session ends, but only while the page is shown: a browser has six connections to a
/// server, which tabs in the background must not use up.
pub fn follow(topics: String, connection: RwSignal<Connection>) {
    let page = Page::new(connection);
    let mut around = listen_around();
    spawn_local(async move {
        while !page.is_signed_out() {
            if document().hidden() {
                page.set_aside();
                around.next().await;
                continue;
            }
            let _ = listen(&topics, &page, &mut around).await;
            if !document().hidden() {
                page.lose();
                // Whether the session has ended shows in the page's answer alone.
                page.refresh();
                sleep(RETRY_AFTER).await;
            }
        }
    });
}

/// Follows one event source until it is closed for good, falls silent, or the page is hidden. A break shows as an `error` event, after
/// which the browser connects again by itself and `open` follows.
async fn listen(topics: &str, page: &Rc<Page>, around: &mut mpsc::UnboundedReceiver<Heard>) -> Option<()> {
    let mut source = EventSource::new("/events").ok()?;
    let opened = hear(&mut source, "open", |_| Heard::Opened)?;
    let broken = hear(&mut source, "error", |_| Heard::Broken)?;
    let messages = hear(&mut source, "message", Heard::Message)?;
    let mut all = stream::select(stream::select(opened, broken), stream::select(messages, around));
    let mut quiet = false;
    loop {
        let heard = all.next().await?;
        match &heard {
            // What happened since the page was rendered, or since the connection was lost, was missed.
            Heard::Opened => page.find(),
            Heard::Message(text) if LiveEvent::concerns(text, topics) => page.refresh(),
            Heard::Broken if source.state() == State::Closed => return None,
            Heard::Broken => page.lose(),
            Heard::Visibility if document().hidden() => return None,
            Heard::Tick if quiet || page.is_signed_out() => return None,
            Heard::Message(_) | Heard::Visibility | Heard::Tick => {}
        }
        quiet = matches!(heard, Heard::Tick);
    }
}

fn hear(source: &mut EventSource, kind: &str, read: fn(String) -> Heard) -> Option<impl stream::Stream<Item = Heard> + Unpin + use<>> {
    let events: EventSourceSubscription = source.subscribe(kind).ok()?;
    // Errors repeat what the event `error` says.
    Some(events.filter_map(move |event| ready(event.ok().map(|(_, message)| read(message.data().as_string().unwrap_or_default())))))
}

/// What goes on around the event source, for as long as the page is open.
fn listen_around() -> mpsc::UnboundedReceiver<Heard> {
    let (sender, around) = mpsc::unbounded();
    let ticks = sender.clone();
    window_event_listener_untyped("visibilitychange", move |_| {
        let _ = sender.unbounded_send(Heard::Visibility);
    });
    set_interval(
        move || {
            let _ = ticks.unbounded_send(Heard::Tick);
        },
        TICK,
    );
    around
}

pub(super) async fn sleep(duration: Duration) {
    let (done, waiting) = oneshot::channel();
    set_timeout(
        move || {
            let _ = done.send(());
        },
        duration,
    );
    let _ = waiting.await;
}
