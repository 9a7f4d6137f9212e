//! The money of one conversion: the receipt step by step, the bookings, refunds, and successes.

use domain::{
    Currency, Money,
    ledger::{Account, TransactionKind},
};
use engine::conversion::{Booking, Commission, Reversal, Success};
use leptos::prelude::*;

use crate::components::{Badge, DataTable, EmptyState, NumberCell, Panel, Time, Tone, count, percent_of_decimal};

#[component]
pub fn Receipt(commission: Option<Commission>) -> impl IntoView {
    let Some(commission) = commission else {
        return view! {
            <Panel title="Receipt"><EmptyState title="Nothing is rated yet"><p>"What is not attributed earns nothing."</p></EmptyState></Panel>
        }
        .into_any();
    };
    let receipt = commission.receipt;
    let steps = receipt.steps.into_iter().map(|step| view! { <li>{step}</li> }).collect_view();
    let exchange = match receipt.exchange_rate {
        None => format!("none: the value is in {}, the payout currency", receipt.currency),
        Some(rate) => format!("{rate}, the reference rates published on {}", rate.day),
    };
    let metrics: Vec<String> =
        receipt.metrics.iter().map(|metric| format!("{} × {}", metric.metric_id, metric.value_multiplier.normalize())).collect();
    let metrics = if metrics.is_empty() { "none yet".to_owned() } else { metrics.join(", ") };
    view! {
        <Panel title="Receipt" hint="every step, so that anyone can repeat it">
            <div class="receipt">
                <ol class="receipt__steps" aria-label="The arithmetic, step by step">{steps}</ol>
                <dl class="facts">
                    <div><dt>"Earned"</dt><dd><strong>{commission.amount.to_string()}</strong></dd></div>
                    <div><dt>"Terms"</dt><dd>"version "{receipt.terms_version}", "{percent_of_decimal(receipt.commission_rate)}" of the value"</dd></div>
                    <div><dt>"Cap"</dt><dd>"× "{receipt.multiplier_cap.normalize().to_string()}</dd></div>
                    <div><dt>"Successes"</dt><dd>{metrics}</dd></div>
                    <div><dt>"Exchange rate"</dt><dd>{exchange}</dd></div>
                    <div><dt>"Rounding"</dt><dd>{receipt.rounding}</dd></div>
                    <div><dt>"Rated"</dt><dd><Time at=commission.rated_at/></dd></div>
                    <div><dt>"Commission"</dt><dd class="mono">{commission.commission_id.to_string()}</dd></div>
                </dl>
            </div>
        </Panel>
    }
    .into_any()
}

#[component]
pub fn Ledger(bookings: Vec<Booking>) -> impl IntoView {
    if bookings.is_empty() {
        return view! { <Panel title="Ledger"><EmptyState title="Nothing is booked"/></Panel> }.into_any();
    }
    let rows = bookings.into_iter().map(booking_rows).collect_view();
    view! {
        <Panel title="Ledger" hint="debits and credits of each transaction sum to zero; nothing is ever changed" flush=true>
            <DataTable
                caption="Ledger entries of this conversion"
                cards=true
                columns=vec!["Booked (UTC)", "Transaction", "Account", "#Debit", "#Credit", "Seal"]
            >
                {rows}
            </DataTable>
        </Panel>
    }
    .into_any()
}

fn booking_rows(booking: Booking) -> Vec<AnyView> {
    let Booking { kind, booked_at, currency, entries, seal_position, ledger_transaction_id } = booking;
    let row = move |entry: domain::ledger::Entry| {
        let money = |minor: i64| if minor > 0 { Money::new(minor, currency).to_string() } else { String::new() };
        let (debit, credit) = (money(entry.amount_minor), money(-entry.amount_minor));
        let book = currency.code();
        let seal = match seal_position {
            Some(position) => view! { <span>{format!("{book} no. {}", count(position))}</span> }.into_any(),
            None => view! { <span class="muted">"in a moment"</span> }.into_any(),
        };
        view! {
            <tr>
                <td data-label="Booked"><Time at=booked_at/></td>
                <td data-label="Transaction" title=ledger_transaction_id.to_string()>{kind_words(kind)}</td>
                <td data-label="Account">{account_words(entry.account)}</td>
                <NumberCell label="Debit">{debit}</NumberCell>
                <NumberCell label="Credit">{credit}</NumberCell>
                <td data-label="Seal">{seal}</td>
            </tr>
        }
        .into_any()
    };
    entries.into_iter().map(row).collect()
}

#[component]
pub fn Reversals(reversals: Vec<Reversal>, currency: Currency) -> impl IntoView {
    if reversals.is_empty() {
        return view! { <Panel title="Refunds"><p class="muted">"Nothing was refunded."</p></Panel> }.into_any();
    }
    let row = |reversal: Reversal| {
        let asked = reversal.asked_minor.map_or_else(|| "all that was left".to_owned(), |minor| Money::new(minor, currency).to_string());
        view! {
            <tr>
                <td data-label="Time"><Time at=reversal.occurred_at/></td>
                <td data-label="Partner's id"><code class="conversions__id">{reversal.external_event_id}</code></td>
                <NumberCell label="Asked">{asked}</NumberCell>
                <NumberCell label="Taken back">{Money::new(reversal.applied_minor, currency).to_string()}</NumberCell>
                <td data-label="Reason" class="conversions__reason">{reversal.reason.unwrap_or_else(|| "–".to_owned())}</td>
            </tr>
        }
    };
    let rows = reversals.into_iter().map(row).collect_view();
    view! {
        <Panel title="Refunds" hint="of the conversion's value" flush=true>
            <DataTable caption="Refunds" cards=true columns=vec!["Time (UTC)", "Partner's id", "#Asked", "#Taken back", "Reason"]>{rows}</DataTable>
        </Panel>
    }
    .into_any()
}

#[component]
pub fn Successes(successes: Vec<Success>) -> impl IntoView {
    if successes.is_empty() {
        return view! { <Panel title="Successes"><p class="muted">"Its developers had no success with this partner yet."</p></Panel> }
            .into_any();
    }
    let row = |success: Success| {
        let (tone, counted) = if success.counted { (Tone::Good, "counted") } else { (Tone::Neutral, "not counted") };
        view! {
            <tr>
                <td data-label="Time"><Time at=success.occurred_at/></td>
                <td data-label="Metric"><code>{success.metric_id}</code></td>
                <td data-label="State">{success.state}</td>
                <td data-label="Here"><Badge tone>{counted}</Badge></td>
            </tr>
        }
    };
    let rows = successes.into_iter().map(row).collect_view();
    view! {
        <Panel title="Successes" hint="of its developers with this partner; each metric counts once" flush=true>
            <DataTable caption="Successes" cards=true columns=vec!["Time (UTC)", "Metric", "State", "Here"]>{rows}</DataTable>
        </Panel>
    }
    .into_any()
}

fn kind_words(kind: TransactionKind) -> &'static str {
    match kind {
        TransactionKind::Commission => "Commission",
        TransactionKind::Bonus => "Success bonus",
        TransactionKind::Adjustment => "Adjustment",
        TransactionKind::Reversal => "Reversal",
        TransactionKind::Approval => "Approval",
        TransactionKind::Payout => "Payout",
        TransactionKind::WriteOff => "Write-off",
    }
}

fn account_words(account: Account) -> &'static str {
    match account {
        Account::PartnerReceivable => "Receivable from the partner",
        Account::HeldCommission => "Held commission",
        Account::EarnedCommission => "Earned commission",
        Account::Cash => "Cash",
        Account::WriteOff => "Write-off",
    }
}
