//! The report for people.

use std::fmt;

use super::Report;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "journeys                    {:>9}   {} requests, {:.0} per second",
            self.journeys, self.requests, self.requests_per_second
        )?;
        writeln!(f, "clicks of people            {:>9}   {} counted once per session and hour", self.clicks, self.clicks_counted)?;
        writeln!(f, "bots, prefetches, HEAD      {:>9}   none counted", self.bots_and_prefetches)?;
        writeln!(f, "links with wrong counts     {:>9}", self.wrong_click_counts)?;
        writeln!(
            f,
            "offers seen                 {:>9}   in {} pages, {} missing, {} surplus, counters off by {}",
            self.impressions, self.pages, self.impressions_missing, self.impressions_surplus, self.impressions_miscounted
        )?;
        writeln!(f, "attributable conversions    {:>9}   {} of them shared among several clicks", self.attributable, self.shared)?;
        writeln!(f, "  to the right clicks       {:>9}   {:.3} %", self.right, self.right_percent)?;
        writeln!(f, "  to wrong clicks           {:>9}", self.wrong_click)?;
        writeln!(f, "  in wrong shares           {:>9}", self.wrong_share)?;
        writeln!(f, "  to a wrong partner        {:>9}", self.wrong_partner)?;
        writeln!(f, "  not attributed            {:>9}", self.missed)?;
        writeln!(f, "double-counted              {:>9}", self.double_counted)?;
        writeln!(
            f,
            "refused as expected         {:>9}   {} credited against the rules",
            self.refused_as_expected, self.credited_against_the_rules
        )?;
        writeln!(f, "conversions never sent      {:>9}", self.unknown_conversions)?;
        writeln!(
            f,
            "dead letters                {:>9}   {} expected, {} still waiting",
            self.dead, self.dead_expected, self.still_waiting
        )?;
        writeln!(f, "held for an exchange rate   {:>9}   {} expected, released by the later import", self.held.found, self.held.expected)?;
        for (currency, money) in &self.money {
            let difference = money.booked_minor - money.truth_minor;
            writeln!(
                f,
                "commission in {currency}           {:>9}   minor units booked, truth {}, difference {difference}",
                money.booked_minor, money.truth_minor
            )?;
        }
        for (account, money) in &self.balances {
            let difference = money.booked_minor - money.truth_minor;
            writeln!(f, "  {account:<46} {:>12}   difference {difference}", money.booked_minor)?;
        }
        writeln!(f, "wrong amounts               {:>9}   {} unbalanced", self.wrong_amounts, self.unbalanced)?;
        writeln!(f, "wrong parts of clicks       {:>9}", self.wrong_parts)?;
        writeln!(f, "commissions derived again   {:>9}   {} differ", self.rederived, self.rederived_differently)?;
        writeln!(f, "webhook to ledger, p50      {:>9.0} ms", self.ledger_latency_ms_p50)?;
        writeln!(f, "webhook to ledger, p99      {:>9.0} ms", self.ledger_latency_ms_p99)?;
        writeln!(f, "requests gone wrong         {:>9}", self.troubles)?;
        let seconds: Vec<String> = self.seconds.iter().map(|(phase, seconds)| format!("{phase} {seconds:.1} s")).collect();
        writeln!(f, "{}", seconds.join(", "))?;
        for example in &self.examples {
            writeln!(f, "  {example}")?;
        }
        write!(f, "{}", if self.passes() { "PASSED: the server's books are the truth" } else { "FAILED" })
    }
}
