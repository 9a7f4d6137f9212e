//! `POST /webhooks/{partner}/{path}`: what partners send.

use axum::{
    Json,
    body::Bytes,
    extract::{
        Path, State,
        rejection::{BytesRejection, FailedToBufferBody},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use domain::Problem;
use engine::{
    Engine,
    webhook::{self, Refusal},
};
use serde::Serialize;

use crate::{auth::text, problem::ApiError};

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
struct Acknowledged {
    id: domain::WebhookDeliveryId,
    /// The message came before; it has no second effect.
    duplicate: bool,
}

/// Answers 200 once the raw body is durable. Processing follows off the queue. The router limits the body.
pub async fn receive(
    State(engine): State<Engine>,
    Path((partner, path)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))) => {
            return refuse(&engine, &Refusal::TooLarge, &partner, &path).await;
        }
        // Not counted: a connection that broke says nothing of what the partner sends.
        Err(broken) => return ApiError(Problem::new(400, "malformed", "malformed body").detail(broken.body_text())).into_response(),
    };
    match webhook::receive(&engine, &partner, &path, |name| text(&headers, name), &body).await {
        Ok(receipt) => {
            (StatusCode::OK, Json(Acknowledged { id: receipt.webhook_delivery_id, duplicate: receipt.duplicate })).into_response()
        }
        Err(Refusal::Engine(error)) => ApiError::from(error).into_response(),
        Err(refusal) => refuse(&engine, &refusal, &partner, &path).await,
    }
}

async fn refuse(engine: &Engine, refusal: &Refusal, partner: &str, path: &str) -> Response {
    tracing::info!(partner.id = partner, webhook.path = path, refusal = %refusal, "refused a webhook");
    if let Some(reason) = webhook::Reason::of(refusal) {
        webhook::note_refusal(engine, partner, path, reason).await;
    }
    let problem = match refusal {
        Refusal::Unknown { .. } => Problem::new(404, "not_found", "not found"),
        Refusal::TooLarge => Problem::new(413, "too_large", "body too large"),
        Refusal::Signature(_) => Problem::new(401, "invalid_signature", "the signature does not hold"),
        Refusal::Malformed(invalid) => Problem::new(400, "malformed", "malformed body").field(&invalid.field),
        Refusal::Engine(_) => Problem::new(500, "internal", "internal error"),
    };
    ApiError(problem.detail(refusal.to_string())).into_response()
}
