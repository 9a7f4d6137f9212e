//! What an edit of a running test means for its units and its results.

use chrono::TimeDelta;
use domain::experiment::{Design, Edit, Plan, edit};

use super::{now, running};

fn half() -> Design {
    Design { traffic_allocation: 0.5, ..running("seed", &[0.5, 0.5]).design }
}

#[test]
fn names_and_the_end_are_edited_in_place() {
    let mut renamed = half();
    renamed.variants[1].name = "Another name".into();
    let designs =
        [renamed, Design { name: "Another name".into(), ..half() }, Design { ends_at: Some(now() + TimeDelta::days(9)), ..half() }];
    for design in designs {
        assert_eq!(edit(&half(), &design), Edit::Description, "{design:?}");
    }
}

#[test]
fn what_the_results_are_judged_by_never_changes_within_a_phase() {
    let plans = [
        Plan { alpha: 0.1, ..Plan::default() },
        Plan { power: 0.9, ..Plan::default() },
        Plan { minimum_detectable_lift: 0.2, ..Plan::default() },
        Plan { planned_units: 300, ..Plan::default() },
    ];
    let planned = plans.map(|plan| Design { plan, ..half() });
    for design in planned.into_iter().chain([Design { hypothesis: "What the figures say.".into(), ..half() }]) {
        assert_eq!(edit(&half(), &design), Edit::NewPhase, "{design:?}");
        assert_eq!(edit(&half(), &Design { traffic_allocation: 1.0, ..design }), Edit::NewPhase);
    }
}

#[test]
fn more_traffic_joins_and_less_deals_anew() {
    assert_eq!(edit(&half(), &Design { traffic_allocation: 0.6, ..half() }), Edit::MoreTraffic);
    assert_eq!(edit(&half(), &Design { traffic_allocation: 0.4, ..half() }), Edit::NewPhase);
}
