//! The editor of a test: one form whose every button sends all of it. What is not saved comes back in the URL.

use domain::experiment::Edit;
use leptos::{form::ActionForm, prelude::*};
use leptos_router::hooks::{use_params_map, use_query_map};

use super::fields::{Judged, Plan, Subject, TakesPart, Variants};
use crate::{
    api::{EditEffect, Editor, SaveExperiment, load_editor, use_viewer},
    components::{ButtonLink, ErrorNote, Notice, PageHeader, Panel, TableSkeleton, Tone},
};

#[component]
pub fn NewExperimentPage() -> impl IntoView {
    view! { <EditorPage key=Memo::new(|_| String::new())/> }
}

#[component]
pub fn EditExperimentPage() -> impl IntoView {
    let params = use_params_map();
    view! { <EditorPage key=Memo::new(move |_| params.with(|params| params.get("key").unwrap_or_default()))/> }
}

#[component]
fn EditorPage(key: Memo<String>) -> impl IntoView {
    let query = use_query_map();
    let save = ServerAction::<SaveExperiment>::new();
    let asked = Memo::new(move |_| {
        let text = |name: &str| query.with(|query| query.get(name).unwrap_or_default());
        (key.get(), text("draft"), text("kind"))
    });
    let editor = Resource::new(move || asked.get(), |(key, draft, kind)| load_editor(key, draft, kind));
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));
    view! {
        <Transition fallback=|| view! { <Panel title="Test"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match editor.await {
                    Ok(editor) if may_operate.get() => view! { <EditorView editor save/> }.into_any(),
                    Ok(_) => view! {
                        <PageHeader title="Test"><ButtonLink href="/experiments">"All tests"</ButtonLink></PageHeader>
                        <Notice tone=Tone::Warning>"Your role reads tests. An operator can make and change them."</Notice>
                    }
                    .into_any(),
                    Err(error) => {
                        let anew = match key.get() {
                            key if key.is_empty() => "/experiments/new".to_owned(),
                            key => format!("/experiments/{key}/edit"),
                        };
                        view! {
                            <PageHeader title="Test"><ButtonLink href="/experiments">"All tests"</ButtonLink></PageHeader>
                            <ErrorNote error/>
                            <p><ButtonLink href=anew>"Open the editor anew"</ButtonLink></p>
                        }
                        .into_any()
                    }
                }
            })}
        </Transition>
    }
}

#[component]
fn EditorView(editor: Editor, save: ServerAction<SaveExperiment>) -> impl IntoView {
    let (title, lead, back) = if editor.key.is_empty() {
        ("New test".to_owned(), "It begins as a draft: nobody sees it before you start it.", "/experiments".to_owned())
    } else if editor.has_begun {
        let lead = "The test has begun: before anything is saved, you see what it does to those who take part.";
        (format!("Edit {}", editor.name), lead, format!("/experiments/{}", editor.key))
    } else {
        (format!("Edit {}", editor.name), "A draft: nobody sees it before you start it.", format!("/experiments/{}", editor.key))
    };
    let Editor { key, has_begun, form, faults, problem, effect, checked, base, planner, measured, partners, sites, segments, demo, .. } =
        editor;
    let is_new = key.is_empty();
    let label = match (is_new, has_begun) {
        (true, _) => "Save the draft",
        (false, false) => "Save the draft",
        (false, true) => "See what this does",
    };
    let count = faults.len();
    let summary = (count > 0).then(|| {
        let words = if count == 1 { "One field needs another look.".to_owned() } else { format!("{count} fields need another look.") };
        let list =
            faults.iter().map(|(field, reason)| view! { <li>{super::fields::field_name(field)}": "{reason.clone()}</li> }).collect_view();
        view! { <Notice tone=Tone::Bad><strong>{words}</strong><ul class="experiment-form__faults">{list}</ul></Notice> }
    });
    let cancel = back.clone();
    let preview = demo.filter(|_| !is_new).map(|demo| (demo, key.clone()));
    view! {
        <PageHeader title lead><ButtonLink href=cancel>"Cancel"</ButtonLink></PageHeader>
        <ActionForm action=save attr:class="experiment-form" attr:novalidate=true>
            // What the Enter key presses; the first button of a form is its default.
            <button type="submit" class="visually-hidden" name="act" value="save" tabindex="-1" aria-hidden="true">{label}</button>
            <input type="hidden" name="key" value=key.clone()/>
            <input type="hidden" name="checked" value=checked/>
            <input type="hidden" name="base" value=base/>
            <div id="faults" class="stack">
                {problem.map(|error| view! { <ErrorNote error/> })}
                {summary}
            </div>
            {effect.map(|effect| view! { <EffectPanel effect/> })}
            <Subject form=form.clone() faults=faults.clone() is_new/>
            <Variants form=form.clone() faults=faults.clone() preview/>
            <TakesPart form=form.clone() faults=faults.clone() partners sites segments/>
            <Judged form=form.clone() faults=faults.clone()/>
            <Plan form faults planner measured/>
            <div class="experiment-form__end">
                <button type="submit" class="button" data-kind="primary" name="act" value="save">{label}</button>
                <ButtonLink href=back kind="quiet">"Cancel"</ButtonLink>
            </div>
        </ActionForm>
    }
}

/// What the edit would do, and the button that does it.
#[component]
fn EffectPanel(effect: EditEffect) -> impl IntoView {
    let EditEffect { edit, words, label } = effect;
    let (tone, kind) = match edit {
        Edit::Description => (Tone::Neutral, "primary"),
        Edit::MoreTraffic => (Tone::Neutral, "primary"),
        Edit::NewPhase => (Tone::Warning, "danger"),
    };
    view! {
        <div id="effect" class="experiment-form__effect">
            <Panel title="What this edit does">
                <div class="stack">
                    <Notice tone>{words}</Notice>
                    <div class="row"><button type="submit" class="button" data-kind=kind name="act" value="save">{label}</button></div>
                </div>
            </Panel>
        </div>
    }
}
