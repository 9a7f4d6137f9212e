//! Signed conversions at a steady rate, whatever the answers take: how long the acknowledgement and the ledger take.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use domain::{
    SessionId,
    auth::Principal,
    click::{AgentClass, ClickToken, partner_digest},
    partner::{SecretPurpose, WebhookScheme},
    referral_code::code_digest,
    signature,
};
use engine::{
    Engine,
    click::{self, Click},
    new_id, partner,
    simulation::{self, PlantedLink},
};
use serde_json::{Value, json};

use crate::{
    Result,
    place::{Place, free_address, plant},
    processes::{child, cpu_seconds},
};

const SITES: usize = 100;
const PREFIX: &str = "bench-";
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends, waits for the ledger, and prints; exits 1 if a conversion is missing or the books do not hold.
pub async fn run(place: &Place, rate: u32, seconds: u32) -> Result<ExitCode> {
    let engine = place.engine().await?;
    click::ensure_partitions(&engine, 1).await?;
    let links = plant(&engine, SITES).await?;
    let clicks: Vec<Click> = (0..rate * seconds).map(|number| a_click(&links[number as usize % links.len()])).collect();
    click::insert_history(&engine, &clicks).await?;
    let mut secrets = std::collections::HashMap::new();
    for link in &links {
        if !secrets.contains_key(&link.partner_id) {
            let secret = partner::set_secret(&engine, &Principal::CommandLine, &link.partner_id, SecretPurpose::Webhook, None).await?;
            secrets.insert(link.partner_id.clone(), secret);
        }
    }
    let address = free_address()?;
    let server = place.serve(&address).await?;
    let http = reqwest::Client::new();

    let processes = [server.id(), child("postgres").ok_or("Postgres is gone")?, child("redis-server").ok_or("Redis is gone")?];
    let before = processes.map(cpu_seconds);
    let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut sending = tokio::task::JoinSet::new();
    for (number, click) in clicks.iter().enumerate() {
        let body = conversion(&engine, number, click).to_string();
        let id = format!("{PREFIX}{number}");
        let signed = signature::sign(WebhookScheme::StandardWebhooks, &secrets[&click.partner_id], &id, body.as_bytes(), Utc::now())?;
        let url = format!("http://{address}/webhooks/{}/events", click.partner_id);
        let request = signed.into_iter().fold(http.post(url), |request, (name, value)| request.header(name, value)).body(body);
        // from when it was due, so that a slow answer does not hide the wait of the next
        let due = tick.tick().await.into_std();
        sending.spawn(async move {
            request.send().await.is_ok_and(|answer| answer.status().is_success()).then(|| due.elapsed().as_secs_f64() * 1000.0)
        });
    }
    let mut acknowledged: Vec<f64> = sending.join_all().await.into_iter().flatten().collect();
    acknowledged.sort_by(f64::total_cmp);
    let end = Instant::now() + PATIENCE;
    while simulation::delivery_counts(&engine, PREFIX).await?.waiting > 0 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let cpu: f64 = processes.map(cpu_seconds).iter().zip(before).map(|(after, before)| after - before).sum();

    let booked = simulation::ledger_latencies_ms(&engine, PREFIX).await?;
    let report = engine::ledger::verify(&engine).await?;
    println!("| {} webhooks at {rate}/s | p50 ms | p99 ms | max ms |\n| --- | ---: | ---: | ---: |", clicks.len());
    for (name, values) in [("sent to acknowledged", &acknowledged), ("received to ledger entry", &booked)] {
        println!("| {name} | {:.1} | {:.1} | {:.1} |", percentile(values, 50), percentile(values, 99), percentile(values, 100));
    }
    println!(
        "\nacknowledged {}, booked {}, CPU per conversion {:.2} ms, ledger verify: {} findings",
        acknowledged.len(),
        booked.len(),
        cpu * 1000.0 / clicks.len() as f64,
        report.findings.len()
    );
    let complete = acknowledged.len() == clicks.len() && booked.len() == clicks.len() && report.findings.is_empty();
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn a_click(link: &PlantedLink) -> Click {
    let clicked_at = Utc::now() - TimeDelta::hours(2);
    Click {
        click_id: new_id(clicked_at),
        clicked_at,
        referral_code: link.referral_code.clone(),
        partner_id: link.partner_id.clone(),
        site_id: link.site_id,
        developer_hash: link.developer_hash.clone(),
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

/// Every other one claims its click by the code and session, which the cache does not know, so that it reads the table.
fn conversion(engine: &Engine, number: usize, click: &Click) -> Value {
    let mut data =
        json!({ "conversion_id": format!("{PREFIX}order-{number}"), "occurred_at": Utc::now(), "amount": "49.00", "currency": "USD" });
    if number.is_multiple_of(2) {
        let token = ClickToken {
            click_id: click.click_id,
            session_id: click.session_id,
            code_digest: code_digest(&click.referral_code),
            partner_digest: partner_digest(&click.partner_id),
        };
        data["click_id"] = json!(token.sign(&engine.keys.click_mac));
    } else {
        data["referral_code"] = json!(click.referral_code);
        data["session_id"] = json!(click.session_id);
    }
    json!({ "type": "conversion.created", "timestamp": Utc::now(), "data": data })
}

/// Of ascending values; 0 of none.
fn percentile(ascending: &[f64], percent: usize) -> f64 {
    ascending.get((ascending.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0.0)
}
