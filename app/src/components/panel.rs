//! A titled box. It holds one thing: a chart, a table, a form.

use leptos::prelude::*;

/// `class` adds a page's own placement; `actions` stand at the right of the title.
#[component]
pub fn Panel(
    #[prop(into)] title: String,
    #[prop(optional, into)] hint: Option<String>,
    #[prop(optional)] actions: Option<AnyView>,
    #[prop(optional, into)] class: Option<String>,
    /// The body touches the panel's edges, as tables do.
    #[prop(optional)]
    flush: bool,
    children: Children,
) -> impl IntoView {
    let label = title.clone();
    let class = format!("panel {}", class.unwrap_or_default());
    view! {
        <section class=class.trim().to_owned() aria-label=label>
            <div class="panel__header">
                <h2 class="panel__title">{title}</h2>
                {hint.map(|hint| view! { <p class="panel__hint">{hint}</p> })}
                {actions.map(|actions| view! { <div class="panel__actions">{actions}</div> })}
            </div>
            <div class="panel__body" data-flush=flush.then_some("true")>{children()}</div>
        </section>
    }
}
