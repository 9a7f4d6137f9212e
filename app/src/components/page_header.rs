//! The top of a page.

use leptos::prelude::*;
use leptos_meta::Title;

/// Names the page, on it and in the browser's tab. Actions such as a range picker go inside.
#[component]
pub fn PageHeader(
    #[prop(into)] title: String,
    /// One line of what the page is for.
    #[prop(optional, into)]
    lead: Option<String>,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <Title text=title.clone()/>
        <div class="page-header">
            <div class="page-header__text">
                <h1 class="page-header__title">{title}</h1>
                {lead.map(|lead| view! { <p class="page-header__lead">{lead}</p> })}
            </div>
            {children.map(|children| view! { <div class="page-header__actions">{children()}</div> })}
        </div>
    }
}
