//! What operators do to a test: its steps, and the decision at its end.

use domain::experiment::{Status, Step};
use leptos::prelude::*;

use crate::{
    api::{ShipChoice, ShipExperiment, StepExperiment},
    components::{Confirm, Notice, SubmitButton, Tone},
};

/// They outlive the data, so that an error stays while the page is fetched anew.
#[derive(Clone, Copy)]
pub struct Actions {
    pub step: ServerAction<StepExperiment>,
    pub ship: ServerAction<ShipExperiment>,
}

impl Actions {
    pub fn new() -> Self {
        Self { step: ServerAction::new(), ship: ServerAction::new() }
    }

    /// Grows when the test may have changed.
    pub fn version(self) -> usize {
        self.step.version().get() + self.ship.version().get()
    }
}

/// A button for each step that follows from the status. What cannot be taken back asks first.
#[component]
pub fn Steps(key: String, status: Status, actions: Actions) -> impl IntoView {
    let buttons = status.steps().iter().map(|step| {
        let key = key.clone();
        match step {
            Step::Start => view! { <Plain key step="start" label="Start the test" kind="primary" actions/> }.into_any(),
            Step::Pause => view! { <Plain key step="pause" label="Pause" kind="secondary" actions/> }.into_any(),
            Step::Resume => view! { <Plain key step="resume" label="Resume" kind="primary" actions/> }.into_any(),
            Step::Stop => view! {
                <Asking
                    key step="stop" label="Stop" actions
                    question="Stop it for good? Nobody is assigned any more, everybody sees what is shown without the test, and late conversions still count. It cannot be started again."
                    yes="Stop it without shipping"
                />
            }
            .into_any(),
            Step::Archive => view! {
                <Asking
                    key step="archive" label="Archive" actions
                    question="Put it out of the way? It stays readable under the archived tests, and cannot be brought back."
                    yes="Archive it"
                />
            }
            .into_any(),
        }
    });
    view! { <div class="row" role="group" aria-label="What to do with the test">{buttons.collect_view()}</div> }
}

#[component]
fn Plain(key: String, step: &'static str, label: &'static str, kind: &'static str, actions: Actions) -> impl IntoView {
    view! {
        <ActionForm action=actions.step>
            <input type="hidden" name="key" value=key/>
            <input type="hidden" name="step" value=step/>
            <SubmitButton label kind pending=actions.step.pending()/>
        </ActionForm>
    }
}

#[component]
fn Asking(
    key: String,
    step: &'static str,
    label: &'static str,
    question: &'static str,
    yes: &'static str,
    actions: Actions,
) -> impl IntoView {
    view! {
        <Confirm label question>
            <ActionForm action=actions.step>
                <input type="hidden" name="key" value=key/>
                <input type="hidden" name="step" value=step/>
                <SubmitButton label=yes kind="danger" pending=actions.step.pending()/>
            </ActionForm>
        </Confirm>
    }
}

/// The decision. Nothing is chosen beforehand, whatever the numbers say: a person decides.
#[component]
pub fn Ship(key: String, choices: Vec<ShipChoice>, shipped: Option<String>, status: Status, actions: Actions) -> impl IntoView {
    let (title, yes) = match (status, &shipped) {
        (Status::Stopped, Some(_)) => ("Ship another variant", "Ship it"),
        (Status::Stopped, None) => ("Ship a variant", "Ship it"),
        _ => ("Stop and ship", "Stop the test and ship it"),
    };
    let done = shipped.and_then(|key| choices.iter().find(|choice| choice.key == key).cloned()).map(|choice| {
        let words = format!("“{}” was shipped: everybody sees {}.", choice.name, choice.shows);
        view! { <Notice tone=Tone::Good>{words}</Notice> }
    });
    let options = choices
        .into_iter()
        .map(|choice| {
            let id = format!("ship-{}", choice.key);
            view! {
                <div class="ship__choice">
                    <input class="choice" type="radio" name="variant" id=id.clone() value=choice.key required=true/>
                    <label for=id>
                        <strong>{choice.name}</strong>
                        <span class="ship__shows">{choice.shows}</span>
                        {choice.result.map(|result| view! { <span class="ship__result">{result}</span> })}
                    </label>
                </div>
            }
        })
        .collect_view();
    view! {
        {done}
        <details class="ship">
            <summary class="button">{title}</summary>
            <ActionForm action=actions.ship attr:class="ship__form">
                <input type="hidden" name="key" value=key/>
                <fieldset class="ship__choices">
                    <legend>"What becomes the default for everybody?"</legend>
                    {options}
                </fieldset>
                <p class="experiment__note">
                    "The next recommendation uses it, on every site that the test was for. The decision stands in the audit log with your name."
                </p>
                <div class="row"><SubmitButton label=yes kind="danger" pending=actions.ship.pending()/></div>
            </ActionForm>
        </details>
    }
}
