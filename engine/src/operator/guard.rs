//! Limits on guessing passwords. A try is counted in Redis before its password is looked at, so that tries that come at once count each
//! other; what turned out to be no guess is taken off again.
//!
//! While Redis is away nothing is counted: signing in matters more then, and hashing is slow enough.

use std::net::IpAddr;

use redis::AsyncCommands;
use sha2::{Digest, Sha256};

use super::password;
use crate::{Engine, ip_hash};

const WINDOW_SECONDS: i64 = 15 * 60;

/// What is counted, from the narrowest on. A try that one limit refuses does not count for the wider ones: whoever hammers one e-mail from
/// one place shuts out neither its owner elsewhere nor the others there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    EmailFromHere,
    Here,
    Email,
}

impl Limit {
    const ALL: [Self; 3] = [Self::EmailFromHere, Self::Here, Self::Email];

    /// Tries in 15 minutes.
    pub fn max(self) -> i64 {
        match self {
            // A person may mistype, a guesser gets nowhere.
            Self::EmailFromHere => 10,
            // An office shares an address; who goes through many e-mails ends here.
            Self::Here => 50,
            // It shuts the owner out, too, so that it takes 20 addresses at once to reach it.
            Self::Email => 200,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::EmailFromHere | Self::Email => "too many failed tries for this e-mail; wait 15 minutes",
            Self::Here => "too many failed tries from your network; wait 15 minutes",
        }
    }
}

/// Too many tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", limit.words())]
pub struct Refusal {
    pub limit: Limit,
    /// The first that the limit refuses within its window.
    pub is_first: bool,
}

/// A try that has been counted.
pub struct Attempt {
    /// Its counters, in the order of [`Limit::ALL`].
    keys: [String; 3],
}

/// Counts a try.
///
/// # Errors
/// Refuses it if there were too many before.
pub async fn begin(engine: &Engine, email: &str, address: IpAddr) -> Result<Attempt, Refusal> {
    // All addresses are taken for one while the database is away, without which nobody signs in.
    let place = hex::encode(ip_hash::hash(engine, address.to_canonical(), engine.now()).await.unwrap_or_default());
    let email = hex::encode(Sha256::digest(email.as_bytes()));
    let keys = Limit::ALL.map(|limit| match limit {
        Limit::EmailFromHere => format!("sign_in_tries:{email}:{place}"),
        Limit::Here => format!("sign_in_tries:from:{place}"),
        Limit::Email => format!("sign_in_tries:{email}"),
    });
    for (limit, key) in Limit::ALL.into_iter().zip(&keys) {
        let count = count(engine, key, 1).await;
        if count > limit.max() {
            return Err(Refusal { limit, is_first: count == limit.max() + 1 });
        }
    }
    Ok(Attempt { keys })
}

impl Attempt {
    /// Looks at the password, see [`password::verify`]. If it is right, earlier tries from there are forgiven; the wider limits keep those of
    /// others.
    pub async fn verify(self, engine: &Engine, password: &str, hash: Option<String>) -> crate::Result<bool> {
        let right = password::verify(password.to_owned(), hash).await;
        match right {
            Ok(true) => {
                let _: redis::RedisResult<()> = engine.redis.clone().del(&self.keys[0]).await;
                take_off(engine, &self.keys[1..]).await;
            }
            Ok(false) => {}
            // It was not looked at, and so was no guess.
            Err(_) => take_off(engine, &self.keys).await,
        }
        right
    }
}

async fn take_off(engine: &Engine, keys: &[String]) {
    for key in keys {
        count(engine, key, -1).await;
    }
}

/// Whether one more of what `name` says, within a window, is the 1st, 10th, 100th … and so worth an entry in the audit log: a flood of
/// tries makes no flood of entries.
pub async fn is_worth_noting(engine: &Engine, name: &str) -> Option<i64> {
    let key = format!("sign_in_noted:{}", hex::encode(Sha256::digest(name.as_bytes())));
    Some(count(engine, &key, 1).await).filter(|count| is_power_of_ten(*count))
}

fn is_power_of_ten(count: i64) -> bool {
    count > 0 && 10_i64.checked_pow(count.ilog10()) == Some(count)
}

/// Adds to a counter, which ends with its window; 0 while Redis is away.
async fn count(engine: &Engine, key: &str, by: i64) -> i64 {
    let counted: redis::RedisResult<(i64,)> = redis::pipe()
        .atomic()
        .incr(key, by)
        .cmd("EXPIRE")
        .arg(key)
        .arg(WINDOW_SECONDS)
        .arg("NX")
        .ignore()
        .query_async(&mut engine.redis.clone())
        .await;
    counted.map_or_else(
        |error| {
            tracing::warn!(%error, "a try to sign in was not counted");
            0
        },
        |(count,)| count,
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_and_then_every_tenfold_is_noted() {
        let noted: Vec<i64> = (-1..=1_000).filter(|count| super::is_power_of_ten(*count)).collect();
        assert_eq!(noted, [1, 10, 100, 1_000]);
    }
}
