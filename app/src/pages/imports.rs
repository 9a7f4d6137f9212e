//! The imported files, and the form that uploads one.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{
    api::{ImportList, list_imports, list_partners, use_viewer},
    components::{ErrorNote, FormField, LiveIndicator, Notice, PageHeader, Panel, SelectField, Steps, TableSkeleton, Tone},
};

#[component]
pub fn ImportsPage() -> impl IntoView {
    let query = use_query_map();
    let before = Memo::new(move |_| query.with(|query| query.get("before").unwrap_or_default()));
    let refused = Memo::new(move |_| query.with(|query| query.get("error").filter(|error| !error.is_empty())));
    let imports = Resource::new(move || before.get(), list_imports);
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));

    view! {
        <PageHeader title="Imports" lead="Conversions and refunds from CSV files: our own columns, exports of Dub and Rewardful, or any other.">
            <LiveIndicator topics="import"/>
        </PageHeader>
        {move || refused.get().map(|reason| view! {
            <Notice tone=Tone::Bad><strong>"The file was not taken. "</strong>{reason}</Notice>
        })}
        <Show when=move || may_operate.get()><UploadForm/></Show>
        <Panel title="Imports" hint="the newest first, 50 a page" flush=true>
            <div id="imports" data-live-region>
            <Transition fallback=|| view! { <TableSkeleton/> }>
                {move || Suspend::new(async move {
                    match imports.await {
                        Ok(list) => view! { <ImportTable list is_first_page=before.get().is_empty()/> }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Transition>
            </div>
        </Panel>
    }
}

/// A plain multipart form: it is answered by the import's page, or by this one with the reason.
#[component]
fn UploadForm() -> impl IntoView {
    let partners = Resource::new(|| (), |()| list_partners());
    view! {
        <Panel title="Upload a file" hint="nothing is imported before you have seen what it would do">
            <Transition>
                {move || Suspend::new(async move {
                    let choices = partners.await.map(|list| list.names).unwrap_or_default();
                    view! {
                        <form class="stack" method="post" action="/imports" enctype="multipart/form-data">
                            <div class="field-grid">
                                <SelectField name="partner" label="Partner" options=choices hint="Whose conversions the file tells of."/>
                                <FormField name="file" label="CSV file" kind="file" required=true hint="UTF-8, with a line of column names, up to 10 MiB and 100,000 rows."/>
                            </div>
                            <div class="row"><button type="submit" class="button" data-kind="primary">"Upload and look at it"</button></div>
                        </form>
                    }
                })}
            </Transition>
        </Panel>
    }
}

#[component]
fn ImportTable(list: ImportList, is_first_page: bool) -> impl IntoView {
    view! {
        <div inner_html=list.table></div>
        <Steps first=(!is_first_page).then(|| "/imports".to_owned()) next=list.next.map(|next| format!("/imports?before={next}"))/>
    }
}
