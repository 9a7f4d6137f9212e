//! What the dashboard shows: figures of a period beside those of the period before.

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
/// `currency`, the others stand beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    pub as_of: DateTime<Utc>,
    pub range: Range,
    pub period: Period,
    /// The currency with the most conversions in the range.
    pub currency: Currency,
    pub commission_today: Money,
    /// This month so far, beside the same part of the month before.
    pub commission_this_month: Compared<Money>,
    pub commission: Compared<Money>,
    /// Rated, but still in its hold period; one amount per currency, the main one first.
    pub held: Vec<Money>,
    /// Commissions of the range in the currencies beside the main one.
    pub other_commissions: Vec<Money>,
    pub counts: Compared<Counts>,
    /// Commission per conversion of the main currency; absent without conversions.
    pub average_commission: Compared<Option<Money>>,
    /// Earnings per click; absent without clicks.
    pub earnings_per_click: Compared<Option<Money>>,
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

/// `None` when there was nothing before to compare with.
pub fn growth(now: i64, before: i64) -> Option<Ratio> {
    (before > 0).then(|| Ratio { part: now - before, whole: before })
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
    /// In the main currency.
    pub commission: Money,
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
    pub value_minor: i64,
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
    fn growth_needs_something_to_grow_from() {
        assert_eq!(growth(5, 0), None);
        assert_eq!(growth(15, 10).and_then(Ratio::basis_points), Some(5000));
        assert_eq!(growth(-5, 10).and_then(Ratio::basis_points), Some(-15_000));
    }

    #[test]
    fn an_amount_is_shared_out_half_even() {
        assert_eq!(per(Money::new(5, Currency::USD), 2), Some(Money::new(2, Currency::USD)));
        assert_eq!(per(Money::new(7, Currency::USD), 2), Some(Money::new(4, Currency::USD)));
        assert_eq!(per(Money::new(7, Currency::USD), 0), None);
    }
}
