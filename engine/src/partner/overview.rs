//! The registry at a glance: a line per partner, and who made each version of its terms.

use chrono::{DateTime, Utc};
use domain::{PartnerId, auth::Principal, partner::Terms};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{list_terms, require_read};
use crate::{Engine, Result};

/// A partner in a line: who it is, what it pays now, and whether its webhooks can be checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    pub partner_id: PartnerId,
    pub display_name: String,
    pub category: String,
    pub tier: i16,
    pub active: bool,
    /// Absent while no terms are in force.
    pub commission_rate: Option<Decimal>,
    pub attribution_window_hours: Option<i32>,
    /// Active secrets for webhooks: none means that every delivery is refused.
    pub webhook_secrets: i64,
}

/// A version of terms with who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermsVersion {
    pub terms: Terms,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// All partners by tier and name, each with the terms in force now; for a partner's own machine, that partner.
///
/// # Errors
/// Refuses who may not read.
pub async fn overview(engine: &Engine, who: &Principal) -> Result<Vec<Overview>> {
    require_read(who)?;
    let mut rows = sqlx::query_as!(
        Overview,
        r#"select p.partner_id as "partner_id: PartnerId",
                  p.display_name,
                  p.category,
                  p.tier,
                  p.active,
                  t.commission_rate as "commission_rate?",
                  t.attribution_window_hours as "attribution_window_hours?",
                  (select count(*)
                   from partner_secrets s
                   where s.partner_id = p.partner_id
                     and s.purpose = 'webhook'
                     and s.revoked_at is null) as "webhook_secrets!"
           from partners p
           left join lateral (
               select commission_rate, attribution_window_hours
               from partner_terms
               where partner_id = p.partner_id
                 and effective_from <= $1
               order by effective_from desc
               limit 1
           ) t on true
           order by p.tier, p.name, p.partner_id"#,
        engine.now(),
    )
    .fetch_all(&engine.db)
    .await?;
    rows.retain(|row| who.may_speak_for(&row.partner_id));
    for row in &mut rows {
        row.commission_rate = row.commission_rate.map(|rate| rate.normalize());
    }
    Ok(rows)
}

/// All versions of a partner's terms with who made them, the newest first.
///
/// # Errors
/// Refuses who may not read.
pub async fn terms_history(engine: &Engine, who: &Principal, partner_id: &PartnerId) -> Result<Vec<TermsVersion>> {
    let versions = list_terms(engine, who, partner_id).await?;
    let makers = sqlx::query!("select version, created_at, created_by from partner_terms where partner_id = $1", partner_id.as_str())
        .fetch_all(&engine.db)
        .await?;
    let maker = |version: i32| makers.iter().find(|maker| maker.version == version);
    // A version that was added between the two questions is left out until the next look.
    let join = |terms: Terms| {
        let maker = maker(terms.version)?;
        Some(TermsVersion { created_at: maker.created_at, created_by: maker.created_by.clone(), terms })
    };
    Ok(versions.into_iter().filter_map(join).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::path::Path;

    use domain::{auth::Principal, partner::SecretPurpose};
    use sqlx::PgPool;

    use super::*;
    use crate::{Error, partner, testing};

    async fn registry(db: PgPool) -> Engine {
        let engine = testing::engine(db);
        partner::import_files(&engine, Path::new("../partners")).await.unwrap();
        engine
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn the_overview_shows_the_terms_in_force_and_counts_active_secrets(db: PgPool) {
        let engine = registry(db).await;
        let who = Principal::CommandLine;
        let supabase: PartnerId = "supabase".parse().unwrap();
        partner::set_secret(&engine, &who, &supabase, SecretPurpose::Webhook, None).await.unwrap();
        partner::set_secret(&engine, &who, &supabase, SecretPurpose::Postback, None).await.unwrap();
        let mut values = list_terms(&engine, &who, &supabase).await.unwrap()[0].values.clone();
        values.commission_rate = Decimal::new(5, 1);
        partner::add_terms(&engine, &who, &supabase, values, None, engine.now() + chrono::Duration::days(1)).await.unwrap();

        let rows = overview(&engine, &who).await.unwrap();
        let row = rows.iter().find(|row| row.partner_id == supabase).unwrap();
        assert_eq!((row.commission_rate, row.webhook_secrets), (Some(Decimal::new(2, 1)), 1));

        let history = terms_history(&engine, &who, &supabase).await.unwrap();
        assert_eq!(history.iter().map(|version| version.terms.version).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(history[0].created_by, "command line");
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn strangers_see_nothing_of_the_registry(db: PgPool) {
        let engine = registry(db).await;
        assert!(matches!(overview(&engine, &Principal::Anonymous).await, Err(Error::Unauthenticated)));
        assert!(matches!(terms_history(&engine, &Principal::Anonymous, &"supabase".parse().unwrap()).await, Err(Error::Unauthenticated)));
    }
}
