//! What partners report in the history: planned from the clicks, and run through the workflows at their own times.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Currency, Money, PartnerId, WebhookDeliveryId,
    click::{ClickToken, partner_digest},
    conversion::Source,
    partner::Partner,
    referral_code::code_digest,
    webhook::{Event, parse_event},
};
use rand::{RngExt, rngs::StdRng};
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Period, Place};
use crate::{Engine, Error, Result, click::Click, clock, conversion, new_id, reversal, success, work::Work};

/// Conversions per counted click, by tier of luck: what real affiliate links of developer tools reach.
const CONVERSION_RATE: f64 = 0.047;
const REFUND_RATE: f64 = 0.035;

/// Of a hundred conversions, so many come without any claim, and so many name a site that nobody visited.
const UNCLAIMED_PERCENT: u32 = 2;

/// Multiples of the partner's usual value that customers pay.
const SIZES: [i64; 8] = [1, 1, 1, 1, 2, 2, 3, 8];

const KINDS: [&str; 6] = ["sale", "sale", "sale", "sale", "upgrade", "renewal"];

/// A message of a partner.
pub struct Message {
    partner_id: PartnerId,
    id: String,
    at: DateTime<Utc>,
    kind: &'static str,
    data: Value,
}

impl Message {
    fn body(&self) -> Value {
        json!({ "type": self.kind, "timestamp": self.at, "data": self.data })
    }
}

/// Plans conversions, refunds and successes, in the order of their arrival.
pub fn plan(engine: &Engine, rng: &mut StdRng, places: &[Place], partners: &[Partner], clicks: &[Click], period: Period) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut first_by_code: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
    for click in clicks.iter().filter(|click| click.counted) {
        let Some(partner) = partners.iter().find(|partner| partner.partner_id == click.partner_id) else { continue };
        // Those who came last are still under way, apart from a few, so that the demo starts with something recent.
        let chance = if period.to - click.clicked_at < TimeDelta::hours(1) { 3.0 * CONVERSION_RATE } else { CONVERSION_RATE };
        if !rng.random_bool(chance) {
            continue;
        }
        let at = click.clicked_at + delay(rng, period.to - click.clicked_at);
        if at + TimeDelta::seconds(5) >= period.to {
            continue;
        }
        let number = messages.len();
        let (value, claim) = (value(rng, partner), claim(engine, rng, click));
        if claim.get("click_id").is_some() || claim.get("referral_code").is_some() {
            let first = first_by_code.entry(&click.referral_code).or_insert(at);
            *first = at.min(*first);
        }
        messages.push(purchase(rng, partner, number, at, value, claim));
        if rng.random_bool(REFUND_RATE) {
            let at = at + TimeDelta::hours(rng.random_range(20..300));
            let amount = rng.random_bool(0.4).then_some(value.amount_minor / 2).filter(|minor| *minor > 0);
            messages.extend((at < period.to).then(|| refund(partner, number, at, amount.map(|minor| Money::new(minor, value.currency)))));
        }
    }
    for partner in partners {
        for link in places.iter().flat_map(|place| &place.links).filter(|link| link.partner_id == partner.partner_id) {
            if let Some(first) = first_by_code.get(link.referral_code.as_str()) {
                messages.extend(successes(rng, partner, &link.referral_code, *first, period));
            }
        }
    }
    messages.extend(unmatched(rng, places, partners, period));
    messages.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    messages
}

/// Some buy at once, some the next morning; always within `left`, so that the newest clicks convert before now.
fn delay(rng: &mut StdRng, left: TimeDelta) -> TimeDelta {
    let longest = if rng.random_bool(0.6) { 40 * 60 } else { 20 * 3600 };
    TimeDelta::seconds(rng.random_range(60..longest).min((left.num_seconds() - 30).max(60)))
}

/// A multiple of what the partner is believed to be paid on average.
fn value(rng: &mut StdRng, partner: &Partner) -> Money {
    let usual = (partner.priors.average_value * rust_decimal::Decimal::ONE_HUNDRED).to_i64().unwrap_or(2_000).clamp(100, 1_000_000);
    Money::new(usual * SIZES[rng.random_range(0..SIZES.len())], Currency::USD)
}

fn claim(engine: &Engine, rng: &mut StdRng, click: &Click) -> Value {
    let token = ClickToken {
        click_id: click.click_id,
        session_id: click.session_id,
        code_digest: code_digest(&click.referral_code),
        partner_digest: partner_digest(&click.partner_id),
    };
    match (rng.random_range(0..100), click.session_id) {
        (0..UNCLAIMED_PERCENT, _) => json!({}),
        (UNCLAIMED_PERCENT..30, Some(session_id)) => json!({ "referral_code": click.referral_code, "session_id": session_id }),
        _ => json!({ "click_id": token.sign(&engine.keys.click_mac) }),
    }
}

fn purchase(rng: &mut StdRng, partner: &Partner, number: usize, at: DateTime<Utc>, value: Money, claim: Value) -> Message {
    let mut data = json!({
        "conversion_id": format!("sub_{number:05}"),
        "type": KINDS[rng.random_range(0..KINDS.len())],
        "occurred_at": at,
        "amount": value.to_decimal().to_string(),
        "currency": value.currency.code(),
    });
    if let (Some(data), Value::Object(claim)) = (data.as_object_mut(), claim) {
        data.extend(claim);
    }
    let received_at = at + TimeDelta::milliseconds(rng.random_range(300..4_000));
    Message {
        partner_id: partner.partner_id.clone(),
        id: format!("msg_demo_{number:05}"),
        at: received_at,
        kind: "conversion.created",
        data,
    }
}

fn refund(partner: &Partner, number: usize, at: DateTime<Utc>, amount: Option<Money>) -> Message {
    let mut data = json!({ "conversion_id": format!("sub_{number:05}"), "reversal_id": format!("refund_{number:05}"), "reason": "refunded by the customer", "occurred_at": at });
    if let Some(amount) = amount {
        data["amount"] = json!(amount.to_decimal().to_string());
        data["currency"] = json!(amount.currency.code());
    }
    Message { partner_id: partner.partner_id.clone(), id: format!("msg_demo_refund_{number:05}"), at, kind: "conversion.reversed", data }
}

/// A site's developer reaches one milestone after the other, and some never do.
fn successes(rng: &mut StdRng, partner: &Partner, referral_code: &str, first: DateTime<Utc>, period: Period) -> Vec<Message> {
    let mut at = first;
    let mut messages = Vec::new();
    for metric in &partner.success_metrics {
        at += TimeDelta::hours(rng.random_range(2..150));
        if at >= period.to || rng.random_bool(0.2) {
            break;
        }
        let evidence: serde_json::Map<_, _> =
            metric.required_data.iter().map(|key| (key.clone(), proof_of(key, at, rng.random_range(1000..9999)))).collect();
        let id = format!("success_{referral_code}_{}", metric.id);
        let data =
            json!({ "success_id": id, "metric": metric.id, "occurred_at": at, "evidence": evidence, "referral_code": referral_code });
        messages.push(Message { partner_id: partner.partner_id.clone(), id: format!("msg_demo_{id}"), at, kind: "success.achieved", data });
    }
    messages
}

/// A value of the type that the name of required data tells.
fn proof_of(key: &str, at: DateTime<Utc>, number: u32) -> Value {
    match key.rsplit('_').next() {
        Some("date" | "at") => json!(at.date_naive()),
        Some("url") => json!(format!("https://app-{number}.example")),
        Some("count") => json!(number),
        _ => json!(format!("{key}-{number}")),
    }
}

/// Conversions of the last hours that name a site without clicks: they wait until their window closes.
fn unmatched(rng: &mut StdRng, places: &[Place], partners: &[Partner], period: Period) -> Vec<Message> {
    let quiet = places.iter().filter(|place| place.popularity == 0.0).flat_map(|place| &place.links);
    let mut messages = Vec::new();
    for (index, link) in quiet.enumerate() {
        let Some(partner) = partners.iter().find(|partner| partner.partner_id == link.partner_id) else { continue };
        let at = period.to - TimeDelta::minutes(rng.random_range(30..900));
        let value = value(rng, partner);
        messages.push(purchase(rng, partner, 90_000 + index, at, value, json!({ "referral_code": link.referral_code })));
    }
    messages
}

/// Runs the messages through the workflows, partners side by side; tells how many conversions, successes and reversals that made.
pub async fn run(engine: &Engine, messages: &[Message]) -> Result<(usize, usize, usize)> {
    let mut lanes: BTreeMap<&PartnerId, Vec<&Message>> = BTreeMap::new();
    for message in messages {
        lanes.entry(&message.partner_id).or_default().push(message);
    }
    let done = futures::future::try_join_all(lanes.into_values().map(|lane| run_lane(engine, lane))).await?;
    insert_deliveries(engine, &done.concat()).await?;
    let count = |kind: &str| messages.iter().filter(|message| message.kind == kind).count();
    Ok((count("conversion.created"), count("success.achieved"), count("conversion.reversed")))
}

async fn run_lane(engine: &Engine, lane: Vec<&Message>) -> Result<Vec<Delivery>> {
    let mut deliveries = Vec::with_capacity(lane.len());
    for message in lane {
        deliveries.push(clock::at(message.at, process(engine, message)).await?);
    }
    Ok(deliveries)
}

async fn process(engine: &Engine, message: &Message) -> Result<Delivery> {
    let body = message.body().to_string();
    let id: WebhookDeliveryId = engine.new_id();
    let event =
        parse_event(&message.partner_id, &message.id, body.as_bytes()).map_err(|error| Error::invalid(error.field, error.reason))?;
    let mut work = Work::begin(engine).await?;
    let outcome = match event {
        Event::ConversionCreated(new) => match conversion::record(&mut work, &new, Source::Webhook, Some(id)).await? {
            conversion::Recorded::New(id, state) => {
                format!("conversion {id} {}", serde_json::to_value(state)?.as_str().unwrap_or_default())
            }
            conversion::Recorded::Duplicate(id) => format!("conversion {id} was there already"),
        },
        Event::ConversionReversed(new) => match reversal::record(&mut work, &new, Some(id)).await? {
            reversal::Recorded::Applied(id) => format!("reversal applied to conversion {id}"),
            reversal::Recorded::Waiting => "reversal waits for its conversion".to_owned(),
            reversal::Recorded::Duplicate => "reversal was there already".to_owned(),
        },
        Event::SuccessAchieved(new) => {
            let proof = Some(success::VerifiedBy::SignedWebhook);
            success::record(&mut work, &new, Source::Webhook, proof, Some(id)).await?.to_string()
        }
        Event::Nothing(why) => why,
    };
    work.commit().await?;
    Ok(Delivery {
        id,
        partner_id: message.partner_id.clone(),
        message_id: message.id.clone(),
        at: message.at,
        kind: message.kind,
        body,
        outcome: Ok(outcome),
    })
}

/// A row of the log of deliveries; an error for a dead one.
#[derive(Clone)]
struct Delivery {
    id: WebhookDeliveryId,
    partner_id: PartnerId,
    message_id: String,
    at: DateTime<Utc>,
    kind: &'static str,
    body: String,
    outcome: Result<String, String>,
}

/// Deliveries that were given up: partners that report a metric which was never agreed on.
pub async fn insert_dead(engine: &Engine, places: &[Place], partners: &[Partner], period: Period) -> Result<usize> {
    let mut dead = Vec::new();
    for (index, link) in (0_i32..).zip(places.iter().take(1).flat_map(|place| &place.links)) {
        let Some(partner) = partners.iter().find(|partner| partner.partner_id == link.partner_id) else { continue };
        let at = period.to - TimeDelta::hours(9) * (index + 1);
        let id = format!("success_unknown_{index}");
        let data = json!({ "success_id": id, "metric": "first_invite_sent", "occurred_at": at, "evidence": {}, "referral_code": link.referral_code });
        let message = Message { partner_id: link.partner_id.clone(), id: format!("msg_demo_{id}"), at, kind: "success.achieved", data };
        let error = format!("metric: `first_invite_sent` is none of {}'s metrics", partner.display_name);
        let body = message.body().to_string();
        dead.push(Delivery {
            id: new_id(at),
            partner_id: message.partner_id,
            message_id: message.id,
            at,
            kind: message.kind,
            body,
            outcome: Err(error),
        });
    }
    insert_deliveries(engine, &dead).await?;
    Ok(dead.len())
}

async fn insert_deliveries(engine: &Engine, deliveries: &[Delivery]) -> Result<()> {
    let ids: Vec<Uuid> = deliveries.iter().map(|delivery| delivery.id.0).collect();
    let partners: Vec<String> = deliveries.iter().map(|delivery| delivery.partner_id.to_string()).collect();
    let messages: Vec<String> = deliveries.iter().map(|delivery| delivery.message_id.clone()).collect();
    let bodies: Vec<Vec<u8>> = deliveries.iter().map(|delivery| delivery.body.clone().into_bytes()).collect();
    let times: Vec<DateTime<Utc>> = deliveries.iter().map(|delivery| delivery.at).collect();
    let kinds: Vec<String> = deliveries.iter().map(|delivery| delivery.kind.to_owned()).collect();
    let states: Vec<String> =
        deliveries.iter().map(|delivery| if delivery.outcome.is_ok() { "processed" } else { "dead" }.to_owned()).collect();
    let outcomes: Vec<Option<String>> = deliveries.iter().map(|delivery| delivery.outcome.clone().ok()).collect();
    let errors: Vec<Option<String>> = deliveries.iter().map(|delivery| delivery.outcome.clone().err()).collect();
    sqlx::query!(
        "insert into webhook_deliveries (webhook_delivery_id, partner_id, event_path, message_id, headers, body, received_at, state, attempts,
                                         next_attempt_at, event_type, outcome, last_error, processed_at)
         select id, partner, 'events', message, '{}', body, at, state, 1, at, kind, outcome, error, at
         from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::text[])
              as delivery (id, partner, message, body, at, state, kind, outcome, error)",
        &ids,
        &partners,
        &messages,
        &bodies,
        &times,
        &states,
        &kinds,
        &outcomes as &[Option<String>],
        &errors as &[Option<String>],
    )
    .execute(&engine.db)
    .await?;
    Ok(())
}
