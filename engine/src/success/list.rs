//! Successes as operators see them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    ConversionId, DeveloperId, Money, PartnerId, SuccessEventId, WebhookDeliveryId, auth::Principal, case_study::anonymous_name,
    conversion::Source,
};
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::State;
use crate::{Engine, Error, Result, access::require_read, case_study::developer_digest, conversion::currency};

const PAGE_LENGTH: i64 = 50;
/// The queue shows what is looked at next; the list has the rest.
const QUEUE_LENGTH: i64 = 20;
/// Conversions beside a success.
const AFFECTED_LENGTH: i64 = 20;

/// Which successes to list; what is absent does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub state: Option<State>,
    pub partner_id: Option<PartnerId>,
    pub metric_id: Option<String>,
    /// A part of the external id, a whole referral code, or a developer as `Developer 1a2b3c4d` or `1a2b3c4d`.
    pub search: Option<String>,
    /// The last success of the page before.
    pub before: Option<SuccessEventId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub success_event_id: SuccessEventId,
    pub partner_id: PartnerId,
    pub partner_name: String,
    pub external_event_id: String,
    pub developer_id: DeveloperId,
    /// `Developer 1a2b3c4d`.
    pub developer_name: String,
    pub metric_id: String,
    /// By the terms in force when it happened.
    pub metric_name: String,
    pub value_multiplier: Decimal,
    pub occurred_at: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    pub value: Option<Money>,
    pub state: State,
    pub source: Source,
    pub verified_at: Option<DateTime<Utc>>,
    pub verified_by: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// The newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub successes: Vec<Listed>,
    /// The cursor of the next page, if there is one.
    pub next: Option<SuccessEventId>,
}

/// What waits for verification, the oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    pub successes: Vec<Listed>,
    /// How many wait, with those that are not shown.
    pub waiting: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    pub success: Listed,
    pub evidence: Map<String, Value>,
    pub referral_code: Option<String>,
    pub webhook_delivery_id: Option<WebhookDeliveryId>,
    pub decided_at: Option<DateTime<Utc>>,
    pub decided_by: Option<String>,
    pub decision_reason: Option<String>,
    /// The newest first.
    pub conversions: Vec<Affected>,
}

/// A conversion of the same developer and partner, which the success may raise.
#[derive(Clone, Debug, PartialEq)]
pub struct Affected {
    pub conversion_id: ConversionId,
    pub external_event_id: String,
    pub occurred_at: DateTime<Utc>,
    pub value: Money,
    /// Commission and bonus at present; `None` if it is not rated.
    pub earned: Option<Money>,
    pub multiplier: Option<Decimal>,
    /// The sum of its adjustment entries.
    pub adjusted: Option<Money>,
}

/// The newest successes first, 50 a page.
///
/// # Errors
/// [`Error::Forbidden`] for anyone but operators.
pub async fn list(engine: &Engine, who: &Principal, filter: &Filter) -> Result<Page> {
    require_read(who, "see successes")?;
    let search = filter.search.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let developer = search.map(|text| text.to_lowercase().trim_start_matches("developer").trim().to_owned());
    let mut connection = engine.db.acquire().await?;
    let mut ids = sqlx::query_scalar!(
        r#"select success_event_id as "success_event_id: SuccessEventId"
           from success_events s join developers d using (developer_id)
           where ($1::text is null or s.state = $1)
                 and ($2::text is null or s.partner_id = $2)
                 and ($3::text is null or s.metric_id = $3)
                 and ($4::text is null or strpos(lower(s.external_event_id), lower($4)) > 0 or s.referral_code = $4 or d.developer_hash = $5)
                 and ($6::uuid is null or s.success_event_id < $6)
           order by success_event_id desc
           limit $7"#,
        filter.state as _,
        filter.partner_id.as_ref().map(PartnerId::as_str),
        filter.metric_id,
        search,
        developer,
        filter.before.map(|id| id.0),
        PAGE_LENGTH + 1,
    )
    .fetch_all(&mut *connection)
    .await?;
    let more = ids.len() > usize::try_from(PAGE_LENGTH).unwrap_or(usize::MAX);
    if more {
        ids.pop();
    }
    Ok(Page { next: ids.last().copied().filter(|_| more), successes: load(&mut connection, &ids).await? })
}

/// What waits for verification.
///
/// # Errors
/// [`Error::Forbidden`] for anyone but operators.
pub async fn queue(engine: &Engine, who: &Principal) -> Result<Queue> {
    require_read(who, "see successes")?;
    let mut connection = engine.db.acquire().await?;
    let ids = sqlx::query_scalar!(
        r#"select success_event_id as "success_event_id: SuccessEventId"
           from success_events where state = 'unverified' order by received_at, success_event_id limit $1"#,
        QUEUE_LENGTH,
    )
    .fetch_all(&mut *connection)
    .await?;
    let waiting = sqlx::query_scalar!(r#"select count(*) as "waiting!" from success_events where state = 'unverified'"#)
        .fetch_one(&mut *connection)
        .await?;
    Ok(Queue { successes: load(&mut connection, &ids).await?, waiting })
}

/// All metrics that there ever were in the terms of a partner, or of all of them: id and newest name, by id.
///
/// # Errors
/// [`Error::Forbidden`] for anyone but operators.
pub async fn metrics(engine: &Engine, who: &Principal, partner_id: Option<&PartnerId>) -> Result<Vec<(String, String)>> {
    require_read(who, "see successes")?;
    let rows = sqlx::query!(
        r#"select distinct on (metric ->> 'id') metric ->> 'id' as "id!", metric ->> 'name' as "name!"
           from partner_terms t, jsonb_array_elements(t.success_metrics) metric
           where $1::text is null or partner_id = $1
           order by metric ->> 'id', effective_from desc"#,
        partner_id.map(PartnerId::as_str),
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// One success with its evidence, what was decided about it, and the conversions that it may raise.
///
/// # Errors
/// [`Error::NotFound`] if there is none; [`Error::Forbidden`] for anyone but operators.
pub async fn find(engine: &Engine, who: &Principal, id: SuccessEventId) -> Result<Detail> {
    require_read(who, "see successes")?;
    let mut connection = engine.db.acquire().await?;
    let success = load(&mut connection, &[id]).await?.pop().ok_or_else(|| Error::not_found(format!("success `{id}`")))?;
    let row = sqlx::query!(
        r#"select evidence as "evidence: Json<Map<String, Value>>", referral_code, webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId",
                  decided_at, decided_by, decision_reason
           from success_events where success_event_id = $1"#,
        id.0,
    )
    .fetch_one(&mut *connection)
    .await?;
    let conversions = affected(&mut connection, &success).await?;
    Ok(Detail {
        success,
        evidence: row.evidence.0,
        referral_code: row.referral_code,
        webhook_delivery_id: row.webhook_delivery_id,
        decided_at: row.decided_at,
        decided_by: row.decided_by,
        decision_reason: row.decision_reason,
        conversions,
    })
}

async fn affected(connection: &mut PgConnection, success: &Listed) -> Result<Vec<Affected>> {
    let rows = sqlx::query!(
        r#"select c.conversion_id as "conversion_id: ConversionId", c.external_event_id, c.occurred_at, c.value_minor - c.reversed_minor as "value_minor!",
                  c.currency, m.final_minor + m.bonus_minor as "earned_minor?", m.multiplier as "multiplier?", m.currency as "earned_currency?",
                  (select sum(amount_minor)::bigint from ledger_transactions t join ledger_entries e using (ledger_transaction_id)
                   where t.conversion_id = c.conversion_id and t.kind = 'adjustment' and e.account = 'partner_receivable') as adjusted_minor
           from conversions c left join commissions m using (conversion_id)
           where c.partner_id = $1 and exists (select from attributions a where a.conversion_id = c.conversion_id and a.developer_id = $2)
           order by c.occurred_at desc, c.conversion_id
           limit $3"#,
        success.partner_id.as_str(),
        success.developer_id.0,
        AFFECTED_LENGTH,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let earned_currency = row.earned_currency.as_deref().map(currency).transpose()?;
            let money = |minor: Option<i64>| minor.zip(earned_currency).map(|(minor, currency)| Money::new(minor, currency));
            Ok(Affected {
                conversion_id: row.conversion_id,
                external_event_id: row.external_event_id,
                occurred_at: row.occurred_at,
                value: Money::new(row.value_minor, currency(&row.currency)?),
                earned: money(row.earned_minor),
                multiplier: row.multiplier,
                adjusted: money(row.adjusted_minor),
            })
        })
        .collect()
}

/// These successes, in the order of `ids`.
pub(super) async fn load(connection: &mut PgConnection, ids: &[SuccessEventId]) -> Result<Vec<Listed>> {
    let wanted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select s.success_event_id as "success_event_id: SuccessEventId", s.partner_id as "partner_id: PartnerId", p.display_name,
                  s.external_event_id, s.developer_id as "developer_id: DeveloperId", d.developer_hash, s.metric_id, s.occurred_at, s.received_at,
                  s.value_minor, s.currency, s.state as "state: State", s.source as "source: Source", s.verified_at, s.verified_by, s.expires_at,
                  m.name as "metric_name?", m.value_multiplier as "value_multiplier?"
           from success_events s
           join developers d using (developer_id)
           join partners p on p.partner_id = s.partner_id
           left join lateral (
               select metric ->> 'name' as name, (metric ->> 'value_multiplier')::numeric as value_multiplier
               from (select success_metrics from partner_terms t
                     where t.partner_id = s.partner_id and t.effective_from <= s.occurred_at
                     order by t.effective_from desc limit 1) terms,
                    jsonb_array_elements(terms.success_metrics) metric
               where metric ->> 'id' = s.metric_id
           ) m on true
           where s.success_event_id = any($1)"#,
        &wanted,
    )
    .fetch_all(connection)
    .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let value_currency = row.currency.as_deref().map(currency).transpose()?;
        let listed = Listed {
            success_event_id: row.success_event_id,
            partner_id: row.partner_id,
            partner_name: row.display_name,
            external_event_id: row.external_event_id,
            developer_id: row.developer_id,
            developer_name: anonymous_name(&developer_digest(&row.developer_hash)),
            metric_name: row.metric_name.unwrap_or_else(|| row.metric_id.clone()),
            metric_id: row.metric_id,
            value_multiplier: row.value_multiplier.unwrap_or(Decimal::ONE),
            occurred_at: row.occurred_at,
            received_at: row.received_at,
            value: row.value_minor.zip(value_currency).map(|(minor, currency)| Money::new(minor, currency)),
            state: row.state,
            source: row.source,
            verified_at: row.verified_at,
            verified_by: row.verified_by,
            expires_at: row.expires_at,
        };
        found.insert(listed.success_event_id, listed);
    }
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}
