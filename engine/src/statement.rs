//! Monthly statements: issued once per partner, month and currency, then read, exported, and checked against the ledger.
//!
//! A statement takes every booking of an approved commission that was made before the end of its month and stands on no statement
//! yet. What it says is settled by [`domain::statement`]; that it never changes is kept by triggers.

mod check;
mod issue;
mod read;

pub use check::check;
pub(crate) use check::check_in;
pub use issue::{Drafted, Issued, MonthIssued, issue, issue_month, preview};
pub use read::{Filter, Head, LinePage, PAGE_LENGTH, Page, SettledBy, Total, export, find, lines, list};
