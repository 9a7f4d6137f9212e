//! The partners at a glance.

use leptos::prelude::*;

use crate::{
    api::list_partners,
    components::{ErrorNote, PageHeader, Panel, TableSkeleton},
};

#[component]
pub fn PartnersPage() -> impl IntoView {
    let partners = Resource::new(|| (), |()| list_partners());
    view! {
        <PageHeader title="Partners" lead="Who pays for conversions, and on which terms."/>
        <Panel title="All partners" hint="by tier and name" flush=true>
            <Transition fallback=|| view! { <TableSkeleton/> }>
                {move || Suspend::new(async move {
                    match partners.await {
                        Ok(list) => view! { <div inner_html=list.table></div> }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Transition>
        </Panel>
    }
}
