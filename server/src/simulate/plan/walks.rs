//! Journeys over several clicks, devices and purchases, and those around a change of terms or rates.

use rand::RngExt;

use super::{
    Claim, Touch, Value, Visitor,
    draft::{Draft, alone, click_id, code_and_session, customer, shared},
    seconds,
};

/// One session follows links of several sites; the message names a click, a link, or only the session.
pub fn several_sites(draft: &mut Draft) {
    let wanted = draft.rng.random_range(2..=5);
    let mut links = draft.several(wanted);
    if draft.rng.random_bool(0.2) {
        links.push(links[0]);
    }
    let touches = draft.walk(0, &links);
    let (value, newest) = (draft.value(), touches.len() - 1);
    let at = touches[newest].at + seconds(draft.rng.random_range(60..3600));
    let named = draft.rng.random_range(0..touches.len());
    let (claim, last) = match draft.rng.random_range(0..4) {
        0 => (click_id(touches[newest]), newest),
        1 => (click_id(touches[named]), named),
        2 => {
            // The newest click on the link that the message names.
            let last = (0..links.len()).rev().find(|index| links[*index] == links[named]).unwrap_or(named);
            (code_and_session(links[named], 0), last)
        }
        _ => (Claim { session: Some(0), ..Claim::default() }, newest),
    };
    let event = draft.order(at, value, claim);
    draft.send("a", event);
    draft.expect(at, value, shared(&touches, last), 0);
}

/// Touches of exact half-lives of time decay apart, where the window is long enough: each weighs half of the next.
pub fn half_lives(draft: &mut Draft) {
    const HALF_LIFE_SECONDS: i64 = 7 * 24 * 3600;
    let fitting = draft.window().num_seconds() / HALF_LIFE_SECONDS;
    if fitting == 0 {
        return several_sites(draft);
    }
    let links = draft.several(usize::try_from(fitting).unwrap_or(0) + 1);
    let (start, value) = (draft.start(), draft.value());
    let touches: Vec<Touch> =
        (0..).zip(&links).map(|(index, link)| draft.click(Visitor::Person(0), *link, start + seconds(index * HALF_LIFE_SECONDS))).collect();
    let newest = touches.len() - 1;
    // At the window's last second if all of them fit.
    let at = touches[newest].at.max(start + seconds(60));
    let event = draft.order(at, value, Claim { session: Some(0), ..Claim::default() });
    draft.send("a", event);
    draft.expect(at, value, shared(&touches, newest), 0);
}

/// A lead that names click and customer, and what the customer buys later, told by the customer's name alone.
pub fn renewal(draft: &mut Draft) {
    let (events, sent) = bought_again(draft);
    for (name, event) in sent.iter().zip(events) {
        draft.send(name, event);
    }
}

pub fn renewal_told_first(draft: &mut Draft) {
    let (events, sent) = bought_again(draft);
    for (name, event) in sent.iter().zip(events).rev() {
        draft.send(name, event);
    }
}

fn bought_again(draft: &mut Draft) -> (Vec<super::Event>, [&'static str; 2]) {
    let links = draft.several(2);
    let (start, window) = (draft.start(), draft.window().num_seconds());
    let first = draft.click(Visitor::Person(0), links[0], start);
    let lead_at = start + seconds(draft.rng.random_range(60..window / 4));
    let lead_value = Value { minor: 0, currency: "USD", digits: 2 };
    let lead = draft.conversion("order", "lead", lead_at, lead_value, Claim { customer: Some(0), ..click_id(first) });
    draft.expect(lead_at, lead_value, alone(first), 0);

    let mut touches = vec![first];
    let mut at = lead_at + seconds(draft.rng.random_range(60..window / 4));
    if draft.rng.random_bool(0.5) && links.len() > 1 {
        touches.push(draft.click(Visitor::Person(0), links[1], at));
        at += seconds(draft.rng.random_range(60..window / 4));
    }
    let value = draft.value();
    let renewal = draft.conversion("renewal", "renewal", at, value, customer(0));
    draft.expect_of("renewal", at, value, shared(&touches, touches.len() - 1), 0);
    (vec![lead, renewal], ["a", "renewal"])
}

pub fn renewal_too_late(draft: &mut Draft) {
    let bought = draft.clicked();
    let event = draft.conversion("order", "sale", bought.at, bought.value, Claim { customer: Some(0), ..click_id(bought.touch) });
    draft.send("a", event);
    draft.expect(bought.at, bought.value, bought.credit(), 0);
    let late = bought.touch.at + draft.window() + seconds(draft.rng.random_range(1..3600));
    let event = draft.conversion("renewal", "renewal", late, bought.value, customer(0));
    draft.send("renewal", event);
    draft.expect_of("renewal", late, bought.value, None, 0);
}

/// A customer who is known on a second device by the second purchase: both devices' clicks share in that one.
pub fn two_devices(draft: &mut Draft) {
    let links = draft.several(2);
    let (start, window) = (draft.start(), draft.window().num_seconds());
    let phone = draft.click(Visitor::Person(0), links[0], start);
    let first_at = start + seconds(draft.rng.random_range(60..window / 4));
    let (first_value, value) = (draft.value(), draft.value());
    let first = draft.order(first_at, first_value, Claim { customer: Some(0), ..click_id(phone) });
    let later = first_at + seconds(draft.rng.random_range(60..window / 4));
    let computer = draft.click(Visitor::Person(1), links[links.len() - 1], later);
    let at = computer.at + seconds(draft.rng.random_range(60..window / 4));
    let second = draft.conversion("upgrade", "upgrade", at, value, Claim { customer: Some(0), ..click_id(computer) });
    let turned = draft.rng.random_bool(0.5);
    let (a, b) = (("a", first), ("upgrade", second));
    for (id, event) in if turned { [b, a] } else { [a, b] } {
        draft.send(id, event);
    }
    draft.expect(first_at, first_value, alone(phone), 0);
    draft.expect_of("upgrade", at, value, shared(&[phone, computer], 1), 0);
}

/// What is shared is taken back in the same shares.
pub fn shared_refund(draft: &mut Draft) {
    let wanted = draft.rng.random_range(2..=4);
    let links = draft.several(wanted);
    let touches = draft.walk(0, &links);
    let (value, newest) = (draft.value(), touches.len() - 1);
    let at = touches[newest].at + seconds(draft.rng.random_range(60..3600));
    let part = draft.rng.random_range(1..=value.minor);
    let sale = draft.order(at, value, click_id(touches[newest]));
    let refund = draft.reversal("refund", at + seconds(60), Some(Value { minor: part, ..value }));
    match draft.rng.random_range(0..3) {
        0 => {
            draft.send("refund", refund);
            draft.send("a", sale);
        }
        1 => {
            draft.send("a", sale);
            draft.send("refund", refund);
        }
        _ => {
            draft.send("a", sale);
            draft.send_late("refund", refund);
        }
    }
    draft.expect(at, value, shared(&touches, newest), part);
}

/// In the last second of the old terms, and in the first of the new ones.
pub fn at_the_change(draft: &mut Draft) {
    let link = draft.own();
    let change_at = draft.world.change_at;
    let start = change_at - seconds(draft.rng.random_range(60..3600));
    let touch = draft.click(Visitor::Person(0), link, start);
    let value = draft.value();
    for (name, at) in [("order", change_at - seconds(1)), ("after", change_at)] {
        let event = draft.conversion(name, "sale", at, value, click_id(touch));
        draft.send(name, event);
        draft.expect_of(name, at, value, alone(touch), 0);
    }
}

/// A conversion that waits for its exchange rate.
pub fn late_currency(draft: &mut Draft) {
    let bought = draft.clicked();
    let currency = draft.world.late_currency.unwrap_or(bought.value.currency);
    let digits = if draft.world.late_currency.is_some() { 2 } else { bought.value.digits };
    let value = Value { currency, digits, ..bought.value };
    let event = draft.order(bought.at, value, click_id(bought.touch));
    let part = draft.rng.random_range(0..=value.minor);
    draft.send("a", event);
    if part > 0 && draft.rng.random_bool(0.5) {
        let refund = draft.reversal("refund", bought.at, Some(Value { minor: part, ..value }));
        draft.send("refund", refund);
        draft.expect(bought.at, value, bought.credit(), part);
    } else {
        draft.expect(bought.at, value, bought.credit(), 0);
    }
}
