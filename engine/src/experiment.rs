//! Experiments (A/B tests): their life, who is shown what, and what comes of it.
//!
//! Assignment is a pure function of the unit and the running tests ([`domain::experiment::assign`]); nothing is stored for it. What a
//! recommendation shows of a test is logged with it; a unit is *exposed* when it really sees that; clicks, conversions and successes are
//! credited to the exposure and summed up by day, so that results are read from sums however many units there are.

pub mod bandit;
pub mod credit;
mod exposure;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod fixture;
mod holdout;
mod life;
mod results;
mod running;
mod store;
pub(crate) mod sums;
mod traffic;
mod why;

pub use exposure::Shown;
pub(crate) use exposure::{NewExposure, expose, insert as insert_exposures};
pub use holdout::{holdout, set_holdout};
pub use life::{Edited, create, edit, edit_as_seen, preview_edit, ship, step, version};
pub use results::results;
pub use running::{Default, Experiments, Running, RunningTest, current, reload};
pub(crate) use store::load;
pub use store::{Filter, find, list};
pub use traffic::traffic;
pub use why::why;

use domain::auth::Principal;

use crate::{
    Result,
    access::{self, require_scope},
};

/// Lets those pass who may see tests: people of ours, and machines with the scope.
fn require_read(who: &Principal) -> Result<()> {
    if who.has_scope("experiments:read") || who.has_scope("experiments:write") { Ok(()) } else { access::require_read(who, "see tests") }
}

fn require_write(who: &Principal) -> Result<()> {
    require_scope(who, "experiments:write", "change tests")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod life_tests;
