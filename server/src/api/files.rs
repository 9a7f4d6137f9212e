//! Files that operators upload on a page, and the one that they take away: conversions as CSV, exchange rates as the ECB publishes them.
//!
//! Plain multipart forms, answered by the page that they lead to; what was wrong stands in its query.

use axum::{
    Extension,
    extract::{Multipart, Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use domain::{ImportId, Problem, auth::Principal};
use engine::{Engine, Error, access::require_operate, exchange, import};
use url::form_urlencoded;

use crate::problem::{ApiError, ApiResult};

/// A file of 10 MiB, as the engine takes it, and some more, so that one that is a little too large is told so by name.
pub const UPLOAD_BYTES_MAX: usize = 16 << 20;
/// Of a reason in a query.
const REASON_CHARS_MAX: usize = 300;

/// `POST /imports`: a CSV file of conversions.
pub async fn upload_import(State(engine): State<Engine>, Extension(who): Extension<Principal>, upload: Multipart) -> Response {
    let stored = async {
        let upload = Upload::read(&who, upload).await?;
        let partner_id = upload.partner.parse().map_err(|error| Error::invalid("partner", error))?;
        Ok::<_, ApiError>(import::upload(&engine, &who, &partner_id, &upload.file_name, upload.bytes).await?)
    };
    match stored.await {
        Ok(id) => Redirect::to(&format!("/imports/{id}")).into_response(),
        Err(error) => refuse("/imports", error),
    }
}

/// `POST /exchange-rates`: a CSV file of the ECB.
pub async fn upload_rates(State(engine): State<Engine>, Extension(who): Extension<Principal>, upload: Multipart) -> Response {
    let imported = async {
        let upload = Upload::read(&who, upload).await?;
        let text = String::from_utf8(upload.bytes).map_err(|_| Error::invalid("file", "is not UTF-8 text"))?;
        Ok::<_, ApiError>(exchange::import(&engine, &who, &text).await?)
    };
    match imported.await {
        Ok(done) => {
            let skipped = done.unknown_currencies.join(",");
            Redirect::to(&format!("/exchange-rates?added={}&kept={}&released={}&skipped={skipped}", done.added, done.kept, done.released))
                .into_response()
        }
        Err(error) => refuse("/exchange-rates", error),
    }
}

/// `GET /imports/{id}/errors.csv`
pub async fn import_errors(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let id: ImportId = id.parse().map_err(|_| Error::not_found(format!("import `{id}`")))?;
    let text = import::errors_csv(&engine, &who, id).await?;
    let name = format!("attachment; filename=\"import-{id}-errors.csv\"");
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, name.as_str())], text).into_response())
}

/// Leads back to the page with what was wrong.
fn refuse(page: &str, ApiError(problem): ApiError) -> Response {
    if problem.status == 401 {
        return Redirect::to(&format!("/sign-in?next={page}")).into_response();
    }
    let field = problem.field.as_deref().map(|field| format!("{field}: ")).unwrap_or_default();
    let reason: String = format!("{field}{problem}").chars().take(REASON_CHARS_MAX).collect();
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("error", &reason).finish();
    Redirect::to(&format!("{page}?{query}")).into_response()
}

/// The fields of an upload: a file and, for imports, a partner.
#[derive(Default)]
struct Upload {
    partner: String,
    file_name: String,
    bytes: Vec<u8>,
}

impl Upload {
    async fn read(who: &Principal, mut form: Multipart) -> ApiResult<Self> {
        // Nobody shall make us read a file before we ask who it is.
        require_operate(who, "upload files")?;
        let broken = |error: axum::extract::multipart::MultipartError| {
            let problem = match error.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::new(413, "too_large", "file too large").detail("the file may have 10 MiB"),
                _ => Problem::new(400, "malformed", "malformed form").detail(error.body_text()),
            };
            ApiError(problem.field("file"))
        };
        let mut upload = Self::default();
        while let Some(field) = form.next_field().await.map_err(broken)? {
            match field.name() {
                Some("partner") => upload.partner = field.text().await.map_err(broken)?,
                Some("file") => {
                    upload.file_name = field.file_name().unwrap_or_default().to_owned();
                    upload.bytes = field.bytes().await.map_err(broken)?.to_vec();
                }
                _ => {}
            }
        }
        if upload.bytes.is_empty() { Err(Error::invalid("file", "is missing or empty").into()) } else { Ok(upload) }
    }
}
