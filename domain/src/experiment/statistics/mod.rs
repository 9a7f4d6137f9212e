//! What the numbers of a test say: pure functions of sums over its units, right for somebody who looks once and for somebody who looks always.
//!
//! [`analyse`] gives all of it; the other functions are its parts, and what plans a test ([`sample_size`]) or moves its weights
//! ([`bandit_weights`]). A unit is whatever was assigned; higher is better for every metric.
//!
//! Two things are deliberately absent: tests on the scale of the lift by the delta method, which call false losers far more often than false
//! winners, and verdicts from repeated looks at a p-value that allows one.

mod analysis;
mod arm;
mod bandit;
mod bayes;
mod correction;
mod cuped;
mod difference;
mod exact;
mod guardrail;
mod power;
mod quadrature;
mod sequential;
mod special;
mod srm;
mod verdict;

pub use analysis::*;
pub use arm::{ArmStatistics, CovariateSums, InvalidStatistics, MetricKind, Moments};
pub use bandit::{BanditWeights, bandit_weights};
pub use bayes::{Beliefs, LiftPrior, of_normal};
pub use correction::{Correction, adjusted};
pub use cuped::VarianceReduction;
pub use difference::{AbsoluteDifference, Cells, Difference, Interval, Lift, Method, difference};
pub use guardrail::{GuardrailAnswer, GuardrailVerdict, Reading, guardrail};
pub use power::{Baseline, InvalidPlan, SampleSize, Sizing, days, detectable_lift, sample_size};
pub use sequential::{AlwaysValid, AlwaysValidMethod, CELL_MIN, always_valid, ln_e_value, ln_exact_e_value, p_of, reach, tuning};
pub use srm::{Srm, SrmRule, WeightPeriod, srm};
pub use verdict::Verdict;

#[cfg(test)]
mod tests;
