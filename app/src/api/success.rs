//! Successes and what operators decide about them. What is only read comes as HTML that was rendered on the server, see `panels`.

use domain::SuccessEventId;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// The query of the page, as it stands in the URL; empty texts do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SuccessQuery {
    /// `unverified`, `verified` or `rejected`.
    pub state: String,
    pub partner: String,
    pub metric: String,
    pub search: String,
    /// The cursor of older pages.
    pub before: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuccessList {
    pub table: String,
    /// The cursor of the older ones.
    pub next: Option<SuccessEventId>,
    /// Id and name of each metric that can be chosen.
    pub metrics: Vec<(String, String)>,
}

/// What waits for verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuccessQueue {
    pub table: String,
    pub waiting: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuccessDetail {
    pub id: SuccessEventId,
    pub title: String,
    pub lead: String,
    /// State, evidence, score and conversions: HTML.
    pub story: String,
    /// What may be decided now.
    pub can_verify: bool,
    pub can_reject: bool,
}

/// The newest first, 50 a page.
#[server]
pub async fn list_successes(query: SuccessQuery) -> Result<SuccessList, AppError> {
    let (engine, who) = super::backend().await?;
    let filter = read_filter(&query)?;
    let page = engine::success::list(&engine, &who, &filter).await?;
    let metrics = engine::success::metrics(&engine, &who, filter.partner_id.as_ref()).await?;
    Ok(SuccessList { table: crate::panels::success_table("Successes", page.successes, engine.now()), next: page.next, metrics })
}

/// The oldest that wait, 20 at most.
#[server]
pub async fn list_waiting_successes() -> Result<SuccessQueue, AppError> {
    let (engine, who) = super::backend().await?;
    let queue = engine::success::queue(&engine, &who).await?;
    let table = crate::panels::success_table("Successes that wait for verification", queue.successes, engine.now());
    Ok(SuccessQueue { table, waiting: queue.waiting })
}

#[server]
pub async fn find_success(id: String) -> Result<SuccessDetail, AppError> {
    let (engine, who) = super::backend().await?;
    let id = id.parse().map_err(|_| engine::Error::not_found(format!("success `{id}`")))?;
    let detail = engine::success::find(&engine, &who, id).await?;
    let scores = engine::success::scores(&engine, &who, detail.success.developer_id, &detail.success.partner_id).await?;
    Ok(SuccessDetail {
        id,
        title: detail.success.metric_name.clone(),
        lead: format!("{} with {}", detail.success.developer_name, detail.success.partner_name),
        can_verify: detail.success.state != engine::success::State::Verified,
        can_reject: detail.success.state != engine::success::State::Rejected,
        story: crate::panels::success(detail, scores, engine.now()),
    })
}

/// Verifies a success (`decision` is `verify`) or rejects it (`reject`, which needs a reason).
#[server]
pub async fn decide_success(id: SuccessEventId, decision: String, #[server(default)] reason: String) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let done = match decision.as_str() {
        "verify" => {
            engine::success::verify(&engine, &who, id, Some(&reason)).await?;
            "success-verified"
        }
        "reject" => {
            engine::success::reject(&engine, &who, id, &reason).await?;
            "success-rejected"
        }
        other => return Err(super::request::invalid("decision", format!("`{other}` must be verify or reject"))),
    };
    super::request::lead_plain_form_to(&format!("/successes/{id}?done={done}"));
    Ok(())
}

#[cfg(feature = "ssr")]
fn read_filter(query: &SuccessQuery) -> Result<engine::success::Filter, AppError> {
    use engine::success::{Filter, State};

    use super::request::{invalid, read};

    let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let state = match query.state.as_str() {
        "" => None,
        name => {
            let known = State::ALL.into_iter().find(|state| state.name() == name);
            Some(known.ok_or_else(|| invalid("state", format!("`{name}` is no state of a success")))?)
        }
    };
    if query.search.len() > 200 || query.search.contains('\0') {
        return Err(invalid("search", "must be a text of at most 200 bytes"));
    }
    Ok(Filter {
        state,
        partner_id: read("partner", &query.partner)?,
        metric_id: text(&query.metric),
        search: text(&query.search),
        before: read("before", &query.before)?,
    })
}

#[cfg(all(test, feature = "ssr"))]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_what_it_cannot_read() {
        let field = |query: SuccessQuery| read_filter(&query).unwrap_err().0.field.unwrap();
        assert_eq!(field(SuccessQuery { state: "lost".to_owned(), ..SuccessQuery::default() }), "state");
        assert_eq!(field(SuccessQuery { partner: "No Partner".to_owned(), ..SuccessQuery::default() }), "partner");
        assert_eq!(field(SuccessQuery { search: "x".repeat(201), ..SuccessQuery::default() }), "search");
        assert_eq!(field(SuccessQuery { before: "7".to_owned(), ..SuccessQuery::default() }), "before");
        let filter =
            read_filter(&SuccessQuery { state: "rejected".to_owned(), search: " s_1 ".to_owned(), ..SuccessQuery::default() }).unwrap();
        assert_eq!((filter.state.unwrap().name(), filter.search.as_deref(), filter.metric_id), ("rejected", Some("s_1"), None));
    }
}
