//! Referral codes: `p4s_{user}_{partner}_{site}[_{meta}]`.
//!
//! The hashes are salted with a secret of the installation, so that a code names nobody.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{PartnerId, SiteId};

const PREFIX: &str = "p4s";

/// A valid referral code, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReferralCode {
    /// First 8 hex digits of SHA-256(user id ‖ salt).
    pub user: String,
    pub partner_id: PartnerId,
    /// First 6 hex digits of SHA-256(site id ‖ salt).
    pub site: String,
    /// First 6 hex digits of SHA-256(canonical JSON of the metadata ‖ salt).
    pub meta: Option<String>,
}

/// Which part of a referral code is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReferralCode {
    #[error("referral code has {0} parts, expected p4s_user_partner_site or p4s_user_partner_site_meta")]
    Parts(usize),
    #[error("prefix `{0}` is not p4s")]
    Prefix(String),
    #[error("user part `{0}` is not 8 hex digits")]
    User(String),
    #[error("partner part: {0}")]
    Partner(#[from] crate::id::InvalidPartnerId),
    #[error("site part `{0}` is not 6 hex digits")]
    Site(String),
    #[error("meta part `{0}` is not 6 hex digits")]
    Meta(String),
}

impl ReferralCode {
    /// Makes the code of a developer's site for a partner. Equal arguments give an equal code.
    pub fn generate(user_ref: &str, partner_id: &PartnerId, site_id: SiteId, metadata: Option<&serde_json::Value>, salt: &[u8]) -> Self {
        Self {
            user: user_hash(user_ref, salt),
            partner_id: partner_id.clone(),
            site: site_hash(site_id, salt),
            meta: metadata.map(|value| salted_hex(canonical_json(value).as_bytes(), salt, 6)),
        }
    }

    /// First 8 bytes of SHA-256 of the code: stands for it in a click id.
    pub fn digest(&self) -> [u8; 8] {
        code_digest(&self.to_string())
    }
}

/// See [`ReferralCode::digest`].
pub fn code_digest(code: &str) -> [u8; 8] {
    let mut digest = [0; 8];
    digest.copy_from_slice(&Sha256::digest(code.as_bytes())[..8]);
    digest
}

pub fn user_hash(user_ref: &str, salt: &[u8]) -> String {
    salted_hex(user_ref.as_bytes(), salt, 8)
}

pub fn site_hash(site_id: SiteId, salt: &[u8]) -> String {
    salted_hex(site_id.to_string().as_bytes(), salt, 6)
}

fn salted_hex(value: &[u8], salt: &[u8], digits: usize) -> String {
    let digest = Sha256::new().chain_update(value).chain_update(salt).finalize();
    let mut text = hex::encode(digest);
    text.truncate(digits);
    text
}

/// JSON with sorted keys and without spaces, so that equal metadata gives equal text. (serde_json keeps objects sorted.)
fn canonical_json(value: &serde_json::Value) -> String {
    value.to_string()
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

impl FromStr for ReferralCode {
    type Err = InvalidReferralCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('_').collect();
        let (prefix, user, partner, site, meta) = match parts[..] {
            [prefix, user, partner, site] => (prefix, user, partner, site, None),
            [prefix, user, partner, site, meta] => (prefix, user, partner, site, Some(meta)),
            _ => return Err(InvalidReferralCode::Parts(parts.len())),
        };
        if prefix != PREFIX {
            return Err(InvalidReferralCode::Prefix(prefix.to_owned()));
        }
        if !is_hex(user, 8) {
            return Err(InvalidReferralCode::User(user.to_owned()));
        }
        if !is_hex(site, 6) {
            return Err(InvalidReferralCode::Site(site.to_owned()));
        }
        if let Some(meta) = meta.filter(|meta| !is_hex(meta, 6)) {
            return Err(InvalidReferralCode::Meta(meta.to_owned()));
        }
        Ok(Self { user: user.to_owned(), partner_id: partner.parse()?, site: site.to_owned(), meta: meta.map(str::to_owned) })
    }
}

impl fmt::Display for ReferralCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}_{}_{}_{}", self.user, self.partner_id, self.site)?;
        self.meta.as_ref().map_or(Ok(()), |meta| write!(f, "_{meta}"))
    }
}

impl TryFrom<String> for ReferralCode {
    type Error = InvalidReferralCode;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ReferralCode> for String {
    fn from(code: ReferralCode) -> Self {
        code.to_string()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    proptest! {
        #[test]
        fn parsing_a_generated_code_gives_it_back(user in ".*", partner in "[a-z0-9-]{2,40}", site: u128, meta in proptest::option::of(".*"), salt: [u8; 16]) {
            let metadata = meta.map(serde_json::Value::String);
            let code = ReferralCode::generate(&user, &partner.parse().unwrap(), SiteId(Uuid::from_u128(site)), metadata.as_ref(), &salt);
            prop_assert_eq!(code.to_string().parse(), Ok(code));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<ReferralCode>();
        }
    }

    #[test]
    fn each_wrong_part_is_named() {
        let parse = |text: &str| text.parse::<ReferralCode>();
        assert_eq!(parse("p4s_0123abcd_supabase"), Err(InvalidReferralCode::Parts(3)));
        assert_eq!(parse("abc_0123abcd_supabase_012345"), Err(InvalidReferralCode::Prefix("abc".into())));
        assert_eq!(parse("p4s_0123ABCD_supabase_012345"), Err(InvalidReferralCode::User("0123ABCD".into())));
        assert!(matches!(parse("p4s_0123abcd_Supa_012345"), Err(InvalidReferralCode::Partner(_))));
        assert_eq!(parse("p4s_0123abcd_supabase_01234"), Err(InvalidReferralCode::Site("01234".into())));
        assert_eq!(parse("p4s_0123abcd_supabase_012345_xyz"), Err(InvalidReferralCode::Meta("xyz".into())));
    }

    /// The parts by Python: `hashlib.sha256(value.encode() + b"pepper").hexdigest()`, cut to 8 and 6 digits.
    #[test]
    fn a_code_has_the_first_digits_of_sha_256_of_the_value_and_then_the_salt() {
        let site_id: SiteId = "0192b7a0-1234-7abc-8def-0123456789ab".parse().unwrap();
        assert_eq!([user_hash("developer-42", b"pepper"), user_hash("Zoë", b"pepper")], ["b360a8cf", "4c929653"]);
        assert_eq!(site_hash(site_id, b"pepper"), "87506a");
        let metadata = serde_json::json!({ "b": 2, "a": 1 });
        let code = ReferralCode::generate("developer-42", &"supabase".parse().unwrap(), site_id, Some(&metadata), b"pepper");
        assert_eq!(code.to_string(), "p4s_b360a8cf_supabase_87506a_d0df25");
    }

    #[test]
    fn metadata_with_another_key_order_gives_the_same_code() {
        let code = |text: &str| {
            let metadata: serde_json::Value = serde_json::from_str(text).unwrap();
            ReferralCode::generate("u", &"railway".parse().unwrap(), SiteId(Uuid::nil()), Some(&metadata), b"salt")
        };
        assert_eq!(code(r#"{"a":1,"b":2}"#), code(r#"{ "b": 2, "a": 1 }"#));
    }
}
