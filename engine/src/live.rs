//! Live events: one Redis channel across all instances, one broadcast inside the process.

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
use tokio::sync::broadcast;

const CHANNEL: &str = "live";

/// Events that a slow browser may lag behind before it is told to refetch everything.
const BACKLOG: usize = 256;

#[derive(Clone)]
pub struct Live {
    local: broadcast::Sender<Arc<LiveEvent>>,
    redis: redis::aio::ConnectionManager,
    muted: Arc<AtomicBool>,
}

impl Live {
    pub fn new(redis: redis::aio::ConnectionManager) -> Self {
        Self { local: broadcast::channel(BACKLOG).0, redis, muted: Arc::default() }
    }

    /// Tells nobody anything from now on: what happens is no news, since it is repeated elsewhere.
    pub fn mute(&self) {
        self.muted.store(true, Ordering::Relaxed);
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Arc<LiveEvent>> {
        self.local.subscribe()
    }

    /// Tells all instances; while Redis is away, at least this one. Never fails: browsers catch up when they refetch.
    pub async fn publish(&self, event: LiveEvent) {
        if self.muted.load(Ordering::Relaxed) {
            return;
        }
        let Ok(text) = serde_json::to_string(&event) else { return };
        let sent = tokio::time::timeout(Duration::from_millis(200), self.redis.clone().publish::<_, _, i64>(CHANNEL, text)).await;
        // Nobody received it: our own subscription is away, so the browsers of this process get it directly.
        if !matches!(sent, Ok(Ok(receivers)) if receivers > 0) {
            let _ = self.local.send(Arc::new(event));
        }
    }

    /// Hands Redis' messages to this process until it ends; connects again whenever the connection is lost.
    pub async fn forward(self, client: redis::Client) {
        loop {
            if let Ok(mut subscription) = client.get_async_pubsub().await
                && subscription.subscribe(CHANNEL).await.is_ok()
            {
                let mut messages = subscription.on_message();
                while let Some(message) = messages.next().await {
                    let text: String = message.get_payload().unwrap_or_default();
                    if let Ok(event) = serde_json::from_str(&text) {
                        let _ = self.local.send(Arc::new(event));
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
