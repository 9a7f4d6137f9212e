//! Read-only panels that change often, rendered on the server like the charts.
//!
//! The browser gets their HTML and needs neither the figures' types nor the code to draw them, which would be half of what it
//! downloads. Anything that a person acts on (forms, buttons) is a component of its page instead.

mod attribution;
mod audit;
mod case_study;
mod conversion;
mod dashboard;
mod delivery;
mod exchange;
mod experiment;
mod import;
mod multitouch;
mod partner;
mod payout;
mod refusals;
mod site;
mod statement;
mod success;

pub use attribution::what_if;
pub use audit::audit_table;
pub use case_study::{case_study_facts, case_study_preview, case_study_table};
pub use conversion::{conversion, conversion_table, span, type_word, unattributed_table, waiting_refunds};
pub use dashboard::dashboard;
pub use delivery::delivery;
pub use exchange::{rate_table, waiting_for_rates};
pub use experiment::{
    Answer, ByEnd, Listed, Planned, Takes, chance, comparison_table, design, experiment_table, lift, planner, results, unit_table, verdict,
};
pub use import::{import_dry_run, import_preview, import_story, import_table};
pub use multitouch::attribution_report;
pub use partner::{identity, metrics, partner_table, terms_history};
pub use payout::paid_payouts;
pub use refusals::refusals;
pub use site::{analysis, capitalised, offers, site_table};
pub use statement::{statement, statement_drafts, statement_lines, statement_table, statement_totals};
pub use success::{success, success_table};

use leptos::prelude::*;

/// A view as HTML, to be shown by `inner_html`.
fn html(view: impl IntoView) -> String {
    view.into_view().to_html()
}
