//! Which partners a site can be offered, and whose offers a test changes there.

use domain::{
    PartnerId,
    experiment::{Design, Payload},
    partner::{IntegrationKind, IntegrationMethod},
    site::SiteLink,
};

use super::partners;
use crate::{Engine, Result};

/// A partner with the ways that visitors can be sent. Those that are made by the partner's API are none yet.
pub(crate) type Offered = (PartnerId, Vec<IntegrationKind>);

/// The active partners; with links, those that the links lead to.
pub(crate) async fn offered(engine: &Engine, links: Option<&[SiteLink]>) -> Result<Vec<Offered>> {
    let partners = partners(engine).await?;
    let is_linked = |partner_id: &PartnerId| links.is_none_or(|links| links.iter().any(|link| link.partner_id == *partner_id));
    let offered = partners.iter().filter(|(partner, _)| partner.active && is_linked(&partner.partner_id));
    let ways =
        |methods: &[IntegrationMethod]| methods.iter().filter(|method| !method.url_template.is_ours()).map(|method| method.kind).collect();
    Ok(offered.map(|(partner, _)| (partner.partner_id.clone(), ways(&partner.integration_methods))).collect())
}

/// The partners whose offers a test changes; none for a test of the list as a whole.
pub(crate) fn concerned(design: &Design, offered: &[Offered]) -> Vec<PartnerId> {
    let named = &design.eligibility.partner_ids;
    // Whatever the variant: an offer that only some variants can change would expose only their units.
    let ways_of_all = design.variants.iter().filter_map(|variant| match variant.payload {
        Payload::IntegrationMethod { method } => Some(method),
        _ => None,
    });
    let ways_of_all: Vec<IntegrationKind> = ways_of_all.collect();
    let concerned = offered.iter().filter(|(partner_id, ways)| {
        design.kind.is_of_offers() && (named.is_empty() || named.contains(partner_id)) && ways_of_all.iter().all(|way| ways.contains(way))
    });
    concerned.map(|(partner_id, _)| partner_id.clone()).collect()
}

/// Whether a test of offers has none to change, so that it shows nothing, whatever its variant.
pub(crate) fn is_in_vain(design: &Design, offered: &[Offered]) -> bool {
    design.kind.is_of_offers() && concerned(design, offered).is_empty()
}
