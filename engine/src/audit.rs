//! The audit log: who changed what, with the values before and after.

use domain::{AuditEntryId, auth::Principal};
use serde_json::Value;
use sqlx::PgConnection;

use crate::{Engine, Result};

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
