//! Versions of a partner's terms: added, never changed. [`super::withdraw_terms`] takes one back that has not begun.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use domain::{
    PartnerId, PartnerTermsId,
    attribution::Model,
    auth::Principal,
    partner::{SuccessMetric, Terms, TermsValues, invalid_metrics},
};
use rust_decimal::Decimal;
use serde_json::json;
use sqlx::{PgConnection, types::Json};

use super::{lock, refresh_links, require_operate, require_read_of, subject};
use crate::{Engine, Error, Result, audit, conversion::CLOCK_SKEW};

/// 60 s: how long the way from a form that says "from now on" to here may take.
const NOW_GRACE_SECONDS: i64 = 60;

/// What replaces other terms starts so much later than now at the soonest. An event may lie a clock skew ahead of us and is rated under the
/// terms that are known then; the minute more is for those that are worked off at this moment, and for servers whose clocks differ.
pub(super) const NOTICE: TimeDelta = TimeDelta::seconds(CLOCK_SKEW.num_seconds() + 60);

/// The terms that were in force at a time.
///
/// # Errors
/// [`Error::NotFound`] if there were none yet, or no such partner.
pub async fn terms_at(conn: &mut PgConnection, partner_id: &PartnerId, at: DateTime<Utc>) -> Result<Terms> {
    let row = sqlx::query_as!(
        Row,
        r#"select partner_terms_id, partner_id, version, effective_from, commission_rate, success_bonus_rate, multiplier_cap,
                  attribution_window_hours, hold_period_days, adjustment_window_days, payout_currency,
                  attribution_model as "attribution_model: Model", attribution_minimum_seconds, minimum_payout_minor,
                  success_metrics as "success_metrics: Json<Vec<SuccessMetric>>"
         from partner_terms
         where partner_id = $1
           and effective_from <= $2
         order by effective_from desc
         limit 1"#,
        partner_id.as_str(),
        at,
    )
    .fetch_optional(conn)
    .await?;
    row.ok_or_else(|| Error::not_found(format!("terms of partner `{partner_id}` at {at}")))?.try_into()
}

/// All versions of a partner's terms, the newest first.
///
/// # Errors
/// Refuses who may not read.
pub async fn list_terms(engine: &Engine, who: &Principal, partner_id: &PartnerId) -> Result<Vec<Terms>> {
    require_read_of(who, partner_id)?;
    versions(&mut *engine.db.acquire().await?, partner_id).await
}

/// All versions, the newest first.
pub(super) async fn versions(conn: &mut PgConnection, partner_id: &PartnerId) -> Result<Vec<Terms>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select partner_terms_id, partner_id, version, effective_from, commission_rate, success_bonus_rate, multiplier_cap,
                  attribution_window_hours, hold_period_days, adjustment_window_days, payout_currency,
                  attribution_model as "attribution_model: Model", attribution_minimum_seconds, minimum_payout_minor,
                  success_metrics as "success_metrics: Json<Vec<SuccessMetric>>"
         from partner_terms
         where partner_id = $1
         order by version desc"#,
        partner_id.as_str(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Terms::try_from).collect()
}

/// Adds a version of terms that is in force from a time on; without `success_metrics` those of the version before go on. Up to 60 s in
/// the past counts as now, since a form takes a moment to arrive; conversions that happened before keep the terms that they had.
///
/// What replaces other terms starts in 6 minutes at the soonest, since events that lie 5 minutes ahead of our clock may be rated already.
///
/// # Errors
/// [`Error::Invalid`] with the key that is out of bounds, or if the time lies in the past or not after the last version's;
/// [`Error::NotFound`] if there is no such partner.
pub async fn add_terms(
    engine: &Engine,
    who: &Principal,
    partner_id: &PartnerId,
    values: TermsValues,
    success_metrics: Option<Vec<SuccessMetric>>,
    effective_from: DateTime<Utc>,
) -> Result<Terms> {
    add(engine, who, partner_id, values, success_metrics, effective_from, Over::Any).await
}

/// Adds terms as [`add_terms`] does, for somebody whose values were chosen over those of `seen`, the newest version that there was; `None`
/// if there was none.
///
/// # Errors
/// As [`add_terms`], and [`Error::Conflict`] if another version is the newest by now: its values would be undone unseen.
pub async fn add_terms_as_seen(
    engine: &Engine,
    who: &Principal,
    partner_id: &PartnerId,
    values: TermsValues,
    success_metrics: Option<Vec<SuccessMetric>>,
    effective_from: DateTime<Utc>,
    seen: Option<PartnerTermsId>,
) -> Result<Terms> {
    add(engine, who, partner_id, values, success_metrics, effective_from, Over::Seen(seen)).await
}

/// What new terms may follow.
enum Over {
    Any,
    Seen(Option<PartnerTermsId>),
}

async fn add(
    engine: &Engine,
    who: &Principal,
    partner_id: &PartnerId,
    values: TermsValues,
    success_metrics: Option<Vec<SuccessMetric>>,
    effective_from: DateTime<Utc>,
    over: Over,
) -> Result<Terms> {
    require_operate(who)?;
    if let Some((key, reason)) = values.invalid() {
        return Err(Error::invalid(key, reason));
    }
    let mut tx = engine.db.begin().await?;
    lock(&mut tx, partner_id).await?;

    let now = engine.now();
    if effective_from < now - TimeDelta::seconds(NOW_GRACE_SECONDS) {
        return Err(Error::invalid("effective_from", format!("`{effective_from}` is in the past: terms never change what has happened")));
    }
    let last = last_version(&mut tx, partner_id).await?;
    if let Over::Seen(seen) = over
        && last.as_ref().map(|last| last.id) != seen
    {
        return Err(Error::Conflict(format!(
            "somebody else has changed the terms of `{partner_id}` since this form was opened, and nothing was saved: look at what stands now, then add yours again"
        )));
    }
    // Nothing can have been rated under the first terms before they are there.
    let soonest = if last.is_some() { now + NOTICE } else { now };
    // Postgres keeps microseconds; what is returned must be what is stored.
    let effective_from = effective_from.max(soonest).trunc_subsecs(6);
    if let Some(Last { version, effective_from: last_from, .. }) = last
        && effective_from <= last_from
    {
        let reason =
            format!("`{effective_from}` must be later than `{last_from}` of version {version}; what has not begun can be withdrawn");
        return Err(Error::invalid("effective_from", reason));
    }

    let version = last.map_or(1, |last| last.version + 1);
    let before = match terms_at(&mut tx, partner_id, effective_from).await {
        Ok(terms) => Some(terms),
        Err(Error::NotFound { .. }) => None,
        Err(error) => return Err(error),
    };
    let success_metrics = success_metrics.or_else(|| before.as_ref().map(|terms| terms.success_metrics.clone())).unwrap_or_default();
    if let Some((key, reason)) = invalid_metrics(&success_metrics) {
        return Err(Error::invalid(key, reason));
    }
    let after = insert(engine, &mut tx, who, partner_id, version, effective_from, &values, &success_metrics).await?;
    let detail = json!({ "before": before, "after": after });
    audit::record(engine, &mut tx, who, "partner.terms_added", &subject(partner_id), detail).await?;
    tx.commit().await?;
    refresh_links(engine).await;
    Ok(after)
}

/// The newest version.
struct Last {
    id: PartnerTermsId,
    version: i32,
    effective_from: DateTime<Utc>,
}

async fn last_version(conn: &mut PgConnection, partner_id: &PartnerId) -> Result<Option<Last>> {
    let last = sqlx::query_as!(
        Last,
        r#"select partner_terms_id as "id: PartnerTermsId", version, effective_from
           from partner_terms
           where partner_id = $1
           order by version desc
           limit 1"#,
        partner_id.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(last)
}

/// Inserts one version, which the caller has checked.
#[expect(clippy::too_many_arguments, reason = "a row has this many columns")]
pub(super) async fn insert(
    engine: &Engine,
    tx: &mut PgConnection,
    who: &Principal,
    partner_id: &PartnerId,
    version: i32,
    effective_from: DateTime<Utc>,
    values: &TermsValues,
    success_metrics: &[SuccessMetric],
) -> Result<Terms> {
    let partner_terms_id: PartnerTermsId = engine.new_id();
    let integer = |value: u32| i32::try_from(value).map_err(Error::internal);
    sqlx::query!(
        "insert into partner_terms (partner_terms_id, partner_id, version, effective_from, commission_rate, success_bonus_rate,
                                    multiplier_cap, attribution_window_hours, hold_period_days, adjustment_window_days,
                                    payout_currency, created_at, created_by, attribution_model, attribution_minimum_seconds,
                                    minimum_payout_minor, success_metrics)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        partner_terms_id.0,
        partner_id.as_str(),
        version,
        effective_from,
        values.commission_rate,
        values.success_bonus_rate,
        values.multiplier_cap,
        integer(values.attribution_window_hours)?,
        integer(values.hold_period_days)?,
        integer(values.adjustment_window_days)?,
        values.payout_currency.code(),
        engine.now(),
        who.actor(),
        values.attribution_model as _,
        integer(values.attribution_minimum_seconds)?,
        values.minimum_payout_minor,
        Json(success_metrics) as _,
    )
    .execute(tx)
    .await?;
    Ok(Terms {
        partner_terms_id,
        partner_id: partner_id.clone(),
        version,
        effective_from,
        values: values.clone(),
        success_metrics: success_metrics.to_vec(),
    })
}

struct Row {
    partner_terms_id: uuid::Uuid,
    partner_id: String,
    version: i32,
    effective_from: DateTime<Utc>,
    commission_rate: Decimal,
    success_bonus_rate: Decimal,
    multiplier_cap: Decimal,
    attribution_window_hours: i32,
    hold_period_days: i32,
    adjustment_window_days: i32,
    payout_currency: String,
    attribution_model: Model,
    attribution_minimum_seconds: i32,
    minimum_payout_minor: i64,
    success_metrics: Json<Vec<SuccessMetric>>,
}

impl TryFrom<Row> for Terms {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        let unsigned = |value: i32| u32::try_from(value).map_err(Error::internal);
        Ok(Self {
            partner_terms_id: PartnerTermsId(row.partner_terms_id),
            partner_id: row.partner_id.parse().map_err(|error: domain::id::InvalidPartnerId| Error::internal(error))?,
            version: row.version,
            effective_from: row.effective_from,
            values: TermsValues {
                // The column pads with zeros: 0.200000.
                commission_rate: row.commission_rate.normalize(),
                success_bonus_rate: row.success_bonus_rate.normalize(),
                multiplier_cap: row.multiplier_cap.normalize(),
                attribution_window_hours: unsigned(row.attribution_window_hours)?,
                hold_period_days: unsigned(row.hold_period_days)?,
                adjustment_window_days: unsigned(row.adjustment_window_days)?,
                payout_currency: row.payout_currency.parse().map_err(|error: domain::money::UnknownCurrency| Error::internal(error))?,
                attribution_model: row.attribution_model,
                attribution_minimum_seconds: unsigned(row.attribution_minimum_seconds)?,
                minimum_payout_minor: row.minimum_payout_minor,
            },
            success_metrics: row.success_metrics.0,
        })
    }
}
