//! The sites that show offers, and the form that adds one.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{
    api::{SiteList, list_sites, use_viewer},
    components::{ErrorNote, FormField, Notice, PageHeader, Panel, Steps, TableSkeleton, Tone},
};

#[component]
pub fn SitesPage() -> impl IntoView {
    let query = use_query_map();
    let before = Memo::new(move |_| query.with(|query| query.get("before").unwrap_or_default()));
    let refused = Memo::new(move |_| query.with(|query| query.get("error").filter(|error| !error.is_empty())));
    let sites = Resource::new(move || before.get(), list_sites);
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));

    view! {
        <PageHeader title="Sites" lead="Projects that were analysed, and the offers that they show."/>
        {move || refused.get().map(|reason| view! {
            <Notice tone=Tone::Bad><strong>"The site was not added. "</strong>{reason}</Notice>
        })}
        <Show when=move || may_operate.get()><AddSite open=refused.get_untracked().is_some()/></Show>
        <Panel title="All sites" hint="the newest first, 50 a page" flush=true>
            <Transition fallback=|| view! { <TableSkeleton/> }>
                {move || Suspend::new(async move {
                    match sites.await {
                        Ok(list) => view! { <SiteTable list is_first_page=before.get().is_empty()/> }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Transition>
        </Panel>
    }
}

/// A plain multipart form: it is answered by the new site's page, or by this one with the reason.
#[component]
fn AddSite(open: bool) -> impl IntoView {
    view! {
        <details class="add-site" open=open>
            <summary class="button" data-kind="primary">"Add a site"</summary>
            <Panel title="Add a site" hint="its code is read, never run, and not kept">
                <form class="stack" method="post" action="/sites" enctype="multipart/form-data">
                    <div class="field-grid">
                        <FormField name="name" label="Name" required=true placeholder="Bright Shop"/>
                        <FormField name="url" label="Web address" kind="url" placeholder="https://shop.example" hint="Where the site is served, if it is."/>
                        <FormField
                            name="user_ref" label="Developer" required=true placeholder="user-1234"
                            hint="Your own stable name for the developer. Only a hash of it leaves this installation."
                        />
                        <FormField name="archive" label="Project archive" kind="file" required=true hint="A .zip or .tar.gz of the repository, up to 64 MiB."/>
                    </div>
                    <div class="row"><button type="submit" class="button" data-kind="primary">"Analyse and add"</button></div>
                </form>
            </Panel>
        </details>
    }
}

#[component]
fn SiteTable(list: SiteList, is_first_page: bool) -> impl IntoView {
    view! {
        <div inner_html=list.table></div>
        <Steps first=(!is_first_page).then(|| "/sites".to_owned()) next=list.next.map(|next| format!("/sites?before={next}"))/>
    }
}
