//! The thread that starts the servers, starts them again when they die, and stops them. While another process keeps them it waits for
//! the end of that one, and takes over.
//!
//! It is one thread for all of this because a child is told to end when the *thread* that started it ends.

use std::{
    fs::{File, TryLockError},
    io,
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{Error, Result, START_LIMIT, child::wait_until, postgres::Postgres, redis::Redis};

const CHECK_EVERY: Duration = Duration::from_millis(200);
/// A server that cannot start, say on a full disk, is tried at most this seldom.
const RETRY_MAX: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Keeper {
    /// The thread stops the servers when this is gone.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    owns: Arc<AtomicBool>,
}

impl Keeper {
    /// Returns when both servers are ready, or at once if another process holds the lock and hence keeps them.
    pub(crate) fn start(lock: File, postgres: Postgres, redis: Redis) -> Result<Self> {
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let owns = Arc::new(AtomicBool::new(false));
        let thread = {
            let owns = owns.clone();
            thread::Builder::new().name("embedded".into()).spawn(move || keep(&lock, &postgres, &redis, &owns, ready, &stopped))
        };
        let failed = |source| Error::File { what: "cannot start the thread that keeps", path: "postgres and redis-server".into(), source };
        let keeper = Self { stop: Some(stop), thread: Some(thread.map_err(failed)?), owns };
        started.recv().unwrap_or_else(|_| Err(failed(io::Error::other("it ended early"))))?;
        Ok(keeper)
    }

    /// False while another process keeps the servers.
    pub(crate) fn owns(&self) -> bool {
        self.owns.load(Ordering::Relaxed)
    }
}

/// The thread's work until it is stopped. The lock goes last, when it ends: after the servers.
fn keep(lock: &File, postgres: &Postgres, redis: &Redis, owns: &AtomicBool, ready: mpsc::Sender<Result<()>>, stopped: &mpsc::Receiver<()>) {
    let is_stopped = || stopped.recv_timeout(CHECK_EVERY) != Err(RecvTimeoutError::Timeout);
    let mut starting = Some(ready);
    let mut answer = |result| starting.take().map(|ready| ready.send(result)).is_some();
    loop {
        match lock.try_lock() {
            Ok(()) => match start(postgres, redis) {
                Ok(mut servers) => {
                    owns.store(true, Ordering::Relaxed);
                    answer(Ok(()));
                    while !is_stopped() {
                        servers.iter_mut().for_each(Server::revive);
                    }
                    return;
                }
                Err(error) => {
                    let words = error.to_string();
                    if answer(Err(error)) {
                        return;
                    }
                    eprintln!("cannot take over Postgres and Redis: {words}");
                    let _ = lock.unlock();
                }
            },
            Err(TryLockError::WouldBlock) => drop(answer(Ok(()))),
            Err(TryLockError::Error(source)) => {
                answer(Err(Error::File { what: "cannot lock", path: "lock".into(), source }));
                return;
            }
        }
        if is_stopped() {
            return;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A running child and how to start and stop it. Dropping it stops the child.
struct Server<'a> {
    name: &'static str,
    child: Child,
    spawn: Box<dyn Fn() -> io::Result<Child> + 'a>,
    stop: fn(&mut Child),
    retry_at: Instant,
    retry_after: Duration,
}

impl Server<'_> {
    /// Starts a dead child again, each failure doubling the time to the next try.
    fn revive(&mut self) {
        let now = Instant::now();
        let Ok(Some(status)) = self.child.try_wait() else {
            // It has lived for long: the next death is a new story.
            if now > self.retry_at + 5 * RETRY_MAX {
                self.retry_after = CHECK_EVERY;
            }
            return;
        };
        if now < self.retry_at {
            return;
        }
        eprintln!("{} ended ({status}), starting it again", self.name);
        match (self.spawn)() {
            Ok(child) => self.child = child,
            Err(error) => eprintln!("cannot start {}: {error}", self.name),
        }
        self.retry_at = now + self.retry_after;
        self.retry_after = RETRY_MAX.min(2 * self.retry_after);
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        (self.stop)(&mut self.child);
    }
}

fn start<'a>(postgres: &'a Postgres, redis: &'a Redis) -> Result<[Server<'a>; 2]> {
    postgres.end_orphan();
    redis.end_orphan();
    postgres.initialise()?;
    let server = |name: &'static str, stop, spawn: Box<dyn Fn() -> io::Result<Child> + 'a>| {
        let child = spawn().map_err(|source| Error::File { what: "cannot start", path: name.into(), source })?;
        Ok(Server { name, child, spawn, stop, retry_at: Instant::now(), retry_after: CHECK_EVERY })
    };
    let mut postgres_server = server("postgres", Postgres::stop, Box::new(|| postgres.spawn()))?;
    let mut redis_server = server("redis-server", Redis::stop, Box::new(|| redis.spawn()))?;
    await_ready(&mut postgres_server, || postgres.is_ready()).then_some(()).ok_or_else(|| postgres.not_ready())?;
    await_ready(&mut redis_server, || redis.is_ready()).then_some(()).ok_or_else(|| redis.not_ready())?;
    Ok([postgres_server, redis_server])
}

/// Backends of a killed server may keep a new one from starting for a moment, so it is tried until the time is up.
fn await_ready(server: &mut Server, ready: impl Fn() -> bool) -> bool {
    wait_until(START_LIMIT, || {
        let alive = matches!(server.child.try_wait(), Ok(None));
        if !alive {
            server.revive();
        }
        alive && ready()
    })
}
