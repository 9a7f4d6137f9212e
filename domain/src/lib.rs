//! What is true: the pure rules and the vocabulary of the product.
//!
//! Everything here is computed from its arguments alone. Clocks, randomness, SQL, HTTP and HTML are absent; times and
//! random bytes come in as arguments. The browser runs this crate as well as the server.

pub mod analysis;
pub mod attribution;
pub mod auth;
pub mod case_study;
pub mod click;
pub mod commission;
pub mod conversion;
pub mod dashboard;
pub mod exchange;
pub mod experiment;
pub mod export;
pub mod id;
pub mod import;
pub mod ledger;
pub mod live;
pub mod money;
pub mod multitouch;
pub mod partner;
pub mod problem;
pub mod recommendation;
pub mod referral_code;
pub mod signature;
pub mod site;
pub mod statement;
pub mod success;
pub mod webhook;

pub use id::*;
pub use money::{Currency, Money};
pub use problem::Problem;
