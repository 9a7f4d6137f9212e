//! Who the partner is and where its links lead, and the form that changes both.

use domain::partner::{AuthType, IntegrationKind};
use leptos::prelude::*;

use crate::{
    api::{PartnerDetail, PartnerLink, UpdatePartner},
    components::{CheckboxField, FormError, FormField, Notice, Panel, SubmitButton, TextAreaField, Tone, about, failure},
};

const PLACEHOLDERS: &str =
    "An https link. {{CLICK_ID}}, {{REFERRAL_CODE}}, {{SITE_ID}}, {{PROJECT_TYPE}} and {{TEMPLATE_ID}} are filled in for each click.";

#[component]
pub fn IdentityPanels(partner: PartnerDetail, update: ServerAction<UpdatePartner>, may_operate: bool) -> impl IntoView {
    let links = partner.links.clone();
    let edited = may_operate.then(|| partner.clone());
    view! {
        <div class="columns">
            <Panel title="Identity and links">
                <Facts partner/>
                <h3 class="partner__subtitle">"Links"</h3>
                {links.into_iter().map(|link| view! { <LinkLine link/> }).collect_view()}
            </Panel>
            {edited.map(|partner| view! { <Panel title="Edit"><EditForm partner update/></Panel> })}
        </div>
    }
}

#[component]
fn Facts(partner: PartnerDetail) -> impl IntoView {
    let link = |url: String| {
        let text = url.clone();
        view! { <a href=url rel="noreferrer external" target="_blank">{text}</a> }
    };
    view! {
        <dl class="facts">
            <div><dt>"Id"</dt><dd><code>{partner.partner_id.to_string()}</code></dd></div>
            <div><dt>"Category"</dt><dd>{partner.category}</dd></div>
            <div><dt>"Tier"</dt><dd>{partner.tier.to_string()}</dd></div>
            <div><dt>"Home page"</dt><dd>{link(partner.homepage_url)}</dd></div>
            <div><dt>"API"</dt><dd><span class="mono">{partner.api_base_url}</span></dd></div>
            <div><dt>"API sign-in"</dt><dd>{auth_words(partner.auth_type)}</dd></div>
        </dl>
    }
}

#[component]
fn LinkLine(link: PartnerLink) -> impl IntoView {
    let tracking = if link.conversion_tracking { "tracks conversions" } else { "no tracking" };
    view! {
        <div class="partner__link">
            <p class="partner__link-kind">{kind_words(link.kind)}" "<span class="muted">{tracking}</span></p>
            <code class="partner__template">{link.url_template}</code>
        </div>
    }
}

#[component]
fn EditForm(partner: PartnerDetail, update: ServerAction<UpdatePartner>) -> impl IntoView {
    let failed = failure(update);
    let deep_link = partner.links.iter().find(|link| link.kind == IntegrationKind::DeepLink).map(|link| link.url_template.clone());
    let saved = move || update.value().with(|value| matches!(value, Some(Ok(()))));
    view! {
        <ActionForm action=update attr:class="form">
            <input type="hidden" name="partner_id" value=partner.partner_id.to_string()/>
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
            {match deep_link {
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

fn kind_words(kind: IntegrationKind) -> &'static str {
    match kind {
        IntegrationKind::DeepLink => "Deep link",
        IntegrationKind::ApiRedirect => "Created through the API",
        IntegrationKind::EmbedWidget => "Embedded widget",
        IntegrationKind::SdkIntegration => "SDK",
    }
}

fn auth_words(auth_type: AuthType) -> &'static str {
    match auth_type {
        AuthType::Oauth2 => "OAuth 2",
        AuthType::ApiKey => "API key",
        AuthType::BearerToken => "bearer token",
    }
}
