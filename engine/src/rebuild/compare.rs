//! What both databases hold, row by row under natural keys.
//!
//! Left out is what says nothing about the events: ids that are made anew, the moments of processing, how far a conversion without
//! a click has got on its way from *unattributed* to *expired*, which is a matter of when somebody last looked, and whether a
//! commission that was wholly taken back had been approved for a moment.

use std::{cmp::Ordering, fmt};

use futures::TryStreamExt;
use sqlx::PgConnection;

use super::{DIFFERENCES_MAX, Report};
use crate::{Engine, Result};

/// Name, and the query of keys and values, in the order of the keys.
const VIEWS: [(&str, &str); 11] = [
    (
        "delivery",
        r#"select concat_ws('/', partner_id, message_id) collate "C", state
           from webhook_deliveries where state not in ('received', 'retrying') order by 1"#,
    ),
    (
        "conversion",
        r#"select concat_ws('/', partner_id, external_event_id) collate "C",
                  concat_ws(' ', case when state in ('unattributed', 'expired') then 'without a click' else state end, conversion_type,
                            value_minor, currency, 'reversed', reversed_minor, 'by', source, occurred_at)
           from conversions order by 1"#,
    ),
    (
        "attribution",
        r#"select concat_ws('/', partner_id, external_event_id, position) collate "C",
                  concat_ws(' ', click_id, a.referral_code, 'share', share, 'part', commission_minor, model)
           from attributions a join conversions using (conversion_id) order by 1"#,
    ),
    (
        "commission",
        r#"select concat_ws('/', c.partner_id, external_event_id) collate "C",
                  concat_ws(' ', c.state, base_minor, 'times', multiplier, 'is', final_minor, 'bonus', bonus_minor, c.currency, exchange_rate,
                            'terms', version, 'held until', hold_until, hold_reason, case when c.state <> 'reversed' then 'approved by ' || approved_by end)
           from commissions c join conversions using (conversion_id) join partner_terms using (partner_terms_id) order by 1"#,
    ),
    (
        "success",
        r#"select concat_ws('/', partner_id, external_event_id) collate "C",
                  concat_ws(' ', user_ref, metric_id, state, 'at', occurred_at, 'until', expires_at, verified_by, decided_by)
           from success_events join developers using (developer_id) order by 1"#,
    ),
    (
        "customer's session",
        r#"select concat_ws('/', partner_id, user_identifier, session_id) collate "C", identified_at::text from customer_sessions order by 1"#,
    ),
    (
        "account",
        r#"select concat_ws('/', partner_id, currency, account) collate "C", sum(amount_minor)::text
           from ledger_transactions join ledger_entries using (ledger_transaction_id)
           group by 1 having sum(amount_minor) <> 0 order by 1"#,
    ),
    (
        "booked component",
        r#"select concat_ws('/', partner_id, currency, component) collate "C", sum(amount_minor)::text
           from ledger_transactions join ledger_entries using (ledger_transaction_id)
           where account = 'partner_receivable'
           group by 1 having sum(amount_minor) <> 0 order by 1"#,
    ),
    (
        "statement",
        r#"select number collate "C", concat_ws(' ', opening_minor, lines_minor, total_minor, outcome, reference)
           from statements left join payouts using (payout_id) order by 1"#,
    ),
    (
        "payout",
        r#"select reference collate "C", concat_ws(' ', partner_id, currency, amount_minor, state, paid_at, bank_reference) from payouts order by 1"#,
    ),
    (
        "count",
        r#"select key collate "C", value::text from (
               select concat_ws('/', partner_id, name, to_char(hour at time zone 'UTC', 'YYYY-MM-DD HH24:MI')) as key, sum(value) as value
               from hourly_counts
               cross join lateral (values ('conversions', conversions), ('unattributed', conversions_unattributed), ('successes', successes))
                   as counter (name, value)
               group by 1
               union all
               select concat_ws('/', partner_id, currency, name, to_char(hour at time zone 'UTC', 'YYYY-MM-DD HH24:MI')), sum(value)
               from hourly_money cross join lateral (values ('rated', rated), ('commission', commission_minor)) as counter (name, value)
               group by 1
           ) as counts
           where value <> 0 order by 1"#,
    ),
];

/// A row that is not the same in both databases, or is in one only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub what: &'static str,
    pub key: String,
    pub live: Option<String>,
    pub rebuilt: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{} {}: live {}, rebuilt {}", self.what, self.key, side(&self.live), side(&self.rebuilt))
    }
}

/// Compares all views and adds what differs to the report.
pub async fn compare(live: &mut PgConnection, target: &Engine, report: &mut Report) -> Result<()> {
    let mut rebuilt = target.db.acquire().await?;
    for (what, query) in VIEWS {
        compare_view(what, query, live, &mut rebuilt, report).await?;
    }
    Ok(())
}

type Row = (String, String);

async fn compare_view(
    what: &'static str,
    query: &'static str,
    live: &mut PgConnection,
    rebuilt: &mut PgConnection,
    report: &mut Report,
) -> Result<()> {
    let mut left = sqlx::query_as::<_, Row>(query).fetch(live);
    let mut right = sqlx::query_as::<_, Row>(query).fetch(rebuilt);
    let (mut a, mut b) = (left.try_next().await?, right.try_next().await?);
    loop {
        let order = match (&a, &b) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.0.cmp(&b.0),
        };
        report.compared += 1;
        let live = if order == Ordering::Greater { None } else { std::mem::replace(&mut a, left.try_next().await?) };
        let rebuilt = if order == Ordering::Less { None } else { std::mem::replace(&mut b, right.try_next().await?) };
        if live != rebuilt {
            report.difference_count += 1;
            if report.differences.len() < DIFFERENCES_MAX {
                let key = live.as_ref().or(rebuilt.as_ref()).map(|row| row.0.clone()).unwrap_or_default();
                report.differences.push(Difference { what, key, live: live.map(|row| row.1), rebuilt: rebuilt.map(|row| row.1) });
            }
        }
    }
}
