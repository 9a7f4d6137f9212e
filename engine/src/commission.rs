//! Rating: load a conversion with everything that counts for it, ask `domain`, and book what is not booked yet.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    CommissionId, ConversionId, Currency, DeveloperId, PartnerId, PartnerTermsId,
    commission::{RateableConversion, RateableSuccess, Rating, Unrateable},
    conversion::ConversionState,
    exchange::ExchangeRate,
    ledger::{Transaction, TransactionKind},
    partner::Terms,
};
use rust_decimal::Decimal;
use sqlx::{PgConnection, types::Json};

use crate::{
    Error, Result,
    advisory_lock::{self, Class},
    conversion::currency,
    exchange,
    ledger::{self, Component, Posting},
    partner,
    work::Work,
};

mod approval;
mod bulk;
mod explain;
mod list;
pub use approval::{approve_due, approve_early, approve_loop, hold, release};
pub use bulk::inputs_of;
pub use explain::{Amounts, Explanation, explain};
pub use list::{Filter, Listed, PAGE_LENGTH, Page, Sort, State, Sum, list};

/// Why a conversion is rated (again); it names the ledger's transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Conversion,
    Reversal,
    Success,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rated {
    Booked(Box<Rating>),
    /// Nothing is booked until what is missing is there.
    Held(String),
}

/// Rates the conversion with the terms in force when it happened and books the difference to what is booked. A second
/// call books nothing. Without the exchange rate that it takes, the conversion is held and says so.
///
/// # Errors
/// [`Error::NotFound`] if there is no such conversion, or no terms were in force; [`Error::Internal`] if it was rated under other
/// terms before.
pub async fn rate(work: &mut Work<'_>, conversion_id: ConversionId, cause: Cause) -> Result<Rated> {
    lock_developers(work, conversion_id).await?;
    work.mark_rated(conversion_id);
    let now = work.now();
    let inputs = inputs(work.connection(), conversion_id, now, Lock::ForUpdate).await?;
    inputs.require_same_terms()?;
    let rating = match inputs.rate() {
        Ok(rating) => rating,
        Err(missing @ Unrateable::NoExchangeRate { .. }) => {
            mark(work, conversion_id, ConversionState::Held, Some(missing.to_string())).await?;
            return Ok(Rated::Held(missing.to_string()));
        }
        Err(error) => return Err(Error::invalid("amount", error)),
    };
    if inputs.state == ConversionState::Held {
        mark(work, conversion_id, ConversionState::Attributed, None).await?;
    }

    let saved = save(work, conversion_id, &rating, &inputs).await?;
    let booked = ledger::booked(work.connection(), conversion_id).await?;
    let receipt = serde_json::to_value(&rating.receipt)?;
    let parts =
        [(Component::Commission, rating.final_minor, booked.commission_minor), (Component::Bonus, rating.bonus_minor, booked.bonus_minor)];
    let happened_at = inputs.conversion.occurred_at;
    if inputs.rated_under.is_none() {
        work.sums(&inputs.partner_id, rating.currency, happened_at).rated += 1;
    }
    let mut postings = Vec::new();
    for (component, target_minor, booked_minor) in parts {
        let difference = target_minor - booked_minor.unwrap_or(0);
        let kind = kind_of(cause, component, booked_minor.is_none());
        let transaction = if saved.approved { Transaction::earned(kind, difference) } else { Transaction::held(kind, difference) };
        let Some(transaction) = transaction else { continue };
        postings.push(Posting {
            transaction,
            component,
            partner_id: inputs.partner_id.clone(),
            currency: rating.currency,
            conversion_id: Some(conversion_id),
            commission_id: Some(saved.commission_id),
            payout_id: None,
            receipt: receipt.clone(),
        });
        work.sums(&inputs.partner_id, rating.currency, happened_at).commission_minor += difference;
    }
    ledger::append(work, &postings).await?;
    Ok(Rated::Booked(Box::new(rating)))
}

fn kind_of(cause: Cause, component: Component, first: bool) -> TransactionKind {
    match (first, cause, component) {
        (true, _, Component::Bonus) => TransactionKind::Bonus,
        (true, ..) => TransactionKind::Commission,
        (false, Cause::Reversal, _) => TransactionKind::Reversal,
        (false, ..) => TransactionKind::Adjustment,
    }
}

/// [`rate`], unless the conversion has no attribution and so earns nothing.
pub async fn rate_if_attributed(work: &mut Work<'_>, conversion_id: ConversionId, cause: Cause) -> Result<()> {
    let attributed =
        sqlx::query_scalar!(r#"select exists (select from attributions where conversion_id = $1) as "attributed!""#, conversion_id.0)
            .fetch_one(work.connection())
            .await?;
    if attributed {
        rate(work, conversion_id, cause).await?;
    }
    Ok(())
}

async fn mark(work: &mut Work<'_>, conversion_id: ConversionId, state: ConversionState, reason: Option<String>) -> Result<()> {
    sqlx::query!("update conversions set state = $2, state_reason = $3 where conversion_id = $1", conversion_id.0, state as _, reason)
        .execute(work.connection())
        .await?;
    Ok(())
}

/// Everything that a rating depends on.
pub struct Inputs {
    pub partner_id: PartnerId,
    pub state: ConversionState,
    pub terms: Terms,
    pub conversion: RateableConversion,
    pub successes: Vec<RateableSuccess>,
    /// Of each touch that shares in the credit, in their order.
    pub shares: Vec<Decimal>,
    /// The rate of the first rating, which later ones keep; `None` if none is needed, or none is known.
    pub exchange: Option<ExchangeRate>,
    /// What the first rating was made under; `None` if there was none yet.
    pub rated_under: Option<RatedUnder>,
}

/// The terms of a commission, and its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatedUnder {
    pub partner_terms_id: PartnerTermsId,
    pub currency: Currency,
}

impl Inputs {
    /// # Errors
    /// As [`domain::commission::rate`].
    pub fn rate(&self) -> Result<Rating, Unrateable> {
        domain::commission::rate(&self.conversion, &self.terms, &self.successes, self.exchange.as_ref())
    }

    /// Terms never touch what happened before them, so a later rating is under those of the first. Were it not, the difference to what is
    /// booked would be one of two rates, or even of two currencies.
    fn require_same_terms(&self) -> Result<()> {
        let now = RatedUnder { partner_terms_id: self.terms.partner_terms_id, currency: self.terms.values.payout_currency };
        match self.rated_under {
            Some(before) if before != now => Err(Error::internal(format!(
                "a conversion of partner `{}` was rated in {} under terms {} and would now be in {} under version {}",
                self.partner_id, before.currency, before.partner_terms_id, now.currency, self.terms.version
            ))),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    ForUpdate,
    None,
}

/// Reads what a rating depends on; the same rows give the same rating at any time. Exchange rates count that were known
/// at `known_at`.
pub async fn inputs(connection: &mut PgConnection, conversion_id: ConversionId, known_at: DateTime<Utc>, lock: Lock) -> Result<Inputs> {
    if lock == Lock::ForUpdate {
        // In a statement of its own, so that the next one sees what was committed while this one waited.
        sqlx::query!("select from conversions where conversion_id = $1 for update", conversion_id.0)
            .fetch_optional(&mut *connection)
            .await?;
    }
    let row = sqlx::query!(
        r#"select partner_id as "partner_id: PartnerId", occurred_at, value_minor, reversed_minor, c.currency, c.state as "state: ConversionState",
                  m.exchange_rate as "exchange_rate: Json<ExchangeRate>", m.partner_terms_id as "partner_terms_id?: PartnerTermsId",
                  m.currency as "commission_currency?",
                  coalesce((select array_agg(share order by position) from attributions a where a.conversion_id = c.conversion_id), '{}')
                      as "shares!: Vec<Decimal>"
           from conversions c
           left join (select conversion_id, exchange_rate, partner_terms_id, currency from commissions) m using (conversion_id)
           where conversion_id = $1"#,
        conversion_id.0,
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| Error::not_found(format!("conversion `{conversion_id}`")))?;
    let terms = partner::terms_at(connection, &row.partner_id, row.occurred_at).await?;
    let successes = sqlx::query_as!(
        RateableSuccess,
        r#"select metric_id as "metric_id!", occurred_at as "occurred_at!", verified_at, expires_at
           from earning_successes
           where partner_id = $2 and developer_id in (select developer_id from attributions where conversion_id = $1)
           order by success_event_id"#,
        conversion_id.0,
        row.partner_id.as_str(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let conversion = RateableConversion {
        occurred_at: row.occurred_at,
        value_minor: row.value_minor,
        reversed_minor: row.reversed_minor,
        currency: currency(&row.currency)?,
    };
    let payout_currency = terms.values.payout_currency;
    let exchange = match row.exchange_rate {
        Some(pinned) => Some(pinned.0),
        None if conversion.currency == payout_currency => None,
        None => exchange::rate_on(connection, conversion.currency, payout_currency, row.occurred_at.date_naive(), known_at).await?,
    };
    let rated_under = rated_under(row.partner_terms_id, row.commission_currency.as_deref())?;
    Ok(Inputs { partner_id: row.partner_id, state: row.state, terms, conversion, successes, shares: row.shares, exchange, rated_under })
}

fn rated_under(partner_terms_id: Option<PartnerTermsId>, code: Option<&str>) -> Result<Option<RatedUnder>> {
    let Some((partner_terms_id, code)) = partner_terms_id.zip(code) else { return Ok(None) };
    Ok(Some(RatedUnder { partner_terms_id, currency: currency(code)? }))
}

struct Saved {
    commission_id: CommissionId,
    /// Its hold period is over: what is booked now is earned at once.
    approved: bool,
}

/// Writes the present rating, and each touch's part of it.
async fn save(work: &mut Work<'_>, conversion_id: ConversionId, rating: &Rating, inputs: &Inputs) -> Result<Saved> {
    let commission_id: CommissionId = work.engine.new_id();
    let now = work.now();
    let hold_until = rating.receipt.occurred_at + TimeDelta::days(i64::from(inputs.terms.values.hold_period_days));
    let total_minor = rating.final_minor + rating.bonus_minor;
    let parts = domain::attribution::split_minor(total_minor, &inputs.shares);
    let reversed = inputs.conversion.value_minor > 0 && inputs.conversion.reversed_minor == inputs.conversion.value_minor;
    let saved = sqlx::query!(
        r#"with parts as (
               update attributions a set commission_minor = part.amount_minor
               from unnest($15::bigint[]) with ordinality as part (amount_minor, nth)
               where a.conversion_id = $2 and a.commission_minor <> part.amount_minor
                     and part.nth = (select count(*) from attributions b where b.conversion_id = $2 and b.position <= a.position)
           )
           insert into commissions as c (commission_id, conversion_id, partner_id, partner_terms_id, value_currency, currency, exchange_rate, base_minor,
                                         multiplier, final_minor, bonus_minor, receipt, state, hold_until, created_at, rated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $16, $13, $14, $14)
           on conflict on constraint commissions_conversion_id_key do update
           set base_minor = excluded.base_minor, multiplier = excluded.multiplier, final_minor = excluded.final_minor,
               bonus_minor = excluded.bonus_minor, receipt = excluded.receipt, rated_at = excluded.rated_at,
               state = case when excluded.state = 'reversed' then 'reversed' else c.state end
           returning commission_id as "commission_id: CommissionId", approved_at is not null as "approved!""#,
        commission_id.0,
        conversion_id.0,
        inputs.partner_id.as_str(),
        inputs.terms.partner_terms_id.0,
        inputs.conversion.currency.code(),
        rating.currency.code(),
        rating.receipt.exchange_rate.as_ref().map(Json) as _,
        rating.base_minor,
        rating.multiplier,
        rating.final_minor,
        rating.bonus_minor,
        serde_json::to_value(&rating.receipt)?,
        hold_until,
        now,
        &parts,
        if reversed { "reversed" } else { "pending" },
    )
    .fetch_one(work.connection())
    .await?;
    Ok(Saved { commission_id: saved.commission_id, approved: saved.approved })
}

/// Holds back others that record successes of, or rate for, this developer until the end of this unit of work.
pub async fn lock_developer(work: &mut Work<'_>, developer_id: DeveloperId) -> Result<()> {
    advisory_lock::hold(work.connection(), Class::Developer, &developer_id.to_string()).await
}

/// [`lock_developer`] for all developers to whom a conversion is attributed, in the order of their ids.
pub async fn lock_developers(work: &mut Work<'_>, conversion_id: ConversionId) -> Result<()> {
    let developers = sqlx::query_scalar!(
        r#"select distinct developer_id as "developer_id: DeveloperId" from attributions where conversion_id = $1 order by 1"#,
        conversion_id.0,
    )
    .fetch_all(work.connection())
    .await?;
    for developer_id in developers {
        lock_developer(work, developer_id).await?;
    }
    Ok(())
}
