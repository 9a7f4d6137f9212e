//! Exchange rates: the newest, what waits for one, and the form that imports the ECB's file.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{
    api::{show_exchange_rates, use_viewer},
    components::{ErrorNote, FormField, LiveIndicator, Notice, PageHeader, Panel, TableSkeleton, Tone, count},
};

#[component]
pub fn ExchangeRatesPage() -> impl IntoView {
    let view = Resource::new(|| (), |()| show_exchange_rates());
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));
    view! {
        <div class="stack">
            <PageHeader title="Exchange rates" lead="The European Central Bank's reference rates, by which values become what a partner pays in.">
                <LiveIndicator topics="conversion"/>
            </PageHeader>
            <Outcome/>
            <Show when=move || may_operate.get()><UploadForm/></Show>
            <Transition fallback=|| view! { <Panel title="Rates"><TableSkeleton/></Panel> }>
                {move || Suspend::new(async move {
                    match view.await {
                        Ok(view) => view! {
                            <Panel title="Waiting for a rate" hint="nothing is booked for them, and no two currencies are ever added" flush=true>
                                <div id="waiting-for-rates" data-live-region inner_html=view.waiting></div>
                            </Panel>
                            <Panel title="The newest rates" hint="units of the currency for one euro" flush=true><div inner_html=view.rates></div></Panel>
                        }
                        .into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

/// What the last upload did. Only numbers and currency codes of the URL are shown, and a reason, as text.
#[component]
fn Outcome() -> impl IntoView {
    let query = use_query_map();
    move || {
        query.with(|query| {
            let number = |name: &str| query.get_str(name).and_then(|text| text.parse::<i64>().ok());
            if let Some(reason) = query.get("error").filter(|reason| !reason.is_empty()) {
                return Some(view! { <Notice tone=Tone::Bad><strong>"No rate was imported. "</strong>{reason}</Notice> });
            }
            let (added, kept, released) = (number("added")?, number("kept")?, number("released")?);
            let codes = query.get("skipped").unwrap_or_default();
            let skipped: Vec<String> = codes
                .split(',')
                .filter(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()))
                .map(str::to_owned)
                .collect();
            let left_out =
                if skipped.is_empty() { String::new() } else { format!(" Left out, as no currency of today: {}.", skipped.join(", ")) };
            let words = format!(
                "{} rates added, {} were there already, {} conversions that waited are looked at again.{left_out}",
                count(added),
                count(kept),
                count(released)
            );
            Some(view! { <Notice tone=Tone::Good><strong>"Imported. "</strong>{words}</Notice> })
        })
    }
}

#[component]
fn UploadForm() -> impl IntoView {
    view! {
        <Panel title="Import rates" hint="a rate that is in use never changes">
            <form class="stack" method="post" action="/exchange-rates" enctype="multipart/form-data">
                <FormField
                    name="file" label="CSV file of the ECB" kind="file" required=true
                    hint="eurofxref.csv of a day, or eurofxref-hist.csv of all. A weekend takes the rate of the Friday before."
                />
                <div class="row"><button type="submit" class="button" data-kind="primary">"Import rates"</button></div>
            </form>
        </Panel>
    }
}
