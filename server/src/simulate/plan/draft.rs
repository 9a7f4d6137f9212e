//! What journeys are written with: links, times, amounts, clicks, messages, and what is expected of them.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, rngs::StdRng};

use super::{
    Achieved, Claim, ClickIdClaim, CodeClaim, Credit, Event, Expected, Journey, Link, Message, Site, Step, Touch, Value, Visitor, World,
    seconds,
};

/// Code and digits; the first is the most frequent.
const CURRENCIES: [(&str, u32); 3] = [("USD", 2), ("EUR", 2), ("JPY", 0)];

/// A session's clicks on one link that are closer than this count once.
const REPEAT: TimeDelta = TimeDelta::hours(1);

pub struct Draft<'w> {
    pub world: &'w World,
    pub number: usize,
    pub rng: StdRng,
    pub partner: usize,
    clicks: usize,
    /// When each person last followed each link.
    followed: HashMap<(usize, Link), DateTime<Utc>>,
    pub journey: Journey,
}

/// A click, and the event of a conversion by its click id, not yet sent.
pub struct Bought {
    pub link: Link,
    pub touch: Touch,
    pub at: DateTime<Utc>,
    pub value: Value,
    pub event: Event,
}

impl Bought {
    pub fn credit(&self) -> Option<Credit> {
        alone(self.touch)
    }
}

/// One touch takes all.
#[expect(clippy::unnecessary_wraps, reason = "what is expected may also be no credit")]
pub fn alone(touch: Touch) -> Option<Credit> {
    Some(Credit { touches: vec![touch], last: 0 })
}

/// All share, where the model is not that the one at `last` takes all.
#[expect(clippy::unnecessary_wraps, reason = "what is expected may also be no credit")]
pub fn shared(touches: &[Touch], last: usize) -> Option<Credit> {
    Some(Credit { touches: touches.to_vec(), last })
}

pub fn click_id(touch: Touch) -> Claim {
    Claim { click: Some(ClickIdClaim::Of(touch.click)), ..Claim::default() }
}

pub fn code(link: Link) -> Claim {
    Claim { code: Some(CodeClaim::Of(link)), ..Claim::default() }
}

pub fn code_and_session(link: Link, person: usize) -> Claim {
    Claim { session: Some(person), ..code(link) }
}

pub fn customer(number: usize) -> Claim {
    Claim { customer: Some(number), ..Claim::default() }
}

impl<'w> Draft<'w> {
    pub fn new(world: &'w World, number: usize, mut rng: StdRng) -> Self {
        let partner = rng.random_range(0..world.partners.len());
        Self { world, number, rng, partner, clicks: 0, followed: HashMap::new(), journey: Journey::default() }
    }

    pub fn id(&self, what: &str) -> String {
        format!("{}-{}-{what}", self.world.run, self.number)
    }

    pub fn window(&self) -> TimeDelta {
        self.world.partners[self.partner].window
    }

    pub fn shared(&mut self) -> Link {
        Link { site: Site::Shared(self.rng.random_range(0..self.world.shared_sites)), partner: self.partner }
    }

    /// Links of different sites, `wanted` of them if there are so many.
    pub fn several(&mut self, wanted: usize) -> Vec<Link> {
        let (sites, partner) = (self.world.shared_sites, self.partner);
        let first = self.rng.random_range(0..sites);
        (0..wanted.min(sites)).map(|index| Link { site: Site::Shared((first + index) % sites), partner }).collect()
    }

    pub fn own(&self) -> Link {
        Link { site: Site::Own(self.number), partner: self.partner }
    }

    /// A time from which a whole window passes before now.
    pub fn start(&mut self) -> DateTime<Utc> {
        let after_window = self.rng.random_range(2 * 3600..5 * 24 * 3600);
        self.world.now - self.window() - seconds(after_window)
    }

    /// Less than a window, and most often much less.
    pub fn delay(&mut self) -> TimeDelta {
        let longest: i64 = if self.rng.random_bool(0.7) { 3600 } else { self.window().num_seconds() - 3600 };
        seconds(self.rng.random_range(60..longest))
    }

    pub fn value(&mut self) -> Value {
        let (currency, digits) = CURRENCIES[if self.rng.random_bool(0.7) { 0 } else { self.rng.random_range(1..CURRENCIES.len()) }];
        Value { minor: self.rng.random_range(1..=50_000), currency, digits }
    }

    pub fn click(&mut self, visitor: Visitor, link: Link, at: DateTime<Utc>) -> Touch {
        self.journey.steps.push(Step::Click { visitor, link, at, reports: 0 });
        self.clicks += usize::from(visitor.counts());
        if let Visitor::Person(person) = visitor
            && let Some(before) = self.followed.insert((person, link), at)
            && (at - before).abs() < REPEAT
        {
            self.journey.repeats.push(link);
        }
        Touch { click: self.clicks.saturating_sub(1), site: link.site, at }
    }

    pub fn message(&self, id: &str, event: Event) -> Message {
        Message { id: self.id(id), partner: self.partner, event, badly_signed: false }
    }

    pub fn order(&self, at: DateTime<Utc>, value: Value, claim: Claim) -> Event {
        self.conversion("order", "sale", at, value, claim)
    }

    pub fn conversion(&self, name: &str, kind: &'static str, at: DateTime<Utc>, value: Value, claim: Claim) -> Event {
        Event::Conversion { id: self.id(name), kind, at, value, claim, is_test: false }
    }

    pub fn send(&mut self, id: &str, event: Event) {
        let message = self.message(id, event);
        self.journey.steps.push(Step::Send(vec![message]));
    }

    /// Sends once commissions are approved.
    pub fn send_late(&mut self, id: &str, event: Event) {
        let message = self.message(id, event);
        self.journey.late_steps.push(Step::Send(vec![message]));
    }

    pub fn expect(&mut self, at: DateTime<Utc>, value: Value, credit: Option<Credit>, reversed_minor: i64) {
        self.expect_of("order", at, value, credit, reversed_minor);
    }

    pub fn expect_of(&mut self, name: &str, at: DateTime<Utc>, value: Value, credit: Option<Credit>, reversed_minor: i64) {
        let expected = Expected { partner: self.partner, id: self.id(name), value, at, credit, reversed_minor };
        self.journey.conversions.push(expected);
    }

    /// A click of one person on a shared link and, later, the event of a conversion by its click id, not yet sent.
    pub fn clicked(&mut self) -> Bought {
        let (link, start) = (self.shared(), self.start());
        let touch = self.click(Visitor::Person(0), link, start);
        let at = start + self.delay();
        let value = self.value();
        Bought { link, touch, at, value, event: self.order(at, value, click_id(touch)) }
    }

    /// Clicks of one person on all links in turn, so that a conversion soon after is within the window of all.
    pub fn walk(&mut self, person: usize, links: &[Link]) -> Vec<Touch> {
        let mut at = self.start();
        let longest = self.window().num_seconds() / (links.len() as i64 + 1);
        let mut touches = Vec::new();
        for link in links {
            touches.push(self.click(Visitor::Person(person), *link, at));
            at += seconds(self.rng.random_range(60..longest));
        }
        touches
    }

    /// A conversion that nobody gets credit for.
    pub fn refused(&mut self, at: DateTime<Utc>, claim: Claim) {
        let value = self.value();
        let event = self.order(at, value, claim);
        self.send("a", event);
        self.expect(at, value, None, 0);
    }

    pub fn reversal(&self, id: &str, at: DateTime<Utc>, amount: Option<Value>) -> Event {
        Event::Reversal { id: self.id(id), conversion: self.id("order"), at, amount }
    }

    /// One of the partner's successes, for the developer of the site.
    pub fn success(&mut self, link: Link, claim: Claim, at: DateTime<Utc>, expires_at: Option<DateTime<Utc>>) -> Event {
        let metrics = &self.world.partners[self.partner].metrics;
        let (metric, evidence) = metrics[self.rng.random_range(0..metrics.len())].clone();
        self.journey.successes.push(Achieved { site: link.site, partner: self.partner, metric: metric.clone(), at, expires_at });
        Event::Success { id: self.id("success"), metric, evidence, at, expires_at, claim }
    }
}
