//! Published vectors of the four signature schemes, all of them; each file in `vectors/` names its sources.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use chrono::{DateTime, TimeZone, Utc};
use domain::partner::WebhookScheme;
use domain::signature::{self, InvalidSignature, StandardHeaders};
use proptest::prelude::*;
use serde_json::Value;

fn vectors(text: &str, list: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    let list = file[list].as_array().unwrap().clone();
    assert!(!list.is_empty());
    list
}

fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
    vector[key].as_str().unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(seconds, 0).unwrap()
}

fn assert_verdict(vector: &Value, verdict: &Result<(), InvalidSignature>) {
    assert_eq!(if verdict.is_ok() { "accept" } else { "reject" }, text(vector, "expect"), "{}: {verdict:?}", text(vector, "name"));
}

const STANDARD: &str = include_str!("vectors/standard-webhooks-vectors.json");
const GITHUB: &str = include_str!("vectors/github-webhook-vectors.json");
const STRIPE: &str = include_str!("vectors/stripe-webhook-vectors.json");
const HEX: &str = include_str!("vectors/hmac-hex-vectors.json");

#[test]
fn standard_webhooks_are_verified_as_published() {
    for vector in vectors(STANDARD, "verify") {
        let verdict = signature::verify(
            WebhookScheme::StandardWebhooks,
            |name| vector["headers"][name].as_str(),
            text(&vector, "body").as_bytes(),
            &[text(&vector, "secret")],
            at(vector["now"].as_i64().unwrap()),
        );
        assert_verdict(&vector, &verdict);
    }
}

#[test]
fn standard_webhooks_are_signed_as_published() {
    for vector in vectors(STANDARD, "sign") {
        let seconds = vector["timestamp"].as_i64().unwrap();
        let signature =
            signature::sign_standard(text(&vector, "secret"), text(&vector, "id"), &seconds.to_string(), text(&vector, "body").as_bytes());
        assert_eq!(signature.as_deref(), Ok(text(&vector, "signature")));
    }
}

#[test]
fn a_secret_without_a_key_is_refused_for_signing_and_verifying() {
    for vector in vectors(STANDARD, "construct") {
        let secret = text(&vector, "secret");
        assert_eq!(signature::check_secret(WebhookScheme::StandardWebhooks, secret), Err(InvalidSignature::EmptySecret));
        assert_eq!(signature::sign_standard(secret, "id", "1", b""), Err(InvalidSignature::EmptySecret));
        let sent = StandardHeaders { id: "id", timestamp: "1", signature: "v1,x" };
        assert_eq!(signature::verify_standard(sent, b"", &[secret], at(1)), Err(InvalidSignature::EmptySecret));
    }
    for scheme in [WebhookScheme::HmacSha256, WebhookScheme::Stripe, WebhookScheme::Dub] {
        assert_eq!(signature::check_secret(scheme, ""), Err(InvalidSignature::EmptySecret));
        assert_eq!(signature::sign(scheme, "", "id", b"", at(1)), Err(InvalidSignature::EmptySecret));
    }
    assert_eq!(signature::check_secret(WebhookScheme::StandardWebhooks, "whsec_not base64"), Err(InvalidSignature::MalformedSecret));
}

#[test]
fn github_signatures_are_verified_as_published() {
    for vector in vectors(GITHUB, "verify") {
        let header = |name| (name == "x-hub-signature-256").then(|| text(&vector, "header"));
        let verdict =
            signature::verify(WebhookScheme::HmacSha256, header, text(&vector, "body").as_bytes(), &[text(&vector, "secret")], at(0));
        assert_verdict(&vector, &verdict);
    }
}

#[test]
fn bare_hex_signatures_are_verified_as_published() {
    for vector in vectors(HEX, "verify") {
        let header = |name| (name == "dub-signature").then(|| text(&vector, "header"));
        let verdict = signature::verify(WebhookScheme::Dub, header, text(&vector, "body").as_bytes(), &[text(&vector, "secret")], at(0));
        assert_verdict(&vector, &verdict);
    }
}

#[test]
fn stripe_signatures_are_verified_as_published_but_for_the_future() {
    let mut future = 0;
    for vector in vectors(STRIPE, "verify") {
        let tolerance = u32::try_from(vector["tolerance"].as_u64().unwrap()).unwrap();
        let now = at(vector["now"].as_i64().unwrap());
        let verdict =
            signature::verify_stripe(text(&vector, "header"), text(&vector, "body").as_bytes(), &[text(&vector, "secret")], now, tolerance);
        // The one case where the vector allows a stricter receiver than Stripe's own library.
        if text(&vector, "name") == "dated 301 s in the future" {
            future += 1;
            assert_eq!(verdict, Err(InvalidSignature::TooFarInFuture { ahead_seconds: 301, tolerance_seconds: 300 }));
        } else {
            assert_verdict(&vector, &verdict);
        }
    }
    assert_eq!(future, 1);
}

const SCHEMES: [WebhookScheme; 4] = [WebhookScheme::StandardWebhooks, WebhookScheme::HmacSha256, WebhookScheme::Stripe, WebhookScheme::Dub];

fn lookup<'a>(headers: &'a [(&'static str, String)]) -> impl Fn(&'static str) -> Option<&'a str> {
    |name| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
}

#[test]
fn either_of_two_active_secrets_may_have_signed() {
    let (old, new) = (signature::standard_webhooks_secret([1; 32]), signature::standard_webhooks_secret([2; 32]));
    for scheme in SCHEMES {
        for secret in [&old, &new] {
            let headers = signature::sign(scheme, secret, "msg_1", b"body", at(1_000)).unwrap();
            let check = |secrets: &[&str]| signature::verify(scheme, lookup(&headers), b"body", secrets, at(1_000));
            assert_eq!(check(&[&old, &new]), Ok(()));
            assert_eq!(check(&["another"]), Err(InvalidSignature::NoMatch));
            assert_eq!(check(&[]), Err(InvalidSignature::NoSecret));
            assert_eq!(check(&[secret, ""]), Err(InvalidSignature::EmptySecret), "an empty secret does not stay unseen");
        }
    }
}

#[test]
fn a_missing_header_is_named() {
    let missing = |scheme| signature::verify(scheme, |_| None, b"", &["secret"], at(0)).unwrap_err().to_string();
    assert_eq!(missing(WebhookScheme::StandardWebhooks), "header `webhook-id` is missing");
    assert_eq!(missing(WebhookScheme::HmacSha256), "header `x-hub-signature-256` is missing");
    assert_eq!(missing(WebhookScheme::Stripe), "header `stripe-signature` is missing");
    assert_eq!(missing(WebhookScheme::Dub), "header `dub-signature` is missing");
}

#[test]
fn a_time_that_is_no_plain_number_is_malformed() {
    for timestamp in ["", "hello", "-1", "+5", "1e3", "1614265330.5", " 1614265330", "99999999999999999999999"] {
        let sent = StandardHeaders { id: "msg_1", timestamp, signature: "v1,x" };
        let verdict = signature::verify_standard(sent, b"", &["secret"], at(1_614_265_330));
        assert_eq!(verdict, Err(InvalidSignature::MalformedTimestamp(timestamp.to_owned())));
    }
}

#[test]
fn a_time_out_of_tolerance_says_by_how_much() {
    let verdict = |timestamp: &str| {
        let sent = StandardHeaders { id: "msg_1", timestamp, signature: "v1,x" };
        signature::verify_standard(sent, b"", &["secret"], at(1_000)).unwrap_err().to_string()
    };
    assert_eq!(verdict("699"), "timestamp is 301 s old, more than 300 s");
    assert_eq!(verdict("1301"), "timestamp is 301 s in the future, more than 300 s");
    assert_eq!(verdict("9223372036854775807"), "timestamp is 9223372036854774807 s in the future, more than 300 s");
}

#[test]
fn a_header_of_ten_thousand_signatures_is_not_searched_to_its_end() {
    let good = signature::sign_standard("secret", "msg_1", "1000", b"body").unwrap();
    let verdict = |signature: &str| {
        signature::verify_standard(StandardHeaders { id: "msg_1", timestamp: "1000", signature }, b"body", &["secret"], at(1_000))
    };
    assert_eq!(verdict(&format!("v1,x v1a,y {good}")), Ok(()));
    assert_eq!(verdict(&format!("{}{good}", "v1,x ".repeat(10_000))), Err(InvalidSignature::NoMatch));
}

#[test]
fn a_new_secret_is_whsec_and_base64() {
    let secret = signature::standard_webhooks_secret([0; 32]);
    assert_eq!(secret, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert_eq!(signature::check_secret(WebhookScheme::StandardWebhooks, &secret), Ok(()));
}

#[test]
fn a_token_matches_only_itself() {
    assert_eq!(signature::verify_token("abc", &["xyz", "abc"]), Ok(()));
    assert_eq!(signature::verify_token("ab", &["abc"]), Err(InvalidSignature::NoMatch));
    assert_eq!(signature::verify_token("", &[""]), Err(InvalidSignature::EmptySecret));
    assert_eq!(signature::verify_token::<&str>("abc", &[]), Err(InvalidSignature::NoSecret));
}

proptest! {
    #[test]
    fn what_is_signed_verifies_until_one_bit_of_the_body_flips(
        body in prop::collection::vec(any::<u8>(), 1..200), secret in "[ -~]{1,80}", at_byte in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        for scheme in SCHEMES {
            let Ok(headers) = signature::sign(scheme, &secret, "msg_1", &body, at(5_000)) else { continue };
            prop_assert_eq!(signature::verify(scheme, lookup(&headers), &body, &[&secret], at(5_300)), Ok(()));
            let mut changed = body.clone();
            changed[at_byte.index(body.len())] ^= 1 << bit;
            prop_assert_eq!(signature::verify(scheme, lookup(&headers), &changed, &[&secret], at(5_000)), Err(InvalidSignature::NoMatch));
        }
    }

    #[test]
    fn no_header_text_panics(header in ".{0,200}") {
        for scheme in SCHEMES {
            prop_assert!(signature::verify(scheme, |_| Some(&header), b"body", &["secret"], at(0)).is_err());
        }
    }
}
