//! What became of a simulation, as the database tells it.

use std::collections::HashMap;

use chrono::NaiveDate;
use domain::{ClickId, ConversionId, PartnerId, RecommendationId, commission::Receipt, conversion::ConversionState};
use rust_decimal::Decimal;
use sqlx::types::Json;
use uuid::Uuid;

use crate::{Engine, Result, commission};

/// Commissions that are derived again at a time.
const CHUNK_LENGTH: usize = 2_000;

/// What became of a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub partner_id: PartnerId,
    pub external_event_id: String,
    pub state: ConversionState,
    /// Oldest first.
    pub credits: Vec<Credit>,
    /// Of the commission.
    pub currency: Option<String>,
    /// By the ledger's entries.
    pub commission_minor: i64,
    pub bonus_minor: i64,
    /// Accounts' entries that do not sum to zero would show here.
    pub imbalance_minor: i64,
}

/// A click's part of a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    pub click_id: ClickId,
    pub share: Decimal,
    pub commission_minor: i64,
    /// Its referral code is one of the conversion's partner.
    pub own_partner: bool,
}

/// Every conversion whose external id begins with `prefix`.
pub async fn outcomes(engine: &Engine, prefix: &str) -> Result<Vec<Outcome>> {
    let rows = sqlx::query!(
        r#"with run as (
               select conversion_id, partner_id, external_event_id, state from conversions where starts_with(external_event_id, $1)
           ), credit as (
               select conversion_id, array_agg(click_id order by position) as clicks, array_agg(share order by position) as shares,
                      array_agg(commission_minor order by position) as parts,
                      array_agg(coalesce(code.partner_id = run.partner_id, false) order by position) as own
               from run join attributions using (conversion_id) left join referral_codes code using (referral_code)
               group by conversion_id
           ), booked as (
               select conversion_id, sum(amount_minor) filter (where component = 'commission' and account = 'partner_receivable') as commission,
                      sum(amount_minor) filter (where component = 'bonus' and account = 'partner_receivable') as bonus, sum(amount_minor) as imbalance
               from run join ledger_transactions using (conversion_id) join ledger_entries using (ledger_transaction_id)
               group by conversion_id
           )
           select run.partner_id as "partner_id!: PartnerId", external_event_id as "external_event_id!", run.state as "state!: ConversionState",
                  coalesce(clicks, '{}') as "clicks!: Vec<Uuid>", coalesce(shares, '{}') as "shares!: Vec<Decimal>",
                  coalesce(parts, '{}') as "parts!: Vec<i64>", coalesce(own, '{}') as "own!: Vec<bool>",
                  (select currency from commissions c where c.conversion_id = run.conversion_id) as currency,
                  coalesce(commission, 0)::bigint as "commission_minor!", coalesce(bonus, 0)::bigint as "bonus_minor!",
                  coalesce(imbalance, 0)::bigint as "imbalance_minor!"
           from run left join credit using (conversion_id) left join booked using (conversion_id)"#,
        prefix,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Outcome {
            partner_id: row.partner_id,
            external_event_id: row.external_event_id,
            state: row.state,
            credits: credits(row.clicks, row.shares, row.parts, row.own),
            currency: row.currency,
            commission_minor: row.commission_minor,
            bonus_minor: row.bonus_minor,
            imbalance_minor: row.imbalance_minor,
        })
        .collect())
}

fn credits(clicks: Vec<Uuid>, shares: Vec<Decimal>, parts: Vec<i64>, own: Vec<bool>) -> Vec<Credit> {
    let columns = clicks.into_iter().zip(shares).zip(parts).zip(own);
    columns
        .map(|(((click_id, share), commission_minor), own_partner)| Credit {
            click_id: ClickId(click_id),
            share,
            commission_minor,
            own_partner,
        })
        .collect()
}

/// How many conversions whose external id begins with `prefix` are in one of these states.
pub async fn state_count(engine: &Engine, prefix: &str, states: &[ConversionState]) -> Result<usize> {
    let states: Vec<String> = states.iter().filter_map(|state| Some(serde_json::to_value(state).ok()?.as_str()?.to_owned())).collect();
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from conversions where starts_with(external_event_id, $1) and state = any($2)"#,
        prefix,
        &states,
    )
    .fetch_one(&engine.db)
    .await?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Whether no conversion waits to be looked at again because something became known late.
pub async fn is_settled(engine: &Engine) -> Result<bool> {
    let settled =
        sqlx::query_scalar!(r#"select not exists (select from attribution_rechecks) as "settled!""#).fetch_one(&engine.db).await?;
    Ok(settled)
}

/// What an account holds for one partner in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    pub partner_id: PartnerId,
    pub currency: String,
    pub account: String,
    pub amount_minor: i64,
}

/// Balances by partner, of the transactions for conversions whose external id begins with `prefix`.
pub async fn balances(engine: &Engine, prefix: &str) -> Result<Vec<Balance>> {
    let balances = sqlx::query_as!(
        Balance,
        r#"select t.partner_id as "partner_id: PartnerId", t.currency, account, sum(amount_minor)::bigint as "amount_minor!"
           from conversions join ledger_transactions t using (conversion_id) join ledger_entries using (ledger_transaction_id)
           where starts_with(external_event_id, $1)
           group by t.partner_id, t.currency, account
           order by 1, 2, 3"#,
        prefix,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(balances)
}

/// Commissions that were derived again from their events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rederived {
    pub commissions: usize,
    /// The external ids of those that differ from what is saved, in an amount or in their receipt.
    pub differing: Vec<String>,
}

/// Derives each commission again, as `orchestrator explain` does, and compares amounts and receipt with what is saved.
pub async fn rederive(engine: &Engine, prefix: &str) -> Result<Rederived> {
    let saved = sqlx::query!(
        r#"select conversion_id as "conversion_id!: ConversionId", external_event_id as "external_event_id!", final_minor as "final_minor!", bonus_minor as "bonus_minor!",
                  receipt as "receipt!: Json<Receipt>"
           from conversions join commissions using (conversion_id)
           where starts_with(external_event_id, $1)
           order by conversion_id"#,
        prefix,
    )
    .fetch_all(&engine.db)
    .await?;
    let mut rederived = Rederived { commissions: saved.len(), differing: Vec::new() };
    for saved in saved.chunks(CHUNK_LENGTH) {
        let ids: Vec<ConversionId> = saved.iter().map(|row| row.conversion_id).collect();
        let mut inputs = commission::inputs_of(engine, &ids).await?;
        for row in saved {
            let rating = inputs.remove(&row.conversion_id).and_then(|inputs| inputs.rate().ok());
            let same = rating.is_some_and(|rating| {
                (rating.final_minor, rating.bonus_minor, &rating.receipt) == (row.final_minor, row.bonus_minor, &row.receipt.0)
            });
            if !same {
                rederived.differing.push(row.external_event_id.clone());
            }
        }
    }
    Ok(rederived)
}

/// All exchange rates: currency, day, units for one euro.
pub async fn rates(engine: &Engine) -> Result<Vec<(String, NaiveDate, Decimal)>> {
    let rows = sqlx::query!("select currency, day, per_euro from exchange_rates").fetch_all(&engine.db).await?;
    Ok(rows.into_iter().map(|row| (row.currency, row.day, row.per_euro)).collect())
}

/// The stored clicks of one referral code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClickCounts {
    pub people: i64,
    pub bots: i64,
    pub counted: i64,
}

/// Counts the clicks of referral codes; a code without clicks is absent.
pub async fn click_counts(engine: &Engine, referral_codes: &[String]) -> Result<HashMap<String, ClickCounts>> {
    let rows = sqlx::query!(
        r#"select referral_code, count(*) filter (where not bot) as "people!", count(*) filter (where bot) as "bots!", count(*) filter (where counted) as "counted!"
           from clicks
           where referral_code = any($1)
           group by referral_code"#,
        referral_codes,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.referral_code, ClickCounts { people: row.people, bots: row.bots, counted: row.counted })).collect())
}

/// What became of impressions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImpressionCounts {
    /// Those that are recorded.
    pub found: i64,
    /// All that are recorded for their recommendations.
    pub recorded: i64,
    /// By the partners' hourly counters.
    pub counted: i64,
}

/// Looks for impressions, and sums what the counters of `partner_ids` hold, whenever that was.
pub async fn impression_counts(
    engine: &Engine,
    impressions: &[(RecommendationId, PartnerId)],
    partner_ids: &[PartnerId],
) -> Result<ImpressionCounts> {
    let (ids, names): (Vec<Uuid>, Vec<String>) = impressions.iter().map(|(id, partner_id)| (id.0, partner_id.to_string())).unzip();
    let found = sqlx::query_scalar!(
        r#"select count(*) as "count!"
           from impressions
           where (recommendation_id, partner_id) in (select * from unnest($1::uuid[], $2::text[]))"#,
        &ids,
        &names,
    )
    .fetch_one(&engine.db)
    .await?;
    let recorded = sqlx::query_scalar!(r#"select count(*) as "count!" from impressions where recommendation_id = any($1)"#, &ids)
        .fetch_one(&engine.db)
        .await?;
    let counters: Vec<String> = partner_ids.iter().map(ToString::to_string).collect();
    let counted = sqlx::query_scalar!(
        r#"select coalesce(sum(impressions), 0)::bigint as "count!" from hourly_counts where partner_id = any($1)"#,
        &counters,
    )
    .fetch_one(&engine.db)
    .await?;
    Ok(ImpressionCounts { found, recorded, counted })
}

/// The deliveries whose message ids begin with a prefix, by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    pub waiting: i64,
    pub processed: i64,
    pub ignored: i64,
    pub dead: i64,
}

pub async fn delivery_counts(engine: &Engine, prefix: &str) -> Result<DeliveryCounts> {
    let counts = sqlx::query_as!(
        DeliveryCounts,
        r#"select count(*) filter (where state in ('received', 'retrying')) as "waiting!", count(*) filter (where state = 'processed') as "processed!",
                  count(*) filter (where state = 'ignored') as "ignored!", count(*) filter (where state = 'dead') as "dead!"
           from webhook_deliveries
           where starts_with(message_id, $1)"#,
        prefix,
    )
    .fetch_one(&engine.db)
    .await?;
    Ok(counts)
}

/// Milliseconds from a webhook's arrival to the first ledger entry of its conversion, ascending, for messages whose ids
/// begin with `prefix`. Conversions that were attributed at a later try are left out: their wait is for the click.
pub async fn ledger_latencies_ms(engine: &Engine, prefix: &str) -> Result<Vec<f64>> {
    let latencies = sqlx::query_scalar!(
        r#"select latency_ms as "latency_ms!"
           from (
               select extract(epoch from min(booked_at) - min(d.received_at))::float8 * 1000 as latency_ms
               from webhook_deliveries d
               join conversions c using (webhook_delivery_id)
               join ledger_transactions using (conversion_id)
               where starts_with(message_id, $1)
                     and exists (select from attributions a where a.conversion_id = c.conversion_id and a.attributed_at <= d.processed_at)
               group by c.conversion_id
           ) as latencies
           order by 1"#,
        prefix,
    )
    .fetch_all(&engine.db)
    .await?;
    Ok(latencies)
}
