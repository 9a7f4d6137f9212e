//! Case studies: who may get one, and how it is written, edited and published. What is only read comes as HTML, see `panels`.

use chrono::{DateTime, Utc};
use domain::{CaseStudyId, DeveloperId, PartnerId};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseStudyList {
    /// Empty if there are none.
    pub table: String,
    pub candidates: Vec<Candidate>,
}

/// A developer about whom one could be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub partner_id: PartnerId,
    pub partner_name: String,
    pub developer_id: DeveloperId,
    pub developer_name: String,
    /// Verified, in the last 90 days.
    pub successes: i64,
    pub newest_at: DateTime<Utc>,
    pub consented: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaseStudyState {
    Draft,
    Published,
    Withdrawn,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseStudyDetail {
    pub id: CaseStudyId,
    pub state: CaseStudyState,
    pub developer_id: DeveloperId,
    pub developer_name: String,
    pub partner_name: String,
    pub consented_at: Option<DateTime<Utc>>,
    /// The texts to edit: as they are, or as they were typed if they have just been refused.
    pub texts: CaseStudyTexts,
    /// As a reader will see it: HTML.
    pub preview: String,
    /// Its figures with where they come from, and the timeline: HTML.
    pub facts: String,
    /// Where it stands, and since when.
    pub lead: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseStudyTexts {
    pub title: String,
    pub summary: String,
    pub story: String,
}

#[server]
pub async fn list_case_studies() -> Result<CaseStudyList, AppError> {
    let (engine, who) = super::backend().await?;
    let table = crate::panels::case_study_table(engine::case_study::list(&engine, &who).await?);
    let candidates = engine::case_study::eligible(&engine, &who).await?.into_iter().map(|eligible| Candidate {
        partner_id: eligible.partner_id,
        partner_name: eligible.partner_name,
        developer_id: eligible.developer_id,
        developer_name: eligible.developer_name,
        successes: eligible.successes,
        newest_at: eligible.newest_at,
        consented: eligible.consented_at.is_some(),
    });
    Ok(CaseStudyList { table, candidates: candidates.collect() })
}

#[server]
pub async fn find_case_study(id: String) -> Result<CaseStudyDetail, AppError> {
    let (engine, who) = super::backend().await?;
    let id: CaseStudyId = id.parse().map_err(|_| engine::Error::not_found(format!("case study `{id}`")))?;
    let engine::case_study::Detail { listed, case_study } = engine::case_study::find(&engine, &who, id).await?;
    let draft = &case_study.draft;
    let saved = CaseStudyTexts { title: draft.title.clone(), summary: draft.summary.clone(), story: draft.story.clone() };
    Ok(CaseStudyDetail {
        id,
        state: state(listed.state),
        developer_id: listed.developer_id,
        developer_name: listed.developer_name.clone(),
        partner_name: listed.partner_name.clone(),
        consented_at: listed.consented_at,
        texts: super::request::take_draft(DRAFT, &page(id)).unwrap_or(saved),
        preview: crate::panels::case_study_preview(&case_study),
        facts: crate::panels::case_study_facts(&case_study.draft),
        lead: lead(&listed),
    })
}

/// Drafts a case study from the data, or finds the one that is there.
#[server]
pub async fn draft_case_study(partner: PartnerId, developer: DeveloperId) -> Result<CaseStudyId, AppError> {
    let (engine, who) = super::backend().await?;
    let id = engine::case_study::draft(&engine, &who, &partner, developer).await?;
    super::request::lead_plain_form_to(&format!("{}?done=case-study-drafted", page(id)));
    Ok(id)
}

#[server]
pub async fn edit_case_study(id: CaseStudyId, title: String, summary: String, story: String) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let typed = CaseStudyTexts { title, summary, story };
    let texts = engine::case_study::Texts { title: typed.title.clone(), summary: typed.summary.clone(), story: typed.story.clone() };
    let saved = engine::case_study::edit(&engine, &who, id, texts).await;
    saved.inspect_err(|_| super::request::keep_draft(DRAFT, &page(id), &typed))?;
    super::request::lead_plain_form_to(&format!("{}?done=case-study-saved", page(id)));
    Ok(())
}

/// Replaces the texts by what the template writes from the present data.
#[server]
pub async fn rewrite_case_study(id: CaseStudyId) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    engine::case_study::rewrite(&engine, &who, id).await?;
    super::request::lead_plain_form_to(&format!("{}?done=case-study-rewritten", page(id)));
    Ok(())
}

#[server]
pub async fn publish_case_study(id: CaseStudyId) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    engine::case_study::publish(&engine, &who, id).await?;
    super::request::lead_plain_form_to(&format!("{}?done=case-study-published", page(id)));
    Ok(())
}

#[server]
pub async fn withdraw_case_study(id: CaseStudyId) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    engine::case_study::withdraw(&engine, &who, id).await?;
    super::request::lead_plain_form_to(&format!("{}?done=case-study-withdrawn", page(id)));
    Ok(())
}

/// Records that the developer of a case study consents, or does not any more; `how` says how they told us.
#[server]
pub async fn record_consent(id: CaseStudyId, given: bool, how: String) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let detail = engine::case_study::find(&engine, &who, id).await?;
    engine::case_study::record_consent(&engine, &who, detail.listed.developer_id, given, &how).await?;
    let done = if given { "consent-given" } else { "consent-withdrawn" };
    super::request::lead_plain_form_to(&format!("{}?done={done}", page(id)));
    Ok(())
}

#[cfg(feature = "ssr")]
const DRAFT: &str = "case_study";

#[cfg(feature = "ssr")]
fn page(id: CaseStudyId) -> String {
    format!("/case-studies/{id}")
}

#[cfg(feature = "ssr")]
fn state(state: engine::case_study::State) -> CaseStudyState {
    match state {
        engine::case_study::State::Draft => CaseStudyState::Draft,
        engine::case_study::State::Published => CaseStudyState::Published,
        engine::case_study::State::Withdrawn => CaseStudyState::Withdrawn,
    }
}

#[cfg(feature = "ssr")]
fn lead(listed: &engine::case_study::Listed) -> String {
    use crate::components::date_time;

    let changed = date_time(listed.updated_at);
    match (state(listed.state), listed.published_at) {
        (CaseStudyState::Published, Some(at)) => {
            format!("Published {} by {}.", date_time(at), listed.published_by.as_deref().unwrap_or("an operator"))
        }
        (CaseStudyState::Withdrawn, _) => format!("Withdrawn. Last changed {changed}."),
        _ => format!("A draft. Last changed {changed}."),
    }
}
