//! Payouts: a partner pays due statements in one go. A payout is open until somebody says that the money came, which books it.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use domain::{
    Currency, PartnerId, PayoutId, StatementId, auth::Principal, ledger::Transaction, live::LiveEvent, money::Money, statement::PayoutRow,
};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Engine, Error, Result,
    access::{require_operate, require_read},
    audit,
    conversion::currency,
    ledger::{self, Component, Posting},
    work::Work,
};

/// Payouts on a page.
pub const PAGE_LENGTH: i64 = 50;

/// A bank's reference is at most this long; ISO 20022 allows 35 characters, some banks print more.
const BANK_REFERENCE_LENGTH_MAX: usize = 140;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    pub payout_id: PayoutId,
    /// `P-2026-0001`, counted per year.
    pub reference: String,
    pub partner_id: PartnerId,
    pub partner_name: String,
    pub amount: Money,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub paid: Option<Paid>,
    /// The statements that it settles, by month.
    pub statements: Vec<(StatementId, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    pub on: NaiveDate,
    pub by: String,
    pub bank_reference: String,
}

/// A statement that is due and in no payout yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueStatement {
    pub statement_id: StatementId,
    pub number: String,
    pub partner_id: PartnerId,
    pub partner_name: String,
    pub amount: Money,
    pub issued_at: DateTime<Utc>,
}

/// Which payouts to list; the first page is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    pub paid: bool,
    pub page: i64,
}

/// Statements that wait for a payout, by partner, currency and month.
///
/// # Errors
/// Refuses who may not read.
pub async fn due(engine: &Engine, who: &Principal) -> Result<Vec<DueStatement>> {
    require_read(who, "see payouts")?;
    let rows = sqlx::query!(
        r#"select statement_id as "statement_id: StatementId", number, partner_id as "partner_id: PartnerId", display_name, currency, total_minor, issued_at
           from statements join partners using (partner_id)
           where outcome = 'due' and payout_id is null
           order by partner_id, currency, month"#,
    )
    .fetch_all(&engine.db)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(DueStatement {
                statement_id: row.statement_id,
                number: row.number,
                partner_id: row.partner_id,
                partner_name: row.display_name,
                amount: Money::new(row.total_minor, currency(&row.currency)?),
                issued_at: row.issued_at,
            })
        })
        .collect()
}

/// Makes an open payout of statements of one partner in one currency.
///
/// # Errors
/// [`Error::Invalid`] if there is no statement, or they are not of one partner and currency; [`Error::NotFound`] if one is not there;
/// [`Error::Conflict`] if one was carried forward or is in a payout already.
pub async fn create(engine: &Engine, who: &Principal, statements: &[StatementId]) -> Result<Payout> {
    require_operate(who, "make payouts")?;
    let mut work = Work::begin(engine).await?;
    // One at a time, so that references count on without a gap.
    sqlx::query!("lock table payouts in share row exclusive mode").execute(work.connection()).await?;
    let chosen = choose(work.connection(), statements).await?;
    let payout_id: PayoutId = engine.new_id();
    let now = work.now();
    let reference = next_reference(work.connection(), now).await?;
    sqlx::query!(
        "insert into payouts (payout_id, reference, partner_id, currency, amount_minor, state, created_at, created_by)
         values ($1, $2, $3, $4, $5, 'open', $6, $7)",
        payout_id.0,
        reference,
        chosen.partner_id.as_str(),
        chosen.amount.currency.code(),
        chosen.amount.amount_minor,
        now,
        who.actor(),
    )
    .execute(work.connection())
    .await?;
    sqlx::query!("update statements set payout_id = $2 where statement_id = any($1)", &chosen.statement_ids, payout_id.0)
        .execute(work.connection())
        .await?;
    let detail = json!({
        "partner_id": chosen.partner_id, "currency": chosen.amount.currency, "amount_minor": chosen.amount.amount_minor, "statements": chosen.numbers,
    });
    audit::record(engine, work.connection(), who, "payout.created", &format!("payout {reference}"), detail).await?;
    work.announce(LiveEvent::Books { partner_id: chosen.partner_id });
    work.commit().await?;
    find(engine, who, payout_id).await
}

struct Chosen {
    partner_id: PartnerId,
    amount: Money,
    statement_ids: Vec<Uuid>,
    numbers: Vec<String>,
}

/// Locks the statements and checks that one payout can settle them.
async fn choose(connection: &mut PgConnection, statements: &[StatementId]) -> Result<Chosen> {
    let mut statement_ids: Vec<Uuid> = statements.iter().map(|id| id.0).collect();
    statement_ids.sort_unstable();
    statement_ids.dedup();
    let rows = sqlx::query!(
        r#"select s.statement_id, s.number, s.partner_id as "partner_id: PartnerId", s.currency, s.total_minor, s.outcome,
                  (select reference from payouts p where p.payout_id = s.payout_id) as reference
           from statements s
           where s.statement_id = any($1)
           order by s.month, s.number
           for update of s"#,
        &statement_ids,
    )
    .fetch_all(connection)
    .await?;
    if let Some(missing) = statement_ids.iter().find(|id| !rows.iter().any(|row| row.statement_id == **id)) {
        return Err(Error::not_found(format!("statement `{missing}`")));
    }
    let Some(first) = rows.first() else { return Err(Error::invalid("statements", "choose at least one statement")) };
    let (partner_id, currency) = (first.partner_id.clone(), currency(&first.currency)?);
    let mut total = 0_i64;
    for row in &rows {
        if row.partner_id != partner_id || row.currency != currency.code() {
            let reason = format!("`{}` and `{}` are not of one partner and currency: a payout is one payment", first.number, row.number);
            return Err(Error::invalid("statements", reason));
        }
        if row.outcome != "due" {
            return Err(Error::Conflict(format!("statement `{}` was carried forward: nothing is due for it", row.number)));
        }
        if let Some(reference) = &row.reference {
            return Err(Error::Conflict(format!("statement `{}` is in payout `{reference}` already", row.number)));
        }
        total = total.checked_add(row.total_minor).ok_or_else(|| Error::invalid("statements", "their sum is too large for one payment"))?;
    }
    let numbers = rows.into_iter().map(|row| row.number).collect();
    Ok(Chosen { partner_id, amount: Money::new(total, currency), statement_ids, numbers })
}

/// `P-2026-0001` and on; the table is locked.
async fn next_reference(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<String> {
    let year = format!("P-{}-", now.year());
    let last = sqlx::query_scalar!(
        r#"select coalesce(max(substr(reference, length($1) + 1)::bigint), 0) as "last!" from payouts where starts_with(reference, $1)"#,
        year,
    )
    .fetch_one(connection)
    .await?;
    Ok(format!("{year}{:04}", last + 1))
}

/// Books that a payout's money came, and marks what it settles as paid.
///
/// # Errors
/// [`Error::Invalid`] if the bank's reference is empty or too long, or the day lies in the future or before the first of its
/// statements was issued; [`Error::NotFound`]; [`Error::Conflict`] if it is paid already, since when: nothing is booked twice.
pub async fn mark_paid(engine: &Engine, who: &Principal, payout_id: PayoutId, bank_reference: &str, paid_on: NaiveDate) -> Result<()> {
    require_operate(who, "mark payouts as paid")?;
    let bank_reference = bank_reference.trim();
    if bank_reference.is_empty() || bank_reference.chars().count() > BANK_REFERENCE_LENGTH_MAX {
        return Err(Error::invalid(
            "bank_reference",
            format!("expected 1 to {BANK_REFERENCE_LENGTH_MAX} characters from the bank's statement"),
        ));
    }
    let mut work = Work::begin(engine).await?;
    let row = sqlx::query!(
        r#"select p.reference, p.partner_id as "partner_id: PartnerId", p.currency, p.amount_minor, p.paid_at,
                  (select min(issued_at) from statements s where s.payout_id = p.payout_id) as issued_at
           from payouts p
           where p.payout_id = $1
           for update of p"#,
        payout_id.0,
    )
    .fetch_optional(work.connection())
    .await?
    .ok_or_else(|| Error::not_found(format!("payout `{payout_id}`")))?;
    if let Some(paid_at) = row.paid_at {
        return Err(Error::Conflict(format!("payout `{}` is paid since {}", row.reference, paid_at.date_naive())));
    }
    let today = work.now().date_naive();
    let earliest = row.issued_at.map_or(today, |at| at.date_naive());
    if paid_on > today || paid_on < earliest {
        return Err(Error::invalid(
            "paid_on",
            format!("`{paid_on}` must be from {earliest}, when its statement was issued, to today, {today}"),
        ));
    }
    let currency = currency(&row.currency)?;
    let Some(transaction) = Transaction::payout(row.amount_minor) else {
        return Err(Error::internal(format!("payout `{}` has the amount {}", row.reference, row.amount_minor)));
    };
    let posting = Posting {
        transaction,
        component: Component::Payout,
        partner_id: row.partner_id.clone(),
        currency,
        conversion_id: None,
        commission_id: None,
        payout_id: Some(payout_id),
        receipt: json!({ "reference": row.reference, "bank_reference": bank_reference, "paid_on": paid_on }),
    };
    ledger::append(&mut work, &[posting]).await?;
    sqlx::query!(
        "update payouts set state = 'paid', paid_at = $2, paid_by = $3, bank_reference = $4 where payout_id = $1",
        payout_id.0,
        paid_on.and_time(chrono::NaiveTime::MIN).and_utc(),
        who.actor(),
        bank_reference,
    )
    .execute(work.connection())
    .await?;
    settle_commissions(work.connection(), payout_id).await?;
    let detail = json!({
        "partner_id": row.partner_id, "currency": currency, "amount_minor": row.amount_minor, "bank_reference": bank_reference, "paid_on": paid_on,
    });
    audit::record(engine, work.connection(), who, "payout.paid", &format!("payout {}", row.reference), detail).await?;
    work.announce(LiveEvent::Books { partner_id: row.partner_id });
    work.commit().await
}

/// What stands on the payout's statements is paid, and what stands on those before that were carried forward into them.
async fn settle_commissions(connection: &mut PgConnection, payout_id: PayoutId) -> Result<()> {
    sqlx::query!(
        "with settled as (
             select distinct carried.statement_id
             from statements due
             join statements carried
                 on carried.partner_id = due.partner_id and carried.currency = due.currency and carried.month <= due.month
                    and not exists (
                        select from statements between_them
                        where between_them.partner_id = due.partner_id and between_them.currency = due.currency
                              and between_them.month >= carried.month and between_them.month < due.month and between_them.outcome = 'due'
                    )
             where due.payout_id = $1
         )
         update commissions set state = 'paid'
         where state = 'invoiced' and commission_id in (
             select commission_id
             from settled join statement_lines using (statement_id) join ledger_transactions using (ledger_transaction_id)
         )",
        payout_id.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The newest first, 50 a page.
///
/// # Errors
/// Refuses who may not read.
pub async fn list(engine: &Engine, who: &Principal, filter: Filter) -> Result<(Vec<Payout>, i64)> {
    require_read(who, "see payouts")?;
    let mut connection = engine.db.acquire().await?;
    let state = if filter.paid { "paid" } else { "open" };
    let count =
        sqlx::query_scalar!(r#"select count(*) as "count!" from payouts where state = $1"#, state).fetch_one(&mut *connection).await?;
    let offset = (filter.page.max(1) - 1).saturating_mul(PAGE_LENGTH);
    Ok((read(&mut connection, None, Some(state), PAGE_LENGTH, offset).await?, count))
}

/// # Errors
/// [`Error::NotFound`] if there is none.
pub async fn find(engine: &Engine, who: &Principal, payout_id: PayoutId) -> Result<Payout> {
    require_read(who, "see payouts")?;
    let found = read(&mut *engine.db.acquire().await?, Some(payout_id), None, 1, 0).await?;
    found.into_iter().next().ok_or_else(|| Error::not_found(format!("payout `{payout_id}`")))
}

/// One payout, or all that are open, as rows of the bank's CSV.
///
/// # Errors
/// [`Error::NotFound`] if there is no such payout.
pub async fn rows(engine: &Engine, who: &Principal, payout_id: Option<PayoutId>) -> Result<Vec<PayoutRow>> {
    let payouts = match payout_id {
        Some(id) => vec![find(engine, who, id).await?],
        None => {
            require_read(who, "see payouts")?;
            read(&mut *engine.db.acquire().await?, None, Some("open"), i64::MAX, 0).await?
        }
    };
    let row = |payout: Payout| PayoutRow {
        reference: payout.reference,
        partner: payout.partner_name,
        amount: payout.amount,
        statements: payout.statements.into_iter().map(|(_, number)| number).collect(),
    };
    Ok(payouts.into_iter().map(row).collect())
}

async fn read(connection: &mut PgConnection, id: Option<PayoutId>, state: Option<&str>, limit: i64, offset: i64) -> Result<Vec<Payout>> {
    let rows = sqlx::query!(
        r#"select payout_id as "payout_id: PayoutId", reference, partner_id as "partner_id: PartnerId", display_name, currency, amount_minor,
                  p.created_at, created_by, paid_at, paid_by, bank_reference,
                  array(select statement_id from statements s where s.payout_id = p.payout_id order by month, number) as "statement_ids!: Vec<StatementId>",
                  array(select number from statements s where s.payout_id = p.payout_id order by month, number) as "numbers!: Vec<String>"
           from payouts p join partners using (partner_id)
           where ($1::uuid is null or payout_id = $1) and ($2::text is null or state = $2)
           order by p.created_at desc, reference desc
           limit $3 offset $4"#,
        id.map(|id| id.0),
        state,
        limit,
        offset,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let currency: Currency = currency(&row.currency)?;
            let paid = row.paid_at.map(|at| Paid {
                on: at.date_naive(),
                by: row.paid_by.unwrap_or_default(),
                bank_reference: row.bank_reference.unwrap_or_default(),
            });
            Ok(Payout {
                payout_id: row.payout_id,
                reference: row.reference,
                partner_id: row.partner_id,
                partner_name: row.display_name,
                amount: Money::new(row.amount_minor, currency),
                created_at: row.created_at,
                created_by: row.created_by,
                paid,
                statements: row.statement_ids.into_iter().zip(row.numbers).collect(),
            })
        })
        .collect()
}
