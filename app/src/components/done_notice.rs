//! What a form has just done, after it led back to its page.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{Notice, Tone};

/// Says what the query's `done` stands for. The words are ours: nothing of the URL is shown.
#[component]
pub fn DoneNotice() -> impl IntoView {
    let query = use_query_map();
    let words = move || {
        query.with(|query| {
            Some(match query.get_str("done")? {
                "partner" => "The partner is saved.",
                "terms" => "The new terms are saved as a version of their own.",
                "revoked" => "The secret is revoked: what is signed with it is refused from now on.",
                "replayed" => "It is back in the queue and will be processed again.",
                "replayed-all" => "All that were given up are back in the queue.",
                _ => return None,
            })
        })
    };
    move || words().map(|words| view! { <Notice tone=Tone::Good>{words}</Notice> })
}
