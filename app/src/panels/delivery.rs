//! What became of one webhook delivery.

use std::collections::BTreeMap;

use domain::{conversion::Source, webhook::DeliveryState};
use engine::{inbound, webhook::Delivery};
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
            <div><dt>"Came by"</dt><dd class="mono">{way_in(&delivery)}</dd></div>
            <div><dt>"Message"</dt><dd class="mono">{delivery.message_id}</dd></div>
            <div><dt>"Delivery"</dt><dd class="mono">{delivery.webhook_delivery_id.to_string()}</dd></div>
            <div><dt>"Tries"</dt><dd>{delivery.attempts.to_string()}</dd></div>
            <div><dt>"Repeats"</dt><dd>{delivery.duplicates.to_string()}</dd></div>
        </dl>
    }
}

/// Where it was sent to.
fn way_in(delivery: &Delivery) -> String {
    let partner = &delivery.partner_id;
    match inbound::source_of(&delivery.event_path) {
        Source::Webhook => format!("/webhooks/{partner}/{}", delivery.event_path),
        Source::Postback => format!("/postback/{partner}"),
        Source::Csv => "a CSV file, on the page of imports".to_owned(),
        Source::Api => match delivery.event_type.as_deref() {
            Some("conversion.created") => "/api/v1/conversions".to_owned(),
            Some("conversion.reversed") => "/api/v1/reversals".to_owned(),
            _ => "/api/v1/successes".to_owned(),
        },
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn delivery(event_path: &str, event_type: &str) -> Delivery {
        Delivery {
            webhook_delivery_id: "00000000-0000-0000-0000-000000000000".parse().unwrap(),
            partner_id: "acme".parse().unwrap(),
            event_path: event_path.to_owned(),
            event_type: Some(event_type.to_owned()),
            message_id: "msg_1".to_owned(),
            received_at: Default::default(),
            processed_at: None,
            state: DeliveryState::Received,
            attempts: 0,
            duplicates: 0,
            next_attempt_at: Default::default(),
            outcome: None,
            last_error: None,
        }
    }

    #[test]
    fn a_delivery_says_where_it_was_sent_to() {
        for (path, kind, way) in [
            ("events", "conversion.created", "/webhooks/acme/events"),
            ("postback", "conversion.created", "/postback/acme"),
            ("api", "conversion.created", "/api/v1/conversions"),
            ("api", "conversion.reversed", "/api/v1/reversals"),
            ("api", "success.achieved", "/api/v1/successes"),
            ("csv", "conversion.reversed", "a CSV file, on the page of imports"),
        ] {
            assert_eq!(way_in(&delivery(path, kind)), way);
        }
    }
}
