//! Who took part in the conversions of the whole programme, under eight models. The form is in the URL, and nobody is paid by it.

use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};

use crate::{
    api::{AttributionReportQuery, find_attribution_report},
    components::{ButtonLink, ErrorNote, FilterBar, FormField, PageHeader, Panel, SelectField, TableSkeleton, choices},
};

const PATH: &str = "/reports/attribution";

#[component]
pub fn AttributionReportPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| query.with(read_query));
    let answer = Resource::new(move || asked.get(), find_attribution_report);
    view! {
        <PageHeader
            title="Attribution report"
            lead="How much each partner or site took part in the conversions of the whole programme. A report that pays nobody."
        >
            <ButtonLink href="/attribution/what-if">"What if the rule that pays were another"</ButtonLink>
        </PageHeader>
        <Transition fallback=|| view! { <Panel title="Report"><TableSkeleton rows=8/></Panel> }>
            {move || Suspend::new(async move {
                match answer.await {
                    Ok(answer) => view! {
                        <QueryForm query=answer.query currencies=answer.currencies/>
                        <div inner_html=answer.report></div>
                    }
                    .into_any(),
                    Err(error) => view! {
                        <QueryForm query=asked.get() currencies=Vec::new()/>
                        <ErrorNote error/>
                        <p><ButtonLink href=PATH>"Show the last 30 days"</ButtonLink></p>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

fn read_query(query: &ParamsMap) -> AttributionReportQuery {
    let text = |key: &str| query.get(key).unwrap_or_default();
    AttributionReportQuery {
        channel: text("channel"),
        measure: text("measure"),
        currency: text("currency"),
        from: text("from"),
        to: text("to"),
    }
}

#[component]
fn QueryForm(query: AttributionReportQuery, currencies: Vec<String>) -> impl IntoView {
    let mut codes = currencies;
    if !query.currency.is_empty() && !codes.contains(&query.currency) {
        codes.push(query.currency.clone());
    }
    if codes.is_empty() {
        codes.push(String::new());
    }
    let codes = codes.into_iter().map(|code| (code.clone(), if code.is_empty() { "The most used".to_owned() } else { code })).collect();
    view! {
        <FilterBar action=PATH primary=true>
            <FormField name="from" label="From" kind="date" required=true value=query.from/>
            <FormField name="to" label="To (included), UTC" kind="date" required=true value=query.to/>
            <SelectField name="channel" label="Channels" options=choices([("partner", "Partners"), ("site", "Sites")]) value=query.channel/>
            <SelectField
                name="measure"
                label="Share out"
                options=choices([("conversions", "Conversions"), ("value", "Their value")])
                value=query.measure
            />
            <SelectField name="currency" label="Values in" options=codes value=query.currency/>
        </FilterBar>
    }
}
