//! What can be changed of a site: its name and address, its analysis, and whether it shows offers.

use domain::SiteId;
use leptos::prelude::*;

use crate::{
    api::{EditSite, RetireSite, SiteDetail},
    components::{Confirm, FormError, FormField, Panel, SubmitButton, about, failure},
};

#[component]
pub fn ChangeSite(site: SiteDetail, edit: ServerAction<EditSite>, retire: ServerAction<RetireSite>) -> impl IntoView {
    view! {
        <details class="add-site">
            <summary class="button">"Change this site"</summary>
            <div class="stack">
                <AnalyseAgain id=site.id/>
                <NameAndAddress id=site.id name=site.name url=site.url.unwrap_or_default() edit/>
                <Retire id=site.id retired=site.retired retire/>
            </div>
        </details>
    }
}

/// A plain multipart form: it is answered by this page, with what was wrong in its query.
#[component]
fn AnalyseAgain(id: SiteId) -> impl IntoView {
    view! {
        <Panel title="Analyse it again" hint="its id, its links and its history stay">
            <form class="stack" method="post" action=format!("/sites/{id}/analysis") enctype="multipart/form-data">
                <FormField name="archive" label="Project archive" kind="file" required=true hint="A .zip or .tar.gz of the repository, up to 64 MiB."/>
                <div class="row"><button type="submit" class="button" data-kind="primary">"Analyse again"</button></div>
            </form>
        </Panel>
    }
}

#[component]
fn NameAndAddress(id: SiteId, name: String, url: String, edit: ServerAction<EditSite>) -> impl IntoView {
    let failed = failure(edit);
    view! {
        <Panel title="Name and address">
            <ActionForm action=edit attr:class="form">
                <input type="hidden" name="id" value=id.to_string()/>
                <FormField name="name" label="Name" value=name required=true error=about(failed, "name")/>
                <FormField name="url" label="Web address" kind="url" value=url hint="Empty if it is served nowhere." error=about(failed, "url")/>
                <FormError failure=failed fields=&["name", "url"]/>
                <div class="row"><SubmitButton label="Save" pending=edit.pending()/></div>
            </ActionForm>
        </Panel>
    }
}

#[component]
fn Retire(id: SiteId, retired: bool, retire: ServerAction<RetireSite>) -> impl IntoView {
    let failed = failure(retire);
    let form = move |to: bool, label: &'static str, kind: &'static str| {
        view! {
            <ActionForm action=retire attr:class="form">
                <input type="hidden" name="id" value=id.to_string()/>
                <input type="hidden" name="retired" value=to.to_string()/>
                <FormError failure=failed/>
                <div class="row"><SubmitButton label kind pending=retire.pending()/></div>
            </ActionForm>
        }
    };
    if retired {
        return view! { <Panel title="Show offers again" hint="the site is retired">{form(false, "Bring it back", "primary")}</Panel> }
            .into_any();
    }
    view! {
        <Panel title="Retire it" hint="it can be brought back">
            <Confirm label="Retire" question="The widget on its pages disappears. Its links still lead on and are counted. Retire this site?">
                {form(true, "Retire this site", "danger")}
            </Confirm>
        </Panel>
    }
    .into_any()
}
