//! How many uploads are analysed at once. Each takes a core for some seconds and memory of some times its size, and must not take all.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Error, Result};

/// Uploads of which some are analysed and the others wait, with their bytes in memory.
pub struct Queue {
    running: Semaphore,
    admitted: Semaphore,
}

/// A place among those that run; it is free again when this is dropped.
pub struct Turn {
    _running: SemaphorePermit<'static>,
    _admitted: SemaphorePermit<'static>,
}

impl Queue {
    pub const fn new(running: usize, waiting: usize) -> Self {
        Self { running: Semaphore::const_new(running), admitted: Semaphore::const_new(running + waiting) }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Error::Unavailable`] at once if too many wait already.
    pub async fn enter(&'static self) -> Result<Turn> {
        let busy = |_| Error::Unavailable("many projects are being analysed; try again in a minute".into());
        let admitted = self.admitted.try_acquire().map_err(busy)?;
        let running = self.running.acquire().await.map_err(Error::internal)?;
        Ok(Turn { _running: running, _admitted: admitted })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    static QUEUE: Queue = Queue::new(1, 1);

    #[tokio::test]
    async fn one_runs_one_waits_and_the_third_is_told_to_come_back() {
        let mut context = Context::from_waker(Waker::noop());
        let first = QUEUE.enter().await.unwrap();
        let mut second = pin!(QUEUE.enter());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(matches!(QUEUE.enter().await, Err(Error::Unavailable(_))));
        drop(first);
        assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
    }
}
