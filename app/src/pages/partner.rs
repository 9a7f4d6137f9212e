//! One partner: who it is, its terms, what counts as success, and its webhooks. Operators change it here.

mod identity;
mod terms;
mod webhooks;

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::{
    api::{
        AddTerms, MadeSecret, MakeSecret, PartnerDetail, RevokeSecret, SendTestWebhook, UpdatePartner, WithdrawTerms, find_partner,
        take_made_secret, use_viewer,
    },
    components::{Badge, ButtonLink, DoneNotice, ErrorNote, PageHeader, Panel, TableSkeleton, Tone},
};
use identity::IdentityPanels;
use terms::TermsPanels;
use webhooks::WebhookPanels;

/// What can be done here. They outlive the data, so that an error or a new secret stays while the page is fetched anew.
#[derive(Clone, Copy)]
struct Actions {
    update: ServerAction<UpdatePartner>,
    add_terms: ServerAction<AddTerms>,
    withdraw_terms: ServerAction<WithdrawTerms>,
    make_secret: ServerAction<MakeSecret>,
    revoke_secret: ServerAction<RevokeSecret>,
    send_test: ServerAction<SendTestWebhook>,
}

impl Actions {
    fn new() -> Self {
        Self {
            update: ServerAction::new(),
            add_terms: ServerAction::new(),
            withdraw_terms: ServerAction::new(),
            make_secret: ServerAction::new(),
            revoke_secret: ServerAction::new(),
            send_test: ServerAction::new(),
        }
    }

    /// Grows when the partner may have changed.
    fn version(self) -> usize {
        let terms = self.add_terms.version().get() + self.withdraw_terms.version().get();
        self.update.version().get() + terms + self.make_secret.version().get() + self.revoke_secret.version().get()
    }
}

#[component]
pub fn PartnerPage() -> impl IntoView {
    let params = use_params_map();
    let partner_id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let actions = Actions::new();
    let partner = Resource::new(move || (partner_id.get(), actions.version()), |(id, _)| find_partner(id));
    let made_before = Resource::new(move || partner_id.get(), take_made_secret);
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));

    view! {
        <Transition fallback=|| view! { <Panel title="Partner"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                let made_before = made_before.await.ok().flatten();
                match partner.await {
                    Ok(partner) => view! { <PartnerView partner made_before actions may_operate=may_operate.get()/> }.into_any(),
                    Err(error) => view! {
                        <PageHeader title="Partner"><ButtonLink href="/partners">"All partners"</ButtonLink></PageHeader>
                        <ErrorNote error/>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn PartnerView(partner: PartnerDetail, made_before: Option<MadeSecret>, actions: Actions, may_operate: bool) -> impl IntoView {
    let (tone, state) = if partner.active { (Tone::Good, "active") } else { (Tone::Neutral, "inactive") };
    let metrics = partner.metrics.clone();
    view! {
        <div class="stack">
            <PageHeader title=partner.display_name.clone() lead=partner.description.clone()>
                <Badge tone>{state}</Badge>
                <ButtonLink href="/partners">"All partners"</ButtonLink>
            </PageHeader>
            <DoneNotice/>
            <IdentityPanels partner=partner.clone() update=actions.update may_operate/>
            <TermsPanels partner=partner.clone() actions may_operate/>
            <WebhookPanels partner made_before actions may_operate/>
            <Panel title="Success metrics" hint="what multiplies a commission, and what proves it" flush=true>
                <div inner_html=metrics></div>
            </Panel>
        </div>
    }
}
