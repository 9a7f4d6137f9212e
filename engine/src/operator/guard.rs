//! Limits on guessing passwords. A try is counted in Redis before its password is looked at, so that tries that come at once count each
//! other; what turned out to be no guess is taken off again.
//!
//! While Redis is away nothing is counted, and so nothing noted: signing in matters more then, and hashing is slow enough.

use std::{net::IpAddr, time::Duration};

use redis::{FromRedisValue, Pipeline};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::password;
use crate::{Engine, ip_hash};

const WINDOW_SECONDS: i64 = 15 * 60;

/// 200 ms: while Redis is away, a person waits once for it and is signed in all the same.
const PATIENCE: Duration = Duration::from_millis(200);

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

/// A try that has been counted, or could not be.
pub struct Attempt {
    /// Its counters, in the order of [`Limit::ALL`]; none if Redis was away.
    keys: Option<[String; 3]>,
}

/// Counts a try.
///
/// # Errors
/// Refuses it if there were too many before.
pub async fn begin(engine: &Engine, email: &str, address: IpAddr) -> Result<Attempt, Refusal> {
    // All addresses are taken for one while the database is away, without which nobody signs in.
    let place = hex::encode(ip_hash::hash(engine, place(address), engine.now()).await.unwrap_or_default());
    let email = hex::encode(Sha256::digest(email.as_bytes()));
    let keys = Limit::ALL.map(|limit| match limit {
        Limit::EmailFromHere => format!("sign_in_tries:{email}:{place}"),
        Limit::Here => format!("sign_in_tries:from:{place}"),
        Limit::Email => format!("sign_in_tries:{email}"),
    });
    for (limit, key) in Limit::ALL.into_iter().zip(&keys) {
        let Some(count) = count(engine, key).await else { return Ok(Attempt { keys: None }) };
        if count > limit.max() {
            return Err(Refusal { limit, is_first: count == limit.max() + 1 });
        }
    }
    Ok(Attempt { keys: Some(keys) })
}

/// What counts as one place: an IPv4 address, or an IPv6 /48. A customer may have a whole /48, and with a limit for each of its 65 536
/// networks there would be none. The price: where a provider gives a /56 or a /64, 256 or 65 536 of its customers share a place's limit.
fn place(address: IpAddr) -> IpAddr {
    // Before the mask, which would make one place of all V4 addresses that a socket shows as V6 ones.
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[6..].fill(0);
            octets.into()
        }
        address => address,
    }
}

impl Attempt {
    /// Looks at the password, see [`password::verify`]. If it is right, earlier tries from there are forgiven; the wider limits keep those of
    /// others.
    pub async fn verify(self, engine: &Engine, password: &str, hash: Option<String>) -> crate::Result<bool> {
        let right = password::verify(password.to_owned(), hash).await;
        let Some([narrowest, wider @ ..]) = &self.keys else { return right };
        let mut pipe = redis::pipe();
        match right {
            Ok(true) => {
                pipe.del(narrowest);
            }
            Ok(false) => return right,
            // It was not looked at, and so was no guess.
            Err(_) => add(&mut pipe, narrowest, -1),
        }
        for key in wider {
            add(&mut pipe, key, -1);
        }
        // What cannot be taken off ends with its window.
        let _: Option<Vec<i64>> = ask(engine, &pipe).await;
        right
    }
}

/// Whether one more of what `name` says, within a window, is the 1st, 10th, 100th … and so worth an entry in the audit log: a flood of
/// tries makes no flood of entries.
pub async fn is_worth_noting(engine: &Engine, name: &str) -> Option<i64> {
    let key = format!("sign_in_noted:{}", hex::encode(Sha256::digest(name.as_bytes())));
    count(engine, &key).await.filter(|count| is_power_of_ten(*count))
}

fn is_power_of_ten(count: i64) -> bool {
    count > 0 && 10_i64.checked_pow(count.ilog10()) == Some(count)
}

/// Counts one more; `None` while Redis is away.
async fn count(engine: &Engine, key: &str) -> Option<i64> {
    let mut pipe = redis::pipe();
    add(&mut pipe, key, 1);
    ask(engine, &pipe).await.map(|(count,): (i64,)| count)
}

/// Adds to a counter, which ends with its window.
fn add(pipe: &mut Pipeline, key: &str, by: i64) {
    pipe.atomic().incr(key, by).cmd("EXPIRE").arg(key).arg(WINDOW_SECONDS).arg("NX").ignore();
}

/// What Redis answers; `None` while it is away.
async fn ask<T: FromRedisValue>(engine: &Engine, pipe: &Pipeline) -> Option<T> {
    let mut redis = engine.redis.clone();
    match timeout(PATIENCE, pipe.query_async(&mut redis)).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a try to sign in was not counted");
            None
        }
        Err(late) => {
            tracing::warn!(error = %late, "a try to sign in was not counted");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_and_then_every_tenfold_is_noted() {
        let noted: Vec<i64> = (-1..=1_000).filter(|count| super::is_power_of_ten(*count)).collect();
        assert_eq!(noted, [1, 10, 100, 1_000]);
    }
}
