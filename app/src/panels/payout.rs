//! Payouts that are paid.

use engine::payout::Payout;
use leptos::prelude::*;

use super::html;
use crate::components::{DataTable, EmptyState, NumberCell, day};

pub fn paid_payouts(payouts: Vec<Payout>) -> String {
    html(view! { <PaidPayouts payouts/> })
}

#[component]
fn PaidPayouts(payouts: Vec<Payout>) -> impl IntoView {
    if payouts.is_empty() {
        return view! { <EmptyState title="No payout here"><p>"Payouts move here once they are marked as paid."</p></EmptyState> }
            .into_any();
    }
    let rows = payouts.into_iter().map(|payout| view! { <PaidRow payout/> }).collect_view();
    view! {
        <DataTable caption="Paid payouts" cards=true columns=vec!["Payout", "Partner", "#Amount", "Statements", "Paid on", "Bank reference", "Marked by", "For the bank"]>
            {rows}
        </DataTable>
    }
    .into_any()
}

#[component]
fn PaidRow(payout: Payout) -> impl IntoView {
    let links =
        payout.statements.into_iter().map(|(id, number)| view! { <a href=format!("/statements/{id}")>{number}</a>" " }).collect_view();
    let (on, by, reference) = payout.paid.map_or_else(Default::default, |paid| (day(paid.on), paid.by, paid.bank_reference));
    view! {
        <tr>
            <td data-label="Payout">{payout.reference}</td>
            <td data-label="Partner"><a href=format!("/partners/{}", payout.partner_id)>{payout.partner_name}</a></td>
            <NumberCell label="Amount">{payout.amount.to_string()}</NumberCell>
            <td data-label="Statements"><span class="books__wrap">{links}</span></td>
            <td data-label="Paid on">{on}</td>
            <td data-label="Bank reference"><span class="books__wrap">{reference}</span></td>
            <td data-label="Marked by">{by}</td>
            <td data-label="For the bank"><a href=format!("/payouts/{}/payout.csv", payout.payout_id) rel="external">"CSV"</a></td>
        </tr>
    }
}
