//! What a phase of a test has shown so far, as the page, the API and exports have it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Metric, Status,
    statistics::{Analysis, Baseline, Interval},
};
use crate::Currency;

/// The results of one phase. Amounts, and the mean and sum of [`Metric::CommissionPerUnit`], are in minor units of `currency`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    pub key: String,
    pub status: Status,
    pub phase: i32,
    /// All phases, the first one first; results are never mixed across them.
    pub phases: Vec<PhaseSpan>,
    /// When they were computed.
    pub at: DateTime<Utc>,
    pub currency: Currency,
    /// In the order of the design: the first is the control.
    pub variants: Vec<VariantTotals>,
    /// The metric that decides, with its guardrails; its verdict is that of the test.
    pub primary: MetricResult,
    /// All other metrics, as of now alone. They decide nothing.
    pub secondary: Vec<MetricResult>,
    /// A row for each day since the first exposure.
    pub days: Vec<DayResult>,
    pub planner: Planner,
    /// The weights and their changes, the first ones first.
    pub weights: Vec<Weights>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseSpan {
    pub phase: i32,
    pub started_at: DateTime<Utc>,
    /// Absent while it lasts.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What came of a variant's units, counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantTotals {
    pub key: String,
    pub name: String,
    /// As it is assigned now, 0 to 1.
    pub weight: f64,
    pub exposures: i64,
    /// Units with at least one click, conversion, verified success.
    pub clicked: i64,
    pub converted: i64,
    pub succeeded: i64,
    pub clicks: i64,
    pub conversions: i64,
    pub commission_minor: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricResult {
    pub metric: Metric,
    pub analysis: Analysis,
}

/// A day (UTC), and where the primary metric stood at its end. Lists are in the order of the variants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DayResult {
    pub day: NaiveDate,
    /// Of this day alone.
    pub exposures: Vec<i64>,
    /// Up to and with this day.
    pub conversions: Vec<i64>,
    /// The primary metric per unit, up to and with this day; empty, as are `lifts`, on the days in between of a phase of more than 90 days.
    pub means: Vec<Option<f64>>,
    /// Against the control, up to and with this day; that of the control itself is absent.
    pub lifts: Vec<DayLift>,
}

/// A variant's lift with the interval of the confidence sequence, which holds on all days together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DayLift {
    /// The variant's key.
    pub variant: String,
    pub lift: Option<f64>,
    pub interval: Option<Interval>,
}

/// How far the test is from what was planned, at its present pace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planner {
    pub units: u64,
    pub planned_units: u64,
    /// Over the last seven whole days, or since the start.
    pub units_per_day: f64,
    /// Until the planned units are there; absent without any traffic.
    pub days_left: Option<u64>,
    /// What the control shows, which the following go by; absent as long as that is nothing.
    pub baseline: Option<Baseline>,
    /// Units that the planned lift takes.
    pub needed_units: Option<u64>,
    /// The smallest lift that the planned units find.
    pub detectable_lift: Option<f64>,
    /// Units that there will be at the end, if the test has one.
    pub units_by_end: Option<u64>,
    /// The smallest lift that those find.
    pub detectable_lift_by_end: Option<f64>,
}

/// The weights in force since a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    pub period: i32,
    pub since: DateTime<Utc>,
    pub weights: Vec<f64>,
    /// A bandit's chances to be best that they were computed from.
    pub chances: Option<Vec<f64>>,
}
