//! Signed conversions at a steady rate, whatever the answers take: how long the acknowledgement and the ledger take.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use engine::{
    click::{self, Click},
    simulation,
};

use crate::{
    Result,
    partner::{Sender, a_click, a_sale},
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
    let links = plant(&engine, 0..SITES).await?;
    let clicks: Vec<Click> = (0..rate * seconds).map(|number| a_click(&links[number as usize % links.len()])).collect();
    click::insert_history(&engine, &clicks).await?;
    let sender = Sender::new(&engine, &links).await?;
    let address = free_address()?;
    let server = place.serve(&address).await?;

    let processes = [server.id(), child("postgres").ok_or("Postgres is gone")?, child("redis-server").ok_or("Redis is gone")?];
    let before = processes.map(cpu_seconds);
    let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut sending = tokio::task::JoinSet::new();
    for (number, click) in clicks.iter().enumerate() {
        let sale = a_sale(&engine, &format!("{PREFIX}order-{number}"), number, "49.00", click);
        let request = sender.request(&address, &click.partner_id, &format!("{PREFIX}{number}"), &sale)?;
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

/// Of ascending values; 0 of none.
fn percentile(ascending: &[f64], percent: usize) -> f64 {
    ascending.get((ascending.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0.0)
}
