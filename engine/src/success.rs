//! Success events: recorded once, verified by whoever may, and multiplying the commissions that are still open.

use domain::{ConversionId, SuccessEventId, WebhookDeliveryId, conversion::NewSuccess};

use crate::{Error, Result, attribution, commission, partner, work::Work};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    New(SuccessEventId),
    Duplicate,
}

/// Records a success that the partner itself states (a signed webhook verifies it), and rates the developer's conversions
/// with this partner anew.
///
/// # Errors
/// [`Error::Invalid`] names an unknown metric, missing required data, or a claim that leads to no developer.
pub async fn record_verified(
    work: &mut Work<'_>,
    new: &NewSuccess,
    verified_by: &str,
    delivery: Option<WebhookDeliveryId>,
) -> Result<Recorded> {
    let terms = partner::terms_at(work.connection(), &new.partner_id, new.occurred_at).await?;
    let metric = terms
        .metric(&new.metric_id)
        .ok_or_else(|| Error::invalid("metric", format!("`{}` is none of {}'s metrics", new.metric_id, new.partner_id)))?;
    if let Some(missing) =
        metric.required_data.iter().find(|key| !new.evidence.get(*key).is_some_and(|value| value.is_string() || value.is_number()))
    {
        return Err(Error::invalid(format!("evidence.{missing}"), "is required for this metric, as a text or number"));
    }
    let developer_id = attribution::developer_of(work, &new.partner_id, &new.claim)
        .await?
        .ok_or_else(|| Error::invalid("click_id", "neither the click id nor the referral code leads to a developer of this partner"))?;
    commission::lock_developer(work, developer_id).await?;

    let success_event_id: SuccessEventId = work.engine.new_id();
    let now = work.now();
    let inserted = sqlx::query!(
        "insert into success_events (success_event_id, partner_id, external_event_id, developer_id, metric_id, occurred_at, received_at, value_minor, currency,
                                     evidence, verified_at, verified_by, expires_at, webhook_delivery_id, state, source)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $7, $11, $12, $13, 'verified', 'webhook')
         on conflict on constraint success_events_partner_id_external_event_id_key do nothing",
        success_event_id.0,
        new.partner_id.as_str(),
        new.external_event_id,
        developer_id.0,
        new.metric_id,
        new.occurred_at,
        now,
        new.value.map(|value| value.amount_minor),
        new.value.map(|value| value.currency.code()),
        serde_json::Value::Object(new.evidence.clone()),
        verified_by,
        new.expires_at,
        delivery.map(|id| id.0),
    )
    .execute(work.connection())
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(Recorded::Duplicate);
    }
    work.counts(&new.partner_id).successes += 1;

    // Conversions whose adjustment window is over are rated to the same amounts, so that taking all is right, if slow;
    // the longest window bounds them.
    let conversions = sqlx::query_scalar!(
        r#"select conversion_id as "conversion_id: ConversionId"
           from conversions join attributions using (conversion_id)
           where developer_id = $1 and partner_id = $2
                 and occurred_at >= $3::timestamptz - make_interval(days => (select max(adjustment_window_days) from partner_terms where partner_id = $2))
           order by conversion_id"#,
        developer_id.0,
        new.partner_id.as_str(),
        now,
    )
    .fetch_all(work.connection())
    .await?;
    for conversion_id in conversions {
        commission::rate(work, conversion_id, commission::Cause::Success).await?;
    }
    Ok(Recorded::New(success_event_id))
}
