//! Which tests would change the same for the same units.

use chrono::TimeDelta;
use domain::experiment::{Design, ExclusionGroup, UnitKind};

use super::{now, running};

fn whole() -> Design {
    running("seed", &[0.5, 0.5]).design
}

/// A test in one part of a group.
fn part(unit: UnitKind, start: f64, end: f64) -> Design {
    Design { unit, exclusion_group: Some(ExclusionGroup { name: "buttons".into(), start, end }), ..whole() }
}

#[test]
fn parts_of_a_group_are_apart_only_for_tests_that_deal_by_the_same_unit() {
    for unit in UnitKind::ALL {
        assert!(!part(unit, 0.0, 0.5).collides(&part(unit, 0.5, 1.0)), "{unit:?}");
        assert!(part(unit, 0.0, 0.6).collides(&part(unit, 0.5, 1.0)), "{unit:?}");
    }
    let (visitors, sites) = (part(UnitKind::Visitor, 0.0, 0.5), part(UnitKind::Site, 0.5, 1.0));
    assert!(visitors.collides(&sites) && sites.collides(&visitors), "a visitor of the one part may be on a site of the other");
}

#[test]
fn a_test_that_begins_when_another_ends_is_no_rival() {
    let until = Design { ends_at: Some(now()), ..whole() };
    let from = |starts_at| Design { starts_at: Some(starts_at), ..whole() };
    assert!(!until.collides(&from(now())) && !from(now()).collides(&until));
    assert!(until.collides(&from(now() - TimeDelta::nanoseconds(1))));
}

#[test]
fn a_test_has_ended_at_its_end() {
    let until = Design { ends_at: Some(now()), ..whole() };
    assert!(until.has_ended(now()) && !until.has_ended(now() - TimeDelta::nanoseconds(1)));
    assert!(!whole().has_ended(now()));
}
