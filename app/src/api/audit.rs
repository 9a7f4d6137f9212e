//! The audit log.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// The query of the page, as it stands in the URL; empty texts do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditQuery {
    pub action: String,
    pub actor: String,
    pub search: String,
    /// The cursor: only what happened before this entry.
    pub before: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditList {
    /// HTML, see `panels`.
    pub table: String,
    pub is_empty: bool,
    pub next: Option<String>,
    pub actions: Vec<String>,
    pub actors: Vec<String>,
}

/// The newest first, 50 a page.
#[server]
pub async fn list_audit(query: AuditQuery) -> Result<AuditList, AppError> {
    let (engine, who) = super::backend().await?;
    let before = super::request::read("before", &query.before)?;
    let filter = engine::audit::Filter { action: query.action, actor: query.actor, search: query.search, before };
    let page = engine::audit::list(&engine, &who, &filter).await?;
    Ok(AuditList {
        is_empty: page.entries.is_empty(),
        table: crate::panels::audit_table(page.entries),
        next: page.next.map(|id| id.to_string()),
        actions: page.actions,
        actors: page.actors,
    })
}
