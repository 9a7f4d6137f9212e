//! Who gets which variant, and why: pure, from the test, the unit and the time alone, so that every instance and any SDK says the same.
//!
//! Each question has its own hash of version 2: whether the unit is held out of all tests, whether it is in the test's part of an
//! exclusion group, whether it takes part, and which variant it gets. No two of them share a seed, so the share that takes part is dealt
//! to the variants as the weights say, and more traffic only adds units. The coverage of GrowthBook would decide the last two by one hash;
//! here it stays at 1, and the traffic allocation is a filter ([`growthbook_rule`](super::growthbook_rule)).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::fmt::Hyphenated;

use super::{BucketRange, Experiment, Seeded, Status, UnitKind, bucket_ranges, choose_variation, feed_all};
use crate::{PartnerId, SiteId, analysis::ProjectKind};

/// Why a unit got what it got; the first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A draft, stopped, archived.
    NotRunning,
    BeforeStart,
    Ended,
    Paused,
    /// Visitors who ask not to be tracked have no id.
    NoUnit,
    NotEligible,
    Holdout,
    /// In the part of the exclusion group that belongs to other tests.
    Excluded,
    NotInTraffic,
    Assigned,
}

impl Reason {
    pub const ALL: [Self; 10] = [
        Self::NotRunning,
        Self::BeforeStart,
        Self::Ended,
        Self::Paused,
        Self::NoUnit,
        Self::NotEligible,
        Self::Holdout,
        Self::Excluded,
        Self::NotInTraffic,
        Self::Assigned,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotRunning => "not_running",
            Self::BeforeStart => "before_start",
            Self::Ended => "ended",
            Self::Paused => "paused",
            Self::NoUnit => "no_unit",
            Self::NotEligible => "not_eligible",
            Self::Holdout => "holdout",
            Self::Excluded => "excluded",
            Self::NotInTraffic => "not_in_traffic",
            Self::Assigned => "assigned",
        }
    }

    /// In a sentence, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotRunning => "The test is not running: it is a draft, stopped or archived.",
            Self::BeforeStart => "The test has not begun yet.",
            Self::Ended => "The test's end has passed.",
            Self::Paused => "The test is paused: everybody sees what is shown without it.",
            Self::NoUnit => "The visitor has no id, because the browser asks not to be tracked; such visitors are never part of a test.",
            Self::NotEligible => "The test is for other sites, other kinds of project or other partners' offers.",
            Self::Holdout => "Held out of all tests, to measure what they bring together.",
            Self::Excluded => "Another test of the same exclusion group may have this one; a unit takes part in one of the group at most.",
            Self::NotInTraffic => "Not among the share of the eligible units that takes part.",
            Self::Assigned => "Takes part, and sees this variant for as long as the phase lasts, unless a bandit moves its weights.",
        }
    }
}

/// Who is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// The browser's id on this site; absent or empty if it asks not to be tracked.
    pub visitor: Option<&'s str>,
    pub site_id: SiteId,
    /// Whose offers it is about to see. `None` while they are not known: then the partners of the test do not decide, and the caller
    /// changes their offers only.
    pub partners: Option<&'s [PartnerId]>,
    /// What kind of project the site is, if it was analysed.
    pub segment: Option<ProjectKind>,
}

/// The units that no test may have, chosen by a hash of their own. Visitors and sites are held out apart.
#[derive(Clone, Debug)]
pub struct Holdout {
    pub(super) seed: String,
    pub(super) share: f64,
    seeded: Seeded,
}

impl Holdout {
    /// A share from 0 to 1 of all units; another number is clamped. A higher share with the same seed adds units and frees none.
    pub fn new(seed: &str, share: f64) -> Self {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        Self { seed: seed.to_owned(), share, seeded: Seeded::new(seed) }
    }

    /// Holds nobody out.
    pub fn none() -> Self {
        Self::new("", 0.0)
    }

    fn range(&self) -> BucketRange {
        BucketRange { start: 0.0, end: self.share }
    }
}

/// A test made ready for very many units. Made anew whenever the test changes.
#[derive(Clone, Debug)]
pub struct Evaluator {
    /// Why nobody is assigned at any time, if so.
    idle: Option<Reason>,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    unit: UnitKind,
    partner_ids: BTreeSet<PartnerId>,
    site_ids: BTreeSet<SiteId>,
    segments: BTreeSet<ProjectKind>,
    exclusion: Option<(Seeded, BucketRange)>,
    traffic: (Seeded, BucketRange),
    variant: Seeded,
    ranges: Vec<BucketRange>,
}

impl Evaluator {
    /// Weights come from the phase, all else from the design, whose window alone counts: a running test has begun, whatever the clocks
    /// of two machines say. Weights of another number than the variants are taken as equal ones, as everywhere in the published algorithm.
    pub fn new(experiment: &Experiment) -> Self {
        let Experiment { design, phase, .. } = experiment;
        let idle = match (experiment.status, phase) {
            (Status::Running, Some(_)) => None,
            (Status::Paused, Some(_)) => Some(Reason::Paused),
            _ => Some(Reason::NotRunning),
        };
        let (seed, weights) = phase.as_ref().map_or(("", None), |phase| (phase.seed.as_str(), Some(phase.weights.as_slice())));
        let exclusion_of = |group: &super::ExclusionGroup| (Seeded::new(&group.name), BucketRange { start: group.start, end: group.end });
        Self {
            idle,
            starts_at: design.starts_at,
            ends_at: design.ends_at,
            unit: design.unit,
            partner_ids: design.eligibility.partner_ids.clone(),
            site_ids: design.eligibility.site_ids.clone(),
            segments: design.eligibility.segments.clone(),
            exclusion: design.exclusion_group.as_ref().map(exclusion_of),
            traffic: (Seeded::new(&traffic_seed(seed)), BucketRange { start: 0.0, end: design.traffic_allocation }),
            variant: Seeded::new(seed),
            ranges: bucket_ranges(design.variants.len(), 1.0, weights),
        }
    }

    /// Why nobody is assigned at this time, if so.
    fn closed(&self, now: DateTime<Utc>) -> Option<Reason> {
        if self.idle == Some(Reason::NotRunning) {
            self.idle
        } else if self.starts_at.is_some_and(|starts_at| now < starts_at) {
            Some(Reason::BeforeStart)
        } else if self.ends_at.is_some_and(|ends_at| ends_at <= now) {
            Some(Reason::Ended)
        } else {
            self.idle
        }
    }

    fn is_eligible(&self, subject: &Subject) -> bool {
        let is_site = self.site_ids.is_empty() || self.site_ids.contains(&subject.site_id);
        let is_segment = self.segments.is_empty() || subject.segment.is_some_and(|segment| self.segments.contains(&segment));
        let is_partner = || subject.partners.is_none_or(|partners| partners.iter().any(|partner| self.partner_ids.contains(partner)));
        is_site && is_segment && (self.partner_ids.is_empty() || is_partner())
    }
}

/// The seed that decides who takes part, apart from the one that decides the variant.
pub(super) fn traffic_seed(seed: &str) -> String {
    format!("{seed}:traffic")
}

/// What a unit gets, and why. Buckets are hashes, at least 0 and below 1; they are there once the unit is known and eligible, for every
/// question that the test asks, whatever the answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Assignment {
    pub reason: Reason,
    /// The index of the variant; there exactly if the reason is [`Reason::Assigned`].
    pub variant: Option<usize>,
    /// Decides the variant.
    pub bucket: Option<f64>,
    /// Decides who takes part: those below the traffic allocation. Absent if all do.
    pub traffic_bucket: Option<f64>,
    /// Decides which test of the exclusion group may have the unit.
    pub exclusion_bucket: Option<f64>,
    /// Decides who is held out: those below the holdout's share.
    pub holdout_bucket: Option<f64>,
}

impl Assignment {
    fn without_buckets(reason: Reason) -> Self {
        Self { reason, variant: None, bucket: None, traffic_bucket: None, exclusion_bucket: None, holdout_bucket: None }
    }
}

/// Which variant a unit gets at a time. A visitor is hashed as the text of its id, a site as its id in lower case with hyphens.
pub fn assign(test: &Evaluator, subject: &Subject, holdout: &Holdout, now: DateTime<Utc>) -> Assignment {
    Units::new(subject, holdout).assign(test, now)
}

/// Which variant of each test a unit gets at a time, in the tests' order: as [`assign`], but what they share is computed once.
pub fn assign_all<'t>(
    tests: impl IntoIterator<Item = &'t Evaluator>,
    subject: &Subject,
    holdout: &Holdout,
    now: DateTime<Utc>,
) -> impl Iterator<Item = Assignment> {
    let units = Units::new(subject, holdout);
    tests.into_iter().map(move |test| units.assign(test, now))
}

/// The two units of a subject, and whether each is held out.
struct Units<'s> {
    subject: &'s Subject<'s>,
    holdout: BucketRange,
    visitor: Option<(&'s str, Option<f64>)>,
    site: ([u8; Hyphenated::LENGTH], Option<f64>),
}

impl<'s> Units<'s> {
    fn new(subject: &'s Subject<'s>, holdout: &Holdout) -> Self {
        let bucket = |unit: &str| (holdout.share > 0.0).then(|| holdout.seeded.hash(unit));
        let mut site = [0; Hyphenated::LENGTH];
        let site_bucket = bucket(subject.site_id.0.hyphenated().encode_lower(&mut site));
        let visitor = subject.visitor.filter(|visitor| !visitor.is_empty());
        Self { subject, holdout: holdout.range(), visitor: visitor.map(|visitor| (visitor, bucket(visitor))), site: (site, site_bucket) }
    }

    fn assign(&self, test: &Evaluator, now: DateTime<Utc>) -> Assignment {
        if let Some(reason) = test.closed(now) {
            return Assignment::without_buckets(reason);
        }
        let unit = match test.unit {
            UnitKind::Visitor => self.visitor,
            UnitKind::Site => std::str::from_utf8(&self.site.0).ok().map(|site| (site, self.site.1)),
        };
        let Some((unit, holdout_bucket)) = unit else { return Assignment::without_buckets(Reason::NoUnit) };
        if !test.is_eligible(self.subject) {
            return Assignment::without_buckets(Reason::NotEligible);
        }
        let (traffic_seed, traffic) = test.traffic;
        // An allocation that is no number lets nobody in.
        let is_partial = traffic.end.is_nan() || traffic.end < 1.0;
        // Without an exclusion group any seed will do: that hash is not asked for.
        let exclusion_seed = test.exclusion.map_or(test.variant, |(seed, _)| seed);
        let [bucket, traffic_bucket, exclusion_bucket] = feed_all([test.variant, traffic_seed, exclusion_seed], unit);
        let bucket = bucket.hash();
        let traffic_bucket = is_partial.then(|| traffic_bucket.hash());
        let exclusion_bucket = test.exclusion.is_some().then(|| exclusion_bucket.hash());

        let variant = choose_variation(bucket, &test.ranges);
        let is_excluded = || test.exclusion.zip(exclusion_bucket).is_some_and(|((_, part), bucket)| !part.contains(bucket));
        let reason = if holdout_bucket.is_some_and(|bucket| self.holdout.contains(bucket)) {
            Reason::Holdout
        } else if is_excluded() {
            Reason::Excluded
        } else if traffic_bucket.is_some_and(|bucket| !traffic.contains(bucket)) || variant.is_none() {
            Reason::NotInTraffic
        } else {
            Reason::Assigned
        };
        Assignment {
            reason,
            variant: variant.filter(|_| reason == Reason::Assigned),
            bucket: Some(bucket),
            traffic_bucket,
            exclusion_bucket,
            holdout_bucket,
        }
    }
}
