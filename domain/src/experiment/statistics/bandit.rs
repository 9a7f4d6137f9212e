//! Thompson sampling without sampling: an arm's weight is its chance to be the best, by quadrature, above a floor.

use serde::{Deserialize, Serialize};

use super::{
    super::BUCKETS,
    arm::{ArmStatistics, InvalidStatistics, MetricKind},
    bayes,
};

/// Until every arm has so many units the weights stay as they are.
pub const UNITS_MIN: u64 = 100;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BanditWeights {
    pub chances_to_be_best: Vec<f64>,
    /// `floor + (1 - arms * floor) * chance`; they sum to 1.
    pub weights: Vec<f64>,
}

/// The weights that the results call for; nothing while an arm has fewer than [`UNITS_MIN`] units, or a mean does not vary.
///
/// The same counts always give the same weights. Each arm's chance under the weights in force belongs in the log of its exposures; lifts measured
/// under moving weights lean towards the arms that were lucky early.
///
/// # Errors
/// [`InvalidStatistics`] if an arm's sums are impossible, or the floor is not from 0 to 1 / arms.
pub fn bandit_weights(kind: MetricKind, arms: &[ArmStatistics], floor: f64) -> Result<Option<BanditWeights>, InvalidStatistics> {
    let count = arms.len() as f64;
    if !(floor >= 0.0 && floor * count <= 1.0) {
        return Err(InvalidStatistics { field: "floor".to_owned(), reason: format!("floor {floor} must be from 0 to 1 / {count} arms") });
    }
    let mut posteriors = Vec::new();
    for arm in arms {
        let moments = arm.moments(kind)?;
        let cells = (kind == MetricKind::Rate).then(|| arm.cells());
        match bayes::posterior(moments, cells).filter(|_| arm.units >= UNITS_MIN) {
            Some(posterior) => posteriors.push(posterior),
            None => return Ok(None),
        }
    }
    if posteriors.is_empty() {
        return Ok(None);
    }
    let chances_to_be_best = bayes::chances_to_be_best(&posteriors);
    let weights = chances_to_be_best.iter().map(|chance| floor + (1.0 - count * floor) * chance).collect();
    Ok(Some(BanditWeights { chances_to_be_best, weights }))
}

impl BanditWeights {
    /// The weights in whole buckets of the hash, as they can be dealt; finer ones would promise other shares than units get. No arm has less than
    /// the whole buckets of the floor, and none has nothing.
    pub fn dealt(&self, floor: f64) -> Vec<f64> {
        let all = f64::from(BUCKETS);
        // A floor of 0.0333 is 333 buckets, whatever its last bit says.
        let least = (floor * all + 1e-6).floor().max(1.0);
        let open = all - least * self.chances_to_be_best.len() as f64;
        let (mut start, mut chance, mut buckets) = (0.0, 0.0, 0.0);
        let weights = self.chances_to_be_best.iter().map(|own| {
            chance += own;
            buckets += least;
            let end = (buckets + (open * chance).round()) / all;
            let mut weight = end - start;
            // Ranges are running sums in floating point: one that ends beyond its bucket would take the next one too.
            if start + weight > end {
                weight -= f64::EPSILON;
            }
            start += weight;
            weight
        });
        weights.collect()
    }
}
