//! A page with the widget, as a browser plays it: it asks for the offers of its site and reports those that were seen.
//!
//! It sends no visitor's id, as with `data-experiments="off"`: tests that deal by visitor keep their figures.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{PartnerId, RecommendationId, SiteId};
use futures::future;
use reqwest::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::{
    plan::{Link, Visitor},
    play::{BROWSER, Played, Stage},
};

/// The widget shows no more.
const OFFERS_MAX: usize = 6;

/// A page is opened so long before the click, and its offers are reported when they were in view for a second.
const OPENED_BEFORE: TimeDelta = TimeDelta::seconds(10);
const REPORTED_BEFORE: TimeDelta = TimeDelta::seconds(9);

/// What the widget reads of an answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    pub recommendation_id: RecommendationId,
    pub offers: Vec<Offer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    pub partner_id: PartnerId,
}

impl Stage {
    /// Opens a page of the link's site before the click, and reports its offers so many times at once.
    pub async fn look(
        &self,
        memory: &mut Played,
        visitor: Visitor,
        link: Link,
        clicked_at: DateTime<Utc>,
        reports: u32,
    ) -> Result<RecommendationId, String> {
        let site_id = self.addresses.get(&link).ok_or("a link was not planted")?.site_id;
        memory.requests += 1;
        let Page { recommendation_id, offers } = self.open(site_id, visitor, clicked_at - OPENED_BEFORE).await?;
        let partner_ids: Vec<PartnerId> = offers.into_iter().map(|offer| offer.partner_id).take(OFFERS_MAX).collect();
        if partner_ids.is_empty() {
            return Err("a page got no offers".to_owned());
        }
        memory.requests += reports;
        let body = json!({ "recommendationId": recommendation_id, "partnerIds": partner_ids }).to_string();
        let reported = (0..reports).map(|_| self.report(body.clone(), clicked_at - REPORTED_BEFORE));
        future::join_all(reported).await.into_iter().collect::<Result<(), String>>()?;
        memory.seen.extend(partner_ids.into_iter().map(|partner_id| (recommendation_id, partner_id)));
        Ok(recommendation_id)
    }

    /// Asks for the offers of a site.
    pub async fn open(&self, site_id: SiteId, visitor: Visitor, at: DateTime<Utc>) -> Result<Page, String> {
        let request = self.http.get(format!("{}/api/v1/sites/{site_id}/recommendations", self.base_url));
        let request = request.header(header::USER_AGENT, BROWSER).header("x-simulated-time", at.to_rfc3339());
        let request = if visitor == Visitor::Private { request.header("sec-gpc", "1") } else { request };
        let answer = request.send().await.map_err(|error| format!("a page was not answered: {error}"))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("a page was answered {} in place of its offers", answer.status()));
        }
        answer.json().await.map_err(|error| format!("the offers of a page cannot be read: {error}"))
    }

    /// As a beacon, which browsers send as text.
    async fn report(&self, body: String, at: DateTime<Utc>) -> Result<(), String> {
        let request = self.http.post(format!("{}/api/v1/impressions", self.base_url)).header(header::USER_AGENT, BROWSER);
        let request = request.header(header::CONTENT_TYPE, "text/plain;charset=UTF-8").header("x-simulated-time", at.to_rfc3339());
        let answer = request.body(body).send().await.map_err(|error| format!("impressions were not answered: {error}"))?;
        let status = answer.status();
        if status == StatusCode::NO_CONTENT { Ok(()) } else { Err(format!("impressions were answered {status}")) }
    }
}
