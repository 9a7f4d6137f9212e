//! Where the partner sends its events to, the secrets that prove them to be its own, and a test.

use domain::partner::SecretPurpose;
use leptos::prelude::*;

use super::Actions;
use crate::{
    api::{Endpoint, MadeSecret, PartnerDetail, SecretRow},
    components::{
        Badge, CodeBlock, Confirm, CopyField, DataTable, EmptyState, FormError, Panel, SelectField, SubmitButton, Time, Tone, choices,
        failure,
    },
};

#[component]
pub fn WebhookPanels(partner: PartnerDetail, made_before: Option<MadeSecret>, actions: Actions, may_operate: bool) -> impl IntoView {
    let PartnerDetail { partner_id, webhooks, postback_url, example, secrets, refusals, .. } = partner;
    let has_secret = secrets.iter().any(|secret| secret.purpose == SecretPurpose::Webhook && secret.revoked_at.is_none());
    let tested = may_operate.then(|| partner_id.clone());
    let maker = tested.clone();
    view! {
        <Panel title="Secrets" hint="two at most are active for each purpose, for a rotation">
            <div class="stack">
                <Made made=made_before/>
                <SecretTable partner_id secrets actions may_operate/>
                {maker.map(|partner_id| view! { <MakeSecretForm partner_id actions/> })}
            </div>
        </Panel>
        {(!refusals.is_empty()).then(|| view! { <div inner_html=refusals></div> })}
        <Panel title="Webhook endpoints" hint="where the partner sends its events to">
            <EndpointList webhooks/>
        </Panel>
        <Panel title="Postback" hint="for trackers that cannot sign">
            <div class="stack">
                <CopyField label="Postback URL" value=postback_url/>
                <p class="partner__note">
                    "TOKEN is a secret for postbacks, from above. The other words in capitals are where the tracker puts its own values."
                </p>
            </div>
        </Panel>
        <Panel title="Try it">
            <div class="stack">
                {tested.map(|partner_id| view! { <TestForm partner_id has_secret actions/> })}
                {example.map(|text| view! { <CodeBlock label="The same from a shell" text/> })}
            </div>
        </Panel>
    }
}

/// The new secret, this once: from the cookie that came with the page.
#[component]
fn Made(made: Option<MadeSecret>) -> impl IntoView {
    made.map(|MadeSecret { purpose, secret }| {
        let label = match purpose {
            SecretPurpose::Webhook => "New webhook secret",
            SecretPurpose::Postback => "New postback token",
        };
        view! {
            <div class="secret-once" role="status">
                <p><strong>"Copy this secret now. It is never shown again."</strong></p>
                <CopyField label value=secret/>
                <p class="partner__note">"Give it to the partner over a safe channel. Until they use it, the one before still works."</p>
            </div>
        }
    })
}

#[component]
fn SecretTable(partner_id: String, secrets: Vec<SecretRow>, actions: Actions, may_operate: bool) -> impl IntoView {
    if secrets.is_empty() {
        return view! {
            <EmptyState title="No secret is set">
                <p>"Every webhook and every postback is refused until there is one."</p>
            </EmptyState>
        }
        .into_any();
    }
    let rows =
        secrets.into_iter().map(|secret| view! { <SecretLine partner_id=partner_id.clone() secret actions may_operate/> }).collect_view();
    view! {
        <div class="partner__bleed">
            <DataTable caption="Secrets, the newest first" cards=true columns=vec!["Ends with", "For", "State", "Made", "Made by", "Revoke"]>
                {rows}
            </DataTable>
        </div>
        <FormError failure=failure(actions.revoke_secret)/>
    }
    .into_any()
}

#[component]
fn SecretLine(partner_id: String, secret: SecretRow, actions: Actions, may_operate: bool) -> impl IntoView {
    let purpose = match secret.purpose {
        SecretPurpose::Webhook => "webhooks",
        SecretPurpose::Postback => "postbacks",
    };
    let question = format!("Revoke the secret that ends with {}? What is signed with it is refused at once.", secret.hint);
    let revoke = move || {
        view! {
            <Confirm label="Revoke" question>
                <ActionForm action=actions.revoke_secret>
                    <input type="hidden" name="partner_id" value=partner_id.clone()/>
                    <input type="hidden" name="secret_id" value=secret.id.clone()/>
                    <SubmitButton label="Revoke for good" kind="danger" pending=actions.revoke_secret.pending()/>
                </ActionForm>
            </Confirm>
        }
    };
    let state = match secret.revoked_at {
        None => view! { <Badge tone=Tone::Good>"active"</Badge> }.into_any(),
        Some(at) => view! { <Badge>"revoked"</Badge>" "<span class="muted"><Time at/></span> }.into_any(),
    };
    let may_revoke = may_operate && secret.revoked_at.is_none();
    view! {
        <tr>
            <td data-label="Ends with"><code>{secret.hint}</code></td>
            <td data-label="For">{purpose}</td>
            <td data-label="State"><span>{state}</span></td>
            <td data-label="Made"><Time at=secret.created_at/></td>
            <td data-label="Made by">{secret.created_by}</td>
            <td data-label="Revoke">{if may_revoke { revoke().into_any() } else { view! { <span class="muted">"–"</span> }.into_any() }}</td>
        </tr>
    }
}

/// It asks first: a secret that is made by a slip is one more to hand over, or stands in the way of the next one.
#[component]
fn MakeSecretForm(partner_id: String, actions: Actions) -> impl IntoView {
    let purposes = || choices([("webhook", "Webhooks, which it signs"), ("postback", "Postbacks, whose token it is")]);
    view! {
        <Confirm
            label="Make new secret"
            question="Make a secret for the partner? It is shown once. Those before it stay active until you revoke them; two at most are."
        >
            <ActionForm action=actions.make_secret attr:class="form">
                <input type="hidden" name="partner_id" value=partner_id/>
                <SelectField name="purpose" label="What it is for" options=purposes() value="webhook"/>
                <SubmitButton label="Make it now" pending=actions.make_secret.pending()/>
            </ActionForm>
        </Confirm>
        <FormError failure=failure(actions.make_secret)/>
    }
}

#[component]
fn EndpointList(webhooks: Vec<Endpoint>) -> impl IntoView {
    if webhooks.is_empty() {
        return view! { <EmptyState title="This partner has no webhooks"/> }.into_any();
    }
    let items = webhooks
        .into_iter()
        .map(|endpoint| {
            view! { <li><CopyField label=endpoint.label value=endpoint.url/></li> }
        })
        .collect_view();
    view! { <ul class="endpoints">{items}</ul> }.into_any()
}

#[component]
fn TestForm(partner_id: String, has_secret: bool, actions: Actions) -> impl IntoView {
    view! {
        <ActionForm action=actions.send_test>
            <input type="hidden" name="partner_id" value=partner_id.clone()/>
            <div class="row">
                <SubmitButton label="Send test webhook" pending=actions.send_test.pending()/>
                <span class="partner__note">
                    {if has_secret {
                        "Signs a conversion that is marked as a test with the active secret and receives it like a real one. It never earns anything."
                    } else {
                        "It needs a webhook secret: make one first."
                    }}
                </span>
            </div>
        </ActionForm>
        <FormError failure=failure(actions.send_test)/>
    }
}
