//! Deriving a commission again from its events.

use chrono::{DateTime, Utc};
use domain::{CommissionId, ConversionId, Currency, PartnerId, commission::Rating};
use sqlx::PgConnection;
use uuid::Uuid;

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
/// [`Error::NotFound`] if there is none, [`Error::Conflict`] if several partners use the external id: it names their conversions.
pub async fn explain(engine: &Engine, id: &str) -> Result<Explanation> {
    let mut connection = engine.db.acquire().await?;
    let commission_id = find(&mut connection, id).await?;
    let row = sqlx::query!(
        r#"select commission_id as "commission_id: CommissionId", conversion_id as "conversion_id: ConversionId",
                  partner_id as "partner_id: PartnerId", currency, state, hold_until, final_minor, bonus_minor
           from commissions
           where commission_id = $1"#,
        commission_id.0,
    )
    .fetch_one(&mut *connection)
    .await?;
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

/// The commission that `id` names. Our own ids come before external ones, which partners choose.
async fn find(connection: &mut PgConnection, id: &str) -> Result<CommissionId> {
    let own_id = id.parse::<Uuid>().ok();
    let rows = sqlx::query!(
        r#"select commission_id as "commission_id: CommissionId", conversion_id as "conversion_id: ConversionId",
                  commissions.partner_id as "partner_id: PartnerId"
           from commissions join conversions using (conversion_id)
           where commission_id = $2 or conversion_id = $2 or external_event_id = $1
           order by commissions.partner_id"#,
        id,
        own_id,
    )
    .fetch_all(connection)
    .await?;
    let own = rows.iter().find(|row| own_id.is_some_and(|own_id| [row.commission_id.0, row.conversion_id.0].contains(&own_id)));
    match (own, rows.as_slice()) {
        (Some(row), _) | (None, [row]) => Ok(row.commission_id),
        (None, []) => Err(Error::not_found(format!("commission `{id}`"))),
        (None, several) => {
            let named: Vec<String> = several.iter().map(|row| format!("{} {}", row.partner_id, row.conversion_id)).collect();
            Err(Error::Conflict(format!("several partners have a conversion `{id}`; name one by our id: {}", named.join(", "))))
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::path::Path;

    use chrono::TimeDelta;
    use domain::{
        analysis,
        auth::Principal,
        click::{ClickToken, partner_digest},
        referral_code::ReferralCode,
    };
    use serde_json::json;
    use sqlx::PgPool;

    use super::*;
    use crate::{new_id, partner, referral_code, site, testing, webhook};

    /// A site whose developer earned a commission from Figma and from Supabase, who name the sale alike.
    async fn with_sales_of_one_name(db: PgPool) -> Engine {
        let engine = testing::engine(db);
        partner::import_files(&engine, Path::new("../partners")).await.unwrap();
        referral_code::refresh_links(&engine).await.unwrap();
        let new = site::NewSite { name: "Shop".into(), url: None, user_ref: "user-1".into(), analysis: analysis::analyze(&[]) };
        let site = site::create(&engine, &Principal::CommandLine, new).await.unwrap();
        for partner in ["figma", "supabase"] {
            let partner_id: PartnerId = partner.parse().unwrap();
            let link = site.links.iter().find(|link| link.partner_id == partner_id).unwrap();
            let code: ReferralCode = link.referral_code.parse().unwrap();
            let click = ClickToken {
                click_id: new_id(engine.now() - TimeDelta::hours(1)),
                session_id: None,
                code_digest: code.digest(),
                partner_digest: partner_digest(&partner_id),
            };
            let data = json!({
                "conversion_id": "ord_1", "occurred_at": engine.now().to_rfc3339(), "amount": "49.00", "currency": "USD",
                "click_id": click.sign(&engine.keys.click_mac),
            });
            let event = json!({ "type": "conversion.created", "data": data });
            webhook::enqueue(&engine, &partner_id, "events", "message", &event).await.unwrap();
        }
        while webhook::work_one(&engine).await.unwrap() {}
        engine
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_name_that_two_partners_use_is_not_guessed(db: PgPool) {
        let engine = with_sales_of_one_name(db).await;
        let ids: Vec<(String, Uuid)> =
            sqlx::query_as("select partner_id, conversion_id from conversions order by partner_id").fetch_all(&engine.db).await.unwrap();
        let [(_, figma), (_, supabase)] = ids.as_slice() else { panic!("two conversions, not {ids:?}") };
        assert_eq!(
            explain(&engine, "ord_1").await.unwrap_err().to_string(),
            format!("several partners have a conversion `ord_1`; name one by our id: figma {figma}, supabase {supabase}")
        );
        for (partner, id) in &ids {
            assert_eq!(explain(&engine, &id.to_string()).await.unwrap().partner_id.as_str(), partner);
        }
        assert!(matches!(explain(&engine, "ord_2").await, Err(Error::NotFound { .. })));
    }
}
