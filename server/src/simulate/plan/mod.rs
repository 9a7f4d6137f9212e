//! Journeys with known truth, made from a seed: what is sent, in which order, and what has to come of it.
//!
//! Nothing here knows how the server decides. A journey is a list of steps; its truth is written down beside them as the
//! person who wrote the journey knows it. To add a kind of journey: a function in [`kinds`] or [`walks`], and its weight in
//! [`KINDS`].

mod draft;
mod kinds;
#[cfg(test)]
mod tests;
mod walks;

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use draft::Draft;

/// A success that the planned partners know: metric, required evidence.
pub type Metrics = Vec<(String, Vec<String>)>;

/// A partner as far as planning looks at it.
#[derive(Clone, Debug)]
pub struct Party {
    pub metrics: Metrics,
    /// The longest time from click to conversion.
    pub window: TimeDelta,
    /// The shortest.
    pub minimum: TimeDelta,
    /// Commissions are approved so long after their conversion.
    pub hold: TimeDelta,
    /// Successes count that were verified so long after the conversion.
    pub adjustment: TimeDelta,
}

/// What journeys are made of.
pub struct World {
    pub seed: u64,
    /// Begins every id of the run.
    pub run: String,
    /// No event happens after this.
    pub now: DateTime<Utc>,
    /// All partners' terms change at this time.
    pub change_at: DateTime<Utc>,
    pub partners: Vec<Party>,
    /// Sites that many journeys share; their developers have several.
    pub shared_sites: usize,
    /// A currency whose rates are published late.
    pub late_currency: Option<&'static str>,
}

/// How long a run may take: what depends on the time of processing is never planned nearer to its edge.
const RUN_MAX: TimeDelta = TimeDelta::hours(6);

impl World {
    /// Whether the outcome of a conversion at `at` would depend on how fast the run is.
    fn is_on_edge(&self, partner: usize, at: DateTime<Utc>) -> bool {
        let Party { hold, adjustment, .. } = self.partners[partner];
        [hold, adjustment].into_iter().any(|period| (self.now..=self.now + RUN_MAX).contains(&(at + period)))
    }
}

/// A site of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    Shared(usize),
    /// One that no other journey uses, by the number of its journey.
    Own(usize),
    /// One that nobody visits but to see whether the server is ready.
    Door,
}

/// A site's link to a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link {
    pub site: Site,
    pub partner: usize,
}

/// Who follows a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// A browser that keeps its cookie, by number within the journey.
    Person(usize),
    /// A browser that asks not to be tracked.
    Private,
    Bot,
    Prefetch,
    Head,
}

impl Visitor {
    pub fn counts(self) -> bool {
        matches!(self, Self::Person(_) | Self::Private)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Clicks of people are numbered in the order of the steps, from 0. `reports` says how often the page that a click comes from reports
    /// the offers that were seen in it; 0: the link stood somewhere else.
    Click { visitor: Visitor, link: Link, at: DateTime<Utc>, reports: u32 },
    /// Sends the messages at the same time and waits for all answers.
    Send(Vec<Message>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Of the journey's messages; equal ids are the same message.
    pub id: String,
    pub partner: usize,
    pub event: Event,
    pub badly_signed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Conversion {
        id: String,
        kind: &'static str,
        at: DateTime<Utc>,
        value: Value,
        claim: Claim,
        is_test: bool,
    },
    /// `None`: all that is left.
    Reversal {
        id: String,
        conversion: String,
        at: DateTime<Utc>,
        amount: Option<Value>,
    },
    Success {
        id: String,
        metric: String,
        evidence: Vec<String>,
        at: DateTime<Utc>,
        expires_at: Option<DateTime<Utc>>,
        claim: Claim,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    pub minor: i64,
    pub currency: &'static str,
    pub digits: u32,
}

/// What a message says about the click.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub click: Option<ClickIdClaim>,
    pub code: Option<CodeClaim>,
    /// The session of a person.
    pub session: Option<usize>,
    /// The partner's name of a customer, by number within the journey.
    pub customer: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClickIdClaim {
    Of(usize),
    /// A real click id with one character changed.
    Forged(usize),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeClaim {
    Of(Link),
    Unknown,
}

/// A click that may have led to a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Its number in the journey.
    pub click: usize,
    pub site: Site,
    pub at: DateTime<Utc>,
}

/// Who gets the credit, whatever the partner's model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// All that may share, oldest first.
    pub touches: Vec<Touch>,
    /// Who takes all where the last touch does, as an index of `touches`: the one that the message names, if it names one.
    pub last: usize,
}

/// What must become of a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub partner: usize,
    pub id: String,
    pub value: Value,
    pub at: DateTime<Utc>,
    /// `None`: nobody gets any.
    pub credit: Option<Credit>,
    /// What refunds took back in the end.
    pub reversed_minor: i64,
}

/// A success that counts for the commissions of the site's developer. It is verified when it is told, which is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Achieved {
    pub site: Site,
    pub partner: usize,
    pub metric: String,
    pub at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journey {
    pub kind: &'static str,
    pub number: usize,
    pub steps: Vec<Step>,
    /// What follows once commissions are approved.
    pub late_steps: Vec<Step>,
    pub conversions: Vec<Expected>,
    pub successes: Vec<Achieved>,
    /// Clicks of one session on one link less than an hour after its last one.
    pub repeats: Vec<Link>,
    /// Messages that end as dead letters.
    pub dead: usize,
}

/// The chance that a click comes from a page with offers, unless an earlier one of its journey does: some 45 % of people's clicks do.
const PAGE_CHANCE: f64 = 0.6;

/// Plans one journey; the same world and number give the same journey.
pub fn journey(world: &World, number: usize) -> Journey {
    let seed = world.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number as u64;
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        let mut journey = draw(world, number, StdRng::seed_from_u64(rng.random()));
        // What would depend on the speed of the run is drawn again: a few hours among many days.
        if !journey.conversions.iter().any(|conversion| world.is_on_edge(conversion.partner, conversion.at)) {
            // A seed of its own: nothing else of the journey depends on who looked at a page.
            open_page(&mut journey, StdRng::seed_from_u64(!seed));
            return journey;
        }
    }
}

/// Lets one click of a person come from a page, or none. The page reports what was seen once or twice.
fn open_page(journey: &mut Journey, mut rng: StdRng) {
    let mut of_people = journey.steps.iter_mut().filter_map(|step| match step {
        Step::Click { visitor, reports, .. } if visitor.counts() => Some(reports),
        _ => None,
    });
    if let Some(reports) = of_people.find(|_| rng.random_bool(PAGE_CHANCE)) {
        *reports = rng.random_range(1..=2);
    }
}

fn draw(world: &World, number: usize, mut rng: StdRng) -> Journey {
    let total: u32 = KINDS.iter().map(|(weight, ..)| weight).sum();
    let mut left = rng.random_range(0..total);
    for &(weight, kind, plan) in KINDS {
        if left < weight {
            let mut draft = Draft::new(world, number, rng);
            plan(&mut draft);
            return Journey { kind, number, ..draft.journey };
        }
        left -= weight;
    }
    unreachable!("the weights cover every number below their sum")
}

/// Fills in a journey of one kind.
type Draw = fn(&mut Draft);

/// How often each kind of journey comes up, per thousand or so.
const KINDS: &[(u32, &str, Draw)] = &[
    (200, "click id", kinds::by_click_id),
    (100, "code and session", kinds::by_session),
    (50, "code alone", kinds::by_code),
    (60, "last of a session's clicks", kinds::last_of_session),
    (40, "last of a code's clicks", kinds::last_of_code),
    (20, "click after the conversion", kinds::click_afterwards),
    (30, "asks not to be tracked", kinds::private),
    (50, "conversion lost", kinds::lost),
    (40, "bots and prefetches", kinds::bots),
    (30, "repeats within the hour", kinds::repeats),
    (30, "message twice", kinds::message_twice),
    (30, "conversion in two messages", kinds::two_messages),
    (40, "copies at the same time", kinds::copies_at_once),
    (10, "same id at two partners", kinds::same_id_two_partners),
    (30, "full refund", kinds::full_refund),
    (30, "partial refund", kinds::partial_refund),
    (20, "two partial refunds", kinds::two_refunds),
    (10, "refunds beyond the value", kinds::refund_too_much),
    (20, "refund before its conversion", kinds::refund_first),
    (40, "refund after approval", kinds::refund_late),
    (60, "success after", kinds::success_after),
    (40, "success before", kinds::success_before),
    (10, "success twice", kinds::success_twice),
    (10, "success that had expired", kinds::success_expired),
    (40, "success verified late", kinds::success_late),
    (15, "conversion before its click", kinds::conversion_first),
    (15, "forged click id", kinds::forged),
    (5, "malformed click id", kinds::malformed),
    (15, "click id of another partner", kinds::other_partners_click),
    (10, "code of another partner", kinds::other_partners_code),
    (10, "unknown code", kinds::unknown_code),
    (10, "nothing claimed", kinds::nothing_claimed),
    (15, "click id past the window", kinds::click_id_too_late),
    (10, "too soon after the click", kinds::too_soon),
    (10, "session past the window", kinds::session_too_late),
    (10, "at the window's last second", kinds::last_second),
    (10, "badly signed", kinds::badly_signed),
    (5, "test event", kinds::test_event),
    (5, "unknown metric", kinds::unknown_metric),
    (120, "over several sites", walks::several_sites),
    (30, "half-lives apart", walks::half_lives),
    (50, "renewal by the customer's name", walks::renewal),
    (20, "renewal told before the first sale", walks::renewal_told_first),
    (15, "renewal past the window", walks::renewal_too_late),
    (30, "two devices of a customer", walks::two_devices),
    (20, "refund of a shared sale", walks::shared_refund),
    (20, "when the terms change", walks::at_the_change),
    (20, "currency without a rate", walks::late_currency),
];

fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}
