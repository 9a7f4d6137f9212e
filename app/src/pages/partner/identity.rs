//! Who the partner is and where its links lead, and the form that changes both.

use leptos::prelude::*;

use crate::{
    api::{PartnerDetail, UpdatePartner},
    components::{CheckboxField, FormError, FormField, Notice, Panel, SubmitButton, TextAreaField, Tone, about, failure},
};

const PLACEHOLDERS: &str =
    "An https link. {{CLICK_ID}}, {{REFERRAL_CODE}}, {{SITE_ID}}, {{PROJECT_TYPE}} and {{TEMPLATE_ID}} are filled in for each click.";

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

#[component]
fn EditForm(partner: PartnerDetail, update: ServerAction<UpdatePartner>) -> impl IntoView {
    let failed = failure(update);
    let saved = move || update.value().with(|value| matches!(value, Some(Ok(()))));
    view! {
        <ActionForm action=update attr:class="form">
            <input type="hidden" name="partner_id" value=partner.partner_id/>
            <CheckboxField
                name="active"
                label="Active"
                checked=partner.active
                hint="An inactive partner is not recommended, its links lead nowhere, and it earns us nothing new."
            />
            <TextAreaField
                name="description"
                label="Description"
                value=partner.description
                rows=3
                required=true
                error=about(failed, "description")
            />
            {match partner.deep_link {
                Some(link) => view! {
                    <FormField name="deep_link" label="Deep link" value=link hint=PLACEHOLDERS required=true error=about(failed, "deep_link")/>
                }
                .into_any(),
                None => view! { <input type="hidden" name="deep_link" value=""/> }.into_any(),
            }}
            <FormError failure=failed fields=&["description", "deep_link"]/>
            <Show when=saved><Notice tone=Tone::Good>"Saved. New clicks follow at once."</Notice></Show>
            <div class="row"><SubmitButton label="Save" pending=update.pending()/></div>
        </ActionForm>
    }
}
