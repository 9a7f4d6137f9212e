//! Journeys with known truth, made from a seed: what is sent, in which order, and what has to come of it.
//!
//! Nothing here knows how the server decides. A journey is a list of steps; its truth is written down beside them as the
//! person who wrote the journey knows it. To add a kind of journey: a function below, and its weight in [`KINDS`].

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// The attribution window that journeys are planned for; the run refuses partners with another one.
pub const WINDOW_HOURS: u32 = 24;

/// Successes that the planned partners know: metric, required evidence.
pub type Metrics = Vec<(String, Vec<String>)>;

/// What journeys are made of.
pub struct World {
    pub seed: u64,
    /// Begins every id of the run.
    pub run: String,
    /// No event happens after this.
    pub now: DateTime<Utc>,
    pub partners: Vec<Metrics>,
    /// Sites that many journeys share; their developers have several.
    pub shared_sites: usize,
}

/// A site's link to a partner. `Own` is a site that no other journey uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    Shared(usize),
    /// By the number of its journey.
    Own(usize),
}

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
    /// Clicks of people are numbered in the order of the steps, from 0.
    Click { visitor: Visitor, link: Link, at: DateTime<Utc> },
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

/// What must become of a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub partner: usize,
    pub id: String,
    pub value: Value,
    pub at: DateTime<Utc>,
    /// The number of the click that gets the credit, with the site it belongs to; `None`: nobody gets any.
    pub credit: Option<(usize, Site)>,
    /// What refunds took back in the end.
    pub reversed_minor: i64,
}

/// A success that counts for the commissions of the site's developer.
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
    pub steps: Vec<Step>,
    pub conversions: Vec<Expected>,
    pub successes: Vec<Achieved>,
    /// Clicks of one session on one link less than an hour after its last one.
    pub repeats: Vec<Link>,
    /// Messages that end as dead letters.
    pub dead: usize,
}

/// Plans one journey; the same world and number give the same journey.
pub fn journey(world: &World, number: usize) -> Journey {
    let mut rng = StdRng::seed_from_u64(world.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number as u64);
    let total: u32 = KINDS.iter().map(|(weight, ..)| weight).sum();
    let mut left = rng.random_range(0..total);
    for &(weight, kind, plan) in KINDS {
        if left < weight {
            let mut journey = Draft::new(world, number, rng);
            plan(&mut journey);
            return Journey { kind, ..journey.journey };
        }
        left -= weight;
    }
    unreachable!("the weights cover every number below their sum")
}

/// Fills in a journey of one kind.
type Draw = fn(&mut Draft);

/// How often each kind of journey comes up, per thousand or so.
const KINDS: &[(u32, &str, Draw)] = &[
    (290, "click id", by_click_id),
    (140, "code and session", by_session),
    (60, "code alone", by_code),
    (60, "last of a session's clicks", last_of_session),
    (40, "last of a code's clicks", last_of_code),
    (20, "click after the conversion", click_afterwards),
    (30, "asks not to be tracked", private),
    (70, "conversion lost", lost),
    (60, "bots and prefetches", bots),
    (30, "repeats within the hour", repeats),
    (30, "message twice", message_twice),
    (30, "conversion in two messages", two_messages),
    (40, "copies at the same time", copies_at_once),
    (10, "same id at two partners", same_id_two_partners),
    (30, "full refund", full_refund),
    (30, "partial refund", partial_refund),
    (20, "two partial refunds", two_refunds),
    (10, "refunds beyond the value", refund_too_much),
    (20, "refund before its conversion", refund_first),
    (60, "success after", success_after),
    (40, "success before", success_before),
    (10, "success twice", success_twice),
    (10, "success that had expired", success_expired),
    (15, "conversion before its click", conversion_first),
    (15, "forged click id", forged),
    (5, "malformed click id", malformed),
    (15, "click id of another partner", other_partners_click),
    (10, "code of another partner", other_partners_code),
    (10, "unknown code", unknown_code),
    (10, "nothing claimed", nothing_claimed),
    (15, "click id past the window", click_id_too_late),
    (10, "session past the window", session_too_late),
    (10, "at the window's last second", last_second),
    (10, "badly signed", badly_signed),
    (5, "test event", test_event),
    (5, "unknown metric", unknown_metric),
];

const CURRENCIES: [(&str, u32, i64); 3] = [("USD", 2, 1), ("EUR", 2, 1), ("JPY", 0, 1)];

struct Draft<'w> {
    world: &'w World,
    number: usize,
    rng: StdRng,
    partner: usize,
    clicks: usize,
    journey: Journey,
}

impl<'w> Draft<'w> {
    fn new(world: &'w World, number: usize, mut rng: StdRng) -> Self {
        let partner = rng.random_range(0..world.partners.len());
        Self { world, number, rng, partner, clicks: 0, journey: Journey::default() }
    }

    fn id(&self, what: &str) -> String {
        format!("{}-{}-{what}", self.world.run, self.number)
    }

    fn shared(&mut self) -> Link {
        Link { site: Site::Shared(self.rng.random_range(0..self.world.shared_sites)), partner: self.partner }
    }

    fn own(&self) -> Link {
        Link { site: Site::Own(self.number), partner: self.partner }
    }

    /// A time from which a whole window passes before now.
    fn start(&mut self) -> DateTime<Utc> {
        let hours = i64::from(WINDOW_HOURS);
        self.world.now - TimeDelta::seconds(self.rng.random_range(3600 * (hours + 2)..3600 * 24 * 6))
    }

    /// Less than a window, and most often much less.
    fn delay(&mut self) -> TimeDelta {
        let longest: i64 = if self.rng.random_bool(0.7) { 3600 } else { 3600 * 23 };
        TimeDelta::seconds(self.rng.random_range(30..longest))
    }

    fn value(&mut self) -> Value {
        let (currency, digits, _) = CURRENCIES[if self.rng.random_bool(0.8) { 0 } else { self.rng.random_range(1..CURRENCIES.len()) }];
        Value { minor: self.rng.random_range(1..=50_000), currency, digits }
    }

    /// Returns the number of the click.
    fn click(&mut self, visitor: Visitor, link: Link, at: DateTime<Utc>) -> usize {
        self.journey.steps.push(Step::Click { visitor, link, at });
        self.clicks += usize::from(visitor.counts());
        self.clicks.saturating_sub(1)
    }

    fn message(&self, id: &str, event: Event) -> Message {
        Message { id: self.id(id), partner: self.partner, event, badly_signed: false }
    }

    fn conversion(&self, at: DateTime<Utc>, value: Value, claim: Claim) -> Event {
        Event::Conversion { id: self.id("order"), at, value, claim, is_test: false }
    }

    fn send(&mut self, id: &str, event: Event) {
        let message = self.message(id, event);
        self.journey.steps.push(Step::Send(vec![message]));
    }

    fn expect(&mut self, at: DateTime<Utc>, value: Value, credit: Option<(usize, Site)>, reversed_minor: i64) {
        let expected = Expected { partner: self.partner, id: self.id("order"), value, at, credit, reversed_minor };
        self.journey.conversions.push(expected);
    }

    /// A click of one person on a shared link and, later, the event of a conversion by its click id, not yet sent.
    fn clicked(&mut self) -> Bought {
        let link = self.shared();
        let clicked_at = self.start();
        let click = self.click(Visitor::Person(0), link, clicked_at);
        let at = clicked_at + self.delay();
        let value = self.value();
        Bought { link, click, clicked_at, at, value, event: self.conversion(at, value, click_id(click)) }
    }

    /// A conversion that nobody gets credit for.
    fn refused(&mut self, at: DateTime<Utc>, claim: Claim) {
        let value = self.value();
        let event = self.conversion(at, value, claim);
        self.send("a", event);
        self.expect(at, value, None, 0);
    }

    fn reversal(&self, id: &str, at: DateTime<Utc>, amount: Option<Value>) -> Event {
        Event::Reversal { id: self.id(id), conversion: self.id("order"), at, amount }
    }

    /// One of the partner's successes, for the developer of the site.
    fn success(&mut self, link: Link, claim: Claim, at: DateTime<Utc>, expires_at: Option<DateTime<Utc>>) -> Event {
        let metrics = &self.world.partners[self.partner];
        let (metric, evidence) = metrics[self.rng.random_range(0..metrics.len())].clone();
        self.journey.successes.push(Achieved { site: link.site, partner: self.partner, metric: metric.clone(), at, expires_at });
        Event::Success { id: self.id("success"), metric, evidence, at, expires_at, claim }
    }
}

struct Bought {
    link: Link,
    click: usize,
    clicked_at: DateTime<Utc>,
    at: DateTime<Utc>,
    value: Value,
    event: Event,
}

impl Bought {
    fn credit(&self) -> Option<(usize, Site)> {
        Some((self.click, self.link.site))
    }
}

fn click_id(click: usize) -> Claim {
    Claim { click: Some(ClickIdClaim::Of(click)), ..Claim::default() }
}

fn code(link: Link) -> Claim {
    Claim { code: Some(CodeClaim::Of(link)), ..Claim::default() }
}

fn code_and_session(link: Link, person: usize) -> Claim {
    Claim { session: Some(person), ..code(link) }
}

fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}

fn by_click_id(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

fn by_session(draft: &mut Draft) {
    let bought = draft.clicked();
    let event = draft.conversion(bought.at, bought.value, code_and_session(bought.link, 0));
    draft.send("a", event);
    draft.expect(bought.at, bought.value, bought.credit(), 0);
}

fn by_code(draft: &mut Draft) {
    let (link, clicked_at, value) = (draft.own(), draft.start(), draft.value());
    let click = draft.click(Visitor::Person(0), link, clicked_at);
    let at = clicked_at + draft.delay();
    let event = draft.conversion(at, value, code(link));
    draft.send("a", event);
    draft.expect(at, value, Some((click, link.site)), 0);
}

/// Another session's later click on the same link must not take the credit.
fn last_of_session(draft: &mut Draft) {
    let (link, mut at, value) = (draft.shared(), draft.start(), draft.value());
    let mut last = 0;
    for _ in 0..draft.rng.random_range(2..=4) {
        at += seconds(draft.rng.random_range(3601..7200));
        last = draft.click(Visitor::Person(0), link, at);
    }
    draft.click(Visitor::Person(1), link, at + seconds(10));
    at += seconds(draft.rng.random_range(60..3600));
    let event = draft.conversion(at, value, code_and_session(link, 0));
    draft.send("a", event);
    draft.expect(at, value, Some((last, link.site)), 0);
}

fn last_of_code(draft: &mut Draft) {
    let (link, mut at, value) = (draft.own(), draft.start(), draft.value());
    let mut last = 0;
    for person in 0..draft.rng.random_range(2..=4) {
        at += seconds(draft.rng.random_range(60..7200));
        last = draft.click(Visitor::Person(person), link, at);
    }
    draft.click(Visitor::Bot, link, at + seconds(5));
    at += seconds(draft.rng.random_range(60..3600));
    let event = draft.conversion(at, value, code(link));
    draft.send("a", event);
    draft.expect(at, value, Some((last, link.site)), 0);
}

/// The session's latest click came after the conversion happened, though before it is reported.
fn click_afterwards(draft: &mut Draft) {
    let bought = draft.clicked();
    let later = bought.at + seconds(draft.rng.random_range(60..3600));
    draft.click(Visitor::Person(0), bought.link, later);
    if later - bought.clicked_at < TimeDelta::hours(1) {
        draft.journey.repeats.push(bought.link);
    }
    let event = draft.conversion(bought.at, bought.value, code_and_session(bought.link, 0));
    draft.send("a", event);
    draft.expect(bought.at, bought.value, bought.credit(), 0);
}

fn private(draft: &mut Draft) {
    let (link, clicked_at, value) = (draft.shared(), draft.start(), draft.value());
    let click = draft.click(Visitor::Private, link, clicked_at);
    let at = clicked_at + draft.delay();
    let event = draft.conversion(at, value, click_id(click));
    draft.send("a", event);
    draft.expect(at, value, Some((click, link.site)), 0);
}

fn lost(draft: &mut Draft) {
    draft.clicked();
}

fn bots(draft: &mut Draft) {
    let (link, at) = (draft.shared(), draft.start());
    for (index, visitor) in [Visitor::Bot, Visitor::Prefetch, Visitor::Head].into_iter().enumerate() {
        if draft.rng.random_bool(0.7) {
            draft.click(visitor, link, at + seconds(60 * index as i64));
        }
    }
}

fn repeats(draft: &mut Draft) {
    let bought = draft.clicked();
    let mut last = bought.click;
    for index in 1..=draft.rng.random_range(1..=3) {
        last = draft.click(Visitor::Person(0), bought.link, bought.clicked_at + seconds(9 * index));
        draft.journey.repeats.push(bought.link);
    }
    let event = draft.conversion(bought.at, bought.value, code_and_session(bought.link, 0));
    draft.send("a", event);
    draft.expect(bought.at, bought.value, Some((last, bought.link.site)), 0);
}

fn message_twice(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    draft.send("a", bought.event.clone());
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

fn two_messages(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    draft.send("a", bought.event.clone());
    draft.send("b", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

fn copies_at_once(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    let copies = ["a", "a", "b", "c"].map(|id| draft.message(id, bought.event.clone()));
    draft.journey.steps.push(Step::Send(copies.into()));
    draft.expect(bought.at, bought.value, credit, 0);
}

/// Two partners may use the same id for different conversions, and even for the same message.
fn same_id_two_partners(draft: &mut Draft) {
    by_click_id(draft);
    draft.partner = (draft.partner + 1) % draft.world.partners.len();
    by_click_id(draft);
}

fn refund(draft: &mut Draft, amounts: &[Option<i64>]) -> (Bought, Vec<Event>, i64) {
    let bought = draft.clicked();
    let (mut events, mut reversed) = (Vec::new(), 0);
    for (index, amount) in amounts.iter().enumerate() {
        let value = amount.map(|minor| Value { minor: minor.max(1), ..bought.value });
        let left = bought.value.minor - reversed;
        reversed += value.map_or(left, |value| value.minor.min(left));
        events.push(draft.reversal(&format!("refund-{index}"), bought.at + seconds(3600), value));
    }
    (bought, events, reversed)
}

fn refund_after(draft: &mut Draft, amounts: &[Option<i64>]) {
    let (bought, events, reversed) = refund(draft, amounts);
    let credit = bought.credit();
    draft.send("a", bought.event);
    for (index, event) in events.into_iter().enumerate() {
        draft.send(&format!("refund-{index}"), event);
    }
    draft.expect(bought.at, bought.value, credit, reversed);
}

fn full_refund(draft: &mut Draft) {
    refund_after(draft, &[None]);
}

fn partial_refund(draft: &mut Draft) {
    let part = draft.rng.random_range(1..20_000);
    refund_after(draft, &[Some(part)]);
}

fn two_refunds(draft: &mut Draft) {
    let parts = [Some(draft.rng.random_range(1..8_000)), Some(draft.rng.random_range(1..8_000))];
    refund_after(draft, &parts);
}

fn refund_too_much(draft: &mut Draft) {
    refund_after(draft, &[Some(40_000), Some(40_000)]);
}

fn refund_first(draft: &mut Draft) {
    let part = draft.rng.random_bool(0.5).then(|| draft.rng.random_range(1..20_000));
    let (bought, events, reversed) = refund(draft, &[part]);
    let credit = bought.credit();
    for event in events {
        draft.send("refund", event);
    }
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, reversed);
}

fn success_after(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    draft.send("a", bought.event);
    let claim = if draft.rng.random_bool(0.5) { click_id(bought.click) } else { code(bought.link) };
    let event = draft.success(bought.link, claim, bought.at + seconds(1800), None);
    draft.send("success", event);
    draft.expect(bought.at, bought.value, credit, 0);
}

fn success_before(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    let event = draft.success(bought.link, click_id(bought.click), bought.at - seconds(10), None);
    draft.send("success", event);
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

fn success_twice(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    draft.send("a", bought.event);
    let event = draft.success(bought.link, click_id(bought.click), bought.at + seconds(60), None);
    let copies = ["success", "success-again"].map(|id| draft.message(id, event.clone()));
    draft.journey.steps.push(Step::Send(copies.into()));
    draft.expect(bought.at, bought.value, credit, 0);
}

/// It ended before this journey's conversion, but may still count for earlier ones of the same developer.
fn success_expired(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    let event = draft.success(bought.link, click_id(bought.click), bought.at - seconds(20), Some(bought.at - seconds(10)));
    draft.send("success", event);
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

fn conversion_first(draft: &mut Draft) {
    let (link, clicked_at, value) = (draft.own(), draft.start(), draft.value());
    let at = clicked_at + draft.delay();
    let event = draft.conversion(at, value, code(link));
    draft.send("a", event);
    let click = draft.click(Visitor::Person(0), link, clicked_at);
    draft.expect(at, value, Some((click, link.site)), 0);
}

fn forged(draft: &mut Draft) {
    let bought = draft.clicked();
    draft.refused(bought.at, Claim { click: Some(ClickIdClaim::Forged(bought.click)), ..Claim::default() });
}

fn malformed(draft: &mut Draft) {
    let bought = draft.clicked();
    draft.refused(bought.at, Claim { click: Some(ClickIdClaim::Text("not-a-click-id".to_owned())), ..Claim::default() });
}

fn other_partners_click(draft: &mut Draft) {
    let bought = draft.clicked();
    draft.partner = (draft.partner + 1) % draft.world.partners.len();
    draft.refused(bought.at, click_id(bought.click));
}

fn other_partners_code(draft: &mut Draft) {
    let bought = draft.clicked();
    draft.partner = (draft.partner + 1) % draft.world.partners.len();
    draft.refused(bought.at, code_and_session(bought.link, 0));
}

fn unknown_code(draft: &mut Draft) {
    let at = draft.start();
    draft.refused(at, Claim { code: Some(CodeClaim::Unknown), ..Claim::default() });
}

fn nothing_claimed(draft: &mut Draft) {
    let at = draft.start();
    draft.refused(at, Claim::default());
}

fn click_id_too_late(draft: &mut Draft) {
    let bought = draft.clicked();
    let late = bought.clicked_at + TimeDelta::hours(i64::from(WINDOW_HOURS)) + seconds(draft.rng.random_range(1..3600));
    draft.refused(late, click_id(bought.click));
}

fn session_too_late(draft: &mut Draft) {
    let (link, clicked_at) = (draft.own(), draft.start());
    draft.click(Visitor::Person(0), link, clicked_at);
    let late = clicked_at + TimeDelta::hours(i64::from(WINDOW_HOURS)) + seconds(draft.rng.random_range(1..3600));
    draft.refused(late, code_and_session(link, 0));
}

fn last_second(draft: &mut Draft) {
    let bought = draft.clicked();
    let at = bought.clicked_at + TimeDelta::hours(i64::from(WINDOW_HOURS));
    let claim = if draft.rng.random_bool(0.5) { click_id(bought.click) } else { code_and_session(bought.link, 0) };
    let event = draft.conversion(at, bought.value, claim);
    draft.send("a", event);
    draft.expect(at, bought.value, bought.credit(), 0);
}

/// The true message follows the forged one and must be the one that counts.
fn badly_signed(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    let mut forged = draft.message("a", draft.conversion(bought.at, Value { minor: 99_999, ..bought.value }, click_id(bought.click)));
    forged.badly_signed = true;
    draft.journey.steps.push(Step::Send(vec![forged]));
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

fn test_event(draft: &mut Draft) {
    let bought = draft.clicked();
    let event =
        Event::Conversion { id: draft.id("order"), at: bought.at, value: bought.value, claim: click_id(bought.click), is_test: true };
    draft.send("a", event);
}

fn unknown_metric(draft: &mut Draft) {
    let bought = draft.clicked();
    let (id, metric) = (draft.id("success"), "moon_landing".to_owned());
    let event = Event::Success { id, metric, evidence: vec![], at: bought.at, expires_at: None, claim: click_id(bought.click) };
    draft.send("success", event);
    draft.journey.dead += 1;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn world(seed: u64) -> World {
        World {
            seed,
            run: "test".to_owned(),
            now: DateTime::UNIX_EPOCH + TimeDelta::days(20_000),
            partners: vec![vec![("m".to_owned(), vec![])]; 3],
            shared_sites: 10,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_journeys_and_another_seed_others() {
        let plan = |seed| (0..200).map(|number| journey(&world(seed), number)).collect::<Vec<_>>();
        assert!(plan(1) == plan(1));
        assert!(plan(1) != plan(2));
    }

    #[test]
    fn nothing_happens_in_the_future_and_every_kind_comes_up() {
        let world = world(1);
        let mut kinds = HashSet::new();
        for number in 0..5_000 {
            let journey = journey(&world, number);
            kinds.insert(journey.kind);
            for step in &journey.steps {
                if let Step::Click { at, .. } = step {
                    assert!(*at <= world.now, "{}", journey.kind);
                }
            }
            assert!(
                journey
                    .conversions
                    .iter()
                    .all(|conversion| conversion.at <= world.now && conversion.reversed_minor <= conversion.value.minor)
            );
        }
        assert_eq!(kinds.len(), KINDS.len());
    }
}
