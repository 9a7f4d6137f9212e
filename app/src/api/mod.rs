//! Server functions by feature. Each is a public endpoint: it asks [`backend`] who calls and lets `engine` decide.

mod account;
mod attribution;
mod audit;
mod auth;
mod case_study;
mod commission;
mod conversion;
mod dashboard;
mod delivery;
mod exchange;
mod experiment;
mod import;
mod multitouch;
mod partner;
mod payout;
#[cfg(feature = "ssr")]
pub(crate) mod request;
mod site;
mod statement;
mod success;

pub use account::*;
pub use attribution::*;
pub use audit::*;
pub use auth::*;
pub use case_study::*;
pub use commission::*;
pub use conversion::*;
pub use dashboard::*;
pub use delivery::*;
pub use exchange::*;
pub use experiment::*;
pub use import::*;
pub use multitouch::*;
pub use partner::*;
pub use payout::*;
pub use site::*;
pub use statement::*;
pub use success::*;

/// The engine and the one who asks.
///
/// # Errors
/// 500 if the server provided no engine.
#[cfg(feature = "ssr")]
pub async fn backend() -> Result<(engine::Engine, domain::auth::Principal), crate::AppError> {
    use domain::Problem;

    let engine = leptos::context::use_context::<engine::Engine>()
        .ok_or_else(|| Problem::new(500, "internal", "internal error").detail("the page was rendered without an engine"))?;
    Ok((engine, principal()))
}
