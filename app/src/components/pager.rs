//! Steps through the pages of a list: by number, or, where pages are not counted, from the first one on.

use leptos::prelude::*;

use super::{ButtonLink, count};

/// Links to the page before and the one after; nothing if all is on one page. `href` is the list's address without its page, and has
/// a query already.
#[component]
pub fn Pager(
    page: i64,
    pages: i64,
    /// On all pages.
    total: i64,
    #[prop(into)] href: String,
) -> impl IntoView {
    if pages <= 1 && page <= 1 {
        return ().into_any();
    }
    let link = |to: i64| format!("{href}&page={to}");
    let (before, after) = (link((page - 1).min(pages.max(1))), link(page + 1));
    view! {
        <nav class="pager" aria-label="Pages">
            <p class="pager__place">{format!("Page {} of {}, {} in all", count(page), count(pages.max(1)), count(total))}</p>
            {(page > 1).then(|| view! { <ButtonLink href=before>"Back"</ButtonLink> })}
            {(page < pages).then(|| view! { <ButtonLink href=after>"Next"</ButtonLink> })}
        </nav>
    }
    .into_any()
}

/// Links to the first page, unless that is shown, and to the next one, if there is one; nothing without either.
#[component]
pub fn Steps(
    first: Option<String>,
    next: Option<String>,
    /// What the links say: of a list in the order of time by default.
    #[prop(default = ["Newest", "Older"])]
    words: [&'static str; 2],
) -> impl IntoView {
    if first.is_none() && next.is_none() {
        return ().into_any();
    }
    let [to_first, to_next] = words;
    view! {
        <nav class="pager" aria-label="Pages">
            {first.map(|href| view! { <ButtonLink href>{to_first}</ButtonLink> })}
            {next.map(|href| view! { <ButtonLink href>{to_next}</ButtonLink> })}
        </nav>
    }
    .into_any()
}
