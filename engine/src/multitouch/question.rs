//! What a report is asked for, and how a query says it.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Currency,
    dashboard::{InvalidRange, MAX_CUSTOM_DAYS, Period, Range},
};
use serde::Serialize;

use crate::{Error, Result};

/// What a step of a path is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    #[default]
    Partner,
    Site,
}

impl By {
    pub const ALL: [Self; 2] = [Self::Partner, Self::Site];

    /// As it stands in a query.
    pub fn name(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Site => "site",
        }
    }

    /// The one channel of all those beyond [`CHANNELS_MAX`]. No id has a blank in it.
    pub(super) fn rest(self) -> &'static str {
        match self {
            Self::Partner => "other partners",
            Self::Site => "other sites",
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for By {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|by| by.name() == text).ok_or_else(|| format!("`{text}` is neither partner nor site"))
    }
}

/// What a report is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub by: By,
    pub period: Period,
    /// Of the values; without one, that of the most conversions.
    pub currency: Option<Currency>,
}

impl Question {
    /// Reads a query's values; an empty one is not given. Without days it is the last 30.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the value that is wrong: `channel`, `from`, `to` or `currency`.
    pub fn read(channel: &str, from: &str, to: &str, currency: &str, now: DateTime<Utc>) -> Result<Self> {
        let by = if channel.is_empty() { By::default() } else { channel.parse().map_err(|error| Error::invalid("channel", error))? };
        let range = Range::parse(None, Some(from), Some(to)).map_err(|error| match error {
            InvalidRange::NotADate { field, .. } | InvalidRange::MissingDay(field) => Error::invalid(field, error),
            error => Error::invalid("to", error),
        })?;
        let code = currency.trim().to_ascii_uppercase();
        let currency =
            if code.is_empty() { None } else { Some(code.parse().map_err(|_| Error::invalid("currency", unknown_currency(currency)))?) };
        Ok(Self { by, period: range.period(now), currency })
    }
}

fn unknown_currency(text: &str) -> String {
    format!("`{text}` is not a currency such as USD")
}

/// # Errors
/// [`Error::Invalid`] names a period that is empty or longer than [`MAX_CUSTOM_DAYS`].
pub(super) fn check(period: Period) -> Result<()> {
    let Period { from, to } = period;
    if from >= to {
        return Err(Error::invalid("to", format!("the period from {from} to {to} holds no time that has passed")));
    }
    if to - from > TimeDelta::days(MAX_CUSTOM_DAYS) {
        return Err(Error::invalid("to", format!("the period from {from} to {to} is longer than {MAX_CUSTOM_DAYS} days")));
    }
    Ok(())
}
