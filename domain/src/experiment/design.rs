//! The design of a test: what somebody writes down before it starts.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Currency, PartnerId, SiteId, analysis::ProjectKind, partner::IntegrationKind};

pub const VARIANTS_MIN: usize = 2;
pub const VARIANTS_MAX: usize = 8;
const TEXT_CHARS_MAX: usize = 200;
const LONG_TEXT_CHARS_MAX: usize = 2_000;
/// Weights are shares; texts and floats of a form rarely add up to the last bit.
const WEIGHTS_TOLERANCE: f64 = 1e-6;
/// Ten of the hash's buckets: less can hardly be dealt, and a variant that nobody gets any more can never recover.
const FLOOR_MIN: f64 = 0.001;

/// Everything about a test that may be edited while it is a draft. A running test keeps the design it was started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Design {
    pub name: String,
    /// What is expected, of whom, and why.
    #[serde(default)]
    pub hypothesis: String,
    pub kind: ExperimentKind,
    #[serde(default)]
    pub unit: UnitKind,
    /// The first is the control.
    pub variants: Vec<Variant>,
    /// 0 to 1: the share of the eligible units that take part. GrowthBook calls it coverage.
    #[serde(default = "whole")]
    pub traffic_allocation: f64,
    pub primary_metric: Metric,
    #[serde(default)]
    pub guardrails: Vec<Guardrail>,
    #[serde(default)]
    pub eligibility: Eligibility,
    /// Tests of one group never share a unit.
    #[serde(default)]
    pub exclusion_group: Option<ExclusionGroup>,
    /// The test begins at this time, or when it is started if that is later.
    #[serde(default)]
    pub starts_at: Option<DateTime<Utc>>,
    /// At this time it is over: the window is `[start, end)`.
    #[serde(default)]
    pub ends_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub plan: Plan,
    /// Weights follow the results (Thompson sampling) and never fall below the floor.
    #[serde(default)]
    pub bandit: Option<Bandit>,
    /// In which commission value is measured; other currencies are converted at the day's rate.
    pub currency: Currency,
}

fn whole() -> f64 {
    1.0
}

/// What differs between the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentKind {
    /// The sentence to the developer.
    Positioning,
    /// The text of the call to action.
    Cta,
    /// How much expected revenue decides the order of fit offers.
    RankingWeight,
    /// Which way leads to the partner.
    IntegrationMethod,
    /// How the widget is laid out.
    WidgetLayout,
}

/// What is assigned to a variant. One unit sees one variant for as long as the weights of a phase last, which only a bandit moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    /// A browser on one site, by the random id that the widget keeps there. Visitors who ask not to be tracked are never part of a test.
    #[default]
    Visitor,
    /// A site: all its visitors see the same.
    Site,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// As `[a-z0-9-]{1,40}`, unique within the test; it names the variant in `?p4s_variant=` and in exports.
    pub key: String,
    pub name: String,
    /// 0 to 1; those of a test sum to 1.
    pub weight: f64,
    pub payload: Payload,
}

/// What a variant changes. Each kind but `Unchanged` belongs to the kind of test of the same name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Payload {
    /// What is shown without a test.
    Unchanged,
    Positioning {
        text: String,
    },
    Cta {
        text: String,
    },
    RankingWeight {
        /// 0 to 1, as [`Settings::revenue_weight`](crate::recommendation::Settings).
        revenue_weight: f64,
    },
    IntegrationMethod {
        method: IntegrationKind,
    },
    WidgetLayout {
        layout: WidgetLayout,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WidgetLayout {
    Cards,
    Compact,
}

/// What a variant is judged by, per exposed unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of units with a counted click.
    ClickRate,
    /// Share of units with an attributed conversion.
    ConversionRate,
    /// Share of units with a verified success.
    SuccessRate,
    /// Counted clicks per unit.
    ClicksPerUnit,
    /// Commission per unit, in the test's currency; reversals are taken off.
    CommissionPerUnit,
}

/// A metric that must not fall by more than a margin (non-inferiority).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardrail {
    pub metric: Metric,
    /// 0 to 1: the relative loss that is bearable; 0.02 is "a drop of up to 2 % is fine".
    pub margin: f64,
}

/// Empty means everybody.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Eligibility {
    /// Whose offers the payload changes; a unit is exposed when it sees one of them.
    pub partner_ids: BTreeSet<PartnerId>,
    pub site_ids: BTreeSet<SiteId>,
    pub segments: BTreeSet<ProjectKind>,
}

/// A part `[start, end)` of the units, by the hash of the group's name: tests with disjoint parts never share a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExclusionGroup {
    pub name: String,
    pub start: f64,
    pub end: f64,
}

/// What the sample size was planned for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// Significance level, two-sided.
    pub alpha: f64,
    pub power: f64,
    /// The smallest relative lift that is worth finding.
    pub minimum_detectable_lift: f64,
    /// Units of all arms together; the confidence sequence is narrowest there (N*).
    pub planned_units: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { alpha: 0.05, power: 0.8, minimum_detectable_lift: 0.1, planned_units: 20_000 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandit {
    /// 0.001 to 1 / variants: no variant gets less.
    pub floor: f64,
}

/// A part of a design that cannot be used: the field as a path (`variants.1.weight`), and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidDesign {
    pub field: String,
    pub reason: String,
}

impl ExperimentKind {
    pub const ALL: [Self; 5] = [Self::Positioning, Self::Cta, Self::RankingWeight, Self::IntegrationMethod, Self::WidgetLayout];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Positioning => "positioning",
            Self::Cta => "cta",
            Self::RankingWeight => "ranking_weight",
            Self::IntegrationMethod => "integration_method",
            Self::WidgetLayout => "widget_layout",
        }
    }

    /// Whether the payload changes an offer, so that partners can be named; the others change the list as a whole.
    pub fn is_of_offers(self) -> bool {
        matches!(self, Self::Positioning | Self::Cta | Self::IntegrationMethod)
    }
}

impl UnitKind {
    pub const ALL: [Self; 2] = [Self::Visitor, Self::Site];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Site => "site",
        }
    }
}

impl Metric {
    pub const ALL: [Self; 5] = [Self::ClickRate, Self::ConversionRate, Self::SuccessRate, Self::ClicksPerUnit, Self::CommissionPerUnit];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClickRate => "click_rate",
            Self::ConversionRate => "conversion_rate",
            Self::SuccessRate => "success_rate",
            Self::ClicksPerUnit => "clicks_per_unit",
            Self::CommissionPerUnit => "commission_per_unit",
        }
    }

    /// Whether a unit counts 0 or 1.
    pub fn is_rate(self) -> bool {
        matches!(self, Self::ClickRate | Self::ConversionRate | Self::SuccessRate)
    }
}

impl Payload {
    /// The kind of test that it belongs to; nothing for `Unchanged`, which belongs to all.
    pub fn kind(&self) -> Option<ExperimentKind> {
        match self {
            Self::Unchanged => None,
            Self::Positioning { .. } => Some(ExperimentKind::Positioning),
            Self::Cta { .. } => Some(ExperimentKind::Cta),
            Self::RankingWeight { .. } => Some(ExperimentKind::RankingWeight),
            Self::IntegrationMethod { .. } => Some(ExperimentKind::IntegrationMethod),
            Self::WidgetLayout { .. } => Some(ExperimentKind::WidgetLayout),
        }
    }

    fn invalid(&self) -> Option<String> {
        match self {
            Self::Positioning { text } | Self::Cta { text } => invalid_text(text, TEXT_CHARS_MAX, true),
            Self::RankingWeight { revenue_weight } => {
                (!(0.0..=1.0).contains(revenue_weight)).then(|| format!("revenue weight {revenue_weight} must be from 0 to 1"))
            }
            Self::Unchanged | Self::IntegrationMethod { .. } | Self::WidgetLayout { .. } => None,
        }
    }
}

impl ExclusionGroup {
    /// Whether no unit is in both parts. Parts of different groups are dealt independently, so that they may share units.
    pub fn is_apart_from(&self, other: &Self) -> bool {
        self.name == other.name && (self.end <= other.start || other.end <= self.start)
    }
}

impl Design {
    pub fn weights(&self) -> Vec<f64> {
        self.variants.iter().map(|variant| variant.weight).collect()
    }

    /// Whether its end has passed: nobody is assigned any more, whatever the status says.
    pub fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }

    /// Whether some unit could get both, and both would change the same of what it sees.
    pub fn collides(&self, other: &Self) -> bool {
        fn meet<T: Ord>(a: &BTreeSet<T>, b: &BTreeSet<T>) -> bool {
            a.is_empty() || b.is_empty() || !a.is_disjoint(b)
        }
        // A visitor's hash says nothing about that of its site: only tests that deal by the same unit have parts that are apart.
        let are_apart = self.unit == other.unit
            && self.exclusion_group.as_ref().zip(other.exclusion_group.as_ref()).is_some_and(|(a, b)| a.is_apart_from(b));
        let is_over = |first: &Self, second: &Self| first.ends_at.zip(second.starts_at).is_some_and(|(end, start)| end <= start);
        let (a, b) = (&self.eligibility, &other.eligibility);
        self.kind == other.kind
            && !are_apart
            && !is_over(self, other)
            && !is_over(other, self)
            && meet(&a.partner_ids, &b.partner_ids)
            && meet(&a.site_ids, &b.site_ids)
            && meet(&a.segments, &b.segments)
    }

    /// Everything that is wrong with it; a design with faults can be kept as a draft but not started.
    pub fn faults(&self) -> Vec<InvalidDesign> {
        let mut faults = Vec::new();
        let mut fault = |field: String, reason: Option<String>| faults.extend(reason.map(|reason| InvalidDesign { field, reason }));
        let share =
            |value: f64, what: &str| (!(value > 0.0 && value <= 1.0)).then(|| format!("{what} {value} must be above 0 and at most 1"));

        fault("name".into(), invalid_text(&self.name, TEXT_CHARS_MAX, true));
        fault("hypothesis".into(), invalid_text(&self.hypothesis, LONG_TEXT_CHARS_MAX, false));
        fault("traffic_allocation".into(), share(self.traffic_allocation, "traffic allocation"));

        let count = self.variants.len();
        let is_count = (VARIANTS_MIN..=VARIANTS_MAX).contains(&count);
        fault("variants".into(), (!is_count).then(|| format!("{count} variants: a test has {VARIANTS_MIN} to {VARIANTS_MAX}")));
        let sum: f64 = self.variants.iter().map(|variant| variant.weight).sum();
        let is_whole = (sum - 1.0).abs() <= WEIGHTS_TOLERANCE;
        fault("variants".into(), (is_count && !is_whole).then(|| format!("the weights sum to {sum}, not to 1")));
        for (index, variant) in self.variants.iter().enumerate() {
            let at = |field: &str| format!("variants.{index}.{field}");
            fault(at("key"), invalid_key(&variant.key));
            let is_twice = self.variants[..index].iter().any(|other| other.key == variant.key);
            fault(at("key"), is_twice.then(|| format!("`{}` names another variant already", variant.key)));
            fault(at("name"), invalid_text(&variant.name, TEXT_CHARS_MAX, true));
            fault(at("weight"), share(variant.weight, "weight"));
            let is_foreign = variant.payload.kind().is_some_and(|kind| kind != self.kind);
            fault(at("payload"), is_foreign.then(|| format!("a test of {} cannot change something else", self.kind.as_str())));
            fault(at("payload"), variant.payload.invalid());
            let is_same = self.variants[..index].iter().any(|other| other.payload == variant.payload);
            fault(at("payload"), is_same.then(|| "shows the same as another variant".to_owned()));
        }

        for (index, guardrail) in self.guardrails.iter().enumerate() {
            let is_margin = (0.0..1.0).contains(&guardrail.margin);
            fault(
                format!("guardrails.{index}.margin"),
                (!is_margin).then(|| format!("margin {} must be at least 0 and below 1", guardrail.margin)),
            );
            let is_twice = self.guardrails[..index].iter().any(|other| other.metric == guardrail.metric);
            let is_primary = guardrail.metric == self.primary_metric;
            fault(
                format!("guardrails.{index}.metric"),
                (is_twice || is_primary).then(|| format!("`{}` is the primary metric or named twice", guardrail.metric.as_str())),
            );
        }

        let names_partners_in_vain = !self.kind.is_of_offers() && !self.eligibility.partner_ids.is_empty();
        fault(
            "eligibility.partner_ids".into(),
            names_partners_in_vain.then(|| format!("a test of {} concerns all offers", self.kind.as_str())),
        );
        if let Some(group) = &self.exclusion_group {
            fault("exclusion_group.name".into(), invalid_key(&group.name));
            let is_range = 0.0 <= group.start && group.start < group.end && group.end <= 1.0;
            fault(
                "exclusion_group".into(),
                (!is_range).then(|| format!("the part {} to {} must lie within 0 to 1 and not be empty", group.start, group.end)),
            );
        }
        let is_window = self.starts_at.zip(self.ends_at).is_none_or(|(start, end)| start < end);
        fault("ends_at".into(), (!is_window).then(|| "the end must be after the start".to_owned()));

        let Plan { alpha, power, minimum_detectable_lift, planned_units } = self.plan;
        fault("plan.alpha".into(), (!(0.0001..=0.2).contains(&alpha)).then(|| format!("alpha {alpha} must be from 0.0001 to 0.2")));
        fault("plan.power".into(), (!(0.5..=0.99).contains(&power)).then(|| format!("power {power} must be from 0.5 to 0.99")));
        let is_lift = (0.001..=10.0).contains(&minimum_detectable_lift);
        fault(
            "plan.minimum_detectable_lift".into(),
            (!is_lift).then(|| format!("lift {minimum_detectable_lift} must be from 0.001 to 10")),
        );
        let is_size = (100..=1_000_000_000).contains(&planned_units);
        fault("plan.planned_units".into(), (!is_size).then(|| format!("{planned_units} units: a test takes 100 to 1000000000")));
        if let Some(Bandit { floor }) = self.bandit {
            let is_floor = floor >= FLOOR_MIN && floor * count as f64 <= 1.0;
            fault("bandit.floor".into(), (!is_floor).then(|| format!("floor {floor} must be from {FLOOR_MIN} to 1 / variants")));
        }
        faults
    }
}

fn invalid_text(text: &str, chars_max: usize, is_needed: bool) -> Option<String> {
    let count = text.chars().count();
    if is_needed && text.trim().is_empty() {
        Some("must not be empty".to_owned())
    } else if count > chars_max {
        Some(format!("{count} characters: at most {chars_max} are allowed"))
    } else {
        text.contains(|letter: char| letter.is_control() && letter != '\n').then(|| "must hold no control characters".to_owned())
    }
}

fn invalid_key(key: &str) -> Option<String> {
    let is_key = (1..=40).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    (!is_key).then(|| format!("`{key}` must be 1 to 40 characters of a-z, 0-9 and -"))
}
