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
        Connection::Lost { .. } | Connection::SignedOut { .. } => Tone::Warning,
    });
    let sign_in = move || match connection.get() {
        Connection::SignedOut { href } => Some(view! { " "<a href=href rel="external">"Sign in again"</a> }),
        _ => None,
    };
    view! {
        <p class="live-indicator" role="status">
            <StatusDot tone><span>{move || connection.with(words)}{sign_in}</span></StatusDot>
        </p>
    }
}

fn words(connection: &Connection) -> String {
    match connection {
        Connection::Open => "Live".to_owned(),
        Connection::Opening => "Connecting".to_owned(),
        Connection::Lost { at_millis } => match DateTime::from_timestamp_millis(*at_millis) {
            Some(at) => format!("Connection lost, showing data as of {}", time_of_day(at)),
            None => "Connection lost".to_owned(),
        },
        Connection::SignedOut { .. } => "You are signed out.".to_owned(),
    }
}
