//! The conversions that earn nothing yet: no click claims them, they are refused, or a rate is missing; and the refunds whose sale has
//! not come. The URL holds the filter of the conversions.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::conversions::{Lines, read_query};
use crate::{
    api::{ConversionQuery, list_partners, list_unattributed, list_waiting_refunds},
    components::{
        ButtonLink, ErrorNote, FilterBar, FormField, LiveIndicator, PageHeader, Panel, SelectField, TableSkeleton, choices, with_all,
    },
};

const PATH: &str = "/conversions/unattributed";

#[component]
pub fn UnattributedPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| query.with(read_query));
    let page = Resource::new(move || asked.get(), list_unattributed);
    let refunds = Resource::new(|| (), |()| list_waiting_refunds());
    view! {
        <PageHeader title="What earns nothing" lead="Conversions that no click claims, that were refused, or that wait for an exchange rate.">
            <LiveIndicator topics="conversion delivery"/>
            <ButtonLink href="/conversions">"All conversions"</ButtonLink>
        </PageHeader>
        <FilterForm asked/>
        <Panel title="Conversions" hint="50 a page" flush=true>
            <div id="unattributed" data-live-region>
                <Transition fallback=|| view! { <TableSkeleton rows=10/> }>
                    {move || Suspend::new(async move {
                        match page.await {
                            Ok(list) => view! { <Lines list path=PATH query=query.get()/> }.into_any(),
                            Err(error) => view! {
                                <ErrorNote error/>
                                <p class="pager"><ButtonLink href=PATH>"Show all of them"</ButtonLink></p>
                            }
                            .into_any(),
                        }
                    })}
                </Transition>
            </div>
        </Panel>
        <div id="waiting-refunds" data-live-region>
            <Transition>
                {move || Suspend::new(async move {
                    match refunds.await {
                        Ok(html) => view! { <div inner_html=html></div> }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn FilterForm(asked: Memo<ConversionQuery>) -> impl IntoView {
    let partners = Resource::new(|| (), |()| list_partners());
    let states = || {
        choices([
            ("", "Every reason"),
            ("unattributed", "No click yet"),
            ("expired", "The window has closed"),
            ("refused", "Refused"),
            ("held", "Waits for an exchange rate"),
        ])
    };
    view! {
        <Transition>
            {move || Suspend::new(async move {
                let partners = partners.await.map(|list| list.names).unwrap_or_default();
                let chosen = asked.get();
                view! {
                    <FilterBar action=PATH filtered={chosen != ConversionQuery::default()}>
                        <FormField name="search" label="Search" kind="search" value=chosen.search placeholder="id, code or customer"/>
                        <SelectField name="partner" label="Partner" options=with_all("Every partner", partners) value=chosen.partner/>
                        <SelectField name="state" label="Why" options=states() value=chosen.state/>
                    </FilterBar>
                }
            })}
        </Transition>
    }
}
