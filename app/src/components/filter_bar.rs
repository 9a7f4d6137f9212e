//! The form over a list that says which of it to show, and the choices that stand in it.

use leptos::prelude::*;
use leptos_router::components::Form;

use super::ButtonLink;

/// A plain GET form: what is chosen stands in the URL. The fields are its children.
#[component]
pub fn FilterBar(
    /// The path of the page.
    action: &'static str,
    /// Whether anything is chosen that can be cleared.
    #[prop(optional)]
    filtered: bool,
    #[prop(default = "Show")] submit: &'static str,
    /// The form is what its page is for, and not a narrowing of a list.
    #[prop(optional)]
    primary: bool,
    children: Children,
) -> impl IntoView {
    view! {
        <Form method="GET" action attr:class="filter-bar">
            {children()}
            <button type="submit" class="button" data-kind=primary.then_some("primary")>{submit}</button>
            {filtered.then(|| view! { <ButtonLink href=action kind="quiet">"Clear"</ButtonLink> })}
        </Form>
    }
}

/// The choices of a select, given as (value, label).
pub fn choices<const N: usize>(choices: [(&str, &str); N]) -> Vec<(String, String)> {
    choices.map(|(value, label)| (value.to_owned(), label.to_owned())).to_vec()
}

/// The choices with one before them that chooses nothing, such as `Every partner`.
pub fn with_all(all: &str, choices: Vec<(String, String)>) -> Vec<(String, String)> {
    std::iter::once((String::new(), all.to_owned())).chain(choices).collect()
}
