//! Journeys of one click or one link: how it is claimed, told twice, refunded, succeeded upon, or refused.

use rand::RngExt;

use super::{
    Claim, ClickIdClaim, CodeClaim, Event, Step, Value, Visitor,
    draft::{Bought, Draft, alone, click_id, code, code_and_session, shared},
    seconds,
};

pub fn by_click_id(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

pub fn by_session(draft: &mut Draft) {
    let bought = draft.clicked();
    let event = draft.order(bought.at, bought.value, code_and_session(bought.link, 0));
    draft.send("a", event);
    draft.expect(bought.at, bought.value, bought.credit(), 0);
}

pub fn by_code(draft: &mut Draft) {
    let (link, clicked_at, value) = (draft.own(), draft.start(), draft.value());
    let touch = draft.click(Visitor::Person(0), link, clicked_at);
    let at = clicked_at + draft.delay();
    let event = draft.order(at, value, code(link));
    draft.send("a", event);
    draft.expect(at, value, alone(touch), 0);
}

/// Another session's later click on the same link must not take the credit.
pub fn last_of_session(draft: &mut Draft) {
    let (link, mut at, value) = (draft.shared(), draft.start(), draft.value());
    let mut touches = Vec::new();
    for _ in 0..draft.rng.random_range(2..=4) {
        at += seconds(draft.rng.random_range(3601..7200));
        touches.push(draft.click(Visitor::Person(0), link, at));
    }
    draft.click(Visitor::Person(1), link, at + seconds(10));
    at += seconds(draft.rng.random_range(60..3600));
    let event = draft.order(at, value, code_and_session(link, 0));
    draft.send("a", event);
    draft.expect(at, value, shared(&touches, touches.len() - 1), 0);
}

/// Without a session only the newest click is known to belong to the conversion, whatever the model.
pub fn last_of_code(draft: &mut Draft) {
    let (link, mut at, value) = (draft.own(), draft.start(), draft.value());
    let mut last = draft.click(Visitor::Person(0), link, at);
    for person in 1..draft.rng.random_range(2..=4) {
        at += seconds(draft.rng.random_range(60..7200));
        last = draft.click(Visitor::Person(person), link, at);
    }
    draft.click(Visitor::Bot, link, at + seconds(5));
    at += seconds(draft.rng.random_range(60..3600));
    let event = draft.order(at, value, code(link));
    draft.send("a", event);
    draft.expect(at, value, alone(last), 0);
}

/// The session's latest click came after the conversion happened, though before it is reported.
pub fn click_afterwards(draft: &mut Draft) {
    let bought = draft.clicked();
    let later = bought.at + seconds(draft.rng.random_range(60..3600));
    draft.click(Visitor::Person(0), bought.link, later);
    let event = draft.order(bought.at, bought.value, code_and_session(bought.link, 0));
    draft.send("a", event);
    draft.expect(bought.at, bought.value, bought.credit(), 0);
}

pub fn private(draft: &mut Draft) {
    let (link, clicked_at, value) = (draft.shared(), draft.start(), draft.value());
    let touch = draft.click(Visitor::Private, link, clicked_at);
    let at = clicked_at + draft.delay();
    let event = draft.order(at, value, click_id(touch));
    draft.send("a", event);
    draft.expect(at, value, alone(touch), 0);
}

pub fn lost(draft: &mut Draft) {
    draft.clicked();
}

pub fn bots(draft: &mut Draft) {
    let (link, at) = (draft.shared(), draft.start());
    for (index, visitor) in [Visitor::Bot, Visitor::Prefetch, Visitor::Head].into_iter().enumerate() {
        if draft.rng.random_bool(0.7) {
            draft.click(visitor, link, at + seconds(60 * index as i64));
        }
    }
}

pub fn repeats(draft: &mut Draft) {
    let bought = draft.clicked();
    let mut touches = vec![bought.touch];
    for index in 1..=draft.rng.random_range(1..=3) {
        touches.push(draft.click(Visitor::Person(0), bought.link, bought.touch.at + seconds(9 * index)));
    }
    let event = draft.order(bought.at, bought.value, code_and_session(bought.link, 0));
    draft.send("a", event);
    draft.expect(bought.at, bought.value, shared(&touches, touches.len() - 1), 0);
}

pub fn message_twice(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    draft.send("a", bought.event.clone());
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

pub fn two_messages(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    draft.send("a", bought.event.clone());
    draft.send("b", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

pub fn copies_at_once(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    let copies = ["a", "a", "b", "c"].map(|id| draft.message(id, bought.event.clone()));
    draft.journey.steps.push(Step::Send(copies.into()));
    draft.expect(bought.at, bought.value, credit, 0);
}

/// Two partners may use the same id for different conversions, and even for the same message.
pub fn same_id_two_partners(draft: &mut Draft) {
    by_click_id(draft);
    draft.partner = (draft.partner + 1) % draft.world.partners.len();
    by_click_id(draft);
}

/// A sale and its refunds, not yet sent, with what they take back in the end.
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

pub fn full_refund(draft: &mut Draft) {
    refund_after(draft, &[None]);
}

pub fn partial_refund(draft: &mut Draft) {
    let part = draft.rng.random_range(1..20_000);
    refund_after(draft, &[Some(part)]);
}

pub fn two_refunds(draft: &mut Draft) {
    let parts = [Some(draft.rng.random_range(1..8_000)), Some(draft.rng.random_range(1..8_000))];
    refund_after(draft, &parts);
}

pub fn refund_too_much(draft: &mut Draft) {
    refund_after(draft, &[Some(40_000), Some(40_000)]);
}

pub fn refund_first(draft: &mut Draft) {
    let part = draft.rng.random_bool(0.5).then(|| draft.rng.random_range(1..20_000));
    let (bought, events, reversed) = refund(draft, &[part]);
    let credit = bought.credit();
    for event in events {
        draft.send("refund", event);
    }
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, reversed);
}

pub fn refund_late(draft: &mut Draft) {
    let part = draft.rng.random_bool(0.6).then(|| draft.rng.random_range(1..20_000));
    let (bought, events, reversed) = refund(draft, &[part]);
    let credit = bought.credit();
    draft.send("a", bought.event);
    for event in events {
        draft.send_late("refund", event);
    }
    draft.expect(bought.at, bought.value, credit, reversed);
}

pub fn success_after(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    draft.send("a", bought.event);
    let claim = if draft.rng.random_bool(0.5) { click_id(bought.touch) } else { code(bought.link) };
    let event = draft.success(bought.link, claim, bought.at + seconds(1800), None);
    draft.send("success", event);
    draft.expect(bought.at, bought.value, credit, 0);
}

pub fn success_before(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    let event = draft.success(bought.link, click_id(bought.touch), bought.at - seconds(10), None);
    draft.send("success", event);
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

pub fn success_twice(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    draft.send("a", bought.event);
    let event = draft.success(bought.link, click_id(bought.touch), bought.at + seconds(60), None);
    let copies = ["success", "success-again"].map(|id| draft.message(id, event.clone()));
    draft.journey.steps.push(Step::Send(copies.into()));
    draft.expect(bought.at, bought.value, credit, 0);
}

/// It is told, and so verified, when commissions are approved already; for older conversions after their adjustment window.
pub fn success_late(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    draft.send("a", bought.event);
    let event = draft.success(bought.link, code(bought.link), bought.at + seconds(600), None);
    draft.send_late("success", event);
    draft.expect(bought.at, bought.value, credit, 0);
}

/// It ended before this journey's conversion, but may still count for earlier ones of the same developer.
pub fn success_expired(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    let event = draft.success(bought.link, click_id(bought.touch), bought.at - seconds(20), Some(bought.at - seconds(10)));
    draft.send("success", event);
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

pub fn conversion_first(draft: &mut Draft) {
    let (link, clicked_at, value) = (draft.own(), draft.start(), draft.value());
    let at = clicked_at + draft.delay();
    let event = draft.order(at, value, code(link));
    draft.send("a", event);
    let touch = draft.click(Visitor::Person(0), link, clicked_at);
    draft.expect(at, value, alone(touch), 0);
}

pub fn forged(draft: &mut Draft) {
    let bought = draft.clicked();
    draft.refused(bought.at, Claim { click: Some(ClickIdClaim::Forged(bought.touch.click)), ..Claim::default() });
}

pub fn malformed(draft: &mut Draft) {
    let bought = draft.clicked();
    draft.refused(bought.at, Claim { click: Some(ClickIdClaim::Text("not-a-click-id".to_owned())), ..Claim::default() });
}

pub fn other_partners_click(draft: &mut Draft) {
    let bought = draft.clicked();
    draft.partner = (draft.partner + 1) % draft.world.partners.len();
    draft.refused(bought.at, click_id(bought.touch));
}

pub fn other_partners_code(draft: &mut Draft) {
    let bought = draft.clicked();
    draft.partner = (draft.partner + 1) % draft.world.partners.len();
    draft.refused(bought.at, code_and_session(bought.link, 0));
}

pub fn unknown_code(draft: &mut Draft) {
    let at = draft.start();
    draft.refused(at, Claim { code: Some(CodeClaim::Unknown), ..Claim::default() });
}

pub fn nothing_claimed(draft: &mut Draft) {
    let at = draft.start();
    draft.refused(at, Claim::default());
}

/// Sooner after its click than the terms allow, if they do not allow all.
pub fn too_soon(draft: &mut Draft) {
    let minimum = draft.world.partners[draft.partner].minimum;
    if minimum.is_zero() {
        return by_click_id(draft);
    }
    let bought = draft.clicked();
    draft.refused(bought.touch.at + minimum - seconds(1), click_id(bought.touch));
}

pub fn click_id_too_late(draft: &mut Draft) {
    let bought = draft.clicked();
    let late = bought.touch.at + draft.window() + seconds(draft.rng.random_range(1..3600));
    draft.refused(late, click_id(bought.touch));
}

pub fn session_too_late(draft: &mut Draft) {
    let (link, clicked_at) = (draft.own(), draft.start());
    draft.click(Visitor::Person(0), link, clicked_at);
    let late = clicked_at + draft.window() + seconds(draft.rng.random_range(1..3600));
    draft.refused(late, code_and_session(link, 0));
}

pub fn last_second(draft: &mut Draft) {
    let bought = draft.clicked();
    let at = bought.touch.at + draft.window();
    let claim = if draft.rng.random_bool(0.5) { click_id(bought.touch) } else { code_and_session(bought.link, 0) };
    let event = draft.order(at, bought.value, claim);
    draft.send("a", event);
    draft.expect(at, bought.value, bought.credit(), 0);
}

/// The true message follows the forged one and must be the one that counts.
pub fn badly_signed(draft: &mut Draft) {
    let bought = draft.clicked();
    let credit = bought.credit();
    let mut forged = draft.message("a", draft.order(bought.at, Value { minor: 99_999, ..bought.value }, click_id(bought.touch)));
    forged.badly_signed = true;
    draft.journey.steps.push(Step::Send(vec![forged]));
    draft.send("a", bought.event);
    draft.expect(bought.at, bought.value, credit, 0);
}

pub fn test_event(draft: &mut Draft) {
    let bought = draft.clicked();
    let event = Event::Conversion {
        id: draft.id("order"),
        kind: "sale",
        at: bought.at,
        value: bought.value,
        claim: click_id(bought.touch),
        is_test: true,
    };
    draft.send("a", event);
}

pub fn unknown_metric(draft: &mut Draft) {
    let bought = draft.clicked();
    let (id, metric) = (draft.id("success"), "moon_landing".to_owned());
    let event = Event::Success { id, metric, evidence: vec![], at: bought.at, expires_at: None, claim: click_id(bought.touch) };
    draft.send("success", event);
    draft.journey.dead += 1;
}
