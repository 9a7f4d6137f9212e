//! One success: its evidence, what was decided about it, and the score it adds to. Operators verify or reject it here.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::{
    api::{DecideSuccess, SuccessDetail, find_success, use_viewer},
    components::{
        ButtonLink, DoneNotice, ErrorNote, FormError, LiveIndicator, PageHeader, Panel, TableSkeleton, TextAreaField, about, failure,
    },
};

#[component]
pub fn SuccessPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let decide = ServerAction::<DecideSuccess>::new();
    let success = Resource::new(move || (id.get(), decide.version().get()), |(id, _)| find_success(id));
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));
    view! {
        <Transition fallback=|| view! { <Panel title="Success"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match success.await {
                    Ok(detail) => view! { <SuccessView detail decide may_operate=may_operate.get()/> }.into_any(),
                    Err(error) => view! {
                        <PageHeader title="Success"><ButtonLink href="/successes">"All successes"</ButtonLink></PageHeader>
                        <ErrorNote error/>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn SuccessView(detail: SuccessDetail, decide: ServerAction<DecideSuccess>, may_operate: bool) -> impl IntoView {
    let SuccessDetail { id, title, lead, story, can_verify, can_reject } = detail;
    view! {
        <div class="stack">
            <PageHeader title lead>
                <LiveIndicator topics="success conversion"/>
                <ButtonLink href="/successes">"All successes"</ButtonLink>
            </PageHeader>
            <DoneNotice/>
            {may_operate.then(|| view! { <Decision id=id.to_string() decide can_verify can_reject/> })}
            <div id="success-story" data-live-region inner_html=story></div>
        </div>
    }
}

/// One reason and two buttons: which one was pressed is sent along.
#[component]
fn Decision(id: String, decide: ServerAction<DecideSuccess>, can_verify: bool, can_reject: bool) -> impl IntoView {
    let failed = failure(decide);
    let title = if can_verify && can_reject { "Is it true?" } else { "Decide otherwise" };
    view! {
        <Panel title=title hint="commissions whose adjustment window is open are rated anew at once">
            <ActionForm action=decide attr:class="form">
                <input type="hidden" name="id" value=id/>
                <TextAreaField name="reason" label="Reason" rows=2 hint="A rejection needs one. It stands in the audit log." error=about(failed, "reason")/>
                <FormError failure=failed fields=&["reason"]/>
                <div class="row">
                    {can_verify.then(|| view! { <button type="submit" class="button" data-kind="primary" name="decision" value="verify">"Verify"</button> })}
                    {can_reject.then(|| view! { <button type="submit" class="button" data-kind="danger" name="decision" value="reject">"Reject"</button> })}
                </div>
            </ActionForm>
        </Panel>
    }
}
