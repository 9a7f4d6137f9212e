//! The time. Tests and the simulator move it; nothing else asks the system for it.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, Duration, SubsecRound, Utc};

tokio::task_local! {
    static SIMULATED: DateTime<Utc>;
}

/// Runs `work` at a simulated time; every [`Clock::now`] inside it answers `at`.
pub async fn at<F: Future>(at: DateTime<Utc>, work: F) -> F::Output {
    SIMULATED.scope(at, work).await
}

/// The system's time plus an offset that tests can set.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_micros: Arc<AtomicI64>,
}

impl Clock {
    /// Now, to the microsecond that Postgres keeps.
    pub fn now(&self) -> DateTime<Utc> {
        let system = || Utc::now() + Duration::microseconds(self.offset_micros.load(Ordering::Relaxed));
        SIMULATED.try_with(|at| *at).unwrap_or_else(|_| system()).trunc_subsecs(6)
    }

    /// Moves the clock forward (or back, if negative), for all clones of it.
    pub fn advance(&self, by: Duration) {
        self.offset_micros.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::Relaxed);
    }
}
