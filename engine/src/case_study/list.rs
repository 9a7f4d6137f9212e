//! Case studies, and the developers who may get one, as operators see them.

use chrono::{DateTime, Duration, Utc};
use domain::{
    CaseStudyId, DeveloperId, PartnerId,
    auth::Principal,
    case_study::{CaseStudy, anonymous_name},
    success::{CASE_STUDY_DAYS, CASE_STUDY_SUCCESSES},
};
use sqlx::types::Json;

use super::{State, facts::developer_digest};
use crate::{Engine, Error, Result, access::require_read};

/// More than anybody writes about; the ones with the most successes come first.
const ELIGIBLE_LENGTH: i64 = 50;
/// There is one per developer and partner at most, and a person wrote each.
const LIST_LENGTH: i64 = 500;

/// A developer with enough recent verified successes with a partner, about whom nothing is written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eligible {
    pub partner_id: PartnerId,
    pub partner_name: String,
    pub developer_id: DeveloperId,
    pub developer_name: String,
    /// Verified and not expired, within the last 90 days.
    pub successes: i64,
    pub newest_at: DateTime<Utc>,
    pub consented_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub case_study_id: CaseStudyId,
    pub partner_id: PartnerId,
    pub partner_name: String,
    pub developer_id: DeveloperId,
    pub developer_name: String,
    pub title: String,
    pub state: State,
    pub consented_at: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
    pub published_at: Option<DateTime<Utc>>,
    pub published_by: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    pub listed: Listed,
    /// With the texts as they were edited, and the figures and timeline as they were drafted.
    pub case_study: CaseStudy,
}

/// Developers about whom a case study could be drafted.
///
/// # Errors
/// [`Error::Forbidden`] for anyone but operators.
pub async fn eligible(engine: &Engine, who: &Principal) -> Result<Vec<Eligible>> {
    require_read(who, "see case studies")?;
    let now = engine.now();
    let rows = sqlx::query!(
        r#"select s.partner_id as "partner_id: PartnerId", p.display_name, s.developer_id as "developer_id: DeveloperId", d.developer_hash, d.consented_at,
                  count(*) as "successes!", max(s.occurred_at) as "newest_at!"
           from success_events s
           join developers d using (developer_id)
           join partners p on p.partner_id = s.partner_id
           where s.state = 'verified' and s.occurred_at between $1 and $2 and (s.expires_at is null or s.expires_at > $2)
                 and not exists (select from case_studies c where c.partner_id = s.partner_id and c.developer_id = s.developer_id)
           group by s.partner_id, p.display_name, s.developer_id, d.developer_hash, d.consented_at
           having count(*) >= $3
           order by count(*) desc, max(s.occurred_at) desc
           limit $4"#,
        now - Duration::days(CASE_STUDY_DAYS),
        now,
        i64::try_from(CASE_STUDY_SUCCESSES).unwrap_or(i64::MAX),
        ELIGIBLE_LENGTH,
    )
    .fetch_all(&engine.db)
    .await?;
    let eligible = rows.into_iter().map(|row| Eligible {
        partner_id: row.partner_id,
        partner_name: row.display_name,
        developer_id: row.developer_id,
        developer_name: anonymous_name(&developer_digest(&row.developer_hash)),
        successes: row.successes,
        newest_at: row.newest_at,
        consented_at: row.consented_at,
    });
    Ok(eligible.collect())
}

/// All case studies, the last changed first.
///
/// # Errors
/// [`Error::Forbidden`] for anyone but operators.
pub async fn list(engine: &Engine, who: &Principal) -> Result<Vec<Listed>> {
    require_read(who, "see case studies")?;
    Ok(load(engine, None).await?.into_iter().map(|detail| detail.listed).collect())
}

/// # Errors
/// [`Error::NotFound`] if there is none; [`Error::Forbidden`] for anyone but operators.
pub async fn find(engine: &Engine, who: &Principal, id: CaseStudyId) -> Result<Detail> {
    require_read(who, "see case studies")?;
    load(engine, Some(id)).await?.pop().ok_or_else(|| Error::not_found(format!("case study `{id}`")))
}

/// A published case study, to leave the house as a file.
///
/// # Errors
/// As [`find`]; [`Error::Conflict`] if it is not published, since then nobody has checked the developer's consent.
pub async fn export(engine: &Engine, who: &Principal, id: CaseStudyId) -> Result<CaseStudy> {
    let Detail { listed, case_study } = find(engine, who, id).await?;
    if listed.state != State::Published {
        return Err(Error::Conflict("the case study is not published: only published ones are exported".to_owned()));
    }
    Ok(case_study)
}

async fn load(engine: &Engine, id: Option<CaseStudyId>) -> Result<Vec<Detail>> {
    let rows = sqlx::query!(
        r#"select c.case_study_id as "case_study_id: CaseStudyId", c.partner_id as "partner_id: PartnerId", p.display_name, c.developer_id as "developer_id: DeveloperId",
                  d.developer_hash, d.consented_at, c.title, c.summary, c.story, c.state as "state: State", c.facts as "facts: Json<CaseStudy>",
                  c.updated_at, c.published_at, c.published_by
           from case_studies c
           join developers d using (developer_id)
           join partners p on p.partner_id = c.partner_id
           where $1::uuid is null or c.case_study_id = $1
           order by c.updated_at desc
           limit $2"#,
        id.map(|id| id.0),
        LIST_LENGTH,
    )
    .fetch_all(&engine.db)
    .await?;
    let details = rows.into_iter().map(|row| {
        let mut case_study = row.facts.0;
        let listed = Listed {
            case_study_id: row.case_study_id,
            partner_id: row.partner_id,
            partner_name: row.display_name,
            developer_id: row.developer_id,
            developer_name: anonymous_name(&developer_digest(&row.developer_hash)),
            title: row.title.clone(),
            state: row.state,
            consented_at: row.consented_at,
            updated_at: row.updated_at,
            published_at: row.published_at,
            published_by: row.published_by,
        };
        (case_study.draft.title, case_study.draft.summary, case_study.draft.story) = (row.title, row.summary, row.story);
        Detail { listed, case_study }
    });
    Ok(details.collect())
}
