//! Each reason by itself, their order, and the ends of the window.

use chrono::TimeDelta;
use domain::analysis::ProjectKind;
use domain::experiment::{Assignment, Evaluator, ExclusionGroup, Experiment, Holdout, Reason, Status, Subject, UnitKind, assign, hash};
use domain::{PartnerId, SiteId};
use uuid::Uuid;

use super::{now, running, site, visitor};

fn half() -> Experiment {
    running("seed", &[0.5, 0.5])
}

fn ask(experiment: &Experiment, subject: &Subject) -> Assignment {
    assign(&Evaluator::new(experiment), subject, &Holdout::none(), now())
}

fn reason(experiment: &Experiment) -> Reason {
    ask(experiment, &visitor("somebody")).reason
}

fn partner(id: &str) -> PartnerId {
    id.parse().unwrap()
}

#[test]
fn a_running_test_assigns_by_the_hash_of_its_phase() {
    for id in ["1", "somebody", "用户123", "😀"] {
        let answer = ask(&half(), &visitor(id));
        assert_eq!(answer.reason, Reason::Assigned);
        assert_eq!(answer.bucket, hash("seed", id, 2));
        assert_eq!(answer.variant, Some(usize::from(answer.bucket.unwrap() >= 0.5)));
        assert_eq!((answer.traffic_bucket, answer.exclusion_bucket, answer.holdout_bucket), (None, None, None), "the test does not ask");
        let mut partial = half();
        partial.design.traffic_allocation = 0.5;
        assert_eq!(ask(&partial, &visitor(id)).traffic_bucket, hash("seed:traffic", id, 2));
    }
}

#[test]
fn a_test_that_does_not_run_assigns_nobody() {
    for status in [Status::Draft, Status::Stopped, Status::Archived] {
        assert_eq!(reason(&Experiment { status, ..half() }), Reason::NotRunning, "{status:?}");
    }
    assert_eq!(reason(&Experiment { status: Status::Paused, ..half() }), Reason::Paused);
    assert_eq!(reason(&Experiment { phase: None, ..half() }), Reason::NotRunning, "no phase, no seed");
}

#[test]
fn the_window_holds_its_start_and_not_its_end() {
    let nanosecond = TimeDelta::nanoseconds(1);
    let starting = |starts_at| {
        let mut experiment = half();
        experiment.design.starts_at = Some(starts_at);
        reason(&experiment)
    };
    assert_eq!([now() - nanosecond, now(), now() + nanosecond].map(starting), [Reason::Assigned, Reason::Assigned, Reason::BeforeStart]);
    let ending = |ends_at| {
        let mut experiment = half();
        experiment.design.ends_at = Some(ends_at);
        reason(&experiment)
    };
    assert_eq!([now() - nanosecond, now(), now() + nanosecond].map(ending), [Reason::Ended, Reason::Ended, Reason::Assigned]);
}

#[test]
fn a_window_that_ends_before_it_starts_assigns_nobody() {
    let mut experiment = half();
    experiment.design.starts_at = Some(now() + TimeDelta::days(1));
    experiment.design.ends_at = Some(now() - TimeDelta::days(1));
    assert_eq!(reason(&experiment), Reason::BeforeStart);
}

#[test]
fn a_clock_that_is_behind_the_start_of_the_phase_delays_nothing() {
    let mut experiment = half();
    experiment.phase.as_mut().unwrap().started_at = now() + TimeDelta::seconds(2);
    assert_eq!(reason(&experiment), Reason::Assigned);
}

#[test]
fn a_visitor_without_an_id_is_no_unit_but_its_site_is() {
    let mut experiment = half();
    for id in [None, Some("")] {
        let subject = Subject { visitor: id, ..visitor("") };
        experiment.design.unit = UnitKind::Visitor;
        assert_eq!(ask(&experiment, &subject).reason, Reason::NoUnit);
        experiment.design.unit = UnitKind::Site;
        let answer = ask(&experiment, &subject);
        assert_eq!((answer.reason, answer.bucket), (Reason::Assigned, hash("seed", &site().to_string(), 2)));
    }
}

#[test]
fn all_visitors_of_a_site_see_the_same_if_the_site_is_the_unit() {
    let mut experiment = half();
    experiment.design.unit = UnitKind::Site;
    assert_eq!(ask(&experiment, &visitor("one")), ask(&experiment, &visitor("another")));
}

#[test]
fn only_the_sites_named_are_eligible() {
    let mut experiment = half();
    experiment.design.eligibility.site_ids = [site()].into();
    assert_eq!(reason(&experiment), Reason::Assigned);
    let elsewhere = Subject { site_id: SiteId(Uuid::from_u128(7)), ..visitor("somebody") };
    let answer = ask(&experiment, &elsewhere);
    assert_eq!((answer.reason, answer.variant, answer.bucket), (Reason::NotEligible, None, None));
}

#[test]
fn only_the_segments_named_are_eligible_and_an_unknown_one_is_not() {
    let mut experiment = half();
    experiment.design.eligibility.segments = [ProjectKind::StaticSite].into();
    let of = |segment| ask(&experiment, &Subject { segment, ..visitor("somebody") }).reason;
    assert_eq!(of(Some(ProjectKind::StaticSite)), Reason::Assigned);
    assert_eq!([Some(ProjectKind::Library), None].map(of), [Reason::NotEligible; 2]);
}

#[test]
fn one_of_the_partners_named_has_to_be_on_offer_if_the_offers_are_known() {
    let mut experiment = half();
    experiment.design.eligibility.partner_ids = [partner("figma"), partner("railway")].into();
    let (supabase, figma) = (partner("supabase"), partner("figma"));
    let of = |partners: Option<&[PartnerId]>| ask(&experiment, &Subject { partners, ..visitor("somebody") }).reason;
    assert_eq!([of(Some(&[supabase.clone(), figma])), of(None)], [Reason::Assigned; 2]);
    assert_eq!([of(Some(&[supabase])), of(Some(&[]))], [Reason::NotEligible; 2]);
}

#[test]
fn the_holdout_and_the_exclusion_group_keep_their_part_of_the_units() {
    let mut experiment = half();
    experiment.design.exclusion_group = Some(ExclusionGroup { name: "checkout".into(), start: 0.2, end: 0.6 });
    let (evaluator, holdout) = (Evaluator::new(&experiment), Holdout::new("everybody", 0.1));
    for id in 0..5_000 {
        let id = id.to_string();
        let answer = assign(&evaluator, &visitor(&id), &holdout, now());
        let (held, group) = (hash("everybody", &id, 2).unwrap(), hash("checkout", &id, 2).unwrap());
        let expected = match (held < 0.1, (0.2..0.6).contains(&group)) {
            (true, _) => Reason::Holdout,
            (false, false) => Reason::Excluded,
            (false, true) => Reason::Assigned,
        };
        assert_eq!((answer.reason, answer.variant.is_some()), (expected, expected == Reason::Assigned));
        assert_eq!((answer.holdout_bucket, answer.exclusion_bucket), (Some(held), Some(group)));
    }
}

#[test]
fn tests_of_one_group_with_disjoint_parts_never_share_a_unit() {
    let of = |seed, start, end| {
        let mut experiment = running(seed, &[0.5, 0.5]);
        experiment.design.exclusion_group = Some(ExclusionGroup { name: "checkout".into(), start, end });
        Evaluator::new(&experiment)
    };
    let tests = [of("one", 0.0, 0.3), of("two", 0.3, 0.65), of("three", 0.65, 1.0)];
    for id in 0..5_000 {
        let id = id.to_string();
        let assigned = tests.iter().filter(|test| assign(test, &visitor(&id), &Holdout::none(), now()).variant.is_some());
        assert_eq!(assigned.count(), 1, "{id}");
    }
}

#[test]
fn a_larger_holdout_frees_nobody() {
    let evaluator = Evaluator::new(&half());
    for id in 0..2_000 {
        let id = id.to_string();
        let is_held = |share| assign(&evaluator, &visitor(&id), &Holdout::new("all", share), now()).reason == Reason::Holdout;
        let held = [-1.0, f64::NAN, 0.0, 0.02, 0.05, 0.3, 1.0, 7.0].map(is_held);
        assert!(held.is_sorted(), "{held:?}");
        assert_eq!((held[2], held[6]), (false, true));
    }
}

#[test]
fn reasons_come_in_the_order_in_which_they_are_listed() {
    let mut experiment = half();
    experiment.design.traffic_allocation = 0.0;
    experiment.design.exclusion_group = Some(ExclusionGroup { name: "none".into(), start: 0.0, end: 0.0 });
    experiment.design.eligibility.site_ids = [SiteId(Uuid::from_u128(7))].into();
    experiment.design.starts_at = Some(now() + TimeDelta::days(1));
    experiment.design.ends_at = Some(now());
    experiment.status = Status::Stopped;
    let mut subject = Subject { visitor: None, ..visitor("") };
    let mut holdout = Holdout::new("all", 1.0);
    for expected in Reason::ALL {
        let answer = assign(&Evaluator::new(&experiment), &subject, &holdout, now());
        assert_eq!(answer.reason, expected);
        // What stood in the way is taken away.
        match expected {
            Reason::NotRunning => experiment.status = Status::Paused,
            Reason::BeforeStart => experiment.design.starts_at = None,
            Reason::Ended => experiment.design.ends_at = None,
            Reason::Paused => experiment.status = Status::Running,
            Reason::NoUnit => subject.visitor = Some("somebody"),
            Reason::NotEligible => experiment.design.eligibility.site_ids.clear(),
            Reason::Holdout => holdout = Holdout::none(),
            Reason::Excluded => experiment.design.exclusion_group = None,
            Reason::NotInTraffic => experiment.design.traffic_allocation = 1.0,
            Reason::Assigned => assert!(answer.variant.is_some()),
        }
    }
}

#[test]
fn weights_of_another_number_than_the_variants_are_taken_as_equal() {
    let mut experiment = half();
    experiment.phase.as_mut().unwrap().weights = vec![1.0];
    let assigned = (0..2_000).filter(|id| ask(&experiment, &visitor(&id.to_string())).variant == Some(1)).count();
    assert!((900..1_100).contains(&assigned), "{assigned}");
}

#[test]
fn a_test_without_variants_assigns_nobody() {
    assert_eq!(reason(&running("seed", &[])), Reason::NotInTraffic);
}

#[test]
fn a_traffic_allocation_that_is_no_share_never_panics() {
    for (allocation, expected) in [(f64::NAN, Reason::NotInTraffic), (-1.0, Reason::NotInTraffic), (2.0, Reason::Assigned)] {
        let mut experiment = half();
        experiment.design.traffic_allocation = allocation;
        assert_eq!(reason(&experiment), expected, "{allocation}");
    }
}
