//! Loops that must not end. One that does is logged, counted, and started again after a pause that grows while it keeps ending.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A loop that ran for this long has recovered from what ended it before.
const RECOVERED: Duration = Duration::from_secs(300);

/// How often each loop was started again.
static RESTARTS: Mutex<BTreeMap<&str, u64>> = Mutex::new(BTreeMap::new());

/// Keeps a loop running for as long as the process lives.
pub fn keep_running<Loop>(name: &'static str, start: impl Fn() -> Loop + Send + 'static)
where
    Loop: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        let mut pause = PAUSE_MIN;
        loop {
            let began_at = Instant::now();
            // In a task of its own, where a panic ends nothing else.
            match tokio::spawn(start()).await {
                Err(error) if error.is_cancelled() => return,
                Err(error) => tracing::error!(%error, name, "a loop panicked; it is started again"),
                Ok(()) => tracing::error!(name, "a loop ended; it is started again"),
            }
            count(name);
            if began_at.elapsed() > RECOVERED {
                pause = PAUSE_MIN;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    });
}

fn count(name: &'static str) {
    if let Ok(mut restarts) = RESTARTS.lock() {
        *restarts.entry(name).or_default() += 1;
    }
}

/// How often each loop that ended was started again, by its name.
pub fn restarts() -> BTreeMap<&'static str, u64> {
    RESTARTS.lock().map(|restarts| restarts.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_loop_that_panics_is_started_again_and_counted() {
        let (starts, again) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (count, notify) = (starts.clone(), again.clone());
        keep_running("a test's", move || {
            let (number, notify) = (count.fetch_add(1, Ordering::Relaxed), notify.clone());
            async move {
                assert!(number > 0, "the first ends at once");
                notify.notify_one();
                std::future::pending().await
            }
        });
        again.notified().await;
        assert_eq!((starts.load(Ordering::Relaxed), restarts().get("a test's")), (2, Some(&1)));
    }
}
