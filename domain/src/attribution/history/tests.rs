//! The rules one by one, and the whole against a brute-force oracle on generated logs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use chrono::{Duration, TimeZone};
use proptest::prelude::*;

use super::*;
use crate::attribution::Model;

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_800_000_000 + seconds, 0).unwrap()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn click(id: &str, seconds: i64, partner: &str, cookie: &str) -> Click {
    Click { occurred_at: at(seconds), click_id: id.to_owned(), partner: partner.to_owned(), cookie: some(cookie), prefetch: false }
}

fn identify(id: &str, seconds: i64, cookie: &str, customer: &str) -> Identify {
    Identify { occurred_at: at(seconds), event_id: id.to_owned(), cookie: cookie.to_owned(), customer: customer.to_owned() }
}

fn order(id: &str, seconds: i64, cookie: &str, customer: &str, click_id: &str) -> Order {
    Order {
        occurred_at: at(seconds),
        event_id: format!("event of {id}"),
        order_id: id.to_owned(),
        cookie: some(cookie),
        customer: some(customer),
        click_id: some(click_id),
    }
}

/// A window of 100 seconds for all but the partner `brief`, who has 10.
fn policy_of(click: &Click) -> Policy {
    let window = Duration::seconds(if click.partner == "brief" { 10 } else { 100 });
    Policy { model: Model::Linear, window, minimum: Duration::zero() }
}

#[derive(Clone, Debug)]
enum Event {
    Click(Click),
    Identify(Identify),
    Order(Order),
}

fn history(events: &[Event]) -> History {
    let mut history = History::default();
    for event in events.iter().cloned() {
        match event {
            Event::Click(click) => history.record_click(click),
            Event::Identify(identify) => history.record_identify(identify),
            Event::Order(order) => history.record_conversion(order),
        };
    }
    history
}

/// (order id, ids of its journey).
fn journeys(events: &[Event]) -> Vec<(String, Vec<String>)> {
    let ids = |clicks: Vec<&Click>| clicks.into_iter().map(|click| click.click_id.clone()).collect();
    history(events).journeys(policy_of).into_iter().map(|(order, clicks)| (order.order_id.clone(), ids(clicks))).collect()
}

fn journey_of(events: &[Event]) -> Vec<String> {
    let [(_, journey)] = <[_; 1]>::try_from(journeys(events)).unwrap();
    journey
}

#[test]
fn the_named_click_counts_even_if_its_cookie_is_another_and_an_unknown_one_is_left_out() {
    let clicks = [Event::Click(click("a", 0, "p", "phone")), Event::Click(click("b", 1, "p", "desk"))];
    let with = |order| [&clicks[..], &[Event::Order(order)]].concat();
    assert_eq!(journey_of(&with(order("1", 5, "desk", "", "a"))), ["a", "b"]);
    assert_eq!(journey_of(&with(order("1", 5, "desk", "", "nowhere"))), ["b"]);
    assert_eq!(journey_of(&with(order("1", 5, "", "", "a"))), ["a"]);
    assert_eq!(journey_of(&with(order("1", 5, "desk", "", "b"))), ["b"], "a click found twice counts once");
}

#[test]
fn an_identify_counts_at_the_time_of_the_order_or_before_but_not_after() {
    let events = |seconds| {
        [
            Event::Click(click("a", 0, "p", "phone")),
            Event::Identify(identify("i", seconds, "phone", "mary")),
            Event::Order(order("1", 5, "desk", "mary", "")),
        ]
    };
    assert_eq!(journey_of(&events(4)), ["a"]);
    assert_eq!(journey_of(&events(5)), ["a"]);
    assert_eq!(journey_of(&events(6)), [""; 0]);
}

#[test]
fn clicks_and_orders_without_cookie_or_customer_do_not_meet() {
    let events = [
        Event::Click(click("a", 0, "p", "")),
        Event::Identify(identify("i", 0, "phone", "mary")),
        Event::Click(click("b", 0, "p", "phone")),
        Event::Order(order("1", 5, "", "", "")),
    ];
    assert_eq!(journey_of(&events), [""; 0]);
}

#[test]
fn prefetches_claim_nothing_even_if_they_are_named() {
    let prefetch = Click { prefetch: true, ..click("a", 0, "p", "desk") };
    assert_eq!(journey_of(&[Event::Click(prefetch), Event::Order(order("1", 5, "desk", "", "a"))]), [""; 0]);
}

#[test]
fn each_partner_has_its_own_window_with_both_ends_included() {
    let events = [
        Event::Click(click("old", -1, "p", "desk")),
        Event::Click(click("oldest", 0, "p", "desk")),
        Event::Click(click("brief-late", 89, "brief", "desk")),
        Event::Click(click("brief", 90, "brief", "desk")),
        Event::Click(click("now", 100, "p", "desk")),
        Event::Click(click("after", 101, "p", "desk")),
        Event::Order(order("1", 100, "desk", "", "")),
    ];
    assert_eq!(journey_of(&events), ["oldest", "brief", "now"]);
}

#[test]
fn equal_times_are_ordered_by_the_id() {
    let events = [
        Event::Click(click("c9", 0, "p", "desk")),
        Event::Click(click("c10", 0, "p", "desk")),
        Event::Order(order("1", 0, "desk", "", "")),
    ];
    assert_eq!(journey_of(&events), ["c10", "c9"]);
}

#[test]
fn of_conversions_with_one_order_id_the_earliest_is_the_order_and_then_the_lesser_event_id() {
    let events = [
        Event::Click(click("a", 0, "p", "phone")),
        Event::Click(click("b", 0, "p", "desk")),
        Event::Order(Order { event_id: "z".to_owned(), ..order("1", 5, "desk", "", "") }),
        Event::Order(Order { event_id: "a".to_owned(), ..order("1", 6, "phone", "", "") }),
        Event::Order(Order { event_id: "y".to_owned(), ..order("1", 5, "phone", "", "") }),
    ];
    assert_eq!(journey_of(&events), ["a"]);
    assert_eq!(journey_of(&events[..4]), ["b"]);
}

#[test]
fn an_event_told_again_with_other_content_is_noticed_and_the_earlier_one_kept() {
    let mut history = History::default();
    assert_eq!(history.record_click(click("a", 5, "p", "desk")), Recorded::New);
    assert_eq!(history.record_click(click("a", 5, "p", "desk")), Recorded::Again);
    assert_eq!(history.record_click(click("a", 3, "p", "phone")), Recorded::Disagrees);
    assert_eq!(history.record_click(click("a", 5, "p", "desk")), Recorded::Disagrees);
    history.record_conversion(order("1", 9, "phone", "", ""));
    assert_eq!(history.journeys(policy_of)[0].1, [&click("a", 3, "p", "phone")]);
}

/// The rules once more, as nested loops over the raw log: no maps, no shared code.
fn oracle(events: &[Event]) -> Vec<(String, Vec<String>)> {
    let mut orders: Vec<&Order> = Vec::new();
    for event in events {
        let Event::Order(new) = event else { continue };
        match orders.iter_mut().find(|order| order.order_id == new.order_id) {
            Some(known) if (new.occurred_at, &new.event_id) < (known.occurred_at, &known.event_id) => *known = new,
            Some(_) => {}
            None => orders.push(new),
        }
    }
    let mut answers = Vec::new();
    for order in orders {
        let mut journey: Vec<(i64, String)> = Vec::new();
        for event in events {
            let Event::Click(click) = event else { continue };
            let mut mine = order.click_id.as_ref() == Some(&click.click_id);
            mine |= click.cookie.is_some() && click.cookie == order.cookie;
            for other in events {
                let Event::Identify(known) = other else { continue };
                mine |= Some(&known.customer) == order.customer.as_ref()
                    && Some(&known.cookie) == click.cookie.as_ref()
                    && known.occurred_at.timestamp() <= order.occurred_at.timestamp();
            }
            let age = order.occurred_at.timestamp() - click.occurred_at.timestamp();
            let window = if click.partner == "brief" { 10 } else { 100 };
            let entry = (click.occurred_at.timestamp(), click.click_id.clone());
            if mine && !click.prefetch && (0..=window).contains(&age) && !journey.contains(&entry) {
                journey.push(entry);
            }
        }
        journey.sort();
        answers.push((order.order_id.clone(), journey.into_iter().map(|(_, id)| id).collect()));
    }
    answers.sort();
    answers
}

fn a_name(names: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(names)
}

fn cookie() -> impl Strategy<Value = &'static str> {
    a_name(&["phone", "desk", "tablet", "work", ""])
}

fn a_click() -> impl Strategy<Value = Click> {
    (0..60_u8, a_name(&["p", "q", "brief"]), cookie(), prop::bool::weighted(0.1)).prop_map(|(id, partner, cookie, prefetch)| {
        // The content follows from the id, as it does in a log whose copies agree.
        let seconds = i64::from(id) * 7 % 150;
        Click { prefetch, ..click(&format!("c{id}"), seconds, partner, cookie) }
    })
}

fn log() -> impl Strategy<Value = Vec<Event>> {
    let an_identify = (0..20_u8, cookie(), a_name(&["mary", "john"]));
    let an_order = (0..20_u8, 0..5_u8, 0..200_i64, cookie(), a_name(&["mary", "john", ""]), 0..80_u8);
    let clicks = prop::collection::vec(a_click(), 0..40);
    let identifies = prop::collection::vec(an_identify, 0..6);
    let orders = prop::collection::vec(an_order, 1..10);
    (clicks, identifies, orders).prop_map(|(mut clicks, mut identifies, mut orders)| {
        clicks.sort_by(|a, b| a.click_id.cmp(&b.click_id));
        clicks.dedup_by(|a, b| a.click_id == b.click_id);
        identifies.sort_unstable();
        identifies.dedup_by_key(|identify| identify.0);
        orders.sort_unstable();
        orders.dedup_by_key(|order| order.0);
        let clicks = clicks.into_iter().map(Event::Click);
        let identifies = identifies.into_iter().filter(|(_, cookie, _)| !cookie.is_empty());
        let identifies = identifies.map(|(id, cookie, customer)| identify(&format!("i{id}"), i64::from(id) * 10, cookie, customer));
        let orders = orders.into_iter().map(|(event, id, seconds, cookie, customer, click)| Order {
            event_id: format!("e{event}"),
            ..order(&format!("o{id}"), seconds, cookie, customer, &format!("c{click}"))
        });
        clicks.chain(identifies.map(Event::Identify)).chain(orders.map(Event::Order)).collect()
    })
}

proptest! {
    #[test]
    fn every_order_equals_the_brute_force_oracle_in_any_order_and_delivered_twice(
        (events, shuffled) in log().prop_flat_map(|events| {
            let twice = [events.clone(), events.clone()].concat();
            (Just(events), Just(twice).prop_shuffle())
        }),
    ) {
        let expected = oracle(&events);
        prop_assert_eq!(&journeys(&events), &expected);
        prop_assert_eq!(&journeys(&shuffled), &expected);
    }
}
