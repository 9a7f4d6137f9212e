//! Asks once more before something that cannot be undone. It is a `details` element, so it works without script.

use leptos::prelude::*;

/// Shows a button that opens the question; the form that acts goes inside, with a red button if it destroys something.
#[component]
pub fn Confirm(
    /// On the button that opens it, such as `Revoke`.
    #[prop(into)]
    label: String,
    /// What will happen, as a question.
    #[prop(into)]
    question: String,
    children: Children,
) -> impl IntoView {
    view! {
        <details class="confirm">
            <summary class="button">{label}</summary>
            <div class="confirm__box">
                <p>{question}</p>
                {children()}
            </div>
        </details>
    }
}
