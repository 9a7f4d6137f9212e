//! Issuing: a month is closed for a partner and a currency, once.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Currency, PartnerId, StatementId,
    auth::Principal,
    live::LiveEvent,
    statement::{Month, Outcome, Settlement, Unissuable, number, settle},
};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::read::month_of;
use crate::{
    Engine, Error, Result,
    access::{require_operate, require_read},
    audit, commission,
    conversion::currency,
    partner,
    work::Work,
};

/// A statement that was just issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    pub statement_id: StatementId,
    pub number: String,
    pub currency: Currency,
    pub line_count: i64,
    pub total_minor: i64,
    pub outcome: Outcome,
}

/// What became of a month for all partners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthIssued {
    pub issued: Vec<Issued>,
    /// Why others were not, such as that somebody else was faster.
    pub refused: Vec<String>,
}

/// What a statement would say if it were issued now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drafted {
    pub partner_id: PartnerId,
    pub currency: Currency,
    pub line_count: i64,
    pub opening_minor: i64,
    pub lines_minor: i64,
    pub minimum_payout_minor: i64,
    pub settlement: Settlement,
    /// An earlier month that has to be issued before.
    pub waits_for: Option<Month>,
}

/// Issues a partner's statement of a month in one currency; its commissions go from approved to invoiced. What is due for approval
/// is approved before.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Conflict`] if the month is not over, was issued already, is before the last one issued or after one
/// that should come first, or if there is nothing to state.
pub async fn issue(engine: &Engine, who: &Principal, partner_id: &PartnerId, month: Month, currency: Currency) -> Result<Issued> {
    require_operate(who, "issue statements")?;
    require_over(engine, month)?;
    commission::approve_due(engine).await?;
    issue_one(engine, who, partner_id, month, currency).await
}

/// [`issue`] for every partner and currency with something to state, each in a transaction of its own.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Conflict`] if the month is not over, or no statement could be issued.
pub async fn issue_month(engine: &Engine, who: &Principal, month: Month) -> Result<MonthIssued> {
    require_operate(who, "issue statements")?;
    require_over(engine, month)?;
    commission::approve_due(engine).await?;
    let mut done = MonthIssued::default();
    for (partner_id, currency) in candidates(&mut *engine.db.acquire().await?, month).await? {
        match issue_one(engine, who, &partner_id, month, currency).await {
            Ok(issued) => done.issued.push(issued),
            Err(Error::Conflict(reason)) => done.refused.push(reason),
            Err(error) => return Err(error),
        }
    }
    match (done.issued.is_empty(), done.refused.first()) {
        (true, Some(reason)) => Err(Error::Conflict(reason.clone())),
        (true, None) => Err(Error::Conflict(format!("no partner has anything to state for {month}"))),
        (false, _) => Ok(done),
    }
}

/// What [`issue_month`] would issue, by partner and currency. Commissions whose approval is due count only once they are approved.
///
/// # Errors
/// Refuses who may not read.
pub async fn preview(engine: &Engine, who: &Principal, month: Month) -> Result<Vec<Drafted>> {
    require_read(who, "see statements")?;
    let mut connection = engine.db.acquire().await?;
    let mut drafts = Vec::new();
    for (partner_id, currency) in candidates(&mut connection, month).await? {
        let lines = unstated(&mut connection, &partner_id, month, currency).await?;
        drafts.push(draft(&mut connection, &partner_id, month, currency, &lines).await?);
    }
    Ok(drafts)
}

fn require_over(engine: &Engine, month: Month) -> Result<()> {
    let at = engine.now();
    if at < month.range().1 { Err(Error::Conflict(Unissuable::MonthNotOver { month, at }.to_string())) } else { Ok(()) }
}

async fn issue_one(engine: &Engine, who: &Principal, partner_id: &PartnerId, month: Month, currency: Currency) -> Result<Issued> {
    let mut work = Work::begin(engine).await?;
    // A closed month must be complete: nobody rates or approves meanwhile, and who issues it a second time waits and sees the first.
    sqlx::query!("lock table commissions in share row exclusive mode").execute(work.connection()).await?;
    let number = number(partner_id, month, currency);
    require_next(work.connection(), partner_id, month, currency).await?;
    let lines = unstated(work.connection(), partner_id, month, currency).await?;
    let draft = draft(work.connection(), partner_id, month, currency, &lines).await?;
    if let Some(earlier) = draft.waits_for {
        return Err(Error::Conflict(format!("statement `{number}` has to wait: {earlier} has bookings and was not issued yet")));
    }
    if draft.line_count == 0 && draft.opening_minor == 0 {
        return Err(Error::Conflict(format!("statement `{number}` would be empty: nothing was booked and nothing was carried forward")));
    }
    let statement_id: StatementId = engine.new_id();
    save(&mut work, statement_id, &number, month, &draft, who).await?;
    add_lines(&mut work, statement_id, lines).await?;
    let detail = json!({
        "partner_id": partner_id, "month": month, "currency": currency, "line_count": draft.line_count,
        "opening_minor": draft.opening_minor, "total_minor": draft.settlement.total_minor, "outcome": draft.settlement.outcome.to_string(),
    });
    audit::record(engine, work.connection(), who, "statement.issued", &format!("statement {number}"), detail).await?;
    work.announce(LiveEvent::Books { partner_id: partner_id.clone() });
    work.commit().await?;
    let Settlement { total_minor, outcome } = draft.settlement;
    Ok(Issued { statement_id, number, currency, line_count: draft.line_count, total_minor, outcome })
}

/// Statements are issued once and in the order of their months.
async fn require_next(connection: &mut PgConnection, partner_id: &PartnerId, month: Month, currency: Currency) -> Result<()> {
    let last = sqlx::query!(
        "select number, month, issued_at from statements
         where partner_id = $1 and currency = $2 and month >= $3
         order by month
         limit 1",
        partner_id.as_str(),
        currency.code(),
        month.first_day(),
    )
    .fetch_optional(connection)
    .await?;
    match last {
        None => Ok(()),
        Some(last) if last.month == month.first_day() => {
            Err(Error::Conflict(format!("statement `{}` was issued already, at {}", last.number, last.issued_at.to_rfc3339())))
        }
        Some(last) => Err(Error::Conflict(format!(
            "{month} is closed for {partner_id} in {currency}: the later statement `{}` was issued; what came since is on the next one",
            last.number
        ))),
    }
}

/// The partners and currencies with bookings that stand on no statement, or with something carried forward, and no statement of
/// this month or a later one.
async fn candidates(connection: &mut PgConnection, month: Month) -> Result<Vec<(PartnerId, Currency)>> {
    let rows = sqlx::query!(
        r#"with unstated as (
               select distinct t.partner_id, t.currency
               from ledger_transactions t
               join commissions c using (commission_id)
               left join statement_lines l using (ledger_transaction_id)
               where t.component in ('commission', 'bonus') and t.booked_at < $1 and c.approved_at < $1 and l.ledger_transaction_id is null
           ), last as (
               select distinct on (partner_id, currency) partner_id, currency, outcome, total_minor
               from statements
               where month < $2
               order by partner_id, currency, month desc
           )
           select partner_id as "partner_id!: PartnerId", currency as "currency!"
           from (
               select partner_id, currency from unstated
               union
               select partner_id, currency from last where outcome = 'carried_forward' and total_minor <> 0
           ) candidate
           where not exists (
               select from statements s
               where s.partner_id = candidate.partner_id and s.currency = candidate.currency and s.month >= $2
           )
           order by partner_id, currency"#,
        month.range().1,
        month.first_day(),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((row.partner_id, currency(&row.currency)?))).collect()
}

/// A booking that stands on no statement yet.
struct Unstated {
    ledger_transaction_id: Uuid,
    commission_id: Uuid,
    conversion_id: Uuid,
    amount_minor: i64,
    /// When it was booked, or its commission approved if that came later.
    ready_at: DateTime<Utc>,
}

/// What a statement of this month takes. It is read before anything is written: a statement that reads the lines which it is writing
/// is planned for an empty table and takes minutes.
async fn unstated(connection: &mut PgConnection, partner_id: &PartnerId, month: Month, currency: Currency) -> Result<Vec<Unstated>> {
    let lines = sqlx::query_as!(
        Unstated,
        r#"select t.ledger_transaction_id, c.commission_id, c.conversion_id, e.amount_minor, greatest(t.booked_at, c.approved_at) as "ready_at!"
           from ledger_transactions t
           join ledger_entries e on e.ledger_transaction_id = t.ledger_transaction_id and e.account = 'partner_receivable'
           join commissions c using (commission_id)
           where t.partner_id = $1 and t.currency = $2 and t.component in ('commission', 'bonus') and t.booked_at < $3 and c.approved_at < $3
                 and not exists (select from statement_lines l where l.ledger_transaction_id = t.ledger_transaction_id)
           order by t.ledger_transaction_id"#,
        partner_id.as_str(),
        currency.code(),
        month.range().1,
    )
    .fetch_all(connection)
    .await?;
    Ok(lines)
}

async fn draft(
    connection: &mut PgConnection,
    partner_id: &PartnerId,
    month: Month,
    currency: Currency,
    lines: &[Unstated],
) -> Result<Drafted> {
    let previous = sqlx::query!(
        "select month, outcome, total_minor from statements
         where partner_id = $1 and currency = $2 and month < $3
         order by month desc
         limit 1",
        partner_id.as_str(),
        currency.code(),
        month.first_day(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let opening_minor =
        previous.as_ref().filter(|previous| previous.outcome == "carried_forward").map_or(0, |previous| previous.total_minor);
    let minimum_payout_minor = minimum_payout(connection, partner_id, month, currency).await?;
    let sum: i128 = lines.iter().map(|line| i128::from(line.amount_minor)).sum();
    let too_large = || Error::internal(Unissuable::TooLarge { number: number(partner_id, month, currency) });
    let lines_minor = i64::try_from(sum).map_err(|_| too_large())?;
    // What was ready before the last statement's end and missed it makes no earlier month wait: it is on this one.
    let closed = previous.map(|previous| month_of(previous.month));
    let open = lines.iter().map(|line| Month::of(line.ready_at)).filter(|ready| closed.is_none_or(|closed| *ready > closed));
    Ok(Drafted {
        partner_id: partner_id.clone(),
        currency,
        line_count: i64::try_from(lines.len()).unwrap_or(i64::MAX),
        opening_minor,
        lines_minor,
        minimum_payout_minor,
        settlement: settle(opening_minor, lines_minor, minimum_payout_minor).ok_or_else(too_large)?,
        waits_for: open.min().filter(|first| *first < month),
    })
}

/// By the terms at the month's end. Terms in another currency say nothing about this one: amounts of two are never compared.
async fn minimum_payout(connection: &mut PgConnection, partner_id: &PartnerId, month: Month, currency: Currency) -> Result<i64> {
    match partner::terms_at(connection, partner_id, month.range().1 - TimeDelta::microseconds(1)).await {
        Ok(terms) if terms.values.payout_currency == currency => Ok(terms.values.minimum_payout_minor),
        Ok(_) | Err(Error::NotFound { .. }) => Ok(0),
        Err(error) => Err(error),
    }
}

async fn save(work: &mut Work<'_>, statement_id: StatementId, number: &str, month: Month, draft: &Drafted, who: &Principal) -> Result<()> {
    let outcome = match draft.settlement.outcome {
        Outcome::Due => "due",
        Outcome::CarriedForward { .. } => "carried_forward",
    };
    let now = work.now();
    sqlx::query!(
        "insert into statements (statement_id, number, partner_id, partner_name, month, currency, opening_minor, lines_minor, total_minor, line_count,
                                 minimum_payout_minor, outcome, issued_at, issued_by)
         values ($1, $2, $3, (select display_name from partners where partner_id = $3), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        statement_id.0,
        number,
        draft.partner_id.as_str(),
        month.first_day(),
        draft.currency.code(),
        draft.opening_minor,
        draft.lines_minor,
        draft.settlement.total_minor,
        draft.line_count,
        draft.minimum_payout_minor,
        outcome,
        now,
        who.actor(),
    )
    .execute(work.connection())
    .await?;
    Ok(())
}

/// Writes the lines with the names of the sites that have the credit now, since a late click may give it to others; and moves their
/// commissions on. Hardly any conversion has several touches, and to put the names of many together costs as much as all else.
async fn add_lines(work: &mut Work<'_>, statement_id: StatementId, lines: Vec<Unstated>) -> Result<()> {
    let count = lines.len() as u64;
    let (mut ids, mut amounts, mut commissions, mut conversions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        ids.push(line.ledger_transaction_id);
        amounts.push(line.amount_minor);
        commissions.push(line.commission_id);
        conversions.push(line.conversion_id);
    }
    let added = sqlx::query!(
        "insert into statement_lines (statement_id, ledger_transaction_id, amount_minor, site)
         select $1, line.ledger_transaction_id, line.amount_minor, coalesce(several.names, first_site.name, '')
         from unnest($2::uuid[], $3::bigint[], $4::uuid[]) as line (ledger_transaction_id, amount_minor, conversion_id)
         left join attributions first_touch on first_touch.conversion_id = line.conversion_id and first_touch.position = 1
         left join sites first_site on first_site.site_id = first_touch.site_id
         left join (
             select conversion_id, string_agg(distinct name, ', ' order by name) as names
             from attributions join sites using (site_id)
             where conversion_id in (select conversion_id from attributions where position > 1)
             group by conversion_id
         ) several on several.conversion_id = line.conversion_id",
        statement_id.0,
        &ids,
        &amounts,
        &conversions,
    )
    .execute(work.connection())
    .await?;
    if added.rows_affected() != count {
        return Err(Error::internal(format!("{} of {count} lines of statement `{statement_id}` were written", added.rows_affected())));
    }
    sqlx::query!(
        "update commissions set state = 'invoiced'
         from unnest($1::uuid[]) as stated (commission_id)
         where commissions.commission_id = stated.commission_id and state = 'approved'",
        &commissions,
    )
    .execute(work.connection())
    .await?;
    Ok(())
}
