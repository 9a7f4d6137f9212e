//! The history of a partner's terms, and the form for new ones.

use domain::PartnerId;
use leptos::prelude::*;
use rust_decimal::Decimal;

use crate::{
    api::{AddTerms, PartnerDetail, Phase, TermsRow},
    components::{
        Badge, DataTable, EmptyState, FormError, FormField, Notice, NumberCell, Panel, SubmitButton, Time, Tone, about, failure,
        percent_of_decimal,
    },
};

const FIELDS: &[&str] = &[
    "commission_rate",
    "success_bonus_rate",
    "multiplier_cap",
    "attribution_window_hours",
    "hold_period_days",
    "adjustment_window_days",
    "payout_currency",
    "effective_from",
];

#[component]
pub fn TermsPanels(partner: PartnerDetail, add_terms: ServerAction<AddTerms>, may_operate: bool) -> impl IntoView {
    let newest = partner.terms.first().cloned();
    let partner_id = partner.partner_id;
    view! {
        <Panel title="Terms" hint="a conversion keeps the terms in force when it happened" flush=true>
            <History terms=partner.terms/>
        </Panel>
        {may_operate.then(|| view! {
            <Panel title="New terms"><TermsForm partner_id newest add_terms/></Panel>
        })}
    }
}

#[component]
fn History(terms: Vec<TermsRow>) -> impl IntoView {
    if terms.is_empty() {
        return view! { <EmptyState title="No terms yet"><p>"Without terms no conversion can be rated."</p></EmptyState> }.into_any();
    }
    let rows = terms.into_iter().map(|terms| view! { <TermsLine terms/> }).collect_view();
    view! {
        <DataTable
            caption="Versions of the terms, the newest first"
            cards=true
            columns=vec!["Version", "In force from", "#Commission", "#Bonus", "#Cap", "#Window", "#Hold", "#Adjustments", "Currency", "Made by"]
        >
            {rows}
        </DataTable>
    }
    .into_any()
}

#[component]
fn TermsLine(terms: TermsRow) -> impl IntoView {
    let (tone, phase) = match terms.phase {
        Phase::Coming => (Tone::Accent, "coming"),
        Phase::InForce => (Tone::Good, "in force"),
        Phase::Past => (Tone::Neutral, "past"),
    };
    // Terms that ship with a partner's file are in force for all of its history.
    let from = if terms.effective_from.timestamp() <= 0 {
        view! { <span>"the beginning"</span> }.into_any()
    } else {
        view! { <Time at=terms.effective_from/> }.into_any()
    };
    view! {
        <tr>
            <td data-label="Version"><span class="row">{terms.version.to_string()}<Badge tone>{phase}</Badge></span></td>
            <td data-label="In force from">{from}</td>
            <NumberCell label="Commission">{percent_of_decimal(terms.commission_rate)}</NumberCell>
            <NumberCell label="Bonus">{percent_of_decimal(terms.success_bonus_rate)}</NumberCell>
            <NumberCell label="Cap">{format!("× {}", terms.multiplier_cap)}</NumberCell>
            <NumberCell label="Window">{format!("{} h", terms.attribution_window_hours)}</NumberCell>
            <NumberCell label="Hold">{format!("{} d", terms.hold_period_days)}</NumberCell>
            <NumberCell label="Adjustments">{format!("{} d", terms.adjustment_window_days)}</NumberCell>
            <td data-label="Currency">{terms.payout_currency}</td>
            <td data-label="Made by" title=crate::components::date_time(terms.created_at)>{terms.created_by}</td>
        </tr>
    }
}

/// Starts from the newest terms, so that one value can be changed alone.
#[component]
fn TermsForm(partner_id: PartnerId, newest: Option<TermsRow>, add_terms: ServerAction<AddTerms>) -> impl IntoView {
    let failed = failure(add_terms);
    let of = move |value: fn(&TermsRow) -> String, otherwise: &str| newest.as_ref().map_or_else(|| otherwise.to_owned(), value);
    let added = move || add_terms.value().get().and_then(Result::ok);
    view! {
        <ActionForm action=add_terms attr:class="stack">
            <p class="partner__note partner__explain">
                "New terms are a new version. Conversions that happened before it starts keep the terms that they had, and nothing is rated anew."
            </p>
            <input type="hidden" name="partner_id" value=partner_id.to_string()/>
            <div class="field-grid">
                <FormField
                    name="terms[commission_rate]" label="Commission rate, %" inputmode="decimal" required=true
                    value=of(|terms| percent(terms.commission_rate), "") hint="Of the conversion's value." error=about(failed, "commission_rate")
                />
                <FormField
                    name="terms[success_bonus_rate]" label="Success bonus, %" inputmode="decimal" required=true
                    value=of(|terms| percent(terms.success_bonus_rate), "0") hint="Of the base commission, once, for the first verified milestone."
                    error=about(failed, "success_bonus_rate")
                />
                <FormField
                    name="terms[multiplier_cap]" label="Multiplier cap" inputmode="decimal" required=true
                    value=of(|terms| terms.multiplier_cap.to_string(), "3") hint="Successes never multiply by more, 1 to 100."
                    error=about(failed, "multiplier_cap")
                />
                <FormField
                    name="terms[attribution_window_hours]" label="Attribution window, hours" inputmode="numeric" required=true
                    value=of(|terms| terms.attribution_window_hours.to_string(), "24") hint="From click to conversion."
                    error=about(failed, "attribution_window_hours")
                />
                <FormField
                    name="terms[hold_period_days]" label="Hold period, days" inputmode="numeric" required=true
                    value=of(|terms| terms.hold_period_days.to_string(), "30") hint="Before a commission can be approved."
                    error=about(failed, "hold_period_days")
                />
                <FormField
                    name="terms[adjustment_window_days]" label="Adjustment window, days" inputmode="numeric" required=true
                    value=of(|terms| terms.adjustment_window_days.to_string(), "90") hint="How long a later success still raises it."
                    error=about(failed, "adjustment_window_days")
                />
                <FormField
                    name="terms[payout_currency]" label="Payout currency" required=true
                    value=of(|terms| terms.payout_currency.clone(), "USD") hint="Three letters, such as USD."
                    error=about(failed, "payout_currency")
                />
                <FormField
                    name="terms[effective_from]" label="In force from (UTC)" kind="datetime-local"
                    hint="Leave it empty to start now." error=about(failed, "effective_from")
                />
            </div>
            <FormError failure=failed fields=FIELDS/>
            {move || added().map(|version| view! { <Notice tone=Tone::Good>{format!("Version {version} is saved.")}</Notice> })}
            <div class="row"><SubmitButton label="Add these terms" pending=add_terms.pending()/></div>
        </ActionForm>
    }
}

/// A rate of 0.125 as `12.5`.
fn percent(rate: Decimal) -> String {
    (rate * Decimal::ONE_HUNDRED).normalize().to_string()
}
