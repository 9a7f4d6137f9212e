//! Statements as operators see them: lists, one with its lines, and whole for the exports.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    Currency, PartnerId, PayoutId, StatementId,
    auth::Principal,
    ledger::TransactionKind,
    money::Money,
    statement::{CarryReason, Line, Month, Outcome, Statement, settle},
};
use sqlx::PgConnection;

use crate::{Engine, Error, Result, access::require_read, conversion::currency};

/// Statements, and lines of one, on a page.
pub const PAGE_LENGTH: i64 = 50;

/// Which statements to list; the first page is 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub month: Option<Month>,
    pub partner_id: Option<PartnerId>,
    pub page: i64,
}

/// A statement without its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub statement_id: StatementId,
    pub number: String,
    pub partner_id: PartnerId,
    pub partner_name: String,
    pub month: Month,
    pub currency: Currency,
    pub opening_minor: i64,
    pub lines_minor: i64,
    pub total_minor: i64,
    pub line_count: i64,
    pub minimum_payout_minor: i64,
    pub outcome: Outcome,
    pub issued_at: DateTime<Utc>,
    pub issued_by: String,
    pub settled_by: Option<SettledBy>,
}

/// The payout that a statement is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledBy {
    pub payout_id: PayoutId,
    pub reference: String,
    pub paid_at: Option<DateTime<Utc>>,
}

/// What the statements of a filter come to in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    pub currency: Currency,
    pub statements: i64,
    /// The totals of those that are due, whether or not they are paid.
    pub due_minor: i64,
    pub paid_minor: i64,
    /// The totals of those that were carried forward.
    pub carried_minor: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub statements: Vec<Head>,
    /// On all pages.
    pub count: i64,
    pub totals: Vec<Total>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinePage {
    pub lines: Vec<Line>,
    /// On all pages.
    pub count: i64,
}

/// The month that starts on this day.
pub(super) fn month_of(first_day: NaiveDate) -> Month {
    Month::of(first_day.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// The newest month first, then by number.
///
/// # Errors
/// Refuses who may not read.
pub async fn list(engine: &Engine, who: &Principal, filter: &Filter) -> Result<Page> {
    require_read(who, "see statements")?;
    let (month, partner_id) = (filter.month.map(Month::first_day), filter.partner_id.as_ref().map(PartnerId::as_str));
    let rows = sqlx::query_as!(
        Row,
        r#"select s.statement_id as "statement_id: StatementId", s.number, s.partner_id as "partner_id: PartnerId", s.partner_name,
                  s.month, s.currency, s.opening_minor, s.lines_minor, s.total_minor, s.line_count, s.minimum_payout_minor, s.issued_at, s.issued_by,
                  s.payout_id as "payout_id: PayoutId", o.reference as "reference?", o.paid_at
           from statements s left join payouts o using (payout_id)
           where ($1::date is null or s.month = $1) and ($2::text is null or s.partner_id = $2)
           order by s.month desc, s.number
           limit $3 offset $4"#,
        month,
        partner_id,
        PAGE_LENGTH,
        (filter.page.max(1) - 1).saturating_mul(PAGE_LENGTH),
    )
    .fetch_all(&engine.db)
    .await?;
    let totals = sqlx::query!(
        r#"select s.currency, count(*) as "statements!",
                  coalesce(sum(s.total_minor) filter (where s.outcome = 'due'), 0)::bigint as "due_minor!",
                  coalesce(sum(s.total_minor) filter (where o.state = 'paid'), 0)::bigint as "paid_minor!",
                  coalesce(sum(s.total_minor) filter (where s.outcome = 'carried_forward'), 0)::bigint as "carried_minor!"
           from statements s left join payouts o using (payout_id)
           where ($1::date is null or s.month = $1) and ($2::text is null or s.partner_id = $2)
           group by s.currency
           order by s.currency"#,
        month,
        partner_id,
    )
    .fetch_all(&engine.db)
    .await?;
    let totals: Vec<Total> = totals
        .into_iter()
        .map(|row| {
            let currency = currency(&row.currency)?;
            let (due_minor, paid_minor, carried_minor) = (row.due_minor, row.paid_minor, row.carried_minor);
            Ok(Total { currency, statements: row.statements, due_minor, paid_minor, carried_minor })
        })
        .collect::<Result<_>>()?;
    let count = totals.iter().map(|total| total.statements).sum();
    Ok(Page { statements: rows.into_iter().map(Head::try_from).collect::<Result<_>>()?, count, totals })
}

/// # Errors
/// [`Error::NotFound`] if there is none.
pub async fn find(engine: &Engine, who: &Principal, id: StatementId) -> Result<Head> {
    require_read(who, "see statements")?;
    let row = sqlx::query_as!(
        Row,
        r#"select s.statement_id as "statement_id: StatementId", s.number, s.partner_id as "partner_id: PartnerId", s.partner_name,
                  s.month, s.currency, s.opening_minor, s.lines_minor, s.total_minor, s.line_count, s.minimum_payout_minor, s.issued_at, s.issued_by,
                  s.payout_id as "payout_id: PayoutId", o.reference as "reference?", o.paid_at
           from statements s left join payouts o using (payout_id)
           where s.statement_id = $1"#,
        id.0,
    )
    .fetch_optional(&engine.db)
    .await?
    .ok_or_else(|| Error::not_found(format!("statement `{id}`")))?;
    row.try_into()
}

/// A statement's lines in the order of their booking, 50 a page; the first page is 1.
///
/// # Errors
/// [`Error::NotFound`] if there is no such statement.
pub async fn lines(engine: &Engine, who: &Principal, id: StatementId, page: i64) -> Result<LinePage> {
    let head = find(engine, who, id).await?;
    let offset = (page.max(1) - 1).saturating_mul(PAGE_LENGTH);
    let lines = read_lines(&mut *engine.db.acquire().await?, id, PAGE_LENGTH, offset).await?;
    Ok(LinePage { lines, count: head.line_count })
}

/// A statement with all its lines, for [`domain::statement`]'s exports.
///
/// # Errors
/// [`Error::NotFound`] if there is none.
pub async fn export(engine: &Engine, who: &Principal, id: StatementId) -> Result<Statement> {
    let head = find(engine, who, id).await?;
    let lines = read_lines(&mut *engine.db.acquire().await?, id, i64::MAX, 0).await?;
    Ok(Statement {
        number: head.number,
        partner_id: head.partner_id,
        partner_name: head.partner_name,
        month: head.month,
        currency: head.currency,
        opening_minor: head.opening_minor,
        lines,
        total_minor: head.total_minor,
        minimum_payout_minor: head.minimum_payout_minor,
        outcome: head.outcome,
        issued_at: head.issued_at,
    })
}

/// Only from what the line keeps, and what the ledger and the conversion never change, so that a statement reads the same for ever.
async fn read_lines(connection: &mut PgConnection, id: StatementId, limit: i64, offset: i64) -> Result<Vec<Line>> {
    let rows = sqlx::query!(
        r#"select c.occurred_at, t.booked_at, t.kind as "kind: TransactionKind", c.external_event_id, c.conversion_type, c.value_minor,
                  c.currency as value_currency, l.amount_minor, l.site
           from statement_lines l
           join ledger_transactions t using (ledger_transaction_id)
           join conversions c using (conversion_id)
           where l.statement_id = $1
           order by t.booked_at, t.ledger_transaction_id
           limit $2 offset $3"#,
        id.0,
        limit,
        offset,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let value = Money::new(row.value_minor, currency(&row.value_currency)?);
            Ok(Line {
                occurred_at: row.occurred_at,
                booked_at: row.booked_at,
                kind: row.kind,
                conversion_external_id: row.external_event_id,
                site: row.site,
                description: describe(row.kind, &row.conversion_type, value),
                amount_minor: row.amount_minor,
            })
        })
        .collect()
}

/// These words stand in closed statements: they stay as they are, and a new kind of booking gets its own.
fn describe(kind: TransactionKind, conversion_type: &str, value: Money) -> String {
    let what = match kind {
        TransactionKind::Commission => "commission",
        TransactionKind::Bonus => "bonus for a first verified success",
        TransactionKind::Adjustment => "rated again",
        TransactionKind::Reversal => "taken back after a reversal",
        TransactionKind::Approval | TransactionKind::Payout | TransactionKind::WriteOff => "settlement",
    };
    format!("{what}: {conversion_type} of {value}")
}

struct Row {
    statement_id: StatementId,
    number: String,
    partner_id: PartnerId,
    partner_name: String,
    month: NaiveDate,
    currency: String,
    opening_minor: i64,
    lines_minor: i64,
    total_minor: i64,
    line_count: i64,
    minimum_payout_minor: i64,
    issued_at: DateTime<Utc>,
    issued_by: String,
    payout_id: Option<PayoutId>,
    reference: Option<String>,
    paid_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Head {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        // What is saved of the outcome is its word; why follows from the amounts.
        let outcome = settle(row.opening_minor, row.lines_minor, row.minimum_payout_minor)
            .map_or(Outcome::CarriedForward { why: CarryReason::NothingDue }, |settlement| settlement.outcome);
        let settled_by =
            row.payout_id.zip(row.reference).map(|(payout_id, reference)| SettledBy { payout_id, reference, paid_at: row.paid_at });
        Ok(Self {
            statement_id: row.statement_id,
            number: row.number,
            partner_id: row.partner_id,
            partner_name: row.partner_name,
            month: month_of(row.month),
            currency: currency(&row.currency)?,
            opening_minor: row.opening_minor,
            lines_minor: row.lines_minor,
            total_minor: row.total_minor,
            line_count: row.line_count,
            minimum_payout_minor: row.minimum_payout_minor,
            outcome,
            issued_at: row.issued_at,
            issued_by: row.issued_by,
            settled_by,
        })
    }
}
