//! Which variants one unit has, and why: for whoever wonders what a visitor sees.

use domain::{
    PartnerId, SiteId,
    auth::Principal,
    experiment::{Assignment, Experiment, Reason, Subject, assign_all},
};

use super::{require_read, running};
use crate::{Engine, Result, recommendation, site};

/// What every running and paused test says of one unit, the earliest test first.
///
/// # Errors
/// [`Error::NotFound`](crate::Error::NotFound) if there is no such site; refuses who may not read.
pub async fn why(engine: &Engine, who: &Principal, site_id: SiteId, visitor: Option<&str>) -> Result<Vec<(Experiment, Assignment)>> {
    require_read(who)?;
    let site = site::load(engine, site_id).await?;
    let offered = recommendation::offered(engine, Some(&site.links)).await?;
    let partner_ids: Vec<PartnerId> = offered.iter().map(|(partner_id, _)| partner_id.clone()).collect();
    let running = running::reload(engine, 0).await?;
    let segment = site.analysis.as_ref().map(|analysis| analysis.kind);
    let subject = Subject { visitor, site_id, partners: Some(&partner_ids), segment };
    let now = engine.now();
    let assignments = assign_all(running.tests.iter().map(|test| &test.evaluator), &subject, &running.holdout, now);
    let answers = running.tests.iter().zip(assignments).map(|(test, assignment)| {
        let is_in_vain = recommendation::is_in_vain(&test.experiment.design, &offered);
        (test.experiment.clone(), if is_in_vain { not_eligible(assignment) } else { assignment })
    });
    Ok(answers.collect())
}

/// What is said of a unit that is offered nothing which the test could change. What comes before eligibility stays the reason.
fn not_eligible(assignment: Assignment) -> Assignment {
    if assignment.reason <= Reason::NotEligible {
        return assignment;
    }
    Assignment {
        reason: Reason::NotEligible,
        variant: None,
        bucket: None,
        traffic_bucket: None,
        exclusion_bucket: None,
        holdout_bucket: None,
    }
}
