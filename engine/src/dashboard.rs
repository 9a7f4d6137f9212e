//! The dashboard's figures, read from the hourly roll-ups, so that they cost the same however much traffic there was.

use std::{cmp::Reverse, collections::BTreeMap};

use chrono::{DateTime, Utc};
use domain::{
    Currency, PartnerId,
    auth::Principal,
    dashboard::{Bucket, Compared, Counts, Health, Metrics, PartnerFigures, Period, Point, Range, per},
};
use sqlx::PgPool;

use self::money::{PartnerMoney, amounts};
use crate::{Engine, Error, Result, access::require_read};

mod money;
mod recent;

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

    let (counts, money, calendar, owed, registered, recent_conversions, health) = tokio::try_join!(
        counts_by_partner(db, periods),
        money::by_partner(db, periods),
        money::calendar(db, now),
        money::owed(db),
        registered(db, periods),
        recent::conversions(db),
        health(db),
    )?;
    let currency = money::main_currency(money.iter().filter(|row| row.in_period).map(|row| (row.commission.currency, row.hours)));
    let series = series(db, periods.now, range.bucket(), currency).await?;

    let total = sum_counts(&counts, |_| true);
    let paying = sum_counts(&counts, |row| row.pays_in == Some(currency));
    let (commission, rated) = money::sum(&money, currency);
    Ok(Metrics {
        as_of: now,
        range,
        period: periods.now,
        currency,
        commission_today: calendar.today,
        commission_this_month: calendar.month,
        other_commissions_this_month: calendar.other_month,
        commission,
        held: amounts(owed.held, currency),
        approved: amounts(owed.approved, currency),
        paid: amounts(owed.paid, currency),
        other_commissions: money::others(&money, currency),
        counts: total,
        average_commission: Compared { now: per(commission.now, rated.now), before: per(commission.before, rated.before) },
        earnings_per_click: Compared { now: per(commission.now, paying.now.clicks), before: per(commission.before, paying.before.clicks) },
        new_developers: registered.developers,
        new_sites: registered.sites,
        top_partners: top_partners(&counts, &money, currency),
        recent_conversions,
        series,
        health,
    })
}

struct PartnerCounts {
    partner_id: PartnerId,
    display_name: String,
    /// What its terms of the time say; `None` before its first terms.
    pays_in: Option<Currency>,
    in_period: bool,
    counts: Counts,
}

/// A row per partner, period and currency that the partner paid in. Terms that begin within an hour count for the whole of it.
async fn counts_by_partner(db: &PgPool, periods: Compared<Period>) -> Result<Vec<PartnerCounts>> {
    let rows = sqlx::query!(
        r#"with terms as (
               select partner_id, payout_currency, effective_from as since,
                      lead(effective_from, 1, timestamptz 'infinity') over (partition by partner_id order by effective_from) as until
               from partner_terms
           )
           select partner_id, display_name, payout_currency as "payout_currency?", in_period as "in_period!",
                  impressions as "impressions!", clicks as "clicks!", clicks_uncounted as "clicks_uncounted!",
                  conversions as "conversions!", conversions_unattributed as "conversions_unattributed!", successes as "successes!"
           from (
               select h.partner_id, payout_currency, hour >= $1 as in_period,
                      sum(impressions)::bigint as impressions, sum(clicks)::bigint as clicks, sum(clicks_uncounted)::bigint as clicks_uncounted,
                      sum(conversions)::bigint as conversions, sum(conversions_unattributed)::bigint as conversions_unattributed,
                      sum(successes)::bigint as successes
               from hourly_counts h
               left join terms t on t.partner_id = h.partner_id
                                    and since < hour + interval '1 hour' and hour + interval '1 hour' <= until
               where hour >= $1 and hour < $2 or hour >= $3 and hour < $4
               group by 1, 2, 3
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
                pays_in: row.payout_currency.as_deref().map(currency).transpose()?,
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

fn sum_counts(rows: &[PartnerCounts], which: impl Fn(&PartnerCounts) -> bool) -> Compared<Counts> {
    let mut sum = Compared::<Counts>::default();
    for row in rows.iter().filter(|row| which(row)) {
        let into = if row.in_period { &mut sum.now } else { &mut sum.before };
        *into += row.counts;
    }
    sum
}

/// By commission, then conversions, then clicks. Where the range earned in several currencies, whose amounts cannot be compared, by
/// conversions first.
fn top_partners(counts: &[PartnerCounts], money: &[PartnerMoney], main: Currency) -> Vec<PartnerFigures> {
    let mut partners = BTreeMap::<&PartnerId, PartnerFigures>::new();
    for row in counts.iter().filter(|row| row.in_period) {
        let figures = partners.entry(&row.partner_id).or_insert_with(|| PartnerFigures {
            partner_id: row.partner_id.clone(),
            display_name: row.display_name.clone(),
            counts: Counts::default(),
            commissions: money::of_partner(money, &row.partner_id, main),
        });
        figures.counts += row.counts;
    }
    let is_one_currency = money::others(money, main).is_empty();
    let rank = |partner: &PartnerFigures| {
        let commission = partner.commissions.iter().find(|amount| is_one_currency && amount.currency == main);
        Reverse((commission.map_or(0, |amount| amount.amount_minor), partner.counts.conversions_attributed(), partner.counts.clicks))
    };
    let mut partners: Vec<_> = partners.into_values().collect();
    partners.sort_by_key(rank);
    partners.truncate(TOP_PARTNERS);
    partners
}

struct Registered {
    developers: Compared<i64>,
    sites: Compared<i64>,
}

async fn registered(db: &PgPool, periods: Compared<Period>) -> Result<Registered> {
    let row = sqlx::query!(
        r#"select count(*) filter (where is_site and is_now) as "sites_now!", count(*) filter (where is_site and not is_now) as "sites_before!",
                  count(*) filter (where not is_site and is_now) as "developers_now!",
                  count(*) filter (where not is_site and not is_now) as "developers_before!"
           from (
               select is_site, created_at >= $1 as is_now
               from (select true as is_site, created_at from sites union all select false, created_at from developers) as all_of_them
               where created_at >= $1 and created_at < $2 or created_at >= $3 and created_at < $4
           ) as registered"#,
        periods.now.from,
        periods.now.to,
        periods.before.from,
        periods.before.to,
    )
    .fetch_one(db)
    .await?;
    Ok(Registered {
        developers: Compared { now: row.developers_now, before: row.developers_before },
        sites: Compared { now: row.sites_now, before: row.sites_before },
    })
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
        r#"select date_trunc($1, hour, 'UTC') as "at!", sum(commission_minor)::bigint as "commission_minor!"
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

    let empty = |at| (at, Point { at, clicks: 0, conversions: 0, commission_minor: 0 });
    let mut points: BTreeMap<DateTime<Utc>, Point> = period.buckets(bucket).into_iter().map(empty).collect();
    for row in counts {
        if let Some(point) = points.get_mut(&row.at) {
            (point.clicks, point.conversions) = (row.clicks, row.conversions);
        }
    }
    for row in money {
        if let Some(point) = points.get_mut(&row.at) {
            point.commission_minor = row.commission_minor;
        }
    }
    Ok(points.into_values().collect())
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
