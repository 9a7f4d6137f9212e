//! `POST /api/v1/conversions`: a conversion that one of our own services or a partner's server tells of, booked before it is answered.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use domain::{Problem, auth::Principal};
use engine::{
    Engine,
    inbound::{self, Answered},
};
use serde_json::{Map, Value};

use crate::{auth::text, problem::ApiResult};

/// 64 KiB: a dozen texts of 200 bytes at most.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Says that the answer is the one of an earlier request.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// 201 for a conversion that is new, 200 for one that is known, and the same answer again for the same `Idempotency-Key`.
pub async fn create(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Response> {
    let answered = inbound::record_conversion(&engine, &who, idempotency_key(&headers)?, &read_object(body)?).await?;
    Ok(answer(answered))
}

/// The caller's name of the request.
pub fn idempotency_key(headers: &HeaderMap) -> ApiResult<Option<&str>> {
    let invalid = || Problem::new(422, "invalid", "invalid input").field("Idempotency-Key").detail("must be of visible ASCII characters");
    if headers.contains_key("idempotency-key") { Ok(Some(text(headers, "idempotency-key").ok_or_else(invalid)?)) } else { Ok(None) }
}

/// The body's fields.
pub fn read_object(body: Result<Bytes, BytesRejection>) -> ApiResult<Map<String, Value>> {
    let too_large = |_| Problem::new(413, "too_large", "body too large").detail(format!("the body may have {BODY_BYTES_MAX} bytes"));
    let malformed =
        |error: serde_json::Error| Problem::new(400, "malformed", "malformed body").detail(format!("is no JSON object: {error}"));
    Ok(serde_json::from_slice(&body.map_err(too_large)?).map_err(malformed)?)
}

pub fn answer(answered: Answered) -> Response {
    let status = if answered.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = (status, Json(answered.answer)).into_response();
    if answered.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
