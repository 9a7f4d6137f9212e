//! Everything that happened to the live state, in the order of time.

use chrono::{DateTime, TimeDelta, Utc};
use domain::WebhookDeliveryId;
use serde_json::Value;
use sqlx::PgConnection;

use crate::Result;

/// A delivery that was worked off later than this after it came was retried, or replayed by an operator.
const LATE: TimeDelta = TimeDelta::seconds(10);

/// Decisions that change what is derived; other entries of the audit log are about facts, or about nothing that is rebuilt.
const DECISIONS: [&str; 9] = [
    crate::attribution::ACTION,
    "commission.approved",
    "commission.held",
    "commission.released",
    "payout.created",
    "payout.paid",
    "statement.issued",
    "success.rejected",
    "success.verified",
];

/// What happened at a time, or in a row.
#[derive(Clone, Debug)]
pub enum Moment {
    /// One after the other, with nothing between them.
    Deliveries(Vec<Delivery>),
    RatesImported(DateTime<Utc>),
    /// Hold periods were found to be over.
    Approval(DateTime<Utc>),
    Decision(Decision),
}

#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub webhook_delivery_id: WebhookDeliveryId,
    /// When it came; or, if it is there again, when it was worked off.
    pub at: DateTime<Utc>,
    /// It came before and was worked off late: if it failed when it came, it is tried once more now.
    pub again: bool,
}

/// What an operator decided.
#[derive(Clone, Debug)]
pub struct Decision {
    pub at: DateTime<Utc>,
    pub actor: String,
    pub action: String,
    pub subject: String,
    /// Names what it is about by natural keys.
    pub detail: Value,
}

/// Reads all that is to be replayed.
pub async fn load(live: &mut PgConnection) -> Result<Vec<Moment>> {
    let mut others: Vec<(DateTime<Utc>, Moment)> = Vec::new();
    let imports = sqlx::query_scalar!("select distinct imported_at from exchange_rates").fetch_all(&mut *live).await?;
    others.extend(imports.into_iter().map(|at| (at, Moment::RatesImported(at))));
    others.extend(load_approvals(live).await?.into_iter().map(|at| (at, Moment::Approval(at))));
    others.extend(load_decisions(live).await?.into_iter().map(|decision| (decision.at, Moment::Decision(decision))));
    others.sort_by_key(|(at, _)| *at);
    Ok(merge(load_deliveries(live).await?, others))
}

/// Puts the others among the deliveries, which come first where times are equal.
fn merge(deliveries: Vec<Delivery>, others: Vec<(DateTime<Utc>, Moment)>) -> Vec<Moment> {
    let mut moments = Vec::new();
    let mut deliveries = deliveries.into_iter().peekable();
    for (at, moment) in others {
        let before: Vec<_> = std::iter::from_fn(|| deliveries.next_if(|delivery| delivery.at <= at)).collect();
        if !before.is_empty() {
            moments.push(Moment::Deliveries(before));
        }
        moments.push(moment);
    }
    moments.push(Moment::Deliveries(deliveries.collect()));
    moments
}

async fn load_deliveries(live: &mut PgConnection) -> Result<Vec<Delivery>> {
    let rows = sqlx::query!(
        r#"select webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId", received_at, processed_at
           from webhook_deliveries
           where state not in ('received', 'retrying')
           order by received_at, webhook_delivery_id"#,
    )
    .fetch_all(live)
    .await?;
    let mut deliveries = Vec::with_capacity(rows.len());
    for row in rows {
        let webhook_delivery_id = row.webhook_delivery_id;
        deliveries.push(Delivery { webhook_delivery_id, at: row.received_at, again: false });
        let late = row.processed_at.filter(|at| *at - row.received_at > LATE);
        deliveries.extend(late.map(|at| Delivery { webhook_delivery_id, at, again: true }));
    }
    deliveries.sort_by_key(|delivery| delivery.at);
    Ok(deliveries)
}

/// The times at which the hold periods of some commissions were found to be over.
async fn load_approvals(live: &mut PgConnection) -> Result<Vec<DateTime<Utc>>> {
    let times = sqlx::query_scalar!(
        r#"select distinct approved_at as "approved_at!" from commissions where approved_at is not null and approved_by = 'hold period'"#
    )
    .fetch_all(live)
    .await?;
    Ok(times)
}

async fn load_decisions(live: &mut PgConnection) -> Result<Vec<Decision>> {
    let actions = DECISIONS.map(str::to_owned);
    let decisions = sqlx::query_as!(
        Decision,
        "select happened_at as at, actor, action, subject, detail from audit_entries where action = any($1) order by happened_at, audit_entry_id",
        &actions,
    )
    .fetch_all(live)
    .await?;
    Ok(decisions)
}
