//! The books: append, balances, the hash chain behind them, and the proof that all of it holds.

use domain::{
    CommissionId, ConversionId, Currency, LedgerTransactionId, PartnerId,
    ledger::{Account, Transaction},
};
use sqlx::PgConnection;

use crate::{Engine, Result, work::Work};

mod chain;
mod verify;
pub use chain::{seal_all, seal_loop};
pub use verify::{Finding, Report, verify};

/// Which part of a rating a transaction books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Component {
    Commission,
    Bonus,
}

/// What a transaction is for.
pub struct Posting<'a> {
    pub component: Component,
    pub partner_id: &'a PartnerId,
    pub conversion_id: ConversionId,
    pub commission_id: CommissionId,
    pub currency: Currency,
    pub receipt: serde_json::Value,
}

/// Appends a balanced transaction; its seal follows in the background.
pub async fn append(work: &mut Work<'_>, posting: &Posting<'_>, transaction: &Transaction) -> Result<LedgerTransactionId> {
    let id: LedgerTransactionId = work.engine.new_id();
    let now = work.now();
    sqlx::query!(
        "insert into ledger_transactions (ledger_transaction_id, currency, kind, component, partner_id, conversion_id, commission_id, booked_at, receipt)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id.0,
        posting.currency.code(),
        transaction.kind() as _,
        posting.component as _,
        posting.partner_id.as_str(),
        posting.conversion_id.0,
        posting.commission_id.0,
        now,
        posting.receipt,
    )
    .execute(work.connection())
    .await?;
    let lines: Vec<i16> = (1..).take(transaction.entries().len()).collect();
    let accounts: Vec<Account> = transaction.entries().iter().map(|entry| entry.account).collect();
    let amounts: Vec<i64> = transaction.entries().iter().map(|entry| entry.amount_minor).collect();
    let accounts: Vec<String> = accounts.into_iter().map(account_name).collect();
    sqlx::query!(
        "insert into ledger_entries (ledger_transaction_id, line, account, amount_minor)
         select $1, line, account, amount_minor from unnest($2::smallint[], $3::text[], $4::bigint[]) as entry (line, account, amount_minor)",
        id.0,
        &lines,
        &accounts,
        &amounts,
    )
    .execute(work.connection())
    .await?;
    sqlx::query!("insert into ledger_unsealed (ledger_transaction_id) values ($1)", id.0).execute(work.connection()).await?;
    work.mark_booked();
    Ok(id)
}

fn account_name(account: Account) -> String {
    match account {
        Account::PartnerReceivable => "partner_receivable",
        Account::HeldCommission => "held_commission",
        Account::EarnedCommission => "earned_commission",
        Account::Cash => "cash",
        Account::WriteOff => "write_off",
    }
    .to_owned()
}

/// What the partner owes for one part of a conversion's rating, by the ledger; `None` if nothing was ever booked for it.
pub async fn booked(connection: &mut PgConnection, conversion_id: ConversionId, component: Component) -> Result<Option<i64>> {
    let sum = sqlx::query_scalar!(
        "select sum(amount_minor)::bigint
         from ledger_transactions join ledger_entries using (ledger_transaction_id)
         where conversion_id = $1 and component = $2 and account = 'partner_receivable'",
        conversion_id.0,
        component as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(sum)
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
