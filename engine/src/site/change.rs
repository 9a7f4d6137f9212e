//! What can change of a site: its name and address, its analysis, and whether it shows offers. Its id, codes and history stay.

use domain::{SiteId, analysis::Analysis, auth::Principal, site::Site};
use serde_json::json;
use sqlx::PgConnection;

use super::{bounded, checked_url, load, without_nul};
use crate::{Engine, Error, Result, access::require_scope, audit, referral_code};

/// What is to change; nothing else does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub name: Option<String>,
    /// `Some(None)`: it is served nowhere any more.
    pub url: Option<Option<String>>,
    /// Whether it is retired: then it shows no offers, while its links still lead on and are counted.
    pub archived: Option<bool>,
}

/// Changes a site. A second call changes nothing more.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] with the field that is out of bounds; refuses who lacks the scope `sites:write`.
pub async fn edit(engine: &Engine, who: &Principal, site_id: SiteId, change: &Change) -> Result<Site> {
    require_scope(who, "sites:write", "change sites")?;
    let mut tx = engine.db.begin().await?;
    let before = lock(&mut tx, site_id).await?;
    let name = change.name.as_deref().map_or(Ok(before.name.as_str()), |name| bounded("name", name))?;
    let url = match &change.url {
        Some(url) => url.as_deref().map(checked_url).transpose()?,
        None => before.url.as_deref(),
    };
    let archived = change.archived.unwrap_or(before.archived);
    sqlx::query!(
        "update sites
         set name = $2,
             url = $3,
             archived_at = case when $4 then coalesce(archived_at, $5) end
         where site_id = $1",
        site_id.0,
        name,
        url,
        archived,
        engine.now(),
    )
    .execute(&mut *tx)
    .await?;
    let detail = json!({
        "before": { "name": before.name, "url": before.url, "archived": before.archived },
        "after": { "name": name, "url": url, "archived": archived },
    });
    audit::record(engine, &mut tx, who, "site.changed", &format!("site {site_id}"), detail).await?;
    tx.commit().await?;
    engine.recommender.forget();
    load(engine, site_id).await
}

/// Puts a new analysis in the place of the one before; offers follow it at once here, and within seconds everywhere.
///
/// # Errors
/// [`Error::NotFound`]; refuses who lacks the scope `sites:write`.
pub async fn analyse(engine: &Engine, who: &Principal, site_id: SiteId, analysis: &Analysis) -> Result<Site> {
    require_scope(who, "sites:write", "change sites")?;
    let mut tx = engine.db.begin().await?;
    let before = lock(&mut tx, site_id).await?;
    let analysis = without_nul(serde_json::to_value(analysis)?);
    let detail = json!({ "before": before.kind, "after": analysis["kind"] });
    sqlx::query!("update sites set analysis = $2, analysed_at = $3 where site_id = $1", site_id.0, analysis, engine.now())
        .execute(&mut *tx)
        .await?;
    audit::record(engine, &mut tx, who, "site.analysed", &format!("site {site_id}"), detail).await?;
    tx.commit().await?;
    referral_code::forget_changed(engine).await?;
    engine.recommender.forget();
    load(engine, site_id).await
}

struct Locked {
    name: String,
    url: Option<String>,
    archived: bool,
    kind: Option<String>,
}

async fn lock(tx: &mut PgConnection, site_id: SiteId) -> Result<Locked> {
    sqlx::query_as!(
        Locked,
        r#"select name, url, archived_at is not null as "archived!", analysis ->> 'kind' as kind
           from sites
           where site_id = $1
           for update"#,
        site_id.0,
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| Error::not_found(format!("site `{site_id}`")))
}

#[cfg(test)]
mod tests;
