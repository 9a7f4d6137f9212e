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

/// The time that [`at`] gave the work of this task, to the microsecond. Tasks that it spawns do not have it.
pub(crate) fn simulated() -> Option<DateTime<Utc>> {
    SIMULATED.try_with(|at| at.trunc_subsecs(6)).ok()
}

/// The system's time plus an offset that tests can set.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_micros: Arc<AtomicI64>,
}

impl Clock {
    /// Now, to the microsecond that Postgres keeps.
    pub fn now(&self) -> DateTime<Utc> {
        let system = || (Utc::now() + Duration::microseconds(self.offset_micros.load(Ordering::Relaxed))).trunc_subsecs(6);
        simulated().unwrap_or_else(system)
    }

    /// Moves the clock forward (or back, if negative), for all clones of it.
    pub fn advance(&self, by: Duration) {
        self.offset_micros.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::Relaxed);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::{Engine, testing};

    fn some_day() -> DateTime<Utc> {
        "2026-12-01T01:00:00.123456789Z".parse().unwrap()
    }

    /// An engine whose database is never asked.
    fn engine() -> Engine {
        testing::engine(sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1/nothing").unwrap())
    }

    #[tokio::test]
    async fn an_engine_that_keeps_the_time_of_its_task_has_it_in_other_tasks_too() {
        let engine = engine();
        let spawned = at(some_day(), async {
            let keeps = engine.with_time_of_task();
            tokio::spawn(async move { keeps.now() }).await.unwrap()
        });
        assert_eq!(spawned.await, some_day().trunc_subsecs(6));
    }

    #[tokio::test]
    async fn without_a_simulated_time_it_goes_by_the_clock() {
        let engine = engine();
        let keeps = engine.with_time_of_task();
        engine.clock.advance(Duration::days(400));
        let (before, now) = (engine.now(), keeps.now());
        assert!(before <= now && now - before < Duration::days(1) && now > Utc::now() + Duration::days(399));
    }

    #[tokio::test]
    async fn a_kept_time_goes_before_that_of_the_task_and_does_not_reach_the_engine_it_came_from() {
        let engine = engine();
        let keeps = at(some_day(), async { engine.with_time_of_task() }).await;
        let later = some_day() + Duration::days(1);
        assert_eq!(at(later, async { keeps.now() }).await, some_day().trunc_subsecs(6));
        assert_eq!(at(later, async { engine.now() }).await, later.trunc_subsecs(6));
    }
}
