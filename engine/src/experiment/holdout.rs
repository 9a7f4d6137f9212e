//! The global holdout: units that no test reaches, so that what all tests together bring can be seen.

use domain::auth::Principal;
use serde_json::json;
use sqlx::PgConnection;

use super::{require_read, require_write, running};
use crate::{Engine, Error, Result, audit};

/// More than this leaves the tests too little.
const SHARE_MAX: f64 = 0.5;

/// The share of the units that no test reaches, 0 to 1.
///
/// # Errors
/// Refuses who may not read.
pub async fn holdout(engine: &Engine, who: &Principal) -> Result<f64> {
    require_read(who)?;
    Ok(load(&mut *engine.db.acquire().await?).await?.0)
}

/// Sets the share of the units that no test reaches. Its seed stays, so that a larger share keeps who is held out already.
///
/// # Errors
/// [`Error::Invalid`] for a share outside of 0 to 0.5; refuses who may not change tests.
pub async fn set_holdout(engine: &Engine, who: &Principal, share: f64) -> Result<()> {
    require_write(who)?;
    if !(0.0..=SHARE_MAX).contains(&share) {
        return Err(Error::invalid("share", format!("holdout {share} must be from 0 to {SHARE_MAX}")));
    }
    let mut tx = engine.db.begin().await?;
    let (before, _) = load(&mut tx).await?;
    sqlx::query!("update experiment_holdout set share = $1", share).execute(&mut *tx).await?;
    running::bump(&mut tx).await?;
    audit::record(engine, &mut tx, who, "experiment.holdout_set", "experiments", json!({ "before": before, "after": share })).await?;
    tx.commit().await?;
    Ok(())
}

/// The share and the seed.
pub(super) async fn load(connection: &mut PgConnection) -> Result<(f64, String)> {
    let row = sqlx::query!("select share, seed from experiment_holdout").fetch_one(connection).await?;
    Ok((row.share, row.seed))
}
