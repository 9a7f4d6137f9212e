//! Locks on what is no row: a name is held until its transaction ends.
//!
//! Who takes several takes them in the order of [`Class`], and before any conversion's row; `docs/ARCHITECTURE.md` has the whole order. The
//! lock of exchange rates is the one that is shared, and stands in [`exchange`](crate::exchange).

use sqlx::PgConnection;

use crate::Result;

/// What a name names; names of two classes never meet. The numbers are the seeds of Postgres' hash: processes of two versions that run side
/// by side must agree on them, so they stay as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Class {
    /// `partner/external id`
    ExternalEvent,
    /// `partner/user identifier`
    Customer,
    /// The developer's id.
    Developer,
    /// One name, held alone by who seals the ledger.
    LedgerChain,
}

impl Class {
    fn seed(self) -> i64 {
        match self {
            Self::ExternalEvent => 1,
            Self::Developer => 2,
            Self::LedgerChain => 3,
            Self::Customer => 4,
        }
    }
}

/// Waits until nobody else holds the name, and holds it until the transaction of `connection` ends. A second call in it changes nothing.
pub(crate) async fn hold(connection: &mut PgConnection, class: Class, name: &str) -> Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, $2))", name, class.seed()).fetch_one(connection).await?;
    Ok(())
}
