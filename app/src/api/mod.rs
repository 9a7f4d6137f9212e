//! Server functions by feature. Each is a public endpoint: it asks [`backend`] who calls and lets `engine` decide.

mod auth;
mod dashboard;
mod delivery;
mod partner;
#[cfg(feature = "ssr")]
pub(crate) mod request;
mod site;

pub use auth::*;
pub use dashboard::*;
pub use delivery::*;
pub use partner::*;
pub use site::*;

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
