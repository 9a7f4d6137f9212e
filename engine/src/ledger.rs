//! The books: append, balances, the hash chain behind them, and the proof that all of it holds.

use domain::{CommissionId, ConversionId, Currency, LedgerTransactionId, PartnerId, PayoutId, ledger::Transaction};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Engine, Result, work::Work};

mod chain;
mod verify;
pub use chain::{seal_all, seal_loop};
pub(crate) use verify::snapshot;
pub use verify::{Finding, Report, verify};

/// Which part of a rating a transaction books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Component {
    Commission,
    Bonus,
    /// What moves from held to earned.
    Approval,
    Payout,
}

/// A balanced transaction, and what it is for.
#[derive(Clone, Debug)]
pub struct Posting {
    pub transaction: Transaction,
    pub component: Component,
    pub partner_id: PartnerId,
    pub currency: Currency,
    /// `None` for payouts.
    pub conversion_id: Option<ConversionId>,
    pub commission_id: Option<CommissionId>,
    pub payout_id: Option<PayoutId>,
    pub receipt: serde_json::Value,
}

/// Appends balanced transactions, however many, in one statement; their seals follow in the background.
pub async fn append(work: &mut Work<'_>, postings: &[Posting]) -> Result<()> {
    if postings.is_empty() {
        return Ok(());
    }
    let now = work.now();
    let (mut rows, mut entries) = (Rows::default(), Entries::default());
    for posting in postings {
        let id: LedgerTransactionId = work.engine.new_id();
        rows.push(id, posting);
        entries.push(id, &posting.transaction);
    }
    sqlx::query!(
        "with added as (
             insert into ledger_transactions (ledger_transaction_id, currency, kind, component, partner_id, conversion_id, commission_id,
                                              payout_id, receipt, booked_at)
             select *, $14 from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::uuid[], $9::jsonb[])
         ), unsealed as (
             insert into ledger_unsealed (ledger_transaction_id) select * from unnest($1::uuid[])
         )
         insert into ledger_entries (ledger_transaction_id, line, account, amount_minor)
         select * from unnest($10::uuid[], $11::smallint[], $12::text[], $13::bigint[])",
        &rows.id,
        &rows.currency,
        &rows.kind,
        &rows.component,
        &rows.partner_id,
        &rows.conversion_id as &[Option<Uuid>],
        &rows.commission_id as &[Option<Uuid>],
        &rows.payout_id as &[Option<Uuid>],
        &rows.receipt,
        &entries.id,
        &entries.line,
        &entries.account,
        &entries.amount_minor,
        now,
    )
    .execute(work.connection())
    .await?;
    work.mark_booked();
    Ok(())
}

#[derive(Default)]
struct Rows {
    id: Vec<Uuid>,
    currency: Vec<String>,
    kind: Vec<String>,
    component: Vec<String>,
    partner_id: Vec<String>,
    conversion_id: Vec<Option<Uuid>>,
    commission_id: Vec<Option<Uuid>>,
    payout_id: Vec<Option<Uuid>>,
    receipt: Vec<serde_json::Value>,
}

impl Rows {
    fn push(&mut self, id: LedgerTransactionId, posting: &Posting) {
        self.id.push(id.0);
        self.currency.push(posting.currency.code().to_owned());
        self.kind.push(posting.transaction.kind().to_string());
        self.component.push(posting.component.name().to_owned());
        self.partner_id.push(posting.partner_id.to_string());
        self.conversion_id.push(posting.conversion_id.map(|id| id.0));
        self.commission_id.push(posting.commission_id.map(|id| id.0));
        self.payout_id.push(posting.payout_id.map(|id| id.0));
        self.receipt.push(posting.receipt.clone());
    }
}

#[derive(Default)]
struct Entries {
    id: Vec<Uuid>,
    line: Vec<i16>,
    account: Vec<String>,
    amount_minor: Vec<i64>,
}

impl Entries {
    fn push(&mut self, id: LedgerTransactionId, transaction: &Transaction) {
        for (line, entry) in (1..).zip(transaction.entries()) {
            self.id.push(id.0);
            self.line.push(line);
            self.account.push(entry.account.name().to_owned());
            self.amount_minor.push(entry.amount_minor);
        }
    }
}

impl Component {
    fn name(self) -> &'static str {
        match self {
            Self::Commission => "commission",
            Self::Bonus => "bonus",
            Self::Approval => "approval",
            Self::Payout => "payout",
        }
    }
}

/// What the partner owes for the two parts of a conversion's rating, by the ledger; `None` for a part that was never booked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Booked {
    pub commission_minor: Option<i64>,
    pub bonus_minor: Option<i64>,
}

pub async fn booked(connection: &mut PgConnection, conversion_id: ConversionId) -> Result<Booked> {
    let booked = sqlx::query_as!(
        Booked,
        "select sum(amount_minor) filter (where component = 'commission')::bigint as commission_minor,
                sum(amount_minor) filter (where component = 'bonus')::bigint as bonus_minor
         from ledger_transactions join ledger_entries using (ledger_transaction_id)
         where conversion_id = $1 and account = 'partner_receivable'",
        conversion_id.0,
    )
    .fetch_one(connection)
    .await?;
    Ok(booked)
}

/// A line of the trial balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    pub currency: String,
    pub account: String,
    pub amount_minor: i64,
}

/// All accounts' balances, per currency; those of one currency sum to zero.
pub async fn balances(engine: &Engine) -> Result<Vec<Balance>> {
    let balances = sqlx::query_as!(
        Balance,
        r#"select currency, account, sum(amount_minor)::bigint as "amount_minor!"
           from ledger_transactions join ledger_entries using (ledger_transaction_id)
           group by currency, account
           order by currency, account"#,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(balances)
}
