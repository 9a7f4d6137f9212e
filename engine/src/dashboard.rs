//! The dashboard's figures, read from the hourly roll-ups, so that they cost the same however much traffic there was.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, Utc};
use domain::{
    ConversionId, Currency, Money, PartnerId, SiteId,
    auth::Principal,
    conversion::{ConversionState, ConversionType},
    dashboard::{
        Bucket, Compared, Counts, Health, Metrics, PartnerFigures, Period, Point, Range, RecentConversion, hour_of, midnight, per,
    },
};
use sqlx::PgPool;

use crate::{Engine, Error, Result, access::require_read};

/// The newest ones fit on a screen; the rest has pages of its own.
const RECENT_CONVERSIONS: i64 = 20;
const TOP_PARTNERS: usize = 8;

/// All figures of a range, as of now.
///
/// # Errors
/// Refuses who may not read.
pub async fn metrics(engine: &Engine, who: &Principal, range: Range) -> Result<Metrics> {
    require_read(who, "see the dashboard")?;
    let db = &engine.db;
    let now = engine.now();
    let periods = Compared { now: range.period(now), before: range.period_before(now) };

    let (counts, money, held, new_sites, recent_conversions, health) = tokio::try_join!(
        counts_by_partner(db, periods),
        money_by_partner(db, periods),
        held(db),
        new_sites(db, periods),
        recent_conversions(db),
        health(db),
    )?;
    let currency = main_currency(&money);
    let (calendar, series) = tokio::try_join!(calendar(db, currency, now), series(db, periods.now, range.bucket(), currency))?;

    let total = sum_counts(counts.iter());
    let commission = sum_commission(&money, currency);
    let other_commissions = other_commissions(&money, currency);
    let rated =
        if other_commissions.is_empty() { total.map(Counts::conversions_attributed) } else { rated_in(db, periods, currency).await? };
    Ok(Metrics {
        as_of: now,
        range,
        period: periods.now,
        currency,
        commission_today: calendar.today,
        commission_this_month: calendar.month,
        commission,
        held: main_first(held, currency),
        other_commissions,
        counts: total,
        average_commission: Compared { now: per(commission.now, rated.now), before: per(commission.before, rated.before) },
        earnings_per_click: Compared { now: per(commission.now, total.now.clicks), before: per(commission.before, total.before.clicks) },
        new_sites,
        top_partners: top_partners(&counts, &money, currency),
        recent_conversions,
        series,
        health,
    })
}

struct PartnerCounts {
    partner_id: PartnerId,
    display_name: String,
    in_period: bool,
    counts: Counts,
}

async fn counts_by_partner(db: &PgPool, periods: Compared<Period>) -> Result<Vec<PartnerCounts>> {
    let rows = sqlx::query!(
        r#"select partner_id, display_name, in_period as "in_period!",
                  impressions as "impressions!", clicks as "clicks!", clicks_uncounted as "clicks_uncounted!",
                  conversions as "conversions!", conversions_unattributed as "conversions_unattributed!", successes as "successes!"
           from (
               select partner_id, hour >= $1 as in_period,
                      sum(impressions)::bigint as impressions, sum(clicks)::bigint as clicks, sum(clicks_uncounted)::bigint as clicks_uncounted,
                      sum(conversions)::bigint as conversions, sum(conversions_unattributed)::bigint as conversions_unattributed,
                      sum(successes)::bigint as successes
               from hourly_counts
               where hour >= $1 and hour < $2 or hour >= $3 and hour < $4
               group by 1, 2
           ) as counted
           join partners using (partner_id)"#,
        periods.now.from,
        periods.now.to,
        periods.before.from,
        periods.before.to,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(PartnerCounts {
                partner_id: partner_id(row.partner_id)?,
                display_name: row.display_name,
                in_period: row.in_period,
                counts: Counts {
                    impressions: row.impressions,
                    clicks: row.clicks,
                    clicks_uncounted: row.clicks_uncounted,
                    conversions: row.conversions,
                    conversions_unattributed: row.conversions_unattributed,
                    successes: row.successes,
                },
            })
        })
        .collect()
}

struct PartnerMoney {
    partner_id: PartnerId,
    in_period: bool,
    commission: Money,
    /// In how many hours something was earned.
    hours: i64,
}

async fn money_by_partner(db: &PgPool, periods: Compared<Period>) -> Result<Vec<PartnerMoney>> {
    let rows = sqlx::query!(
        r#"select partner_id, currency, hour >= $1 as "in_period!", sum(commission_minor)::bigint as "commission_minor!",
                  count(distinct hour) filter (where commission_minor <> 0) as "hours!"
           from hourly_money
           where hour >= $1 and hour < $2 or hour >= $3 and hour < $4
           group by 1, 2, 3"#,
        periods.now.from,
        periods.now.to,
        periods.before.from,
        periods.before.to,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let commission = Money::new(row.commission_minor, currency(&row.currency)?);
            Ok(PartnerMoney { partner_id: partner_id(row.partner_id)?, in_period: row.in_period, commission, hours: row.hours })
        })
        .collect()
}

/// The currency in which the most hours of the range earned something: amounts of two currencies cannot be compared.
/// US dollars if none did, and between equals.
fn main_currency(money: &[PartnerMoney]) -> Currency {
    let mut hours = BTreeMap::<Currency, i64>::new();
    for row in money.iter().filter(|row| row.in_period) {
        *hours.entry(row.commission.currency).or_default() += row.hours;
    }
    let most = hours.into_iter().filter(|(_, hours)| *hours > 0).max_by_key(|(currency, hours)| (*hours, *currency == Currency::USD));
    most.map_or(Currency::USD, |(currency, _)| currency)
}

fn sum_commission(money: &[PartnerMoney], currency: Currency) -> Compared<Money> {
    let sum = |in_period: bool| {
        let rows = money.iter().filter(|row| row.in_period == in_period && row.commission.currency == currency);
        Money::new(rows.map(|row| row.commission.amount_minor).sum(), currency)
    };
    Compared { now: sum(true), before: sum(false) }
}

fn other_commissions(money: &[PartnerMoney], main: Currency) -> Vec<Money> {
    let mut sums = BTreeMap::<Currency, i64>::new();
    for row in money.iter().filter(|row| row.in_period && row.commission.currency != main) {
        *sums.entry(row.commission.currency).or_default() += row.commission.amount_minor;
    }
    sums.into_iter().filter(|(_, minor)| *minor != 0).map(|(currency, minor)| Money::new(minor, currency)).collect()
}

fn sum_counts<'a>(rows: impl Iterator<Item = &'a PartnerCounts>) -> Compared<Counts> {
    let mut sum = Compared::<Counts>::default();
    for row in rows {
        let into = if row.in_period { &mut sum.now } else { &mut sum.before };
        into.impressions += row.counts.impressions;
        into.clicks += row.counts.clicks;
        into.clicks_uncounted += row.counts.clicks_uncounted;
        into.conversions += row.counts.conversions;
        into.conversions_unattributed += row.counts.conversions_unattributed;
        into.successes += row.counts.successes;
    }
    sum
}

/// By commission, then conversions, then clicks.
fn top_partners(counts: &[PartnerCounts], money: &[PartnerMoney], currency: Currency) -> Vec<PartnerFigures> {
    let commission = |partner: &PartnerId| {
        let rows = money.iter().filter(|row| row.in_period && row.partner_id == *partner && row.commission.currency == currency);
        Money::new(rows.map(|row| row.commission.amount_minor).sum(), currency)
    };
    let mut partners: Vec<_> = counts
        .iter()
        .filter(|row| row.in_period)
        .map(|row| PartnerFigures {
            partner_id: row.partner_id.clone(),
            display_name: row.display_name.clone(),
            counts: row.counts,
            commission: commission(&row.partner_id),
        })
        .collect();
    partners.sort_by_key(|partner| std::cmp::Reverse((partner.commission.amount_minor, partner.counts.conversions, partner.counts.clicks)));
    partners.truncate(TOP_PARTNERS);
    partners
}

/// How many conversions were rated in a currency: only counted where the roll-up, which counts them all, does not say.
async fn rated_in(db: &PgPool, periods: Compared<Period>, currency: Currency) -> Result<Compared<i64>> {
    let row = sqlx::query!(
        r#"select count(*) filter (where occurred_at >= $1) as "now!", count(*) filter (where occurred_at < $1) as "before!"
           from conversions
           where (occurred_at >= $1 and occurred_at < $2 or occurred_at >= $3 and occurred_at < $4)
               and state = 'attributed' and currency = $5"#,
        periods.now.from,
        periods.now.to,
        periods.before.from,
        periods.before.to,
        currency.code(),
    )
    .fetch_one(db)
    .await?;
    Ok(Compared { now: row.now, before: row.before })
}

/// Rated, but not yet approved.
async fn held(db: &PgPool) -> Result<Vec<Money>> {
    let rows = sqlx::query!(
        r#"select currency, sum(final_minor + bonus_minor)::bigint as "amount_minor!"
           from commissions
           where state = 'pending'
           group by currency
           order by currency"#
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok(Money::new(row.amount_minor, currency(&row.currency)?))).collect()
}

fn main_first(mut amounts: Vec<Money>, main: Currency) -> Vec<Money> {
    amounts.retain(|amount| amount.amount_minor != 0);
    amounts.sort_by_key(|amount| amount.currency != main);
    if amounts.first().is_none_or(|first| first.currency != main) {
        amounts.insert(0, Money::new(0, main));
    }
    amounts
}

struct Calendar {
    today: Money,
    month: Compared<Money>,
}

/// The day and the month that run, and the month before up to the same hour.
async fn calendar(db: &PgPool, currency: Currency, now: DateTime<Utc>) -> Result<Calendar> {
    let today = now.date_naive();
    let month = NaiveDate::from_ymd_opt(today.year(), today.month(), 1).unwrap_or(today);
    let month_before = month - Months::new(1);
    let elapsed = hour_of(now) + Duration::hours(1) - midnight(month);
    let row = sqlx::query!(
        r#"select coalesce(sum(commission_minor) filter (where hour >= $2), 0)::bigint as "today!",
                  coalesce(sum(commission_minor) filter (where hour >= $3), 0)::bigint as "month!",
                  coalesce(sum(commission_minor) filter (where hour < least($5, $3)), 0)::bigint as "month_before!"
           from hourly_money
           where currency = $1 and hour >= $4 and hour <= $6"#,
        currency.code(),
        midnight(today),
        midnight(month),
        midnight(month_before),
        midnight(month_before) + elapsed,
        now,
    )
    .fetch_one(db)
    .await?;
    let money = |minor| Money::new(minor, currency);
    Ok(Calendar { today: money(row.today), month: Compared { now: money(row.month), before: money(row.month_before) } })
}

async fn new_sites(db: &PgPool, periods: Compared<Period>) -> Result<Compared<i64>> {
    let row = sqlx::query!(
        r#"select count(*) filter (where created_at >= $1) as "now!", count(*) filter (where created_at < $1) as "before!"
           from sites
           where created_at >= $1 and created_at < $2 or created_at >= $3 and created_at < $4"#,
        periods.now.from,
        periods.now.to,
        periods.before.from,
        periods.before.to,
    )
    .fetch_one(db)
    .await?;
    Ok(Compared { now: row.now, before: row.before })
}

/// A point for each bucket, also for those where nothing happened.
async fn series(db: &PgPool, period: Period, bucket: Bucket, currency: Currency) -> Result<Vec<Point>> {
    let unit = match bucket {
        Bucket::Hour => "hour",
        Bucket::Day => "day",
    };
    let counts = sqlx::query!(
        r#"select date_trunc($1, hour, 'UTC') as "at!", sum(clicks)::bigint as "clicks!", sum(conversions)::bigint as "conversions!"
           from hourly_counts
           where hour >= $2 and hour < $3
           group by 1"#,
        unit,
        period.from,
        period.to,
    )
    .fetch_all(db);
    let money = sqlx::query!(
        r#"select date_trunc($1, hour, 'UTC') as "at!", sum(value_minor)::bigint as "value_minor!",
                  sum(commission_minor)::bigint as "commission_minor!"
           from hourly_money
           where hour >= $2 and hour < $3 and currency = $4
           group by 1"#,
        unit,
        period.from,
        period.to,
        currency.code(),
    )
    .fetch_all(db);
    let (counts, money) = tokio::try_join!(counts, money)?;

    let empty = |at| (at, Point { at, clicks: 0, conversions: 0, value_minor: 0, commission_minor: 0 });
    let mut points: BTreeMap<DateTime<Utc>, Point> = period.buckets(bucket).into_iter().map(empty).collect();
    for row in counts {
        if let Some(point) = points.get_mut(&row.at) {
            (point.clicks, point.conversions) = (row.clicks, row.conversions);
        }
    }
    for row in money {
        if let Some(point) = points.get_mut(&row.at) {
            (point.value_minor, point.commission_minor) = (row.value_minor, row.commission_minor);
        }
    }
    Ok(points.into_values().collect())
}

/// The newest conversions by the time they came in, with the click that has the last say.
async fn recent_conversions(db: &PgPool) -> Result<Vec<RecentConversion>> {
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

/// What waits for its customer is no sign of a queue that is slow.
async fn health(db: &PgPool) -> Result<Health> {
    let row = sqlx::query!(
        r#"select (select count(*) from webhook_deliveries
                   where state in ('received', 'retrying') and num_nonnulls(awaited_session_id, awaited_user_identifier) = 0) as "waiting!",
                  (select min(received_at) from webhook_deliveries
                   where state in ('received', 'retrying') and num_nonnulls(awaited_session_id, awaited_user_identifier) = 0) as oldest_waiting_at,
                  (select count(*) from webhook_deliveries where state = 'dead') as "dead!",
                  (select count(*) from ledger_unsealed) as "unsealed!""#
    )
    .fetch_one(db)
    .await?;
    Ok(Health {
        deliveries_waiting: row.waiting,
        deliveries_dead: row.dead,
        oldest_waiting_at: row.oldest_waiting_at,
        transactions_unsealed: row.unsealed,
    })
}

fn partner_id(text: String) -> Result<PartnerId> {
    PartnerId::try_from(text).map_err(Error::internal)
}

fn currency(code: &str) -> Result<Currency> {
    code.parse().map_err(Error::internal)
}

#[cfg(test)]
mod tests;
