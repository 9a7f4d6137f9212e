//! Group commit: many callers, few commits.
//!
//! Callers hand in an item and wait; two writers take turns at whatever is there, so that one collects while the other
//! commits. Nothing waits for a batch to fill.

use std::{future::Future, sync::Arc};

use tokio::sync::{Mutex, mpsc, oneshot};

/// Two writers beat one and four (measured: `docs/BENCHMARKS.md`).
const WRITERS: usize = 2;

/// More than this many callers waiting means that the disk does not keep up; further ones wait for room.
const QUEUE_LENGTH: usize = 16_384;

/// Bounds one statement's size and the time that a lost connection can cost.
const BATCH_LENGTH: usize = 1_000;

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
    /// Starts the writers. `write` gets the writer's number and a batch, and its answer goes to every caller in it. They
    /// end, after the last batch, when all clones of the batcher are gone.
    pub fn start<Write, Written>(write: Write) -> Self
    where
        Write: Fn(usize, Vec<Item>) -> Written + Clone + Send + Sync + 'static,
        Written: Future<Output = Answer> + Send,
    {
        let (queue, receiver) = mpsc::channel::<Queued<Item, Answer>>(QUEUE_LENGTH);
        let receiver = Arc::new(Mutex::new(receiver));
        for writer in 0..WRITERS {
            let (receiver, write) = (receiver.clone(), write.clone());
            tokio::spawn(async move {
                loop {
                    let mut batch = Vec::new();
                    if receiver.lock().await.recv_many(&mut batch, BATCH_LENGTH).await == 0 {
                        return;
                    }
                    let (items, waiting): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
                    let answer = write(writer, items).await;
                    for caller in waiting {
                        // a caller that has gone away needs no answer
                        let _ = caller.send(answer);
                    }
                }
            });
        }
        Self { queue }
    }

    /// Waits until the item's batch was written. `None` if the writers are gone.
    pub async fn write(&self, item: Item) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        self.queue.send((item, answer)).await.ok()?;
        answered.await.ok()
    }
}
