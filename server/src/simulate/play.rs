//! Plays a journey against the server, as browsers and partners would.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use chrono::{DateTime, Utc};
use domain::{ClickId, PartnerId, RecommendationId, SiteId, partner::WebhookScheme, signature};
use reqwest::{Client, Method, RequestBuilder, StatusCode, header};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::plan::{Claim, ClickIdClaim, CodeClaim, Event, Journey, Link, Message, Site, Step, Value, Visitor};

pub const BROWSER: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
const BOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/// How often one sender tries to be let in while the server still holds old secrets and offers in memory: 25 s.
const DOOR_TRIES: u32 = 125;
const DOOR_PAUSE: Duration = Duration::from_millis(200);

/// What stands behind a planned link.
#[derive(Clone, Debug)]
pub struct Address {
    pub site_id: SiteId,
    pub alias: String,
    pub referral_code: String,
}

/// A partner as the simulator plays it.
#[derive(Clone, Debug)]
pub struct Sender {
    pub partner_id: PartnerId,
    pub secret: String,
}

pub struct Stage {
    pub http: Client,
    pub base_url: String,
    /// Begins the names of customers.
    pub run: String,
    pub senders: Vec<Sender>,
    pub addresses: HashMap<Link, Address>,
    /// Requests that were not answered as they had to be, in words.
    pub troubles: Mutex<Vec<String>>,
}

/// What the people of a journey remember.
#[derive(Debug, Default)]
pub struct Played {
    /// In order.
    pub clicks: Vec<Followed>,
    /// The impressions that the server acknowledged.
    pub seen: Vec<(RecommendationId, PartnerId)>,
    /// The cookie of each person.
    sessions: HashMap<usize, String>,
    pub requests: u32,
    /// Something went wrong: the rest of the journey was left out.
    broken: bool,
}

/// A click as its visitor knows it.
#[derive(Debug)]
pub struct Followed {
    token: String,
    pub click_id: ClickId,
}

#[cfg(test)]
impl Played {
    pub fn with_clicks(clicks: &[ClickId]) -> Self {
        let clicks = clicks.iter().map(|click_id| Followed { token: String::new(), click_id: *click_id }).collect();
        Self { clicks, ..Self::default() }
    }
}

impl Stage {
    /// Plays these steps of a journey in order. What goes wrong is noted among the troubles, and ends the journey.
    pub async fn play(&self, journey: &Journey, steps: &[Step], mut played: Played) -> Played {
        for step in steps {
            if played.broken {
                break;
            }
            let done = match step {
                Step::Click { visitor, link, at, reports } => self.visit(&mut played, *visitor, *link, *at, *reports).await,
                Step::Send(messages) => {
                    played.requests += u32::try_from(messages.len()).unwrap_or(0);
                    let sends = messages.iter().map(|message| self.send(journey, &played, message));
                    futures::future::join_all(sends).await.into_iter().collect()
                }
            };
            if let Err(trouble) = done {
                self.note(format!("{}: {trouble}", journey.kind));
                played.broken = true;
            }
        }
        played
    }

    fn note(&self, trouble: String) {
        if let Ok(mut troubles) = self.troubles.lock() {
            troubles.push(trouble);
        }
    }

    /// Follows a link, from a page of its site if that reports anything.
    async fn visit(&self, memory: &mut Played, visitor: Visitor, link: Link, at: DateTime<Utc>, reports: u32) -> Result<(), String> {
        let rid = if reports > 0 { Some(self.look(memory, visitor, link, at, reports).await?) } else { None };
        memory.requests += 1;
        self.click(memory, visitor, link, at, rid).await
    }

    async fn click(
        &self,
        memory: &mut Played,
        visitor: Visitor,
        link: Link,
        at: DateTime<Utc>,
        rid: Option<RecommendationId>,
    ) -> Result<(), String> {
        let address = self.addresses.get(&link).ok_or("a link was not planted")?;
        // the long code works like the short one
        let code = if visitor == Visitor::Private { &address.referral_code } else { &address.alias };
        let method = if visitor == Visitor::Head { Method::HEAD } else { Method::GET };
        let agent = if visitor == Visitor::Bot { BOT } else { BROWSER };
        let query = rid.map(|rid| format!("?rid={rid}")).unwrap_or_default();
        let mut request = self.http.request(method, format!("{}/r/{code}{query}", self.base_url));
        request = request.header(header::USER_AGENT, agent).header("x-simulated-time", at.to_rfc3339());
        request = match visitor {
            Visitor::Private => request.header("sec-gpc", "1"),
            Visitor::Prefetch => request.header("sec-purpose", "prefetch"),
            Visitor::Person(person) => match memory.sessions.get(&person) {
                Some(session) => request.header(header::COOKIE, format!("p4s_session={session}")),
                None => request,
            },
            Visitor::Bot | Visitor::Head => request,
        };
        let answer = request.send().await.map_err(|error| format!("a click was not answered: {error}"))?;
        if answer.status() != StatusCode::FOUND {
            return Err(format!("a click was answered {}", answer.status()));
        }
        let token = click_token(answer.headers());
        let cookie = session_cookie(answer.headers());
        match visitor {
            Visitor::Person(person) => {
                if let Some(session) = cookie {
                    memory.sessions.insert(person, session);
                } else if !memory.sessions.contains_key(&person) {
                    return Err("a new visitor got no session cookie".to_owned());
                }
            }
            _ if cookie.is_some() => return Err(format!("{visitor:?} got a cookie")),
            _ => {}
        }
        match (visitor.counts(), token) {
            (true, Some(token)) => {
                let click_id = click_id(&token).ok_or_else(|| format!("`{token}` is no click id"))?;
                memory.clicks.push(Followed { token, click_id });
                Ok(())
            }
            (true, None) => Err("a click got no click id".to_owned()),
            (false, Some(_)) => Err(format!("{visitor:?} got a click id")),
            (false, None) => Ok(()),
        }
    }

    async fn send(&self, journey: &Journey, memory: &Played, message: &Message) -> Result<(), String> {
        let body = self.body(journey, memory, &message.event)?.to_string();
        let status = self.post(message.partner, &message.id, body, message.badly_signed).await?;
        let wanted = if message.badly_signed { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
        if status == wanted { Ok(()) } else { Err(format!("a webhook was answered {status} in place of {wanted}")) }
    }

    async fn post(&self, partner: usize, id: &str, body: String, badly: bool) -> Result<StatusCode, String> {
        let Sender { partner_id, secret } = &self.senders[partner];
        let secret = if badly { "whsec_bm90IHRoZSBzZWNyZXQgYXQgYWxs" } else { secret };
        let signed =
            signature::sign(WebhookScheme::StandardWebhooks, secret, id, body.as_bytes(), Utc::now()).map_err(|error| error.to_string())?;
        let request =
            self.http.post(format!("{}/webhooks/{partner_id}/events", self.base_url)).header(header::CONTENT_TYPE, "application/json");
        let request = signed.into_iter().fold(request, |request: RequestBuilder, (name, value)| request.header(name, value));
        let answer = request.body(body).send().await.map_err(|error| format!("a webhook was not answered: {error}"))?;
        Ok(answer.status())
    }

    /// Sends events of no effect, looks at links and asks for offers until the server knows each partner: it may hold the old ones for 10 s, and
    /// what it made of them for 10 s more.
    pub async fn knock(&self) -> Result<(), String> {
        for (partner, sender) in self.senders.iter().enumerate() {
            let mut answers = (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND);
            for attempt in 0..DOOR_TRIES {
                answers = self.try_door(partner, attempt).await?;
                if answers == (StatusCode::OK, StatusCode::FOUND) {
                    break;
                }
                tokio::time::sleep(DOOR_PAUSE).await;
            }
            if answers != (StatusCode::OK, StatusCode::FOUND) {
                return Err(format!(
                    "the server answers {} to webhooks of `{}` and {} to its links: does it use another database?",
                    answers.0, sender.partner_id, answers.1
                ));
            }
        }
        self.await_offers().await
    }

    async fn await_offers(&self) -> Result<(), String> {
        let address = self.addresses.get(&Link { site: Site::Door, partner: 0 }).ok_or("the door's link was not planted")?;
        for _ in 0..DOOR_TRIES {
            let page = self.open(address.site_id, Visitor::Person(0), Utc::now()).await?;
            if self.senders.iter().all(|sender| page.offers.iter().any(|offer| offer.partner_id == sender.partner_id)) {
                return Ok(());
            }
            tokio::time::sleep(DOOR_PAUSE).await;
        }
        Err("the server does not offer the partners of the run to its sites".to_owned())
    }

    async fn try_door(&self, partner: usize, attempt: u32) -> Result<(StatusCode, StatusCode), String> {
        let body = json!({ "type": "simulation.began", "data": {} }).to_string();
        let sent = self.post(partner, &format!("{}-door-{attempt}", self.run), body, false).await?;
        let address = self.addresses.get(&Link { site: Site::Door, partner }).ok_or("the door's link was not planted")?;
        let followed = self.http.head(format!("{}/r/{}", self.base_url, address.alias)).send().await;
        Ok((sent, followed.map_err(|error| format!("a link was not answered: {error}"))?.status()))
    }

    fn body(&self, journey: &Journey, memory: &Played, event: &Event) -> Result<Json, String> {
        let mut data = Map::new();
        let mut set = |name: &str, value: Json| drop(data.insert(name.to_owned(), value));
        let (kind, at, claim, value) = match event {
            Event::Conversion { id, kind, at, value, claim, is_test } => {
                set("conversion_id", json!(id));
                set("type", json!(kind));
                set("is_test", json!(is_test));
                ("conversion.created", at, Some(claim), Some(value))
            }
            Event::Reversal { id, conversion, at, amount } => {
                set("reversal_id", json!(id));
                set("conversion_id", json!(conversion));
                ("conversion.reversed", at, None, amount.as_ref())
            }
            Event::Success { id, metric, evidence, at, expires_at, claim } => {
                set("success_id", json!(id));
                set("metric", json!(metric));
                set("evidence", evidence.iter().map(|key| (key.clone(), proof_of(key, id, *at))).collect::<Map<_, _>>().into());
                set("expires_at", json!(expires_at.map(|at| at.to_rfc3339())));
                ("success.achieved", at, Some(claim), None)
            }
        };
        set("occurred_at", json!(at.to_rfc3339()));
        if let Some(value) = value {
            set("amount", json!(decimal(*value)));
            set("currency", json!(value.currency));
        }
        if let Some(claim) = claim {
            self.claim(memory, claim, &mut set)?;
            if let Some(customer) = claim.customer {
                set("user_id", json!(format!("{}-{}-customer-{customer}", self.run, journey.number)));
            }
        }
        Ok(json!({ "type": kind, "timestamp": at.to_rfc3339(), "data": data }))
    }

    fn claim(&self, memory: &Played, claim: &Claim, set: &mut impl FnMut(&str, Json)) -> Result<(), String> {
        let token = |click: usize| memory.clicks.get(click).map(|click| click.token.clone()).ok_or("a click to claim is missing");
        match &claim.click {
            None => {}
            Some(ClickIdClaim::Of(click)) => set("click_id", json!(token(*click)?)),
            Some(ClickIdClaim::Forged(click)) => set("click_id", json!(forge(&token(*click)?))),
            Some(ClickIdClaim::Text(text)) => set("click_id", json!(text)),
        }
        match claim.code {
            None => {}
            Some(CodeClaim::Of(link)) => {
                set("referral_code", json!(self.addresses.get(&link).ok_or("a link was not planted")?.referral_code))
            }
            Some(CodeClaim::Unknown) => set("referral_code", json!("p4s_00000000_nobody_000000")),
        }
        if let Some(person) = claim.session {
            set("session_id", json!(memory.sessions.get(&person).ok_or("a session to claim is missing")?));
        }
        Ok(())
    }
}

/// Minor units as a decimal text.
/// A value of the type that the name of required data tells, another one for each success.
fn proof_of(key: &str, success_id: &str, at: DateTime<Utc>) -> Json {
    match key.rsplit('_').next() {
        Some("date" | "at") => json!(at.date_naive()),
        Some("url") => json!(format!("https://proof.example/{success_id}")),
        Some("count") => json!(1),
        _ => json!(format!("{key} of {success_id}")),
    }
}

fn decimal(value: Value) -> String {
    let unit = 10_i64.pow(value.digits);
    if value.digits == 0 {
        return value.minor.to_string();
    }
    format!("{}.{:0width$}", value.minor / unit, value.minor % unit, width = value.digits as usize)
}

/// Changes one character in the middle, which is part of the session id.
fn forge(token: &str) -> String {
    let middle = token.len() / 2;
    token.char_indices().map(|(index, letter)| if index == middle { if letter == 'A' { 'B' } else { 'A' } } else { letter }).collect()
}

/// The click id in a redirect's target, if it has one that is not empty.
fn click_token(headers: &header::HeaderMap) -> Option<String> {
    let target = url::Url::parse(headers.get(header::LOCATION)?.to_str().ok()?).ok()?;
    target.query_pairs().find(|(name, _)| name == "click_id").map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
}

/// Bytes 1 to 16 of a click id are the click's UUID (`docs/PARTNER-WEBHOOKS.md` calls the rest opaque).
fn click_id(token: &str) -> Option<ClickId> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    Some(ClickId(Uuid::from_slice(bytes.get(1..17)?).ok()?))
}

fn session_cookie(headers: &header::HeaderMap) -> Option<String> {
    let cookie = headers.get(header::SET_COOKIE)?.to_str().ok()?.strip_prefix("p4s_session=")?;
    Some(cookie.split(';').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_all_digits_of_their_currency() {
        let text = |minor, digits| decimal(Value { minor, currency: "XXX", digits });
        assert_eq!([text(4905, 2), text(7, 2), text(70, 0)], ["49.05", "0.07", "70"]);
    }

    #[test]
    fn a_forged_token_differs_in_one_character() {
        let token = "A".repeat(82);
        assert_eq!(forge(&token).chars().filter(|letter| *letter != 'A').count(), 1);
    }
}
