//! `GET /api/v1/sites/{id}/recommendations`: the offers for a site, for its widget on any origin. The site's id is no secret, so that
//! only our people and the site generator's token see more than what fits.

use axum::{
    Extension, Json,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderName, header},
    response::IntoResponse,
};
use domain::{
    Currency, Money, Problem, RecommendationId, SiteId,
    auth::Principal,
    experiment::WidgetLayout,
    partner::IntegrationKind,
    recommendation::{LinkedOffer, Offer, Probability, ShownVariant, VisitorOffer},
};
use engine::{
    Engine,
    recommendation::{self, Asker},
};
use serde::{Deserialize, Serialize};

use crate::{auth::text, problem::ApiResult};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    recommendation_id: RecommendationId,
    site_id: SiteId,
    /// To be shown with the offers.
    disclosure: &'static str,
    model_version: String,
    offers: Vec<OfferAnswer>,
    /// How the widget lays the offers out, if a test or a decision says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<WidgetLayout>,
    /// A test deals by visitor: the widget may keep the visitor's random id.
    keeps_visitor: bool,
    /// Which variants of running tests shaped this answer; only our people see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    variants: Option<Vec<ShownVariant>>,
}

#[derive(Deserialize)]
pub struct Asked {
    visitor: Option<String>,
    p4s_variant: Option<String>,
    layout: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfferAnswer {
    #[serde(flatten)]
    offer: VisitorOffer,
    integration_method: Option<IntegrationKind>,
    #[serde(flatten)]
    expectation: Option<Expectation>,
}

/// What only our people see. The score is part of it: it follows from the revenue.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Expectation {
    score: f64,
    conversion_probability: ProbabilityAnswer,
    expected_revenue: MoneyAnswer,
}

#[derive(Serialize)]
struct ProbabilityAnswer {
    estimate: f64,
    low: f64,
    high: f64,
}

/// The amount is a text, since JSON numbers lose digits.
#[derive(Serialize)]
struct MoneyAnswer {
    amount: String,
    currency: Currency,
}

pub async fn list(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path(site_id): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> ApiResult<impl IntoResponse> {
    let unknown = || Problem::new(404, "not_found", "not found").detail(format!("site `{site_id}` was not found"));
    let site_id: SiteId = site_id.parse().map_err(|_| unknown())?;
    let tells_all = who.may_read() || who.has_scope("sites:write");
    // Whoever asks not to be tracked has no id here, whatever a widget says.
    let is_private = text(&headers, "dnt") == Some("1") || text(&headers, "sec-gpc") == Some("1");
    let visitor = asked.visitor.filter(|_| !is_private);
    let asker = Asker {
        visitor: visitor.as_deref().map(Asker::visitor).transpose()?,
        preview: Asker::previews(asked.p4s_variant.as_deref().unwrap_or_default())?,
        fixed_layout: Asker::fixed_layout(asked.layout.as_deref().unwrap_or_default())?,
        may_read: who.may_read(),
    };
    let found = recommendation::for_site(&engine, site_id, &asker).await?;
    let answer = Answer {
        recommendation_id: found.recommendation_id,
        site_id,
        disclosure: "Partner offers. project4site may earn a commission.",
        offers: found.offers.iter().filter_map(|linked| offer(linked, tells_all)).collect(),
        model_version: found.model_version,
        layout: found.layout,
        keeps_visitor: found.keeps_visitor && !is_private,
        variants: tells_all.then_some(found.variants),
    };
    // Each answer is a recommendation of its own in the log, and operators see more: nothing may keep it.
    let headers: [(HeaderName, &str); 2] = [(header::CACHE_CONTROL, "no-store"), (header::VARY, "authorization, cookie")];
    Ok((headers, Json(answer)))
}

/// Nothing for an offer that is not for everybody's eyes.
fn offer(linked: &LinkedOffer, tells_all: bool) -> Option<OfferAnswer> {
    Some(OfferAnswer {
        offer: if tells_all { VisitorOffer::whole(linked) } else { VisitorOffer::public(linked)? },
        integration_method: linked.offer.integration,
        expectation: tells_all.then(|| expectation(&linked.offer)),
    })
}

fn expectation(offer: &Offer) -> Expectation {
    let Probability { mean, low, high } = offer.conversion_probability;
    let revenue = Money::new(offer.expected_revenue_minor, offer.currency);
    Expectation {
        score: round(offer.score),
        conversion_probability: ProbabilityAnswer { estimate: round(mean), low: round(low), high: round(high) },
        expected_revenue: MoneyAnswer { amount: revenue.to_decimal().to_string(), currency: revenue.currency },
    }
}

/// To four digits: more would only pretend.
fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
