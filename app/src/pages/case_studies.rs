//! Case studies, and the developers about whom one could be written.

use leptos::prelude::*;

use crate::{
    api::{Candidate, CaseStudyList, DraftCaseStudy, list_case_studies, use_viewer},
    components::{
        Badge, DataTable, DoneNotice, EmptyState, ErrorNote, FormError, NumberCell, PageHeader, Panel, TableSkeleton, Time, Tone, failure,
    },
};

#[component]
pub fn CaseStudiesPage() -> impl IntoView {
    let draft = ServerAction::<DraftCaseStudy>::new();
    let list = Resource::new(move || draft.version().get(), |_| list_case_studies());
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));
    view! {
        <PageHeader title="Case studies" lead="What developers reached with partners, told from the data. Nothing is published without the developer's consent."/>
        <DoneNotice/>
        <FormError failure=failure(draft)/>
        <Transition fallback=|| view! { <Panel title="Case studies"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match list.await {
                    Ok(list) => view! { <Lists list draft may_operate=may_operate.get()/> }.into_any(),
                    Err(error) => view! { <ErrorNote error/> }.into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn Lists(list: CaseStudyList, draft: ServerAction<DraftCaseStudy>, may_operate: bool) -> impl IntoView {
    let CaseStudyList { table, candidates } = list;
    view! {
        <div class="stack">
            <Panel title="Case studies" hint="the last changed first" flush=true>
                {if table.is_empty() {
                    view! {
                        <EmptyState title="No case studies yet">
                            <p>"One is drafted for a developer with 3 verified successes with a partner within 90 days."</p>
                        </EmptyState>
                    }
                    .into_any()
                } else {
                    view! { <div inner_html=table></div> }.into_any()
                }}
            </Panel>
            <Panel title="Could be written" hint="developers with 3 or more verified successes with a partner in the last 90 days" flush=true>
                <Candidates candidates draft may_operate/>
            </Panel>
        </div>
    }
}

#[component]
fn Candidates(candidates: Vec<Candidate>, draft: ServerAction<DraftCaseStudy>, may_operate: bool) -> impl IntoView {
    if candidates.is_empty() {
        return view! {
            <EmptyState title="Nobody at present">
                <p>"Verified successes bring developers here; "<a href="/successes?state=unverified">"see what waits for verification"</a>"."</p>
            </EmptyState>
        }
        .into_any();
    }
    let rows = candidates
        .into_iter()
        .map(|candidate| {
            let (tone, consent) = if candidate.consented { (Tone::Good, "given") } else { (Tone::Warning, "not given") };
            let label = format!("Draft the case study of {} with {}", candidate.developer_name, candidate.partner_name);
            view! {
                <tr>
                    <td data-label="Developer">{candidate.developer_name}</td>
                    <td data-label="Partner">{candidate.partner_name}</td>
                    <NumberCell label="Successes">{candidate.successes.to_string()}</NumberCell>
                    <td data-label="Newest"><Time at=candidate.newest_at/></td>
                    <td data-label="Consent"><Badge tone>{consent}</Badge></td>
                    <td data-label="Draft">
                        {if may_operate {
                            view! {
                                <ActionForm action=draft>
                                    <input type="hidden" name="partner" value=candidate.partner_id.to_string()/>
                                    <input type="hidden" name="developer" value=candidate.developer_id.to_string()/>
                                    <button type="submit" class="button" aria-label=label>"Draft"</button>
                                </ActionForm>
                            }
                            .into_any()
                        } else {
                            view! { <span class="muted">"–"</span> }.into_any()
                        }}
                    </td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <DataTable
            caption="Developers about whom a case study could be written"
            cards=true
            columns=vec!["Developer", "Partner", "#Successes", "Newest", "Consent", "Draft"]
        >
            {rows}
        </DataTable>
    }
    .into_any()
}
