use std::collections::HashSet;

use super::*;

fn party(window_hours: i64, hold_days: i64) -> Party {
    Party {
        metrics: vec![("m".to_owned(), vec![])],
        window: TimeDelta::hours(window_hours),
        minimum: TimeDelta::seconds(20),
        hold: TimeDelta::days(hold_days),
        adjustment: TimeDelta::days(90),
    }
}

fn world(seed: u64) -> World {
    let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    World {
        seed,
        run: "test".to_owned(),
        now,
        change_at: now - TimeDelta::days(4),
        partners: vec![party(24, 30), party(72, 2), party(14 * 24, 3)],
        shared_sites: 10,
        late_currency: Some("GBP"),
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
    for number in 0..8_000 {
        let journey = journey(&world, number);
        kinds.insert(journey.kind);
        for step in &journey.steps {
            if let Step::Click { at, .. } = step {
                assert!(*at <= world.now, "{}", journey.kind);
            }
        }
        for conversion in &journey.conversions {
            assert!(conversion.at <= world.now && conversion.reversed_minor <= conversion.value.minor, "{}", journey.kind);
        }
    }
    assert_eq!(kinds.len(), KINDS.len());
}

#[test]
fn people_come_from_pages_with_some_of_their_clicks_and_once_in_a_journey() {
    let world = world(4);
    let (mut clicks, mut once, mut twice) = (0, 0, 0);
    for number in 0..8_000 {
        let journey = journey(&world, number);
        let mut pages = 0;
        for step in &journey.steps {
            let Step::Click { visitor, reports, .. } = step else { continue };
            assert!(visitor.counts() || *reports == 0, "{}: {visitor:?}", journey.kind);
            clicks += usize::from(visitor.counts());
            once += usize::from(*reports == 1);
            twice += usize::from(*reports == 2);
            pages += usize::from(*reports > 0);
        }
        assert!(pages <= 1, "{}", journey.kind);
    }
    let share = (once + twice) as f64 / clicks as f64;
    assert!((0.35..0.55).contains(&share), "{share}");
    let repeated = twice as f64 / (once + twice) as f64;
    assert!((0.45..0.55).contains(&repeated), "{repeated}");
}

#[test]
fn credited_touches_come_in_order_and_within_the_window() {
    let world = world(3);
    for number in 0..8_000 {
        let journey = journey(&world, number);
        for conversion in &journey.conversions {
            let party = &world.partners[conversion.partner];
            let Some(credit) = &conversion.credit else { continue };
            assert!(credit.last < credit.touches.len(), "{}", journey.kind);
            assert!(credit.touches.is_sorted_by_key(|touch| touch.at), "{}", journey.kind);
            let age = |touch: &Touch| conversion.at - touch.at;
            assert!(credit.touches.iter().all(|touch| age(touch) <= party.window && age(touch) >= TimeDelta::zero()), "{}", journey.kind);
        }
    }
}

#[test]
fn nothing_depends_on_how_fast_the_run_is() {
    let world = world(2);
    for number in 0..4_000 {
        let journey = journey(&world, number);
        for conversion in &journey.conversions {
            assert!(!world.is_on_edge(conversion.partner, conversion.at), "{}", journey.kind);
        }
    }
    assert!(world.is_on_edge(1, world.now - TimeDelta::days(2) + TimeDelta::hours(1)));
}
