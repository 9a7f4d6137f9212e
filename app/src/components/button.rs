//! Buttons. A plain `<button class="button">` is the same; `data-kind` is `primary`, `danger`, `quiet` or absent.

use leptos::prelude::*;

/// Sends its form. While `pending`, it cannot be pressed again and says so.
#[component]
pub fn SubmitButton(
    #[prop(into)] label: String,
    #[prop(optional, into)] pending: Signal<bool>,
    /// `primary` unless given.
    #[prop(default = "primary")]
    kind: &'static str,
) -> impl IntoView {
    view! {
        <button type="submit" class="button" data-kind=kind aria-busy=move || pending.get().to_string() disabled=move || pending.get()>
            {label}
        </button>
    }
}

/// A link that looks like a button.
#[component]
pub fn ButtonLink(#[prop(into)] href: String, #[prop(optional)] kind: Option<&'static str>, children: Children) -> impl IntoView {
    view! { <a class="button" data-kind=kind href=href>{children()}</a> }
}
