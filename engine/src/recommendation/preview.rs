//! A site's offers as an operator sees them: with our figures, and without a trace in the log that models learn from.

use domain::{SiteId, auth::Principal, recommendation::LinkedOffer};

use super::{Asker, analysed, tailored::tailor};
use crate::{Engine, Result, access::require_read, experiment};

/// Ranks the active partners for a site and logs nothing; the links carry no recommendation.
///
/// # Errors
/// [`Error::NotFound`](crate::Error::NotFound) if there is no such site, [`Error::Conflict`](crate::Error::Conflict) if it was never
/// analysed; refuses who may not read.
pub async fn preview(engine: &Engine, who: &Principal, site_id: SiteId) -> Result<Vec<LinkedOffer>> {
    require_read(who, "see a site's offers")?;
    let site = analysed(engine, site_id).await?;
    let running = experiment::current(engine).await?;
    let tailored = tailor(engine, &running, site_id, &site, &Asker { may_read: true, ..Asker::default() }).await?;
    Ok(tailored.offers.into_iter().map(|tailored| LinkedOffer { link: format!("/r/{}", tailored.alias), offer: tailored.offer }).collect())
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::{Error, testing};

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn only_operators_see_a_preview(db: PgPool) {
        let engine = testing::engine(db);
        let scopes = vec!["sites:write".to_owned()];
        let machine = Principal::Machine { id: engine.new_id(), name: "ci".to_owned(), scopes, partner_id: None };
        assert!(matches!(preview(&engine, &Principal::Anonymous, engine.new_id()).await, Err(Error::Unauthenticated)));
        assert!(matches!(preview(&engine, &machine, engine.new_id()).await, Err(Error::Forbidden(_))));
        assert!(matches!(preview(&engine, &Principal::CommandLine, engine.new_id()).await, Err(Error::NotFound { .. })));
    }
}
