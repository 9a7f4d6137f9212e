//! What was turned away at the door, by partner, path and reason.

use domain::PartnerId;
use engine::webhook::{REFUSALS_DAYS, Reason, Refused};
use leptos::prelude::*;

use super::html;
use crate::components::{DataTable, Notice, NumberCell, Panel, Time, Tone, count};

/// Empty if nothing was; `None` if it cannot be told at the moment.
pub fn refusals(refused: Option<Vec<Refused>>) -> String {
    match refused {
        Some(refused) if refused.is_empty() => String::new(),
        Some(refused) => html(view! { <Refusals refused/> }),
        None => html(view! {
            <Notice tone=Tone::Warning>"What was refused at the door cannot be shown at the moment. Reload the page later."</Notice>
        }),
    }
}

#[component]
fn Refusals(refused: Vec<Refused>) -> impl IntoView {
    let rows = refused.into_iter().map(|refused| view! { <Line refused/> }).collect_view();
    let hint = format!("the last {REFUSALS_DAYS} days; nothing is stored of them");
    view! {
        <Panel title="Refused at the door" hint flush=true>
            <DataTable caption="What was refused, the newest first" cards=true columns=vec!["Partner", "Sent to", "Why", "#Times", "Last"]>
                {rows}
            </DataTable>
        </Panel>
    }
}

#[component]
fn Line(refused: Refused) -> impl IntoView {
    let Refused { partner_id, path, reason, count: times, last_at } = refused;
    view! {
        <tr>
            <td data-label="Partner"><a href=format!("/partners/{partner_id}")>{partner_id.to_string()}</a></td>
            <td data-label="Sent to"><code>{address(&partner_id, path, reason)}</code></td>
            <td data-label="Why" class="partner__wrap">{words(reason)}</td>
            <NumberCell label="Times">{count(i64::try_from(times).unwrap_or(i64::MAX))}</NumberCell>
            <td data-label="Last"><Time at=last_at/></td>
        </tr>
    }
}

fn address(partner_id: &PartnerId, path: Option<String>, reason: Reason) -> String {
    match (reason, path) {
        (Reason::WrongToken, _) => format!("/postback/{partner_id}"),
        (_, Some(path)) => format!("/webhooks/{partner_id}/{path}"),
        (_, None) => format!("/webhooks/{partner_id}/…"),
    }
}

/// What happened, and what to do.
fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::UnknownPath => "There is no such path. Tell the partner one of the endpoints on its page.",
        Reason::TooLarge => "The body has more than 1 MiB.",
        Reason::NoSecret => "No secret is active, or one cannot be used. Make one on the partner's page.",
        Reason::WrongSignature => "No signature matches. The partner signs with another secret, or changes the body after signing.",
        Reason::Header => "A header of the signature is missing or malformed.",
        Reason::TooOld => "The time of signing is more than five minutes ago. The partner's clock may be wrong.",
        Reason::TooFarInFuture => "The time of signing lies in the future. The partner's clock may be wrong.",
        Reason::MalformedBody => "The body is no JSON object with a type.",
        Reason::WrongToken => "The token is missing or wrong. Make one for postbacks on the partner's page.",
    }
}
