//! The way of a secret to the person who made it: once, in a cookie of the page that follows.

use domain::{PartnerId, partner::SecretPurpose};

use super::MadeSecret;
use crate::api::request::{cookie, is_plain_form, set_cookie};

const COOKIE: &str = "made_secret";
/// 60 s: longer than any redirect takes.
const SECONDS: u32 = 60;

/// Leads a plain form back to the partner's page, with the secret.
pub fn hand_over(partner_id: &PartnerId, made: MadeSecret) {
    if is_plain_form() {
        let page = format!("/partners/{partner_id}");
        set_cookie(COOKIE, &write(&made), &page, SECONDS);
        leptos_axum::redirect(&page);
    }
}

/// The secret that came with the request; its cookie is removed.
pub fn take(partner_id: &PartnerId) -> Option<MadeSecret> {
    let text = cookie(COOKIE)?;
    set_cookie(COOKIE, "", &format!("/partners/{partner_id}"), 0);
    read(&text)
}

fn write(made: &MadeSecret) -> String {
    format!("{}:{}", made.purpose.as_str(), made.secret)
}

fn read(text: &str) -> Option<MadeSecret> {
    let (purpose, secret) = text.split_once(':')?;
    let purpose = [SecretPurpose::Webhook, SecretPurpose::Postback].into_iter().find(|known| known.as_str() == purpose)?;
    Some(MadeSecret { purpose, secret: secret.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_arrives_with_what_it_is_for() {
        for purpose in [SecretPurpose::Webhook, SecretPurpose::Postback] {
            let made = MadeSecret { purpose, secret: "whsec_a:b=".to_owned() };
            assert_eq!(read(&write(&made)), Some(made));
        }
        assert_eq!(read("whsec_without-a-purpose"), None);
    }
}
