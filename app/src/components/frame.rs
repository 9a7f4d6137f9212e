//! The frame around every page: menu and account beside it on wide screens, in a bar above it on narrow ones.

use leptos::{prelude::*, server_fn::ServerFn};

use super::{Icon, Nav, Symbol};
use crate::api::{SignOut, Viewer};

/// With nobody signed in only the page itself is there.
#[component]
pub fn Frame(#[prop(into)] viewer: Signal<Option<Viewer>>, children: Children) -> impl IntoView {
    let signed_in = Memo::new(move |_| viewer.with(Option::is_some));
    view! {
        <a class="skip-link" href="#content" rel="external">"Skip to content"</a>
        <div class="frame" data-signed-in=move || signed_in.get().to_string()>
            <Show when=move || signed_in.get()>
                <Sidebar viewer/>
                <TopBar viewer/>
            </Show>
            <main class="frame__content" id="content" tabindex="-1">{children()}</main>
        </div>
    }
}

#[component]
fn Sidebar(viewer: Signal<Option<Viewer>>) -> impl IntoView {
    view! {
        <header class="sidebar">
            <Brand/>
            <Nav label="Main" prefix="sidebar"/>
            <Account viewer/>
        </header>
    }
}

/// The menu is a `details` element, so it opens without script.
#[component]
fn TopBar(viewer: Signal<Option<Viewer>>) -> impl IntoView {
    view! {
        <header class="top-bar">
            <Brand/>
            <details class="top-bar__menu">
                <summary class="button" data-kind="quiet"><Icon symbol=Symbol::Menu/>"Menu"</summary>
                <div class="top-bar__sheet">
                    <Nav label="Main" prefix="menu"/>
                    <Account viewer/>
                </div>
            </details>
        </header>
    }
}

#[component]
fn Brand() -> impl IntoView {
    view! {
        <a class="brand" href="/">
            <svg class="brand__mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
                <rect width="24" height="24" rx="6"></rect>
                <path d="M7 16.5 12 7l5 9.5"></path>
                <circle cx="12" cy="14.5" r="1.6"></circle>
            </svg>
            "Orchestrator"
        </a>
    }
}

/// Signing out is a plain form: the page that follows is loaded anew, so nothing of the old one stays.
#[component]
fn Account(viewer: Signal<Option<Viewer>>) -> impl IntoView {
    let email = move || viewer.with(|viewer| viewer.as_ref().map(|viewer| viewer.email.clone()));
    let role = move || viewer.with(|viewer| viewer.as_ref().map(|viewer| format!("{:?}", viewer.role).to_lowercase()));
    let sign_out = <SignOut as ServerFn>::url();
    view! {
        <div class="account">
            <p class="account__who">
                <span class="account__email" title=email>{email}</span>
                <span class="account__role">{role}</span>
            </p>
            <form method="post" action=sign_out>
                <button type="submit" class="button account__sign-out" data-kind="quiet" aria-label="Sign out" title="Sign out">
                    <Icon symbol=Symbol::SignOut/>
                </button>
            </form>
        </div>
    }
}
