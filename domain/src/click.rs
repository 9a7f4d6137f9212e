//! The click id: a compact, signed, self-contained token. A conversion that carries it can be attributed even when the
//! click's own row was lost or has not arrived yet.
//!
//! Layout, before base64url without padding (61 bytes, 82 characters):
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, now 1 |
//! | 16 | the click's UUIDv7, which carries the time |
//! | 16 | session id, zero without a session |
//! | 8 | digest of the referral code |
//! | 4 | digest of the partner's slug |
//! | 16 | HMAC-SHA256 of all before, truncated |

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{ClickId, PartnerId, SessionId, id::uuid_v7_time};

const VERSION: u8 = 1;
const BODY_LENGTH: usize = 45;
const MAC_LENGTH: usize = 16;

/// How far a click's time may lie ahead of the time it is checked at: clocks of two servers differ.
const CLOCK_SKEW: Duration = Duration::minutes(5);

/// What a click id says, once its signature was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClickToken {
    pub click_id: ClickId,
    pub session_id: Option<SessionId>,
    pub code_digest: [u8; 8],
    pub partner_digest: [u8; 4],
}

/// Why a click id is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedClickToken {
    #[error("click id is malformed")]
    Malformed,
    #[error("click id is forged: its signature does not match")]
    Forged,
    #[error("click id is expired: the click at {clicked_at} is older than the {window_hours} h window")]
    Expired { clicked_at: DateTime<Utc>, window_hours: u32 },
    #[error("click id belongs to another partner than `{0}`")]
    OtherPartner(PartnerId),
    #[error("click id lies in the future: {0}")]
    Future(DateTime<Utc>),
}

impl RefusedClickToken {
    /// A stable word for tables and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Expired { .. } => "expired",
            Self::OtherPartner(_) => "other_partner",
            Self::Future(_) => "future",
        }
    }
}

pub fn partner_digest(partner_id: &PartnerId) -> [u8; 4] {
    let digest = Sha256::digest(partner_id.as_str().as_bytes());
    [digest[0], digest[1], digest[2], digest[3]]
}

impl ClickToken {
    /// Signs the token into the text that travels in links.
    pub fn sign(&self, key: &[u8; 32]) -> String {
        let mut bytes = [0_u8; BODY_LENGTH + MAC_LENGTH];
        bytes[0] = VERSION;
        bytes[1..17].copy_from_slice(self.click_id.0.as_bytes());
        bytes[17..33].copy_from_slice(self.session_id.map_or(Uuid::nil(), |id| id.0).as_bytes());
        bytes[33..41].copy_from_slice(&self.code_digest);
        bytes[41..BODY_LENGTH].copy_from_slice(&self.partner_digest);
        let mac = mac(key, &bytes[..BODY_LENGTH]);
        bytes[BODY_LENGTH..].copy_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Checks the signature and reads the token.
    ///
    /// # Errors
    /// [`RefusedClickToken::Malformed`] or [`RefusedClickToken::Forged`].
    pub fn verify(text: &str, key: &[u8; 32]) -> Result<Self, RefusedClickToken> {
        let mut bytes = [0_u8; BODY_LENGTH + MAC_LENGTH];
        // decode_slice wants room for a whole last quantum; 82 characters make exactly 61 bytes
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(length) if length == bytes.len() && bytes[0] == VERSION => {}
            _ => return Err(RefusedClickToken::Malformed),
        }
        if !bool::from(mac(key, &bytes[..BODY_LENGTH]).ct_eq(&bytes[BODY_LENGTH..])) {
            return Err(RefusedClickToken::Forged);
        }
        let uuid = |range: std::ops::Range<usize>| Uuid::from_slice(&bytes[range]).map_err(|_| RefusedClickToken::Malformed);
        let click_id = ClickId(uuid(1..17)?);
        uuid_v7_time(click_id.0).ok_or(RefusedClickToken::Malformed)?;
        let session = uuid(17..33)?;
        let mut token =
            Self { click_id, session_id: (!session.is_nil()).then_some(SessionId(session)), code_digest: [0; 8], partner_digest: [0; 4] };
        token.code_digest.copy_from_slice(&bytes[33..41]);
        token.partner_digest.copy_from_slice(&bytes[41..BODY_LENGTH]);
        Ok(token)
    }

    /// When the click happened, to the millisecond.
    pub fn clicked_at(&self) -> DateTime<Utc> {
        uuid_v7_time(self.click_id.0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Checks that the token may claim a conversion of `partner_id` that happened at `converted_at`. A click exactly
    /// `window_hours` old is still good.
    ///
    /// # Errors
    /// Says which rule refuses it.
    pub fn check(&self, partner_id: &PartnerId, converted_at: DateTime<Utc>, window_hours: u32) -> Result<(), RefusedClickToken> {
        let clicked_at = self.clicked_at();
        if self.partner_digest != partner_digest(partner_id) {
            Err(RefusedClickToken::OtherPartner(partner_id.clone()))
        } else if clicked_at > converted_at + CLOCK_SKEW {
            Err(RefusedClickToken::Future(clicked_at))
        } else if converted_at - clicked_at > Duration::hours(i64::from(window_hours)) {
            Err(RefusedClickToken::Expired { clicked_at, window_hours })
        } else {
            Ok(())
        }
    }
}

fn mac(key: &[u8; 32], body: &[u8]) -> [u8; MAC_LENGTH] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(body);
    let mut truncated = [0; MAC_LENGTH];
    truncated.copy_from_slice(&mac.finalize().into_bytes()[..MAC_LENGTH]);
    truncated
}

/// What kind of program followed a link, from its user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentClass {
    Desktop,
    Mobile,
    Bot,
    /// A browser that loads a page ahead of its visitor.
    Prefetch,
    /// A server-side caller of the API.
    Server,
    Unknown,
}

impl AgentClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Bot => "bot",
            Self::Prefetch => "prefetch",
            Self::Server => "server",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for AgentClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The short name of a referral code: 8 of the letters and digits that people do not mix up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alias(String);

const ALIAS_LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567890";

impl Alias {
    /// Makes an alias from 5 random bytes (40 bits).
    pub fn from_random(random: [u8; 5]) -> Self {
        let bits = random.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        Self((0..8).map(|index| char::from(ALIAS_LETTERS[((bits >> (35 - 5 * index)) & 31) as usize])).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Alias {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        (text.len() == 8 && text.bytes().all(|byte| ALIAS_LETTERS.contains(&byte))).then(|| Self(text.to_owned())).ok_or(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::id::uuid_v7;
    use chrono::TimeZone;
    use proptest::prelude::*;

    const KEY: [u8; 32] = [3; 32];

    fn noon() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
    }

    fn token() -> ClickToken {
        ClickToken {
            click_id: ClickId(uuid_v7(noon(), [5; 10])),
            session_id: Some(SessionId(Uuid::from_u128(9))),
            code_digest: [1; 8],
            partner_digest: partner_digest(&"railway".parse().unwrap()),
        }
    }

    #[test]
    fn a_signed_token_reads_back_with_its_time() {
        let text = token().sign(&KEY);
        assert_eq!(text.len(), 82);
        let read = ClickToken::verify(&text, &KEY).unwrap();
        assert_eq!((read, read.clicked_at()), (token(), noon()));
    }

    #[test]
    fn a_token_without_session_has_none() {
        let token = ClickToken { session_id: None, ..token() };
        assert_eq!(ClickToken::verify(&token.sign(&KEY), &KEY), Ok(token));
    }

    #[test]
    fn another_key_or_one_changed_bit_is_forged() {
        assert_eq!(ClickToken::verify(&token().sign(&KEY), &[4; 32]), Err(RefusedClickToken::Forged));
        let mut bytes = URL_SAFE_NO_PAD.decode(token().sign(&KEY)).unwrap();
        bytes[20] ^= 1;
        assert_eq!(ClickToken::verify(&URL_SAFE_NO_PAD.encode(bytes), &KEY), Err(RefusedClickToken::Forged));
    }

    #[test]
    fn truncated_or_lengthened_tokens_are_malformed() {
        let text = token().sign(&KEY);
        for wrong in [&text[..81], &text[..40], "", "not base64!", &format!("{text}AAAA")] {
            assert_eq!(ClickToken::verify(wrong, &KEY), Err(RefusedClickToken::Malformed), "{wrong}");
        }
    }

    #[test]
    fn the_window_ends_inclusive_and_each_refusal_has_its_reason() {
        let railway = "railway".parse().unwrap();
        let check = |at, hours| token().check(&railway, at, hours);
        assert_eq!(check(noon() + Duration::hours(24), 24), Ok(()));
        assert!(matches!(check(noon() + Duration::hours(24) + Duration::seconds(1), 24), Err(RefusedClickToken::Expired { .. })));
        assert!(matches!(check(noon() - Duration::minutes(6), 24), Err(RefusedClickToken::Future(_))));
        assert_eq!(check(noon() - Duration::minutes(4), 24), Ok(()));
        assert!(matches!(token().check(&"figma".parse().unwrap(), noon(), 24), Err(RefusedClickToken::OtherPartner(_))));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".*") {
            prop_assert!(ClickToken::verify(&text, &KEY).is_err());
        }

        #[test]
        fn aliases_are_readable_back(random: [u8; 5]) {
            let alias = Alias::from_random(random);
            prop_assert_eq!(alias.as_str().parse(), Ok(alias));
        }
    }
}
