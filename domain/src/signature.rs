//! Signatures of webhooks: made for the ones we send, checked on the ones we get.
//!
//! Everything works on the raw body. The time is an argument, comparisons run in constant time, and several secrets may be active
//! at once, so that a secret can be rotated without losing a delivery. HTTP types are absent: headers come in through a closure.
//!
//! To add a scheme: a variant of [`WebhookScheme`], an arm in [`verify`] and [`sign`], and published vectors in `tests/vectors/`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::partner::WebhookScheme;

/// 300 s: what Standard Webhooks and Stripe both tolerate, either way and inclusive.
pub const TOLERANCE_SECONDS: u32 = 300;

/// 16: two secrets make two signatures; more in one header is no honest sender, and the work per request stays bounded.
const SIGNATURES_MAX: usize = 16;

pub const WEBHOOK_ID: &str = "webhook-id";
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";
pub const HUB_SIGNATURE: &str = "x-hub-signature-256";
pub const STRIPE_SIGNATURE: &str = "stripe-signature";
pub const DUB_SIGNATURE: &str = "dub-signature";

/// Begins a secret whose rest is base64.
const SECRET_PREFIX: &str = "whsec_";

/// Why a webhook is not believed to come from its sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignature {
    #[error("header `{0}` is missing")]
    MissingHeader(&'static str),
    #[error("header `{header}` is malformed: expected {expected}")]
    MalformedHeader { header: &'static str, expected: &'static str },
    #[error("timestamp `{0}` is not a number of seconds since 1970")]
    MalformedTimestamp(String),
    #[error("timestamp is {age_seconds} s old, more than {tolerance_seconds} s")]
    TooOld { age_seconds: i64, tolerance_seconds: u32 },
    #[error("timestamp is {ahead_seconds} s in the future, more than {tolerance_seconds} s")]
    TooFarInFuture { ahead_seconds: i64, tolerance_seconds: u32 },
    #[error("no signature matches")]
    NoMatch,
    #[error("no secret is active")]
    NoSecret,
    #[error("the secret is empty, anybody could sign with it")]
    EmptySecret,
    #[error("the secret begins with `whsec_`, but what follows is not base64")]
    MalformedSecret,
}

/// Checks a received webhook against the active secrets, any of which may have signed it.
///
/// `header` looks a header up by its lower-case name.
///
/// # Errors
/// Says what is missing, malformed, out of time or not matching. An empty or malformed secret is an error even if another would match:
/// it must never stay unseen.
pub fn verify<'h, S: AsRef<str>>(
    scheme: WebhookScheme,
    header: impl Fn(&'static str) -> Option<&'h str>,
    body: &[u8],
    secrets: &[S],
    now: DateTime<Utc>,
) -> Result<(), InvalidSignature> {
    let required = |name: &'static str| header(name).ok_or(InvalidSignature::MissingHeader(name));
    match scheme {
        WebhookScheme::StandardWebhooks => {
            let sent = StandardHeaders {
                id: required(WEBHOOK_ID)?,
                timestamp: required(WEBHOOK_TIMESTAMP)?,
                signature: required(WEBHOOK_SIGNATURE)?,
            };
            verify_standard(sent, body, secrets, now)
        }
        WebhookScheme::HmacSha256 => verify_github(required(HUB_SIGNATURE)?, body, secrets),
        WebhookScheme::Stripe => verify_stripe(required(STRIPE_SIGNATURE)?, body, secrets, now, TOLERANCE_SECONDS),
        WebhookScheme::Dub => verify_hex(required(DUB_SIGNATURE)?, body, secrets),
    }
}

/// Signs a body as a sender would: the headers to send along, names in lower case. `id` is used by Standard Webhooks alone.
///
/// # Errors
/// [`InvalidSignature::EmptySecret`] or [`InvalidSignature::MalformedSecret`].
pub fn sign(
    scheme: WebhookScheme,
    secret: &str,
    id: &str,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<Vec<(&'static str, String)>, InvalidSignature> {
    let timestamp = now.timestamp().to_string();
    Ok(match scheme {
        WebhookScheme::StandardWebhooks => {
            let signature = sign_standard(secret, id, &timestamp, body)?;
            vec![(WEBHOOK_ID, id.to_owned()), (WEBHOOK_TIMESTAMP, timestamp), (WEBHOOK_SIGNATURE, signature)]
        }
        WebhookScheme::HmacSha256 => vec![(HUB_SIGNATURE, format!("sha256={}", hex_mac(secret, &[body])?))],
        WebhookScheme::Stripe => {
            let signature = hex_mac(secret, &[timestamp.as_bytes(), b".", body])?;
            vec![(STRIPE_SIGNATURE, format!("t={timestamp},v1={signature}"))]
        }
        WebhookScheme::Dub => vec![(DUB_SIGNATURE, hex_mac(secret, &[body])?)],
    })
}

/// Refuses a secret that could not serve in a scheme.
///
/// # Errors
/// [`InvalidSignature::EmptySecret`] or [`InvalidSignature::MalformedSecret`].
pub fn check_secret(scheme: WebhookScheme, secret: &str) -> Result<(), InvalidSignature> {
    match scheme {
        WebhookScheme::StandardWebhooks => standard_key(secret).map(drop),
        WebhookScheme::HmacSha256 | WebhookScheme::Stripe | WebhookScheme::Dub => text_key(secret).map(drop),
    }
}

/// A new secret in the form of Standard Webhooks: `whsec_` and the base64 of 32 random bytes.
pub fn standard_webhooks_secret(random: [u8; 32]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(random))
}

/// The three headers of Standard Webhooks, as received.
#[derive(Clone, Copy, Debug)]
pub struct StandardHeaders<'a> {
    pub id: &'a str,
    pub timestamp: &'a str,
    pub signature: &'a str,
}

/// Checks [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md): a list of
/// `v1,<base64>` over `id.timestamp.body`; other version tags are skipped, the time may be off by [`TOLERANCE_SECONDS`] either way.
///
/// # Errors
/// As [`verify`].
pub fn verify_standard<S: AsRef<str>>(
    sent: StandardHeaders<'_>,
    body: &[u8],
    secrets: &[S],
    now: DateTime<Utc>,
) -> Result<(), InvalidSignature> {
    check_time(sent.timestamp, now, TOLERANCE_SECONDS)?;
    let given: Vec<&str> = sent.signature.split(' ').filter_map(|item| item.strip_prefix("v1,")).take(SIGNATURES_MAX).collect();
    let content = [sent.id.as_bytes(), b".", sent.timestamp.as_bytes(), b".", body];

    let mut expected = Vec::new();
    for secret in secrets {
        let secret = secret.as_ref();
        expected.push(STANDARD.encode(mac(&standard_key(secret)?, &content)));
        // Libraries differ on a secret without prefix: base64 for most, plain bytes for Supabase. Both are keys that only the holder knows.
        let decoded = if secret.starts_with(SECRET_PREFIX) { None } else { STANDARD.decode(secret).ok() };
        expected.extend(decoded.map(|key| STANDARD.encode(mac(&key, &content))));
    }
    any_match(&given, &expected)
}

/// The value of `webhook-signature` for one secret. A secret without `whsec_` signs with its plain bytes.
///
/// # Errors
/// [`InvalidSignature::EmptySecret`] or [`InvalidSignature::MalformedSecret`].
pub fn sign_standard(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> Result<String, InvalidSignature> {
    let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    Ok(format!("v1,{}", STANDARD.encode(mac(&standard_key(secret)?, &content))))
}

/// Checks `X-Hub-Signature-256: sha256=<lower-case hex>`
/// ([GitHub](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries)). It carries no time: drop replays by id.
///
/// # Errors
/// As [`verify`].
pub fn verify_github<S: AsRef<str>>(header: &str, body: &[u8], secrets: &[S]) -> Result<(), InvalidSignature> {
    let expected = "`sha256=` and hex digits";
    let given = header.strip_prefix("sha256=").ok_or(InvalidSignature::MalformedHeader { header: HUB_SIGNATURE, expected })?;
    verify_hex(given, body, secrets)
}

/// Checks `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]` over `t.body`; the whole secret, prefix included, is the key
/// ([Stripe](https://docs.stripe.com/webhooks#verify-manually)). Other schemes than `v1` are decoys and skipped.
///
/// Stricter than Stripe's own library, which accepts any time in the future: such a delivery could be replayed until then.
///
/// # Errors
/// As [`verify`].
pub fn verify_stripe<S: AsRef<str>>(
    header: &str,
    body: &[u8],
    secrets: &[S],
    now: DateTime<Utc>,
    tolerance_seconds: u32,
) -> Result<(), InvalidSignature> {
    let malformed = InvalidSignature::MalformedHeader { header: STRIPE_SIGNATURE, expected: "`t=<seconds>,v1=<hex>`" };
    let items = || header.split(',').filter_map(|item| item.split_once('='));
    let timestamp = items().find(|(key, _)| *key == "t").map(|(_, value)| value).ok_or(malformed)?;
    check_time(timestamp, now, tolerance_seconds)?;

    let given: Vec<&str> = items().filter(|(key, _)| *key == "v1").map(|(_, value)| value).take(SIGNATURES_MAX).collect();
    let content = [timestamp.as_bytes(), b".", body];
    let expected: Vec<String> = secrets.iter().map(|secret| hex_mac(secret.as_ref(), &content)).collect::<Result<_, _>>()?;
    any_match(&given, &expected)
}

/// Checks a bare lower-case hex HMAC-SHA256 of the body, as Dub sends it. It carries no time: drop replays by the body's id.
///
/// # Errors
/// As [`verify`].
pub fn verify_hex<S: AsRef<str>>(given: &str, body: &[u8], secrets: &[S]) -> Result<(), InvalidSignature> {
    let expected: Vec<String> = secrets.iter().map(|secret| hex_mac(secret.as_ref(), &[body])).collect::<Result<_, _>>()?;
    any_match(&[given], &expected)
}

/// Checks a secret that travels as it is, such as the token of a postback, in constant time for its length.
///
/// # Errors
/// [`InvalidSignature::NoMatch`], [`InvalidSignature::NoSecret`] or [`InvalidSignature::EmptySecret`].
pub fn verify_token<S: AsRef<str>>(given: &str, secrets: &[S]) -> Result<(), InvalidSignature> {
    let expected: Vec<String> =
        secrets.iter().map(|secret| text_key(secret.as_ref()).map(|_| secret.as_ref().to_owned())).collect::<Result<_, _>>()?;
    any_match(&[given], &expected)
}

/// Compares every pair without stopping at the first that is equal.
fn any_match(given: &[&str], expected: &[String]) -> Result<(), InvalidSignature> {
    if expected.is_empty() {
        return Err(InvalidSignature::NoSecret);
    }
    let mut found = subtle::Choice::from(0);
    for given in given {
        for expected in expected {
            found |= given.as_bytes().ct_eq(expected.as_bytes());
        }
    }
    if found.into() { Ok(()) } else { Err(InvalidSignature::NoMatch) }
}

/// Accepts a time of `tolerance_seconds` around `now`, both ends included.
fn check_time(timestamp: &str, now: DateTime<Utc>, tolerance_seconds: u32) -> Result<(), InvalidSignature> {
    let malformed = || InvalidSignature::MalformedTimestamp(timestamp.chars().take(40).collect());
    // Digits only: the parser of the standard library would take a sign as well.
    if !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    let seconds: i64 = timestamp.parse().map_err(|_| malformed())?;
    let age_seconds = now.timestamp().saturating_sub(seconds);
    let tolerance = i64::from(tolerance_seconds);
    if age_seconds > tolerance {
        return Err(InvalidSignature::TooOld { age_seconds, tolerance_seconds });
    }
    if age_seconds < -tolerance {
        return Err(InvalidSignature::TooFarInFuture { ahead_seconds: -age_seconds, tolerance_seconds });
    }
    Ok(())
}

/// The key of a Standard Webhooks secret: base64 after `whsec_`, else its plain bytes.
fn standard_key(secret: &str) -> Result<Vec<u8>, InvalidSignature> {
    let key = match secret.strip_prefix(SECRET_PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| InvalidSignature::MalformedSecret)?,
        None => secret.as_bytes().to_vec(),
    };
    if key.is_empty() { Err(InvalidSignature::EmptySecret) } else { Ok(key) }
}

/// The key of every other scheme: the secret's own bytes.
fn text_key(secret: &str) -> Result<&[u8], InvalidSignature> {
    if secret.is_empty() { Err(InvalidSignature::EmptySecret) } else { Ok(secret.as_bytes()) }
}

fn hex_mac(secret: &str, parts: &[&[u8]]) -> Result<String, InvalidSignature> {
    Ok(hex::encode(mac(text_key(secret)?, parts)))
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
