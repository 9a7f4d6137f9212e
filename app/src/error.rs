//! The error of every server function: the same problem that the REST API would send.

use std::fmt;

use domain::Problem;
use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};

/// Carries a [`Problem`] from a server function to the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppError(pub Problem);

impl AppError {
    /// A sentence for a person.
    pub fn message(&self) -> String {
        self.0.to_string()
    }

    /// Whether signing in (again) would help.
    pub fn is_unauthenticated(&self) -> bool {
        self.0.status == 401
    }

    /// What is wrong with one field of a form.
    pub fn about(&self, field: &str) -> Option<String> {
        (self.0.field.as_deref() == Some(field)).then(|| self.message())
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for AppError {}

impl From<Problem> for AppError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

/// Also sets the response's status, so that a page about something missing is a 404.
#[cfg(feature = "ssr")]
impl From<engine::Error> for AppError {
    fn from(error: engine::Error) -> Self {
        let problem = Problem::from(error);
        set_status(problem.status);
        Self(problem)
    }
}

/// A redirect's status must stay: a form sent without script is answered by one, back to its page, and so is a page that is
/// asked for by somebody who is not signed in.
#[cfg(feature = "ssr")]
fn set_status(status: u16) {
    use axum::http::{
        Method, StatusCode,
        header::{ACCEPT, LOCATION},
        request::Parts,
    };
    use leptos::context::use_context;

    let (Some(parts), Some(response)) = (use_context::<Parts>(), use_context::<leptos_axum::ResponseOptions>()) else { return };
    let accepts_html = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"));
    let redirected = response.0.read().is_ok_and(|response| response.headers.contains_key(LOCATION));
    if redirected || parts.method == Method::POST && accepts_html {
        return;
    }
    if let Ok(status) = StatusCode::from_u16(status) {
        response.set_status(status);
    }
}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        let problem = match error {
            ServerFnErrorErr::Request(_) => {
                Problem::new(503, "unreachable", "no connection").detail("the server did not answer; check the connection and try again")
            }
            ServerFnErrorErr::Args(reason) | ServerFnErrorErr::MissingArg(reason) => {
                Problem::new(422, "invalid", "invalid input").detail(reason)
            }
            other => Problem::new(500, "internal", "internal error").detail(other.to_string()),
        };
        Self(problem)
    }
}
