//! A site's offers as an operator sees them: with our figures, and without a trace in the log that models learn from.

use domain::{SiteId, auth::Principal, recommendation::LinkedOffer};

use super::{Asker, analysed, tailored::tailor};
use crate::{Engine, Error, Result, experiment};

/// Ranks the active partners for a site and logs nothing; the links carry no recommendation.
///
/// # Errors
/// [`Error::NotFound`] if there is no such site, [`Error::Conflict`] if it was never analysed; refuses who may not read.
pub async fn preview(engine: &Engine, who: &Principal, site_id: SiteId) -> Result<Vec<LinkedOffer>> {
    if !who.may_read() {
        return Err(Error::Unauthenticated);
    }
    let site = analysed(engine, site_id).await?;
    let running = experiment::current(engine).await?;
    let tailored = tailor(engine, &running, site_id, &site, &Asker { may_read: true, ..Asker::default() }).await?;
    Ok(tailored.offers.into_iter().map(|tailored| LinkedOffer { link: format!("/r/{}", tailored.alias), offer: tailored.offer }).collect())
}
