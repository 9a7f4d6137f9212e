//! Hashing passwords with argon2id, a few at a time.

use std::{
    sync::{LazyLock, OnceLock},
    thread::available_parallelism,
    time::Duration,
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{Error, Result};

/// 12: NIST SP 800-63B asks for at least 8, and 15 where the password stands alone; sign-ins are limited here.
pub const PASSWORD_CHARS_MIN: usize = 12;

/// Hashing reads the whole password, so its length is bounded.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Each hash takes 19 MiB and a core for some 20 ms. Half of the cores stay free for redirects, whoever tries passwords.
static HASHING: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))));

/// 3 s: a hundred who sign in at once have their turn by then, and a flood of tries leaves no long queue behind.
const PATIENCE: Duration = Duration::from_secs(3);

/// Refuses a password that is too short or too long, for the field of a form that it was typed into.
pub fn check(field: &'static str, password: &str) -> Result<()> {
    let chars = password.chars().count();
    if chars < PASSWORD_CHARS_MIN {
        return Err(Error::invalid(field, format!("a password needs at least {PASSWORD_CHARS_MIN} characters, this has {chars}")));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Error::invalid(field, format!("a password has at most {PASSWORD_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// # Errors
/// [`Error::Unavailable`] if too many passwords are being hashed already; so does [`verify`].
pub async fn hash(password: String) -> Result<String> {
    blocking(&HASHING, PATIENCE, move || {
        Ok(Argon2::default().hash_password(password.as_bytes()).map_err(|error| Error::internal(error.to_string()))?.to_string())
    })
    .await
}

/// Whether the password is that of the hash; without a hash the same work is done for nothing.
pub async fn verify(password: String, hash: Option<String>) -> Result<bool> {
    static NOBODY: OnceLock<String> = OnceLock::new();
    if password.len() > PASSWORD_BYTES_MAX {
        return Ok(false);
    }
    blocking(&HASHING, PATIENCE, move || {
        let nobody = || NOBODY.get_or_init(|| Argon2::default().hash_password(b"nobody").map(|hash| hash.to_string()).unwrap_or_default());
        let text = hash.as_deref().unwrap_or_else(|| nobody());
        let parsed = PasswordHash::new(text).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && hash.is_some())
    })
    .await
}

/// Runs a hash where it holds up no other request. The permit goes with the work, which runs on if its caller goes away.
async fn blocking<T: Send + 'static>(
    permits: &'static Semaphore,
    patience: Duration,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let permit = timeout(patience, permits.acquire()).await;
    let permit = permit.map_err(|_| Error::Unavailable("too many passwords are being checked".into()))?.map_err(Error::internal)?;
    let work = move || {
        let done = work();
        drop(permit);
        done
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_too_long_for_a_hash_is_told_to_come_back() {
        static BUSY: Semaphore = Semaphore::const_new(1);
        let permit = BUSY.acquire().await.unwrap();
        assert!(matches!(blocking(&BUSY, Duration::ZERO, || Ok(())).await, Err(Error::Unavailable(_))));
        drop(permit);
        blocking(&BUSY, Duration::ZERO, || Ok(())).await.unwrap();
        assert_eq!(BUSY.available_permits(), 1);
    }

    /// One that closes its connection must not make room for the next while its hash still runs.
    #[tokio::test]
    async fn a_hash_whose_caller_has_gone_keeps_its_permit_until_it_is_done() {
        static ONE: Semaphore = Semaphore::const_new(1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (finish, may_finish) = std::sync::mpsc::channel::<()>();
        let caller = tokio::spawn(blocking(&ONE, PATIENCE, move || {
            let _ = started.send(());
            may_finish.recv().map_err(Error::internal)
        }));
        has_started.await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(ONE.available_permits(), 0);
        finish.send(()).unwrap();
        drop(timeout(PATIENCE, ONE.acquire()).await.unwrap().unwrap());
    }
}
