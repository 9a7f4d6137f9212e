//! Monthly statements: what a month would say, issuing it, and reading what was issued.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementList {
    /// HTML, see `panels`.
    pub table: String,
    pub totals: String,
    pub count: i64,
    pub page: i64,
    pub pages: i64,
    pub draft: MonthDraft,
}

/// What issuing a month would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthDraft {
    /// `2026-10`.
    pub month: String,
    pub is_over: bool,
    /// Statements that would be issued.
    pub count: usize,
    /// HTML, see `panels`.
    pub table: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementDetail {
    pub id: String,
    pub number: String,
    pub lead: String,
    /// Its amounts, what becomes of it, and whether the ledger agrees: HTML, see `panels`.
    pub story: String,
    pub lines: String,
    pub line_count: i64,
    pub page: i64,
    pub pages: i64,
}

/// The newest month first, 50 a page; empty texts do not filter. The draft is of the month asked for, or of the last one that is over.
#[server]
pub async fn list_statements(month: String, partner: String, page: String) -> Result<StatementList, AppError> {
    use super::request::{pages, read, read_page};

    let (engine, who) = super::backend().await?;
    let month = read("month", &month)?;
    let filter = engine::statement::Filter { month, partner_id: read("partner", &partner)?, page: read_page(&page)? };
    let found = engine::statement::list(&engine, &who, &filter).await?;
    let draft_month = month.unwrap_or_else(|| last_month_over(engine.now()));
    let drafts = engine::statement::preview(&engine, &who, draft_month).await?;
    let draft = MonthDraft {
        month: draft_month.to_string(),
        is_over: draft_month.range().1 <= engine.now(),
        count: drafts.iter().filter(|draft| draft.waits_for.is_none()).count(),
        table: crate::panels::statement_drafts(drafts),
    };
    Ok(StatementList {
        totals: crate::panels::statement_totals(found.totals),
        table: crate::panels::statement_table(found.statements),
        count: found.count,
        page: filter.page,
        pages: pages(found.count, engine::statement::PAGE_LENGTH),
        draft,
    })
}

/// Issues the statements of a month for all partners and currencies with something to state; tells how many there are.
#[server]
pub async fn issue_statements(month: String) -> Result<usize, AppError> {
    let (engine, who) = super::backend().await?;
    let month = month.parse().map_err(|error| super::request::invalid("month", error))?;
    let done = engine::statement::issue_month(&engine, &who, month).await?;
    super::request::lead_back("/statements", &format!("month={month}"), "statements-issued");
    Ok(done.issued.len())
}

/// One statement with a page of its lines.
#[server]
pub async fn find_statement(id: String, page: String) -> Result<StatementDetail, AppError> {
    let (engine, who) = super::backend().await?;
    let id = id.parse().map_err(|_| engine::Error::not_found(format!("statement `{id}`")))?;
    let page = super::request::read_page(&page)?;
    let head = engine::statement::find(&engine, &who, id).await?;
    let lines = engine::statement::lines(&engine, &who, id, page).await?;
    let findings = engine::statement::check(&engine, Some(id)).await?;
    Ok(StatementDetail {
        id: id.to_string(),
        number: head.number.clone(),
        lead: format!("{}, {} to {} (UTC)", head.partner_name, head.month.first_day(), head.month.last_day()),
        lines: crate::panels::statement_lines(lines.lines, head.currency),
        line_count: lines.count,
        page,
        pages: super::request::pages(lines.count, engine::statement::PAGE_LENGTH),
        story: crate::panels::statement(head, findings),
    })
}

#[cfg(feature = "ssr")]
fn last_month_over(now: chrono::DateTime<chrono::Utc>) -> domain::statement::Month {
    use domain::statement::Month;
    Month::of(Month::of(now).range().0 - chrono::TimeDelta::days(1))
}
