//! Multi-touch reports over a whole programme: how much each channel took part in the conversions. They pay nobody; what pays is the
//! per-order rule of [`attribution`](crate::attribution).
//!
//! The input is a list of paths with counts. A step is one place on a path, so a channel that is met twice on it has two steps. All
//! models share out the same totals: the sum over the channels is the number of conversions (and their value), up to rounding at the
//! 15th digit. The figures are statistics, not bookings, hence floating point; sums are compensated.
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

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use chain::Chain;

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
    pub value: f64,
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
    NotACount { field: Field, number: f64 },
    #[error("a value of `{value}` without a conversion")]
    ValueWithoutConversion { value: f64 },
    #[error("{found} channels, expected at most {CHANNELS_MAX}")]
    TooManyChannels { found: usize },
}

impl Refused {
    /// The field of the path that is wrong.
    pub fn field(&self) -> Field {
        match self {
            Self::NoChannel | Self::TooManyChannels { .. } => Field::Channels,
            Self::NotACount { field, .. } => *field,
            Self::ValueWithoutConversion { .. } => Field::Value,
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
        for (field, number) in [(Field::Conversions, self.conversions), (Field::Value, self.value), (Field::Nulls, self.nulls)] {
            if !(number.is_finite() && number >= 0.0) {
                return Err(Refused::NotACount { field, number });
            }
        }
        if self.value > 0.0 && self.conversions <= 0.0 {
            return Err(Refused::ValueWithoutConversion { value: self.value });
        }
        Ok(())
    }
}

/// What a channel gets under each model, in conversions or in their value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Credits {
    /// All to the first step.
    pub first: f64,
    /// All to the last step.
    pub last: f64,
    /// The same to each step.
    pub linear: f64,
    /// .4 to the first step, .4 to the last, .2 shared by those between; .5 each if there are two, all if there is one.
    pub position: f64,
    /// Half as much for each step further from the end.
    pub time_decay_by_step: f64,
    /// By removal effect in the chain of all journeys.
    pub markov_with_nulls: f64,
    /// By removal effect in the chain of the journeys that converted.
    pub markov_without_nulls: f64,
    /// Shapley value.
    pub shapley: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelReport {
    pub channel: String,
    #[serde(flatten)]
    pub conversions: Credits,
    pub value: Credits,
    /// Part of the conversions that would be lost without the channel, 0 to 1; not scaled, so the sum over channels is often above 1.
    pub removal_effect_with_nulls: f64,
    pub removal_effect_without_nulls: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Rows of the input.
    pub paths: usize,
    pub conversions: f64,
    pub value: f64,
    pub nulls: f64,
    /// By name.
    pub channels: Vec<ChannelReport>,
}

/// Shares out the conversions of `paths`, and their value, among the channels. Any order of `paths` gives the same report up to rounding
/// at the 15th digit; the same order gives the same bytes. Without any conversion all credits are 0.
///
/// # Errors
/// [`Refused`] for the first path that [`Path::check`] refuses, or if there are more than [`CHANNELS_MAX`] channels.
pub fn report(paths: &[Path]) -> Result<Report, Refused> {
    paths.iter().try_for_each(Path::check)?;
    let names: BTreeSet<&str> = paths.iter().flat_map(|path| &path.channels).map(String::as_str).collect();
    if names.len() > CHANNELS_MAX {
        return Err(Refused::TooManyChannels { found: names.len() });
    }
    let indices: BTreeMap<&str, usize> = names.iter().enumerate().map(|(index, name)| (*name, index)).collect();
    let paths: Vec<Steps> = paths.iter().map(|path| Steps::new(path, &indices)).collect();

    let total = |count: fn(&Steps) -> f64| paths.iter().map(count).collect::<Sum>().total();
    let (conversions, value, nulls) = (total(|path| path.conversions), total(|path| path.value), total(|path| path.nulls));
    let of_step = |weights: fn(usize) -> Vec<f64>| {
        by_channel(&paths, names.len(), |path| path.steps.iter().copied().zip(weights(path.steps.len())).collect())
    };
    let first = of_step(|length| alone(length, 0));
    let last = of_step(|length| alone(length, length - 1));
    let linear = of_step(|length| vec![1.0; length]);
    let position = of_step(position_weights);
    let time_decay = of_step(|length| (0..length).rev().map(halved).collect());
    let shapley = by_channel(&paths, names.len(), |path| path.distinct().into_iter().map(|channel| (channel, 1.0)).collect());
    let with_nulls = removal(&paths, names.len(), true, (conversions, value));
    let without_nulls = removal(&paths, names.len(), false, (conversions, value));

    let credits = |channel: usize, part: fn((f64, f64)) -> f64| Credits {
        first: part(first[channel]),
        last: part(last[channel]),
        linear: part(linear[channel]),
        position: part(position[channel]),
        time_decay_by_step: part(time_decay[channel]),
        markov_with_nulls: part(with_nulls[channel].credit),
        markov_without_nulls: part(without_nulls[channel].credit),
        shapley: part(shapley[channel]),
    };
    let channel_report = |(channel, name): (usize, &str)| ChannelReport {
        channel: name.to_owned(),
        conversions: credits(channel, |(conversions, _)| conversions),
        value: credits(channel, |(_, value)| value),
        removal_effect_with_nulls: with_nulls[channel].effect,
        removal_effect_without_nulls: without_nulls[channel].effect,
    };
    let channels = names.iter().copied().enumerate().map(channel_report).collect();
    Ok(Report { paths: paths.len(), conversions, value, nulls, channels })
}

/// A path whose channels are numbers.
struct Steps {
    steps: Vec<usize>,
    conversions: f64,
    value: f64,
    nulls: f64,
}

impl Steps {
    fn new(path: &Path, indices: &BTreeMap<&str, usize>) -> Self {
        let steps = path.channels.iter().map(|name| indices[name.as_str()]).collect();
        Self { steps, conversions: path.conversions, value: path.value, nulls: path.nulls }
    }

    fn distinct(&self) -> BTreeSet<usize> {
        self.steps.iter().copied().collect()
    }
}

/// Shares out each path in proportion to the weights that `weights_of` gives to channels: (conversions, value) by channel.
fn by_channel(paths: &[Steps], channels: usize, weights_of: impl Fn(&Steps) -> Vec<(usize, f64)>) -> Vec<(f64, f64)> {
    let mut sums = vec![(Sum::default(), Sum::default()); channels];
    for path in paths.iter().filter(|path| path.conversions > 0.0) {
        let weights = weights_of(path);
        let whole: f64 = weights.iter().map(|(_, weight)| weight).sum();
        for (channel, weight) in weights {
            sums[channel].0.add(path.conversions * weight / whole);
            sums[channel].1.add(path.value * weight / whole);
        }
    }
    sums.into_iter().map(|(conversions, value)| (conversions.total(), value.total())).collect()
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

#[derive(Clone, Copy)]
struct Removal {
    effect: f64,
    /// (conversions, value)
    credit: (f64, f64),
}

fn removal(paths: &[Steps], channels: usize, with_nulls: bool, (conversions, value): (f64, f64)) -> Vec<Removal> {
    let through = Chain::new(paths, channels, with_nulls).conversions_through_each();
    let part = |amount: f64, of: f64| if of > 0.0 { amount / of } else { 0.0 };
    let sum = |amount: fn(&(f64, f64)) -> f64| through.iter().map(amount).collect::<Sum>().total();
    let sums = (sum(|through| through.0), sum(|through| through.1));
    let removal = |&(lost, lost_value): &(f64, f64)| Removal {
        effect: part(lost, conversions),
        credit: (conversions * part(lost, sums.0), value * part(lost_value, sums.1)),
    };
    through.iter().map(removal).collect()
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
