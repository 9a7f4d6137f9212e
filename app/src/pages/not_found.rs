//! What stands where nothing is.

use leptos::prelude::*;

use crate::components::{ButtonLink, EmptyState, PageHeader};

#[component]
pub fn NotFoundPage() -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        // Who is not signed in is being redirected and must not learn which pages exist.
        if crate::api::use_viewer().with_untracked(Option::is_some) {
            response.set_status(axum::http::StatusCode::NOT_FOUND);
        }
    }
    view! {
        <PageHeader title="Page not found"/>
        <EmptyState title="There is no page at this address">
            <p>"It may have been moved, or the link has a typing error."</p>
            <ButtonLink href="/" kind="primary">"Go to the dashboard"</ButtonLink>
        </EmptyState>
    }
}
