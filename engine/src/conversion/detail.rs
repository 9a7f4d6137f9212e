//! One conversion with all that is known of it: its journey, its receipt, its bookings, and what came in.

use chrono::{DateTime, Utc};
use domain::{
    ClickId, CommissionId, ConversionId, Currency, LedgerTransactionId, Money, PartnerId, SessionId, SiteId, WebhookDeliveryId,
    attribution::{MatchedBy, Model},
    auth::Principal,
    commission::Receipt,
    conversion::Claim,
    ledger::{Account, Entry, TransactionKind},
    partner::Terms,
};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::{
    currency,
    list::{Line, find_line},
};
use crate::{Engine, Error, Result, access::require_read, attribution::manual, partner};

/// 64 KiB of a raw body are shown; webhooks have less by far.
const BODY_SHOWN_MAX: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    pub line: Line,
    /// What the sender told about the click.
    pub claim: Claim,
    /// When a click is looked for again.
    pub retry_at: Option<DateTime<Utc>>,
    /// Those in force when it happened.
    pub terms: Option<Terms>,
    /// The oldest first.
    pub touches: Vec<Touch>,
    pub commission: Option<Commission>,
    /// Its ledger transactions in the order of their booking.
    pub bookings: Vec<Booking>,
    pub reversals: Vec<Reversal>,
    /// Successes of its developers with this partner, counted or not.
    pub successes: Vec<Success>,
    pub delivery: Option<Delivery>,
    pub by_hand: Option<ByHand>,
    /// Why nobody may attribute it by hand; `None`: operators may.
    pub not_by_hand: Option<String>,
}

/// A click that shares in the credit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// `None` if an operator credited a link without naming a click.
    pub click_id: Option<ClickId>,
    pub clicked_at: DateTime<Utc>,
    pub referral_code: String,
    pub site: Option<(SiteId, String)>,
    pub share: Decimal,
    pub model: Model,
    pub matched_by: MatchedBy,
    pub policy_version: i32,
    pub attributed_at: DateTime<Utc>,
    /// Its part of the commission and bonus.
    pub commission_minor: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Commission {
    pub commission_id: CommissionId,
    pub amount: Money,
    pub bonus_minor: i64,
    /// `pending`, `approved`, `invoiced`, `paid` or `reversed`.
    pub state: String,
    pub hold_until: DateTime<Utc>,
    /// Somebody wants to look first.
    pub hold_reason: Option<String>,
    pub approved_at: Option<DateTime<Utc>>,
    pub rated_at: DateTime<Utc>,
    pub receipt: Receipt,
}

/// A ledger transaction; debits are positive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    pub ledger_transaction_id: LedgerTransactionId,
    pub kind: TransactionKind,
    pub booked_at: DateTime<Utc>,
    pub currency: Currency,
    pub entries: Vec<Entry>,
    /// Its place in the currency's hash chain; `None` until the sealer has come by.
    pub seal_position: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    pub external_event_id: String,
    pub occurred_at: DateTime<Utc>,
    /// What was asked for; `None`: all that was left.
    pub asked_minor: Option<i64>,
    /// What was taken back: never more than was left.
    pub applied_minor: i64,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success {
    pub external_event_id: String,
    pub metric_id: String,
    pub occurred_at: DateTime<Utc>,
    /// `unverified`, `verified` or `rejected`.
    pub state: String,
    /// Its metric stands in the receipt.
    pub counted: bool,
}

/// The webhook, postback or row that it came in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub webhook_delivery_id: WebhookDeliveryId,
    pub message_id: String,
    /// As text where it is UTF-8, at most 64 KiB.
    pub body: String,
}

/// Who attributed it by hand, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHand {
    pub actor: String,
    pub happened_at: DateTime<Utc>,
    pub reason: String,
}

/// A conversion with everything about it.
///
/// # Errors
/// [`Error::NotFound`] if there is none; refuses who may not read.
pub async fn find(engine: &Engine, who: &Principal, conversion_id: ConversionId) -> Result<Detail> {
    require_read(who, "see conversions")?;
    let mut connection = engine.db.acquire().await?;
    let connection = &mut *connection;
    let line = find_line(connection, conversion_id).await?.ok_or_else(|| Error::not_found(format!("conversion `{conversion_id}`")))?;
    let row = sqlx::query!(
        r#"select click_token, referral_code, session_id as "session_id: SessionId", user_identifier, retry_at,
                  webhook_delivery_id as "webhook_delivery_id: WebhookDeliveryId"
           from conversions where conversion_id = $1"#,
        conversion_id.0,
    )
    .fetch_one(&mut *connection)
    .await?;
    let claim = Claim {
        click_token: row.click_token,
        referral_code: row.referral_code,
        session_id: row.session_id,
        user_identifier: row.user_identifier,
    };
    let terms = match partner::terms_at(connection, &line.partner_id, line.occurred_at).await {
        Ok(terms) => Some(terms),
        Err(Error::NotFound { .. }) => None,
        Err(error) => return Err(error),
    };
    let commission = commission(connection, conversion_id).await?;
    let receipt = commission.as_ref().map(|commission| &commission.receipt);
    Ok(Detail {
        touches: touches(connection, conversion_id).await?,
        bookings: bookings(connection, conversion_id).await?,
        reversals: reversals(connection, conversion_id).await?,
        successes: successes(connection, conversion_id, &line.partner_id, receipt).await?,
        delivery: delivery(connection, row.webhook_delivery_id).await?,
        by_hand: by_hand(connection, &line).await?,
        not_by_hand: manual::refusal(engine, connection, conversion_id).await?,
        retry_at: row.retry_at,
        line,
        claim,
        terms,
        commission,
    })
}

async fn touches(connection: &mut PgConnection, conversion_id: ConversionId) -> Result<Vec<Touch>> {
    let rows = sqlx::query!(
        r#"select click_id as "click_id: ClickId", clicked_at, referral_code, site_id as "site_id: SiteId",
                  (select name from sites s where s.site_id = a.site_id) as site_name, share, model as "model: Model",
                  matched_by as "matched_by: MatchedBy", policy_version, attributed_at, commission_minor
           from attributions a
           where conversion_id = $1
           order by position"#,
        conversion_id.0,
    )
    .fetch_all(connection)
    .await?;
    let touch = rows.into_iter().map(|row| Touch {
        click_id: Some(row.click_id).filter(|id| !id.0.is_nil()),
        clicked_at: row.clicked_at,
        referral_code: row.referral_code,
        site: row.site_name.map(|name| (row.site_id, name)),
        share: row.share.normalize(),
        model: row.model,
        matched_by: row.matched_by,
        policy_version: row.policy_version,
        attributed_at: row.attributed_at,
        commission_minor: row.commission_minor,
    });
    Ok(touch.collect())
}

async fn commission(connection: &mut PgConnection, conversion_id: ConversionId) -> Result<Option<Commission>> {
    let row = sqlx::query!(
        r#"select commission_id as "commission_id: CommissionId", currency, final_minor + bonus_minor as "amount_minor!", bonus_minor, state, hold_until,
                  hold_reason, approved_at, rated_at, receipt
           from commissions where conversion_id = $1"#,
        conversion_id.0,
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Commission {
        commission_id: row.commission_id,
        amount: Money::new(row.amount_minor, currency(&row.currency)?),
        bonus_minor: row.bonus_minor,
        state: row.state,
        hold_until: row.hold_until,
        hold_reason: row.hold_reason,
        approved_at: row.approved_at,
        rated_at: row.rated_at,
        receipt: serde_json::from_value(row.receipt)?,
    }))
}

async fn bookings(connection: &mut PgConnection, conversion_id: ConversionId) -> Result<Vec<Booking>> {
    let rows = sqlx::query!(
        r#"select t.ledger_transaction_id as "ledger_transaction_id: LedgerTransactionId", t.kind as "kind: TransactionKind", t.booked_at, t.currency,
                  (select position from ledger_seals s where s.ledger_transaction_id = t.ledger_transaction_id) as seal_position, account as "account: Account", amount_minor
           from ledger_transactions t
           join ledger_entries using (ledger_transaction_id)
           where t.conversion_id = $1
           order by t.booked_at, t.ledger_transaction_id, line"#,
        conversion_id.0,
    )
    .fetch_all(connection)
    .await?;
    let mut bookings: Vec<Booking> = Vec::new();
    for row in rows {
        let entry = Entry { account: row.account, amount_minor: row.amount_minor };
        match bookings.last_mut().filter(|last| last.ledger_transaction_id == row.ledger_transaction_id) {
            Some(last) => last.entries.push(entry),
            None => bookings.push(Booking {
                ledger_transaction_id: row.ledger_transaction_id,
                kind: row.kind,
                booked_at: row.booked_at,
                currency: currency(&row.currency)?,
                entries: vec![entry],
                seal_position: row.seal_position,
            }),
        }
    }
    Ok(bookings)
}

async fn reversals(connection: &mut PgConnection, conversion_id: ConversionId) -> Result<Vec<Reversal>> {
    let reversals = sqlx::query_as!(
        Reversal,
        r#"select external_event_id, occurred_at, amount_minor as asked_minor, coalesce(applied_minor, 0) as "applied_minor!", reason
           from reversals where conversion_id = $1
           order by applied_at, reversal_id"#,
        conversion_id.0,
    )
    .fetch_all(connection)
    .await?;
    Ok(reversals)
}

async fn successes(
    connection: &mut PgConnection,
    conversion_id: ConversionId,
    partner_id: &PartnerId,
    receipt: Option<&Receipt>,
) -> Result<Vec<Success>> {
    let rows = sqlx::query!(
        "select external_event_id, metric_id, occurred_at, state
         from success_events
         where partner_id = $2 and developer_id in (select developer_id from attributions where conversion_id = $1)
         order by occurred_at, success_event_id",
        conversion_id.0,
        partner_id.as_str(),
    )
    .fetch_all(connection)
    .await?;
    let stands = |metric_id: &str| receipt.is_some_and(|receipt| receipt.metrics.iter().any(|metric| metric.metric_id == metric_id));
    let success = rows.into_iter().map(|row| Success {
        counted: row.state != "rejected" && stands(&row.metric_id),
        external_event_id: row.external_event_id,
        metric_id: row.metric_id,
        occurred_at: row.occurred_at,
        state: row.state,
    });
    Ok(success.collect())
}

async fn delivery(connection: &mut PgConnection, id: Option<WebhookDeliveryId>) -> Result<Option<Delivery>> {
    let Some(webhook_delivery_id) = id else { return Ok(None) };
    let row = sqlx::query!("select message_id, body from webhook_deliveries where webhook_delivery_id = $1", webhook_delivery_id.0)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| {
        let shown = &row.body[..row.body.len().min(BODY_SHOWN_MAX)];
        Delivery { webhook_delivery_id, message_id: row.message_id, body: String::from_utf8_lossy(shown).into_owned() }
    }))
}

async fn by_hand(connection: &mut PgConnection, line: &Line) -> Result<Option<ByHand>> {
    let found = sqlx::query_as!(
        ByHand,
        r#"select actor, happened_at, coalesce(detail ->> 'reason', '') as "reason!"
           from audit_entries
           where action = $1 and subject = $2
           order by happened_at desc
           limit 1"#,
        manual::ACTION,
        manual::audit_subject(&line.partner_id, &line.external_event_id),
    )
    .fetch_optional(connection)
    .await?;
    Ok(found)
}
