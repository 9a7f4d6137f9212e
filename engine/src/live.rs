//! Live events: a process tells its own browsers at once, and the other processes through one Redis channel.
//!
//! Nobody waits for Redis: a task of its own sends what is published, out of a bounded queue. What may not have reached the others is
//! made up for by a [`LiveEvent::Resync`], at which browsers fetch everything anew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::live::LiveEvent;
use futures::StreamExt;
use redis::AsyncCommands;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, broadcast, broadcast::error::RecvError},
    time::timeout,
};

#[cfg(test)]
mod tests;

/// Of all processes of an installation.
const CHANNEL: &str = "live";

/// Events that a slow browser may lag behind before it is told to refetch everything.
const BACKLOG: usize = 256;
/// Events that may wait for Redis: more than the workers of a process make in a second. If there are more, the oldest are dropped.
const QUEUE: usize = 1024;
/// Between two tries to reach a Redis that is away.
const REST: Duration = Duration::from_millis(500);
/// A subscription is asked this often whether it is still there: a connection can break without telling who only listens.
const CHECK: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 10_000 });
/// For an answer of Redis, connecting included. One that is well answers within a millisecond.
const PATIENCE: Duration = Duration::from_secs(2);
/// A process that ends gives its last events this long.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct Live {
    channel: Arc<str>,
    /// Tells this process' messages from those of others.
    process: u64,
    local: broadcast::Sender<Arc<LiveEvent>>,
    queue: broadcast::Sender<Queued>,
    muted: Arc<AtomicBool>,
}

/// What the sending task finds in its queue, in order.
#[derive(Clone)]
enum Queued {
    Event(Arc<LiveEvent>),
    /// Somebody waits until all before it is sent.
    Mark(Arc<Notify>),
}

/// What goes over the channel: `{"process":7,"topic":"traffic"}`.
#[derive(Serialize, Deserialize)]
struct Message<E> {
    process: Option<u64>,
    #[serde(flatten)]
    event: E,
}

impl Live {
    /// Starts the task that sends; it ends with the last clone.
    pub fn new(redis: redis::aio::ConnectionManager) -> Self {
        Self::on(CHANNEL, redis)
    }

    fn on(channel: &str, redis: redis::aio::ConnectionManager) -> Self {
        let (queue, waiting) = broadcast::channel(QUEUE);
        let sender = Sender { redis, channel: channel.into(), process: rand::random() };
        let (channel, process) = (sender.channel.clone(), sender.process);
        tokio::spawn(sender.run(waiting));
        Self { channel, process, local: broadcast::channel(BACKLOG).0, queue, muted: Arc::default() }
    }

    /// Tells nobody anything from now on: what happens is no news, since it is repeated elsewhere.
    pub fn mute(&self) {
        self.muted.store(true, Ordering::Relaxed);
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Arc<LiveEvent>> {
        self.local.subscribe()
    }

    /// Tells all browsers of all processes, those of this one at once. Never waits and never fails.
    pub fn publish(&self, event: LiveEvent) {
        if self.muted.load(Ordering::Relaxed) {
            return;
        }
        let event = Arc::new(event);
        // Errors mean that nobody listens.
        let _ = self.local.send(event.clone());
        let _ = self.queue.send(Queued::Event(event));
    }

    /// Waits until everything published so far is sent, at most a second. To be called before the process ends.
    pub async fn flush(&self) {
        let sent = Arc::new(Notify::new());
        let _ = self.queue.send(Queued::Mark(sent.clone()));
        let _ = timeout(FLUSH_PATIENCE, sent.notified()).await;
    }

    /// Hands the other processes' messages to this one until it ends; connects again whenever the connection is lost.
    pub async fn forward(self, client: redis::Client) {
        loop {
            // However the subscription ended, the next one makes up for it.
            let _ = self.listen(&client).await;
            tokio::time::sleep(REST).await;
        }
    }

    /// Follows one subscription until it ends, breaks, or answers no more.
    async fn listen(&self, client: &redis::Client) -> Option<()> {
        let (mut sink, mut messages) = timeout(PATIENCE, client.get_async_pubsub()).await.ok()?.ok()?.split();
        timeout(PATIENCE, sink.subscribe(&*self.channel)).await.ok()?.ok()?;
        // Redis keeps nothing for those who were away.
        let _ = self.local.send(Arc::new(LiveEvent::Resync));
        let mut check = tokio::time::interval(CHECK);
        loop {
            tokio::select! {
                message = messages.next() => self.hand_over(&message?),
                _ = check.tick() => {
                    timeout(PATIENCE, sink.ping::<redis::Value>()).await.ok()?.ok()?;
                }
            }
        }
    }

    /// A message that cannot be read is of a newer version, and its topic shows on none of our pages.
    fn hand_over(&self, message: &redis::Msg) {
        let text: String = message.get_payload().unwrap_or_default();
        if let Ok(Message::<LiveEvent> { process, event }) = serde_json::from_str(&text)
            && process != Some(self.process)
        {
            let _ = self.local.send(Arc::new(event));
        }
    }
}

/// The task that tells the other processes.
struct Sender {
    redis: redis::aio::ConnectionManager,
    channel: Arc<str>,
    process: u64,
}

impl Sender {
    /// Sends what is queued, in order, until nobody can publish any more.
    async fn run(self, mut queue: broadcast::Receiver<Queued>) {
        loop {
            let mut arrived = match queue.recv().await {
                Ok(Queued::Event(event)) => self.try_send(&event).await,
                Ok(Queued::Mark(sent)) => {
                    sent.notify_one();
                    true
                }
                Err(RecvError::Lagged(_)) => self.try_send(&LiveEvent::Resync).await,
                Err(RecvError::Closed) => return,
            };
            while !arrived && !queue.is_closed() {
                tokio::time::sleep(REST).await;
                // One Resync stands for all that has waited meanwhile.
                queue = queue.resubscribe();
                arrived = self.try_send(&LiveEvent::Resync).await;
            }
        }
    }

    /// Whether Redis took it, for certain and in time.
    async fn try_send(&self, event: &LiveEvent) -> bool {
        // Plain data always has a JSON, so there is nothing to try again.
        let Ok(text) = serde_json::to_string(&Message { process: Some(self.process), event }) else { return true };
        let mut redis = self.redis.clone();
        matches!(timeout(PATIENCE, redis.publish::<_, _, ()>(&*self.channel, text)).await, Ok(Ok(())))
    }
}
