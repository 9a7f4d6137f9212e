//! CUPED: what the units did before their exposure explains a part of what they do after it, and that part is taken off (Deng et al. 2013).

use serde::{Deserialize, Serialize};

use super::arm::{ArmStatistics, InvalidStatistics, MetricKind, Moments};

/// With fewer units of all arms together the slope is too uncertain to use.
pub const UNITS_MIN: f64 = 200.0;

/// What the adjustment did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VarianceReduction {
    /// What one more of the covariate means for the metric.
    pub theta: f64,
    /// 0 to 1: the part of the variance that is gone; the test is as good as one with 1 / (1 - part) times the units.
    pub reduction: f64,
}

/// The arms' moments without what their history explains; the same slope for all arms, from the deviations within them, so that an effect of
/// the variants does not enter it. Nothing if the covariate does not vary, an arm has none, or there are too few units.
///
/// # Errors
/// [`InvalidStatistics`] if an arm's sums are impossible.
pub fn adjusted(arms: &[ArmStatistics], kind: MetricKind) -> Result<Option<(Vec<Moments>, VarianceReduction)>, InvalidStatistics> {
    let mut sides = Vec::new();
    for arm in arms {
        let Some(covariate) = arm.covariate_moments()? else { return Ok(None) };
        sides.push((arm.moments(kind)?, covariate));
    }
    let pooled = |of: &dyn Fn(&(Moments, super::arm::CovariateMoments)) -> f64| -> f64 {
        sides.iter().map(|side| (side.0.units - 1.0) * of(side)).sum()
    };
    let units: f64 = sides.iter().map(|(moments, _)| moments.units).sum();
    let (spread, products) = (pooled(&|(_, x)| x.variance), pooled(&|(_, x)| x.covariance));
    let before = pooled(&|(moments, _)| moments.variance);
    if units < UNITS_MIN || spread <= 0.0 || before <= 0.0 {
        return Ok(None);
    }
    let theta = products / spread;
    let centre = sides.iter().map(|(moments, x)| moments.units * x.mean).sum::<f64>() / units;
    let adjust = |(moments, x): &(Moments, super::arm::CovariateMoments)| Moments {
        mean: moments.mean - theta * (x.mean - centre),
        variance: (moments.variance + theta * theta * x.variance - 2.0 * theta * x.covariance).max(0.0),
        ..*moments
    };
    let reduction = (products * products / spread / before).clamp(0.0, 1.0);
    Ok(Some((sides.iter().map(adjust).collect(), VarianceReduction { theta, reduction })))
}
