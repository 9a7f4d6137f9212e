//! What the dashboard shows: figures of a period beside those of the period before.

use std::ops::AddAssign;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    ConversionId, Currency, Money, PartnerId, SiteId,
    conversion::{ConversionState, ConversionType},
    money::round_minor,
};

mod range;

pub use range::{Bucket, InvalidRange, MAX_CUSTOM_DAYS, Period, Range, hour_of, midnight};

/// Everything on the dashboard, read at one moment. Money is never added up over currencies: figures are in the main
/// `currency`, the others stand beside it. A conversion and all that comes of it belong to the time at which it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    pub as_of: DateTime<Utc>,
    pub range: Range,
    pub period: Period,
    /// The currency in which the most hours of the range earned something.
    pub currency: Currency,
    /// One amount per currency. The first is the main one of this month and the month before, whatever the range.
    pub commission_today: Vec<Money>,
    /// This month so far, beside the same part of the month before, in the first currency of `commission_today`.
    pub commission_this_month: Compared<Money>,
    /// Commissions of this month in the other currencies.
    pub other_commissions_this_month: Vec<Money>,
    pub commission: Compared<Money>,
    /// Rated, but still in its hold period; one amount per currency, the main one first, as in the two that follow.
    pub held: Vec<Money>,
    /// Approved and not paid yet.
    pub approved: Vec<Money>,
    pub paid: Vec<Money>,
    /// Commissions of the range in the currencies beside the main one.
    pub other_commissions: Vec<Money>,
    pub counts: Compared<Counts>,
    /// Commission per conversion that was rated in the main currency; absent without such conversions.
    pub average_commission: Compared<Option<Money>>,
    /// Commission per click on offers that pay in the main currency; absent without such clicks.
    pub earnings_per_click: Compared<Option<Money>>,
    pub new_developers: Compared<i64>,
    pub new_sites: Compared<i64>,
    pub top_partners: Vec<PartnerFigures>,
    pub recent_conversions: Vec<RecentConversion>,
    /// One point per bucket of the range, also where nothing happened.
    pub series: Vec<Point>,
    pub health: Health,
}

/// A figure and what it was in the period before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared<T> {
    pub now: T,
    pub before: T,
}

impl<T> Compared<T> {
    pub fn map<U>(self, figure: impl Fn(T) -> U) -> Compared<U> {
        Compared { now: figure(self.now), before: figure(self.before) }
    }
}

impl<T> Compared<Option<T>> {
    /// Both figures; `None` if one is absent, since that is nothing to compare with.
    pub fn both(self) -> Option<Compared<T>> {
        Some(Compared { now: self.now?, before: self.before? })
    }
}

/// What was counted in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub impressions: i64,
    pub clicks: i64,
    /// Bots, prefetches and repeats.
    pub clicks_uncounted: i64,
    /// All that came in, with and without a click.
    pub conversions: i64,
    pub conversions_unattributed: i64,
    /// Verified successes.
    pub successes: i64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.impressions += other.impressions;
        self.clicks += other.clicks;
        self.clicks_uncounted += other.clicks_uncounted;
        self.conversions += other.conversions;
        self.conversions_unattributed += other.conversions_unattributed;
        self.successes += other.successes;
    }
}

impl Counts {
    pub fn conversions_attributed(self) -> i64 {
        self.conversions - self.conversions_unattributed
    }

    /// Attributed conversions per counted click.
    pub fn conversion_rate(self) -> Ratio {
        Ratio { part: self.conversions_attributed(), whole: self.clicks }
    }

    /// Conversions that found their click, among all that came in.
    pub fn attribution_rate(self) -> Ratio {
        Ratio { part: self.conversions_attributed(), whole: self.conversions }
    }

    pub fn click_rate(self) -> Ratio {
        Ratio { part: self.clicks, whole: self.impressions }
    }
}

/// A share, kept exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio {
    pub part: i64,
    pub whole: i64,
}

impl Ratio {
    /// In basis points, rounded half-even; `None` of nothing.
    pub fn basis_points(self) -> Option<i64> {
        (self.whole != 0).then(|| round_minor(Decimal::from(self.part) * Decimal::from(10_000) / Decimal::from(self.whole))).flatten()
    }
}

/// How a figure stands to that of the period before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    Same,
    /// There was nothing before.
    New,
    /// By this share of what was before.
    By(Ratio),
    /// More than before, which was below zero: no share of that means anything.
    Up,
    /// Less than before, which was zero or below.
    Down,
}

pub fn growth(now: i64, before: i64) -> Growth {
    match before {
        _ if now == before => Growth::Same,
        1.. => Growth::By(Ratio { part: now - before, whole: before }),
        0 if now > 0 => Growth::New,
        _ if now > before => Growth::Up,
        _ => Growth::Down,
    }
}

/// An amount shared out over a count, rounded half-even; `None` over nothing.
pub fn per(amount: Money, count: i64) -> Option<Money> {
    (count != 0)
        .then(|| round_minor(Decimal::from(amount.amount_minor) / Decimal::from(count)))
        .flatten()
        .map(|minor| Money::new(minor, amount.currency))
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerFigures {
    pub partner_id: PartnerId,
    pub display_name: String,
    pub counts: Counts,
    /// One amount per currency, the main one first; empty if nothing was earned.
    pub commissions: Vec<Money>,
}

/// A conversion with its click and its commission, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentConversion {
    pub conversion_id: ConversionId,
    pub conversion_type: ConversionType,
    pub occurred_at: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    pub partner_id: PartnerId,
    pub partner_name: String,
    pub site: Option<(SiteId, String)>,
    /// What refunds have left of it.
    pub value: Money,
    pub commission: Option<Money>,
    /// `pending`, `approved`, `invoiced`, `paid` or `reversed`.
    pub commission_state: Option<String>,
    pub state: ConversionState,
    pub state_reason: Option<String>,
    pub matched_by: Option<String>,
}

/// One step of the series over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub at: DateTime<Utc>,
    pub clicks: i64,
    pub conversions: i64,
    /// In the main currency.
    pub commission_minor: i64,
}

/// Whether work waits or was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub deliveries_waiting: i64,
    pub deliveries_dead: i64,
    pub oldest_waiting_at: Option<DateTime<Utc>>,
    /// Ledger transactions that wait for their seal.
    pub transactions_unsealed: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_of_nothing_is_nothing() {
        assert_eq!(Ratio { part: 0, whole: 0 }.basis_points(), None);
        assert_eq!(Ratio { part: 1, whole: 3 }.basis_points(), Some(3333));
        assert_eq!(Counts::default().conversion_rate().basis_points(), None);
    }

    #[test]
    fn growth_is_a_share_only_of_something() {
        assert_eq!(growth(15, 10), Growth::By(Ratio { part: 5, whole: 10 }));
        assert_eq!(growth(-5, 10), Growth::By(Ratio { part: -15, whole: 10 }));
        assert_eq!([growth(5, 0), growth(-5, 0), growth(0, 0)], [Growth::New, Growth::Down, Growth::Same]);
        assert_eq!([growth(1000, -5000), growth(-6000, -5000), growth(0, -1)], [Growth::Up, Growth::Down, Growth::Up]);
    }

    #[test]
    fn what_is_absent_is_compared_with_nothing() {
        assert_eq!(Compared { now: None, before: Some(3) }.both(), None);
        assert_eq!(Compared { now: Some(4), before: None }.both(), None);
        assert_eq!(Compared { now: Some(4), before: Some(3) }.both(), Some(Compared { now: 4, before: 3 }));
    }

    #[test]
    fn an_amount_is_shared_out_half_even() {
        assert_eq!(per(Money::new(5, Currency::USD), 2), Some(Money::new(2, Currency::USD)));
        assert_eq!(per(Money::new(7, Currency::USD), 2), Some(Money::new(4, Currency::USD)));
        assert_eq!(per(Money::new(7, Currency::USD), 0), None);
    }
}
