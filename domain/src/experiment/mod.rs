//! Experiments (A/B tests): what is tried on whom, who gets which variant and why, and what the numbers say.

mod design;
mod life;

pub use design::*;
pub use life::*;
