//! The main menu, in groups.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use super::{Icon, Symbol};
use crate::api::{Viewer, use_viewer};

type Link = (&'static str, &'static str, Symbol);

/// Only owners see this link.
const PEOPLE: &str = "/people";

/// Title of a group, which may be empty, and its links: label, path, symbol. The demo is a page of its own outside the app.
const GROUPS: [(&str, &[Link]); 7] = [
    ("", &[("Dashboard", "/", Symbol::Dashboard)]),
    ("Programme", &[("Sites", "/sites", Symbol::Sites), ("Partners", "/partners", Symbol::Partners)]),
    (
        "Money",
        &[
            ("Conversions", "/conversions", Symbol::Conversions),
            ("Commissions", "/commissions", Symbol::Commissions),
            ("Statements", "/statements", Symbol::Statements),
            ("Payouts", "/payouts", Symbol::Payouts),
        ],
    ),
    (
        "Insight",
        &[
            ("Experiments", "/experiments", Symbol::Experiments),
            ("Successes", "/successes", Symbol::Successes),
            ("Case studies", "/case-studies", Symbol::CaseStudies),
            ("Attribution report", "/reports/attribution", Symbol::Chart),
        ],
    ),
    (
        "Operations",
        &[
            ("Webhooks", "/deliveries", Symbol::Webhooks),
            ("Imports", "/imports", Symbol::Imports),
            ("Exchange rates", "/exchange-rates", Symbol::Rates),
            ("Audit log", "/audit", Symbol::Audit),
        ],
    ),
    ("Settings", &[("Account", "/account", Symbol::Account), ("People", PEOPLE, Symbol::People)]),
    ("Try it", &[("Demo", "/demo", Symbol::Demo)]),
];

/// The links to the app's parts; the one that is open says so. The label tells the menus of a page apart, as do the ids of the
/// groups' titles, which begin with `prefix`.
#[component]
pub fn Nav(#[prop(into)] label: String, prefix: &'static str) -> impl IntoView {
    let is_owner = use_viewer().with_untracked(|viewer| viewer.as_ref().is_some_and(Viewer::may_manage_people));
    let groups = GROUPS.into_iter().enumerate().map(|(number, (title, links))| {
        let id = format!("{prefix}-{number}");
        let titled = (!title.is_empty()).then(|| id.clone());
        let links = links.iter().filter(|(_, path, _)| is_owner || *path != PEOPLE);
        view! {
            <div class="nav__group">
                {titled.clone().map(|id| view! { <p class="nav__title" id=id>{title}</p> })}
                <ul class="nav__list" aria-labelledby=titled>{links.map(|link| view! { <NavLink link=*link/> }).collect_view()}</ul>
            </div>
        }
    });
    view! { <nav class="nav" aria-label=label>{groups.collect_view()}</nav> }
}

#[component]
fn NavLink(link: Link) -> impl IntoView {
    let (label, href, symbol) = link;
    let path = use_location().pathname;
    let current = move || path.with(|path| is_within(path, href)).then_some("page");
    let external = (href == "/demo").then_some("external");
    view! {
        <li>
            <a class="nav__link" href=href rel=external aria-current=current>
                <Icon symbol/>
                {label}
            </a>
        </li>
    }
}

/// A link is current on its page and on the pages under it.
fn is_within(path: &str, href: &str) -> bool {
    path == href || (href != "/" && path.strip_prefix(href).is_some_and(|rest| rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::is_within;

    #[test]
    fn a_link_is_current_on_its_page_and_those_under_it() {
        assert!(is_within("/", "/") && is_within("/partners", "/partners") && is_within("/partners/figma", "/partners"));
        assert!(!is_within("/partners", "/") && !is_within("/partnership", "/partners"));
    }
}
