//! A developer's consent to be written about.

use domain::{CaseStudyId, DeveloperId, auth::Principal, case_study::anonymous_name};
use serde_json::json;

use super::{facts::developer_digest, set_withdrawn};
use crate::{Engine, Error, Result, access::require_operate, audit};

/// Records that a developer consents, or, with `given` false, does not any more: their published case studies are then withdrawn.
/// `how` says where the consent stands, such as a letter. A consent that is there keeps its time.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Invalid`] without `how`.
pub async fn record_consent(engine: &Engine, who: &Principal, developer_id: DeveloperId, given: bool, how: &str) -> Result<()> {
    require_operate(who, "record consents")?;
    let how = how.trim();
    if how.is_empty() || how.len() > 1000 || how.contains('\0') {
        return Err(Error::invalid("how", "say in 1 to 1000 bytes how the developer told us"));
    }
    let mut tx = engine.db.begin().await?;
    let now = engine.now();
    let changed = sqlx::query!(
        "update developers d set consented_at = case when $2 then coalesce(d.consented_at, $3) end
         from (select developer_id, consented_at from developers where developer_id = $1 for update) old
         where d.developer_id = old.developer_id
         returning d.developer_hash, old.consented_at as before, d.consented_at as after",
        developer_id.0,
        given,
        now,
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| Error::not_found(format!("developer `{developer_id}`")))?;
    let withdrawn = if given {
        Vec::new()
    } else {
        sqlx::query_scalar!(
            r#"select case_study_id as "case_study_id: CaseStudyId" from case_studies where developer_id = $1 and state = 'published' for update"#,
            developer_id.0,
        )
        .fetch_all(&mut *tx)
        .await?
    };
    for id in &withdrawn {
        set_withdrawn(engine, &mut tx, *id).await?;
    }
    let action = if given { "developer.consented" } else { "developer.consent_withdrawn" };
    let subject = anonymous_name(&developer_digest(&changed.developer_hash));
    let detail = json!({ "before": changed.before, "after": changed.after, "how": how, "case_studies_withdrawn": withdrawn });
    audit::record(engine, &mut tx, who, action, &subject, detail).await?;
    tx.commit().await?;
    Ok(())
}
