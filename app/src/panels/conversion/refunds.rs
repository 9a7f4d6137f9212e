//! Refunds whose sale has not come.

use engine::reversal::{Waiting, WaitingList};
use leptos::prelude::*;

use crate::{
    components::{DataTable, NumberCell, Panel, Time, count},
    panels::html,
};

/// The refunds that wait for their sale; nothing at all if none does.
pub fn waiting_refunds(list: WaitingList) -> String {
    let WaitingList { reversals, total } = list;
    if reversals.is_empty() {
        return String::new();
    }
    let shown = reversals.len();
    let all_shown = i64::try_from(shown) == Ok(total);
    let hint = if all_shown { format!("{total} in all, the oldest first") } else { format!("the oldest {shown} of {}", count(total)) };
    let rows = reversals.into_iter().map(|refund| view! { <Line refund/> }).collect_view();
    html(view! {
        <Panel title="Refunds that wait for their sale" hint flush=true>
            <DataTable
                caption="Refunds that wait for their sale"
                cards=true
                columns=vec!["Received (UTC)", "Partner", "Sale", "#Amount", "As it came in"]
            >
                {rows}
            </DataTable>
        </Panel>
    })
}

#[component]
fn Line(refund: Waiting) -> impl IntoView {
    let amount = refund.amount.map_or_else(|| "all".to_owned(), |amount| amount.to_string());
    let delivery = match refund.webhook_delivery_id {
        Some(id) => {
            let label = format!("Its delivery: refund of {}", refund.conversion_external_event_id);
            view! { <a href=format!("/deliveries/{id}") aria-label=label>"Its delivery"</a> }.into_any()
        }
        None => view! { <span class="muted">"–"</span> }.into_any(),
    };
    view! {
        <tr data-reversal-id=refund.reversal_id.to_string()>
            <td data-label="Received"><Time at=refund.received_at/></td>
            <td data-label="Partner"><a href=format!("/partners/{}", refund.partner_id)>{refund.partner_name}</a></td>
            <td data-label="Sale"><code>{refund.conversion_external_event_id}</code></td>
            <NumberCell label="Amount">{amount}</NumberCell>
            <td data-label="As it came in">{delivery}</td>
        </tr>
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use domain::Money;

    use super::*;

    #[test]
    fn waiting_refunds_are_counted_and_name_their_sale_and_none_shows_nothing() {
        assert_eq!(waiting_refunds(WaitingList::default()), "");
        let refund = Waiting {
            reversal_id: "00000000-0000-0000-0000-000000000000".parse().unwrap(),
            partner_id: "supabase".parse().unwrap(),
            partner_name: "Supabase".to_owned(),
            conversion_external_event_id: "inv_8812".to_owned(),
            amount: Some(Money::new(500, "EUR".parse().unwrap())),
            received_at: "2026-11-22T12:00:00Z".parse().unwrap(),
            webhook_delivery_id: None,
        };
        let html = waiting_refunds(WaitingList { reversals: vec![refund], total: 70 });
        for part in ["the oldest 1 of 70", "inv_8812", "€5.00", "Supabase"] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
    }
}
