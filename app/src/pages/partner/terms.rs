//! The history of a partner's terms, and the form for new ones.

use leptos::prelude::*;

use crate::{
    api::{AddTerms, PartnerDetail, TermsForm},
    components::{FormError, FormField, Panel, SubmitButton, about, failure},
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
    let PartnerDetail { partner_id, newest_terms, terms_history, .. } = partner;
    view! {
        <Panel title="Terms" hint="a conversion keeps the terms in force when it happened" flush=true>
            <div inner_html=terms_history></div>
        </Panel>
        {may_operate.then(|| view! {
            <Panel title="New terms"><NewTerms partner_id newest=newest_terms add_terms/></Panel>
        })}
    }
}

/// Starts from the newest terms, so that one value can be changed alone.
#[component]
fn NewTerms(partner_id: String, newest: TermsForm, add_terms: ServerAction<AddTerms>) -> impl IntoView {
    let failed = failure(add_terms);
    view! {
        <ActionForm action=add_terms attr:class="stack">
            <p class="partner__note partner__explain">
                "New terms are a new version. Conversions that happened before it starts keep the terms that they had, and nothing is rated anew."
            </p>
            <input type="hidden" name="partner_id" value=partner_id/>
            <div class="field-grid">
                <FormField
                    name="terms[commission_rate]" label="Commission rate, %" inputmode="decimal" required=true
                    value=newest.commission_rate hint="Of the conversion's value." error=about(failed, "commission_rate")
                />
                <FormField
                    name="terms[success_bonus_rate]" label="Success bonus, %" inputmode="decimal" required=true
                    value=newest.success_bonus_rate hint="Of the base commission, once, for the first verified milestone."
                    error=about(failed, "success_bonus_rate")
                />
                <FormField
                    name="terms[multiplier_cap]" label="Multiplier cap" inputmode="decimal" required=true
                    value=newest.multiplier_cap hint="Successes never multiply by more, 1 to 100."
                    error=about(failed, "multiplier_cap")
                />
                <FormField
                    name="terms[attribution_window_hours]" label="Attribution window, hours" inputmode="numeric" required=true
                    value=newest.attribution_window_hours hint="From click to conversion."
                    error=about(failed, "attribution_window_hours")
                />
                <FormField
                    name="terms[hold_period_days]" label="Hold period, days" inputmode="numeric" required=true
                    value=newest.hold_period_days hint="Before a commission can be approved."
                    error=about(failed, "hold_period_days")
                />
                <FormField
                    name="terms[adjustment_window_days]" label="Adjustment window, days" inputmode="numeric" required=true
                    value=newest.adjustment_window_days hint="How long a later success still raises it."
                    error=about(failed, "adjustment_window_days")
                />
                <FormField
                    name="terms[payout_currency]" label="Payout currency" required=true
                    value=newest.payout_currency hint="Three letters, such as USD."
                    error=about(failed, "payout_currency")
                />
                <FormField
                    name="terms[effective_from]" label="In force from (UTC)" kind="datetime-local"
                    hint="Leave it empty to start now." error=about(failed, "effective_from")
                />
            </div>
            <FormError failure=failed fields=FIELDS/>
            <div class="row"><SubmitButton label="Add these terms" pending=add_terms.pending()/></div>
        </ActionForm>
    }
}
