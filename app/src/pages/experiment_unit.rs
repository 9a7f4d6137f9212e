//! Why did I get this: which variants one visitor of a site has in every running test, and why. Site and visitor stand in the URL.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{
    api::{UnitAnswer, find_unit, list_newest_sites},
    components::{ButtonLink, EmptyState, ErrorNote, FilterBar, FormField, LiveIndicator, PageHeader, Panel, TableSkeleton},
};

/// The id of the list of sites to choose from.
const SITES: &str = "newest-sites";

#[component]
pub fn ExperimentUnitPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        let text = |name: &str| query.with(|query| query.get(name).unwrap_or_default());
        (text("site"), text("visitor"))
    });
    let answer = Resource::new(move || asked.get(), |(site, visitor)| find_unit(site, visitor));
    let sites = Resource::new(|| (), |()| list_newest_sites());
    view! {
        <PageHeader title="Why did I get this?" lead="Which variants a visitor of a site sees in every running test, and why, by the code that decides it.">
            <LiveIndicator topics="experiment"/>
            <ButtonLink href="/experiments">"All tests"</ButtonLink>
        </PageHeader>
        {move || {
            let (site, visitor) = asked.get();
            let filtered = !site.is_empty() || !visitor.is_empty();
            view! {
                <FilterBar action="/experiments/unit" filtered submit="Explain" primary=true>
                    <FormField name="site" label="Site" required=true value=site list=SITES placeholder="name or id"/>
                    <FormField name="visitor" label="Visitor id" value=visitor placeholder="empty: asks not to be tracked"/>
                </FilterBar>
            }
        }}
        <Transition>
            {move || Suspend::new(async move {
                // Without them an id can still be typed.
                let options = sites.await.unwrap_or_default().into_iter().map(|(id, name)| view! { <option value=id>{name}</option> });
                view! { <datalist id=SITES>{options.collect_view()}</datalist> }
            })}
        </Transition>
        <p class="experiment__note">
            "The newest sites are offered by name; the id of any other stands in the address of its page. A visitor's id is what the widget keeps in the browser's local storage as "
            <code>"p4s_visitor:"</code>
            " and the site's id, as long as a test needs it; visitors who ask not to be tracked have none."
        </p>
        <Transition fallback=|| view! { <TableSkeleton/> }>
            {move || Suspend::new(async move {
                match answer.await {
                    Ok(answer) => view! { <Answer answer/> }.into_any(),
                    Err(error) => view! { <ErrorNote error/> }.into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn Answer(answer: Option<UnitAnswer>) -> impl IntoView {
    let Some(UnitAnswer { site, table }) = answer else {
        return view! {
            <Panel title="Answer">
                <EmptyState title="Whom is it about?"><p>"Name a site, and a visitor if there is one. The "<a href="/sites">"sites"</a>" are listed with their pages."</p></EmptyState>
            </Panel>
        }
        .into_any();
    };
    let title = format!("On {site}");
    view! {
        <Panel title hint="every test that runs or is paused, the earliest first; buckets are from 0 to below 1" flush=true>
            {match table {
                Some(table) => view! { <div id="experiment-unit" data-live-region inner_html=table></div> }.into_any(),
                None => view! {
                    <EmptyState title="No test runs"><p>"Everybody sees what is shown without a test. "<a href="/experiments">"All tests"</a>"."</p></EmptyState>
                }
                .into_any(),
            }}
        </Panel>
    }
    .into_any()
}
