//! Payouts: due statements to settle, open payouts, and the mark that the money came.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{PayoutId, StatementId};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// Due statements that one payment can settle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueGroup {
    pub partner: String,
    pub partner_name: String,
    pub currency: String,
    pub total: String,
    pub statements: Vec<DueRow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueRow {
    pub id: StatementId,
    pub number: String,
    pub amount: String,
    pub issued_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPayout {
    pub id: PayoutId,
    pub reference: String,
    pub partner_name: String,
    pub amount: String,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    /// Id and number.
    pub statements: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutList {
    pub due: Vec<DueGroup>,
    pub open: Vec<OpenPayout>,
    /// More than fit on the page are open.
    pub open_count: i64,
    /// Those that are paid: HTML, see `panels`.
    pub paid: String,
    pub paid_count: i64,
    pub page: i64,
    pub pages: i64,
    /// What the form of a payment starts from.
    pub today: NaiveDate,
}

/// What is due, what is open, and a page of what is paid.
#[server]
pub async fn list_payouts(page: String) -> Result<PayoutList, AppError> {
    use engine::payout::{Filter, PAGE_LENGTH};

    let (engine, who) = super::backend().await?;
    let page = super::request::read_page(&page)?;
    let due = engine::payout::due(&engine, &who).await?;
    let (open, open_count) = engine::payout::list(&engine, &who, Filter { paid: false, page: 1 }).await?;
    let (paid, paid_count) = engine::payout::list(&engine, &who, Filter { paid: true, page }).await?;
    Ok(PayoutList {
        due: due_groups(due),
        open: open.into_iter().map(OpenPayout::from).collect(),
        open_count,
        paid: crate::panels::paid_payouts(paid),
        paid_count,
        page,
        pages: super::request::pages(paid_count, PAGE_LENGTH),
        today: engine.now().date_naive(),
    })
}

/// Makes an open payout of the chosen statements.
#[server]
pub async fn create_payout(#[server(default)] statements: Vec<StatementId>) -> Result<PayoutId, AppError> {
    let (engine, who) = super::backend().await?;
    let payout = engine::payout::create(&engine, &who, &statements).await?;
    super::request::lead_plain_form_to("/payouts?done=payout-created");
    Ok(payout.payout_id)
}

/// Says that the money of a payout came, and when.
#[server]
pub async fn mark_payout_paid(id: PayoutId, bank_reference: String, paid_on: String) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let day = paid_on.parse().map_err(|_| super::request::invalid("paid_on", format!("`{paid_on}` is no day such as 2026-12-05")))?;
    engine::payout::mark_paid(&engine, &who, id, &bank_reference, day).await?;
    super::request::lead_plain_form_to("/payouts?done=payout-paid");
    Ok(())
}

#[cfg(feature = "ssr")]
mod server {
    use domain::money::Money;
    use engine::payout::{DueStatement, Payout};

    use super::{DueGroup, DueRow, OpenPayout};

    impl From<Payout> for OpenPayout {
        fn from(payout: Payout) -> Self {
            Self {
                id: payout.payout_id,
                reference: payout.reference,
                partner_name: payout.partner_name,
                amount: payout.amount.to_string(),
                created_at: payout.created_at,
                created_by: payout.created_by,
                statements: payout.statements.into_iter().map(|(id, number)| (id.to_string(), number)).collect(),
            }
        }
    }

    /// They come by partner and currency already.
    pub fn due_groups(due: Vec<DueStatement>) -> Vec<DueGroup> {
        let alike = |a: &DueStatement, b: &DueStatement| a.partner_id == b.partner_id && a.amount.currency == b.amount.currency;
        due.chunk_by(alike)
            .filter_map(|group| {
                let first = group.first()?;
                let sum = group.iter().fold(0_i64, |sum, statement| sum.saturating_add(statement.amount.amount_minor));
                Some(DueGroup {
                    partner: first.partner_id.to_string(),
                    partner_name: first.partner_name.clone(),
                    currency: first.amount.currency.to_string(),
                    total: Money::new(sum, first.amount.currency).to_string(),
                    statements: group.iter().map(due_row).collect(),
                })
            })
            .collect()
    }

    fn due_row(statement: &DueStatement) -> DueRow {
        DueRow {
            id: statement.statement_id,
            number: statement.number.clone(),
            amount: statement.amount.to_string(),
            issued_at: statement.issued_at,
        }
    }
}

#[cfg(feature = "ssr")]
use server::due_groups;
