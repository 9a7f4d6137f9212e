//! From clicks to counted paths, without a database.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::{Decimal, prelude::ToPrimitive};

/// A step of somebody's path. Who and what are numbers, from 0 without gaps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Click {
    pub visitor: u32,
    pub at: DateTime<Utc>,
    pub channel: u32,
}

/// A conversion; without a visitor nobody's clicks are known to lead to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub visitor: Option<u32>,
    pub at: DateTime<Utc>,
    pub value_minor: i64,
}

/// Which visitors are the same person: disjoint sets, with path halving.
/// Tarjan, van Leeuwen: *Worst-case analysis of set union algorithms*, 1984.
pub(super) struct Persons {
    parents: Vec<u32>,
}

impl Persons {
    pub fn new(visitors: usize) -> Self {
        Self { parents: (0..u32::MAX).take(visitors).collect() }
    }

    /// The smallest number of the set, so that it does not depend on the order of joining.
    pub fn of(&mut self, visitor: u32) -> u32 {
        let mut at = visitor;
        while self.parents[at as usize] != at {
            let parent = self.parents[at as usize];
            self.parents[at as usize] = self.parents[parent as usize];
            at = parent;
        }
        at
    }

    pub fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.of(a), self.of(b));
        self.parents[a.max(b) as usize] = a.min(b);
    }
}

/// What became of those who went the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub conversions: usize,
    pub value_minor: i64,
    pub nulls: usize,
}

impl Tally {
    pub fn row(self, path: &[u32], names: &[String]) -> domain::multitouch::Path {
        let number = |count: usize| Decimal::from(count).to_f64().unwrap_or_default();
        domain::multitouch::Path {
            channels: path.iter().map(|channel| names[*channel as usize].clone()).collect(),
            conversions: number(self.conversions),
            value: Decimal::from(self.value_minor),
            nulls: number(self.nulls),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Cut {
    /// By the channels passed, oldest first.
    pub paths: BTreeMap<Vec<u32>, Tally>,
    /// Who clicked.
    pub people: usize,
    /// Conversions before which nobody clicked.
    pub without_click: usize,
}

/// Clicks per channel.
pub(super) fn count(clicks: &[Click], channels: usize) -> Vec<usize> {
    let mut counts = vec![0; channels];
    clicks.iter().for_each(|click| counts[click.channel as usize] += 1);
    counts
}

/// Keeps the channels with the most clicks, of equal ones the first by name, and puts the others together as the last one, `rest`, so
/// that there are at most `max`. Returns the names, and how many were put together.
pub(super) fn fold(clicks: &mut [Click], names: Vec<String>, max: usize, rest: &str) -> (Vec<String>, usize) {
    if names.len() <= max {
        return (names, 0);
    }
    let kept = max.saturating_sub(1);
    let counts = count(clicks, names.len());
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|channel| (std::cmp::Reverse(counts[*channel]), &names[*channel]));
    let mut places = vec![0; names.len()];
    for (place, channel) in (0_u32..).zip(&order) {
        places[*channel] = place;
    }
    let last = places[order[kept]];
    for click in clicks {
        click.channel = places[click.channel as usize].min(last);
    }
    let mut folded: Vec<String> = order[..kept].iter().map(|channel| names[*channel].clone()).collect();
    folded.push(rest.to_owned());
    (folded, names.len() - kept)
}

/// Cuts everybody's clicks into paths. Clicks and outcomes are in the order of time; a click at the very time of a conversion came
/// before it.
pub(super) fn cut(mut clicks: Vec<Click>, outcomes: Vec<Outcome>, persons: &mut Persons) -> Cut {
    let mut cut = Cut::default();
    for click in &mut clicks {
        click.visitor = persons.of(click.visitor);
    }
    let mut ends: Vec<(u32, Outcome)> = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        match outcome.visitor {
            Some(visitor) => ends.push((persons.of(visitor), outcome)),
            None => cut.without_click += 1,
        }
    }
    // Both sorts are stable: within a person the order of time stays.
    clicks.sort_by_key(|click| click.visitor);
    ends.sort_by_key(|(person, _)| *person);
    let mut ends = ends.into_iter().peekable();
    for journey in clicks.chunk_by(|a, b| a.visitor == b.visitor) {
        let person = journey[0].visitor;
        // A visitor without a click in the period has no journey here.
        while ends.next_if(|(other, _)| *other < person).is_some() {
            cut.without_click += 1;
        }
        let mut own = Vec::new();
        while let Some((_, outcome)) = ends.next_if(|(other, _)| *other == person) {
            own.push(outcome);
        }
        cut.people += 1;
        cut.add(journey, &own);
    }
    cut.without_click += ends.count();
    cut
}

impl Cut {
    /// One person's clicks and conversions.
    fn add(&mut self, journey: &[Click], outcomes: &[Outcome]) {
        let (mut from, mut to) = (0, 0);
        for outcome in outcomes {
            let before = to + journey[to..].partition_point(|click| click.at <= outcome.at);
            if before > to {
                (from, to) = (to, before);
            }
            if to == 0 {
                self.without_click += 1;
                continue;
            }
            let tally = self.tally(&journey[from..to]);
            tally.conversions += 1;
            tally.value_minor = tally.value_minor.saturating_add(outcome.value_minor);
        }
        if to < journey.len() {
            self.tally(&journey[to..]).nulls += 1;
        }
    }

    fn tally(&mut self, steps: &[Click]) -> &mut Tally {
        self.paths.entry(steps.iter().map(|click| click.channel).collect()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn click((visitor, minute, channel): (u32, i64, u32)) -> Click {
        Click { visitor, at: at(minute), channel }
    }

    fn outcome((visitor, minute, value_minor): (u32, i64, i64)) -> Outcome {
        Outcome { visitor: Some(visitor), at: at(minute), value_minor }
    }

    /// Path, conversions, value, nulls.
    type Tallied = (Vec<u32>, usize, i64, usize);

    /// Cuts the clicks of two visitors, who may be one person: the paths, and the conversions without a click.
    fn paths(clicks: &[(u32, i64, u32)], outcomes: &[(u32, i64, i64)], same: bool) -> (Vec<Tallied>, usize) {
        let mut persons = Persons::new(2);
        if same {
            persons.join(1, 0);
        }
        let clicks = clicks.iter().copied().map(click).collect();
        let cut = cut(clicks, outcomes.iter().copied().map(outcome).collect(), &mut persons);
        let tallied = cut.paths.into_iter().map(|(path, tally)| (path, tally.conversions, tally.value_minor, tally.nulls));
        (tallied.collect(), cut.without_click)
    }

    #[test]
    fn clicks_after_a_conversion_begin_a_new_path() {
        let (found, without_click) = paths(&[(0, 1, 7), (0, 2, 8), (0, 4, 7), (1, 5, 9)], &[(0, 3, 50)], false);
        assert_eq!(found, [(vec![7], 0, 0, 1), (vec![7, 8], 1, 50, 0), (vec![9], 0, 0, 1)]);
        assert_eq!(without_click, 0);
    }

    #[test]
    fn a_renewal_counts_for_the_path_before_it() {
        let (found, _) = paths(&[(0, 1, 7)], &[(0, 1, 50), (0, 9, 20)], false);
        assert_eq!(found, [(vec![7], 2, 70, 0)], "a click at the very time of the conversion leads to it");
    }

    #[test]
    fn visitors_who_are_one_person_have_one_path() {
        let (clicks, outcomes) = ([(0, 1, 7), (1, 2, 8), (0, 3, 9)], [(1, 4, 50)]);
        assert_eq!(paths(&clicks, &outcomes, true).0, [(vec![7, 8, 9], 1, 50, 0)]);
        assert_eq!(paths(&clicks, &outcomes, false).0, [(vec![7, 9], 0, 0, 1), (vec![8], 1, 50, 0)]);
    }

    #[test]
    fn a_conversion_before_every_click_or_of_nobody_is_left_out() {
        let (found, without_click) = paths(&[(1, 5, 7)], &[(0, 1, 50), (1, 4, 50)], false);
        assert_eq!((found, without_click), (vec![(vec![7], 0, 0, 1)], 2));
        let nobody = Outcome { visitor: None, at: at(1), value_minor: 5 };
        let after_all = outcome((1, 9, 5));
        let cut = cut(vec![click((0, 1, 7))], vec![nobody, after_all], &mut Persons::new(2));
        assert_eq!((cut.without_click, cut.people), (2, 1));
    }

    #[test]
    fn channels_with_few_clicks_are_put_together() {
        let mut clicks: Vec<Click> = [(0, 1, 0), (0, 2, 1), (0, 3, 1), (0, 4, 2), (0, 5, 3)].map(click).to_vec();
        let names = ["d", "c", "b", "a"].map(str::to_owned).to_vec();
        assert_eq!(fold(&mut clicks.clone(), names.clone(), 4, "rest"), (names.clone(), 0));
        let (folded, together) = fold(&mut clicks, names, 3, "rest");
        assert_eq!((folded, together), (vec!["c".to_owned(), "a".to_owned(), "rest".to_owned()], 2));
        assert_eq!(clicks.iter().map(|click| click.channel).collect::<Vec<u32>>(), [2, 0, 0, 2, 1]);
    }
}
