//! More traffic moves nobody, and other changes move as many as was said before.

use domain::experiment::{Deal, Evaluator, ExclusionGroup, Experiment, Holdout, Moves, Payload, UnitKind, assign, moves};

use super::{FULL, now, running, visitor};

const UNITS: u32 = if FULL { 200_000 } else { 20_000 };

fn deal(experiment: &Experiment) -> Deal<'_> {
    let phase = experiment.phase.as_ref().unwrap();
    Deal { design: &experiment.design, seed: &phase.seed, weights: &phase.weights }
}

fn seen(experiment: &Experiment, evaluator: &Evaluator, unit: u32) -> Option<Payload> {
    let index = assign(evaluator, &visitor(&unit.to_string()), &Holdout::none(), now()).variant?;
    Some(experiment.design.variants[index].payload.clone())
}

/// Who really moves, and whether that is what was said.
fn assert_as_said(from: &Experiment, to: &Experiment) -> Moves {
    let (before, after) = (Evaluator::new(from), Evaluator::new(to));
    let [mut kept, mut moved, mut left, mut joined] = [0_u32; 4];
    for unit in 0..UNITS {
        match (seen(from, &before, unit), seen(to, &after, unit)) {
            (Some(old), Some(new)) if old == new => kept += 1,
            (Some(_), Some(_)) => moved += 1,
            (Some(_), None) => left += 1,
            (None, Some(_)) => joined += 1,
            (None, None) => {}
        }
    }
    let said = moves(&deal(from), &deal(to));
    let enrolled = kept + moved + left;
    for (what, count, of, share) in [
        ("kept", kept, enrolled, said.kept),
        ("moved", moved, enrolled, said.moved),
        ("left", left, enrolled, said.left),
        ("joined", joined, UNITS, said.joined),
    ] {
        let deviation = (share * (1.0 - share) / f64::from(of)).max(0.0).sqrt();
        let counted = f64::from(count) / f64::from(of);
        assert!((counted - share).abs() <= 5.0 * deviation + 1e-12, "{what}: {counted} of {of}, said {share}");
    }
    assert!((said.kept + said.moved + said.left - 1.0).abs() < 1e-12);
    said
}

fn is_near(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-9
}

#[test]
fn more_traffic_moves_nobody_and_only_adds_units() {
    let mut from = running("seed", &[0.3, 0.3, 0.4]);
    from.design.traffic_allocation = 0.05;
    for allocation in [0.06, 0.2, 0.5, 0.77, 1.0] {
        let mut to = from.clone();
        to.design.traffic_allocation = allocation;
        let said = assert_as_said(&from, &to);
        assert!(is_near(said.kept, 1.0) && is_near(said.joined, allocation - from.design.traffic_allocation), "{said:?}");
        let (before, after) = (Evaluator::new(&from), Evaluator::new(&to));
        let stays = |unit: u32| seen(&from, &before, unit).is_none_or(|old| seen(&to, &after, unit) == Some(old));
        assert!((0..20_000).all(stays));
        from = to;
    }
}

#[test]
fn less_traffic_takes_units_away_and_moves_none_of_the_others() {
    let from = running("seed", &[0.5, 0.5]);
    let mut to = from.clone();
    to.design.traffic_allocation = 0.25;
    let said = assert_as_said(&from, &to);
    assert!(is_near(said.kept, 0.25) && is_near(said.left, 0.75) && is_near(said.moved, 0.0));
}

#[test]
fn other_weights_under_the_same_seed_move_those_between_the_old_and_the_new_boundary() {
    let said = assert_as_said(&running("seed", &[0.5, 0.5]), &running("seed", &[0.4, 0.6]));
    assert!(is_near(said.moved, 0.1));
    let said = assert_as_said(&running("seed", &[0.2, 0.3, 0.5]), &running("seed", &[0.3, 0.3, 0.4]));
    assert!(is_near(said.moved, 0.2));
}

#[test]
fn a_new_seed_deals_everybody_anew() {
    let said = assert_as_said(&running("seed:1", &[0.5, 0.5]), &running("seed:2", &[0.5, 0.5]));
    assert!(is_near(said.moved, 0.5));
    let (mut from, mut to) = (running("seed:1", &[0.2, 0.8]), running("seed:2", &[0.6, 0.4]));
    (from.design.traffic_allocation, to.design.traffic_allocation) = (0.4, 0.7);
    let said = assert_as_said(&from, &to);
    assert!(is_near(said.moved, 0.7 * (1.0 - 0.2 * 0.6 - 0.8 * 0.4)) && is_near(said.left, 0.3) && is_near(said.joined, 0.6 * 0.7));
}

#[test]
fn a_group_counts_by_what_both_parts_share_if_its_name_stays() {
    let in_group = |seed: &str, name: &str, start, end| {
        let mut experiment = running(seed, &[0.5, 0.5]);
        experiment.design.exclusion_group = Some(ExclusionGroup { name: name.into(), start, end });
        experiment
    };
    let from = in_group("seed:1", "checkout", 0.0, 0.5);
    assert!(is_near(assert_as_said(&from, &in_group("seed:2", "checkout", 0.25, 1.0)).left, 0.5));
    assert!(is_near(assert_as_said(&from, &in_group("seed:2", "checkout", 0.5, 1.0)).left, 1.0));
    assert!(is_near(assert_as_said(&from, &in_group("seed:2", "landing", 0.25, 1.0)).left, 0.25));
    assert!(is_near(assert_as_said(&from, &running("seed:2", &[0.5, 0.5])).left, 0.0));
}

#[test]
fn a_variant_that_shows_something_else_under_the_same_key_is_another() {
    let from = running("seed", &[0.5, 0.5]);
    let mut to = from.clone();
    to.design.variants[1].payload = Payload::Cta { text: "other words".into() };
    assert!(is_near(assert_as_said(&from, &to).moved, 0.5));
    let mut swapped = from.clone();
    swapped.design.variants.swap(0, 1);
    assert!(is_near(assert_as_said(&from, &swapped).moved, 1.0));
    let mut renamed = from.clone();
    renamed.design.variants[1].key = "renamed".into();
    assert!(is_near(assert_as_said(&from, &renamed).kept, 1.0));
}

#[test]
fn another_unit_is_dealt_anew_though_the_seed_stays() {
    let from = running("seed", &[0.5, 0.5]);
    let mut to = from.clone();
    to.design.unit = UnitKind::Site;
    assert!(is_near(moves(&deal(&from), &deal(&to)).moved, 0.5));
}

#[test]
fn a_test_that_nobody_took_part_in_has_whole_shares_all_the_same() {
    let to = running("seed", &[0.5, 0.5]);
    let mut from = to.clone();
    from.design.traffic_allocation = 0.0;
    let said = moves(&deal(&from), &deal(&to));
    assert!(is_near(said.kept, 1.0) && is_near(said.moved + said.left, 0.0) && is_near(said.joined, 1.0), "{said:?}");
}
