//! Rating: load a conversion with everything that counts for it, ask `domain`, and book what is not booked yet.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    CommissionId, ConversionId, Currency, DeveloperId, PartnerId,
    commission::{RateableConversion, RateableSuccess, Rating},
    ledger::{Transaction, TransactionKind},
    partner::Partner,
};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::{
    Engine, Error, Result,
    conversion::currency,
    ledger::{self, Component, Posting},
    partner,
    work::Work,
};

/// Why a conversion is rated (again); it names the ledger's transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Conversion,
    Reversal,
    Success,
}

/// Rates the conversion with the terms in force when it happened and books the difference to what is booked. A second
/// call books nothing.
///
/// # Errors
/// [`Error::NotFound`] if there is no such conversion, or no terms were in force.
pub async fn rate(work: &mut Work<'_>, conversion_id: ConversionId, cause: Cause) -> Result<Rating> {
    lock_developers(work, conversion_id).await?;
    sqlx::query!("select from conversions where conversion_id = $1 for update", conversion_id.0).fetch_one(work.connection()).await?;
    let Inputs { partner, terms, conversion, successes } = inputs(work.connection(), conversion_id).await?;
    let rating = domain::commission::rate(&conversion, &terms, &partner.success_metrics, &successes)
        .map_err(|error| Error::invalid("amount", error))?;

    let commission_id = save(work, conversion_id, &partner.partner_id, &rating, &terms).await?;
    let parts = [(Component::Commission, rating.final_minor), (Component::Bonus, rating.bonus_minor)];
    for (component, target_minor) in parts {
        let booked_minor = ledger::booked(work.connection(), conversion_id, component).await?;
        let difference = target_minor - booked_minor.unwrap_or(0);
        let kind = match (cause, booked_minor, component) {
            (Cause::Reversal, Some(_), _) => TransactionKind::Reversal,
            (_, Some(_), _) => TransactionKind::Adjustment,
            (_, None, Component::Commission) => TransactionKind::Commission,
            (_, None, Component::Bonus) => TransactionKind::Bonus,
        };
        let Some(transaction) = Transaction::held(kind, difference) else { continue };
        let receipt = serde_json::to_value(&rating.receipt)?;
        let posting =
            Posting { component, partner_id: &partner.partner_id, conversion_id, commission_id, currency: rating.currency, receipt };
        ledger::append(work, &posting, &transaction).await?;
        work.sums(&partner.partner_id, rating.currency).commission_minor += difference;
    }
    Ok(rating)
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

/// Everything that a rating depends on.
pub struct Inputs {
    pub partner: Partner,
    pub terms: domain::partner::Terms,
    pub conversion: RateableConversion,
    pub successes: Vec<RateableSuccess>,
}

/// Reads what a rating depends on; the same rows give the same rating at any time.
pub async fn inputs(connection: &mut PgConnection, conversion_id: ConversionId) -> Result<Inputs> {
    let row = sqlx::query!(
        r#"select partner_id as "partner_id: PartnerId", occurred_at, value_minor, reversed_minor, currency from conversions where conversion_id = $1"#,
        conversion_id.0,
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| Error::not_found(format!("conversion `{conversion_id}`")))?;
    let partner = partner::find(connection, &row.partner_id).await?;
    let terms = partner::terms_at(connection, &row.partner_id, row.occurred_at).await?;
    let successes = sqlx::query_as!(
        RateableSuccess,
        "select metric_id, occurred_at, verified_at, expires_at
         from success_events
         where partner_id = $2 and developer_id in (select developer_id from attributions where conversion_id = $1)
         order by success_event_id",
        conversion_id.0,
        row.partner_id.as_str(),
    )
    .fetch_all(connection)
    .await?;
    let conversion = RateableConversion {
        occurred_at: row.occurred_at,
        value_minor: row.value_minor,
        reversed_minor: row.reversed_minor,
        currency: currency(&row.currency)?,
    };
    Ok(Inputs { partner, terms, conversion, successes })
}

async fn save(
    work: &mut Work<'_>,
    conversion_id: ConversionId,
    partner_id: &PartnerId,
    rating: &Rating,
    terms: &domain::partner::Terms,
) -> Result<CommissionId> {
    let commission_id: CommissionId = work.engine.new_id();
    let now = work.now();
    let hold_until = rating.receipt.occurred_at + TimeDelta::days(i64::from(terms.values.hold_period_days));
    let saved = sqlx::query_scalar!(
        r#"insert into commissions as c (commission_id, conversion_id, partner_id, partner_terms_id, currency, base_minor, multiplier, final_minor, bonus_minor,
                                         receipt, hold_until, created_at, rated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
           on conflict on constraint commissions_conversion_id_key do update
           set base_minor = excluded.base_minor, multiplier = excluded.multiplier, final_minor = excluded.final_minor,
               bonus_minor = excluded.bonus_minor, receipt = excluded.receipt, rated_at = excluded.rated_at
           returning commission_id as "commission_id: CommissionId""#,
        commission_id.0,
        conversion_id.0,
        partner_id.as_str(),
        terms.partner_terms_id.0,
        rating.currency.code(),
        rating.base_minor,
        rating.multiplier,
        rating.final_minor,
        rating.bonus_minor,
        serde_json::to_value(&rating.receipt)?,
        hold_until,
        now,
    )
    .fetch_one(work.connection())
    .await?;
    Ok(saved)
}

/// Holds back others that record successes of, or rate for, this developer until the end of this unit of work.
pub async fn lock_developer(work: &mut Work<'_>, developer_id: DeveloperId) -> Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 2))", developer_id.to_string()).fetch_one(work.connection()).await?;
    Ok(())
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

/// A commission as it stands, with its receipt and what the ledger holds for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub commission_id: CommissionId,
    pub conversion_id: ConversionId,
    pub partner_id: PartnerId,
    pub currency: Currency,
    pub state: String,
    pub hold_until: DateTime<Utc>,
    pub saved: Amounts,
    pub booked: Amounts,
    /// Rated anew from the events.
    pub derived: Rating,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    pub final_minor: i64,
    pub bonus_minor: i64,
}

impl Explanation {
    /// The saved amounts, the ledger's and the derived ones are the same.
    pub fn agrees(&self) -> bool {
        self.saved == self.booked && self.saved == Amounts { final_minor: self.derived.final_minor, bonus_minor: self.derived.bonus_minor }
    }
}

/// Derives a commission again from its events. `id` is the commission's, its conversion's, or the partner's external id.
///
/// # Errors
/// [`Error::NotFound`] if there is none.
pub async fn explain(engine: &Engine, id: &str) -> Result<Explanation> {
    let mut connection = engine.db.acquire().await?;
    let row = sqlx::query!(
        r#"select commission_id as "commission_id: CommissionId", conversion_id as "conversion_id: ConversionId",
                  commissions.partner_id as "partner_id: PartnerId", commissions.currency, commissions.state, hold_until, final_minor, bonus_minor,
                  multiplier as "multiplier: Decimal"
           from commissions join conversions using (conversion_id)
           where commission_id::text = $1 or conversion_id::text = $1 or external_event_id = $1
           order by rated_at desc
           limit 1"#,
        id,
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| Error::not_found(format!("commission `{id}`")))?;
    let Inputs { partner, terms, conversion, successes } = inputs(&mut connection, row.conversion_id).await?;
    let derived = domain::commission::rate(&conversion, &terms, &partner.success_metrics, &successes).map_err(Error::internal)?;
    let booked = Amounts {
        final_minor: ledger::booked(&mut connection, row.conversion_id, Component::Commission).await?.unwrap_or(0),
        bonus_minor: ledger::booked(&mut connection, row.conversion_id, Component::Bonus).await?.unwrap_or(0),
    };
    Ok(Explanation {
        commission_id: row.commission_id,
        conversion_id: row.conversion_id,
        partner_id: row.partner_id,
        currency: currency(&row.currency)?,
        state: row.state,
        hold_until: row.hold_until,
        saved: Amounts { final_minor: row.final_minor, bonus_minor: row.bonus_minor },
        booked,
        derived,
    })
}
