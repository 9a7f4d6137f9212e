//! The numbers against other packages, the error rates they promise, and the laws they obey.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod calibration;
mod laws;
mod reference;
mod verdicts;
