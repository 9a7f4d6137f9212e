//! Bandits: weights that follow the results, period by period.
//!
//! The chance of each variant to be best is taken over the whole phase. Units keep the period that they were first exposed in, with its
//! propensity, so that what the weights did can be undone in an analysis.

use std::time::Duration;

use chrono::TimeDelta;
use domain::{
    experiment::{
        Status,
        statistics::{MetricKind, bandit_weights},
    },
    live::LiveEvent,
};

use super::{results, running, store};
use crate::{Engine, Error, Result, work::Work};

/// How long weights stay, so that a period has something to show.
const PERIOD_MIN: TimeDelta = TimeDelta::minutes(10);

/// Less of a change in every weight is no change.
const CHANGE_MIN: f64 = 0.001;

const PAUSE: Duration = Duration::from_secs(60);

/// Moves the weights of the bandits that are due, for as long as the process lives.
pub async fn reweigh_loop(engine: Engine) {
    loop {
        tokio::time::sleep(PAUSE).await;
        match reweigh_due(&engine).await {
            Ok(0) => {}
            Ok(changed) => tracing::info!(changed, "bandits moved their weights"),
            Err(error) => tracing::warn!(%error, "bandits could not move their weights; trying again"),
        }
    }
}

/// Gives each running bandit new weights whose last ones are ten minutes old, once every variant has 100 units; tells how many got some.
pub async fn reweigh_due(engine: &Engine) -> Result<u64> {
    let due = sqlx::query_scalar!(
        "select key
         from experiments e
         where status = 'running' and jsonb_typeof(design -> 'bandit') = 'object'
           and not exists (select from experiment_weights w where w.experiment_id = e.experiment_id and w.phase = e.phase and w.since > $1)
         order by key",
        engine.now() - PERIOD_MIN,
    )
    .fetch_all(&engine.db)
    .await?;
    let mut changed = 0;
    for key in due {
        changed += u64::from(reweigh(engine, &key).await?);
    }
    Ok(changed)
}

async fn reweigh(engine: &Engine, key: &str) -> Result<bool> {
    let mut work = Work::begin(engine).await?;
    let now = work.now();
    // Whoever else reweighs or edits it waits here, and sees what this one did.
    let experiment = store::lock(work.connection(), key).await?;
    let (Some(bandit), Some(phase), Status::Running) = (experiment.design.bandit, &experiment.phase, experiment.status) else {
        return Ok(false);
    };
    let last = sqlx::query_scalar!(
        r#"select max(since) as "since!" from experiment_weights where experiment_id = $1 and phase = $2"#,
        experiment.experiment_id.0,
        phase.number,
    )
    .fetch_one(work.connection())
    .await?;
    if last > now - PERIOD_MIN || experiment.design.ends_at.is_some_and(|end| end <= now) {
        return Ok(false);
    }
    let metric = experiment.design.primary_metric;
    let totals = results::totals(work.connection(), &experiment, phase.number).await?;
    let arms: Vec<_> = totals.iter().map(|totals| totals.of(metric, false)).collect();
    let Some(new) = bandit_weights(MetricKind::from(metric), &arms, bandit.floor).map_err(Error::internal)? else { return Ok(false) };
    let weights = new.dealt(bandit.floor);
    if weights.iter().zip(&phase.weights).all(|(new, old)| (new - old).abs() < CHANGE_MIN) {
        return Ok(false);
    }
    sqlx::query!(
        "insert into experiment_weights (experiment_id, phase, period, weights, chances, since) values ($1, $2, $3, $4, $5, $6)",
        experiment.experiment_id.0,
        phase.number,
        phase.period + 1,
        &weights,
        &new.chances_to_be_best,
        now,
    )
    .execute(work.connection())
    .await?;
    running::bump(work.connection()).await?;
    work.announce(LiveEvent::Experiment { experiment_id: experiment.experiment_id });
    work.commit().await?;
    Ok(true)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use chrono::NaiveDate;
    use domain::{
        auth::Principal,
        experiment::{Bandit, Design},
    };
    use sqlx::PgPool;

    use super::*;
    use crate::experiment::{
        fixture::{Fixture, begin, design},
        results::results,
    };

    fn bandit() -> Design {
        Design { bandit: Some(Bandit { floor: 0.1 }), ..design() }
    }

    async fn add(it: &Fixture, variant: i16, exposures: i64, clicked: i64) {
        sqlx::query(
            "insert into experiment_sums (experiment_id, phase, period, variant, day, shard, exposures, clicked) values ($1, 1, 0, $2, $3, 0, $4, $5)
             on conflict (experiment_id, phase, period, variant, day, shard) do update
             set exposures = experiment_sums.exposures + excluded.exposures, clicked = experiment_sums.clicked + excluded.clicked",
        )
        .bind(it.experiment_id)
        .bind(variant)
        .bind(day(it))
        .bind(exposures)
        .bind(clicked)
        .execute(&it.it.engine.db)
        .await
        .unwrap();
    }

    fn day(it: &Fixture) -> NaiveDate {
        it.now().date_naive()
    }

    async fn revision(it: &Fixture) -> i64 {
        it.number("select revision from experiment_revision").await
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn weights_move_towards_the_better_variant_and_never_below_the_floor(db: PgPool) {
        let it = begin(db, &bandit()).await;
        let before = revision(&it).await;
        add(&it, 0, 99, 5).await;
        add(&it, 1, 150, 20).await;
        assert_eq!(reweigh_due(&it.it.engine).await.unwrap(), 0, "99 units say nothing");
        add(&it, 0, 51, 3).await;
        let (one, other) = tokio::join!(reweigh_due(&it.it.engine), reweigh_due(&it.it.engine));
        assert_eq!((one.unwrap() + other.unwrap(), revision(&it).await), (1, before + 1), "once, whoever looks");
        let shown = results(&it.it.engine, &Principal::CommandLine, "cta", None).await.unwrap();
        let [first, second] = &shown.weights[..] else { panic!("{:?}", shown.weights) };
        assert_eq!((first.period, &first.chances, second.period), (0, &None, 1));
        let chances = second.chances.clone().unwrap();
        assert!(second.weights[1] > 0.7 && second.weights[0] >= 0.1, "{second:?}");
        assert!((second.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9 && chances[1] > 0.9, "{second:?}");
        let is_whole = |weight: &f64| (weight * 10_000.0 - (weight * 10_000.0).round()).abs() < 1e-6;
        assert!(second.weights.iter().all(is_whole), "finer weights cannot be dealt: {second:?}");
        assert!((shown.variants[1].weight - second.weights[1]).abs() < 1e-12, "the present weight is the latest");

        add(&it, 1, 1_000, 400).await;
        assert_eq!(reweigh_due(&it.it.engine).await.unwrap(), 0, "not within ten minutes");
        it.it.engine.clock.advance(TimeDelta::minutes(11));
        assert_eq!(reweigh_due(&it.it.engine).await.unwrap(), 1);
        let shown = results(&it.it.engine, &Principal::CommandLine, "cta", None).await.unwrap();
        assert!((shown.weights[2].weights[0] - 0.1).abs() < 1e-3, "{:?}", shown.weights);
        it.it.engine.clock.advance(TimeDelta::minutes(11));
        assert_eq!(reweigh_due(&it.it.engine).await.unwrap(), 0, "the same weights are no new period");
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn only_a_running_bandit_moves_its_weights(db: PgPool) {
        let it = begin(db, &design()).await;
        add(&it, 0, 500, 5).await;
        add(&it, 1, 500, 200).await;
        assert_eq!(reweigh_due(&it.it.engine).await.unwrap(), 0, "no bandit");
        let paused = serde_json::to_value(bandit()).unwrap();
        sqlx::query("update experiments set design = $1, status = 'paused'").bind(paused).execute(&it.it.engine.db).await.unwrap();
        assert_eq!(reweigh_due(&it.it.engine).await.unwrap(), 0, "paused");
        sqlx::query("update experiments set status = 'running'").execute(&it.it.engine.db).await.unwrap();
        assert_eq!(reweigh_due(&it.it.engine).await.unwrap(), 1);
    }
}
