//! One case study: what it was written from, its texts, the developer's consent, and its publication.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::{
    api::{
        CaseStudyDetail, CaseStudyState, CaseStudyTexts, EditCaseStudy, PublishCaseStudy, RecordConsent, RewriteCaseStudy,
        WithdrawCaseStudy, find_case_study, use_viewer,
    },
    components::{
        ButtonLink, Confirm, DoneNotice, ErrorNote, FormError, FormField, Notice, PageHeader, Panel, SubmitButton, TableSkeleton,
        TextAreaField, Time, Tone, about, failure,
    },
};

/// What can be done here. They outlive the data, so that an error stays while the page is fetched anew.
#[derive(Clone, Copy)]
struct Actions {
    edit: ServerAction<EditCaseStudy>,
    rewrite: ServerAction<RewriteCaseStudy>,
    publish: ServerAction<PublishCaseStudy>,
    withdraw: ServerAction<WithdrawCaseStudy>,
    consent: ServerAction<RecordConsent>,
}

impl Actions {
    fn new() -> Self {
        Self {
            edit: ServerAction::new(),
            rewrite: ServerAction::new(),
            publish: ServerAction::new(),
            withdraw: ServerAction::new(),
            consent: ServerAction::new(),
        }
    }

    /// Grows when the case study may have changed.
    fn version(self) -> usize {
        self.edit.version().get()
            + self.rewrite.version().get()
            + self.publish.version().get()
            + self.withdraw.version().get()
            + self.consent.version().get()
    }
}

#[component]
pub fn CaseStudyPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let actions = Actions::new();
    let case_study = Resource::new(move || (id.get(), actions.version()), |(id, _)| find_case_study(id));
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));
    view! {
        <Transition fallback=|| view! { <Panel title="Case study"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match case_study.await {
                    Ok(detail) => view! { <CaseStudyView detail actions may_operate=may_operate.get()/> }.into_any(),
                    Err(error) => view! {
                        <PageHeader title="Case study"><ButtonLink href="/case-studies">"All case studies"</ButtonLink></PageHeader>
                        <ErrorNote error/>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn CaseStudyView(detail: CaseStudyDetail, actions: Actions, may_operate: bool) -> impl IntoView {
    let published = detail.state == CaseStudyState::Published;
    let (preview, facts, id) = (detail.preview.clone(), detail.facts.clone(), detail.id.to_string());
    let (title, lead) = (format!("{} and {}", detail.developer_name, detail.partner_name), detail.lead.clone());
    let publication = detail.clone();
    let consent = detail.clone();
    view! {
        <div class="stack">
            <PageHeader title lead>
                {published.then(|| view! {
                    <a class="button" href=format!("/case-studies/{id}/export/html") rel="external" download>"Download HTML"</a>
                    <a class="button" href=format!("/case-studies/{id}/export/markdown") rel="external" download>"Download Markdown"</a>
                })}
                <ButtonLink href="/case-studies">"All case studies"</ButtonLink>
            </PageHeader>
            <DoneNotice/>
            <div class="columns">
                <Panel title="Preview"><div inner_html=preview></div></Panel>
                <div class="stack">
                    <Panel title="Publication"><Publication detail=publication actions may_operate/></Panel>
                    <Panel title="Consent" hint="of the developer, to be written about"><Consent detail=consent actions may_operate/></Panel>
                </div>
            </div>
            {(may_operate && !published).then(|| view! { <Editing detail actions/> })}
            <div inner_html=facts></div>
        </div>
    }
}

#[component]
fn Publication(detail: CaseStudyDetail, actions: Actions, may_operate: bool) -> impl IntoView {
    let id = detail.id.to_string();
    let (tone, words) = match (detail.state, detail.consented_at) {
        (CaseStudyState::Published, _) => (Tone::Good, "It is published. To change it, withdraw it first."),
        (_, Some(_)) => (Tone::Neutral, "It is not published. The developer has consented, so it may be."),
        (_, None) => (Tone::Warning, "It cannot be published: the developer has not consented."),
    };
    view! {
        <div class="stack">
            <Notice tone>{words}</Notice>
            <FormError failure=failure(actions.publish)/>
            <FormError failure=failure(actions.withdraw)/>
            {may_operate.then(|| match detail.state {
                CaseStudyState::Published => view! {
                    <Confirm label="Withdraw" question="Take it back? What was downloaded or copied stays where it is.">
                        <ActionForm action=actions.withdraw>
                            <input type="hidden" name="id" value=id/>
                            <SubmitButton label="Withdraw it" kind="danger"/>
                        </ActionForm>
                    </Confirm>
                }
                .into_any(),
                CaseStudyState::Draft | CaseStudyState::Withdrawn => view! {
                    <ActionForm action=actions.publish>
                        <input type="hidden" name="id" value=id/>
                        <SubmitButton label="Publish"/>
                    </ActionForm>
                }
                .into_any(),
            })}
        </div>
    }
}

#[component]
fn Consent(detail: CaseStudyDetail, actions: Actions, may_operate: bool) -> impl IntoView {
    let failed = failure(actions.consent);
    let id = detail.id.to_string();
    let (given, label, kind) = match detail.consented_at {
        Some(_) => ("false", "Record that it is taken back", "danger"),
        None => ("true", "Record the consent", "primary"),
    };
    view! {
        <div class="stack">
            {match detail.consented_at {
                Some(at) => view! { <p>{detail.developer_name}" consented on "<Time at/>". Taking it back withdraws what is published."</p> }.into_any(),
                None => view! { <p>{detail.developer_name}" has not consented to be written about, not even without a name."</p> }.into_any(),
            }}
            {may_operate.then(|| view! {
                <ActionForm action=actions.consent attr:class="form">
                    <input type="hidden" name="id" value=id/>
                    <input type="hidden" name="given" value=given/>
                    <FormField
                        name="how" label="How the developer told us" required=true
                        hint="Such as: letter of 22 November. It stands in the audit log." error=about(failed, "how")
                    />
                    <FormError failure=failed fields=&["how"]/>
                    <div class="row"><SubmitButton label kind pending=actions.consent.pending()/></div>
                </ActionForm>
            })}
        </div>
    }
}

#[component]
fn Editing(detail: CaseStudyDetail, actions: Actions) -> impl IntoView {
    let failed = failure(actions.edit);
    let CaseStudyTexts { title, summary, story } = detail.texts;
    let id = detail.id.to_string();
    let rewritten = id.clone();
    view! {
        <Panel title="Texts" hint="the figures and the timeline stay as the data tell them">
            <div class="stack">
                <ActionForm action=actions.edit attr:class="form case-study__form">
                    <input type="hidden" name="id" value=id/>
                    <FormField name="title" label="Title" value=title required=true error=about(failed, "title")/>
                    <TextAreaField name="summary" label="Summary" rows=3 value=summary required=true error=about(failed, "summary")/>
                    <TextAreaField
                        name="story" label="Story" rows=12 value=story required=true hint="An empty line begins a new paragraph."
                        error=about(failed, "story")
                    />
                    <FormError failure=failed fields=&["title", "summary", "story"]/>
                    <div class="row"><SubmitButton label="Save the texts" pending=actions.edit.pending()/></div>
                </ActionForm>
                <FormError failure=failure(actions.rewrite)/>
                <Confirm label="Write anew" question="Replace the texts, figures and timeline by what the data tell now? The texts as they are will be lost.">
                    <ActionForm action=actions.rewrite>
                        <input type="hidden" name="id" value=rewritten/>
                        <SubmitButton label="Write it anew" kind="danger"/>
                    </ActionForm>
                </Confirm>
            </div>
        </Panel>
    }
}
