//! Taking back terms that were to begin later.

use chrono::{DateTime, Utc};
use domain::{PartnerId, PartnerTermsId, auth::Principal, partner::Terms};
use serde_json::json;

use super::{
    lock, refresh_links, require_operate, subject,
    terms::{NOTICE, versions},
};
use crate::{Engine, Error, Result, audit};

/// Takes back a version of terms that has not begun, so that the one before it goes on. The row goes, since nothing was ever rated with it;
/// the audit log keeps what it said.
///
/// # Errors
/// [`Error::Conflict`] if it is in force or begins within 6 minutes: an event may lie so far ahead of our clock and be rated with it
/// already. [`Error::NotFound`] if the partner has no such version, as after a first call.
pub async fn withdraw_terms(engine: &Engine, who: &Principal, partner_id: &PartnerId, id: PartnerTermsId) -> Result<()> {
    require_operate(who)?;
    let mut tx = engine.db.begin().await?;
    lock(&mut tx, partner_id).await?;
    let withdrawn = versions(&mut tx, partner_id)
        .await?
        .into_iter()
        .find(|terms| terms.partner_terms_id == id)
        .ok_or_else(|| Error::not_found(format!("terms `{id}` of partner `{partner_id}`")))?;
    if !may_be_withdrawn(&withdrawn, engine.now()) {
        let reason = "is in force or about to be, and conversions may be rated with it: add new terms, which replace it";
        return Err(Error::Conflict(format!("version {} {reason}", withdrawn.version)));
    }
    sqlx::query!("delete from partner_terms where partner_terms_id = $1", id.0).execute(&mut *tx).await?;
    let detail = json!({ "before": withdrawn, "after": null });
    audit::record(engine, &mut tx, who, "partner.terms_withdrawn", &subject(partner_id), detail).await?;
    tx.commit().await?;
    refresh_links(engine).await;
    Ok(())
}

/// Whether nothing can have been rated with terms at a time.
pub fn may_be_withdrawn(terms: &Terms, now: DateTime<Utc>) -> bool {
    terms.effective_from > now + NOTICE
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use chrono::Duration;
    use sqlx::PgPool;

    use super::*;
    use crate::partner::{
        add_terms, list_terms,
        tests::{WHO, acme, audited, engine_with_acme},
    };

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn terms_that_have_not_begun_are_withdrawn_and_others_may_begin_before(db: PgPool) {
        let engine = engine_with_acme(db).await;
        let first = list_terms(&engine, &WHO, &acme()).await.unwrap().remove(0);
        let next_month = engine.now() + Duration::days(30);
        let wrong = add_terms(&engine, &WHO, &acme(), first.values.clone(), None, next_month).await.unwrap();
        let next_week = engine.now() + Duration::days(7);
        add_terms(&engine, &WHO, &acme(), first.values.clone(), None, next_week).await.unwrap_err();

        withdraw_terms(&engine, &WHO, &acme(), wrong.partner_terms_id).await.unwrap();
        assert_eq!(list_terms(&engine, &WHO, &acme()).await.unwrap(), std::slice::from_ref(&first));
        assert_eq!(audited(&engine, "partner.terms_withdrawn").await[0]["before"]["version"], 2);
        add_terms(&engine, &WHO, &acme(), first.values, None, next_week).await.unwrap();

        let again = withdraw_terms(&engine, &WHO, &acme(), wrong.partner_terms_id).await.unwrap_err();
        assert!(matches!(again, Error::NotFound { .. }), "{again}");
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn terms_that_may_have_rated_something_stay(db: PgPool) {
        let engine = engine_with_acme(db).await;
        let first = list_terms(&engine, &WHO, &acme()).await.unwrap().remove(0);
        let soon = add_terms(&engine, &WHO, &acme(), first.values.clone(), None, engine.now() + Duration::minutes(10)).await.unwrap();
        engine.clock.advance(Duration::minutes(4));
        for id in [first.partner_terms_id, soon.partner_terms_id] {
            let refused = withdraw_terms(&engine, &WHO, &acme(), id).await.unwrap_err();
            assert!(matches!(refused, Error::Conflict(_)), "{refused}");
        }
        let refused = withdraw_terms(&engine, &Principal::Anonymous, &acme(), soon.partner_terms_id).await.unwrap_err();
        assert!(matches!(refused, Error::Unauthenticated), "{refused}");
        assert_eq!(list_terms(&engine, &WHO, &acme()).await.unwrap().len(), 2);
    }
}
