//! Identifiers. All are UUIDv7 but the partner's, which is a slug.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const NANOS_PER_MILLI: u32 = 1_000_000;

/// Makes a UUIDv7 from a time and 10 random bytes ([RFC 9562](https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7)).
///
/// The 12 bits after the milliseconds are the part of the millisecond that has passed (method 3 of
/// [section 6.2](https://www.rfc-editor.org/rfc/rfc9562#name-monotonicity-and-counters)), so that ids sort by time to a quarter of a
/// microsecond: what one thread does in turn keeps its order.
pub fn uuid_v7(at: DateTime<Utc>, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    let passed = u64::from(at.timestamp_subsec_nanos() % NANOS_PER_MILLI) * 4096 / u64::from(NANOS_PER_MILLI);
    let [_, _, random @ ..] = random;
    let [.., high, low] = passed.to_be_bytes();
    let mut rest = [high, low, 0, 0, 0, 0, 0, 0, 0, 0];
    rest[2..].copy_from_slice(&random);
    uuid::Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
}

/// The time that a UUIDv7 carries, to the millisecond; `None` for any other version.
pub fn uuid_v7_time(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    (id.get_version_num() == 7).then(|| Utc.timestamp_opt(i64::try_from(seconds).ok()?, nanos).single()).flatten()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> { text.parse().map(Self) }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self { Self(id) }
        }
    )+};
}

ids! {
    /// One version of a partner's terms.
    PartnerTermsId
    PartnerSecretId
    SiteId
    /// The end user whose success is tracked.
    DeveloperId
    /// The row's id of a click; what travels in links is the signed [`ClickToken`](crate::click::ClickToken) around it.
    ClickId
    /// One browser's visits, in a first-party cookie.
    SessionId
    RecommendationId
    ConversionId
    ReversalId
    SuccessEventId
    CommissionId
    LedgerTransactionId
    WebhookDeliveryId
    OperatorId
    ApiTokenId
    AuditEntryId
    /// A partner's month in one currency, issued once.
    StatementId
    PayoutId
    CaseStudyId
    ExperimentId
    ImportId
}

/// A partner's slug: 2 to 40 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
#[serde(try_from = "String", into = "String")]
pub struct PartnerId(String);

/// Why a text is no partner slug.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partner id `{0}` must be 2 to 40 characters of a-z, 0-9 and -")]
pub struct InvalidPartnerId(pub String);

impl PartnerId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PartnerId {
    type Err = InvalidPartnerId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (2..=40).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPartnerId(text.to_owned()))
        }
    }
}

impl TryFrom<String> for PartnerId {
    type Error = InvalidPartnerId;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PartnerId> for String {
    fn from(id: PartnerId) -> Self {
        id.0
    }
}

impl fmt::Display for PartnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_v7s_sort_by_time_within_a_millisecond() {
        let start = Utc.timestamp_millis_opt(1_795_384_800_123).unwrap();
        let at = |nanos| start + chrono::TimeDelta::nanoseconds(nanos);
        // The later, the lower are the random bytes.
        let ids = [(0, 255), (245, 254), (1_000, 200), (500_000, 100), (999_000, 1), (999_999, 0)]
            .map(|(nanos, random)| uuid_v7(at(nanos), [random; 10]));
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        assert!(ids.iter().all(|id| uuid_v7_time(*id) == Some(start) && id.get_variant() == uuid::Variant::RFC4122));
        assert_ne!(uuid_v7(start, [1; 10]), uuid_v7(start, [2; 10]));
    }

    #[test]
    fn a_uuid_v7_carries_its_time_to_the_millisecond() {
        let at = Utc.timestamp_millis_opt(1_795_384_800_123).unwrap();
        assert_eq!(uuid_v7_time(uuid_v7(at, [7; 10])), Some(at));
        assert_eq!(uuid_v7_time(Uuid::nil()), None);
    }

    #[test]
    fn a_partner_id_is_a_slug_without_underscore() {
        assert!("supabase".parse::<PartnerId>().is_ok());
        for wrong in ["", "a", "with_underscore", "Upper", "ünï", &"a".repeat(41)] {
            assert_eq!(wrong.parse::<PartnerId>(), Err(InvalidPartnerId(wrong.to_owned())));
        }
    }
}
