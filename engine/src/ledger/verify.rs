//! The proof: every seal, every balance, and every commission derived again from its events.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    ConversionId,
    ledger::{GENESIS, seal},
};
use futures::TryStreamExt;
use sqlx::{PgConnection, Postgres, Transaction};

use super::chain::Sealable;
use crate::{
    Engine, Result,
    commission::{self, Lock},
    statement,
};

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about, such as `ledger transaction 0193…`.
    pub subject: String,
    pub what: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub transactions: u64,
    pub commissions: u64,
    /// Conversions with nothing booked that are yet to be rated: for want of an exchange rate, or since they are in the queue.
    pub waiting: u64,
    pub findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, subject: String, what: impl Into<String>) {
        self.findings.push(Finding { subject, what: what.into() });
    }
}

/// Checks the chain, the balances, each commission against its events, and each statement and payout against the ledger. Changes nothing but laying missing seals of
/// transactions that are properly waiting for them.
///
/// All of it is read in one snapshot: what is booked meanwhile is in every part of the check or in none, and raises no alarm.
pub async fn verify(engine: &Engine) -> Result<Report> {
    super::seal_all(engine).await?;
    let mut snapshot = snapshot(engine).await?;
    let mut report = Report::default();
    check_chain(&mut snapshot, &mut report).await?;
    check_balances(&mut snapshot, &mut report).await?;
    check_commissions(&mut snapshot, engine.now(), &mut report).await?;
    report.findings.extend(statement::check_in(&mut snapshot, None).await?);
    Ok(report)
}

/// The database as it is now, whatever is committed later. It can only be read.
pub(crate) async fn snapshot(engine: &Engine) -> Result<Transaction<'static, Postgres>> {
    Ok(engine.db.begin_with("begin isolation level repeatable read read only").await?)
}

async fn check_chain(snapshot: &mut PgConnection, report: &mut Report) -> Result<()> {
    let mut chain = sqlx::query!(
        r#"select s.currency as chain_currency, s.position, s.ledger_transaction_id as sealed_id, s.previous_hash, s.hash,
                  t.ledger_transaction_id as "id?", t.currency as "currency?", t.kind as "kind?", t.component as "component?", t.partner_id as "partner_id?",
                  t.conversion_id, t.commission_id, t.payout_id, t.booked_at as "booked_at?", t.receipt::text as receipt,
                  (select string_agg(concat_ws(':', line, account, amount_minor), ';' order by line)
                   from ledger_entries e where e.ledger_transaction_id = s.ledger_transaction_id) as entries
           from ledger_seals s left join ledger_transactions t on t.ledger_transaction_id = s.ledger_transaction_id
           order by s.currency, s.position"#,
    )
    .fetch(&mut *snapshot);
    let mut ends: BTreeMap<String, (i64, Vec<u8>)> = BTreeMap::new();
    while let Some(row) = chain.try_next().await? {
        report.transactions += 1;
        let subject = format!("ledger transaction {}", row.sealed_id);
        let (book, position) = (row.chain_currency, row.position);
        let (last_position, last_hash) = ends.get(&book).cloned().unwrap_or((0, GENESIS.to_vec()));
        if position != last_position + 1 {
            report.add(subject.clone(), format!("the {book} book lacks the seals {} to {} before it", last_position + 1, position - 1));
        }
        if row.previous_hash != last_hash {
            report.add(subject.clone(), format!("its seal does not continue the {book} book's chain at position {position}"));
        }
        let complete = (row.id, row.currency, row.kind, row.component, row.partner_id, row.booked_at, row.receipt);
        if let (Some(id), Some(currency), Some(kind), Some(component), Some(partner_id), Some(booked_at), Some(receipt)) = complete {
            let entries = row.entries.unwrap_or_default();
            let (conversion_id, commission_id, payout_id) = (row.conversion_id, row.commission_id, row.payout_id);
            let text = Sealable {
                id,
                currency,
                kind,
                component,
                partner_id,
                conversion_id,
                commission_id,
                payout_id,
                booked_at,
                receipt,
                entries,
            }
            .canonical();
            let previous = <[u8; 32]>::try_from(row.previous_hash.as_slice()).unwrap_or(GENESIS);
            if seal(&previous, &text).as_slice() != row.hash {
                report.add(subject, format!("was changed after it was sealed at position {position} of the {book} book"));
            }
        } else {
            report.add(subject, format!("was deleted after it was sealed at position {position} of the {book} book"));
        }
        ends.insert(book, (position, row.hash));
    }
    drop(chain);
    let unsealed = sqlx::query_scalar!(
        "select ledger_transaction_id from ledger_transactions t
         where not exists (select from ledger_seals s where s.ledger_transaction_id = t.ledger_transaction_id)
               and not exists (select from ledger_unsealed u where u.ledger_transaction_id = t.ledger_transaction_id)",
    )
    .fetch_all(snapshot)
    .await?;
    for id in unsealed {
        report.add(format!("ledger transaction {id}"), "has no seal and waits for none: it was not appended by this program");
    }
    Ok(())
}

async fn check_balances(snapshot: &mut PgConnection, report: &mut Report) -> Result<()> {
    let unbalanced = sqlx::query!(
        r#"select t.ledger_transaction_id, coalesce(sum(e.amount_minor), 0)::bigint as "total!", count(e.line) as "lines!"
           from ledger_transactions t left join ledger_entries e using (ledger_transaction_id)
           group by t.ledger_transaction_id
           having coalesce(sum(e.amount_minor), 0) <> 0 or count(e.line) < 2"#,
    )
    .fetch_all(snapshot)
    .await?;
    for row in unbalanced {
        report.add(format!("ledger transaction {}", row.ledger_transaction_id), format!("its {} entries sum to {}", row.lines, row.total));
    }
    Ok(())
}

/// Derives every attributed conversion's commission from its events and compares it with what is saved and booked.
async fn check_commissions(snapshot: &mut PgConnection, now: DateTime<Utc>, report: &mut Report) -> Result<()> {
    let rows = sqlx::query!(
        r#"select conversion_id as "conversion_id!: ConversionId", a.conversion_id is not null as "attributed!",
                  state = 'held' or exists (select from attribution_rechecks r where r.conversion_id = conversions.conversion_id) as "waits!",
                  c.commission_id as "commission_id?", c.final_minor as "final_minor?", c.bonus_minor as "bonus_minor?",
                  coalesce(b.commission_minor, 0) as "booked_commission!", coalesce(b.bonus_minor, 0) as "booked_bonus!"
           from conversions
           left join (select distinct conversion_id from attributions) a using (conversion_id)
           left join (select conversion_id, commission_id, final_minor, bonus_minor from commissions) c using (conversion_id)
           left join (
               select conversion_id,
                      coalesce(sum(amount_minor) filter (where component = 'commission'), 0)::bigint as commission_minor,
                      coalesce(sum(amount_minor) filter (where component = 'bonus'), 0)::bigint as bonus_minor
               from ledger_transactions join ledger_entries using (ledger_transaction_id)
               where account = 'partner_receivable'
               group by conversion_id
           ) b using (conversion_id)
           where a.conversion_id is not null or c.conversion_id is not null or b.conversion_id is not null
           order by conversion_id"#,
    )
    .fetch_all(&mut *snapshot)
    .await?;
    for row in rows {
        report.commissions += 1;
        let name = row.commission_id.map_or_else(|| format!("of conversion {}", row.conversion_id), |id| id.to_string());
        let subject = format!("commission {name}");
        let booked = (row.booked_commission, row.booked_bonus);
        if !row.attributed {
            report.add(subject, format!("its conversion has no attribution, yet {} + {} are booked", booked.0, booked.1));
            continue;
        }
        // A conversion whose exchange rate just came is held until the queue has got to it.
        let nothing_booked = booked == (0, 0) && row.commission_id.is_none();
        if nothing_booked && row.waits {
            report.waiting += 1;
            continue;
        }
        let inputs = commission::inputs(snapshot, row.conversion_id, now, Lock::None).await?;
        let derived = match inputs.rate() {
            Ok(rating) => (rating.final_minor, rating.bonus_minor),
            Err(error) => {
                report.add(subject, error.to_string());
                continue;
            }
        };
        if booked != derived {
            report.add(
                subject.clone(),
                format!("the ledger holds {} + {} bonus, its events give {} + {}", booked.0, booked.1, derived.0, derived.1),
            );
        }
        match (row.final_minor, row.bonus_minor) {
            (Some(commission), Some(bonus)) if (commission, bonus) == derived => {}
            (Some(commission), Some(bonus)) => {
                report.add(subject, format!("saved as {commission} + {bonus} bonus, its events give {} + {}", derived.0, derived.1));
            }
            _ => report.add(subject, "was never saved"),
        }
    }
    Ok(())
}
