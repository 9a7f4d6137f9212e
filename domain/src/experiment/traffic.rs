//! What the units of a design did while it was no test yet: what a plan begins with.

use serde::{Deserialize, Serialize};

use super::{Metric, statistics::Baseline};

/// The units that a design is for, over some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Above 0.
    pub days: f64,
    /// That saw at least one offer which the test could change.
    pub units: u64,
    /// Of those: with at least one click, conversion, verified success.
    pub clicked: u64,
    pub converted: u64,
    pub succeeded: u64,
    pub clicks: u64,
    /// The sum of the squares of each unit's clicks.
    pub clicks_squares: u64,
}

impl Traffic {
    /// Units that come for the first time, on average.
    pub fn units_per_day(&self) -> f64 {
        if self.days > 0.0 { self.units as f64 / self.days } else { 0.0 }
    }

    /// What a metric is like; absent where the units say too little for a plan, and for money, of which other days say more.
    pub fn baseline(&self, metric: Metric) -> Option<Baseline> {
        let rate = |count: u64| (0 < count && count < self.units).then(|| Baseline::Rate { rate: count as f64 / self.units as f64 });
        match metric {
            Metric::ClickRate => rate(self.clicked),
            Metric::ConversionRate => rate(self.converted),
            Metric::SuccessRate => rate(self.succeeded),
            Metric::ClicksPerUnit => self.clicks_per_unit(),
            Metric::CommissionPerUnit => None,
        }
    }

    fn clicks_per_unit(&self) -> Option<Baseline> {
        if self.units < 2 {
            return None;
        }
        let units = self.units as f64;
        let mean = self.clicks as f64 / units;
        let deviation = ((self.clicks_squares as f64 - mean * self.clicks as f64) / (units - 1.0)).max(0.0).sqrt();
        (mean > 0.0 && deviation > 0.0).then_some(Baseline::Mean { mean, deviation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of ten units, eight did nothing, one clicked once and one three times.
    const TRAFFIC: Traffic = Traffic { days: 7.0, units: 10, clicked: 2, converted: 1, succeeded: 0, clicks: 4, clicks_squares: 10 };

    #[test]
    fn rates_are_shares_of_the_units() {
        assert_eq!(TRAFFIC.baseline(Metric::ClickRate), Some(Baseline::Rate { rate: 0.2 }));
        assert_eq!(TRAFFIC.baseline(Metric::ConversionRate), Some(Baseline::Rate { rate: 0.1 }));
        assert!((TRAFFIC.units_per_day() - 10.0 / 7.0).abs() < 1e-12);
    }

    #[test]
    fn clicks_have_a_mean_and_the_deviation_of_a_sample() {
        let Some(Baseline::Mean { mean, deviation }) = TRAFFIC.baseline(Metric::ClicksPerUnit) else { panic!("a mean") };
        assert!((mean - 0.4).abs() < 1e-12 && (deviation - (8.4_f64 / 9.0).sqrt()).abs() < 1e-12, "{mean} {deviation}");
    }

    #[test]
    fn what_nobody_or_everybody_did_is_no_baseline() {
        assert_eq!(TRAFFIC.baseline(Metric::SuccessRate), None);
        assert_eq!(Traffic { clicked: 10, ..TRAFFIC }.baseline(Metric::ClickRate), None);
        assert_eq!(Traffic { clicks: 10, clicks_squares: 10, ..TRAFFIC }.baseline(Metric::ClicksPerUnit), None, "all clicked once");
        assert_eq!(Traffic { units: 1, ..TRAFFIC }.baseline(Metric::ClicksPerUnit), None);
        assert_eq!((Traffic::default().baseline(Metric::ClickRate), Traffic::default().units_per_day()), (None, 0.0));
    }
}
