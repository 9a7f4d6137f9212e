//! The partners at a glance.

use leptos::prelude::*;

use crate::{
    api::{PartnerRow, list_partners},
    components::{Badge, DataTable, EmptyState, ErrorNote, NumberCell, PageHeader, Panel, TableSkeleton, Tone, percent_of_decimal},
};

#[component]
pub fn PartnersPage() -> impl IntoView {
    let partners = Resource::new(|| (), |()| list_partners());
    view! {
        <PageHeader title="Partners" lead="Who pays for conversions, and on which terms."/>
        <Panel title="All partners" hint="by tier and name" flush=true>
            <Transition fallback=|| view! { <TableSkeleton/> }>
                {move || Suspend::new(async move {
                    match partners.await {
                        Ok(partners) => view! { <PartnerTable partners/> }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Transition>
        </Panel>
    }
}

#[component]
fn PartnerTable(partners: Vec<PartnerRow>) -> impl IntoView {
    if partners.is_empty() {
        return view! {
            <EmptyState title="There are no partners yet">
                <p>"Partners are imported from the files in "<code>"partners/"</code>" when the server starts."</p>
            </EmptyState>
        }
        .into_any();
    }
    let rows = partners.into_iter().map(|partner| view! { <PartnerLine partner/> }).collect_view();
    view! {
        <DataTable
            caption="Partners"
            cards=true
            columns=vec!["Name", "Category", "Tier", "State", "#Commission rate", "#Attribution window", "Webhook secret"]
        >
            {rows}
        </DataTable>
    }
    .into_any()
}

#[component]
fn PartnerLine(partner: PartnerRow) -> impl IntoView {
    let rate = partner.commission_rate.map_or_else(|| "no terms yet".to_owned(), percent_of_decimal);
    let window = partner.attribution_window_hours.map_or_else(|| "–".to_owned(), |hours| format!("{hours} h"));
    let (secret_tone, secret) = match partner.webhook_secrets {
        0 => (Tone::Warning, "not set"),
        1 => (Tone::Good, "set"),
        _ => (Tone::Accent, "rotating"),
    };
    let (state_tone, state) = if partner.active { (Tone::Good, "active") } else { (Tone::Neutral, "inactive") };
    view! {
        <tr>
            <td data-label="Name"><a class="partners__name" href=format!("/partners/{}", partner.partner_id)>{partner.display_name}</a></td>
            <td data-label="Category">{partner.category}</td>
            <td data-label="Tier">{format!("Tier {}", partner.tier)}</td>
            <td data-label="State"><Badge tone=state_tone>{state}</Badge></td>
            <NumberCell label="Commission rate">{rate}</NumberCell>
            <NumberCell label="Attribution window">{window}</NumberCell>
            <td data-label="Webhook secret"><Badge tone=secret_tone>{secret}</Badge></td>
        </tr>
    }
}
