//! What the results of a test cost when it has ever more exposures: they are read from sums by day, beside the same summed up from the rows.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use domain::{
    Currency, ExperimentId,
    auth::Principal,
    experiment::{Design, Eligibility, ExperimentKind, Guardrail, Metric, Payload, Plan, UnitKind, Variant},
};
use engine::{Engine, experiment};

use crate::{Result, place::Place};

/// What the specification allows for the results page of a test with 10 million exposures.
const MILLIS_MAX: f64 = 200.0;

const DAYS: i32 = 60;

/// As many as several busy processes make: eight rows to choose from, and four writers each.
const SHARDS: i32 = 32;

const ROUNDS: usize = 21;

/// Fills tests with exposures over 60 days and times their results. Fails if those of the largest take longer than 200 ms.
pub async fn run(place: &Place, sizes: &[u32]) -> Result<ExitCode> {
    let engine = place.engine().await?;
    println!("{:>12}  {:>10}  {:>12}  {:>12}  {:>8}  {:>14}", "exposures", "rows", "median", "slowest", "ratio", "from the rows");
    let mut first = None;
    let mut last = 0.0;
    for size in sizes {
        let key = format!("size-{size}");
        let (experiment_id, rows) = plant(&engine, &key, *size).await?;
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let results = experiment::results(&engine, &Principal::CommandLine, &key, None).await?;
            times.push(millis(started.elapsed()));
            if results.primary.analysis.units != u64::from(*size) || results.days.len() != usize::try_from(DAYS)? {
                return Err(format!(
                    "{} units over {} days, expected {size} over {DAYS}",
                    results.primary.analysis.units,
                    results.days.len()
                )
                .into());
            }
        }
        times.sort_by(f64::total_cmp);
        let (median, slowest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
        let naive = sum_rows(&engine, experiment_id).await?;
        let ratio = median / *first.get_or_insert(median);
        println!("{size:>12}  {rows:>10}  {median:>9.1} ms  {slowest:>9.1} ms  {ratio:>8.2}  {naive:>11.0} ms");
        last = slowest;
    }
    println!("the slowest of the largest took {last:.1} ms of at most {MILLIS_MAX:.0} ms");
    Ok(if last <= MILLIS_MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn design() -> Design {
    let variant = |key: &str, payload| Variant { key: key.to_owned(), name: key.to_owned(), weight: 0.25, payload };
    let text = |text: &str| Payload::Cta { text: text.to_owned() };
    Design {
        name: "Call to action".to_owned(),
        hypothesis: String::new(),
        kind: ExperimentKind::Cta,
        unit: UnitKind::Visitor,
        variants: vec![variant("control", Payload::Unchanged), variant("b", text("b")), variant("c", text("c")), variant("d", text("d"))],
        traffic_allocation: 1.0,
        primary_metric: Metric::ClickRate,
        guardrails: vec![Guardrail { metric: Metric::CommissionPerUnit, margin: 0.05 }],
        eligibility: Eligibility::default(),
        exclusion_group: None,
        starts_at: None,
        ends_at: None,
        plan: Plan { planned_units: 10_000_000, ..Plan::default() },
        bandit: None,
        currency: Currency::USD,
    }
}

/// A running test of four variants; tells its id and how many rows of sums it has.
async fn plant(engine: &Engine, key: &str, exposures: u32) -> Result<(ExperimentId, i64)> {
    let experiment_id: ExperimentId = engine.new_id();
    let (design, weights) = (serde_json::to_value(design())?, design().weights());
    let mut tx = engine.db.begin().await?;
    for statement in [
        "insert into experiments (experiment_id, key, status, owner, design, phase, created_at)
         select $1, $2, 'running', 'bench', $3, 1, now() - interval '60 days' where cardinality($4::float8[]) = 4",
        "insert into experiment_phases (experiment_id, phase, seed, design, started_at)
         select $1, 1, $2, $3, now() - interval '60 days' where cardinality($4::float8[]) = 4",
        "insert into experiment_weights (experiment_id, phase, period, weights, since)
         select $1, 1, 0, $4, now() - interval '60 days' where $2::text <> '' and $3::jsonb is not null",
    ] {
        sqlx::query(statement).bind(experiment_id).bind(key).bind(&design).bind(&weights).execute(&mut *tx).await?;
    }
    // Some 5 % click, a third of those buy; who clicked before clicks more often.
    sqlx::query(
        "insert into experiment_exposures (experiment_id, phase, period, unit, variant, exposed_at, propensity, recommendation_id, clicks_before,
                                           clicks, conversions, successes, commission_minor, changed_on)
         select $1, 1, 0, 'v' || number, number % 4, now() - (number % $3) * interval '1 day', 0.25, '00000000-0000-7000-8000-000000000000', x,
                clicked::int * (1 + number % 3), bought::int, (bought and number % 2 = 0)::int, bought::int * (500 + number % 4000),
                ((now() - (number % $3) * interval '1 day') at time zone 'UTC')::date
         from (select number, x, dice < 0.03 + 0.02 * x + 0.001 * (number % 4) as clicked, dice < 0.015 as bought
               from (select number, number % 3 as x, random() as dice from generate_series(1, $2::int) as number) rolled) units",
    )
    .bind(experiment_id)
    .bind(i32::try_from(exposures)?)
    .bind(DAYS)
    .execute(&mut *tx)
    .await?;
    let rows = sqlx::query(
        "insert into experiment_sums (experiment_id, phase, period, variant, day, shard, exposures, clicked, converted, succeeded, clicks, clicks_squares,
                                      conversions, commission_minor, commission_squares, x, x_squares, x_clicked, x_converted, x_succeeded, x_clicks,
                                      x_commission)
         select experiment_id, phase, period, variant, (exposed_at at time zone 'UTC')::date, abs(hashtext(unit)) % $2, count(*),
                count(*) filter (where clicks > 0), count(*) filter (where conversions > 0), count(*) filter (where successes > 0), sum(clicks),
                sum(clicks * clicks), sum(conversions), sum(commission_minor), sum(commission_minor * commission_minor), sum(clicks_before),
                sum(clicks_before * clicks_before), coalesce(sum(clicks_before) filter (where clicks > 0), 0),
                coalesce(sum(clicks_before) filter (where conversions > 0), 0), coalesce(sum(clicks_before) filter (where successes > 0), 0),
                sum(clicks_before * clicks), sum(clicks_before * commission_minor)
         from experiment_exposures
         where experiment_id = $1
         group by 1, 2, 3, 4, 5, 6",
    )
    .bind(experiment_id)
    .bind(SHARDS)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    sqlx::raw_sql("analyze experiment_exposures; analyze experiment_sums").execute(&engine.db).await?;
    Ok((experiment_id, i64::try_from(rows)?))
}

/// The time that summing up the exposures themselves takes, once.
async fn sum_rows(engine: &Engine, experiment_id: ExperimentId) -> Result<f64> {
    let started = Instant::now();
    sqlx::query(
        "select variant, (exposed_at at time zone 'UTC')::date, count(*), count(*) filter (where clicks > 0), sum(clicks), sum(clicks * clicks),
                sum(commission_minor), sum(commission_minor * commission_minor), sum(clicks_before), sum(clicks_before * clicks)
         from experiment_exposures
         where experiment_id = $1
         group by 1, 2",
    )
    .bind(experiment_id)
    .fetch_all(&engine.db)
    .await?;
    Ok(millis(started.elapsed()))
}
