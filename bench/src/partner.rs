//! The partners' side of the runs: clicks that lead to them, and the signed events that they send.

use std::collections::HashMap;

use chrono::{TimeDelta, Utc};
use domain::{
    PartnerId, SessionId,
    auth::Principal,
    click::{AgentClass, ClickToken, partner_digest},
    partner::{SecretPurpose, WebhookScheme},
    referral_code::code_digest,
    signature,
};
use engine::{Engine, click::Click, new_id, partner, simulation::PlantedLink};
use serde_json::{Value, json};

use crate::Result;

/// Posts events as partners do.
pub struct Sender {
    http: reqwest::Client,
    secrets: HashMap<PartnerId, String>,
}

impl Sender {
    /// Makes a secret for each partner that one of the links leads to.
    ///
    /// # Errors
    /// The database is away.
    pub async fn new(engine: &Engine, links: &[PlantedLink]) -> Result<Self> {
        let mut secrets = HashMap::new();
        for link in links {
            if !secrets.contains_key(&link.partner_id) {
                end_secrets(engine, &link.partner_id).await?;
                let secret = partner::set_secret(engine, &Principal::CommandLine, &link.partner_id, SecretPurpose::Webhook, None).await?;
                secrets.insert(link.partner_id.clone(), secret);
            }
        }
        Ok(Self { http: reqwest::Client::new(), secrets })
    }

    /// A signed event, ready to be sent to the server at `address`.
    ///
    /// # Errors
    /// The partner has no secret.
    pub fn request(&self, address: &str, partner_id: &PartnerId, message_id: &str, event: &Value) -> Result<reqwest::RequestBuilder> {
        let body = event.to_string();
        let secret = self.secrets.get(partner_id).ok_or_else(|| format!("partner `{partner_id}` has no secret"))?;
        let signed = signature::sign(WebhookScheme::StandardWebhooks, secret, message_id, body.as_bytes(), Utc::now())?;
        let request = self.http.post(format!("http://{address}/webhooks/{partner_id}/events"));
        Ok(signed.into_iter().fold(request, |request, (name, value)| request.header(name, value)).body(body))
    }
}

/// Two secrets may be active: those of the measurement before make room.
async fn end_secrets(engine: &Engine, partner_id: &PartnerId) -> Result<()> {
    let who = Principal::CommandLine;
    for secret in partner::list_secrets(engine, &who, partner_id).await? {
        if secret.purpose == SecretPurpose::Webhook && secret.revoked_at.is_none() {
            partner::revoke_secret(engine, &who, partner_id, secret.partner_secret_id).await?;
        }
    }
    Ok(())
}

/// A click of two hours ago, in a session of its own.
pub fn a_click(link: &PlantedLink) -> Click {
    let clicked_at = Utc::now() - TimeDelta::hours(2);
    Click {
        click_id: new_id(clicked_at),
        clicked_at,
        referral_code: link.referral_code.as_str().into(),
        partner_id: link.partner_id.clone(),
        site_id: link.site_id,
        developer_hash: link.developer_hash.as_str().into(),
        session_id: Some(new_id::<SessionId>(clicked_at)),
        source_url: None,
        agent_class: AgentClass::Desktop,
        counted: true,
        ip_hash: None,
        country: None,
        recommendation_id: None,
        window_hours: 24,
    }
}

/// A sale of now in dollars. Every other one claims its click by the signed click id, the rest by code and session, which the cache does
/// not know, so that they read the table.
pub fn a_sale(engine: &Engine, id: &str, number: usize, amount: &str, click: &Click) -> Value {
    let mut data = json!({ "conversion_id": id, "occurred_at": Utc::now(), "amount": amount, "currency": "USD" });
    if number.is_multiple_of(2) {
        let token = ClickToken {
            click_id: click.click_id,
            session_id: click.session_id,
            code_digest: code_digest(&click.referral_code),
            partner_digest: partner_digest(&click.partner_id),
        };
        data["click_id"] = json!(token.sign(&engine.keys.click_mac));
    } else {
        data["referral_code"] = json!(&*click.referral_code);
        data["session_id"] = json!(click.session_id);
    }
    json!({ "type": "conversion.created", "timestamp": Utc::now(), "data": data })
}
