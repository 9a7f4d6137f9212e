//! Read-only panels that change often, rendered on the server like the charts.
//!
//! The browser gets their HTML and needs neither the figures' types nor the code to draw them, which would be half of what it
//! downloads. Anything that a person acts on (forms, buttons) is a component of its page instead.

mod dashboard;

pub use dashboard::dashboard;

use leptos::prelude::*;

/// A view as HTML, to be shown by `inner_html`.
fn html(view: impl IntoView) -> String {
    view.into_view().to_html()
}
