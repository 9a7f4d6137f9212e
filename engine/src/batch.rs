//! Group commit: many callers, few commits.
//!
//! Callers hand in an item and wait; one writer takes whatever is there, and what other tasks that are ready to run hand in
//! meanwhile. Nothing waits for a batch to fill: what comes while one is written is the next. A second writer would only
//! make batches shorter, and each costs the same few wake-ups (measured: `docs/BENCHMARKS.md`).

use std::{future::Future, panic::AssertUnwindSafe};

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};

/// More than this many callers waiting means that the disk does not keep up; further ones wait for room.
const QUEUE_LENGTH: usize = 16_384;

/// Bounds one statement's size and the time that a lost connection can cost.
const BATCH_LENGTH: usize = 1_000;

/// Bounds the rounds of [`gather`]: each is some microseconds, unless there is much to do.
const GATHER_ROUNDS: usize = 64;

type Queued<Item, Answer> = (Item, oneshot::Sender<Answer>);

pub struct Batcher<Item, Answer> {
    queue: mpsc::Sender<Queued<Item, Answer>>,
}

impl<Item, Answer> Clone for Batcher<Item, Answer> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<Item: Send + 'static, Answer: Copy + Send + 'static> Batcher<Item, Answer> {
    /// Starts the writer. `write` gets a batch, and its answer goes to every caller in it. The writer ends, after the last
    /// batch, when all clones of the batcher are gone.
    pub fn start<Write, Written>(write: Write) -> Self
    where
        Write: Fn(Vec<Item>) -> Written + Send + Sync + 'static,
        Written: Future<Output = Answer> + Send,
    {
        let (queue, mut receiver) = mpsc::channel::<Queued<Item, Answer>>(QUEUE_LENGTH);
        tokio::spawn(async move {
            loop {
                let (items, waiting) = gather(&mut receiver).await;
                if items.is_empty() {
                    return;
                }
                // A batch that panics is lost, and its callers are told so; those after it are not.
                let Ok(answer) = AssertUnwindSafe(write(items)).catch_unwind().await else { continue };
                for caller in waiting {
                    // a caller that has gone away needs no answer
                    let _ = caller.send(answer);
                }
            }
        });
        Self { queue }
    }

    /// Waits until the item's batch was written. `None` if writing it panicked.
    pub async fn write(&self, item: Item) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        self.queue.send((item, answer)).await.ok()?;
        answered.await.ok()
    }
}

/// Waits for the first items, then lets other tasks run for as long as they bring more. Without that, the first request of a
/// burst would be a batch of its own, and the burst would wait for its commit. Empty once the queue is closed.
async fn gather<Item, Answer>(queue: &mut mpsc::Receiver<Queued<Item, Answer>>) -> (Vec<Item>, Vec<oneshot::Sender<Answer>>) {
    let (mut items, mut waiting) = (Vec::new(), Vec::new());
    let Some((item, caller)) = queue.recv().await else { return (items, waiting) };
    items.push(item);
    waiting.push(caller);
    for round in 0..=GATHER_ROUNDS {
        let before = items.len();
        while items.len() < BATCH_LENGTH
            && let Ok((item, caller)) = queue.try_recv()
        {
            items.push(item);
            waiting.push(caller);
        }
        if items.len() == BATCH_LENGTH || (round > 0 && items.len() == before) {
            break;
        }
        tokio::task::yield_now().await;
    }
    (items, waiting)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_is_one_batch_and_each_caller_gets_its_answer() {
        let batcher = Batcher::start(|items: Vec<u32>| async move { items.len() });
        let burst = futures::future::join_all((0..100).map(|item| batcher.write(item))).await;
        assert!(burst.iter().all(|answer| *answer == Some(100)), "{burst:?}");
    }

    #[tokio::test]
    async fn one_item_does_not_wait_for_others() {
        let batcher = Batcher::start(|items: Vec<u32>| async move { items.len() });
        assert_eq!(batcher.write(1).await, Some(1));
    }

    #[tokio::test]
    async fn a_batch_that_panics_takes_no_other_with_it() {
        let batcher = Batcher::start(|items: Vec<u32>| async move { 100_u32.checked_div(items[0]).unwrap() });
        assert_eq!(batcher.write(0).await, None);
        assert_eq!(batcher.write(4).await, Some(25));
    }

    #[tokio::test]
    async fn no_batch_is_longer_than_its_bound() {
        let batcher = Batcher::start(|items: Vec<usize>| async move { items.len() });
        let answers = futures::future::join_all((0..2 * BATCH_LENGTH + 1).map(|item| batcher.write(item))).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() <= BATCH_LENGTH));
    }
}
