//! Steps through the pages of a list.

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
