//! Multi-touch reports over a whole programme: how much each channel took part in the conversions. They pay nobody; what pays is the
//! per-order rule of [`attribution`](crate::attribution).
//!
//! The input is a list of paths with counts. A step is one place on a path, so a channel that is met twice on it has two steps. All
//! models share out the same totals. Conversions are credited in floating point, with compensated sums, for they are estimates: the sum
//! over the channels is their number up to rounding at the 15th digit. Their value is money, so it stays decimal: a model gives each
//! channel a share of it, and the whole is split in these shares to the last unit by [`attribution::split_units`](crate::attribution::split_units).
//!
//! - **first, last, linear, position, time decay by step**: per path, by the place of the step; see [`Credits`].
//! - **Markov removal effect**: a first-order chain over start, channels, conversion and null. The effect of a channel is the part of
//!   the conversions that is lost when every step into it leads to null; credits are the effects, scaled to the total. Solved exactly
//!   in `chain.rs`. Anderl, Becker, von Wangenheim, Schumann: *Mapping the customer journey*, 2016.
//! - **Shapley value**: the worth of a coalition is what the paths bring whose channels all lie within it (order and repetition do not
//!   count). Its Shapley value has a closed form: each path is shared equally among its distinct channels, for the worth is a sum of
//!   unanimity games. So no coalition is ever enumerated, and the number of channels does not matter. Zhao, Mahboobi, Bagheri:
//!   *Shapley value methods for attribution modeling in online advertising*, 2018, arXiv:1804.05327, section 3.

mod chain;
mod credits;

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::Serialize;

use crate::attribution::UNITS_MAX;
use chain::Chain;
use credits::Amounts;

pub use credits::{Credits, Model};

/// Channels that a report takes. The chain is dense and its solution grows with the third power of their number: half a second here.
pub const CHANNELS_MAX: usize = 1_000;

/// Journeys that went through the same channels in the same order.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// One name per step, oldest first.
    pub channels: Vec<String>,
    /// Journeys that ended in a conversion.
    pub conversions: f64,
    /// What those conversions were worth together.
    pub value: Decimal,
    /// Journeys that ended without one.
    pub nulls: f64,
}

/// A field of a [`Path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Channels,
    Conversions,
    Value,
    Nulls,
}

/// A path cannot be, or there are too many channels.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    #[error("a path has no step, or a step without a name")]
    NoChannel,
    #[error("`{number}` is not a number from 0 up")]
    NotACount { field: Field, number: String },
    #[error("a value of `{value}` without a conversion")]
    ValueWithoutConversion { value: Decimal },
    #[error("a value of more than {UNITS_MAX} in all")]
    TooMuchValue,
    #[error("{found} channels, expected at most {CHANNELS_MAX}")]
    TooManyChannels { found: usize },
}

impl Refused {
    /// The field of the path that is wrong.
    pub fn field(&self) -> Field {
        match self {
            Self::NoChannel | Self::TooManyChannels { .. } => Field::Channels,
            Self::NotACount { field, .. } => *field,
            Self::ValueWithoutConversion { .. } | Self::TooMuchValue => Field::Value,
        }
    }
}

impl Path {
    /// # Errors
    /// [`Refused`] if there is no step, a name is empty, a number is negative or not finite, or there is value without a conversion.
    pub fn check(&self) -> Result<(), Refused> {
        if self.channels.is_empty() || self.channels.iter().any(String::is_empty) {
            return Err(Refused::NoChannel);
        }
        let not_a_count = |field, number: String| Err(Refused::NotACount { field, number });
        for (field, number) in [(Field::Conversions, self.conversions), (Field::Nulls, self.nulls)] {
            if !(number.is_finite() && number >= 0.0) {
                return not_a_count(field, number.to_string());
            }
        }
        if self.value < Decimal::ZERO {
            return not_a_count(Field::Value, self.value.to_string());
        }
        if self.value > Decimal::ZERO && self.conversions <= 0.0 {
            return Err(Refused::ValueWithoutConversion { value: self.value });
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelReport<Amount = Decimal> {
    pub channel: String,
    #[serde(flatten)]
    pub conversions: Credits,
    pub value: Credits<Amount>,
    /// Part of the conversions that would be lost without the channel, 0 to 1; not scaled, so the sum over channels is often above 1.
    pub removal_effect_with_nulls: f64,
    pub removal_effect_without_nulls: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report<Amount = Decimal> {
    /// Rows of the input.
    pub paths: usize,
    pub conversions: f64,
    pub value: Amount,
    pub nulls: f64,
    /// By name.
    pub channels: Vec<ChannelReport<Amount>>,
}

impl Report {
    /// The same report with each amount written in another way.
    pub fn map_amounts<Amount>(self, write: impl Fn(Decimal) -> Amount) -> Report<Amount> {
        let channel = |channel: ChannelReport| ChannelReport {
            channel: channel.channel,
            conversions: channel.conversions,
            value: channel.value.map(|amount| write(*amount)),
            removal_effect_with_nulls: channel.removal_effect_with_nulls,
            removal_effect_without_nulls: channel.removal_effect_without_nulls,
        };
        Report {
            paths: self.paths,
            conversions: self.conversions,
            value: write(self.value),
            nulls: self.nulls,
            channels: self.channels.into_iter().map(channel).collect(),
        }
    }
}

/// Shares out the conversions of `paths`, and their value, among the channels. Any order of `paths` gives the same report up to rounding
/// at the 15th digit; the same order gives the same bytes. Without any conversion all credits are 0.
///
/// Amounts have `digits` after the point (fewer if the value holds more than [`UNITS_MAX`] of such units), and under each model they sum
/// exactly to the value, rounded half-even to as many.
///
/// # Errors
/// [`Refused`] for the first path that [`Path::check`] refuses, or if there are more than [`CHANNELS_MAX`] channels.
pub fn report(paths: &[Path], digits: u32) -> Result<Report, Refused> {
    paths.iter().try_for_each(Path::check)?;
    let names: BTreeSet<&str> = paths.iter().flat_map(|path| &path.channels).map(String::as_str).collect();
    if names.len() > CHANNELS_MAX {
        return Err(Refused::TooManyChannels { found: names.len() });
    }
    let value = paths.iter().try_fold(Decimal::ZERO, |sum, path| sum.checked_add(path.value)).ok_or(Refused::TooMuchValue)?;
    let amounts = Amounts::of(value, digits).ok_or(Refused::TooMuchValue)?;
    let indices: BTreeMap<&str, usize> = names.iter().enumerate().map(|(index, name)| (*name, index)).collect();
    let paths: Vec<Steps> = paths.iter().map(|path| Steps::new(path, &indices)).collect();

    let total = |count: fn(&Steps) -> f64| paths.iter().map(count).collect::<Sum>().total();
    let (conversions, nulls) = (total(|path| path.conversions), total(|path| path.nulls));
    let of_step = |weights: fn(usize) -> Vec<f64>| {
        by_channel(&paths, names.len(), |path| path.steps.iter().copied().zip(weights(path.steps.len())).collect())
    };
    let through_with_nulls = Chain::new(&paths, names.len(), true).conversions_through_each();
    let through_without_nulls = Chain::new(&paths, names.len(), false).conversions_through_each();
    let parts = Credits::each(|model| match model {
        Model::First => of_step(|length| alone(length, 0)),
        Model::Last => of_step(|length| alone(length, length - 1)),
        Model::Linear => of_step(|length| vec![1.0; length]),
        Model::Position => of_step(position_weights),
        Model::TimeDecayByStep => of_step(|length| (0..length).rev().map(halved).collect()),
        Model::MarkovWithNulls => scaled(&through_with_nulls, conversions),
        Model::MarkovWithoutNulls => scaled(&through_without_nulls, conversions),
        Model::Shapley => by_channel(&paths, names.len(), |path| path.distinct().into_iter().map(|channel| (channel, 1.0)).collect()),
    });
    let values = parts.map(|parts| amounts.split(&parts.iter().map(|part| part.value).collect::<Vec<_>>()));

    let channel_report = |(channel, name): (usize, &str)| ChannelReport {
        channel: name.to_owned(),
        conversions: parts.map(|parts| parts[channel].conversions),
        value: values.map(|values| values[channel]),
        removal_effect_with_nulls: quotient(through_with_nulls[channel].conversions, conversions),
        removal_effect_without_nulls: quotient(through_without_nulls[channel].conversions, conversions),
    };
    let channels = names.iter().copied().enumerate().map(channel_report).collect();
    Ok(Report { paths: paths.len(), conversions, value, nulls, channels })
}

/// A path whose channels are numbers.
struct Steps {
    steps: Vec<usize>,
    conversions: f64,
    /// The value as a weight, from which shares are reckoned and no amount.
    value_weight: f64,
    nulls: f64,
}

impl Steps {
    fn new(path: &Path, indices: &BTreeMap<&str, usize>) -> Self {
        let steps = path.channels.iter().map(|name| indices[name.as_str()]).collect();
        let value_weight = path.value.to_f64().unwrap_or_default();
        Self { steps, conversions: path.conversions, value_weight, nulls: path.nulls }
    }

    fn distinct(&self) -> BTreeSet<usize> {
        self.steps.iter().copied().collect()
    }
}

/// What a channel took part in: conversions, and their value as a weight beside those of the other channels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Part {
    conversions: f64,
    value: f64,
}

/// Shares out each path in proportion to the weights that `weights_of` gives to channels: the parts by channel.
fn by_channel(paths: &[Steps], channels: usize, weights_of: impl Fn(&Steps) -> Vec<(usize, f64)>) -> Vec<Part> {
    let mut sums = vec![(Sum::default(), Sum::default()); channels];
    for path in paths.iter().filter(|path| path.conversions > 0.0) {
        let weights = weights_of(path);
        let whole: f64 = weights.iter().map(|(_, weight)| weight).sum();
        for (channel, weight) in weights {
            sums[channel].0.add(path.conversions * weight / whole);
            sums[channel].1.add(path.value_weight * weight / whole);
        }
    }
    sums.into_iter().map(|(conversions, value)| Part { conversions: conversions.total(), value: value.total() }).collect()
}

/// What would be lost without each channel, scaled so that the conversions sum to all of them.
fn scaled(lost: &[Part], conversions: f64) -> Vec<Part> {
    let sum = lost.iter().map(|part| part.conversions).collect::<Sum>().total();
    lost.iter().map(|part| Part { conversions: conversions * quotient(part.conversions, sum), ..*part }).collect()
}

fn quotient(amount: f64, of: f64) -> f64 {
    if of > 0.0 { amount / of } else { 0.0 }
}

fn alone(length: usize, index: usize) -> Vec<f64> {
    (0..length).map(|other| if other == index { 1.0 } else { 0.0 }).collect()
}

/// In whole numbers, as `attribution` has them: with m steps between, `2m, 1, …, 1, 2m` of `5m`.
fn position_weights(length: usize) -> Vec<f64> {
    let between = (2..length).map(|_| 1.0).sum::<f64>();
    let end = if length <= 2 { 1.0 } else { 2.0 * between };
    (0..length).map(|index| if index == 0 || index + 1 == length { end } else { 1.0 }).collect()
}

/// `2^-steps`; 0 from the 1 075th step on, where floating point ends.
fn halved(steps: usize) -> f64 {
    i32::try_from(steps).map_or(0.0, |steps| 0.5_f64.powi(steps))
}

/// A sum that keeps what rounding drops (Neumaier 1974): ten thousand additions are as exact as one.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sum: f64,
    dropped: f64,
}

impl Sum {
    fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        let (large, small) = if self.sum.abs() >= term.abs() { (self.sum, term) } else { (term, self.sum) };
        self.dropped += (large - sum) + small;
        self.sum = sum;
    }

    fn total(self) -> f64 {
        self.sum + self.dropped
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(terms: I) -> Self {
        let mut sum = Self::default();
        terms.into_iter().for_each(|term| sum.add(term));
        sum
    }
}

#[cfg(test)]
mod tests;
