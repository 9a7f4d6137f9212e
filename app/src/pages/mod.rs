//! A file per route: it reads the URL, owns its resources and actions, and lays out.

mod dashboard;
mod deliveries;
mod delivery;
mod not_found;
mod partner;
mod partners;
mod sign_in;
mod site;
mod sites;

pub use dashboard::DashboardPage;
pub use deliveries::DeliveriesPage;
pub use delivery::DeliveryPage;
pub use not_found::NotFoundPage;
pub use partner::PartnerPage;
pub use partners::PartnersPage;
pub use sign_in::SignInPage;
pub use site::SitePage;
pub use sites::SitesPage;
