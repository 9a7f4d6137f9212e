//! `POST /api/v1/impressions`: what a visitor really saw, as the widget reports it.

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
};
use domain::{PartnerId, Problem, RecommendationId, click::AgentClass};
use engine::{Engine, agent, recommendation};
use serde::Deserialize;

use crate::{auth::text, problem::ApiResult};

/// 50 partner ids of 40 bytes, and room for the rest.
pub const BODY_BYTES_MAX: usize = 4 * 1024;
const PARTNERS_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    recommendation_id: RecommendationId,
    partner_ids: Vec<PartnerId>,
}

/// Browsers send beacons as `text/plain`, so that the body is read as JSON whatever it says to be. Each offer of a recommendation counts
/// once; what was never recommended and what a bot reports counts nothing, and is answered alike.
pub async fn record(State(engine): State<Engine>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> ApiResult<StatusCode> {
    let too_large = |_| Problem::new(413, "too_large", "body too large").detail(format!("the body may have {BODY_BYTES_MAX} bytes"));
    let malformed = |reason: String| Problem::new(400, "malformed", "malformed body").detail(reason);
    let report: Report = serde_json::from_slice(&body.map_err(too_large)?).map_err(|error| malformed(error.to_string()))?;
    if report.partner_ids.len() > PARTNERS_MAX {
        return Err(malformed(format!("more than {PARTNERS_MAX} partners")).field("partnerIds").into());
    }
    if agent::classify(text(&headers, "user-agent")) != AgentClass::Bot {
        recommendation::record_impressions(&engine, report.recommendation_id, &report.partner_ids).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
