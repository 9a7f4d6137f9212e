//! The history of a partner's terms, and the form for new ones.

use domain::attribution::Model;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::Actions;
use crate::{
    api::{AddTerms, ComingTerms, PartnerDetail, TermsForm, WithdrawTerms},
    components::{Confirm, FormError, FormField, Panel, SelectField, SubmitButton, Time, about, failure},
};

const FIELDS: &[&str] = &[
    "commission_rate",
    "success_bonus_rate",
    "multiplier_cap",
    "attribution_model",
    "attribution_window_hours",
    "attribution_minimum_seconds",
    "hold_period_days",
    "adjustment_window_days",
    "payout_currency",
    "minimum_payout_minor",
    "effective_from",
];

#[component]
pub fn TermsPanels(partner: PartnerDetail, actions: Actions, may_operate: bool) -> impl IntoView {
    let PartnerDetail { partner_id, newest_terms, terms_seen, metric_names, terms_history, coming, .. } = partner;
    let of_coming = partner_id.clone();
    view! {
        <Panel title="Terms" hint="a conversion keeps the terms in force when it happened" flush=true>
            <div inner_html=terms_history></div>
        </Panel>
        {(may_operate && !coming.is_empty()).then(|| view! { <Coming partner_id=of_coming coming withdraw=actions.withdraw_terms/> })}
        {may_operate.then(|| view! {
            <div id="new-terms">
                <Panel title="New terms">
                    <NewTerms partner_id newest=newest_terms seen=terms_seen metric_names add_terms=actions.add_terms/>
                </Panel>
            </div>
        })}
    }
}

/// Versions that nothing can have been rated with yet.
#[component]
fn Coming(partner_id: String, coming: Vec<ComingTerms>, withdraw: ServerAction<WithdrawTerms>) -> impl IntoView {
    let items = coming.into_iter().map(|terms| view! { <ComingLine partner_id=partner_id.clone() terms withdraw/> }).collect_view();
    view! {
        <Panel title="Terms to come" hint="what has not begun can be withdrawn">
            <ul class="stack">{items}</ul>
            <FormError failure=failure(withdraw)/>
        </Panel>
    }
}

#[component]
fn ComingLine(partner_id: String, terms: ComingTerms, withdraw: ServerAction<WithdrawTerms>) -> impl IntoView {
    let ComingTerms { id, version, effective_from } = terms;
    let question = format!("Withdraw version {version}? The version before it goes on, and the audit log keeps what this one said.");
    view! {
        <li class="row">
            <span>{format!("Version {version} begins ")}<Time at=effective_from/></span>
            <Confirm label=format!("Withdraw version {version}") question>
                <ActionForm action=withdraw>
                    <input type="hidden" name="partner_id" value=partner_id/>
                    <input type="hidden" name="terms_id" value=id.to_string()/>
                    <SubmitButton label="Withdraw it" kind="danger" pending=withdraw.pending()/>
                </ActionForm>
            </Confirm>
        </li>
    }
}

/// What a link to the form may choose: the policy that a what-if was about.
fn with_query(mut newest: TermsForm) -> TermsForm {
    use_query_map().with_untracked(|query| {
        for (key, field) in [
            ("attribution_model", &mut newest.attribution_model),
            ("attribution_window_hours", &mut newest.attribution_window_hours),
            ("attribution_minimum_seconds", &mut newest.attribution_minimum_seconds),
        ] {
            if let Some(value) = query.get(key) {
                *field = value;
            }
        }
    });
    newest
}

/// Starts from the newest terms, so that one value can be changed alone.
#[component]
fn NewTerms(
    partner_id: String,
    newest: TermsForm,
    /// The id of the terms that it starts from.
    seen: String,
    metric_names: Vec<(String, String)>,
    add_terms: ServerAction<AddTerms>,
) -> impl IntoView {
    let newest = with_query(newest);
    let multipliers = newest.multipliers.clone();
    let failed = failure(add_terms);
    view! {
        <ActionForm action=add_terms attr:class="stack">
            <p class="partner__note partner__explain">
                "New terms are a new version. Conversions that happened before it starts keep the terms that they had, and nothing is rated anew."
            </p>
            <input type="hidden" name="partner_id" value=partner_id/>
            <input type="hidden" name="seen" value=seen/>
            <h3 class="partner__subtitle">"Rates"</h3>
            <Rates newest=newest.clone() failed/>
            <h3 class="partner__subtitle">"Who may claim a conversion"</h3>
            <Attribution newest=newest.clone() failed/>
            <h3 class="partner__subtitle">"Payment"</h3>
            <Payment newest failed/>
            {(!metric_names.is_empty()).then(|| view! {
                <h3 class="partner__subtitle">"What a success multiplies by"</h3>
                <Multipliers metric_names multipliers failed/>
            })}
            <FormError failure=failed fields=FIELDS/>
            <div class="row"><SubmitButton label="Add these terms" pending=add_terms.pending()/></div>
        </ActionForm>
    }
}

type Failed = Signal<Option<crate::AppError>>;

/// A number of the terms; what is wrong with it is told under the name of the field.
#[component]
fn Number(
    field: &'static str,
    label: &'static str,
    inputmode: &'static str,
    value: String,
    hint: &'static str,
    failed: Failed,
) -> impl IntoView {
    view! { <FormField name=format!("terms[{field}]") label inputmode required=true value hint error=about(failed, field)/> }
}

#[component]
fn Rates(newest: TermsForm, failed: Failed) -> impl IntoView {
    view! {
        <div class="field-grid">
            <Number
                field="commission_rate" label="Commission rate, %" inputmode="decimal" value=newest.commission_rate
                hint="Of the conversion's value." failed
            />
            <Number
                field="success_bonus_rate" label="Success bonus, %" inputmode="decimal" value=newest.success_bonus_rate
                hint="Of the base commission, once, for the first verified milestone." failed
            />
            <Number
                field="multiplier_cap" label="Multiplier cap" inputmode="decimal" value=newest.multiplier_cap
                hint="Successes never multiply by more, 1 to 100." failed
            />
            <Number
                field="adjustment_window_days" label="Adjustment window, days" inputmode="numeric" value=newest.adjustment_window_days
                hint="How long a later success still raises it." failed
            />
        </div>
    }
}

#[component]
fn Attribution(newest: TermsForm, failed: Failed) -> impl IntoView {
    let models = Model::ALL.map(|model| (model.to_string(), model.label().to_owned())).to_vec();
    view! {
        <div class="field-grid">
            <SelectField
                name="terms[attribution_model]" label="Attribution model" options=models value=newest.attribution_model
                hint="How the clicks of one journey share the credit." error=about(failed, "attribution_model")
            />
            <Number
                field="attribution_window_hours" label="Attribution window, hours" inputmode="numeric" value=newest.attribution_window_hours
                hint="From click to conversion, at most." failed
            />
            <Number
                field="attribution_minimum_seconds" label="Minimum time, seconds" inputmode="numeric" value=newest.attribution_minimum_seconds
                hint="A conversion sooner after its click is refused; 0 for none." failed
            />
        </div>
    }
}

#[component]
fn Payment(newest: TermsForm, failed: Failed) -> impl IntoView {
    view! {
        <div class="field-grid">
            <FormField
                name="terms[payout_currency]" label="Payout currency" required=true
                value=newest.payout_currency hint="Three letters, such as USD."
                error=about(failed, "payout_currency")
            />
            <FormField
                name="terms[minimum_payout]" label="Minimum payout" inputmode="decimal" required=true
                value=newest.minimum_payout hint="In the payout currency. A month's statement below it is carried forward."
                error=about(failed, "minimum_payout_minor")
            />
            <Number
                field="hold_period_days" label="Hold period, days" inputmode="numeric" value=newest.hold_period_days
                hint="Before a commission can be approved." failed
            />
            <FormField
                name="terms[effective_from]" label="In force from (UTC)" kind="datetime-local" value=newest.effective_from
                hint="Leave it empty to start in 6 minutes, the soonest." error=about(failed, "effective_from")
            />
        </div>
    }
}

/// A field per metric; a wrong one is named under the form.
#[component]
fn Multipliers(
    metric_names: Vec<(String, String)>,
    multipliers: std::collections::BTreeMap<String, String>,
    failed: Failed,
) -> impl IntoView {
    let fields = metric_names
        .into_iter()
        .map(|(id, name)| {
            let value = multipliers.get(&id).cloned().unwrap_or_default();
            let field = format!("multipliers.{id}");
            let error = Signal::derive(move || failed.with(|failed| failed.as_ref().and_then(|error| error.about(&field))));
            view! { <FormField name=format!("terms[multipliers][{id}]") label=name inputmode="decimal" required=true value error/> }
        })
        .collect_view();
    view! { <div class="field-grid">{fields}</div> }
}
