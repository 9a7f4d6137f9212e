//! The life of a test: draft, running, paused, stopped, archived; and what an edit of a running one does.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Design;
use crate::ExperimentId;

/// A test with its present phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    pub experiment_id: ExperimentId,
    /// As `[a-z0-9-]{1,40}`, unique; it names the test in `?p4s_variant=` and seeds the assignment.
    pub key: String,
    pub status: Status,
    /// Who answers for it, by e-mail address.
    pub owner: String,
    pub design: Design,
    /// Absent while it is a draft.
    pub phase: Option<Phase>,
    pub created_at: DateTime<Utc>,
    pub stopped_at: Option<DateTime<Utc>>,
    /// The variant that became the default, if one did.
    pub shipped_variant: Option<String>,
}

/// A time in which the design did not change. Results are never mixed across phases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// From 1.
    pub number: i32,
    /// Seeds the hash; each phase has its own, so that a new one deals the units anew.
    pub seed: String,
    pub started_at: DateTime<Utc>,
    /// As assigned now; a bandit moves them away from those of the design.
    pub weights: Vec<f64>,
    /// Counts the changes of the weights within the phase, from 0.
    pub period: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Draft,
    Running,
    Paused,
    /// For good: nobody is assigned any more, late conversions still count.
    Stopped,
    /// Stopped, and out of the way.
    Archived,
}

/// What may be done to a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Start,
    Pause,
    Resume,
    Stop,
    Archive,
}

/// The step does not follow from the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a test that is {} cannot be {}", status.as_str(), step.done())]
pub struct WrongStep {
    pub status: Status,
    pub step: Step,
}

/// What an edit of a test that has started means for its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// Names or end: nobody is assigned otherwise, and nothing changes that the results are judged by.
    Description,
    /// More traffic: those who take part keep their variant, others join them.
    MoreTraffic,
    /// Anything else: a new phase begins, and everybody is dealt anew. Hypothesis and plan are among it: whoever could change them with the
    /// figures at hand would have them say what is wished.
    NewPhase,
}

impl Status {
    pub const ALL: [Self; 5] = [Self::Draft, Self::Running, Self::Paused, Self::Stopped, Self::Archived];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Archived => "archived",
        }
    }

    /// What may be done to it now.
    pub fn steps(self) -> &'static [Step] {
        match self {
            Self::Draft => &[Step::Start, Step::Archive],
            Self::Running => &[Step::Pause, Step::Stop],
            Self::Paused => &[Step::Resume, Step::Stop],
            Self::Stopped => &[Step::Archive],
            Self::Archived => &[],
        }
    }

    /// The status after a step.
    ///
    /// # Errors
    /// [`WrongStep`] if the step is not among [`Status::steps`].
    pub fn after(self, step: Step) -> Result<Self, WrongStep> {
        if !self.steps().contains(&step) {
            return Err(WrongStep { status: self, step });
        }
        Ok(match step {
            Step::Start | Step::Resume => Self::Running,
            Step::Pause => Self::Paused,
            Step::Stop => Self::Stopped,
            Step::Archive => Self::Archived,
        })
    }
}

impl Step {
    fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Stop => "stopped",
            Self::Archive => "archived",
        }
    }
}

/// What changing one design into the other means while the test runs.
pub fn edit(from: &Design, to: &Design) -> Edit {
    let described = |design: &Design| Design {
        name: String::new(),
        ends_at: None,
        traffic_allocation: 1.0,
        variants: design.variants.iter().map(|variant| super::Variant { name: String::new(), ..variant.clone() }).collect(),
        ..design.clone()
    };
    if described(from) != described(to) || to.traffic_allocation < from.traffic_allocation {
        Edit::NewPhase
    } else if to.traffic_allocation > from.traffic_allocation {
        Edit::MoreTraffic
    } else {
        Edit::Description
    }
}
