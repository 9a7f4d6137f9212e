//! Deliveries as operators see them.

use chrono::{DateTime, Utc};
use domain::{PartnerId, WebhookDeliveryId, auth::Principal, webhook::DeliveryState};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, QueryBuilder};

use crate::{Engine, Error, Result, access::require_read};

const PAGE_LENGTH: i64 = 50;

/// Which deliveries to list: of one state or partner, and older than a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    pub state: Option<DeliveryState>,
    pub partner_id: Option<PartnerId>,
    pub before: Option<WebhookDeliveryId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Delivery {
    pub webhook_delivery_id: WebhookDeliveryId,
    pub partner_id: PartnerId,
    pub event_path: String,
    pub event_type: Option<String>,
    pub message_id: String,
    pub received_at: DateTime<Utc>,
    pub processed_at: Option<DateTime<Utc>>,
    pub state: DeliveryState,
    pub attempts: i32,
    pub duplicates: i32,
    pub next_attempt_at: DateTime<Utc>,
    pub outcome: Option<String>,
    pub last_error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPage {
    pub deliveries: Vec<Delivery>,
    /// The cursor of the next page, if there is one.
    pub next: Option<WebhookDeliveryId>,
}

/// The newest deliveries first, 50 a page.
///
/// # Errors
/// Refuses who may not read.
pub async fn list(engine: &Engine, who: &Principal, filter: &Filter) -> Result<DeliveryPage> {
    require_read(who, "see webhook deliveries")?;
    let mut deliveries: Vec<Delivery> = page_query("", filter).build_query_as().fetch_all(&engine.db).await?;
    let more = deliveries.len() > usize::try_from(PAGE_LENGTH).unwrap_or(usize::MAX);
    if more {
        deliveries.pop();
    }
    Ok(DeliveryPage { next: deliveries.last().filter(|_| more).map(|last| last.webhook_delivery_id), deliveries })
}

/// A page and one delivery more. Each filter is a text of its own, since a plan that is made for all of them uses no index; the state is one
/// of our words and stands in it, since the index of the rare ones is known by them.
fn page_query(start: &'static str, filter: &Filter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::<Postgres>::new(start);
    query.push(
        "select webhook_delivery_id, partner_id, event_path, event_type, message_id, received_at, processed_at, state, attempts, duplicates,
                next_attempt_at, outcome, last_error
         from webhook_deliveries
         where true",
    );
    if let Some(state) = filter.state {
        query.push(" and state = '").push(state.as_str()).push("'");
    }
    if let Some(partner_id) = &filter.partner_id {
        query.push(" and partner_id = ").push_bind(partner_id.to_string());
    }
    if let Some(before) = filter.before {
        query.push(" and webhook_delivery_id < ").push_bind(before.0);
    }
    query.push(" order by webhook_delivery_id desc limit ").push_bind(PAGE_LENGTH + 1);
    query
}

/// One delivery with its raw body, as text where it is UTF-8.
///
/// # Errors
/// [`Error::NotFound`] if there is none; refuses who may not read.
pub async fn find(engine: &Engine, who: &Principal, id: WebhookDeliveryId) -> Result<(Delivery, String)> {
    require_read(who, "see webhook deliveries")?;
    let delivery = sqlx::query_as!(
        Delivery,
        r#"select webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId", partner_id as "partner_id: PartnerId", event_path, event_type, message_id,
                  received_at, processed_at, state as "state: DeliveryState", attempts, duplicates, next_attempt_at, outcome, last_error
           from webhook_deliveries where webhook_delivery_id = $1"#,
        id.0,
    )
    .fetch_optional(&engine.db)
    .await?
    .ok_or_else(|| Error::not_found(format!("webhook delivery `{id}`")))?;
    let body =
        sqlx::query_scalar!("select body from webhook_deliveries where webhook_delivery_id = $1", id.0).fetch_one(&engine.db).await?;
    Ok((delivery, String::from_utf8_lossy(&body).into_owned()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::path::Path;

    use sqlx::PgPool;

    use super::*;
    use crate::{partner, testing};

    /// 20,000 deliveries, of which 400 are Figma's, 400 were given up and 400 had no effect.
    async fn many(db: PgPool) -> Engine {
        let engine = testing::engine(db);
        partner::import_files(&engine, Path::new("../partners")).await.unwrap();
        sqlx::query(
            "insert into webhook_deliveries (webhook_delivery_id, partner_id, event_path, message_id, headers, body, received_at, state, next_attempt_at)
             select gen_random_uuid(), case n % 50 when 0 then 'figma' else 'supabase' end, 'events', 'msg_' || n, '{}', '{}', now() - n * 7919 % 20000 * interval '1 second',
                    case n % 50 when 1 then 'dead' when 2 then 'ignored' else 'processed' end, now()
             from generate_series(1, 20000) n",
        )
        .execute(&engine.db)
        .await
        .unwrap();
        sqlx::query("analyze webhook_deliveries").execute(&engine.db).await.unwrap();
        engine
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_filter_that_few_deliveries_fit_reads_only_those(db: PgPool) {
        let engine = many(db).await;
        let state = |state| Filter { state: Some(state), ..Filter::default() };
        let of_figma = Filter { partner_id: Some("figma".parse().unwrap()), ..Filter::default() };
        for (filter, index) in [
            (of_figma, "webhook_deliveries_partner"),
            (state(DeliveryState::Dead), "webhook_deliveries_other_ends"),
            (state(DeliveryState::Ignored), "webhook_deliveries_other_ends"),
        ] {
            let plan: Vec<(String,)> = page_query("explain ", &filter).build_query_as().fetch_all(&engine.db).await.unwrap();
            let plan = plan.into_iter().map(|(line,)| line).collect::<Vec<_>>().join("\n");
            assert!(plan.contains(index) && !plan.contains("Seq Scan") && !plan.contains("Filter:"), "{filter:?}:\n{plan}");
            assert_eq!(list(&engine, &Principal::CommandLine, &filter).await.unwrap().deliveries.len(), 50);
        }
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn pages_follow_each_other_under_every_filter(db: PgPool) {
        let engine = many(db).await;
        let mut filter =
            Filter { state: Some(DeliveryState::Processed), partner_id: Some("supabase".parse().unwrap()), ..Filter::default() };
        let first = list(&engine, &Principal::CommandLine, &filter).await.unwrap();
        filter.before = first.next;
        let second = list(&engine, &Principal::CommandLine, &filter).await.unwrap();
        assert_eq!((first.deliveries.len(), second.deliveries.len()), (50, 50));
        assert_eq!(first.next, first.deliveries.last().map(|last| last.webhook_delivery_id));
        let last_of_first = first.deliveries[49].webhook_delivery_id;
        assert!(second.deliveries.iter().all(|delivery| delivery.webhook_delivery_id < last_of_first));
        assert!(second.deliveries.iter().all(|delivery| delivery.state == DeliveryState::Processed));
    }
}
