//! Which clicks a conversion belongs to, once they are known: which of them may claim it is its partner's [`Policy`], and how the credit is
//! shared among the touches of a [`journey`] is the policy's [`Model`].
//!
//! Where clicks are looked for, and in which order, stands in `engine::attribution::matching`, since most of it is a question to the database.

mod history;
mod policy;
mod share;

pub use history::{Click, History, Identify, Order, Recorded};
pub use policy::{Model, Policy, UnknownModel};
pub use share::{SHARE_DIGITS, Touched, UNITS_MAX, journey, journey_by, shares, split_minor, split_units};

use serde::{Deserialize, Serialize};

/// Version of the match order and of the rules of this module; it is kept with each attribution, so that it can be replayed.
pub const POLICY_VERSION: i32 = 2;

/// What led from a conversion to its clicks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// The signed click id that came with the conversion.
    ClickToken,
    /// The plain id of a click's row, which came in its place.
    ClickRow,
    /// The same session followed the same referral code.
    Session,
    /// The referral code's most recent click.
    RecentClick,
    /// An operator, with a reason.
    Manual,
}
