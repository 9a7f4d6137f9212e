//! Calendar months, in which statements are written.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// A calendar month in UTC, written `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month(NaiveDate);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("month `{0}` is not one such as 2026-11")]
pub struct InvalidMonth(pub String);

impl Month {
    pub fn of(at: DateTime<Utc>) -> Self {
        let day = at.date_naive();
        Self(day.with_day(1).unwrap_or(day))
    }

    pub fn first_day(self) -> NaiveDate {
        self.0
    }

    pub fn last_day(self) -> NaiveDate {
        self.next().0.checked_sub_days(Days::new(1)).unwrap_or(self.0)
    }

    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add_months(Months::new(1)).unwrap_or(self.0))
    }

    /// From its first instant to the first of the next month, which is no longer in it.
    pub fn range(self) -> (DateTime<Utc>, DateTime<Utc>) {
        let midnight = |month: Self| month.0.and_hms_opt(0, 0, 0).map(|time| time.and_utc()).unwrap_or_default();
        (midnight(self), midnight(self.next()))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for Month {
    type Err = InvalidMonth;
    /// Four digits, a dash and two digits, in the years 2000 to 2100.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_month(text).map(Self).ok_or_else(|| InvalidMonth(text.to_owned()))
    }
}

fn parse_month(text: &str) -> Option<NaiveDate> {
    let (year, month) = text.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2)?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    let year = digits(year).filter(|year| (2000..=2100).contains(year))?;
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, digits(month)?, 1)
}

impl TryFrom<String> for Month {
    type Error = InvalidMonth;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}
