//! Copying what cannot be derived, and the log that everything else is derived from.

use futures::TryStreamExt;
use sqlx::PgConnection;

use super::require_empty;
use crate::{Engine, Result};

/// Tables of facts, those before others that refer to them.
const FACTS: [&str; 12] = [
    "partners",
    "partner_terms",
    "partner_activity",
    "partner_secrets",
    "developers",
    "sites",
    "referral_codes",
    "ip_hash_keys",
    "clicks",
    "recommendations",
    "impressions",
    "exchange_rates",
];

/// What came of a delivery stays behind; it waits in the queue again since it came.
const LOG_COLUMNS: &str = "webhook_delivery_id, partner_id, event_path, message_id, headers, body, received_at, event_type, duplicates, \
     earlier_bodies, state, next_attempt_at";
const LOG_VALUES: &str = "webhook_delivery_id, partner_id, event_path, message_id, headers, body, received_at, event_type, duplicates, \
                          earlier_bodies, 'received'::text, received_at from webhook_deliveries where state not in ('received', 'retrying')";

/// Copies facts and log into an empty database; tells how many facts there are.
pub async fn copy(live: &mut PgConnection, target: &Engine) -> Result<u64> {
    let mut connection = target.db.acquire().await?;
    require_empty(&mut connection).await?;
    let mut rows = 0;
    for table in FACTS {
        rows += pipe(live, &mut connection, &format!("select * from {table}"), table).await?;
    }
    pipe(live, &mut connection, &format!("select {LOG_VALUES}"), &format!("webhook_deliveries ({LOG_COLUMNS})")).await?;
    // The planner has seen none of it yet.
    sqlx::query("analyze").execute(&mut *connection).await?;
    Ok(rows)
}

/// Streams the rows of a query of one database into a table of the other. Both have the same schema, by the same migrations.
async fn pipe(from: &mut PgConnection, to: &mut PgConnection, query: &str, into: &str) -> Result<u64> {
    let mut rows = from.copy_out_raw(&format!("copy ({query}) to stdout (format binary)")).await?;
    let mut copy = to.copy_in_raw(&format!("copy {into} from stdin (format binary)")).await?;
    while let Some(bytes) = rows.try_next().await? {
        copy.send(bytes).await?;
    }
    Ok(copy.finish().await?)
}

/// Deliveries that the live server has not worked off yet.
pub async fn count_waiting(live: &mut PgConnection) -> Result<usize> {
    let waiting = sqlx::query_scalar!(r#"select count(*) as "waiting!" from webhook_deliveries where state in ('received', 'retrying')"#)
        .fetch_one(live)
        .await?;
    Ok(usize::try_from(waiting).unwrap_or(0))
}
