//! What a caller can act on.

use chrono::TimeDelta;
use domain::{Problem, conversion::Claim};

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
    /// Nothing is known yet of the customer whom an event names, which may change: who can wait does so until `patience` after it came.
    #[error("{}", unknown(claim))]
    NotYet { claim: Box<Claim>, patience: TimeDelta },
    /// Postgres, Redis or both are away, or two transactions were in each other's way; the same call may work later.
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

    /// Postgres refused the values themselves (classes 22 and 23, and 54000: too long for an index): these will never do, while others may.
    pub fn is_of_values(&self) -> bool {
        let Self::Internal(source) = self else { return false };
        let code = source.downcast_ref::<sqlx::Error>().and_then(|error| error.as_database_error()?.code());
        code.is_some_and(|code| code.starts_with("22") || code.starts_with("23") || code == "54000")
    }

    /// Postgres refused something else than the values, say since a table or a right is missing: it would refuse all others as well.
    pub fn is_of_database(&self) -> bool {
        let Self::Internal(source) = self else { return false };
        let refused = source.downcast_ref::<sqlx::Error>().is_some_and(|error| error.as_database_error().is_some());
        refused && !self.is_of_values()
    }
}

fn unknown(claim: &Claim) -> String {
    match (&claim.user_identifier, claim.session_id) {
        (Some(user), Some(session)) => format!("no earlier click of customer `{user}` or session `{session}` is known yet"),
        (Some(user), None) => format!("no earlier click of customer `{user}` is known yet"),
        (None, Some(session)) => format!("no earlier click of session `{session}` is known yet"),
        (None, None) => "no earlier click is known yet".to_owned(),
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
                Self::Unavailable(Box::new(error))
            }
            sqlx::Error::Database(ref database) if database.code().is_some_and(|code| is_passing(&code)) => {
                Self::Unavailable(Box::new(error))
            }
            other => Self::Internal(Box::new(other)),
        }
    }
}

/// Classes 08, 53 and 57: the connection broke, or the server is starting, stopping, crashed or out of room. 25006: it is a standby that
/// takes no writes yet. 40001, 40P01 and 55P03: another transaction was in the way (serialization failure, deadlock, lock time-out), and
/// this one was undone.
fn is_passing(code: &str) -> bool {
    ["08", "53", "57"].iter().any(|class| code.starts_with(class)) || ["25006", "40001", "40P01", "55P03"].contains(&code)
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
            Error::NotYet { claim, .. } => {
                let field = if claim.user_identifier.is_some() { "user_id" } else { "session_id" };
                Self::new(422, "invalid", "invalid input").detail(detail).field(field)
            }
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use sqlx::PgPool;

    use super::*;

    #[sqlx::test(migrations = false)]
    async fn a_deadlock_may_work_later_and_an_overflow_never_does(db: PgPool) {
        let raised = async |code: &str| {
            let statement = format!("do $$ begin raise exception 'no' using errcode = '{code}'; end $$");
            Error::from(sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&db).await.unwrap_err())
        };
        for code in ["40P01", "40001", "57P01", "55P03", "53100", "25006"] {
            let error = raised(code).await;
            assert!(matches!(error, Error::Unavailable(_)) && !error.is_of_values() && !error.is_of_database(), "{code}");
        }
        assert!(matches!(raised("22003").await, Error::Internal(_)));
        for (code, of_values) in [("22021", true), ("23514", true), ("54000", true), ("42P01", false)] {
            let error = raised(code).await;
            assert_eq!((error.is_of_values(), error.is_of_database()), (of_values, !of_values), "{code}");
        }
        assert!(!Error::from(sqlx::Error::RowNotFound).is_of_database());
    }
}
