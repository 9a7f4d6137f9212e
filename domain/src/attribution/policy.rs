//! Models of credit and the rules of who may claim a conversion.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

/// How the credit of a conversion is shared among its touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// The last touch takes all.
    LastTouch,
    /// The first touch takes all.
    FirstTouch,
    /// All touches take the same.
    Linear,
    /// The first and the last take 40 % each, those between them share 20 %; two take 50 % each, one takes all.
    PositionBased,
    /// A touch counts half as much for each 7 days that it is older.
    TimeDecay,
}

/// The text is no attribution model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attribution model `{0}` is none of last_touch, first_touch, linear, position_based, time_decay")]
pub struct UnknownModel(pub String);

impl Model {
    pub const ALL: [Self; 5] = [Self::LastTouch, Self::FirstTouch, Self::Linear, Self::PositionBased, Self::TimeDecay];

    /// The name in the database and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LastTouch => "last_touch",
            Self::FirstTouch => "first_touch",
            Self::Linear => "linear",
            Self::PositionBased => "position_based",
            Self::TimeDecay => "time_decay",
        }
    }

    /// The name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::LastTouch => "Last touch",
            Self::FirstTouch => "First touch",
            Self::Linear => "Linear (all touches alike)",
            Self::PositionBased => "Position-based (40 % first, 20 % middle, 40 % last)",
            Self::TimeDecay => "Time decay (half-life 7 days)",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Model {
    type Err = UnknownModel;

    fn from_str(text: &str) -> Result<Self, UnknownModel> {
        Self::ALL.into_iter().find(|model| model.as_str() == text).ok_or_else(|| UnknownModel(text.to_owned()))
    }
}

/// The server-side rules of who may claim a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub model: Model,
    /// Longest time from click to conversion, itself included.
    pub window: Duration,
    /// Shortest time from click to conversion, itself included; zero if there is none.
    pub minimum: Duration,
}

impl Policy {
    /// Whether a click may claim a conversion: `minimum ≤ conversion - click ≤ window`, and never a click after the conversion.
    pub fn admits(&self, clicked_at: DateTime<Utc>, converted_at: DateTime<Utc>) -> bool {
        let age = converted_at - clicked_at;
        age >= self.minimum.max(Duration::zero()) && age <= self.window
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn admits(minimum: i64, window: i64, age: i64) -> bool {
        let converted_at = Utc.timestamp_opt(1_800_000_000, 0).unwrap();
        let policy = Policy { model: Model::Linear, window: Duration::seconds(window), minimum: Duration::seconds(minimum) };
        policy.admits(converted_at - Duration::seconds(age), converted_at)
    }

    #[test]
    fn both_ends_of_the_window_are_included() {
        assert!(admits(0, 60, 0));
        assert!(admits(0, 60, 60));
        assert!(!admits(0, 60, 61));
        assert!(!admits(0, 60, -1));
    }

    #[test]
    fn the_minimum_is_included_and_never_lets_a_later_click_in() {
        assert!(!admits(10, 60, 9));
        assert!(admits(10, 60, 10));
        assert!(!admits(-10, 60, -1), "a negative minimum counts as none");
        assert!(!admits(61, 60, 60), "a minimum above the window admits nothing");
    }

    #[test]
    fn a_model_reads_what_it_prints_and_names_what_it_cannot_read() {
        for model in Model::ALL {
            assert_eq!(model.to_string().parse(), Ok(model));
            assert_eq!(serde_json::to_value(model).unwrap(), model.as_str());
        }
        assert_eq!(
            "Last".parse::<Model>().unwrap_err().to_string(),
            "attribution model `Last` is none of last_touch, first_touch, linear, position_based, time_decay"
        );
    }
}
