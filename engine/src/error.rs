//! What a caller can act on.

use domain::Problem;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} was not found")]
    NotFound { what: String },
    #[error("not allowed: {0}")]
    Forbidden(String),
    #[error("not signed in")]
    Unauthenticated,
    #[error("{field}: {reason}")]
    Invalid { field: String, reason: String },
    #[error("{0}")]
    Conflict(String),
    /// Postgres, Redis or both are away; the same call may work later.
    #[error("a service that this needs is away for the moment")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("something went wrong on our side")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    pub fn invalid(field: impl Into<String>, reason: impl ToString) -> Self {
        Self::Invalid { field: field.into(), reason: reason.to_string() }
    }

    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
                Self::Unavailable(Box::new(error))
            }
            // class 57: the server is starting, stopping or crashed
            sqlx::Error::Database(ref database) if database.code().is_some_and(|code| code.starts_with("57")) => {
                Self::Unavailable(Box::new(error))
            }
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(Box::new(error))
    }
}

/// What a caller is told. The sources of unavailable and internal errors are logged here and never leave.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NotFound { .. } => Self::new(404, "not_found", "not found").detail(detail),
            Error::Forbidden(_) => Self::new(403, "forbidden", "not allowed").detail(detail),
            Error::Unauthenticated => Self::new(401, "unauthenticated", "not signed in").detail(detail),
            Error::Invalid { field, reason } => Self::new(422, "invalid", "invalid input").detail(reason).field(field),
            Error::Conflict(_) => Self::new(409, "conflict", "conflict").detail(detail),
            Error::Unavailable(source) => {
                tracing::warn!(error = %source, "a service is away");
                Self::new(503, "unavailable", "temporarily unavailable").detail(detail)
            }
            Error::Internal(source) => {
                tracing::error!(error = ?source, "internal error");
                Self::new(500, "internal", "internal error").detail(detail)
            }
        }
    }
}
