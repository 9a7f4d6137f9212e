//! Group commit: many callers, few commits; and [`Parts`], for a batch that one item spoils.
//!
//! Callers hand in an item and wait; one writer takes whatever is there and, unless that is much already, what other tasks
//! that are ready to run hand in meanwhile. Nothing waits for a batch to fill: what comes while one is written is the next.
//! A second writer would only make batches shorter, and each costs the same few wake-ups (measured: `docs/BENCHMARKS.md`).

use std::{future::Future, ops::Range, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

/// More than this many callers waiting means that the disk does not keep up; further ones are refused.
const QUEUE_LENGTH: usize = 16_384;

/// Who has waited longer than this for their batch to begin waits no more: a visitor is better off without. A bound here costs a look at
/// the clock; one around each request would cost a timer.
const QUEUE_PATIENCE: Duration = Duration::from_secs(4);

/// Bounds one statement's size and the time that a lost connection can cost.
const BATCH_LENGTH: usize = 1_000;

/// Bounds the rounds of [`gather`]: each is some microseconds, unless there is much to do.
const GATHER_ROUNDS: usize = 64;

/// Fewer items are never enough to close a batch before other tasks had their turn.
const ENOUGH_MIN: usize = 8;

struct Queued<Item, Answer> {
    item: Item,
    since: Instant,
    caller: oneshot::Sender<Answer>,
}

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
            let mut enough = ENOUGH_MIN;
            while let Some(first) = receiver.recv().await {
                let (items, waiting) = gather(first, &mut receiver, enough).await;
                enough = (items.len() / 2).max(ENOUGH_MIN);
                if items.is_empty() {
                    continue;
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

    /// Waits until the item's batch was written. `None` if writing it panicked, too many others wait, or this one did for too long.
    pub async fn write(&self, item: Item) -> Option<Answer> {
        let (caller, answered) = oneshot::channel();
        self.queue.try_send(Queued { item, since: Instant::now(), caller }).ok()?;
        answered.await.ok()
    }
}

/// Takes what is there, then lets other tasks run for as long as they bring more. Without that, the first request of a burst would be a
/// batch of its own, and the burst would wait for its commit. If there is `enough`, half of the batch before, it goes at
/// once: it is written while those tasks answer the batch before. Those that have lost their patience are let go.
async fn gather<Item, Answer>(
    first: Queued<Item, Answer>,
    queue: &mut mpsc::Receiver<Queued<Item, Answer>>,
    enough: usize,
) -> (Vec<Item>, Vec<oneshot::Sender<Answer>>) {
    let (mut items, mut waiting) = (Vec::new(), Vec::new());
    let begun_at = Instant::now();
    let mut take = |Queued { item, since, caller }, items: &mut Vec<Item>| {
        if begun_at.saturating_duration_since(since) <= QUEUE_PATIENCE {
            items.push(item);
            waiting.push(caller);
        }
    };
    take(first, &mut items);
    for round in 0..=GATHER_ROUNDS {
        let before = items.len();
        while items.len() < BATCH_LENGTH
            && let Ok(next) = queue.try_recv()
        {
            take(next, &mut items);
        }
        let is_enough = items.len() >= enough.min(BATCH_LENGTH);
        if is_enough || (round > 0 && items.len() == before) {
            break;
        }
        tokio::task::yield_now().await;
    }
    (items, waiting)
}

/// The parts of a batch that are yet to be tried: first the whole, then the halves of what failed, down to the one item to blame.
pub struct Parts(Vec<Range<usize>>);

impl Parts {
    pub fn of(length: usize) -> Self {
        Self((length > 0).then_some(0..length).into_iter().collect())
    }

    /// The part to try next.
    pub fn take(&mut self) -> Option<Range<usize>> {
        self.0.pop()
    }

    /// The index of the item in a part that failed, if it is alone in it; else both halves are tried.
    pub fn blame(&mut self, failed: Range<usize>) -> Option<usize> {
        let Range { start, end } = failed;
        if end - start == 1 {
            return Some(start);
        }
        let middle = start.midpoint(end);
        self.0.extend([middle..end, start..middle]);
        None
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::task::Poll;

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

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let batcher = Batcher::start(|items: Vec<u32>| async move { items.len() });
        let mut waiting: Vec<_> = (0..QUEUE_LENGTH).map(|_| Box::pin(batcher.write(1))).collect();
        for write in &mut waiting {
            assert!(futures::poll!(write).is_pending());
        }
        assert_eq!(futures::poll!(Box::pin(batcher.write(1))), Poll::Ready(None), "nobody waits for room");
        assert!(futures::future::join_all(waiting).await.iter().all(Option::is_some), "the others are written");
    }

    #[tokio::test]
    async fn who_has_waited_too_long_is_let_go() {
        let (queue, mut receiver) = mpsc::channel(3);
        let queued = |item: u32, waited: Duration| {
            let (caller, answer) = oneshot::channel::<()>();
            (Queued { item, since: Instant::now().checked_sub(waited).unwrap(), caller }, answer)
        };
        let (first, mut let_go) = queued(1, QUEUE_PATIENCE * 2);
        let (second, mut kept) = queued(2, QUEUE_PATIENCE / 2);
        queue.try_send(second).unwrap();
        let (items, waiting) = gather(first, &mut receiver, ENOUGH_MIN).await;
        assert_eq!((items, waiting.len()), (vec![2], 1));
        assert_eq!(let_go.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(kept.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }

    #[tokio::test]
    async fn other_tasks_have_their_turn_unless_there_is_enough() {
        let queued = |item: u32| Queued { item, since: Instant::now(), caller: oneshot::channel::<()>().0 };
        for (enough, length) in [(3, 3), (4, 6)] {
            let (queue, mut receiver) = mpsc::channel(6);
            for item in [2, 3] {
                queue.try_send(queued(item)).unwrap();
            }
            // It can only run while the batch is gathered: there is one thread.
            let others = tokio::spawn(async move { (4..=6).all(|item| queue.try_send(queued(item)).is_ok()) });
            let (items, waiting) = gather(queued(1), &mut receiver, enough).await;
            assert_eq!((items.len(), waiting.len()), (length, length), "{enough} are enough");
            assert!(others.await.unwrap());
        }
    }

    #[test]
    fn the_one_item_that_spoils_a_batch_is_found() {
        let mut parts = Parts::of(1_000);
        let (mut done, mut blamed, mut tries) = (0, Vec::new(), 0);
        while let Some(part) = parts.take() {
            tries += 1;
            if part.contains(&3) || part.contains(&777) {
                blamed.extend(parts.blame(part));
            } else {
                done += part.len();
            }
        }
        assert_eq!((done, blamed.as_slice()), (998, [3, 777].as_slice()));
        assert!(tries < 50, "{tries}");
        assert_eq!(Parts::of(0).take(), None);
    }
}
