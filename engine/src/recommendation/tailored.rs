//! Offers as one visitor gets them: the defaults of decided tests first, then what the running tests assign.

use domain::{
    PartnerId, SiteId,
    experiment::{Design, Experiment, ExperimentKind, Payload, Status, Subject, UnitKind, WidgetLayout, assign_all},
    partner::IntegrationKind,
    recommendation::{Offer, Settings, ShownVariant},
};
use serde_json::Value;

use super::{
    Analysed, Asker, Offered,
    offered::{concerned, is_in_vain, offered},
    ranked,
};
use crate::{
    Engine, Error, Result,
    experiment::{self, Running, Shown},
};

/// A list of offers, and what shaped it.
pub(super) struct Tailored {
    pub offers: Vec<TailoredOffer>,
    pub layout: Option<WidgetLayout>,
    pub variants: Vec<ShownVariant>,
    /// What exposes its unit once it is really seen.
    pub shown: Vec<Shown>,
    pub keeps_visitor: bool,
}

pub(super) struct TailoredOffer {
    pub offer: Offer,
    pub alias: String,
    /// Another way to the partner than its deep link.
    pub via: Option<IntegrationKind>,
}

/// A test's variant that this answer is to show.
struct Chosen<'e> {
    experiment: &'e Experiment,
    index: usize,
    /// The partners whose offers it changes; none for what concerns the list as a whole.
    partner_ids: Vec<PartnerId>,
    /// The text that was hashed; absent for a preview.
    unit: Option<String>,
}

impl Chosen<'_> {
    fn payload(&self) -> &Payload {
        &self.experiment.design.variants[self.index].payload
    }
}

impl Tailored {
    /// As it is logged; nothing if no test shaped it.
    pub fn logged(&self) -> Result<Option<Value>> {
        if self.shown.is_empty() { Ok(None) } else { serde_json::to_value(&self.shown).map(Some).map_err(Error::internal) }
    }
}

/// Makes the offers for one who asks.
///
/// # Errors
/// [`Error::Invalid`] for a preview of a test or variant that there is not.
pub(super) async fn tailor(engine: &Engine, running: &Running, site_id: SiteId, site: &Analysed, asker: &Asker) -> Result<Tailored> {
    let offered = offered(engine, Some(&site.links)).await?;
    let previewed;
    let chosen = if asker.preview.is_empty() {
        assigned(engine, running, site_id, site, asker, &offered)
    } else {
        previewed = previews(engine, asker).await?;
        previewed.iter().map(|(experiment, index)| choose(experiment, *index, None, &offered)).collect()
    };

    let defaults: Vec<_> = running.defaults.iter().filter(|default| default.applies_to(site_id, site.analysis.kind)).collect();
    let mut settings = Settings::default();
    let mut layout = None;
    let list_wide = |kind: ExperimentKind| {
        let decided = defaults.iter().filter(move |default| default.kind == kind).map(|default| &default.payload);
        let tried = chosen.iter().filter(move |chosen| chosen.experiment.design.kind == kind).map(Chosen::payload);
        decided.chain(tried).collect::<Vec<_>>()
    };
    for payload in list_wide(ExperimentKind::RankingWeight) {
        if let Payload::RankingWeight { revenue_weight } = payload {
            settings.revenue_weight = *revenue_weight;
        }
    }
    for payload in list_wide(ExperimentKind::WidgetLayout) {
        if let Payload::WidgetLayout { layout: tried } = payload {
            layout = Some(*tried);
        }
    }

    let ranked = ranked(engine, site_id, site, &settings).await?;
    let plain = |(offer, alias): &(Offer, String)| TailoredOffer { offer: offer.clone(), alias: alias.clone(), via: None };
    let mut offers: Vec<TailoredOffer> = ranked.offers.iter().map(plain).collect();
    for tailored in &mut offers {
        let partner_id = tailored.offer.partner_id.clone();
        let decided = defaults.iter().filter(|default| default.partner_id.as_ref().is_none_or(|id| *id == partner_id));
        let tried = chosen.iter().filter(|chosen| chosen.partner_ids.contains(&partner_id)).map(Chosen::payload);
        for payload in decided.map(|default| &default.payload).chain(tried) {
            apply(tailored, payload, &offered);
        }
    }

    let shown = chosen.iter().filter_map(shown).collect();
    let variants = chosen.iter().map(|chosen| ShownVariant {
        experiment: chosen.experiment.key.clone(),
        variant: chosen.experiment.design.variants[chosen.index].key.clone(),
    });
    Ok(Tailored { offers, layout, variants: variants.collect(), shown, keeps_visitor: running.deals_by_visitor(site_id, engine.now()) })
}

fn assigned<'r>(
    engine: &Engine,
    running: &'r Running,
    site_id: SiteId,
    site: &Analysed,
    asker: &Asker,
    offered: &[Offered],
) -> Vec<Chosen<'r>> {
    let partner_ids: Vec<PartnerId> = offered.iter().map(|(partner_id, _)| partner_id.clone()).collect();
    let subject = Subject { visitor: asker.visitor.as_deref(), site_id, partners: Some(&partner_ids), segment: Some(site.analysis.kind) };
    let now = engine.now();
    let assignments = assign_all(running.tests.iter().map(|test| &test.evaluator), &subject, &running.holdout, now);
    // What would change nothing here, whatever its variant, has no part in the answer.
    let is_in_vain = |design: &Design| is_in_vain(design, offered) || asker.fixed_layout && design.kind == ExperimentKind::WidgetLayout;
    let shown = running.tests.iter().zip(assignments).filter(|(test, _)| !is_in_vain(&test.experiment.design));
    let chosen = shown.filter_map(|(test, assignment)| {
        let unit = match test.experiment.design.unit {
            UnitKind::Visitor => asker.visitor.clone()?,
            UnitKind::Site => site_id.to_string(),
        };
        Some(choose(&test.experiment, assignment.variant?, Some(unit), offered))
    });
    chosen.collect()
}

/// Reads the tests that are to be looked at. Visitors see those that run, people of ours all.
async fn previews(engine: &Engine, asker: &Asker) -> Result<Vec<(Experiment, usize)>> {
    let mut connection = engine.db.acquire().await?;
    let mut previews = Vec::with_capacity(asker.preview.len());
    for forced in &asker.preview {
        let unknown =
            || Error::invalid("p4s_variant", format!("there is no test `{}` with a variant `{}`", forced.experiment, forced.variant));
        let experiment = match experiment::load(&mut connection, &forced.experiment).await {
            Err(Error::NotFound { .. }) => return Err(unknown()),
            other => other?,
        };
        let index = experiment.design.variants.iter().position(|variant| variant.key == forced.variant).ok_or_else(unknown)?;
        if !asker.may_read && experiment.status != Status::Running {
            return Err(unknown());
        }
        previews.push((experiment, index));
    }
    Ok(previews)
}

fn choose<'e>(experiment: &'e Experiment, index: usize, unit: Option<String>, offered: &[Offered]) -> Chosen<'e> {
    Chosen { experiment, index, partner_ids: concerned(&experiment.design, offered), unit }
}

fn apply(tailored: &mut TailoredOffer, payload: &Payload, offered: &[Offered]) {
    let offer = &mut tailored.offer;
    match payload {
        Payload::Positioning { text } => offer.positioning = text.replace("{partner}", &offer.display_name),
        Payload::Cta { text } => offer.cta_text = text.replace("{partner}", &offer.display_name),
        Payload::IntegrationMethod { method } => {
            let has_it = offered.iter().any(|(partner_id, ways)| *partner_id == offer.partner_id && ways.contains(method));
            if has_it {
                offer.integration = Some(*method);
                tailored.via = (*method != IntegrationKind::DeepLink).then_some(*method);
            }
        }
        Payload::Unchanged | Payload::RankingWeight { .. } | Payload::WidgetLayout { .. } => {}
    }
}

fn shown(chosen: &Chosen<'_>) -> Option<Shown> {
    let phase = chosen.experiment.phase.as_ref()?;
    Some(Shown {
        experiment_id: chosen.experiment.experiment_id,
        phase: phase.number,
        period: phase.period,
        variant: i16::try_from(chosen.index).ok()?,
        propensity: *phase.weights.get(chosen.index)?,
        unit: chosen.unit.clone()?,
        partner_ids: chosen.partner_ids.clone(),
    })
}
