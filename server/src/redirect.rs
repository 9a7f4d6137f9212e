//! `/r/{code}`: record the click, send the visitor on. And the same for server-side callers, `POST /api/v1/clicks`.

use std::{borrow::Cow, net::SocketAddr};

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::{
        ConnectInfo, Path, Request, State,
        rejection::{BytesRejection, PathRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use domain::{Problem, RecommendationId, SessionId, auth::Principal, partner::IntegrationKind};
use engine::{
    Engine, Error,
    access::require_scope,
    click::{self, Redirect, Visit},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::{
    api::conversions::read_object,
    auth::{cookie, text},
    peer::TrustedProxies,
    problem::ApiResult,
};

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

const SESSION_COOKIE: &str = "p4s_session";

/// 90 days: longer than any attribution window that partners commonly use.
const SESSION_SECONDS: u32 = 90 * 24 * 60 * 60;

/// What links are followed with.
#[derive(Clone)]
pub struct Links {
    pub engine: Engine,
    pub trusted_proxies: TrustedProxies,
}

/// Answers 302 once the click is durable. HEAD and prefetches are redirected without being counted.
pub async fn follow(
    State(Links { engine, trusted_proxies }): State<Links>,
    code: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let Ok(Path(code)) = code else { return nowhere(StatusCode::NOT_FOUND) };
    let (request, _) = request.into_parts();
    let (rid, via) = (parameter(&request.uri, "rid"), parameter(&request.uri, "via"));
    let headers = &request.headers;
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
    let visit = Visit {
        source_url: text(headers, "referer"),
        user_agent: text(headers, "user-agent"),
        ip: peer.and_then(|ConnectInfo(peer)| trusted_proxies.visitor(peer.ip(), headers)),
        session_id: cookie(headers, SESSION_COOKIE).and_then(|value| value.parse::<SessionId>().ok()),
        private: text(headers, "dnt") == Some("1") || text(headers, "sec-gpc") == Some("1"),
        prefetch: request.method == Method::HEAD || is_prefetch(headers),
        server_side: false,
        country: text(headers, "cf-ipcountry").or_else(|| text(headers, "x-country")),
        recommendation_id: rid.and_then(|id| id.parse::<RecommendationId>().ok()),
        via: via.and_then(|via| IntegrationKind::ALL.into_iter().find(|kind| kind.as_str() == via)),
    };
    match click::follow(&engine, &code, visit).await {
        Ok(redirect) => found(redirect).unwrap_or_else(|| nowhere(StatusCode::NOT_FOUND)),
        Err(Error::NotFound { .. }) => nowhere(StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::error!(error = ?error, "a redirect failed");
            nowhere(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

/// The first value of a query parameter. Nothing in a query keeps a visitor from being sent on.
fn parameter<'u>(uri: &'u Uri, name: &str) -> Option<Cow<'u, str>> {
    form_urlencoded::parse(uri.query()?.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
}

/// What every answer says: neither keep it, nor guess its type, nor tell the target the whole address.
fn set_common_headers(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
}

/// The answer that sends a visitor on; `None` if the target is no header's value.
fn found(redirect: Redirect) -> Option<Response> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::LOCATION, HeaderValue::from_maybe_shared(Bytes::from(redirect.location)).ok()?);
    set_common_headers(&mut headers);
    headers.insert(ROBOTS, HeaderValue::from_static("noindex, nofollow"));
    if let Some(session_id) = redirect.new_session {
        let cookie = format!("{SESSION_COOKIE}={session_id}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Lax");
        headers.insert(header::SET_COOKIE, HeaderValue::from_maybe_shared(Bytes::from(cookie)).ok()?);
    }
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::FOUND;
    *answer.headers_mut() = headers;
    Some(answer)
}

/// A browser that fetches what nobody asked for yet.
pub fn is_prefetch(headers: &HeaderMap) -> bool {
    ["purpose", "sec-purpose", "x-moz", "x-purpose"]
        .iter()
        .filter_map(|name| text(headers, name))
        .any(|value| value.contains("prefetch") || value.contains("prerender") || value.contains("preview"))
}

/// A page for people who followed a link that leads nowhere. It never forwards to an address from the request.
fn nowhere(status: StatusCode) -> Response {
    let (title, words) = if status == StatusCode::NOT_FOUND {
        (
            "This link is no longer active",
            "The offer behind it has ended, or the address was mistyped. You can close this page and go back to where you came from.",
        )
    } else {
        ("Please try again in a moment", "We could not look this link up just now. Reloading the page in a few seconds usually helps.")
    };
    let page = include_str!("nowhere.html").replace("{title}", title).replace("{words}", words);
    let mut answer = (status, Html(page)).into_response();
    set_common_headers(answer.headers_mut());
    answer
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewClick {
    referral_code: String,
    source_url: Option<String>,
    user_agent: Option<String>,
    session_id: Option<SessionId>,
    ip: Option<std::net::IpAddr>,
    recommendation_id: Option<RecommendationId>,
    /// The visitor sent `Sec-GPC: 1` or `DNT: 1`.
    #[serde(default)]
    gpc: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedClick {
    click_id: Option<String>,
    partner_id: domain::PartnerId,
    attribution_window_hours: u32,
    session_id: Option<SessionId>,
    location: String,
}

/// Records a click for a caller that redirects its visitor itself. Needs the scope `clicks:write`.
pub async fn record(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<(StatusCode, Json<RecordedClick>)> {
    // Who may not is told so, and not what is wrong with the body.
    require_scope(&who, "clicks:write", "record clicks")?;
    let new = read(read_object(body)?)?;
    let visit = Visit {
        source_url: new.source_url.as_deref(),
        user_agent: new.user_agent.as_deref(),
        ip: new.ip,
        session_id: new.session_id,
        private: new.gpc,
        server_side: new.user_agent.is_none(),
        recommendation_id: new.recommendation_id,
        ..Visit::default()
    };
    let redirect = click::follow(&engine, &new.referral_code, visit).await?;
    if redirect.durability == click::Durability::Lost {
        return Err(Problem::new(503, "unavailable", "temporarily unavailable").detail("the click could not be stored; try again").into());
    }
    let recorded = RecordedClick {
        click_id: redirect.click_token,
        partner_id: redirect.partner_id,
        attribution_window_hours: redirect.window_hours,
        session_id: redirect.new_session.or(new.session_id).filter(|_| !new.gpc),
        location: redirect.location,
    };
    Ok((StatusCode::CREATED, Json(recorded)))
}

/// The click that a request tells of; what is wrong is named.
fn read(fields: Map<String, Value>) -> ApiResult<NewClick> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let field = match error.path().to_string() {
            whole if whole == "." => "body".to_owned(),
            field => field,
        };
        Error::invalid(field, error.into_inner()).into()
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_click_is_named() {
        let read = |fields: Value| read(fields.as_object().unwrap().clone());
        assert_eq!(read(json!({ "referralCode": "abc", "ip": "192.0.2.1" })).unwrap().referral_code, "abc");
        let refused = |fields: Value| read(fields).map(|_| ()).unwrap_err().0;
        let problem = refused(json!({ "referralCode": "abc", "ip": "nowhere" }));
        assert_eq!((problem.status, problem.code.as_str(), problem.field.as_deref()), (422, "invalid", Some("ip")));
        assert_eq!(refused(json!({ "referralCode": "abc", "sessionID": "x" })).field.as_deref(), Some("sessionID"));
        assert_eq!(refused(json!({})).detail.as_deref(), Some("missing field `referralCode`"));
    }
}
