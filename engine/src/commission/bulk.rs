//! What ratings depend on, read for many conversions at once.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    ConversionId, PartnerId, PartnerTermsId,
    auth::Principal,
    commission::{RateableConversion, RateableSuccess},
    conversion::ConversionState,
    exchange::ExchangeRate,
    partner::Terms,
};
use rust_decimal::Decimal;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Inputs, Lock, inputs, rated_under};
use crate::{Engine, Error, Result, conversion::currency, partner};

/// [`inputs`] of many conversions, in three statements for all of them. Those that do not exist are absent.
///
/// # Errors
/// [`Error::NotFound`] if no terms were in force for one of them.
pub async fn inputs_of(engine: &Engine, conversions: &[ConversionId]) -> Result<HashMap<ConversionId, Inputs>> {
    let ids: Vec<Uuid> = conversions.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select conversion_id as "conversion_id!: ConversionId", partner_id as "partner_id!: PartnerId", occurred_at as "occurred_at!", value_minor as "value_minor!",
                  reversed_minor as "reversed_minor!", c.currency as "currency!", c.state as "state!: ConversionState",
                  m.exchange_rate as "exchange_rate?: Json<ExchangeRate>", m.partner_terms_id as "partner_terms_id?: PartnerTermsId",
                  m.currency as "commission_currency?", coalesce(a.shares, '{}') as "shares!: Vec<Decimal>"
           from conversions c
           left join (select conversion_id, exchange_rate, partner_terms_id, currency from commissions) m using (conversion_id)
           left join (
               select conversion_id, array_agg(share order by position) as shares
               from attributions where conversion_id = any($1) group by conversion_id
           ) a using (conversion_id)
           where conversion_id = any($1)"#,
        &ids,
    )
    .fetch_all(&engine.db)
    .await?;
    let mut successes = successes_of(engine, &ids).await?;
    let mut terms: HashMap<PartnerId, Vec<Terms>> = HashMap::new();
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        if !terms.contains_key(&row.partner_id) {
            let versions = partner::list_terms(engine, &Principal::CommandLine, &row.partner_id).await?;
            terms.insert(row.partner_id.clone(), versions);
        }
        let conversion = RateableConversion {
            occurred_at: row.occurred_at,
            value_minor: row.value_minor,
            reversed_minor: row.reversed_minor,
            currency: currency(&row.currency)?,
        };
        let terms = in_force(&terms[&row.partner_id], row.occurred_at)
            .ok_or_else(|| Error::not_found(format!("terms of partner `{}` at {}", row.partner_id, row.occurred_at)))?;
        let inputs = if row.exchange_rate.is_none() && conversion.currency != terms.values.payout_currency {
            // Held: few, and they need a look at the rates.
            inputs(&mut *engine.db.acquire().await?, row.conversion_id, engine.now(), Lock::None).await?
        } else {
            Inputs {
                partner_id: row.partner_id,
                state: row.state,
                terms: terms.clone(),
                conversion,
                successes: successes.remove(&row.conversion_id).unwrap_or_default(),
                shares: row.shares,
                exchange: row.exchange_rate.map(|pinned| pinned.0),
                rated_under: rated_under(row.partner_terms_id, row.commission_currency.as_deref())?,
            }
        };
        found.insert(row.conversion_id, inputs);
    }
    Ok(found)
}

/// The newest of the versions that are in force at a time.
fn in_force(versions: &[Terms], at: DateTime<Utc>) -> Option<&Terms> {
    versions.iter().filter(|terms| terms.effective_from <= at).max_by_key(|terms| terms.effective_from)
}

async fn successes_of(engine: &Engine, ids: &[Uuid]) -> Result<HashMap<ConversionId, Vec<RateableSuccess>>> {
    let rows = sqlx::query!(
        r#"select conversion_id as "conversion_id!: ConversionId", metric_id as "metric_id!", s.occurred_at as "occurred_at!", verified_at, expires_at
           from (select distinct conversion_id, developer_id from attributions where conversion_id = any($1)) a
           join conversions c using (conversion_id)
           join earning_successes s on s.developer_id = a.developer_id and s.partner_id = c.partner_id
           order by success_event_id"#,
        ids,
    )
    .fetch_all(&engine.db)
    .await?;
    let mut successes: HashMap<ConversionId, Vec<RateableSuccess>> = HashMap::new();
    for row in rows {
        let success = RateableSuccess {
            metric_id: row.metric_id,
            occurred_at: row.occurred_at,
            verified_at: row.verified_at,
            expires_at: row.expires_at,
        };
        successes.entry(row.conversion_id).or_default().push(success);
    }
    Ok(successes)
}
