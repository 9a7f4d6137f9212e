//! What the data say about a developer's way with a partner.

use chrono::{DateTime, Utc};
use domain::{
    DeveloperId, Money, PartnerId,
    case_study::{FactConversions, FactSuccess, Facts},
};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::{Error, Result, conversion::currency};

/// Stands for a developer in texts: what their referral codes show of them, which is a salted hash.
pub(crate) fn developer_digest(developer_hash: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    match developer_hash.get(..8).map(hex::decode) {
        Some(Ok(bytes)) => digest[..4].copy_from_slice(&bytes),
        // Not written by us; the name must still be anonymous.
        _ => digest = Sha256::digest(developer_hash.as_bytes()).into(),
    }
    digest
}

/// From the first click, or the first verified success if that came before, until now.
pub(super) async fn gather(
    connection: &mut PgConnection,
    partner_id: &PartnerId,
    developer_id: DeveloperId,
    now: DateTime<Utc>,
) -> Result<Facts> {
    let who = sqlx::query!(
        "select developer_hash, (select display_name from partners where partner_id = $2) as partner_name from developers where developer_id = $1",
        developer_id.0,
        partner_id.as_str(),
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| Error::not_found(format!("developer `{developer_id}`")))?;
    let partner_name = who.partner_name.ok_or_else(|| Error::not_found(format!("partner `{partner_id}`")))?;
    let first_click_at = first_click(connection, partner_id, developer_id).await?;
    let successes = successes(connection, partner_id, developer_id, now).await?;
    let first_success_at = successes.iter().map(|success| success.occurred_at).min();
    let from = first_click_at.into_iter().chain(first_success_at).min().unwrap_or(now);
    Ok(Facts {
        developer_digest: developer_digest(&who.developer_hash),
        partner_id: partner_id.clone(),
        partner_name,
        from: from.date_naive(),
        until: now.date_naive(),
        first_click_at,
        conversions: conversions(connection, partner_id, developer_id, now).await?,
        successes,
    })
}

/// Clicks are kept for a time only; what was attributed remembers its click.
async fn first_click(connection: &mut PgConnection, partner_id: &PartnerId, developer_id: DeveloperId) -> Result<Option<DateTime<Utc>>> {
    let first = sqlx::query_scalar!(
        r#"select least(
               (select min(clicked_at) from clicks
                where not bot and referral_code in (select referral_code from referral_codes where developer_id = $1 and partner_id = $2)),
               (select min(clicked_at) from attributions join conversions using (conversion_id) where developer_id = $1 and partner_id = $2)
           ) as first"#,
        developer_id.0,
        partner_id.as_str(),
    )
    .fetch_one(connection)
    .await?;
    Ok(first)
}

async fn successes(
    connection: &mut PgConnection,
    partner_id: &PartnerId,
    developer_id: DeveloperId,
    now: DateTime<Utc>,
) -> Result<Vec<FactSuccess>> {
    let rows = sqlx::query!(
        r#"select s.metric_id, s.occurred_at, s.value_minor, s.currency,
                  (select metric ->> 'name'
                   from (select success_metrics from partner_terms t
                         where t.partner_id = s.partner_id and t.effective_from <= s.occurred_at
                         order by t.effective_from desc limit 1) terms,
                        jsonb_array_elements(terms.success_metrics) metric
                   where metric ->> 'id' = s.metric_id
                   limit 1) as metric_name
           from success_events s
           where s.developer_id = $1 and s.partner_id = $2 and s.state = 'verified' and s.occurred_at <= $3"#,
        developer_id.0,
        partner_id.as_str(),
        now,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let value_currency = row.currency.as_deref().map(currency).transpose()?;
            Ok(FactSuccess {
                metric_name: row.metric_name.unwrap_or(row.metric_id),
                occurred_at: row.occurred_at,
                value: row.value_minor.zip(value_currency).map(|(minor, currency)| Money::new(minor, currency)),
            })
        })
        .collect()
}

async fn conversions(
    connection: &mut PgConnection,
    partner_id: &PartnerId,
    developer_id: DeveloperId,
    now: DateTime<Utc>,
) -> Result<Vec<FactConversions>> {
    let rows = sqlx::query!(
        r#"select currency, count(*) as "count!", sum(value_minor - reversed_minor)::bigint as "total_minor!"
           from conversions c
           where partner_id = $2 and occurred_at <= $3
                 and exists (select from attributions a where a.conversion_id = c.conversion_id and a.developer_id = $1)
           group by currency"#,
        developer_id.0,
        partner_id.as_str(),
        now,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let total = Money::new(row.total_minor, currency(&row.currency)?);
            Ok(FactConversions { count: row.count.unsigned_abs(), total })
        })
        .collect()
}
