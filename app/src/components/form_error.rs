//! What went wrong with a form: at the field that it is about, or under the form.

use leptos::{prelude::*, server_fn::ServerFn};

use super::ErrorNote;
use crate::AppError;

/// Why the last run of an action failed; also after a form that was sent without script, whose error stands in the URL.
pub fn failure<S>(action: ServerAction<S>) -> Signal<Option<AppError>>
where
    S: ServerFn<Error = AppError> + Clone + Send + Sync + 'static,
    S::Output: Send + Sync + 'static,
{
    let value = action.value();
    Signal::derive(move || value.with(|value| value.as_ref().and_then(|result| result.as_ref().err().cloned())))
}

/// What is wrong with one field, for its `error`.
pub fn about(failure: Signal<Option<AppError>>, field: &'static str) -> Signal<Option<String>> {
    Signal::derive(move || failure.with(|failure| failure.as_ref().and_then(|error| error.about(field))))
}

/// A failure that is about none of the form's fields.
#[component]
pub fn FormError(failure: Signal<Option<AppError>>, #[prop(optional)] fields: &'static [&'static str]) -> impl IntoView {
    let shown = move || failure.get().filter(|error| !error.0.field.as_deref().is_some_and(|field| fields.contains(&field)));
    move || shown().map(|error| view! { <ErrorNote error/> })
}
