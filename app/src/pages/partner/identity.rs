//! Who the partner is and where its links lead, and the form that changes both.

use leptos::prelude::*;

use crate::{
    api::{EditedIdentity, PartnerDetail, UpdatePartner},
    components::{
        CheckboxField, FormError, FormField, Notice, Panel, SelectField, SubmitButton, TextAreaField, Tone, about, choices, failure,
    },
};

const PLACEHOLDERS: &str = "An https link. {{CLICK_ID}}, {{REFERRAL_CODE}}, {{SITE_ID}}, {{PROJECT_TYPE}} and {{TEMPLATE_ID}} (by the project's kind, from the partner's file) are filled in for each click.";

#[component]
pub fn IdentityPanels(partner: PartnerDetail, update: ServerAction<UpdatePartner>, may_operate: bool) -> impl IntoView {
    let identity = partner.identity.clone();
    let edited = may_operate.then_some(partner);
    view! {
        <div class="columns">
            <Panel title="Identity and links">
                <div inner_html=identity></div>
            </Panel>
            {edited.map(|partner| view! { <Panel title="Edit"><EditForm partner update/></Panel> })}
        </div>
    }
}

/// Its fields; what is wrong with one is told there.
const FIELDS: &[&str] = &["display_name", "tier", "homepage_url", "description", "deep_link"];

/// What the page showed goes with it, so that a form of an older page does not undo what somebody else has changed.
#[component]
fn EditForm(partner: PartnerDetail, update: ServerAction<UpdatePartner>) -> impl IntoView {
    let failed = failure(update);
    let saved = move || update.value().with(|value| matches!(value, Some(Ok(()))));
    let EditedIdentity { form, has_deep_link, seen } = partner.edited;
    let tiers = choices([("1", "Tier 1"), ("2", "Tier 2"), ("3", "Tier 3")]);
    view! {
        <ActionForm action=update attr:class="form">
            <input type="hidden" name="partner_id" value=partner.partner_id/>
            <input type="hidden" name="seen" value=seen/>
            <CheckboxField
                name="form[active]"
                label="Active"
                checked=form.active.is_some()
                hint="An inactive partner is not recommended, its links lead nowhere, and it earns us nothing new."
            />
            <FormField name="form[display_name]" label="Name" value=form.display_name required=true error=about(failed, "display_name")/>
            <SelectField
                name="form[tier]" label="Tier" options=tiers value=form.tier
                hint="Lists of partners go by it; 1 comes first." error=about(failed, "tier")
            />
            <FormField
                name="form[homepage_url]" label="Home page" kind="url" value=form.homepage_url required=true
                hint="Where a link leads if there is no deep link." error=about(failed, "homepage_url")
            />
            <TextAreaField
                name="form[description]" label="Description" value=form.description rows=3 required=true error=about(failed, "description")
            />
            {if has_deep_link {
                view! {
                    <FormField
                        name="form[deep_link]" label="Deep link" value=form.deep_link hint=PLACEHOLDERS required=true
                        error=about(failed, "deep_link")
                    />
                }
                .into_any()
            } else {
                view! { <input type="hidden" name="form[deep_link]" value=""/> }.into_any()
            }}
            <FormError failure=failed fields=FIELDS/>
            <Show when=saved><Notice tone=Tone::Good>"Saved. New clicks follow at once."</Notice></Show>
            <div class="row"><SubmitButton label="Save" pending=update.pending()/></div>
        </ActionForm>
    }
}
