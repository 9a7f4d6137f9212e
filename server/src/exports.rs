//! Lists as files: the same filter as their page, in the same words of the URL.

use app::api::{ConversionQuery, read_conversion_query};
use axum::{
    Extension, Router,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use domain::{Problem, auth::Principal};
use engine::Engine;

use crate::{
    problem::{ApiError, ApiResult},
    router::AppState,
};

pub fn routes() -> Router<AppState> {
    Router::new().route("/conversions.csv", get(conversions))
}

/// `GET /conversions.csv`: all conversions that the page of the same query lists, not only its first 50.
async fn conversions(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    query: Result<Query<ConversionQuery>, axum::extract::rejection::QueryRejection>,
) -> ApiResult<Response> {
    let Query(query) = query.map_err(|rejection| Problem::new(422, "invalid", "invalid input").detail(rejection.body_text()))?;
    let filter = read_conversion_query(&query).map_err(|error| ApiError(error.0))?;
    let file = engine::conversion::export(&engine, &who, &filter).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"conversions.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, file).into_response())
}
