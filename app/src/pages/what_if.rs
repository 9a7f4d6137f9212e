//! What if another attribution policy had been in force: the form is in the URL, and nothing is changed.

use domain::attribution::Model;
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};

use crate::{
    api::{WhatIfAnswer, WhatIfQuery, list_partners, start_what_if, what_if},
    components::{ButtonLink, ErrorNote, FilterBar, FormField, PageHeader, Panel, SelectField, TableSkeleton, with_all},
};

#[component]
pub fn WhatIfPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| query.with(read_query));
    // Without a model nobody has asked yet.
    let answer =
        Resource::new(move || asked.get(), |asked| async move { if asked.model.is_empty() { None } else { Some(what_if(asked).await) } });
    view! {
        <PageHeader title="What if" lead="Reruns a past period under another attribution policy, and shows who gains and who loses. Nothing is changed.">
            <ButtonLink href="/conversions">"All conversions"</ButtonLink>
        </PageHeader>
        <Panel title="Policy"><PolicyForm asked/></Panel>
        <Transition fallback=|| view! { <Panel title="Result"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match answer.await {
                    Some(Ok(answer)) => view! { <Answer answer/> }.into_any(),
                    Some(Err(error)) => view! { <ErrorNote error/> }.into_any(),
                    None => view! {
                        <p class="muted">
                            "Choose a policy and compare. What operators attributed by hand stays as it is, and so does what was refused because its partner was not active."
                        </p>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

fn read_query(query: &ParamsMap) -> WhatIfQuery {
    let text = |key: &str| query.get(key).unwrap_or_default();
    WhatIfQuery {
        partner: text("partner"),
        model: text("model"),
        window_hours: text("window_hours"),
        minimum_seconds: text("minimum_seconds"),
        from: text("from"),
        to: text("to"),
    }
}

#[component]
fn PolicyForm(asked: Memo<WhatIfQuery>) -> impl IntoView {
    let partners = Resource::new(|| (), |()| list_partners());
    let start = Resource::new(move || asked.get(), start_what_if);
    let models = || Model::ALL.map(|model| (model.to_string(), model.label().to_owned())).to_vec();
    view! {
        <Transition>
            {move || Suspend::new(async move {
                let partners = partners.await.map(|list| list.names).unwrap_or_default();
                match start.await {
                    Err(error) => view! { <ErrorNote error/> }.into_any(),
                    Ok(start) => view! {
                        <FilterBar action="/attribution/what-if" submit="Compare" primary=true>
                            <SelectField name="partner" label="Partner" options=with_all("Every partner", partners) value=start.partner/>
                            <SelectField name="model" label="Model" options=models() value=start.model/>
                            <FormField name="window_hours" label="Window, hours" inputmode="numeric" required=true value=start.window_hours/>
                            <FormField name="minimum_seconds" label="Minimum, seconds" inputmode="numeric" required=true value=start.minimum_seconds/>
                            <FormField name="from" label="From" kind="date" required=true value=start.from/>
                            <FormField name="to" label="To (included)" kind="date" required=true value=start.to/>
                        </FilterBar>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn Answer(answer: WhatIfAnswer) -> impl IntoView {
    let adopt = answer.adopt.into_iter().map(|(name, href)| view! { <ButtonLink href>{name}</ButtonLink> }).collect_view();
    view! {
        <div class="stack">
            <div inner_html=answer.report></div>
            <Panel title="Adopt it" hint="opens a partner's terms with this policy filled in; it counts from the time that you choose there">
                <div class="row">{adopt}</div>
            </Panel>
        </div>
    }
}
