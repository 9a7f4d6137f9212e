//! What a person sees: pages, components and server functions.
//!
//! `pages/` holds a file per route that reads the URL, owns its resources and actions, and lays out. `components/` take
//! values and callbacks and fetch nothing. `api/` has the server functions by feature, `charts/` draws SVG on the server
//! and `panels/` renders read-only panels there, [`live`] tells pages what changed. To add a page: write it in `pages/`, give it a route below, and, if it belongs in
//! the menu, a link in `components/nav.rs`. Routes are rendered in one piece (`SsrMode::Async`): figures take milliseconds, and the
//! page is then complete without script and has the right status.

// Views are deeply nested types.
#![recursion_limit = "512"]

pub mod api;
#[cfg(feature = "ssr")]
pub mod charts;
pub mod components;
mod error;
pub mod live;
pub mod pages;
#[cfg(feature = "ssr")]
pub mod panels;

use leptos::{hydration::HydrationScripts, prelude::*};
use leptos_meta::{HashedStylesheet, MetaTags, Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{Route, Router, Routes},
    path,
};

pub use error::AppError;

use components::Frame;
use pages::{
    AccountPage, AttributionReportPage, AuditPage, CaseStudiesPage, CaseStudyPage, CommissionsPage, ConversionPage, ConversionsPage,
    DashboardPage, DeliveriesPage, DeliveryPage, EditExperimentPage, ExchangeRatesPage, ExperimentComparisonPage, ExperimentLogPage,
    ExperimentPage, ExperimentUnitPage, ExperimentsPage, ImportPage, ImportsPage, NewExperimentPage, NotFoundPage, PartnerPage,
    PartnersPage, PayoutsPage, PeoplePage, SignInPage, SitePage, SitesPage, StatementPage, StatementsPage, SuccessPage, SuccessesPage,
    UnattributedPage, WhatIfPage,
};

/// The HTML document around the app.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="theme-color" content="#fbfbfc" media="(prefers-color-scheme: light)"/>
                <meta name="theme-color" content="#101114" media="(prefers-color-scheme: dark)"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <HashedStylesheet options=options.clone() id="orchestrator-style"/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options islands=true/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The whole app. A visitor who is not signed in is sent to the sign-in page before anything is rendered.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let viewer = RwSignal::new(SharedValue::new(api::viewer_of_request).into_inner());
    provide_context(viewer);

    view! {
        <Title formatter=|title: String| if title.is_empty() { "Orchestrator".to_owned() } else { format!("{title} · Orchestrator") }/>
        <Router>
            <Frame viewer>
                <Routes fallback=NotFoundPage>
                    <Route path=path!("/") view=DashboardPage ssr=SsrMode::Async/>
                    <Route path=path!("/sign-in") view=SignInPage ssr=SsrMode::Async/>
                    <Route path=path!("/account") view=AccountPage ssr=SsrMode::Async/>
                    <Route path=path!("/people") view=PeoplePage ssr=SsrMode::Async/>
                    <Route path=path!("/sites") view=SitesPage ssr=SsrMode::Async/>
                    <Route path=path!("/sites/:id") view=SitePage ssr=SsrMode::Async/>
                    <Route path=path!("/partners") view=PartnersPage ssr=SsrMode::Async/>
                    <Route path=path!("/partners/:id") view=PartnerPage ssr=SsrMode::Async/>
                    <Route path=path!("/conversions") view=ConversionsPage ssr=SsrMode::Async/>
                    <Route path=path!("/conversions/unattributed") view=UnattributedPage ssr=SsrMode::Async/>
                    <Route path=path!("/conversions/:id") view=ConversionPage ssr=SsrMode::Async/>
                    <Route path=path!("/attribution/what-if") view=WhatIfPage ssr=SsrMode::Async/>
                    <Route path=path!("/commissions") view=CommissionsPage ssr=SsrMode::Async/>
                    <Route path=path!("/statements") view=StatementsPage ssr=SsrMode::Async/>
                    <Route path=path!("/statements/:id") view=StatementPage ssr=SsrMode::Async/>
                    <Route path=path!("/payouts") view=PayoutsPage ssr=SsrMode::Async/>
                    <Route path=path!("/successes") view=SuccessesPage ssr=SsrMode::Async/>
                    <Route path=path!("/successes/:id") view=SuccessPage ssr=SsrMode::Async/>
                    <Route path=path!("/case-studies") view=CaseStudiesPage ssr=SsrMode::Async/>
                    <Route path=path!("/case-studies/:id") view=CaseStudyPage ssr=SsrMode::Async/>
                    <Route path=path!("/reports/attribution") view=AttributionReportPage ssr=SsrMode::Async/>
                    <Route path=path!("/experiments") view=ExperimentsPage ssr=SsrMode::Async/>
                    <Route path=path!("/experiments/new") view=NewExperimentPage ssr=SsrMode::Async/>
                    <Route path=path!("/experiments/unit") view=ExperimentUnitPage ssr=SsrMode::Async/>
                    <Route path=path!("/experiments/compare") view=ExperimentComparisonPage ssr=SsrMode::Async/>
                    <Route path=path!("/experiments/:key") view=ExperimentPage ssr=SsrMode::Async/>
                    <Route path=path!("/experiments/:key/edit") view=EditExperimentPage ssr=SsrMode::Async/>
                    <Route path=path!("/experiments/:key/log") view=ExperimentLogPage ssr=SsrMode::Async/>
                    <Route path=path!("/audit") view=AuditPage ssr=SsrMode::Async/>
                    <Route path=path!("/imports") view=ImportsPage ssr=SsrMode::Async/>
                    <Route path=path!("/imports/:id") view=ImportPage ssr=SsrMode::Async/>
                    <Route path=path!("/exchange-rates") view=ExchangeRatesPage ssr=SsrMode::Async/>
                    <Route path=path!("/deliveries") view=DeliveriesPage ssr=SsrMode::Async/>
                    <Route path=path!("/deliveries/:id") view=DeliveryPage ssr=SsrMode::Async/>
                </Routes>
            </Frame>
        </Router>
    }
}
