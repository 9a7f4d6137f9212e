//! `POST /api/v1/reversals`: refunds, chargebacks and cancellations, in part or in full, before or after their conversion.

use axum::{
    Extension,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::HeaderMap,
    response::Response,
};
use domain::auth::Principal;
use engine::{Engine, inbound};

use super::conversions::{answer, idempotency_key, read_object};
use crate::problem::ApiResult;

/// Answers as [`super::conversions::create`] does.
pub async fn create(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Response> {
    let answered = inbound::record_reversal(&engine, &who, idempotency_key(&headers)?, &read_object(body)?).await?;
    Ok(answer(answered))
}
