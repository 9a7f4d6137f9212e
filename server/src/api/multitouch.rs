//! `GET /reports/attribution.csv?channel&currency&from&to`: the multi-touch report as a file, for those who are signed in.

use axum::{
    Extension,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Redirect, Response},
};
use domain::auth::Principal;
use engine::{
    Engine, Error,
    multitouch::{Question, report, to_csv},
};
use serde::Deserialize;

use crate::problem::ApiError;

/// What is left out is the usual: partners over the last 30 days.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    channel: String,
    currency: String,
    from: String,
    to: String,
}

/// A browser that is not signed in is led to the sign-in page.
pub async fn export(State(engine): State<Engine>, Extension(who): Extension<Principal>, Query(asked): Query<Asked>) -> Response {
    let answer = async {
        let question = Question::read(&asked.channel, &asked.from, &asked.to, &asked.currency, engine.now())?;
        report(&engine, &who, question).await
    };
    let report = match answer.await {
        Ok(report) => report,
        Err(Error::Unauthenticated) => return Redirect::to("/sign-in?next=/reports/attribution").into_response(),
        Err(error) => return ApiError::from(error).into_response(),
    };
    let name = format!("attachment; filename=\"attribution-by-{}-{}.csv\"", report.by, report.period.from.date_naive());
    ([(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, name.as_str())], to_csv(&report)).into_response()
}
