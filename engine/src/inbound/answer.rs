//! What callers of the API are told. The answer is kept with the event, so that a repeated request reads the same.

use domain::{
    CommissionId, ConversionId, Currency, Money, PartnerId, ReversalId,
    conversion::{ConversionState, NewReversal},
};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;

use crate::{Error, Result, conversion::currency};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conversion {
    pub id: ConversionId,
    pub partner: PartnerId,
    /// The partner's own id.
    pub conversion_id: String,
    pub state: String,
    /// Why it is not attributed, or not rated.
    pub reason: Option<String>,
    pub amount: String,
    pub currency: String,
    pub commission: Option<Commission>,
    pub duplicate: bool,
}

/// Amounts are texts, since JSON numbers lose digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commission {
    pub id: CommissionId,
    pub state: String,
    pub amount: String,
    pub bonus: String,
    pub currency: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reversal {
    pub id: ReversalId,
    pub partner: PartnerId,
    /// The partner's own ids of the reversal and of what it takes back.
    pub reversal_id: String,
    pub conversion_id: String,
    /// `applied`, or `waiting` for its conversion.
    pub state: &'static str,
    /// As it was asked for; absent for all that is left.
    pub amount: Option<String>,
    pub currency: Option<String>,
    /// What was taken off the conversion's value.
    pub applied: Option<String>,
    /// What is left of the commission.
    pub commission: Option<Commission>,
    pub duplicate: bool,
}

pub fn is_duplicate(answer: &Value) -> bool {
    answer["duplicate"] == true
}

pub async fn conversion(connection: &mut PgConnection, id: ConversionId, duplicate: bool) -> Result<Conversion> {
    let row = sqlx::query!(
        r#"select partner_id as "partner_id: PartnerId", external_event_id, state as "state: ConversionState", state_reason, value_minor, currency
           from conversions where conversion_id = $1"#,
        id.0,
    )
    .fetch_one(&mut *connection)
    .await?;
    Ok(Conversion {
        id,
        partner: row.partner_id,
        conversion_id: row.external_event_id,
        state: serde_json::to_value(row.state)?.as_str().unwrap_or_default().to_owned(),
        reason: row.state_reason,
        amount: decimal(row.value_minor, currency(&row.currency)?),
        currency: row.currency,
        commission: commission(connection, id).await?,
        duplicate,
    })
}

async fn commission(connection: &mut PgConnection, id: ConversionId) -> Result<Option<Commission>> {
    let row = sqlx::query!(
        r#"select commission_id as "commission_id: CommissionId", state, currency, final_minor, bonus_minor from commissions where conversion_id = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let code = currency(&row.currency)?;
        let (amount, bonus) = (decimal(row.final_minor, code), decimal(row.bonus_minor, code));
        Ok(Commission { id: row.commission_id, state: row.state, amount, bonus, currency: row.currency })
    })
    .transpose()
}

pub async fn reversal(connection: &mut PgConnection, partner_id: &PartnerId, external_event_id: &str, duplicate: bool) -> Result<Reversal> {
    let row = sqlx::query!(
        r#"select reversal_id as "reversal_id: ReversalId", r.conversion_external_event_id, r.amount_minor, r.currency as "currency: String",
                  r.applied_minor, conversion_id as "conversion_id?: ConversionId", c.currency as "conversion_currency?"
           from reversals r left join conversions c using (conversion_id)
           where r.partner_id = $1 and r.external_event_id = $2"#,
        partner_id.as_str(),
        external_event_id,
    )
    .fetch_one(&mut *connection)
    .await?;
    let in_currency = |minor: Option<i64>, code: Option<&String>| match (minor, code) {
        (Some(minor), Some(code)) => Ok::<_, Error>(Some(decimal(minor, currency(code)?))),
        _ => Ok(None),
    };
    Ok(Reversal {
        id: row.reversal_id,
        partner: partner_id.clone(),
        reversal_id: external_event_id.to_owned(),
        conversion_id: row.conversion_external_event_id,
        state: if row.conversion_id.is_some() { "applied" } else { "waiting" },
        amount: in_currency(row.amount_minor, row.currency.as_ref())?,
        applied: in_currency(row.applied_minor, row.conversion_currency.as_ref())?,
        currency: row.currency,
        commission: match row.conversion_id {
            Some(id) => commission(connection, id).await?,
            None => None,
        },
        duplicate,
    })
}

/// One external event is one event: another value under the same id is a mistake, and is not passed over in silence.
pub fn refuse_other_value(id: &str, amount: &str, currency: &str, now: Option<Money>) -> Result<()> {
    let same = now.is_some_and(|now| now.currency.code() == currency && now.to_decimal().to_string() == amount);
    if same { Ok(()) } else { Err(Error::Conflict(format!("`{id}` was recorded before with {amount} {currency}"))) }
}

pub fn refuse_other_reversal(new: &NewReversal, recorded: &Reversal) -> Result<()> {
    let id = &new.external_event_id;
    if new.conversion_external_event_id != recorded.conversion_id {
        return Err(Error::Conflict(format!("`{id}` was recorded before for conversion `{}`", recorded.conversion_id)));
    }
    match (&recorded.amount, &recorded.currency) {
        (Some(amount), Some(currency)) => refuse_other_value(id, amount, currency, new.amount),
        _ if new.amount.is_some() => Err(Error::Conflict(format!("`{id}` was recorded before without an amount"))),
        _ => Ok(()),
    }
}

fn decimal(minor: i64, currency: Currency) -> String {
    Money::new(minor, currency).to_decimal().to_string()
}
