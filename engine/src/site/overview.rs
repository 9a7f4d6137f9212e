//! Sites in a list, with what a reader tells them apart by.

use chrono::{DateTime, Utc};
use domain::{SiteId, auth::Principal};

use super::require_read;
use crate::{Engine, Result};

/// Languages that are named in the list: a fourth says little.
const LANGUAGES_MAX: i64 = 3;

/// A site in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    pub site_id: SiteId,
    pub name: String,
    pub url: Option<String>,
    /// As `ProjectKind`, in JSON's form; absent for sites that were never analysed.
    pub kind: Option<String>,
    /// The greatest first.
    pub languages: Vec<String>,
    /// Partners that it has a link to.
    pub offers: i64,
    pub created_at: DateTime<Utc>,
    /// Retired: it shows no offers any more.
    pub archived: bool,
}

/// The newest sites, or those made before the site `before`.
///
/// # Errors
/// Refuses who may neither read nor write sites.
pub async fn overview(engine: &Engine, who: &Principal, before: Option<SiteId>, limit: i64) -> Result<Vec<Overview>> {
    require_read(who)?;
    let rows = sqlx::query_as!(
        Overview,
        r#"select site_id as "site_id: SiteId",
                  name,
                  url,
                  analysis ->> 'kind' as kind,
                  array(
                      select language ->> 'name'
                      from jsonb_array_elements(
                          case when jsonb_typeof(analysis -> 'languages') = 'array' then analysis -> 'languages' else '[]' end
                      ) with ordinality as listed (language, place)
                      order by place
                      limit $3
                  ) as "languages!: Vec<String>",
                  (select count(*)
                   from referral_codes
                   where referral_codes.site_id = sites.site_id
                     and metadata is null
                     and active) as "offers!",
                  created_at,
                  archived_at is not null as "archived!"
           from sites
           where $1::uuid is null or site_id < $1
           order by site_id desc
           limit $2"#,
        before.map(|id| id.0),
        limit,
        LANGUAGES_MAX,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(rows)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::path::Path;

    use domain::analysis::{SourceFile, analyze};
    use sqlx::PgPool;

    use super::*;
    use crate::{
        Error, partner,
        site::{NewSite, create},
        testing,
    };

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn sites_are_listed_by_page_with_their_languages_and_links(db: PgPool) {
        let engine = testing::engine(db.clone());
        partner::import_files(&engine, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../partners")).await.unwrap();
        let file = |path: &str, content: &str| SourceFile { path: path.into(), size: content.len() as u64, content: Some(content.into()) };
        for (name, path) in [("first", "main.py"), ("second", "main.go")] {
            let analysis = analyze(&[file(path, "print(1)\n")]);
            let new = NewSite { name: name.into(), url: None, user_ref: "user-1".into(), analysis };
            create(&engine, &Principal::CommandLine, new).await.unwrap();
        }
        let page = overview(&engine, &Principal::CommandLine, None, 1).await.unwrap();
        assert_eq!(
            (page.len(), page[0].name.as_str(), page[0].languages.as_slice(), page[0].offers),
            (1, "second", &["Go".to_owned()][..], 3)
        );
        let older = overview(&engine, &Principal::CommandLine, Some(page[0].site_id), 10).await.unwrap();
        assert_eq!(older.iter().map(|site| site.name.as_str()).collect::<Vec<_>>(), ["first"]);

        sqlx::query("update sites set analysis = null").execute(&db).await.unwrap();
        let unread = overview(&engine, &Principal::CommandLine, None, 10).await.unwrap();
        assert!(unread.iter().all(|site| site.kind.is_none() && site.languages.is_empty()));
        assert!(matches!(overview(&engine, &Principal::Anonymous, None, 10).await, Err(Error::Unauthenticated)));
    }
}
