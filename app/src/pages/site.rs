//! One site: what its code tells, what it is offered and why, and how to show the offers.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::{
    api::{LinkView, SiteDetail, find_site},
    components::{ButtonLink, CopyField, ErrorNote, PageHeader, Panel, TableSkeleton},
};

#[component]
pub fn SitePage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let site = Resource::new(move || id.get(), find_site);
    view! {
        <Transition fallback=|| view! { <Panel title="Site"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match site.await {
                    Ok(site) => view! { <SiteView site/> }.into_any(),
                    Err(error) => view! {
                        <PageHeader title="Site"><ButtonLink href="/sites">"All sites"</ButtonLink></PageHeader>
                        <ErrorNote error/>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn SiteView(site: SiteDetail) -> impl IntoView {
    view! {
        <div class="stack">
            <PageHeader title=site.name lead=site.lead>
                {site.url.map(|url| view! { <a href=url rel="noreferrer external" target="_blank">"Visit the site"</a> })}
                <a class="button" data-kind="primary" href=site.demo rel="external">"See the demo"</a>
                <ButtonLink href="/sites">"All sites"</ButtonLink>
            </PageHeader>
            <Panel title="Embed the offers" hint="one line, anywhere on the site's pages">
                <CopyField label="Embed line" value=site.embed/>
            </Panel>
            <Panel title="Offers" hint="what fits the project best comes first"><div inner_html=site.offers></div></Panel>
            <div inner_html=site.analysis></div>
            <Panel title="Referral links" hint="one for each partner"><Links links=site.links/></Panel>
        </div>
    }
}

#[component]
fn Links(links: Vec<LinkView>) -> impl IntoView {
    if links.is_empty() {
        return view! { <p class="muted">"There is no active partner."</p> }.into_any();
    }
    let items = links
        .into_iter()
        .map(|link| {
            view! {
                <li>
                    <CopyField label=format!("Link to {}", link.partner_id) value=link.url/>
                    <p class="links__code muted">"Referral code "<code>{link.referral_code}</code></p>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="endpoints">{items}</ul> }.into_any()
}
