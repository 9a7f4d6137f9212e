//! The models by name, what a channel gets under each, and how a value is split in their shares.

use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::Serialize;

use super::Sum;
use crate::attribution::{UNITS_MAX, split_units};

/// A way to share out conversions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    First,
    Last,
    Linear,
    Position,
    TimeDecayByStep,
    MarkovWithNulls,
    MarkovWithoutNulls,
    Shapley,
}

impl Model {
    pub const ALL: [Self; 8] = [
        Self::First,
        Self::Last,
        Self::Linear,
        Self::Position,
        Self::TimeDecayByStep,
        Self::MarkovWithNulls,
        Self::MarkovWithoutNulls,
        Self::Shapley,
    ];

    /// As it stands in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
            Self::Linear => "linear",
            Self::Position => "position",
            Self::TimeDecayByStep => "time_decay_by_step",
            Self::MarkovWithNulls => "markov_with_nulls",
            Self::MarkovWithoutNulls => "markov_without_nulls",
            Self::Shapley => "shapley",
        }
    }
}

/// What a channel gets under each model: of the conversions by default, else amounts of their value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Credits<T = f64> {
    /// All to the first step.
    pub first: T,
    /// All to the last step.
    pub last: T,
    /// The same to each step.
    pub linear: T,
    /// .4 to the first step, .4 to the last, .2 shared by those between; .5 each if there are two, all if there is one.
    pub position: T,
    /// Half as much for each step further from the end.
    pub time_decay_by_step: T,
    /// By removal effect in the chain of all journeys.
    pub markov_with_nulls: T,
    /// By removal effect in the chain of the journeys that converted.
    pub markov_without_nulls: T,
    /// Shapley value.
    pub shapley: T,
}

impl<T> Credits<T> {
    pub fn each(mut of: impl FnMut(Model) -> T) -> Self {
        Self {
            first: of(Model::First),
            last: of(Model::Last),
            linear: of(Model::Linear),
            position: of(Model::Position),
            time_decay_by_step: of(Model::TimeDecayByStep),
            markov_with_nulls: of(Model::MarkovWithNulls),
            markov_without_nulls: of(Model::MarkovWithoutNulls),
            shapley: of(Model::Shapley),
        }
    }

    pub fn of(&self, model: Model) -> &T {
        match model {
            Model::First => &self.first,
            Model::Last => &self.last,
            Model::Linear => &self.linear,
            Model::Position => &self.position,
            Model::TimeDecayByStep => &self.time_decay_by_step,
            Model::MarkovWithNulls => &self.markov_with_nulls,
            Model::MarkovWithoutNulls => &self.markov_without_nulls,
            Model::Shapley => &self.shapley,
        }
    }

    pub fn map<U>(&self, change: impl Fn(&T) -> U) -> Credits<U> {
        Credits::each(|model| change(self.of(model)))
    }
}

/// A value that is split in shares, exactly, in units of its last digit.
pub(super) struct Amounts {
    units: i128,
    digits: u32,
}

impl Amounts {
    /// Of a value that is not negative, with at most so many digits after the point; `None` if it is above [`UNITS_MAX`].
    pub fn of(value: Decimal, digits: u32) -> Option<Self> {
        let units = |digits: u32| {
            let scaled = value.checked_mul(Decimal::from_i128_with_scale(10_i128.checked_pow(digits)?, 0))?.round().to_i128()?;
            (scaled <= UNITS_MAX).then_some(Self { units: scaled, digits })
        };
        (0..=digits).rev().find_map(units)
    }

    /// One amount for each weight, which are not negative. They sum to the value.
    pub fn split(&self, weights: &[f64]) -> Vec<Decimal> {
        let whole = weights.iter().copied().collect::<Sum>().total();
        let share = |weight: &f64| if whole > 0.0 { Decimal::from_f64_retain(weight / whole).unwrap_or_default() } else { Decimal::ZERO };
        let shares: Vec<Decimal> = weights.iter().map(share).collect();
        split_units(self.units, &shares).into_iter().map(|units| Decimal::from_i128_with_scale(units, self.digits)).collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn amounts(value: &str, digits: u32, weights: &[f64]) -> Option<Vec<String>> {
        let amounts = Amounts::of(value.parse().unwrap(), digits)?;
        Some(amounts.split(weights).iter().map(Decimal::to_string).collect())
    }

    #[test]
    fn a_model_and_its_field_have_one_name() {
        let names = serde_json::to_value(Credits::each(Model::name)).unwrap();
        assert_eq!(names.as_object().unwrap().len(), Model::ALL.len());
        for model in Model::ALL {
            assert_eq!(names[model.name()], model.name());
            assert_eq!(*Credits::each(|each| each).of(model), model);
        }
    }

    #[test]
    fn amounts_sum_to_the_value_with_as_many_digits_as_were_asked_for() {
        assert_eq!(amounts("100", 0, &[1.0; 3]).unwrap(), ["34", "33", "33"]);
        assert_eq!(amounts("1", 4, &[2.0, 1.0]).unwrap(), ["0.6667", "0.3333"]);
        assert_eq!(amounts("0.25", 1, &[1.0]).unwrap(), ["0.2"], "a value with more digits is rounded half-even");
        assert_eq!(amounts("0", 2, &[0.0, 0.0]).unwrap(), ["0.00", "0.00"]);
        assert!(amounts("0", 2, &[]).unwrap().is_empty());
    }

    #[test]
    fn a_large_value_has_fewer_digits_and_too_large_a_one_none() {
        assert_eq!(amounts("10000000000", 12, &[1.0]).unwrap(), ["10000000000.0000000000"]);
        assert_eq!(amounts("100000000000000000000", 12, &[1.0]).unwrap(), ["100000000000000000000"]);
        assert_eq!(amounts("100000000000000000001", 12, &[1.0]), None);
    }
}
