//! Whether the page is up to date.

use chrono::DateTime;
use leptos::prelude::*;

use super::{StatusDot, Tone, time_of_day};
use crate::live::Connection;

/// `Live`, or since when the page hears nothing and how old its figures are therefore. It also keeps the page's live regions up to
/// date: at each event whose topic is among `topics`, which are parted by blanks.
#[island]
pub fn LiveIndicator(#[prop(into)] topics: String) -> impl IntoView {
    let connection = RwSignal::new(Connection::Opening);
    #[cfg(feature = "hydrate")]
    crate::live::follow(topics, connection);
    #[cfg(not(feature = "hydrate"))]
    let _ = topics;
    let tone = Signal::derive(move || match connection.get() {
        Connection::Open => Tone::Good,
        Connection::Opening => Tone::Neutral,
        Connection::Lost { .. } => Tone::Warning,
    });
    let text = move || match connection.get() {
        Connection::Open => "Live".to_owned(),
        Connection::Opening => "Connecting".to_owned(),
        Connection::Lost { at_millis } => match DateTime::from_timestamp_millis(at_millis) {
            Some(at) => format!("Connection lost, showing data as of {}", time_of_day(at)),
            None => "Connection lost".to_owned(),
        },
    };
    view! { <p class="live-indicator" role="status"><StatusDot tone>{text}</StatusDot></p> }
}
