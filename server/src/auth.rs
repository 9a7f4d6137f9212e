//! Finds out who asks: a session cookie, a bearer token, or nobody.

use std::net::SocketAddr;

use app::api::VisitorAddress;
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::{Problem, auth::Principal};
use engine::Engine;

use crate::{peer::TrustedProxies, problem::ApiError};

/// 256 KiB: what is read of the body of a request that is refused.
pub const REFUSED_BODY_BYTES: usize = 256 * 1024;

pub const SESSION_COOKIE: &str = "orchestrator_session";

/// Leaves a [`Principal`] and the [`VisitorAddress`] in the request. A token that is not valid is refused rather than taken for nobody; a session
/// that has ended is nobody, so that the page can ask to sign in.
///
/// A browser sends forms and cookies whoever wrote the page, so that changes without a token must come from our own pages. That goes for
/// signing in and out, too: the session cookie stays behind when another site's page sends a form, and nobody is to be signed in unawares.
pub async fn identify(
    State(engine): State<Engine>,
    State(trusted_proxies): State<TrustedProxies>,
    mut request: Request,
    next: Next,
) -> Response {
    let principal = match principal(&engine, request.headers(), request.method()).await {
        Ok(principal) => principal,
        Err(error) => {
            // A sender that is still sending would see a broken connection in place of the answer; a large body is not worth that.
            let _ = axum::body::to_bytes(request.into_body(), REFUSED_BODY_BYTES).await;
            return error.into_response();
        }
    };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let visitor = peer.and_then(|peer| trusted_proxies.visitor(peer, request.headers()));
    request.extensions_mut().insert(principal);
    if let Some(visitor) = visitor {
        request.extensions_mut().insert(VisitorAddress(visitor));
    }
    next.run(request).await
}

async fn principal(engine: &Engine, headers: &HeaderMap, method: &Method) -> Result<Principal, ApiError> {
    if let Some(value) = text(headers, header::AUTHORIZATION.as_str()) {
        let token = value.strip_prefix("Bearer ").unwrap_or_default();
        let found = engine::api_token::authenticate(engine, token).await?;
        return found.ok_or_else(|| Problem::new(401, "unauthenticated", "not signed in").detail("the bearer token is not valid").into());
    }
    if !method.is_safe() && !is_same_origin(headers) {
        return Err(Problem::new(403, "cross_site", "not allowed").detail("changes must come from a page of this site").into());
    }
    let Some(token) = cookie(headers, SESSION_COOKIE) else { return Ok(Principal::Anonymous) };
    Ok(engine::operator::authenticate(engine, token).await?.unwrap_or(Principal::Anonymous))
}

pub fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The value of a cookie.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Browsers say where a request comes from; older ones at least name its origin.
fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = text(headers, "sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (text(headers, "origin"), text(headers, "host")) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, origin_host)| origin_host == host),
        // no browser: programs send what they do on purpose
        _ => text(headers, "referer").is_none(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_found_among_others_and_not_by_its_prefix() {
        let headers = headers(&[("cookie", "a=1; orchestrator_session_old=x; orchestrator_session=abc")]);
        assert_eq!(cookie(&headers, SESSION_COOKIE), Some("abc"));
        assert_eq!(cookie(&headers, "missing"), None);
    }

    #[test]
    fn changes_from_other_sites_are_seen() {
        assert!(is_same_origin(&headers(&[("sec-fetch-site", "same-origin")])));
        assert!(!is_same_origin(&headers(&[("sec-fetch-site", "cross-site")])));
        assert!(!is_same_origin(&headers(&[("sec-fetch-site", "same-site")])));
        assert!(is_same_origin(&headers(&[("origin", "http://127.0.0.1:3000"), ("host", "127.0.0.1:3000")])));
        assert!(!is_same_origin(&headers(&[("origin", "https://evil.example"), ("host", "127.0.0.1:3000")])));
    }
}
