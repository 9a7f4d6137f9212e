//! The period that a page looks at, as it stands in the URL. All days and hours are UTC.

use std::fmt;

use chrono::{DateTime, Duration, DurationRound, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

/// 366 days: a whole leap year; more daily points than a chart can show.
pub const MAX_CUSTOM_DAYS: i64 = 366;

/// `?range=24h`, `7d`, `30d` or `90d`, or `?from=2026-11-01&to=2026-11-22` with both days included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    Last24Hours,
    Last7Days,
    #[default]
    Last30Days,
    Last90Days,
    Custom {
        from: NaiveDate,
        to: NaiveDate,
    },
}

/// Why a query names no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    #[error("range `{0}` is not one of 24h, 7d, 30d and 90d")]
    UnknownName(String),
    #[error("{field} `{text}` is not a date such as 2026-11-22")]
    NotADate { field: &'static str, text: String },
    #[error("a custom range needs both days; `{0}` is missing")]
    MissingDay(&'static str),
    #[error("the range ends on {to}, before it starts on {from}")]
    Backwards { from: NaiveDate, to: NaiveDate },
    #[error("the range has {days} days, more than {MAX_CUSTOM_DAYS}")]
    TooLong { days: i64 },
}

/// The steps of a series over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    Hour,
    Day,
}

/// Whole hours from `from` up to, not including, `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Range {
    /// The ranges with a name, in the order in which a picker offers them.
    pub const NAMED: [Self; 4] = [Self::Last24Hours, Self::Last7Days, Self::Last30Days, Self::Last90Days];

    /// Reads the query's values; an absent or empty one counts as not given, and none at all is the default.
    ///
    /// # Errors
    /// [`InvalidRange`] names the value that is wrong.
    pub fn parse(name: Option<&str>, from: Option<&str>, to: Option<&str>) -> Result<Self, InvalidRange> {
        let given = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        match (given(name), given(from), given(to)) {
            (None, None, None) => Ok(Self::default()),
            (Some(name), None, None) => {
                Self::NAMED.into_iter().find(|range| range.name() == Some(name.as_str())).ok_or(InvalidRange::UnknownName(name))
            }
            (_, None, _) => Err(InvalidRange::MissingDay("from")),
            (_, _, None) => Err(InvalidRange::MissingDay("to")),
            (_, Some(from), Some(to)) => Self::custom(parse_day("from", &from)?, parse_day("to", &to)?),
        }
    }

    /// Reads what [`Display`](fmt::Display) writes; other keys are ignored.
    ///
    /// # Errors
    /// As [`Range::parse`].
    pub fn from_query(query: &str) -> Result<Self, InvalidRange> {
        let value =
            |key: &str| query.split('&').find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key)).map(|(_, value)| value);
        Self::parse(value("range"), value("from"), value("to"))
    }

    /// The days `from` to `to`, both included.
    ///
    /// # Errors
    /// [`InvalidRange::Backwards`] and [`InvalidRange::TooLong`].
    pub fn custom(from: NaiveDate, to: NaiveDate) -> Result<Self, InvalidRange> {
        let days = (to - from).num_days() + 1;
        match days {
            ..=0 => Err(InvalidRange::Backwards { from, to }),
            1..=MAX_CUSTOM_DAYS => Ok(Self::Custom { from, to }),
            _ => Err(InvalidRange::TooLong { days }),
        }
    }

    /// What stands in the query for a range with a name.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Last24Hours => Some("24h"),
            Self::Last7Days => Some("7d"),
            Self::Last30Days => Some("30d"),
            Self::Last90Days => Some("90d"),
            Self::Custom { .. } => None,
        }
    }

    /// In words for a heading: `last 30 days`, `2026-11-01 to 2026-11-22`.
    pub fn words(self) -> String {
        match self {
            Self::Last24Hours => "last 24 hours".to_owned(),
            Self::Last7Days => "last 7 days".to_owned(),
            Self::Last30Days => "last 30 days".to_owned(),
            Self::Last90Days => "last 90 days".to_owned(),
            Self::Custom { from, to } if from == to => from.to_string(),
            Self::Custom { from, to } => format!("{from} to {to}"),
        }
    }

    /// The hours that this covers at `now`: ranges of days begin at midnight and end with the hour that runs.
    pub fn period(self, now: DateTime<Utc>) -> Period {
        let end = hour_of(now) + Duration::hours(1);
        match self {
            Self::Last24Hours => Period { from: end - Duration::hours(24), to: end },
            Self::Last7Days | Self::Last30Days | Self::Last90Days => {
                Period { from: midnight(now.date_naive() - Duration::days(self.days() - 1)), to: end }
            }
            Self::Custom { from, to } => {
                let from = midnight(from);
                Period { from, to: midnight(to + Duration::days(1)).min(end).max(from) }
            }
        }
    }

    /// The period before, cut at the same hour, so that a day that still runs is compared with the same part of a day.
    pub fn period_before(self, now: DateTime<Utc>) -> Period {
        let period = self.period(now);
        let shift = Duration::days(self.days());
        Period { from: period.from - shift, to: period.to - shift }
    }

    /// Hours for up to two days, days beyond.
    pub fn bucket(self) -> Bucket {
        if self.days() <= 2 { Bucket::Hour } else { Bucket::Day }
    }

    fn days(self) -> i64 {
        match self {
            Self::Last24Hours => 1,
            Self::Last7Days => 7,
            Self::Last30Days => 30,
            Self::Last90Days => 90,
            Self::Custom { from, to } => (to - from).num_days() + 1,
        }
    }
}

/// As a query string without its question mark; parsing it gives the same range.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custom { from, to } => write!(f, "from={from}&to={to}"),
            named => write!(f, "range={}", named.name().unwrap_or_default()),
        }
    }
}

impl Period {
    /// The starts of the buckets, oldest first.
    pub fn buckets(self, bucket: Bucket) -> Vec<DateTime<Utc>> {
        let step = match bucket {
            Bucket::Hour => Duration::hours(1),
            Bucket::Day => Duration::days(1),
        };
        std::iter::successors(Some(self.from), |at| Some(*at + step)).take_while(|at| *at < self.to).collect()
    }
}

/// The start of an hour.
pub fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(Duration::hours(1)).unwrap_or(at)
}

/// The start of a day.
pub fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// Four digits, two, two: other spellings and years beyond four digits would overflow later.
fn parse_day(field: &'static str, text: &str) -> Result<NaiveDate, InvalidRange> {
    let wrong = || InvalidRange::NotADate { field, text: text.to_owned() };
    let number = |part: Option<&str>, digits: usize| {
        part.filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())).and_then(|part| part.parse::<u32>().ok())
    };
    let mut parts = text.split('-');
    let (year, month, day) = (number(parts.next(), 4), number(parts.next(), 2), number(parts.next(), 2));
    match (year, month, day, parts.next()) {
        (Some(year), Some(month), Some(day), None) => {
            NaiveDate::from_ymd_opt(i32::try_from(year).map_err(|_| wrong())?, month, day).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_reads_back_from_its_own_query() {
        let custom = Range::custom(day("2026-11-01"), day("2026-11-22")).unwrap();
        assert_eq!(custom.to_string(), "from=2026-11-01&to=2026-11-22");
        assert_eq!(Range::parse(None, Some("2026-11-01"), Some("2026-11-22")), Ok(custom));
        assert_eq!(Range::from_query("page=2&from=2026-11-01&to=2026-11-22"), Ok(custom));
        for range in Range::NAMED {
            assert_eq!(Range::parse(range.name(), None, None), Ok(range));
            assert_eq!(range.to_string(), format!("range={}", range.name().unwrap()));
            assert_eq!(Range::from_query(&range.to_string()), Ok(range));
        }
    }

    #[test]
    fn no_query_or_an_empty_form_is_the_default() {
        assert_eq!(Range::parse(None, None, None), Ok(Range::Last30Days));
        assert_eq!(Range::parse(Some(""), Some(" "), Some("")), Ok(Range::Last30Days));
    }

    #[test]
    fn a_bad_range_says_which_value_is_wrong() {
        let parse = |name, from, to| Range::parse(name, from, to).unwrap_err();
        assert_eq!(parse(Some("1y"), None, None), InvalidRange::UnknownName("1y".into()));
        assert_eq!(parse(None, Some("2026-11-01"), None), InvalidRange::MissingDay("to"));
        assert_eq!(parse(None, None, Some("2026-11-01")), InvalidRange::MissingDay("from"));
        for text in ["22.11.2026", "2026-11-31", "2026-1-01", "+2026-11-01", "99999-01-01", "2026-11-01-01", "2026-11-0a"] {
            assert_eq!(parse(None, Some(text), Some("2026-11-22")), InvalidRange::NotADate { field: "from", text: text.into() });
        }
        assert!(matches!(parse(None, Some("2026-11-22"), Some("2026-11-21")), InvalidRange::Backwards { .. }));
        assert_eq!(parse(None, Some("2025-01-01"), Some("2026-01-02")), InvalidRange::TooLong { days: 367 });
        assert!(Range::parse(None, Some("0000-01-01"), Some("9999-12-31")).is_err());
    }

    #[test]
    fn a_day_range_begins_at_midnight_and_ends_with_the_running_hour() {
        let now = at("2026-11-22T14:35:10Z");
        assert_eq!(Range::Last7Days.period(now), Period { from: at("2026-11-16T00:00:00Z"), to: at("2026-11-22T15:00:00Z") });
        assert_eq!(Range::Last24Hours.period(now), Period { from: at("2026-11-21T15:00:00Z"), to: at("2026-11-22T15:00:00Z") });
    }

    #[test]
    fn the_period_before_is_cut_at_the_same_hour() {
        let now = at("2026-11-22T14:35:10Z");
        assert_eq!(Range::Last7Days.period_before(now), Period { from: at("2026-11-09T00:00:00Z"), to: at("2026-11-15T15:00:00Z") });
    }

    #[test]
    fn a_custom_range_of_the_future_is_empty() {
        let range = Range::custom(day("2027-01-01"), day("2027-01-31")).unwrap();
        let period = range.period(at("2026-11-22T14:35:10Z"));
        assert_eq!(period.from, period.to);
        assert!(period.buckets(range.bucket()).is_empty());
    }

    #[test]
    fn two_days_are_drawn_by_hour_and_more_by_day() {
        let now = at("2026-11-22T14:35:10Z");
        let two = Range::custom(day("2026-11-01"), day("2026-11-02")).unwrap();
        assert_eq!(two.period(now).buckets(two.bucket()).len(), 48);
        assert_eq!(Range::Last90Days.period(now).buckets(Range::Last90Days.bucket()).len(), 90);
    }
}
