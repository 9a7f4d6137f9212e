//! What a conversion must earn and for whom, computed by whole numbers alone and without the code that the server computes it with.

mod money;
mod share;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{PartnerId, attribution::Model};

pub use money::{Counted, Rates};
pub use share::WHOLE;

use super::plan::{Achieved, Expected, Journey, Site, Touch, Value};
use money::Fraction;

/// A rate serves for so many days after its own.
const RATE_AGE_DAYS: i64 = 7;

/// What a partner's terms are from a time on.
#[derive(Clone, Debug)]
pub struct Version {
    pub from: DateTime<Utc>,
    pub model: Model,
    pub rates: Rates,
    pub metrics: HashMap<String, Counted>,
    pub currency: String,
    pub hold: TimeDelta,
    pub adjustment: TimeDelta,
}

/// A partner's terms, oldest first.
#[derive(Clone, Debug)]
pub struct Book {
    pub partner_id: PartnerId,
    pub versions: Vec<Version>,
}

impl Book {
    pub fn at(&self, at: DateTime<Utc>) -> &Version {
        self.versions.iter().rev().find(|version| version.from <= at).unwrap_or(&self.versions[0])
    }
}

/// What one euro costs: units in so many parts, such as 10823 and 10000 for 1.0823.
pub type PerEuro = HashMap<String, BTreeMap<NaiveDate, (i128, i128)>>;

/// What must be found of a conversion that somebody gets credit for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    pub currency: String,
    pub commission_minor: i64,
    pub bonus_minor: i64,
    /// The clicks that get more than nothing, oldest first: the click's number, billionths of the credit, minor units.
    pub parts: Vec<(usize, u64, i64)>,
    /// The hold period is over.
    pub approved: bool,
}

impl Truth {
    pub fn total_minor(&self) -> i64 {
        self.commission_minor + self.bonus_minor
    }
}

/// All that truth is derived from.
pub struct Facts<'a> {
    pub books: &'a [Book],
    pub per_euro: &'a PerEuro,
    /// By the developer's number and the partner.
    pub successes: HashMap<(usize, usize), Vec<&'a Achieved>>,
    /// The developer who owns a site.
    pub developer: fn(Site) -> usize,
    /// When the run began: what waits for a time is due if that was before.
    pub now: DateTime<Utc>,
}

impl<'a> Facts<'a> {
    pub fn new(
        books: &'a [Book],
        per_euro: &'a PerEuro,
        journeys: &'a [Journey],
        developer: fn(Site) -> usize,
        now: DateTime<Utc>,
    ) -> Self {
        let mut successes: HashMap<_, Vec<_>> = HashMap::new();
        for achieved in journeys.iter().flat_map(|journey| &journey.successes) {
            successes.entry((developer(achieved.site), achieved.partner)).or_default().push(achieved);
        }
        Self { books, per_euro, successes, developer, now }
    }

    /// `None` if nobody gets credit.
    pub fn truth(&self, expected: &Expected) -> Option<Truth> {
        let credit = expected.credit.as_ref()?;
        let version = self.books[expected.partner].at(expected.at);
        let times: Vec<_> = credit.touches.iter().map(|touch| touch.at).collect();
        let shares = share::shares(version.model, &times, credit.last);
        let credited = credit.touches.iter().copied().zip(shares).filter(|(_, share)| *share > 0);
        let (touches, shares): (Vec<Touch>, Vec<u64>) = credited.unzip();

        let counted = self.counted(expected, version, touches.iter().map(|touch| touch.site));
        let value = self.value(expected, &version.currency);
        let (commission_minor, bonus_minor) = money::commission(value, &version.rates, &counted);
        let split = share::split(commission_minor + bonus_minor, &shares);
        let parts = touches.iter().zip(&shares).zip(split).map(|((touch, share), minor)| (touch.click, *share, minor)).collect();
        let approved = expected.at + version.hold <= self.now;
        Some(Truth { currency: version.currency.clone(), commission_minor, bonus_minor, parts, approved })
    }

    /// The metrics that developers of these sites achieved in time, each once.
    fn counted(&self, expected: &Expected, version: &Version, sites: impl Iterator<Item = Site>) -> Vec<Counted> {
        let latest = expected.at + version.adjustment;
        // Told during the run, which is when it is verified.
        let in_time = |success: &Achieved| success.at <= latest && self.now <= latest;
        let valid = |success: &Achieved| success.expires_at.is_none_or(|expiry| expiry > expected.at);
        let known = sites.filter_map(|site| self.successes.get(&((self.developer)(site), expected.partner))).flatten();
        let mut metrics: Vec<&str> =
            known.filter(|success| in_time(success) && valid(success)).map(|success| success.metric.as_str()).collect();
        metrics.sort_unstable();
        metrics.dedup();
        metrics.into_iter().filter_map(|metric| version.metrics.get(metric).copied()).collect()
    }

    /// What is left of the value, in minor units of `currency`.
    fn value(&self, expected: &Expected, currency: &str) -> Fraction {
        let Value { minor, currency: own, digits } = expected.value;
        let value = Fraction::new(i128::from(minor - expected.reversed_minor), 1);
        if own == currency {
            return value;
        }
        let day = expected.at.date_naive();
        let (from, to) = rate(self.per_euro, own, currency, day).expect("the run imported a rate for every day in the end");
        let unit = |digits: u32| 10_i128.pow(digits);
        value
            .multiplied(Fraction::new(to.0, to.1))
            .multiplied(Fraction::new(from.1, from.0))
            .multiplied(Fraction::new(unit(digits_of(currency)), unit(digits)))
    }
}

type PerEuroOnDay = (i128, i128);

/// The rates of both currencies on the last day that has both and serves for `day`.
pub fn rate(per_euro: &PerEuro, from: &str, to: &str, day: NaiveDate) -> Option<(PerEuroOnDay, PerEuroOnDay)> {
    let on = |currency: &str, day: NaiveDate| if currency == "EUR" { Some((1, 1)) } else { per_euro.get(currency)?.get(&day).copied() };
    let both = |day| Some((on(from, day)?, on(to, day)?));
    // The euro has a rate on every day, but two of them would be the same currency.
    (0..=RATE_AGE_DAYS).find_map(|age| both(day - TimeDelta::days(age)))
}

/// Of the currencies that the simulator uses.
pub fn digits_of(currency: &str) -> u32 {
    if currency == "JPY" { 0 } else { 2 }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::simulate::plan::Credit;

    fn day(day: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(day)
    }

    fn version(from: i64, model: Model, commission_ppm: i128) -> Version {
        Version {
            from: day(from),
            model,
            rates: Rates { commission_ppm, bonus_ppm: 500_000, cap_ppm: 3_000_000 },
            metrics: HashMap::from([("m".to_owned(), Counted { multiplier_ppm: 1_500_000, milestone: true })]),
            currency: "USD".to_owned(),
            hold: TimeDelta::days(2),
            adjustment: TimeDelta::days(3),
        }
    }

    fn book() -> Vec<Book> {
        let versions = vec![version(0, Model::Linear, 200_000), version(90, Model::LastTouch, 100_000)];
        vec![Book { partner_id: "p1".parse().unwrap(), versions }]
    }

    fn sale(at: i64, value: Value) -> Expected {
        let touch = |click, at| Touch { click, site: Site::Shared(click), at: day(at) };
        let credit = Some(Credit { touches: vec![touch(0, at - 1), touch(1, at)], last: 1 });
        Expected { partner: 0, id: "order".to_owned(), value, at: day(at), credit, reversed_minor: 0 }
    }

    const DOLLARS: Value = Value { minor: 10_001, currency: "USD", digits: 2 };

    #[test]
    fn the_terms_of_its_time_rate_a_conversion() {
        let (books, per_euro) = (book(), PerEuro::new());
        let facts = Facts::new(&books, &per_euro, &[], |_| 0, day(100));
        let before = facts.truth(&sale(89, DOLLARS)).unwrap();
        assert_eq!((before.commission_minor, before.parts), (2000, vec![(0, WHOLE / 2, 1000), (1, WHOLE / 2, 1000)]));
        let after = facts.truth(&sale(90, DOLLARS)).unwrap();
        assert_eq!((after.commission_minor, after.parts), (1000, vec![(1, WHOLE, 1000)]));
        assert!(after.approved && !facts.truth(&sale(99, DOLLARS)).unwrap().approved);
    }

    #[test]
    fn a_success_counts_for_its_developer_while_the_adjustment_window_is_open() {
        let (books, per_euro) = (book(), PerEuro::new());
        let achieved = Achieved { site: Site::Shared(1), partner: 0, metric: "m".to_owned(), at: day(98), expires_at: None };
        let journeys = [Journey { successes: vec![achieved], ..Journey::default() }];
        let developer: fn(Site) -> usize = |site| usize::from(site == Site::Shared(1));
        let facts = Facts::new(&books, &per_euro, &journeys, developer, day(100));
        let amounts = |at| facts.truth(&sale(at, DOLLARS)).map(|truth| (truth.commission_minor, truth.bonus_minor)).unwrap();
        assert_eq!(amounts(98), (1500, 500));
        assert_eq!(amounts(95), (1000, 0));
        assert_eq!(amounts(97), (1500, 500));
    }

    #[test]
    fn another_currency_is_converted_at_the_last_rate_before_its_day() {
        let books = book();
        let rates = |rates: &[(i64, i128)]| rates.iter().map(|(at, rate)| (day(*at).date_naive(), (*rate, 100))).collect();
        let per_euro =
            PerEuro::from([("JPY".to_owned(), rates(&[(90, 15_000), (95, 20_000)])), ("USD".to_owned(), rates(&[(90, 120), (94, 500)]))]);
        let facts = Facts::new(&books, &per_euro, &[], |_| 0, day(100));
        let yen = Value { minor: 1500, currency: "JPY", digits: 0 };
        // 1500 yen are 10 euros or 12 dollars by the rates of day 90, the last that has both.
        assert_eq!(facts.truth(&sale(96, yen)).unwrap().commission_minor, 120);
        assert_eq!(rate(&per_euro, "JPY", "USD", day(98).date_naive()), None);
        assert_eq!(rate(&per_euro, "JPY", "EUR", day(98).date_naive()), Some(((20_000, 100), (1, 1))));
    }
}
