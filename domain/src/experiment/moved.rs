//! Who moves when a test that has started is changed: the share of the units, before anybody is dealt anew.

use serde::{Deserialize, Serialize};

use super::{BUCKETS, BucketRange, Design, bucket_ranges, choose_variation};

/// How a phase deals the units to the variants.
#[derive(Clone, Copy, Debug)]
pub struct Deal<'d> {
    pub design: &'d Design,
    pub seed: &'d str,
    pub weights: &'d [f64],
}

/// What a change does to the units that are eligible before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moves {
    /// Of those who take part: the share that goes on seeing the same.
    pub kept: f64,
    /// Of those who take part: the share that sees another variant.
    pub moved: f64,
    /// Of those who take part: the share that takes part no more.
    pub left: f64,
    /// Of all eligible units: the share that joins.
    pub joined: f64,
}

/// Expected shares, exact for units whose hashes are even. Variants are the same if they show the same, whatever their names and places are.
///
/// With the same seed and unit a unit keeps its hashes, so the ranges tell; with another seed everybody is dealt anew, independently.
pub fn moves(from: &Deal, to: &Deal) -> Moves {
    let is_same_deal = from.seed == to.seed && from.design.unit == to.design.unit;
    let takes_part = |deal: &Deal| BucketRange { start: 0.0, end: deal.design.traffic_allocation };
    let in_group = |deal: &Deal| {
        let group = deal.design.exclusion_group.as_ref();
        group.map_or(BucketRange::WHOLE, |group| BucketRange { start: group.start, end: group.end })
    };
    let group_name = |deal: &Deal| deal.design.exclusion_group.as_ref().map(|group| group.name.clone());
    let has_same_group = from.design.unit == to.design.unit && group_name(from) == group_name(to);

    let stays = stays(takes_part(from), takes_part(to), is_same_deal) * stays(in_group(from), in_group(to), has_same_group);
    let same = share_that_sees_the_same(from, to, is_same_deal);
    let before = measure(takes_part(from)) * measure(in_group(from));
    let after = measure(takes_part(to)) * measure(in_group(to));
    Moves { kept: stays * same, moved: stays * (1.0 - same), left: 1.0 - stays, joined: after - before * stays }
}

/// Of the units in one range, the share that is in the other after the change.
fn stays(from: BucketRange, to: BucketRange, is_same_hash: bool) -> f64 {
    let inside = measure(from);
    if is_same_hash && inside > 0.0 { share(|hash| from.contains(hash) && to.contains(hash)) / inside } else { measure(to) }
}

fn share_that_sees_the_same(from: &Deal, to: &Deal, is_same_hash: bool) -> f64 {
    let ranges = |deal: &Deal| bucket_ranges(deal.design.variants.len(), 1.0, Some(deal.weights));
    let (before, after) = (ranges(from), ranges(to));
    let is_same = |old: usize, new: usize| from.design.variants[old].payload == to.design.variants[new].payload;
    if is_same_hash {
        let variants = |hash| choose_variation(hash, &before).zip(choose_variation(hash, &after));
        return share(|hash| variants(hash).is_some_and(|(old, new)| is_same(old, new)));
    }
    let pairs = (0..before.len()).flat_map(|old| (0..after.len()).map(move |new| (old, new)));
    pairs.filter(|(old, new)| is_same(*old, *new)).map(|(old, new)| measure(before[old]) * measure(after[new])).sum()
}

fn measure(range: BucketRange) -> f64 {
    share(|hash| range.contains(hash))
}

/// The share of all hashes of which something is true.
fn share(is_true: impl Fn(f64) -> bool) -> f64 {
    let count = (0..BUCKETS).filter(|bucket| is_true(f64::from(*bucket) / f64::from(BUCKETS))).count();
    count as f64 / f64::from(BUCKETS)
}
