//! Compares what the database holds with the truth of the journeys.

mod compare;
mod print;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use engine::simulation::{Balance, ClickCounts, DeliveryCounts, ImpressionCounts, Outcome, Rederived};
use serde::Serialize;

use super::{
    plan::{Journey, Link},
    play::Played,
    truth::Facts,
};

pub use compare::compare;

/// Fewer than this share of the attributable conversions at the right clicks fails the run.
const RIGHT_SHARE_MIN: f64 = 0.999;

/// Differences that are told in words.
const EXAMPLES_MAX: usize = 20;

/// All that is known after a run.
pub struct Evidence<'a> {
    pub journeys: &'a [Journey],
    pub played: &'a [Played],
    pub facts: &'a Facts<'a>,
    pub outcomes: &'a [Outcome],
    pub balances: &'a [Balance],
    pub deliveries: DeliveryCounts,
    /// By link, for the links of the run.
    pub clicks: &'a HashMap<Link, ClickCounts>,
    /// Of what was seen in the pages of the run, and by the counters of its partners.
    pub impressions: ImpressionCounts,
    pub rederived: &'a Rederived,
    /// Conversions that waited for their exchange rate.
    pub held: Held,
}

/// How many conversions waited for an exchange rate before it came, and how many had to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Held {
    pub expected: usize,
    pub found: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub journeys: usize,
    pub requests: u64,
    pub requests_per_second: f64,
    pub clicks: i64,
    pub clicks_counted: i64,
    pub bots_and_prefetches: i64,
    /// Links whose stored or counted clicks are not those that were made.
    pub wrong_click_counts: usize,
    /// Offers that were seen in a page, each once, and how many pages that was.
    pub impressions: usize,
    pub pages: usize,
    /// Of them, those that are not recorded.
    pub impressions_missing: i64,
    /// Recorded for these pages and never reported.
    pub impressions_surplus: i64,
    /// How much more the partners' counters say, or less.
    pub impressions_miscounted: i64,
    pub attributable: usize,
    /// Of them, those whose credit several clicks share.
    pub shared: usize,
    pub right: usize,
    pub right_percent: f64,
    pub wrong_click: usize,
    pub wrong_share: usize,
    pub wrong_partner: usize,
    pub missed: usize,
    pub double_counted: usize,
    pub refused_as_expected: usize,
    pub credited_against_the_rules: usize,
    pub unknown_conversions: usize,
    pub dead_expected: usize,
    pub dead: i64,
    pub still_waiting: i64,
    pub held: Held,
    /// By currency of the payout.
    pub money: BTreeMap<String, Money>,
    /// By partner, currency and account.
    pub balances: BTreeMap<String, Money>,
    /// Conversions whose booked commission or bonus is not the truth.
    pub wrong_amounts: usize,
    /// Conversions of which some click's part of the money is not the truth.
    pub wrong_parts: usize,
    pub unbalanced: usize,
    pub rederived: usize,
    pub rederived_differently: usize,
    pub ledger_latency_ms_p50: f64,
    pub ledger_latency_ms_p99: f64,
    /// How long each phase took.
    pub seconds: BTreeMap<&'static str, f64>,
    pub troubles: usize,
    /// The first differences, in words.
    pub examples: Vec<String>,
}

/// Minor units of one currency, commission and bonus together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Money {
    pub truth_minor: i64,
    pub booked_minor: i64,
}

impl Report {
    /// Nothing is missing, doubled, or off by a minor unit.
    pub fn passes(&self) -> bool {
        let wrong = [
            self.wrong_click_counts,
            self.wrong_partner,
            self.double_counted,
            self.credited_against_the_rules,
            self.unknown_conversions,
            self.wrong_amounts,
            self.wrong_parts,
            self.unbalanced,
            self.rederived_differently,
            self.troubles,
        ];
        let share = if self.attributable == 0 { 1.0 } else { self.right as f64 / self.attributable as f64 };
        let equal = |books: &BTreeMap<String, Money>| books.values().all(|money| money.truth_minor == money.booked_minor);
        let wrong_impressions = [self.impressions_missing, self.impressions_surplus, self.impressions_miscounted];
        wrong.iter().all(|count| *count == 0)
            && wrong_impressions == [0; 3]
            && share >= RIGHT_SHARE_MIN
            && self.still_waiting == 0
            && self.dead == i64::try_from(self.dead_expected).unwrap_or(-1)
            && self.held.expected == self.held.found
            && equal(&self.money)
            && equal(&self.balances)
    }

    /// Notes how long a phase took.
    pub fn took(&mut self, phase: &'static str, time: Duration) {
        self.seconds.insert(phase, time.as_secs_f64());
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text);
        }
    }
}
