//! Edits of a partner: its texts, links and active flag.

use domain::{
    PartnerId,
    auth::Principal,
    partner::{Partner, PartnerEdit},
};
use serde_json::json;
use sqlx::types::Json;

use super::{find, lock, record_activity, refresh_links, require_operate, subject};
use crate::{Engine, Error, Result, audit};

/// Edits a partner's texts, links and active flag.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] with the key that is out of bounds. An edit that changes nothing writes nothing.
pub async fn update(engine: &Engine, who: &Principal, partner_id: &PartnerId, edit: PartnerEdit) -> Result<Partner> {
    change(engine, who, partner_id, edit, None).await
}

/// Edits as [`update`] does, for somebody who saw the values of `seen`: what others changed meanwhile is not undone.
///
/// # Errors
/// As [`update`], and [`Error::Conflict`] if one of those values is another by now.
pub async fn update_as_seen(
    engine: &Engine,
    who: &Principal,
    partner_id: &PartnerId,
    edit: PartnerEdit,
    seen: &PartnerEdit,
) -> Result<Partner> {
    change(engine, who, partner_id, edit, Some(seen)).await
}

async fn change(
    engine: &Engine,
    who: &Principal,
    partner_id: &PartnerId,
    edit: PartnerEdit,
    seen: Option<&PartnerEdit>,
) -> Result<Partner> {
    require_operate(who)?;
    let mut tx = engine.db.begin().await?;
    lock(&mut tx, partner_id).await?;
    let before = find(&mut tx, partner_id).await?;
    if seen.is_some_and(|seen| seen.clone().apply(before.clone()) != before) {
        return Err(Error::Conflict(format!(
            "somebody else has changed `{partner_id}` since this form was opened, and nothing was saved: look at what stands now, then save again"
        )));
    }
    let after = edit.apply(before.clone());
    if let Some((key, reason)) = after.invalid() {
        return Err(Error::invalid(key, reason));
    }
    if after == before {
        return Ok(after);
    }

    sqlx::query!(
        "update partners
         set display_name = $2,
             description = $3,
             homepage_url = $4,
             tier = $5,
             active = $6,
             integration_methods = $7,
             updated_at = $8
         where partner_id = $1",
        partner_id.as_str(),
        after.display_name,
        after.description,
        after.homepage_url,
        i16::from(after.tier),
        after.active,
        Json(&after.integration_methods) as _,
        engine.now(),
    )
    .execute(&mut *tx)
    .await?;
    if after.active != before.active {
        record_activity(&mut tx, partner_id, engine.now(), after.active).await?;
    }
    let detail = json!({ "before": before, "after": after });
    audit::record(engine, &mut tx, who, "partner.updated", &subject(partner_id), detail).await?;
    tx.commit().await?;
    refresh_links(engine).await;
    Ok(after)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use chrono::Duration;
    use sqlx::PgPool;

    use super::*;
    use crate::partner::{
        add_terms, add_terms_as_seen, list_terms, show,
        tests::{WHO, acme, engine_with_acme},
    };

    /// What a form shows and sends back when one text is edited.
    fn form(active: bool, description: &str) -> PartnerEdit {
        PartnerEdit { active: Some(active), description: Some(description.to_owned()), ..PartnerEdit::default() }
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn an_older_form_does_not_activate_a_partner_again(db: PgPool) {
        let engine = engine_with_acme(db).await;
        let seen = form(true, &show(&engine, &WHO, &acme()).await.unwrap().description);
        update(&engine, &WHO, &acme(), PartnerEdit { active: Some(false), ..PartnerEdit::default() }).await.unwrap();

        let refused = update_as_seen(&engine, &WHO, &acme(), form(true, "New words"), &seen).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
        assert!(!show(&engine, &WHO, &acme()).await.unwrap().active);

        let seen = PartnerEdit { active: Some(false), ..seen };
        let after = update_as_seen(&engine, &WHO, &acme(), form(false, "New words"), &seen).await.unwrap();
        assert_eq!((after.active, after.description.as_str()), (false, "New words"));
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn an_older_form_does_not_bring_back_old_rates(db: PgPool) {
        let engine = engine_with_acme(db).await;
        let first = list_terms(&engine, &WHO, &acme()).await.unwrap().remove(0);
        let seen = Some(first.partner_terms_id);
        let from = |days| engine.now() + Duration::days(days);
        let longer = domain::partner::TermsValues { hold_period_days: 45, ..first.values.clone() };
        let raised = domain::partner::TermsValues { commission_rate: rust_decimal::Decimal::new(25, 2), ..first.values.clone() };
        let second = add_terms_as_seen(&engine, &WHO, &acme(), raised, None, from(1), seen).await.unwrap();

        let refused = add_terms_as_seen(&engine, &WHO, &acme(), longer.clone(), None, from(2), seen).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
        assert_eq!(list_terms(&engine, &WHO, &acme()).await.unwrap(), [second.clone(), first]);
        add_terms_as_seen(&engine, &WHO, &acme(), longer.clone(), None, from(2), Some(second.partner_terms_id)).await.unwrap();
        add_terms(&engine, &WHO, &acme(), longer, None, from(3)).await.unwrap();
    }
}
