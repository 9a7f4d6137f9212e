//! The conversions that came in last.

use domain::{
    ConversionId, Money, SiteId,
    conversion::{ConversionState, ConversionType},
    dashboard::RecentConversion,
};
use sqlx::PgPool;

use super::{currency, partner_id};
use crate::Result;

/// The newest ones fit on a screen; the rest has pages of its own.
const RECENT_CONVERSIONS: i64 = 20;

/// The newest conversions by the time they came in, with the click that has the last say.
pub async fn conversions(db: &PgPool) -> Result<Vec<RecentConversion>> {
    let rows = sqlx::query!(
        r#"select conversion_id, conversion_type as "conversion_type: ConversionType", occurred_at, received_at,
                  conversions.partner_id, display_name, value_minor - reversed_minor as "value_minor!", conversions.currency,
                  conversions.state as "state: ConversionState", state_reason,
                  site_id as "site_id?", sites.name as "site_name?", matched_by as "matched_by?",
                  final_minor + bonus_minor as "commission_minor?", commissions.currency as "commission_currency?",
                  commissions.state as "commission_state?"
           from (select * from conversions order by conversion_id desc limit $1) as conversions
           join partners on partners.partner_id = conversions.partner_id
           left join lateral (
               select site_id, matched_by from attributions
               where attributions.conversion_id = conversions.conversion_id
               order by position desc
               limit 1
           ) as last_touch on true
           left join sites using (site_id)
           left join commissions using (conversion_id)
           order by conversion_id desc"#,
        RECENT_CONVERSIONS,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let commission = match (row.commission_minor, row.commission_currency) {
                (Some(minor), Some(code)) => Some(Money::new(minor, currency(&code)?)),
                _ => None,
            };
            Ok(RecentConversion {
                conversion_id: ConversionId(row.conversion_id),
                conversion_type: row.conversion_type,
                occurred_at: row.occurred_at,
                received_at: row.received_at,
                partner_id: partner_id(row.partner_id)?,
                partner_name: row.display_name,
                site: row.site_id.map(SiteId).zip(row.site_name),
                value: Money::new(row.value_minor, currency(&row.currency)?),
                commission,
                commission_state: row.commission_state,
                state: row.state,
                state_reason: row.state_reason,
                matched_by: row.matched_by,
            })
        })
        .collect()
}
