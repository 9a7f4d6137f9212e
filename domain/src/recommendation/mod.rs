//! Which partners to recommend for a project, in which order, and why.
//!
//! Fit comes first: a partner that the project does not need, or whose place is taken, stands below every fit one and says why. Among
//! the fit ones the expected revenue decides, mixed with the fit by a weight that the operator sets ([`Settings`]). Probabilities are
//! floats; money is computed with exact decimals and rounded half-even once.

mod beta;
mod engines;
mod fit;
mod visitor;
mod words;

use std::collections::BTreeMap;

use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};

use crate::{
    Currency, PartnerId, RecommendationId, SiteId,
    analysis::{Analysis, Evidence},
    experiment::WidgetLayout,
    money::round_minor,
    partner::{IntegrationKind, Partner, TermsValues},
};

pub use beta::interval;
pub use fit::Fit;
pub use visitor::{VisitorOffer, VisitorReason, masked_command};

/// Names the rules here, so that a logged recommendation can be told from those of a later model.
pub const MODEL_VERSION: &str = "prior-2";

/// What is known of a partner from its own traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerHistory {
    /// Counted clicks.
    pub clicks: u64,
    /// Attributed conversions.
    pub conversions: u64,
    /// Those of them that were rated in the partner's payout currency.
    pub rated: u64,
    /// What these earned together, net of refunds and with what successes added, in minor units of the partner's payout currency.
    pub commission_minor: i64,
}

/// By partner; one that is absent has no traffic yet.
pub type History = BTreeMap<PartnerId, PartnerHistory>;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// 0 to 1: how much the expected revenue decides among fit partners; the rest is the fit.
    pub revenue_weight: f64,
    /// Below this fit a partner counts as not needed.
    pub fit_min: f64,
    /// How many conversions the prior belief in the average value is worth.
    pub value_weight: Decimal,
}

impl Default for Settings {
    /// 0.7: revenue leads, but a need of 0.9 outweighs one of 0.3 unless it pays a quarter less. 0.3: what a guess without evidence gets.
    /// 10: after ten conversions the own average weighs as much as the belief.
    fn default() -> Self {
        Self { revenue_weight: 0.7, fit_min: 0.3, value_weight: Decimal::TEN }
    }
}

/// A partner as offered for a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    pub partner_id: PartnerId,
    pub display_name: String,
    pub category: String,
    /// 0 to 1; 0.5 and more for those that fit, less for the others.
    pub score: f64,
    pub fit: Fit,
    pub conversion_probability: Probability,
    /// In minor units of the partner's payout currency, per click.
    pub expected_revenue_minor: i64,
    pub currency: Currency,
    /// One sentence to the developer.
    pub positioning: String,
    pub cta_text: String,
    pub integration: Option<IntegrationKind>,
    pub reasons: Vec<Reason>,
    pub urgency: Urgency,
    /// Why it stands below the fit ones, if it does.
    pub down_ranked: Option<String>,
}

/// A sentence and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub text: String,
    pub evidence: Vec<Evidence>,
}

/// What was recommended for a site, as it is logged and answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendations {
    pub recommendation_id: RecommendationId,
    pub site_id: SiteId,
    pub model_version: String,
    /// Best first.
    pub offers: Vec<LinkedOffer>,
    /// How the widget lays them out, unless the page says so itself.
    pub layout: Option<WidgetLayout>,
    /// The variants that shaped this answer.
    pub variants: Vec<ShownVariant>,
    /// A test deals by visitor: the widget may keep the visitor's random id.
    pub keeps_visitor: bool,
}

/// A test and the variant of it that an answer shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownVariant {
    pub experiment: String,
    pub variant: String,
}

/// An offer with the link that counts the click: `/r/{alias}?rid={recommendation_id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkedOffer {
    #[serde(flatten)]
    pub offer: Offer,
    pub link: String,
}

/// The mean of a belief, and the interval that holds 95 % of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probability {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    Low,
    Medium,
    High,
}

/// Ranks the active partners for a project, best first. The same arguments give the same offers, whatever the partners' order.
pub fn rank(analysis: &Analysis, partners: &[(Partner, TermsValues)], history: &History, settings: &Settings) -> Vec<Offer> {
    let valued: Vec<(Offer, Decimal)> = partners
        .iter()
        .filter(|(partner, _)| partner.active)
        .map(|(partner, terms)| offer(analysis, partner, terms, history.get(&partner.partner_id).copied().unwrap_or_default(), settings))
        .collect();
    let best = best_by_currency(&valued);
    let scored = |(offer, revenue): (Offer, Decimal)| Offer { score: score(&offer, revenue, best[&offer.currency], settings), ..offer };
    let mut offers: Vec<Offer> = valued.into_iter().map(scored).collect();
    offers.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.partner_id.cmp(&b.partner_id)));
    offers
}

/// An offer without its score, and the expected revenue that it is ranked by.
fn offer(analysis: &Analysis, partner: &Partner, terms: &TermsValues, history: PartnerHistory, settings: &Settings) -> (Offer, Decimal) {
    let judged = fit::judge(analysis, partner, settings);
    let chance = chance(partner, history);
    let revenue = expected_revenue(partner, terms, history, chance, settings);
    // What does not fit in 64 bits is a slip of a form and counts for nothing.
    let (revenue, revenue_minor) = round_minor(revenue).map_or((Decimal::ZERO, 0), |minor| (revenue, minor));
    let offer = Offer {
        partner_id: partner.partner_id.clone(),
        display_name: partner.display_name.clone(),
        category: partner.category.clone(),
        score: 0.0,
        conversion_probability: chance.probability(),
        expected_revenue_minor: revenue_minor,
        currency: terms.payout_currency,
        positioning: words::positioning(analysis, partner),
        cta_text: words::cta(partner),
        integration: partner.deep_link().map(|method| method.kind),
        urgency: urgency(&judged),
        reasons: judged.reasons,
        fit: judged.fit,
        down_ranked: judged.down_ranked,
    };
    (offer, revenue)
}

/// A strong need is urgent when the project is about to run.
fn urgency(judged: &fit::Judged) -> Urgency {
    match judged.fit.value {
        _ if judged.down_ranked.is_some() => Urgency::Low,
        value if value >= 0.8 => Urgency::High,
        value if value >= 0.5 => Urgency::Medium,
        _ => Urgency::Low,
    }
}

/// A beta belief in the conversions per click: the prior's imagined clicks and the real ones together.
#[derive(Clone, Copy, Debug)]
struct Chance {
    converted: Decimal,
    not_converted: Decimal,
}

/// Beta-binomial: the prior rate, worth `conversion_rate_weight` clicks, plus what happened. More conversions than clicks (they come
/// late) count as that many clicks.
fn chance(partner: &Partner, history: PartnerHistory) -> Chance {
    let priors = &partner.priors;
    let rate = priors.conversion_rate.clamp(Decimal::ZERO, Decimal::ONE);
    // A belief worth no click at all has no interval; a hundredth of one is the least.
    let weight = priors.conversion_rate_weight.max(Decimal::new(1, 2));
    let clicks = history.clicks.max(history.conversions);
    Chance {
        converted: rate * weight + Decimal::from(history.conversions),
        not_converted: (Decimal::ONE - rate) * weight + Decimal::from(clicks - history.conversions),
    }
}

impl Chance {
    fn mean(self) -> Decimal {
        self.converted / (self.converted + self.not_converted)
    }

    fn probability(self) -> Probability {
        let float = |exact: Decimal| exact.to_f64().unwrap_or(0.0);
        let (low, high) = interval(float(self.converted), float(self.not_converted), 0.95);
        Probability { mean: float(self.mean()), low, high }
    }
}

/// P(conversion) × average commission in minor units, not rounded: where a click earns a cent or two, the fractions decide. The belief in
/// the average has the multiplier that successes are expected to bring; what was really earned has its own already. 0 if it is beyond all
/// bounds.
fn expected_revenue(partner: &Partner, terms: &TermsValues, history: PartnerHistory, chance: Chance, settings: &Settings) -> Decimal {
    let minor_per_major = Decimal::from(10_i64.pow(terms.payout_currency.exponent()));
    let weight = settings.value_weight.max(Decimal::new(1, 2));
    let exact = || {
        let multiplier = partner.priors.success_multiplier.min(terms.multiplier_cap);
        let base = partner.priors.average_value.checked_mul(terms.commission_rate)?.checked_mul(minor_per_major)?;
        let believed = base.checked_mul(multiplier)?;
        let sum = believed.checked_mul(weight)?.checked_add(Decimal::from(history.commission_minor))?;
        let average = sum.checked_div(weight.checked_add(Decimal::from(history.rated))?)?;
        average.checked_mul(chance.mean())
    };
    exact().unwrap_or_default()
}

/// Amounts of different currencies are never compared: each is measured by the best of its own.
fn best_by_currency(valued: &[(Offer, Decimal)]) -> BTreeMap<Currency, Decimal> {
    let mut best = BTreeMap::new();
    for (offer, revenue) in valued {
        let fits = offer.down_ranked.is_none();
        let entry = best.entry(offer.currency).or_insert(Decimal::ZERO);
        *entry = (*entry).max(if fits { *revenue } else { Decimal::ZERO });
    }
    best
}

/// The upper half for those that fit, the lower for those that do not, which are ordered by their fit alone.
fn score(offer: &Offer, revenue: Decimal, best: Decimal, settings: &Settings) -> f64 {
    if offer.down_ranked.is_some() {
        return 0.49 * offer.fit.value;
    }
    let weight = settings.revenue_weight.clamp(0.0, 1.0);
    let revenue = if best > Decimal::ZERO { ratio(revenue.max(Decimal::ZERO), best) } else { 0.0 };
    0.5 + 0.5 * (weight * revenue + (1.0 - weight) * offer.fit.value)
}

/// A rank needs three digits, and no money comes out of it.
fn ratio(part: Decimal, whole: Decimal) -> f64 {
    part.checked_div(whole).and_then(|ratio| ratio.to_f64()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
