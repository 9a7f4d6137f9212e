//! Statements and payouts against the ledger: what stands on paper is what was booked, to the last minor unit and only once.

use domain::{
    StatementId,
    statement::{Outcome, settle},
};

use sqlx::PgConnection;

use crate::{
    Engine, Result,
    ledger::{Finding, snapshot},
};

/// What does not hold of one statement, or of all statements and payouts.
pub async fn check(engine: &Engine, statement: Option<StatementId>) -> Result<Vec<Finding>> {
    check_in(&mut *snapshot(engine).await?, statement).await
}

/// [`check`] in a snapshot of the caller's, so that a payout which is made meanwhile is in all of it or in nothing.
pub(crate) async fn check_in(snapshot: &mut PgConnection, statement: Option<StatementId>) -> Result<Vec<Finding>> {
    let id = statement.map(|id| id.0);
    let mut findings = check_heads(snapshot, id).await?;
    findings.extend(check_lines(snapshot, id).await?);
    if statement.is_none() {
        findings.extend(check_payouts(snapshot).await?);
    }
    Ok(findings)
}

/// Sums, openings and outcomes.
async fn check_heads(snapshot: &mut PgConnection, id: Option<uuid::Uuid>) -> Result<Vec<Finding>> {
    let rows = sqlx::query!(
        r#"select s.number, s.opening_minor, s.lines_minor, s.total_minor, s.line_count, s.minimum_payout_minor, s.outcome,
                  coalesce(l.count, 0) as "count!", coalesce(l.sum, 0) as "sum!",
                  coalesce(case when previous.outcome = 'carried_forward' then previous.total_minor end, 0) as "carried_minor!"
           from statements s
           left join (select statement_id, count(*) as count, sum(amount_minor)::bigint as sum from statement_lines group by statement_id) l using (statement_id)
           left join lateral (
               select outcome, total_minor from statements before
               where before.partner_id = s.partner_id and before.currency = s.currency and before.month < s.month
               order by before.month desc
               limit 1
           ) previous on true
           where $1::uuid is null or s.statement_id = $1
           order by s.number"#,
        id,
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let mut findings = Vec::new();
    for row in rows {
        let mut add = |what: String| findings.push(Finding { subject: format!("statement {}", row.number), what });
        if (row.line_count, row.lines_minor) != (row.count, row.sum) {
            add(format!("says {} lines of {} in all, and has {} of {}", row.line_count, row.lines_minor, row.count, row.sum));
        }
        if row.opening_minor != row.carried_minor {
            add(format!("opens with {}, and the one before carried {} forward", row.opening_minor, row.carried_minor));
        }
        let settled = settle(row.opening_minor, row.lines_minor, row.minimum_payout_minor);
        if settled
            .is_none_or(|settled| settled.total_minor != row.total_minor || (settled.outcome == Outcome::Due) != (row.outcome == "due"))
        {
            add(format!("its total of {} and outcome `{}` do not follow from its amounts", row.total_minor, row.outcome));
        }
    }
    Ok(findings)
}

/// Each line is one receivable entry of its partner and currency, booked before the month's end.
async fn check_lines(snapshot: &mut PgConnection, id: Option<uuid::Uuid>) -> Result<Vec<Finding>> {
    let wrong = sqlx::query!(
        r#"select number as "number!", ledger_transaction_id as "ledger_transaction_id!", amount_minor as "amount_minor!", booked_minor as "booked_minor?", times as "times!",
                  belongs as "belongs!"
           from (
               select s.number, l.ledger_transaction_id, l.amount_minor, e.amount_minor as booked_minor,
                      count(*) over (partition by l.ledger_transaction_id) as times,
                      coalesce(
                          t.partner_id = s.partner_id and t.currency = s.currency
                              and t.booked_at < (s.month + interval '1 month') at time zone 'UTC',
                          false
                      ) as belongs
               from statement_lines l
               join statements s using (statement_id)
               left join ledger_transactions t on t.ledger_transaction_id = l.ledger_transaction_id and t.component in ('commission', 'bonus')
               left join ledger_entries e on e.ledger_transaction_id = t.ledger_transaction_id and e.account = 'partner_receivable'
               where $1::uuid is null or s.statement_id = $1
           ) line
           where booked_minor is distinct from amount_minor or not belongs or times > 1
           order by number, ledger_transaction_id"#,
        id,
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let mut findings = Vec::new();
    for row in wrong {
        let mut add = |what: String| {
            findings.push(Finding {
                subject: format!("statement {}", row.number),
                what: format!("line {}: {what}", row.ledger_transaction_id),
            });
        };
        if row.booked_minor != Some(row.amount_minor) {
            add(format!(
                "says {}, the ledger holds {}",
                row.amount_minor,
                row.booked_minor.map_or("nothing".to_owned(), |minor| minor.to_string())
            ));
        }
        if !row.belongs {
            add("is a booking of another partner, currency or later month".to_owned());
        }
        if row.times > 1 {
            add(format!("stands on statements {} times", row.times));
        }
    }
    Ok(findings)
}

/// A payout is the sum of its due statements, and booked once it is paid and not before.
async fn check_payouts(snapshot: &mut PgConnection) -> Result<Vec<Finding>> {
    let rows = sqlx::query!(
        r#"select p.reference, p.state, p.amount_minor, coalesce(s.sum, 0) as "sum!", coalesce(s.fits, false) as "fits!",
                  coalesce(b.count, 0) as "bookings!", coalesce(b.sum, 0) as "booked_minor!"
           from payouts p
           left join lateral (
               select sum(total_minor)::bigint as sum, bool_and(outcome = 'due' and partner_id = p.partner_id and currency = p.currency) as fits
               from statements where statements.payout_id = p.payout_id
           ) s on true
           left join lateral (
               select count(*) as count, sum(-amount_minor)::bigint as sum
               from ledger_transactions t join ledger_entries using (ledger_transaction_id)
               where t.payout_id = p.payout_id and t.partner_id = p.partner_id and t.currency = p.currency and t.component = 'payout'
                     and account = 'partner_receivable'
           ) b on true
           order by p.reference"#,
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let mut findings = Vec::new();
    for row in rows {
        let mut add = |what: String| findings.push(Finding { subject: format!("payout {}", row.reference), what });
        if row.sum != row.amount_minor || !row.fits {
            add(format!("is of {}, its due statements come to {}", row.amount_minor, row.sum));
        }
        let expected = if row.state == "paid" { (1, row.amount_minor) } else { (0, 0) };
        if (row.bookings, row.booked_minor) != expected {
            add(format!(
                "is {} with {}, and the ledger holds {} bookings of {} in all",
                row.state, row.amount_minor, row.bookings, row.booked_minor
            ));
        }
    }
    let stray = sqlx::query_scalar!(
        "select ledger_transaction_id from ledger_transactions t
         where component = 'payout' and not exists (select from payouts p where p.payout_id = t.payout_id)",
    )
    .fetch_all(&mut *snapshot)
    .await?;
    findings.extend(
        stray
            .into_iter()
            .map(|id| Finding { subject: format!("ledger transaction {id}"), what: "books a payout that is not there".to_owned() }),
    );
    Ok(findings)
}
