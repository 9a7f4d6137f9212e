//! Sites: a project goes in as an archive, its analysis, referral codes and embed line come out; later it may be analysed again, corrected
//! and retired.

mod upload;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Multipart, Path, State, multipart::MultipartRejection, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use chrono::{DateTime, Utc};
use domain::{
    PartnerId, Problem, SiteId,
    analysis::Analysis,
    auth::Principal,
    site::{Site, SiteLink},
};
use engine::{
    Engine, Error,
    site::{self, Change, NewSite, Request},
};
use serde::Serialize;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{
    base_url,
    conversions::{REPLAYED, idempotency_key, read_object},
    embed_line,
};
use crate::problem::{ApiError, ApiResult};
use upload::Upload;

/// An archive of 64 MiB, and 64 KiB for the other fields and the seams between them.
pub const UPLOAD_BYTES_MAX: usize = (64 << 20) + (64 << 10);

/// A site as the API tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteAnswer {
    site_id: SiteId,
    name: String,
    url: Option<String>,
    analysis: Option<Analysis>,
    analysed_at: Option<DateTime<Utc>>,
    /// Since when it is retired: it shows no offers, while its links still lead on.
    archived_at: Option<DateTime<Utc>>,
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
            analysed_at: site.analysed_at,
            archived_at: site.archived_at,
            referral_codes: site.links.into_iter().map(code).collect(),
        }
    }
}

/// `POST /api/v1/sites`, multipart: `name`, `user_ref`, `archive`, and perhaps `url`. The same request again with the same
/// `Idempotency-Key` is answered with the site that the first one made.
pub async fn create(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    headers: HeaderMap,
    upload: Result<Multipart, MultipartRejection>,
) -> ApiResult<Response> {
    let (site, replayed) = add(&engine, &who, idempotency_key(&headers)?, multipart(upload)?).await?;
    let mut answer = (StatusCode::CREATED, Json(SiteAnswer::new(site, &base_url(&headers)))).into_response();
    if replayed {
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(answer)
}

/// `POST /sites`: the same from the page's form, answered by a page.
pub async fn create_by_form(State(engine): State<Engine>, Extension(who): Extension<Principal>, upload: Multipart) -> Response {
    match add(&engine, &who, None, upload).await {
        Ok((site, _)) => Redirect::to(&format!("/sites/{}", site.site_id)).into_response(),
        Err(error) => refuse("/sites", error),
    }
}

/// `PUT /api/v1/sites/{id}/analysis`, multipart: `archive`.
pub async fn analyse(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    headers: HeaderMap,
    upload: Result<Multipart, MultipartRejection>,
) -> ApiResult<Json<SiteAnswer>> {
    let site = read_again(&engine, &who, &id, multipart(upload)?).await?;
    Ok(Json(SiteAnswer::new(site, &base_url(&headers))))
}

/// `POST /sites/{id}/analysis`: the same from the page's form, answered by a page.
pub async fn analyse_by_form(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    upload: Multipart,
) -> Response {
    // What is no id has no page of its own.
    let page = site_id(&id).map_or_else(|_| "/sites".to_owned(), |id| format!("/sites/{id}"));
    match read_again(&engine, &who, &id, upload).await {
        Ok(_) => Redirect::to(&format!("{page}?done=site-analysed")).into_response(),
        Err(error) => refuse(&page, error),
    }
}

/// `PATCH /api/v1/sites/{id}`: any of `name`, `url` (or null) and `archived`.
pub async fn edit(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Json<SiteAnswer>> {
    let site = site::edit(&engine, &who, site_id(&id)?, &read_change(&read_object(body)?)?).await?;
    Ok(Json(SiteAnswer::new(site, &base_url(&headers))))
}

/// `GET /api/v1/sites/{id}`
pub async fn show(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> ApiResult<Json<SiteAnswer>> {
    let site = site::find(&engine, &who, site_id(&id)?).await?;
    Ok(Json(SiteAnswer::new(site, &base_url(&headers))))
}

/// Adds a site; the flag says that the request came before and made it then.
async fn add(engine: &Engine, who: &Principal, key: Option<&str>, upload: Multipart) -> ApiResult<(Site, bool)> {
    let mut upload = Upload::read(who, upload).await?;
    let (name, user_ref, archive) = (upload.name()?, upload.user_ref()?, upload.archive()?);
    let url = upload.url;
    let request = match key {
        // Hashing 64 MiB takes longer than other requests should wait.
        Some(key) => Some(tokio::task::block_in_place(|| {
            Request::new(key, &[name.as_bytes(), url.as_deref().unwrap_or_default().as_bytes(), user_ref.as_bytes(), &archive])
        })?),
        None => None,
    };
    if let Some(request) = &request
        && let Some(site) = site::made_before(engine, who, request).await?
    {
        return Ok((site, true));
    }
    let analysis = engine::analysis::analyze_archive(archive).await?;
    let site = site::create_once(engine, who, request.as_ref(), NewSite { name, url, user_ref, analysis }).await?;
    Ok((site, false))
}

async fn read_again(engine: &Engine, who: &Principal, id: &str, upload: Multipart) -> ApiResult<Site> {
    let archive = Upload::read(who, upload).await?.archive()?;
    let id = site_id(id)?;
    let analysis = engine::analysis::analyze_archive(archive).await?;
    Ok(site::analyse(engine, who, id, &analysis).await?)
}

/// An id as a path holds it. What is none names no site.
fn site_id(text: &str) -> Result<SiteId, Error> {
    text.parse().map_err(|_| Error::not_found(format!("site `{text}`")))
}

fn multipart(upload: Result<Multipart, MultipartRejection>) -> ApiResult<Multipart> {
    let unsupported =
        |rejection: MultipartRejection| Problem::new(415, "unsupported", "not a multipart form").detail(rejection.body_text()).into();
    upload.map_err(unsupported)
}

/// Leads back to a page that tells what was wrong, or to signing in.
fn refuse(page: &str, ApiError(problem): ApiError) -> Response {
    if problem.status == 401 {
        return Redirect::to(&format!("/sign-in?next={page}")).into_response();
    }
    let field = problem.field.as_deref().map(|field| format!("{field}: ")).unwrap_or_default();
    let text: String = format!("{field}{problem}").chars().take(300).collect();
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("error", &text).finish();
    Redirect::to(&format!("{page}?{query}")).into_response()
}

/// An unknown field is refused: it may be a slip in the name of one.
fn read_change(fields: &Map<String, Value>) -> Result<Change, Error> {
    let mut change = Change::default();
    for (field, value) in fields {
        match (field.as_str(), value) {
            ("name", Value::String(name)) => change.name = Some(name.clone()),
            ("url", Value::String(url)) => change.url = Some(Some(url.clone())),
            ("url", Value::Null) => change.url = Some(None),
            ("archived", Value::Bool(archived)) => change.archived = Some(*archived),
            ("name", _) => return Err(Error::invalid("name", "must be a text")),
            ("url", _) => return Err(Error::invalid("url", "must be a text or null")),
            ("archived", _) => return Err(Error::invalid("archived", "must be true or false")),
            (other, _) => return Err(Error::invalid(other, "is none of name, url and archived")),
        }
    }
    Ok(change)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_id_names_no_site() {
        let id = "0199d3a0-0000-7000-8000-000000000001";
        assert_eq!(site_id(id).unwrap().to_string(), id);
        let problem = Problem::from(site_id("shop").unwrap_err());
        assert_eq!(
            (problem.status, problem.code.as_str(), problem.detail.as_deref()),
            (404, "not_found", Some("site `shop` was not found"))
        );
    }

    #[test]
    fn a_change_names_what_changes_and_nothing_else() {
        let read = |json: Value| read_change(json.as_object().unwrap());
        assert_eq!(read(json!({})).unwrap(), Change::default());
        let all = json!({ "name": "Shop", "url": null, "archived": true });
        assert_eq!(read(all).unwrap(), Change { name: Some("Shop".to_owned()), url: Some(None), archived: Some(true) });
        assert_eq!(read(json!({ "url": "https://a.example" })).unwrap().url, Some(Some("https://a.example".to_owned())));
        for (field, wrong) in [("name", json!(null)), ("url", json!(1)), ("archived", json!("yes")), ("user_ref", json!("u"))] {
            let error = read(json!({ field: wrong })).unwrap_err();
            assert!(matches!(&error, Error::Invalid { field: named, .. } if named == field), "{error}");
        }
    }
}
