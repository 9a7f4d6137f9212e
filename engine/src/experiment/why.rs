//! Which variants one unit has, and why: for whoever wonders what a visitor sees.

use domain::{
    SiteId,
    auth::Principal,
    experiment::{Assignment, Experiment, Subject, assign_all},
};

use super::{require_read, running};
use crate::{Engine, Result, partner, site};

/// What every running and paused test says of one unit, the earliest test first.
///
/// # Errors
/// [`Error::NotFound`](crate::Error::NotFound) if there is no such site; refuses who may not read.
pub async fn why(engine: &Engine, who: &Principal, site_id: SiteId, visitor: Option<&str>) -> Result<Vec<(Experiment, Assignment)>> {
    require_read(who)?;
    let site = site::load(engine, site_id).await?;
    let active = partner::list_active(&mut *engine.db.acquire().await?).await?;
    let is_linked = |partner: &domain::partner::Partner| site.links.iter().any(|link| link.partner_id == partner.partner_id);
    let partner_ids: Vec<_> = active.into_iter().filter(is_linked).map(|partner| partner.partner_id).collect();
    let running = running::reload(engine, 0).await?;
    let segment = site.analysis.as_ref().map(|analysis| analysis.kind);
    let subject = Subject { visitor, site_id, partners: Some(&partner_ids), segment };
    let now = engine.now();
    let assignments = assign_all(running.tests.iter().map(|test| &test.evaluator), &subject, &running.holdout, now);
    Ok(running.tests.iter().map(|test| test.experiment.clone()).zip(assignments).collect())
}
