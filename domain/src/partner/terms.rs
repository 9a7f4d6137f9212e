//! Terms: the rates and windows in force from a time on.

use chrono::{DateTime, Duration, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::SuccessMetric;
use crate::{
    Currency, PartnerId, PartnerTermsId,
    attribution::{Model, Policy},
};

/// The rates and windows in force from a time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermsValues {
    /// Fraction of the conversion's value, 0 to 1.
    pub commission_rate: Decimal,
    /// Fraction of the base commission, paid once for the first verified milestone.
    pub success_bonus_rate: Decimal,
    #[serde(default = "default_multiplier_cap")]
    pub multiplier_cap: Decimal,
    #[serde(default = "default_attribution_window_hours")]
    pub attribution_window_hours: u32,
    #[serde(default = "default_hold_period_days")]
    pub hold_period_days: u32,
    #[serde(default = "default_adjustment_window_days")]
    pub adjustment_window_days: u32,
    pub payout_currency: Currency,
    /// How credit is shared among the clicks that led to a conversion.
    #[serde(default = "default_attribution_model")]
    pub attribution_model: Model,
    /// A conversion sooner after its click than this was not made by a person.
    #[serde(default)]
    pub attribution_minimum_seconds: u32,
    /// In minor units of the payout currency; a statement below it is carried forward.
    #[serde(default)]
    pub minimum_payout_minor: i64,
}

fn default_attribution_model() -> Model {
    Model::LastTouch
}
fn default_multiplier_cap() -> Decimal {
    Decimal::from(3)
}
fn default_attribution_window_hours() -> u32 {
    24
}
fn default_hold_period_days() -> u32 {
    30
}
fn default_adjustment_window_days() -> u32 {
    90
}

impl TermsValues {
    /// Finds the first value that is out of its bounds, as (key, what was expected).
    pub fn invalid(&self) -> Option<(&'static str, String)> {
        let fraction = |rate: Decimal| rate >= Decimal::ZERO && rate <= Decimal::ONE && rate.scale() <= 6;
        if !fraction(self.commission_rate) {
            return Some(("commission_rate", format!("`{}` must be a fraction from 0 to 1 with up to 6 digits", self.commission_rate)));
        }
        if !fraction(self.success_bonus_rate) {
            return Some((
                "success_bonus_rate",
                format!("`{}` must be a fraction from 0 to 1 with up to 6 digits", self.success_bonus_rate),
            ));
        }
        if self.multiplier_cap < Decimal::ONE || self.multiplier_cap > Decimal::from(100) || self.multiplier_cap.scale() > 3 {
            return Some(("multiplier_cap", format!("`{}` must be from 1 to 100 with up to 3 digits", self.multiplier_cap)));
        }
        // 10 years bounds every window: longer is a slip of the keyboard.
        if self.attribution_window_hours == 0 || self.attribution_window_hours > 87_600 {
            return Some(("attribution_window_hours", format!("`{}` must be from 1 to 87600", self.attribution_window_hours)));
        }
        if i64::from(self.attribution_minimum_seconds) >= i64::from(self.attribution_window_hours) * 3600 {
            return Some((
                "attribution_minimum_seconds",
                format!("`{}` must be less than the attribution window", self.attribution_minimum_seconds),
            ));
        }
        if !(0..=1_000_000_000_000).contains(&self.minimum_payout_minor) {
            return Some(("minimum_payout_minor", format!("`{}` must be from 0 to a million millions", self.minimum_payout_minor)));
        }
        if self.hold_period_days > 3650 {
            return Some(("hold_period_days", format!("`{}` must be at most 3650", self.hold_period_days)));
        }
        if self.adjustment_window_days > 3650 {
            return Some(("adjustment_window_days", format!("`{}` must be at most 3650", self.adjustment_window_days)));
        }
        None
    }

    /// The rules of who may claim a conversion.
    pub fn attribution_policy(&self) -> Policy {
        Policy {
            model: self.attribution_model,
            window: Duration::hours(i64::from(self.attribution_window_hours)),
            minimum: Duration::seconds(i64::from(self.attribution_minimum_seconds)),
        }
    }
}

/// One version of a partner's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub partner_terms_id: PartnerTermsId,
    pub partner_id: PartnerId,
    pub version: i32,
    pub effective_from: DateTime<Utc>,
    #[serde(flatten)]
    pub values: TermsValues,
    /// What each success multiplies by is money, so that a change of it is a new version, too.
    pub success_metrics: Vec<SuccessMetric>,
}

impl Terms {
    pub fn metric(&self, id: &str) -> Option<&SuccessMetric> {
        self.success_metrics.iter().find(|metric| metric.id == id)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn terms() -> TermsValues {
        TermsValues {
            commission_rate: Decimal::new(20, 2),
            success_bonus_rate: Decimal::new(30, 2),
            multiplier_cap: Decimal::from(3),
            attribution_window_hours: 24,
            hold_period_days: 30,
            adjustment_window_days: 90,
            payout_currency: Currency::USD,
            attribution_model: Model::LastTouch,
            attribution_minimum_seconds: 0,
            minimum_payout_minor: 0,
        }
    }

    #[test]
    fn terms_at_their_bounds_are_valid() {
        assert_eq!(terms().invalid(), None);
        let widest = TermsValues {
            commission_rate: Decimal::ONE,
            success_bonus_rate: Decimal::ZERO,
            multiplier_cap: Decimal::ONE,
            attribution_window_hours: 87_600,
            hold_period_days: 0,
            adjustment_window_days: 0,
            ..terms()
        };
        assert_eq!(widest.invalid(), None);
    }

    #[test]
    fn terms_out_of_bounds_name_the_key() {
        let key = |change: fn(&mut TermsValues)| {
            let mut values = terms();
            change(&mut values);
            values.invalid().unwrap().0
        };
        assert_eq!(key(|terms| terms.commission_rate = Decimal::new(101, 2)), "commission_rate");
        assert_eq!(key(|terms| terms.commission_rate = Decimal::new(-1, 2)), "commission_rate");
        assert_eq!(key(|terms| terms.commission_rate = Decimal::new(1, 7)), "commission_rate");
        assert_eq!(key(|terms| terms.success_bonus_rate = Decimal::TWO), "success_bonus_rate");
        assert_eq!(key(|terms| terms.multiplier_cap = Decimal::new(99, 2)), "multiplier_cap");
        assert_eq!(key(|terms| terms.attribution_window_hours = 0), "attribution_window_hours");
        assert_eq!(key(|terms| terms.attribution_minimum_seconds = 24 * 3600), "attribution_minimum_seconds");
        assert_eq!(key(|terms| terms.minimum_payout_minor = -1), "minimum_payout_minor");
        assert_eq!(key(|terms| terms.hold_period_days = 3651), "hold_period_days");
        assert_eq!(key(|terms| terms.adjustment_window_days = 3651), "adjustment_window_days");
    }
}
