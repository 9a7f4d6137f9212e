//! Conversions: the lists, and one with all that is known of it.

mod books;
mod refunds;
mod story;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Money,
    conversion::{ConversionState, ConversionType, Source},
};
use engine::conversion::{Detail, Line};
use leptos::prelude::*;

use super::html;
use crate::components::{Badge, DataTable, EmptyState, NumberCell, Time, Tone, count};
pub use refunds::waiting_refunds;

/// A page of the list. `unfiltered`: it shows the newest of all.
pub fn conversion_table(lines: Vec<Line>, unfiltered: bool) -> String {
    if lines.is_empty() {
        return html(view! { <NoConversions unfiltered/> });
    }
    let rows = lines.into_iter().map(|line| view! { <ConversionLine line/> }).collect_view();
    html(view! {
        <DataTable
            caption="Conversions"
            cards=true
            columns=vec!["Time (UTC)", "Conversion", "Partner", "Site", "#Value", "#Commission", "State", "Matched by", "Came by"]
        >
            {rows}
        </DataTable>
    })
}

/// A page of those that earn nothing yet, with the reason and what can be done.
pub fn unattributed_table(lines: Vec<Line>, unfiltered: bool) -> String {
    if lines.is_empty() {
        return html(view! {
            <EmptyState title=if unfiltered { "Every conversion is attributed" } else { "No conversion fits" }>
                {if unfiltered {
                    view! { <p>"What no click claims, what is refused and what waits for an exchange rate appears here."</p> }.into_any()
                } else {
                    view! { <p>"Choose another state or partner, or "<a href="/conversions/unattributed">"show all"</a>"."</p> }.into_any()
                }}
            </EmptyState>
        });
    }
    let rows = lines.into_iter().map(|line| view! { <UnattributedLine line/> }).collect_view();
    html(view! {
        <DataTable
            caption="Conversions that earn nothing yet"
            cards=true
            columns=vec!["Time (UTC)", "Conversion", "Partner", "#Value", "State", "Reason", "What to do"]
        >
            {rows}
        </DataTable>
    })
}

/// Everything about one conversion that is only read.
pub fn conversion(detail: Detail, now: DateTime<Utc>) -> String {
    html(view! { <story::Story detail now/> })
}

#[component]
fn NoConversions(unfiltered: bool) -> impl IntoView {
    view! {
        <EmptyState title=if unfiltered { "No conversions yet" } else { "No conversion fits" }>
            {if unfiltered {
                view! { <p>"They come in by a partner's signed webhook, a postback, the API or an imported file."</p> }.into_any()
            } else {
                view! { <p>"Choose a wider filter, or "<a href="/conversions">"show all"</a>"."</p> }.into_any()
            }}
        </EmptyState>
    }
}

#[component]
fn ConversionLine(line: Line) -> impl IntoView {
    let (tone, state) = state_of(line.state, line.commission_state.as_deref());
    let matched_by = line.matched_by.as_deref().map_or_else(|| "–".to_owned(), |by| by.replace('_', " "));
    let site = match line.site.clone() {
        Some((id, name)) => {
            let others = line.touches - 1;
            view! {
                <a href=format!("/sites/{id}")>{name}</a>
                {(others > 0).then(|| view! { <span class="muted">" and "{count(others)}" before"</span> })}
            }
            .into_any()
        }
        None => view! { <span class="muted">"–"</span> }.into_any(),
    };
    view! {
        <tr data-conversion-id=line.conversion_id.to_string()>
            <td data-label="Time"><Time at=line.occurred_at/></td>
            <td data-label="Conversion"><Name line=line.clone()/></td>
            <td data-label="Partner"><a href=format!("/partners/{}", line.partner_id)>{line.partner_name}</a></td>
            <td data-label="Site">{site}</td>
            <NumberCell label="Value"><Value value=line.value reversed_minor=line.reversed_minor/></NumberCell>
            <NumberCell label="Commission">{line.commission.map_or_else(|| "–".to_owned(), |amount| amount.to_string())}</NumberCell>
            <td data-label="State"><Badge tone title=line.state_reason.unwrap_or_default()>{state}</Badge></td>
            <td data-label="Matched by" class="muted">{matched_by}</td>
            <td data-label="Came by" class="muted">{source_word(line.source)}</td>
        </tr>
    }
}

#[component]
fn UnattributedLine(line: Line) -> impl IntoView {
    let (tone, state) = state_of(line.state, None);
    let (what, href) = match line.state {
        ConversionState::Held => ("See what is missing", format!("/conversions/{}", line.conversion_id)),
        _ => ("Look and attribute", format!("/conversions/{}#by-hand", line.conversion_id)),
    };
    let label = format!("{what}: {}", line.external_event_id);
    view! {
        <tr data-conversion-id=line.conversion_id.to_string()>
            <td data-label="Time"><Time at=line.occurred_at/></td>
            <td data-label="Conversion"><Name line=line.clone()/></td>
            <td data-label="Partner"><a href=format!("/partners/{}", line.partner_id)>{line.partner_name}</a></td>
            <NumberCell label="Value"><Value value=line.value reversed_minor=line.reversed_minor/></NumberCell>
            <td data-label="State"><Badge tone>{state}</Badge></td>
            <td data-label="Reason" class="conversions__reason">{line.state_reason.unwrap_or_else(|| "–".to_owned())}</td>
            <td data-label="What to do"><a href=href aria-label=label>{what}</a></td>
        </tr>
    }
}

/// The partner's own id of it, which is what people search for, and its type.
#[component]
fn Name(line: Line) -> impl IntoView {
    view! {
        <span class="two-lines">
            <a class="conversions__id" href=format!("/conversions/{}", line.conversion_id) title=line.external_event_id.clone()>
                {line.external_event_id.clone()}
            </a>
            <span class="muted">{type_word(line.conversion_type)}</span>
        </span>
    }
}

/// What it was worth, and what refunds took of it.
#[component]
fn Value(value: Money, reversed_minor: i64) -> impl IntoView {
    let reversed = (reversed_minor > 0).then(|| format!("{} refunded", Money::new(reversed_minor, value.currency)));
    view! {
        <span class="two-lines">
            <span>{value.to_string()}</span>
            {reversed.map(|reversed| view! { <span class="muted">{reversed}</span> })}
        </span>
    }
}

/// One word for where a conversion stands: the commission's state once there is one.
pub(super) fn state_of(state: ConversionState, commission: Option<&str>) -> (Tone, String) {
    match (state, commission) {
        (ConversionState::Unattributed, _) => (Tone::Warning, "unattributed".to_owned()),
        (ConversionState::Expired, _) => (Tone::Neutral, "expired".to_owned()),
        (ConversionState::Refused, _) => (Tone::Bad, "refused".to_owned()),
        (ConversionState::Held, _) => (Tone::Warning, "held".to_owned()),
        (ConversionState::Attributed, None) => (Tone::Accent, "attributed".to_owned()),
        (ConversionState::Attributed, Some(state)) => {
            let tone = match state {
                "approved" | "invoiced" | "paid" => Tone::Good,
                "reversed" => Tone::Bad,
                _ => Tone::Accent,
            };
            (tone, state.to_owned())
        }
    }
}

pub fn type_word(conversion_type: ConversionType) -> &'static str {
    match conversion_type {
        ConversionType::Lead => "Lead",
        ConversionType::Sale => "Sale",
        ConversionType::Renewal => "Renewal",
        ConversionType::Upgrade => "Upgrade",
        ConversionType::Custom => "Custom event",
    }
}

fn source_word(source: Source) -> &'static str {
    match source {
        Source::Webhook => "webhook",
        Source::Api => "API",
        Source::Postback => "postback",
        Source::Csv => "file",
    }
}

/// A length of time in its two largest units: `3 d 4 h`, `12 min 5 s`.
pub fn span(length: TimeDelta) -> String {
    let seconds = length.num_seconds().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let units = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds % 60, "s")];
    let first = units.iter().position(|(number, _)| *number > 0).unwrap_or(units.len() - 1);
    let shown = units[first..].iter().take(2).enumerate().filter(|(index, (number, _))| *index == 0 || *number > 0);
    shown.map(|(_, (number, unit))| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_names_its_two_largest_units() {
        let words = |seconds| span(TimeDelta::seconds(seconds));
        assert_eq!([words(0), words(59), words(725), words(3_600), words(273_900)], ["0 s", "59 s", "12 min 5 s", "1 h", "3 d 4 h"]);
        assert_eq!(words(86_405), "1 d");
    }
}
