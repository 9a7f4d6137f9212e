//! Whether the page is up to date.

use chrono::DateTime;
use leptos::prelude::*;

use super::{StatusDot, Tone, time_of_day};
use crate::live::{Connection, use_live};

/// `Live`, or since when the page hears nothing and how old its figures are therefore.
#[component]
pub fn LiveIndicator() -> impl IntoView {
    let connection = use_live().connection;
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
