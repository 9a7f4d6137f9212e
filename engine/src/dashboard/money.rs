//! The dashboard's amounts. Those of different currencies are never added up or compared: one currency is the main one, the others stand
//! beside it.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, Utc};
use domain::{
    Currency, Money, PartnerId,
    dashboard::{Compared, Period, hour_of, midnight},
};
use sqlx::PgPool;

use super::{currency, partner_id};
use crate::Result;

/// What a partner's conversions of a period earned in one currency.
pub struct PartnerMoney {
    partner_id: PartnerId,
    pub in_period: bool,
    pub commission: Money,
    /// Conversions that were rated in this currency.
    rated: i64,
    /// In how many hours something was earned, net: what was booked and taken back in the same hour is nothing.
    pub hours: i64,
}

pub async fn by_partner(db: &PgPool, periods: Compared<Period>) -> Result<Vec<PartnerMoney>> {
    let rows = sqlx::query!(
        r#"select partner_id, currency, hour >= $1 as "in_period!", sum(commission_minor)::bigint as "commission_minor!",
                  sum(rated)::bigint as "rated!", count(*) filter (where commission_minor <> 0) as "hours!"
           from (
               select partner_id, currency, hour, sum(commission_minor) as commission_minor, sum(rated) as rated
               from hourly_money
               where hour >= $1 and hour < $2 or hour >= $3 and hour < $4
               group by 1, 2, 3
           ) as net
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
            let (partner_id, in_period) = (partner_id(row.partner_id)?, row.in_period);
            Ok(PartnerMoney { partner_id, in_period, commission, rated: row.rated, hours: row.hours })
        })
        .collect()
}

/// The currency in which the most hours (of each partner, if they are apart) earned something; US dollars if none did, and between equals.
pub fn main_currency(hours: impl Iterator<Item = (Currency, i64)>) -> Currency {
    let mut sums = BTreeMap::<Currency, i64>::new();
    for (currency, hours) in hours {
        *sums.entry(currency).or_default() += hours;
    }
    let most = sums.into_iter().filter(|(_, hours)| *hours > 0).max_by_key(|(currency, hours)| (*hours, *currency == Currency::USD));
    most.map_or(Currency::USD, |(currency, _)| currency)
}

/// What was earned in a currency, and by how many conversions.
pub fn sum(money: &[PartnerMoney], currency: Currency) -> (Compared<Money>, Compared<i64>) {
    let sum = |in_period: bool, figure: fn(&PartnerMoney) -> i64| -> i64 {
        money.iter().filter(|row| row.in_period == in_period && row.commission.currency == currency).map(figure).sum()
    };
    let compared = |figure| Compared { now: sum(true, figure), before: sum(false, figure) };
    (compared(|row| row.commission.amount_minor).map(|minor| Money::new(minor, currency)), compared(|row| row.rated))
}

/// What the period earned in the other currencies.
pub fn others(money: &[PartnerMoney], main: Currency) -> Vec<Money> {
    let in_period = money.iter().filter(|row| row.in_period);
    amounts(in_period.map(|row| row.commission), main).split_off(1)
}

/// What a partner earned in the period.
pub fn of_partner(money: &[PartnerMoney], partner_id: &PartnerId, main: Currency) -> Vec<Money> {
    let rows = money.iter().filter(|row| row.in_period && row.partner_id == *partner_id);
    let mut amounts = amounts(rows.map(|row| row.commission), main);
    amounts.retain(|amount| amount.amount_minor != 0);
    amounts
}

/// One amount per currency: the main one first, be it zero, then the others that are not.
pub fn amounts(amounts: impl IntoIterator<Item = Money>, main: Currency) -> Vec<Money> {
    let mut sums = BTreeMap::<Currency, i64>::new();
    for amount in amounts {
        *sums.entry(amount.currency).or_default() += amount.amount_minor;
    }
    let first = Money::new(sums.remove(&main).unwrap_or(0), main);
    let others = sums.into_iter().filter(|(_, minor)| *minor != 0).map(|(currency, minor)| Money::new(minor, currency));
    std::iter::once(first).chain(others).collect()
}

/// The day and the month that run, and the month before up to the same hour.
pub struct Calendar {
    /// One amount per currency; the first is that of `month`.
    pub today: Vec<Money>,
    pub month: Compared<Money>,
    /// Of this month, in the other currencies.
    pub other_month: Vec<Money>,
}

/// Its main currency is that of these two months, so that it does not change with the range that somebody looks at.
pub async fn calendar(db: &PgPool, now: DateTime<Utc>) -> Result<Calendar> {
    let today = now.date_naive();
    let month = NaiveDate::from_ymd_opt(today.year(), today.month(), 1).unwrap_or(today);
    let month_before = month - Months::new(1);
    let elapsed = hour_of(now) + Duration::hours(1) - midnight(month);
    let rows = sqlx::query!(
        r#"select currency,
                  coalesce(sum(commission_minor) filter (where hour >= $1), 0)::bigint as "today!",
                  coalesce(sum(commission_minor) filter (where hour >= $2), 0)::bigint as "month!",
                  coalesce(sum(commission_minor) filter (where hour < least($4, $2)), 0)::bigint as "month_before!",
                  count(*) filter (where commission_minor <> 0) as "hours!"
           from (
               select currency, hour, sum(commission_minor) as commission_minor
               from hourly_money
               where hour >= $3 and hour <= $5
               group by currency, hour
           ) as net
           group by currency"#,
        midnight(today),
        midnight(month),
        midnight(month_before),
        midnight(month_before) + elapsed,
        now,
    )
    .fetch_all(db)
    .await?;
    let currencies: Vec<Currency> = rows.iter().map(|row| currency(&row.currency)).collect::<Result<_>>()?;
    let main = main_currency(currencies.iter().copied().zip(rows.iter().map(|row| row.hours)));
    let per_currency =
        |minors: Vec<i64>| amounts(minors.into_iter().zip(&currencies).map(|(minor, currency)| Money::new(minor, *currency)), main);
    let mut month = per_currency(rows.iter().map(|row| row.month).collect());
    let other_month = month.split_off(1);
    let month_before = per_currency(rows.iter().map(|row| row.month_before).collect());
    let today = per_currency(rows.iter().map(|row| row.today).collect());
    Ok(Calendar { today, month: Compared { now: month[0], before: month_before[0] }, other_month })
}

/// What commissions have come to, whatever the range.
pub struct Owed {
    /// Rated, but not yet approved.
    pub held: Vec<Money>,
    /// Approved, on a statement or not, and not paid yet. What changed of one after it was paid stands on the next statement, and not here.
    pub approved: Vec<Money>,
    pub paid: Vec<Money>,
}

pub async fn owed(db: &PgPool) -> Result<Owed> {
    let rows = sqlx::query!(
        r#"select 'held' as "what!", currency as "currency!", sum(final_minor + bonus_minor)::bigint as "amount_minor!"
           from commissions
           where state = 'pending'
           group by currency
           union all
           select 'approved', currency, sum(final_minor + bonus_minor)::bigint
           from commissions
           where state in ('approved', 'invoiced')
           group by currency
           union all
           select 'paid', currency, sum(amount_minor)::bigint
           from payouts
           where state = 'paid'
           group by currency"#
    )
    .fetch_all(db)
    .await?;
    let of = |what: &str| -> Result<Vec<Money>> {
        rows.iter().filter(|row| row.what == what).map(|row| Ok(Money::new(row.amount_minor, currency(&row.currency)?))).collect()
    };
    Ok(Owed { held: of("held")?, approved: of("approved")?, paid: of("paid")? })
}
