//! One site: what its code tells, what it is offered and why, how to show the offers, and what can be changed of it.

mod change;

use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::{
    api::{EditSite, LinkView, RetireSite, SiteDetail, find_site, use_viewer},
    components::{ButtonLink, CopyField, DoneNotice, ErrorNote, Notice, PageHeader, Panel, TableSkeleton, Tone},
};
use change::ChangeSite;

#[component]
pub fn SitePage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let edit = ServerAction::<EditSite>::new();
    let retire = ServerAction::<RetireSite>::new();
    let site = Resource::new(move || (id.get(), edit.version().get(), retire.version().get()), |(id, ..)| find_site(id));
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));
    view! {
        <Transition fallback=|| view! { <Panel title="Site"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match site.await {
                    Ok(site) => view! {
                        <SiteView site=site.clone()>
                            {may_operate.get().then(|| view! { <ChangeSite site edit retire/> })}
                        </SiteView>
                    }
                    .into_any(),
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

/// The children are what can be changed.
#[component]
fn SiteView(site: SiteDetail, children: Children) -> impl IntoView {
    let query = use_query_map();
    let refused = Memo::new(move |_| query.with(|query| query.get("error").filter(|error| !error.is_empty())));
    view! {
        <div class="stack">
            <PageHeader title=site.name lead=site.lead>
                {site.url.map(|url| view! { <a href=url rel="noreferrer external" target="_blank">"Visit the site"</a> })}
                <a class="button" data-kind="primary" href=site.demo rel="external">"See the demo"</a>
                <ButtonLink href="/sites">"All sites"</ButtonLink>
            </PageHeader>
            <DoneNotice/>
            {move || refused.get().map(|reason| view! {
                <Notice tone=Tone::Bad><strong>"The site was not analysed. "</strong>{reason}</Notice>
            })}
            {site.retired.then(|| view! { <Notice tone=Tone::Warning>"This site is retired: it shows no offers. Its links still lead on."</Notice> })}
            <Panel title="Embed the offers" hint="one line, anywhere on the site's pages">
                <CopyField label="Embed line" value=site.embed/>
            </Panel>
            <Panel title="Offers" hint="what fits the project best comes first"><div inner_html=site.offers></div></Panel>
            <div inner_html=site.analysis></div>
            <Panel title="Referral links" hint="one for each partner"><Links links=site.links/></Panel>
            {children()}
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
