//! `GET /case-studies/{id}/export/{format}`: a published case study as a file, for those who are signed in.

use axum::{
    Extension,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Redirect, Response},
};
use domain::{
    CaseStudyId,
    auth::Principal,
    case_study::{to_html, to_markdown},
};
use engine::{Engine, Error, case_study};
use serde::Deserialize;

use crate::problem::ApiError;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Html,
    Markdown,
}

/// A browser that is not signed in is led to the sign-in page.
pub async fn export(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path((id, format)): Path<(CaseStudyId, Format)>,
) -> Response {
    let case_study = match case_study::export(&engine, &who, id).await {
        Ok(case_study) => case_study,
        Err(Error::Unauthenticated) => return Redirect::to(&format!("/sign-in?next=/case-studies/{id}")).into_response(),
        Err(error) => return ApiError::from(error).into_response(),
    };
    let (kind, ending, text) = match format {
        Format::Html => ("text/html; charset=utf-8", "html", to_html(&case_study)),
        Format::Markdown => ("text/markdown; charset=utf-8", "md", to_markdown(&case_study)),
    };
    let name = format!("attachment; filename=\"case-study-{id}.{ending}\"");
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name.as_str())], text).into_response()
}
