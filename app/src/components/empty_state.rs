//! What a panel says when there is nothing to show, and what to do about it.

use leptos::prelude::*;

use super::{Icon, Symbol};

#[component]
pub fn EmptyState(
    #[prop(into)] title: String,
    #[prop(default = Symbol::Empty)] symbol: Symbol,
    /// Why it is empty and what would fill it.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="empty-state">
            <span class="empty-state__symbol"><Icon symbol/></span>
            <p class="empty-state__title">{title}</p>
            {children.map(|children| view! { <div class="empty-state__text">{children()}</div> })}
        </div>
    }
}
