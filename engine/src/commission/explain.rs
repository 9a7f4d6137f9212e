//! Deriving a commission again from its events.

use chrono::{DateTime, Utc};
use domain::{CommissionId, ConversionId, Currency, PartnerId, commission::Rating};

use super::{Lock, inputs};
use crate::{Engine, Error, Result, conversion::currency, ledger};

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
                  commissions.partner_id as "partner_id: PartnerId", commissions.currency, commissions.state, hold_until, final_minor, bonus_minor
           from commissions join conversions using (conversion_id)
           where commission_id = $2 or conversion_id = $2 or external_event_id = $1
           order by rated_at desc
           limit 1"#,
        id,
        id.parse::<uuid::Uuid>().ok(),
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| Error::not_found(format!("commission `{id}`")))?;
    let derived = inputs(&mut connection, row.conversion_id, engine.now(), Lock::None).await?.rate().map_err(Error::internal)?;
    let booked = ledger::booked(&mut connection, row.conversion_id).await?;
    Ok(Explanation {
        commission_id: row.commission_id,
        conversion_id: row.conversion_id,
        partner_id: row.partner_id,
        currency: currency(&row.currency)?,
        state: row.state,
        hold_until: row.hold_until,
        saved: Amounts { final_minor: row.final_minor, bonus_minor: row.bonus_minor },
        booked: Amounts { final_minor: booked.commission_minor.unwrap_or(0), bonus_minor: booked.bonus_minor.unwrap_or(0) },
        derived,
    })
}
