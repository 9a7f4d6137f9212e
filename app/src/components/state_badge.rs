//! Where a webhook delivery stands.

use domain::webhook::DeliveryState;
use leptos::prelude::*;

use super::{Badge, Tone};

#[component]
pub fn StateBadge(state: DeliveryState) -> impl IntoView {
    let (tone, word) = match state {
        DeliveryState::Received => (Tone::Accent, "received"),
        DeliveryState::Processed => (Tone::Good, "processed"),
        DeliveryState::Ignored => (Tone::Neutral, "ignored"),
        DeliveryState::Retrying => (Tone::Warning, "retrying"),
        DeliveryState::Dead => (Tone::Bad, "given up"),
    };
    view! { <Badge tone>{word}</Badge> }
}
