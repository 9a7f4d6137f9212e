//! Case studies: the list, one as a reader sees it, and what it was written from.

use domain::case_study::{CaseStudy, Draft, Figure};
use engine::case_study::{Listed, State};
use leptos::prelude::*;

use super::html;
use crate::{
    charts,
    components::{Badge, DataTable, NumberCell, Panel, Time, Tone},
};

/// A table of case studies; empty if there are none.
pub fn case_study_table(case_studies: Vec<Listed>) -> String {
    if case_studies.is_empty() {
        return String::new();
    }
    let rows = case_studies.into_iter().map(|case_study| view! { <Line case_study/> }).collect_view();
    html(view! {
        <DataTable caption="Case studies, the last changed first" cards=true columns=vec!["State", "Title", "Partner", "Developer", "Consent", "Changed"]>
            {rows}
        </DataTable>
    })
}

/// Title, summary and story as a reader will see them.
pub fn case_study_preview(case_study: &CaseStudy) -> String {
    let CaseStudy { developer_name, partner_name, draft } = case_study.clone();
    let paragraphs: Vec<_> = draft.story.split("\n\n").map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect();
    html(view! {
        <article class="case-study">
            <h3 class="case-study__title">{draft.title}</h3>
            <p class="muted">{format!("{developer_name} with {partner_name}")}</p>
            <p class="case-study__summary">{draft.summary}</p>
            {paragraphs.into_iter().map(|text| view! { <p>{text}</p> }).collect_view()}
        </article>
    })
}

/// The timeline as a drawing and as a list, and every figure with its query, period and n.
pub fn case_study_facts(draft: &Draft) -> String {
    let Draft { figures, timeline, .. } = draft.clone();
    let drawing = charts::timeline(&timeline);
    let entries = timeline.into_iter().map(|entry| view! { <li><Time at=entry.at/><span>{entry.label}</span></li> }).collect_view();
    html(view! {
        <div class="stack">
            <Panel title="Timeline" hint="the first click and the verified successes, added up">
                <div class="stack">
                    {drawing.map(|drawing| view! { <div class="chart" inner_html=drawing></div> })}
                    <ol class="timeline">{entries}</ol>
                </div>
            </Panel>
            <Panel title="Figures" hint="each with its query, its period and how many rows it counts" flush=true>
                <Figures figures/>
            </Panel>
        </div>
    })
}

#[component]
fn Line(case_study: Listed) -> impl IntoView {
    let (tone, state) = match case_study.state {
        State::Draft => (Tone::Accent, "draft"),
        State::Published => (Tone::Good, "published"),
        State::Withdrawn => (Tone::Neutral, "withdrawn"),
    };
    let consent = match case_study.consented_at {
        Some(at) => view! { <Time at/> }.into_any(),
        None => view! { <Badge tone=Tone::Warning>"not given"</Badge> }.into_any(),
    };
    view! {
        <tr>
            <td data-label="State"><Badge tone>{state}</Badge></td>
            <td data-label="Title" class="case-studies__title"><a href=format!("/case-studies/{}", case_study.case_study_id)>{case_study.title}</a></td>
            <td data-label="Partner"><a href=format!("/partners/{}", case_study.partner_id)>{case_study.partner_name}</a></td>
            <td data-label="Developer">{case_study.developer_name}</td>
            <td data-label="Consent">{consent}</td>
            <td data-label="Changed"><Time at=case_study.updated_at/></td>
        </tr>
    }
}

#[component]
fn Figures(figures: Vec<Figure>) -> impl IntoView {
    let rows = figures
        .into_iter()
        .map(|figure| {
            view! {
                <tr>
                    <th scope="row" data-label="Figure">{figure.label}</th>
                    <td data-label="Value">{figure.value}</td>
                    <td data-label="Query" class="case-studies__source">{figure.source}</td>
                    <td data-label="Period">{figure.period}</td>
                    <NumberCell label="n">{figure.n.to_string()}</NumberCell>
                </tr>
            }
        })
        .collect_view();
    view! { <DataTable caption="Figures of the case study" cards=true columns=vec!["Figure", "Value", "Query", "Period", "#n"]>{rows}</DataTable> }
}
