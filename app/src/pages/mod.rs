//! A file per route: it reads the URL, owns its resources and actions, and lays out.

mod dashboard;
mod not_found;
mod sign_in;

pub use dashboard::DashboardPage;
pub use not_found::NotFoundPage;
pub use sign_in::SignInPage;
