//! The newest exchange rates, and what waits for one.

use engine::exchange::{LatestRate, Waiting};
use leptos::prelude::*;

use super::html;
use crate::components::{DataTable, EmptyState, NumberCell, Symbol, Time, count, day};

pub fn rate_table(rates: Vec<LatestRate>) -> String {
    if rates.is_empty() {
        return html(view! {
            <EmptyState title="No rates yet"><p>"Upload the ECB's file above: until then, conversions in other currencies than a partner pays in wait."</p></EmptyState>
        });
    }
    let row = |rate: LatestRate| {
        view! {
            <tr>
                <td><code>{rate.currency}</code></td>
                <NumberCell>{rate.per_euro.normalize().to_string()}</NumberCell>
                <td>{day(rate.day)}</td>
            </tr>
        }
    };
    let rows = rates.into_iter().map(row).collect_view();
    html(view! { <DataTable caption="The newest rate of each currency" columns=vec!["Currency", "#For one euro", "Of"]>{rows}</DataTable> })
}

pub fn waiting_for_rates(waiting: Vec<Waiting>, total: i64) -> String {
    if waiting.is_empty() {
        return html(view! {
            <EmptyState title="No conversion waits for a rate" symbol=Symbol::Check>
                <p>"One that needs a rate which is missing is held here, and rated as soon as the rate is imported."</p>
            </EmptyState>
        });
    }
    let more = total - i64::try_from(waiting.len()).unwrap_or(i64::MAX);
    let row = |it: Waiting| {
        view! {
            <tr>
                <td data-label="Conversion"><a href=format!("/conversions/{}", it.conversion_id)>{it.external_event_id}</a></td>
                <td data-label="Partner"><a href=format!("/partners/{}", it.partner_id)>{it.partner_id.to_string()}</a></td>
                <NumberCell label="Value">{it.value.to_string()}</NumberCell>
                <td data-label="Happened"><Time at=it.occurred_at/></td>
                <td data-label="Missing">{it.reason}</td>
            </tr>
        }
    };
    let rows = waiting.into_iter().map(row).collect_view();
    html(view! {
        <DataTable caption="Conversions that wait for a rate" cards=true columns=vec!["Conversion", "Partner", "#Value", "Happened", "Missing"]>{rows}</DataTable>
        {(more > 0).then(|| view! { <p class="imports__more">"And "{count(more)}" more."</p> })}
    })
}
