//! What became of one webhook delivery.

use std::collections::BTreeMap;

use domain::webhook::DeliveryState;
use engine::webhook::Delivery;
use leptos::prelude::*;

use super::html;
use crate::components::{Notice, Panel, StateBadge, Time, Tone};

/// Where a delivery stands, what happened to it when, and the headers that were kept.
pub fn delivery(delivery: Delivery, headers: BTreeMap<String, String>) -> String {
    let moments = delivery.clone();
    html(view! {
        <div class="stack">
            <Outcome delivery=delivery.clone()/>
            <div class="columns">
                <Panel title="Delivery"><Facts delivery/></Panel>
                <Panel title="What happened"><Timeline delivery=moments/></Panel>
            </div>
            <Panel title="Headers" hint="signatures are not kept"><Headers headers/></Panel>
        </div>
    })
}

#[component]
fn Headers(headers: BTreeMap<String, String>) -> impl IntoView {
    if headers.is_empty() {
        return view! { <p class="muted">"It came without headers that are kept, as postbacks do."</p> }.into_any();
    }
    let rows = headers
        .into_iter()
        .map(|(name, value)| view! { <div><dt class="mono">{name}</dt><dd class="mono">{value}</dd></div> })
        .collect_view();
    view! { <dl class="facts">{rows}</dl> }.into_any()
}

#[component]
fn Outcome(delivery: Delivery) -> impl IntoView {
    let tone = match delivery.state {
        DeliveryState::Dead => Tone::Bad,
        DeliveryState::Retrying => Tone::Warning,
        DeliveryState::Processed => Tone::Good,
        DeliveryState::Received | DeliveryState::Ignored => Tone::Neutral,
    };
    let words = match delivery.state {
        DeliveryState::Dead => "Given up",
        DeliveryState::Retrying if delivery.last_error.is_none() => "It will be looked at again",
        DeliveryState::Retrying => "It failed and will be tried again",
        DeliveryState::Processed => "Processed",
        DeliveryState::Ignored => "Without effect, on purpose",
        DeliveryState::Received => "Waits for a worker",
    };
    let reason = delivery.last_error.or(delivery.outcome).filter(|_| delivery.state != DeliveryState::Received);
    view! {
        <Notice tone>
            <strong>{words}</strong>
            {reason.map(|reason| format!(": {reason}"))}
        </Notice>
    }
}

#[component]
fn Facts(delivery: Delivery) -> impl IntoView {
    let partner = delivery.partner_id.to_string();
    view! {
        <dl class="facts">
            <div><dt>"State"</dt><dd><StateBadge state=delivery.state/></dd></div>
            <div><dt>"Partner"</dt><dd><a href=format!("/partners/{partner}")>{partner.clone()}</a></dd></div>
            <div><dt>"Endpoint"</dt><dd class="mono">{format!("/webhooks/{partner}/{}", delivery.event_path)}</dd></div>
            <div><dt>"Message"</dt><dd class="mono">{delivery.message_id}</dd></div>
            <div><dt>"Delivery"</dt><dd class="mono">{delivery.webhook_delivery_id.to_string()}</dd></div>
            <div><dt>"Tries"</dt><dd>{delivery.attempts.to_string()}</dd></div>
            <div><dt>"Repeats"</dt><dd>{delivery.duplicates.to_string()}</dd></div>
        </dl>
    }
}

/// The moments that are known: only the last try is kept.
#[component]
fn Timeline(delivery: Delivery) -> impl IntoView {
    let tries = match delivery.attempts {
        1 => "1 try".to_owned(),
        tries => format!("{tries} tries"),
    };
    let end = match delivery.state {
        DeliveryState::Received if delivery.processed_at.is_some() => "Processed before; replayed since",
        DeliveryState::Processed => "Processed",
        DeliveryState::Ignored => "Ignored",
        DeliveryState::Dead => "Given up",
        DeliveryState::Received | DeliveryState::Retrying => "Tried",
    };
    let next = (delivery.state == DeliveryState::Retrying).then_some(delivery.next_attempt_at);
    view! {
        <ol class="timeline">
            <li><Time at=delivery.received_at/><span>"Received, checked and stored"</span></li>
            {delivery.processed_at.map(|at| view! { <li><Time at/><span>{end}" after "{tries.clone()}</span></li> })}
            {next.map(|at| view! { <li data-next="true"><Time at/><span>"Next try, after "{tries}</span></li> })}
        </ol>
    }
}
