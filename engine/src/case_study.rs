//! Case studies: drafted from what a developer really reached with a partner, edited and published by operators.
//!
//! Nothing is published without the developer's consent; taking the consent back withdraws what was published. What the texts
//! were written from is kept beside them, so that every figure can be checked.

mod consent;
mod facts;
mod list;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

pub use consent::record_consent;
pub(crate) use facts::developer_digest;
pub use list::{Detail, Eligible, Listed, eligible, export, find, list};

use domain::{CaseStudyId, DeveloperId, PartnerId, auth::Principal, case_study as study, success::eligible_for_case_study};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, types::Json};

use crate::{Engine, Error, Result, access::require_operate, audit, success::successes_of};

/// Where a case study stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum State {
    Draft,
    Published,
    /// It was published and is not any more.
    Withdrawn,
}

/// The texts that an operator may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texts {
    pub title: String,
    pub summary: String,
    /// Paragraphs, separated by blank lines.
    pub story: String,
}

impl Texts {
    /// # Errors
    /// [`Error::Invalid`] with the first field that is empty or too long.
    fn checked(self) -> Result<Self> {
        for (field, text, longest) in [("title", &self.title, 200), ("summary", &self.summary, 2_000), ("story", &self.story, 20_000)] {
            if text.trim().is_empty() || text.len() > longest || text.contains('\0') {
                return Err(Error::invalid(field, format!("has {} bytes, expected plain text of 1 to {longest}", text.len())));
            }
        }
        let tidy = |text: String| text.replace("\r\n", "\n").trim().to_owned();
        Ok(Self { title: tidy(self.title), summary: tidy(self.summary), story: tidy(self.story) })
    }
}

/// Drafts a developer's case study with a partner from the data. If there is one already, it is left as it is and its id returned.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Conflict`] if the developer has too few verified successes; [`Error::NotFound`].
pub async fn draft(engine: &Engine, who: &Principal, partner_id: &PartnerId, developer_id: DeveloperId) -> Result<CaseStudyId> {
    require_operate(who, "draft case studies")?;
    let mut tx = engine.db.begin().await?;
    let written = write(engine, &mut tx, partner_id, developer_id).await?;
    let id: CaseStudyId = engine.new_id();
    let inserted = sqlx::query!(
        "insert into case_studies (case_study_id, partner_id, developer_id, state, title, summary, story, facts, created_at, created_by, updated_at)
         values ($1, $2, $3, 'draft', $4, $5, $6, $7, $8, $9, $8)
         on conflict on constraint case_studies_partner_developer_key do nothing",
        id.0,
        partner_id.as_str(),
        developer_id.0,
        written.draft.title,
        written.draft.summary,
        written.draft.story,
        Json(&written) as _,
        engine.now(),
        who.actor(),
    )
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        let earlier = sqlx::query_scalar!(
            r#"select case_study_id as "case_study_id: CaseStudyId" from case_studies where partner_id = $1 and developer_id = $2"#,
            partner_id.as_str(),
            developer_id.0,
        )
        .fetch_one(&mut *tx)
        .await?;
        return Ok(earlier);
    }
    let subject = Subject { partner_id: partner_id.clone(), developer_name: written.developer_name, state: State::Draft };
    subject.audit(engine, &mut tx, who, "case_study.drafted", json!({ "title": written.draft.title })).await?;
    tx.commit().await?;
    Ok(id)
}

/// Writes a case study that is not published anew from the present data; its edited texts are lost.
///
/// # Errors
/// As [`draft`]; [`Error::Conflict`] if it is published.
pub async fn rewrite(engine: &Engine, who: &Principal, id: CaseStudyId) -> Result<()> {
    require_operate(who, "rewrite case studies")?;
    let mut tx = engine.db.begin().await?;
    let (subject, developer_id) = lock(&mut tx, id).await?;
    subject.require_unpublished("write it anew")?;
    let written = write(engine, &mut tx, &subject.partner_id, developer_id).await?;
    sqlx::query!(
        "update case_studies set title = $2, summary = $3, story = $4, facts = $5, updated_at = $6 where case_study_id = $1",
        id.0,
        written.draft.title,
        written.draft.summary,
        written.draft.story,
        Json(&written) as _,
        engine.now(),
    )
    .execute(&mut *tx)
    .await?;
    subject.audit(engine, &mut tx, who, "case_study.rewritten", json!({ "title": written.draft.title })).await?;
    tx.commit().await?;
    Ok(())
}

/// The case study that the data tell at present.
async fn write(
    engine: &Engine,
    connection: &mut PgConnection,
    partner_id: &PartnerId,
    developer_id: DeveloperId,
) -> Result<study::CaseStudy> {
    let now = engine.now();
    let successes = successes_of(connection, developer_id).await?;
    if !eligible_for_case_study(&successes, partner_id, now) {
        let (least, days) = (domain::success::CASE_STUDY_SUCCESSES, domain::success::CASE_STUDY_DAYS);
        return Err(Error::Conflict(format!("a case study takes {least} verified successes with `{partner_id}` within {days} days")));
    }
    let facts = facts::gather(connection, partner_id, developer_id, now).await?;
    Ok(study::CaseStudy {
        developer_name: study::anonymous_name(&facts.developer_digest),
        partner_name: facts.partner_name.clone(),
        draft: study::draft(&facts),
    })
}

/// Changes the texts of a case study that is not published.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Invalid`] with the field; [`Error::Conflict`] if it is published.
pub async fn edit(engine: &Engine, who: &Principal, id: CaseStudyId, texts: Texts) -> Result<()> {
    require_operate(who, "edit case studies")?;
    let texts = texts.checked()?;
    let mut tx = engine.db.begin().await?;
    let (subject, _) = lock(&mut tx, id).await?;
    subject.require_unpublished("edit it")?;
    let before =
        sqlx::query_as!(Texts, "select title, summary, story from case_studies where case_study_id = $1", id.0).fetch_one(&mut *tx).await?;
    sqlx::query!(
        "update case_studies set title = $2, summary = $3, story = $4, updated_at = $5 where case_study_id = $1",
        id.0,
        texts.title,
        texts.summary,
        texts.story,
        engine.now(),
    )
    .execute(&mut *tx)
    .await?;
    subject.audit(engine, &mut tx, who, "case_study.edited", json!({ "before": before, "after": texts })).await?;
    tx.commit().await?;
    Ok(())
}

/// Publishes a case study. A second call changes nothing.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Conflict`] without the developer's consent.
pub async fn publish(engine: &Engine, who: &Principal, id: CaseStudyId) -> Result<()> {
    require_operate(who, "publish case studies")?;
    let mut tx = engine.db.begin().await?;
    let (subject, developer_id) = lock(&mut tx, id).await?;
    if subject.state == State::Published {
        return Ok(());
    }
    // Locked, so that a consent that is being taken back either comes before or finds the case study published.
    let consented_at = sqlx::query_scalar!("select consented_at from developers where developer_id = $1 for share", developer_id.0)
        .fetch_one(&mut *tx)
        .await?;
    if consented_at.is_none() {
        return Err(Error::Conflict(format!("{} has not consented to be written about: record the consent first", subject.developer_name)));
    }
    sqlx::query!(
        "update case_studies set state = 'published', published_at = $2, published_by = $3, updated_at = $2 where case_study_id = $1",
        id.0,
        engine.now(),
        who.actor(),
    )
    .execute(&mut *tx)
    .await?;
    subject.audit(engine, &mut tx, who, "case_study.published", json!({ "consented_at": consented_at })).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes a published case study back; it may be edited and published again. A second call changes nothing.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Conflict`] if it was never published.
pub async fn withdraw(engine: &Engine, who: &Principal, id: CaseStudyId) -> Result<()> {
    require_operate(who, "withdraw case studies")?;
    let mut tx = engine.db.begin().await?;
    let (subject, _) = lock(&mut tx, id).await?;
    match subject.state {
        State::Withdrawn => return Ok(()),
        State::Draft => return Err(Error::Conflict("the case study is a draft: there is nothing to withdraw".to_owned())),
        State::Published => {}
    }
    set_withdrawn(engine, &mut tx, id).await?;
    subject.audit(engine, &mut tx, who, "case_study.withdrawn", json!({})).await?;
    tx.commit().await?;
    Ok(())
}

async fn set_withdrawn(engine: &Engine, connection: &mut PgConnection, id: CaseStudyId) -> Result<()> {
    sqlx::query!(
        "update case_studies set state = 'withdrawn', published_at = null, published_by = null, updated_at = $2 where case_study_id = $1",
        id.0,
        engine.now(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

struct Subject {
    partner_id: PartnerId,
    developer_name: String,
    state: State,
}

impl Subject {
    fn require_unpublished(&self, what: &str) -> Result<()> {
        match self.state {
            State::Published => Err(Error::Conflict(format!("the case study is published: withdraw it to {what}"))),
            State::Draft | State::Withdrawn => Ok(()),
        }
    }

    async fn audit(
        &self,
        engine: &Engine,
        connection: &mut PgConnection,
        who: &Principal,
        action: &str,
        detail: serde_json::Value,
    ) -> Result<()> {
        let subject = format!("case study of {} with {}", self.developer_name, self.partner_id);
        audit::record(engine, connection, who, action, &subject, detail).await
    }
}

/// Locks a case study's row.
async fn lock(connection: &mut PgConnection, id: CaseStudyId) -> Result<(Subject, DeveloperId)> {
    let row = sqlx::query!(
        r#"select partner_id as "partner_id: PartnerId", developer_id as "developer_id: DeveloperId", developer_hash, state as "state: State"
           from case_studies join developers using (developer_id)
           where case_study_id = $1
           for update of case_studies"#,
        id.0,
    )
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| Error::not_found(format!("case study `{id}`")))?;
    let developer_name = study::anonymous_name(&developer_digest(&row.developer_hash));
    Ok((Subject { partner_id: row.partner_id, developer_name, state: row.state }, row.developer_id))
}
