//! `/embed/{site}`: the offers as a page to be framed, for sites and visitors without JavaScript.

use axum::{
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use domain::{PartnerId, SiteId, recommendation::VisitorOffer};
use engine::{
    Engine, agent,
    recommendation::{self, Asker},
};

use crate::{
    auth::text,
    html::{capitalised, escape, fill},
};

/// Any site may frame it; it runs nothing and sends nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors *";
const OFFERS_MAX: usize = 3;

/// Shows the fitting offers; an empty page if there are none or if they cannot be told. A browser that fetches it counts as having
/// seen them; bots and loading ahead do not.
pub async fn show(State(engine): State<Engine>, Path(site_id): Path<String>, headers: HeaderMap) -> Response {
    let (status, cards) = match cards(&engine, &site_id, &headers).await {
        Ok(cards) => (StatusCode::OK, cards),
        // Unknown, not analysed yet, or retired: there is nothing to show, and nothing to mend.
        Err(engine::Error::NotFound { .. } | engine::Error::Conflict(_)) => (StatusCode::NOT_FOUND, String::new()),
        Err(error) => {
            tracing::error!(error = ?error, "offers could not be embedded");
            (StatusCode::SERVICE_UNAVAILABLE, String::new())
        }
    };
    let label = if cards.is_empty() { "" } else { r#"<p class="label"><b>Partner offers</b> · project4site may earn a commission</p>"# };
    let page = fill(include_str!("embed.html"), &[("label", label), ("cards", &cards)]);
    let mut answer = (status, [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")], Html(page)).into_response();
    answer.headers_mut().insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
    answer.headers_mut().insert("cross-origin-embedder-policy", HeaderValue::from_static("require-corp"));
    allow_isolated(&mut answer);
    answer
}

/// Lets pages that isolate themselves (`Cross-Origin-Embedder-Policy`) use the widget's script.
pub async fn lend_script(request: Request, next: Next) -> Response {
    let is_script = request.uri().path() == "/widget.js";
    let mut answer = next.run(request).await;
    if is_script {
        allow_isolated(&mut answer);
    }
    answer
}

fn allow_isolated(answer: &mut Response) {
    answer.headers_mut().insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
}

async fn cards(engine: &Engine, site_id: &str, headers: &HeaderMap) -> engine::Result<String> {
    let site_id: SiteId = site_id.parse().map_err(|_| engine::Error::not_found(format!("site `{site_id}`")))?;
    // The page below has one layout.
    let asker = Asker { fixed_layout: true, ..Asker::default() };
    let found = recommendation::for_site(engine, site_id, &asker).await?;
    let fitting: Vec<VisitorOffer> = found.offers.iter().filter_map(VisitorOffer::public).take(OFFERS_MAX).collect();
    let ahead = ["purpose", "sec-purpose"].iter().any(|name| text(headers, name).is_some());
    if !ahead && agent::classify(text(headers, "user-agent")) != domain::click::AgentClass::Bot {
        let partners: Vec<PartnerId> = fitting.iter().map(|offer| offer.partner_id.clone()).collect();
        recommendation::record_impressions(engine, found.recommendation_id, &partners).await?;
    }
    Ok(fitting.iter().map(card).collect())
}

fn card(offer: &VisitorOffer) -> String {
    let initial = offer.partner_name.chars().next().unwrap_or('P').to_uppercase().to_string();
    let reason = offer.reasons.first();
    let evidence =
        reason.and_then(|reason| reason.evidence.first()).map(|evidence| format!("<code>{}</code>", escape(evidence))).unwrap_or_default();
    format!(
        r#"<li class="offer"><div class="mark" aria-hidden="true">{}</div><h2>{}</h2><p class="lead">{}</p><p class="why">{}{evidence}</p><a href="{}" target="_blank" rel="sponsored noopener">{}</a></li>"#,
        escape(&initial),
        escape(&offer.partner_name),
        escape(&offer.positioning),
        escape(&capitalised(reason.map_or("", |reason| &reason.text))),
        escape(&offer.url),
        escape(&offer.cta_text),
    )
}
