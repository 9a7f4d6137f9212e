//! A site's offers as an operator sees them: with our figures, and without a trace in the log that models learn from.

use domain::{SiteId, auth::Principal, recommendation::LinkedOffer};

use super::ranked;
use crate::{Engine, Error, Result};

/// Ranks the active partners for a site and logs nothing; the links carry no recommendation.
///
/// # Errors
/// [`Error::NotFound`] if there is no such site, [`Error::Conflict`] if it was never analysed; refuses who may not read.
pub async fn preview(engine: &Engine, who: &Principal, site_id: SiteId) -> Result<Vec<LinkedOffer>> {
    if !who.may_read() {
        return Err(Error::Unauthenticated);
    }
    let ranked = ranked(engine, site_id).await?;
    Ok(ranked.offers.iter().map(|(offer, alias)| LinkedOffer { offer: offer.clone(), link: format!("/r/{alias}") }).collect())
}
