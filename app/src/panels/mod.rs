//! Read-only panels that change often, rendered on the server like the charts.
//!
//! The browser gets their HTML and needs neither the figures' types nor the code to draw them, which would be half of what it
//! downloads. Anything that a person acts on (forms, buttons) is a component of its page instead.

mod dashboard;
mod delivery;
mod partner;
mod site;

pub use dashboard::dashboard;
pub use delivery::delivery;
pub use partner::{identity, metrics, partner_table, terms_history};
pub use site::{analysis, capitalised, offers, site_table};

use leptos::prelude::*;

/// A view as HTML, to be shown by `inner_html`.
fn html(view: impl IntoView) -> String {
    view.into_view().to_html()
}
