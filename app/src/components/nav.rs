//! The main menu.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use super::{Icon, Symbol};

/// Label, path, symbol. The demo is a page of its own outside the app.
const LINKS: [(&str, &str, Symbol); 5] = [
    ("Dashboard", "/", Symbol::Dashboard),
    ("Sites", "/sites", Symbol::Sites),
    ("Partners", "/partners", Symbol::Partners),
    ("Webhooks", "/deliveries", Symbol::Webhooks),
    ("Demo", "/demo", Symbol::Demo),
];

/// The links to the app's parts; the one that is open says so.
#[component]
pub fn Nav(#[prop(into)] label: String) -> impl IntoView {
    let path = use_location().pathname;
    let links = LINKS.map(|(label, href, symbol)| {
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
    });
    view! {
        <nav class="nav" aria-label=label>
            <ul class="nav__list">{links.into_iter().collect_view()}</ul>
        </nav>
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
