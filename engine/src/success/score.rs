//! A developer's success score and what it is made of.

use domain::{
    DeveloperId, PartnerId,
    auth::Principal,
    success::{ScorableSuccess, Score, score, score_with_partner},
};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::State;
use crate::{Engine, Result, access::require_read};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scores {
    pub overall: Score,
    pub with_partner: Score,
}

/// A developer's score over all partners, and with one of them.
///
/// # Errors
/// [`crate::Error::Forbidden`] for who may not read.
pub async fn scores(engine: &Engine, who: &Principal, developer_id: DeveloperId, partner_id: &PartnerId) -> Result<Scores> {
    require_read(who, "see success scores")?;
    let successes = successes_of(&mut *engine.db.acquire().await?, developer_id).await?;
    let now = engine.now();
    Ok(Scores { overall: score(&successes, now), with_partner: score_with_partner(&successes, partner_id, now) })
}

/// All of a developer's successes but the rejected ones, each with its metric's multiplier by the terms in force when it happened.
pub(crate) async fn successes_of(connection: &mut PgConnection, developer_id: DeveloperId) -> Result<Vec<ScorableSuccess>> {
    let rows = sqlx::query!(
        r#"select s.partner_id as "partner_id: PartnerId", s.metric_id, s.occurred_at, s.expires_at, s.state as "state: State",
                  m.value_multiplier as "value_multiplier?"
           from success_events s
           left join lateral (
               select (metric ->> 'value_multiplier')::numeric as value_multiplier
               from (select success_metrics from partner_terms t
                     where t.partner_id = s.partner_id and t.effective_from <= s.occurred_at
                     order by t.effective_from desc limit 1) terms,
                    jsonb_array_elements(terms.success_metrics) metric
               where metric ->> 'id' = s.metric_id
           ) m on true
           where s.developer_id = $1 and s.state <> 'rejected'"#,
        developer_id.0,
    )
    .fetch_all(connection)
    .await?;
    let successes = rows.into_iter().map(|row| ScorableSuccess {
        partner_id: row.partner_id,
        metric_id: row.metric_id,
        occurred_at: row.occurred_at,
        verified: row.state == State::Verified,
        expires_at: row.expires_at,
        value_multiplier: row.value_multiplier.unwrap_or(Decimal::ONE),
    });
    Ok(successes.collect())
}
