//! The audit log: who changed what, with the values before and after.

use chrono::{DateTime, Utc};
use domain::{AuditEntryId, auth::Principal};
use serde_json::Value;
use sqlx::PgConnection;

use crate::{Engine, Result, access::require_read};

/// Entries on a page.
const PAGE_LENGTH: usize = 50;

/// Records a change in the transaction that makes it. `subject` names the thing, such as `partner supabase`.
pub async fn record(engine: &Engine, tx: &mut PgConnection, who: &Principal, action: &str, subject: &str, detail: Value) -> Result<()> {
    let id: AuditEntryId = engine.new_id();
    sqlx::query!(
        "insert into audit_entries (audit_entry_id, happened_at, actor, action, subject, detail) values ($1, $2, $3, $4, $5, $6)",
        id.0,
        engine.now(),
        who.actor(),
        action,
        subject,
        detail,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Which entries to list: empty texts do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub action: String,
    pub actor: String,
    /// A part of the subject, or of the detail's text.
    pub search: String,
    /// Only what happened before this entry.
    pub before: Option<AuditEntryId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    pub audit_entry_id: AuditEntryId,
    pub happened_at: DateTime<Utc>,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub detail: Value,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditPage {
    pub entries: Vec<AuditEntry>,
    /// The cursor of the next page, if there is one.
    pub next: Option<AuditEntryId>,
    /// All that can be filtered by.
    pub actions: Vec<String>,
    pub actors: Vec<String>,
}

/// The newest first, 50 a page.
///
/// # Errors
/// Refuses who may not read.
pub async fn list(engine: &Engine, who: &Principal, filter: &Filter) -> Result<AuditPage> {
    require_read(who, "see the audit log")?;
    let limit = i64::try_from(PAGE_LENGTH + 1).unwrap_or(i64::MAX);
    let mut entries = sqlx::query_as!(
        AuditEntry,
        r#"select audit_entry_id as "audit_entry_id: AuditEntryId", happened_at, actor, action, subject, detail
           from audit_entries
           where ($1 = '' or action = $1) and ($2 = '' or actor = $2)
                 and ($3 = '' or strpos(lower(subject), lower($3)) > 0 or strpos(lower(detail::text), lower($3)) > 0)
                 and ($4::uuid is null or (happened_at, audit_entry_id) < (select b.happened_at, b.audit_entry_id from audit_entries b where b.audit_entry_id = $4))
           order by happened_at desc, audit_entry_id desc
           limit $5"#,
        filter.action,
        filter.actor,
        filter.search.trim(),
        filter.before.map(|id| id.0),
        limit,
    )
    .fetch_all(&engine.db)
    .await?;
    let more = entries.len() > PAGE_LENGTH;
    entries.truncate(PAGE_LENGTH);
    let next = entries.last().filter(|_| more).map(|last| last.audit_entry_id);
    let (actions, actors) = (list_actions(engine).await?, list_actors(engine).await?);
    Ok(AuditPage { entries, next, actions, actors })
}

/// All actions that there are, from one to the next: they are few, and `distinct` would read every entry.
async fn list_actions(engine: &Engine) -> Result<Vec<String>> {
    let actions = sqlx::query_scalar!(
        r#"with recursive found (action) as (
               (select action from audit_entries order by action limit 1)
               union all
               select (select a.action from audit_entries a where a.action > found.action order by a.action limit 1)
               from found
               where found.action is not null
           )
           select action as "action!" from found where action is not null"#,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(actions)
}

/// All actors that there are, as [`list_actions`].
async fn list_actors(engine: &Engine) -> Result<Vec<String>> {
    let actors = sqlx::query_scalar!(
        r#"with recursive found (actor) as (
               (select actor from audit_entries order by actor limit 1)
               union all
               select (select a.actor from audit_entries a where a.actor > found.actor order by a.actor limit 1)
               from found
               where found.actor is not null
           )
           select actor as "actor!" from found where actor is not null"#,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(actors)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use domain::auth::Role;
    use serde_json::json;
    use sqlx::PgPool;

    use super::*;
    use crate::testing;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn each_action_and_actor_is_offered_once_and_in_order(db: PgPool) {
        let engine = testing::engine(db);
        let who = Principal::CommandLine;
        let empty = list(&engine, &who, &Filter::default()).await.unwrap();
        assert_eq!((empty.actions.len(), empty.actors.len()), (0, 0));

        let operator = Principal::Operator { id: engine.new_id(), email: "a@example.com".to_owned(), role: Role::Operator };
        let mut connection = engine.db.acquire().await.unwrap();
        for (who, action) in [(&who, "b"), (&operator, "c"), (&operator, "a"), (&who, "b")] {
            record(&engine, &mut connection, who, action, "something", json!({})).await.unwrap();
        }
        let page = list(&engine, &who, &Filter { action: "b".to_owned(), ..Filter::default() }).await.unwrap();
        assert_eq!((page.entries.len(), page.actions), (2, ["a", "b", "c"].map(str::to_owned).to_vec()));
        assert_eq!(page.actors, ["a@example.com", "command line"]);
    }
}
