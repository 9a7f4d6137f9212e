//! What went wrong, in words, where it went wrong.

use leptos::prelude::*;

use super::{Icon, Symbol, Tone};
use crate::AppError;

/// Titles that say no more than the detail below them.
const REPEATED: [&str; 3] = ["invalid input", "not found", "conflict"];

/// A problem in place of what could not be shown or done.
#[component]
pub fn ErrorNote(error: AppError) -> impl IntoView {
    let sign_in = error.is_unauthenticated();
    let temporary = error.0.status == 503;
    let is_repeated = error.0.detail.is_some() && REPEATED.contains(&error.0.title.as_str());
    view! {
        <div class="notice" data-tone="bad" role="alert">
            <Icon symbol=Symbol::Warning/>
            <div class="notice__text">
                {(!is_repeated).then(|| view! { <strong>{sentence(&error.0.title)}</strong> })}
                {error.0.detail.as_deref().map(|detail| view! { <p>{sentence(detail)}</p> })}
                {sign_in.then(|| view! { <p><a href="/sign-in" rel="external">"Sign in again"</a></p> })}
                {temporary.then(|| view! { <p>"Reload the page in a moment."</p> })}
            </div>
        </div>
    }
}

/// A sentence that needs attention but is no failure, or tells of a success.
#[component]
pub fn Notice(#[prop(optional)] tone: Tone, children: Children) -> impl IntoView {
    let symbol = match tone {
        Tone::Good => Symbol::Check,
        Tone::Neutral | Tone::Accent => Symbol::Info,
        Tone::Warning | Tone::Bad => Symbol::Warning,
    };
    view! {
        <div class="notice" data-tone=tone.name() role="status">
            <Icon symbol/>
            <div class="notice__text">{children()}</div>
        </div>
    }
}

/// Error texts are lower case without a full stop; a reader gets a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_error_text_becomes_a_sentence() {
        assert_eq!(super::sentence("partner `x` was not found"), "Partner `x` was not found.");
        assert_eq!(super::sentence("Done!"), "Done!");
    }
}
