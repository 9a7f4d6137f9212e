//! CSV imports: the list, the first rows of a file, and what became of its rows.

use domain::import::{Format, Mapping, RowError};
use engine::import::{Effects, Import, ImportState, Preview, Tally};
use leptos::prelude::*;

use super::html;
use crate::components::{Badge, Bar, DataTable, EmptyState, Notice, NumberCell, Panel, Time, Tone, count};

/// Of the errors that the page shows; all that are kept stand in the CSV.
const ERRORS_SHOWN: usize = 50;

pub fn import_table(imports: Vec<Import>) -> String {
    if imports.is_empty() {
        return html(view! {
            <EmptyState title="No imports yet"><p>"Upload a CSV file above. Nothing is imported before you have seen what it would do."</p></EmptyState>
        });
    }
    let row = |import: Import| {
        view! {
            <tr>
                <td data-label="File"><a href=format!("/imports/{}", import.import_id)>{import.file_name.clone()}</a></td>
                <td data-label="Partner">{import.partner_id.to_string()}</td>
                <td data-label="State"><span><StateWord state=import.state/></span></td>
                <NumberCell label="Rows">{count(import.rows_total.into())}</NumberCell>
                <NumberCell label="New">{count(import.rows_new.into())}</NumberCell>
                <NumberCell label="There already">{count(import.rows_duplicate.into())}</NumberCell>
                <NumberCell label="Wrong">{count(import.rows_failed.into())}</NumberCell>
                <td data-label="Uploaded"><Time at=import.created_at/></td>
            </tr>
        }
    };
    let rows = imports.into_iter().map(row).collect_view();
    html(view! {
        <DataTable caption="Imports" cards=true columns=vec!["File", "Partner", "State", "#Rows", "#New", "#There already", "#Wrong", "Uploaded"]>
            {rows}
        </DataTable>
    })
}

#[component]
fn StateWord(state: ImportState) -> impl IntoView {
    match state {
        ImportState::Previewed => view! { <Badge>"not run yet"</Badge> },
        ImportState::Running => view! { <Badge tone=Tone::Accent>"running"</Badge> },
        ImportState::Finished => view! { <Badge tone=Tone::Good>"finished"</Badge> },
    }
}

/// How far an import is, what became of its rows, and which were wrong. Empty before its run.
pub fn import_story(import: Import, effects: Effects) -> String {
    if import.state == ImportState::Previewed {
        return html(view! { <p class="muted">"Nothing of this file is imported yet."</p> });
    }
    let failed = import.rows_failed > 0 || effects.given_up_total > 0;
    let errors_href = format!("/imports/{}/errors.csv", import.import_id);
    let remap = (import.state == ImportState::Finished).then(|| format!("/imports/{}?remap=1", import.import_id));
    let total_failed = usize::try_from(import.rows_failed).unwrap_or(0);
    html(view! {
        <div class="stack">
            <Progress import=import.clone() waiting=effects.waiting/>
            <dl class="facts">
                <div><dt>"State"</dt><dd><StateWord state=import.state/></dd></div>
                <div><dt>"New"</dt><dd>{count(import.rows_new.into())}</dd></div>
                <div><dt>"There already"</dt><dd>{count(import.rows_duplicate.into())}</dd></div>
                <div><dt>"Wrong"</dt><dd>{count(import.rows_failed.into())}</dd></div>
                <div><dt>"Events processed"</dt><dd>{count(effects.processed)}</dd></div>
                <div><dt>"Events given up"</dt><dd>{count(effects.given_up_total)}</dd></div>
                {import.finished_at.map(|at| view! { <div><dt>"Finished"</dt><dd><Time at/></dd></div> })}
            </dl>
            {failed.then(|| view! { <div class="row"><a class="button" href=errors_href rel="external">"Download what was wrong as CSV"</a></div> })}
            <GivenUpList effects/>
            {(total_failed > 0).then(|| view! { <h3>"Rows that are wrong"</h3><ErrorTable errors=import.row_errors total=total_failed/> })}
            {remap.map(|href| view! { <div class="row"><a class="button" data-kind="quiet" href=href>"Map the columns anew"</a></div> })}
        </div>
    })
}

#[component]
fn Progress(import: Import, waiting: i64) -> impl IntoView {
    let percent = f64::from(import.rows_done) / f64::from(import.rows_total.max(1)) * 100.0;
    let rest = match (import.state, waiting) {
        (ImportState::Running, _) => "The rest follows; this page shows it by itself.".to_owned(),
        (_, 0) => "Every event was worked off.".to_owned(),
        (_, waiting) => format!("{} events wait for a worker.", count(waiting)),
    };
    view! {
        <div class="imports__progress">
            <p role="status">{format!("{} of {} rows looked at. {rest}", count(import.rows_done.into()), count(import.rows_total.into()))}</p>
            <Bar percent/>
        </div>
    }
}

#[component]
fn GivenUpList(effects: Effects) -> impl IntoView {
    if effects.given_up.is_empty() {
        return ().into_any();
    }
    let item = |event: engine::import::GivenUp| {
        view! { <li><a href=format!("/deliveries/{}", event.webhook_delivery_id)>"Line "{event.line.to_string()}</a>": "{event.reason}</li> }
    };
    let items = effects.given_up.into_iter().map(item).collect_view();
    view! { <h3>"Events that were given up"</h3><ul class="imports__list">{items}</ul> }.into_any()
}

#[component]
fn ErrorTable(errors: Vec<RowError>, total: usize) -> impl IntoView {
    let shown = errors.len().min(ERRORS_SHOWN);
    let row = |error: RowError| {
        view! {
            <tr>
                <NumberCell label="Line">{error.line.to_string()}</NumberCell>
                <td data-label="Column">{error.column}</td>
                <td data-label="Value"><code class="imports__value">{error.value}</code></td>
                <td data-label="Expected">{error.expected}</td>
            </tr>
        }
    };
    let rows = errors.into_iter().take(ERRORS_SHOWN).map(row).collect_view();
    view! {
        <DataTable caption="Rows that are wrong" cards=true columns=vec!["#Line", "Column", "Value", "Expected"]>{rows}</DataTable>
        {(total > shown).then(|| view! { <p class="imports__more">{format!("The first {shown} of {}.", count(i64::try_from(total).unwrap_or(i64::MAX)))}</p> })}
    }
}

/// The first rows as they stand in the file, and the problems that reading them has met.
pub fn import_preview(preview: Preview) -> String {
    let delimiter = match preview.delimiter {
        ';' => "semicolons",
        '\t' => "tabs",
        _ => "commas",
    };
    let format = match Mapping::guess(&preview.headers).format {
        Format::Own => "columns of our own contract",
        Format::Dub => "an export of Dub",
        Format::Rewardful => "an export of Rewardful",
        Format::Custom => "columns of no program that we know",
    };
    let heads = preview.headers.into_iter().map(|header| view! { <th scope="col">{header}</th> }).collect_view();
    let rows = preview.rows.into_iter().map(|(line, cells)| {
        let cells = cells.into_iter().map(|cell| view! { <td><span class="imports__value">{cell}</span></td> }).collect_view();
        view! { <tr><td data-kind="number">{line.to_string()}</td>{cells}</tr> }
    });
    let rows = rows.collect_view();
    html(view! {
        <Panel title="First rows" hint=format!("cells between {delimiter}; {format}") flush=true>
            <div class="table-box" tabindex="0" role="region" aria-label="First rows of the file">
                <table class="table">
                    <caption class="visually-hidden">"First rows of the file"</caption>
                    <thead><tr><th scope="col" data-kind="number">"Line"</th>{heads}</tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </Panel>
        {(preview.errors_total > 0).then(|| view! {
            <Panel title="Problems" hint="rows that cannot be read under this mapping" flush=true>
                <ErrorTable errors=preview.errors total=preview.errors_total/>
            </Panel>
        })}
    })
}

/// What a run would do now.
pub fn import_dry_run(tally: Tally) -> String {
    let total = usize::try_from(tally.failed).unwrap_or(0);
    let words = format!(
        "{} rows are new, {} are there already, {} are wrong.",
        count(tally.new.into()),
        count(tally.duplicate.into()),
        count(tally.failed.into())
    );
    let tone = if tally.failed > 0 { Tone::Warning } else { Tone::Good };
    html(view! {
        <div class="stack">
            <Notice tone>
                <strong>{words}</strong>
                " Nothing was imported. What is wrong is left out of a run, and what is there already has no second effect."
            </Notice>
            {(total > 0).then(|| view! { <ErrorTable errors=tally.errors total/> })}
        </div>
    })
}
