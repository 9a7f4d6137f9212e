//! Experiments (A/B tests): what is tried on whom, who gets which variant and why, and what the numbers say.

mod assign;
mod bucket;
mod design;
mod hash;
mod life;
mod moved;
mod results;
mod rule;
pub mod statistics;
mod traffic;

pub use assign::*;
pub use bucket::*;
pub use design::*;
pub use hash::*;
pub use life::*;
pub use moved::*;
pub use results::*;
pub use rule::*;
pub use traffic::*;
