//! One conversion: its journey, its receipt and its bookings; what came in; and attribution by hand where it may be.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::{
    api::{AttributeByHand, ByHand, ConversionDetail, RawDelivery, find_conversion, use_viewer},
    components::{
        ButtonLink, CodeBlock, DoneNotice, ErrorNote, FormError, FormField, LiveIndicator, PageHeader, Panel, SelectField, SubmitButton,
        TableSkeleton, TextAreaField, about, failure,
    },
};

const FIELDS: &[&str] = &["click_id", "referral_code", "reason"];

#[component]
pub fn ConversionPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let attribute = ServerAction::<AttributeByHand>::new();
    let conversion = Resource::new(move || (id.get(), attribute.version().get()), |(id, _)| find_conversion(id));
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));

    view! {
        <Transition fallback=|| view! { <Panel title="Conversion"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match conversion.await {
                    Ok(detail) => view! { <ConversionView detail attribute may_operate=may_operate.get()/> }.into_any(),
                    Err(error) => view! {
                        <PageHeader title="Conversion"><ButtonLink href="/conversions">"All conversions"</ButtonLink></PageHeader>
                        <ErrorNote error/>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn ConversionView(detail: ConversionDetail, attribute: ServerAction<AttributeByHand>, may_operate: bool) -> impl IntoView {
    let ConversionDetail { id, title, lead, story, delivery, by_hand } = detail;
    view! {
        <div class="stack">
            <PageHeader title lead>
                <LiveIndicator topics="conversion books"/>
                <ButtonLink href="/conversions">"All conversions"</ButtonLink>
            </PageHeader>
            <DoneNotice/>
            <div id="conversion-story" data-live-region inner_html=story></div>
            {by_hand.filter(|_| may_operate).map(|by_hand| view! { <ByHandForm id by_hand attribute/> })}
            {delivery.map(|delivery| view! { <Raw delivery/> })}
        </div>
    }
}

/// All credit goes to one link; who decided and why stays in the audit log.
#[component]
fn ByHandForm(id: String, by_hand: ByHand, attribute: ServerAction<AttributeByHand>) -> impl IntoView {
    let failed = failure(attribute);
    let ByHand { clicks, typed } = by_hand;
    let none = if clicks.is_empty() { "No click in the 90 days before" } else { "None of these" };
    let clicks: Vec<_> = std::iter::once((String::new(), none.to_owned())).chain(clicks).collect();
    view! {
        <div id="by-hand">
            <Panel title="Attribute by hand" hint="it then earns as if the click had been found">
                <ActionForm action=attribute attr:class="stack">
                    <input type="hidden" name="conversion_id" value=id/>
                    <div class="field-grid">
                        <SelectField
                            name="form[click]" label="Click" options=clicks value=typed.click
                            hint="The last one before it on each link of this partner." error=about(failed, "click_id")
                        />
                        <FormField
                            name="form[referral_code]" label="Or referral code or alias" value=typed.referral_code
                            hint="If no click is known: the link to credit." error=about(failed, "referral_code")
                        />
                    </div>
                    <TextAreaField
                        name="form[reason]" label="Reason" rows=3 required=true value=typed.reason
                        hint="For whoever checks it later. It stays in the audit log." error=about(failed, "reason")
                    />
                    <FormError failure=failed fields=FIELDS/>
                    <div class="row"><SubmitButton label="Attribute" pending=attribute.pending()/></div>
                </ActionForm>
            </Panel>
        </div>
    }
}

#[component]
fn Raw(delivery: RawDelivery) -> impl IntoView {
    let RawDelivery { id, message_id, body, pretty_body } = delivery;
    view! {
        <Panel title="Raw message" hint="as it came in">
            <div class="stack">
                <p>"Message "<code>{message_id}</code>" in "<a href=format!("/deliveries/{id}")>"its delivery"</a>"."</p>
                {match pretty_body {
                    Some(pretty) => view! { <CodeBlock label="JSON, indented" text=pretty/> }.into_any(),
                    None => view! { <CodeBlock label="Raw body" text=body/> }.into_any(),
                }}
            </div>
        </Panel>
    }
}
