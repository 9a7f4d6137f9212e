//! Sites: a project goes in as an archive, its analysis, referral codes and embed line come out.

use axum::{
    Extension, Json,
    extract::{
        Multipart, Path, State,
        multipart::{Field, MultipartError},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use domain::{
    PartnerId, Problem, SiteId,
    analysis::Analysis,
    auth::Principal,
    site::{Site, SiteLink},
};
use engine::{
    Engine, Error,
    access::require_scope,
    site::{self, NewSite},
};
use serde::Serialize;
use url::form_urlencoded;

use super::{base_url, embed_line};
use crate::auth::REFUSED_BODY_BYTES;
use crate::problem::{ApiError, ApiResult};

/// An archive of 64 MiB, and 64 KiB for the other fields and the seams between them.
pub const UPLOAD_BYTES_MAX: usize = (64 << 20) + (64 << 10);
/// Of a field that is no file.
const TEXT_BYTES_MAX: usize = 2_000;

/// A site as the API tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteAnswer {
    site_id: SiteId,
    name: String,
    url: Option<String>,
    analysis: Option<Analysis>,
    referral_codes: Vec<CodeAnswer>,
    /// The line for the site's pages.
    embed: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CodeAnswer {
    partner_id: PartnerId,
    code: String,
    alias: String,
    url: String,
}

impl SiteAnswer {
    fn new(site: Site, base_url: &str) -> Self {
        let code = |SiteLink { partner_id, referral_code, alias }| CodeAnswer {
            partner_id,
            url: format!("{base_url}/r/{alias}"),
            code: referral_code,
            alias,
        };
        Self {
            embed: embed_line(base_url, site.site_id),
            site_id: site.site_id,
            name: site.name,
            url: site.url,
            analysis: site.analysis,
            referral_codes: site.links.into_iter().map(code).collect(),
        }
    }
}

/// `POST /api/v1/sites`, multipart: `name`, `user_ref`, `archive`, and perhaps `url`.
pub async fn create(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    headers: HeaderMap,
    upload: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> ApiResult<(StatusCode, Json<SiteAnswer>)> {
    let upload = upload.map_err(|rejection| Problem::new(415, "unsupported", "not a multipart form").detail(rejection.body_text()))?;
    let site = receive(&engine, &who, upload).await?;
    Ok((StatusCode::CREATED, Json(SiteAnswer::new(site, &base_url(&headers)))))
}

/// `POST /sites`: the same from the page's form, answered by a page.
pub async fn create_by_form(State(engine): State<Engine>, Extension(who): Extension<Principal>, upload: Multipart) -> Response {
    match receive(&engine, &who, upload).await {
        Ok(site) => Redirect::to(&format!("/sites/{}", site.site_id)).into_response(),
        Err(ApiError(problem)) if problem.status == 401 => Redirect::to("/sign-in?next=/sites").into_response(),
        Err(ApiError(problem)) => {
            let field = problem.field.as_deref().map(|field| format!("{field}: ")).unwrap_or_default();
            let text: String = format!("{field}{problem}").chars().take(300).collect();
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("error", &text).finish();
            Redirect::to(&format!("/sites?{query}")).into_response()
        }
    }
}

/// `GET /api/v1/sites/{id}`
pub async fn show(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    headers: HeaderMap,
    Path(id): Path<SiteId>,
) -> ApiResult<Json<SiteAnswer>> {
    let site = site::find(&engine, &who, id).await?;
    Ok(Json(SiteAnswer::new(site, &base_url(&headers))))
}

async fn receive(engine: &Engine, who: &Principal, upload: Multipart) -> ApiResult<Site> {
    // Nobody shall make us read 64 MiB before we ask who it is.
    if let Err(refusal) = require_scope(who, "sites:write", "add sites") {
        skip(upload).await;
        return Err(refusal.into());
    }
    let form = Form::read(upload).await?;
    let analysis = engine::analysis::analyze_archive(form.archive).await?;
    let new = NewSite { name: form.name, url: form.url, user_ref: form.user_ref, analysis };
    Ok(site::create(engine, who, new).await?)
}

/// Reads a little of what is refused, so that its sender gets to read the answer.
async fn skip(mut upload: Multipart) {
    let mut left = REFUSED_BODY_BYTES;
    while let Ok(Some(mut field)) = upload.next_field().await {
        while let Ok(Some(chunk)) = field.chunk().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    }
}

struct Form {
    name: String,
    url: Option<String>,
    user_ref: String,
    archive: Vec<u8>,
}

impl Form {
    /// Reads the fields in any order and ignores others.
    async fn read(mut upload: Multipart) -> ApiResult<Self> {
        let (mut name, mut url, mut user_ref, mut archive) = (None, None, None, None);
        while let Some(field) = upload.next_field().await.map_err(|error| broken("body", &error))? {
            match field.name() {
                Some("name") => name = Some(text("name", field).await?),
                Some("url") => url = Some(text("url", field).await?),
                Some("user_ref") => user_ref = Some(text("user_ref", field).await?),
                Some("archive") => archive = Some(field.bytes().await.map_err(|error| broken("archive", &error))?.to_vec()),
                _ => {}
            }
        }
        let missing = |field: &'static str| move || ApiError::from(Error::invalid(field, "is missing"));
        Ok(Self {
            name: name.filter(|name| !name.is_empty()).ok_or_else(missing("name"))?,
            url: url.filter(|url| !url.is_empty()),
            user_ref: user_ref.filter(|user| !user.is_empty()).ok_or_else(missing("user_ref"))?,
            archive: archive.filter(|bytes| !bytes.is_empty()).ok_or_else(missing("archive"))?,
        })
    }
}

async fn text(name: &'static str, field: Field<'_>) -> ApiResult<String> {
    let text = field.text().await.map_err(|error| broken(name, &error))?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::invalid(name, format!("is longer than {TEXT_BYTES_MAX} bytes")).into());
    }
    Ok(text.trim().to_owned())
}

fn broken(field: &str, error: &MultipartError) -> ApiError {
    let problem = match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(413, "too_large", "body too large").detail("the archive may have 64 MiB"),
        _ => Problem::new(400, "malformed", "malformed body").detail(error.body_text()),
    };
    problem.field(field).into()
}
