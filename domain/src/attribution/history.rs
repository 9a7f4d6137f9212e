//! Journeys from a raw log of events, in which an event may come twice, late and out of order.
//!
//! Only the time when something happened counts, never the time when it was told. An event is the same event if its kind and id are.
//! If two of them disagree, the one that happened earlier is kept, and then the lesser in its other fields; if two conversions carry one
//! order id, the earlier one is the order, and then the lesser event id. So any order and any repetition of the log gives the same
//! journeys.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

use chrono::{DateTime, Utc};

use super::{Policy, Touched, journey_by};

/// A visit through a partner's link. Fields are in the order in which disagreeing copies are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Click {
    pub occurred_at: DateTime<Utc>,
    pub click_id: String,
    pub partner: String,
    pub cookie: Option<String>,
    /// Fetched by a machine ahead of a visit that may never come; it claims nothing.
    pub prefetch: bool,
}

impl Touched for Click {
    type Id = String;

    fn touched_at(&self) -> DateTime<Utc> {
        self.occurred_at
    }

    fn touch_id(&self) -> &String {
        &self.click_id
    }
}

/// A customer became known on a device: from then on its cookie is one of theirs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identify {
    pub occurred_at: DateTime<Utc>,
    pub event_id: String,
    pub cookie: String,
    pub customer: String,
}

/// A conversion.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    pub occurred_at: DateTime<Utc>,
    pub event_id: String,
    pub order_id: String,
    pub cookie: Option<String>,
    pub customer: Option<String>,
    /// The click that the conversion names, whose cookie may be another.
    pub click_id: Option<String>,
}

/// What came of an event that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    New,
    /// The event was known, with the same content.
    Again,
    /// The event was known, with other content; one of the two was kept, as the module says.
    Disagrees,
}

/// The events known so far.
#[derive(Clone, Debug, Default)]
pub struct History {
    clicks: HashMap<String, Click>,
    identifies: HashMap<String, Identify>,
    conversions: HashMap<String, Order>,
}

impl History {
    pub fn record_click(&mut self, click: Click) -> Recorded {
        record(&mut self.clicks, click.click_id.clone(), click)
    }

    pub fn record_identify(&mut self, identify: Identify) -> Recorded {
        record(&mut self.identifies, identify.event_id.clone(), identify)
    }

    pub fn record_conversion(&mut self, order: Order) -> Recorded {
        record(&mut self.conversions, order.event_id.clone(), order)
    }

    /// Every order with its journey, by order id: of the click that the order names, the clicks of its cookie, and the clicks of every
    /// cookie that was identified as its customer's at the time of the order or before, those that `policy_of` their partner admits.
    pub fn journeys(&self, policy_of: impl Fn(&Click) -> Policy) -> Vec<(&Order, Vec<&Click>)> {
        let mut clicks_of: HashMap<&str, Vec<&Click>> = HashMap::new();
        for click in self.clicks.values() {
            if let Some(cookie) = &click.cookie {
                clicks_of.entry(cookie).or_default().push(click);
            }
        }
        let mut identifies_of: HashMap<&str, Vec<&Identify>> = HashMap::new();
        for identify in self.identifies.values() {
            identifies_of.entry(&identify.customer).or_default().push(identify);
        }
        let journey_of = |order: &Order| {
            let known = order.customer.as_deref().and_then(|customer| identifies_of.get(customer)).into_iter().flatten();
            let known = known.filter(|identify| identify.occurred_at <= order.occurred_at).map(|identify| identify.cookie.as_str());
            let cookies: BTreeSet<&str> = known.chain(order.cookie.as_deref()).collect();
            let named = order.click_id.as_ref().and_then(|click_id| self.clicks.get(click_id));
            let touches = cookies.into_iter().filter_map(|cookie| clicks_of.get(cookie)).flatten().copied().chain(named);
            journey_by(touches.filter(|click| !click.prefetch), order.occurred_at, &policy_of)
        };
        self.orders().into_values().map(|order| (order, journey_of(order))).collect()
    }

    /// One conversion for each order id.
    fn orders(&self) -> BTreeMap<&str, &Order> {
        let mut orders: BTreeMap<&str, &Order> = BTreeMap::new();
        for order in self.conversions.values() {
            orders.entry(&order.order_id).and_modify(|known| *known = order.min(known)).or_insert(order);
        }
        orders
    }
}

fn record<T: Ord>(known: &mut HashMap<String, T>, id: String, event: T) -> Recorded {
    match known.entry(id) {
        Entry::Vacant(place) => {
            place.insert(event);
            Recorded::New
        }
        Entry::Occupied(place) if *place.get() == event => Recorded::Again,
        Entry::Occupied(mut place) => {
            if event < *place.get() {
                place.insert(event);
            }
            Recorded::Disagrees
        }
    }
}

#[cfg(test)]
mod tests;
