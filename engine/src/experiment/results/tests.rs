//! Results are what the statistics say of the units themselves.

use chrono::{NaiveDate, TimeDelta};
use domain::{
    auth::Principal,
    experiment::{
        Bandit, Guardrail, Results,
        statistics::{Comparison, Verdict},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::PgPool;

use super::*;
use crate::{
    experiment::{
        fixture::{Fixture, begin, design},
        sums::{self, Place, Unit},
    },
    work::Work,
};

struct Seen {
    variant: usize,
    day: NaiveDate,
    unit: Unit,
}

/// Units over six days, of which the third has none; the second variant is better.
fn units(today: NaiveDate) -> Vec<Seen> {
    let mut rng = StdRng::seed_from_u64(7);
    let seen = (0..3_000).map(|number: usize| {
        let variant = number % 2;
        let days_ago = [5, 4, 2, 1, 0][rng.random_range(0..5)];
        let clicks_before = rng.random_range(0..6);
        let eager = f64::from(clicks_before) * 0.02 + [0.10, 0.18][variant];
        let clicks = if rng.random_bool(eager) { rng.random_range(1..4) } else { 0 };
        let conversions = i32::from(clicks > 0 && rng.random_bool(0.3));
        let successes = i32::from(conversions > 0 && rng.random_bool(0.5));
        let commission_minor = if conversions > 0 { rng.random_range(100..9_000) } else { 0 };
        Seen {
            variant,
            day: today - TimeDelta::days(days_ago),
            unit: Unit { clicks_before, clicks, conversions, successes, commission_minor },
        }
    });
    seen.collect()
}

async fn add(it: &Fixture, seen: &[Seen]) {
    for chunk in seen.chunks(500) {
        let mut work = Work::begin(&it.it.engine).await.unwrap();
        for Seen { variant, day, unit } in chunk {
            let variant = i16::try_from(*variant).unwrap();
            let place = Place { experiment_id: it.experiment_id, phase: 1, period: 0, variant, day: *day };
            *work.experiment_sums(place) += unit.sums();
        }
        work.commit().await.unwrap();
    }
}

/// The statistics of a metric over the units, summed up one by one.
fn direct(seen: &[Seen], variant: usize, until: NaiveDate, metric: Metric) -> ArmStatistics {
    let value = |unit: &Unit| match metric {
        Metric::ClickRate => i64::from(unit.clicks > 0),
        Metric::ConversionRate => i64::from(unit.conversions > 0),
        Metric::SuccessRate => i64::from(unit.successes > 0),
        Metric::ClicksPerUnit => unit.clicks.into(),
        Metric::CommissionPerUnit => unit.commission_minor,
    };
    let mut arm = ArmStatistics::default();
    let mut covariate = CovariateSums::default();
    for Seen { unit, .. } in seen.iter().filter(|seen| seen.variant == variant && seen.day <= until) {
        let (x, y) = (Decimal::from(unit.clicks_before), Decimal::from(value(unit)));
        arm.units += 1;
        arm.sum += y;
        arm.sum_squares += y * y;
        covariate.sum += x;
        covariate.sum_squares += x * x;
        covariate.sum_products += x * y;
    }
    ArmStatistics { covariate: Some(covariate), ..arm }
}

async fn shown(it: &Fixture) -> Results {
    results(&it.it.engine, &Principal::CommandLine, "cta", None).await.unwrap()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn every_figure_is_that_of_the_statistics_over_the_units_themselves(db: PgPool) {
    let mut design = design();
    design.guardrails = vec![Guardrail { metric: Metric::CommissionPerUnit, margin: 0.05 }];
    let it = begin(db, &design).await;
    let today = it.now().date_naive();
    let seen = units(today);
    add(&it, &seen).await;
    let shown = shown(&it).await;
    assert_eq!(shown.days.len(), 6, "the day without units is there as well");

    let mut strongest = None;
    for (row, day) in shown.days.iter().zip((today - TimeDelta::days(5)).iter_days()) {
        let arms = ["control", "try-it"].iter().enumerate();
        let arms = arms.map(|(variant, key)| ((*key).to_owned(), direct(&seen, variant, day, Metric::ClickRate))).collect();
        let mut question = Question::new(MetricKind::Rate, arms, vec![0.5, 0.5], design.plan);
        question.arms[1].evidence_before = strongest;
        question.guardrails = vec![GuardrailQuestion {
            metric: "commission_per_unit".to_owned(),
            kind: MetricKind::Mean,
            margin: 0.05,
            arms: (0..2).map(|variant| direct(&seen, variant, day, Metric::CommissionPerUnit)).collect(),
        }];
        let analysis = analyse(&question).unwrap();
        let Comparison { smallest_p: p, smallest_p_difference: difference, .. } = analysis.comparisons[0];
        strongest = Some(Evidence { p, difference });
        assert_eq!((row.day, &row.means), (day, &analysis.arms.iter().map(|arm| arm.mean).collect::<Vec<_>>()));
        assert_eq!(row.lifts[0].interval, analysis.comparisons[0].always_valid.lift_interval);
        let of_day = |variant| i64::try_from(seen.iter().filter(|seen| seen.variant == variant && seen.day == day).count()).unwrap();
        assert_eq!(row.exposures, [of_day(0), of_day(1)]);
        let conversions = |variant| {
            seen.iter().filter(|seen| seen.variant == variant && seen.day <= day).map(|seen| i64::from(seen.unit.conversions)).sum::<i64>()
        };
        assert_eq!(row.conversions, [conversions(0), conversions(1)]);
        if day == today {
            assert_eq!(shown.primary.analysis, analysis);
            assert!(analysis.variance_reduction.is_some(), "history helps");
            assert_eq!(shown.planner.units, 3_000);
        }
    }
    assert_eq!(shown.secondary.len(), 4);
    for MetricResult { metric, analysis } in &shown.secondary {
        for (variant, arm) in analysis.arms.iter().enumerate() {
            let statistics = direct(&seen, variant, today, *metric);
            assert_eq!((arm.units, Decimal::try_from(arm.sum).unwrap()), (statistics.units, statistics.sum), "{metric:?}");
        }
    }
    let commission: i64 = seen.iter().filter(|seen| seen.variant == 1).map(|seen| seen.unit.commission_minor).sum();
    assert_eq!(shown.variants[1].commission_minor, commission);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_pace_is_that_of_the_last_whole_days(db: PgPool) {
    let mut planned = design();
    planned.plan.planned_units = 2_000;
    let it = begin(db, &planned).await;
    let today = it.now().date_naive();
    sqlx::query("update experiment_phases set started_at = started_at - interval '20 days'").execute(&it.it.engine.db).await.unwrap();
    let unit = |clicks| Unit { clicks, ..Unit::default() };
    let days = [(20, 400), (3, 70), (0, 30)];
    let seen = days.iter().flat_map(|(days_ago, units)| {
        (0..*units).map(|number: i32| Seen {
            variant: usize::from(number % 2 == 1),
            day: today - TimeDelta::days(*days_ago),
            unit: unit(i32::from(number % 5 == 0)),
        })
    });
    add(&it, &seen.collect::<Vec<_>>()).await;
    let planner = shown(&it).await.planner;
    assert_eq!((planner.units, planner.planned_units, planner.days_left), (500, 2_000, Some(150)));
    assert!((planner.units_per_day - 10.0).abs() < 1e-9, "{planner:?}");
    assert_eq!(planner.baseline, Some(Baseline::Rate { rate: 0.2 }));
    let lift = planner.detectable_lift.unwrap();
    assert!(planner.needed_units.unwrap() > 2_000 && lift > 0.1 && lift < 1.0, "{planner:?}");
    assert_eq!((planner.units_by_end, planner.detectable_lift_by_end), (None, None));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn shares_that_differ_by_period_are_no_mismatch_and_wrong_ones_name_their_day(db: PgPool) {
    let it = begin(db, &design()).await;
    let today = it.now().date_naive();
    sqlx::query("insert into experiment_weights values ($1, 1, 1, '{0.1, 0.9}', null, now())")
        .bind(it.experiment_id)
        .execute(&it.it.engine.db)
        .await
        .unwrap();
    let add = |period, days_ago, units: [i64; 2]| {
        let it = &it;
        async move {
            let mut work = Work::begin(&it.it.engine).await.unwrap();
            for (variant, exposures) in (0..).zip(units) {
                let day = today - TimeDelta::days(days_ago);
                let place = Place { experiment_id: it.experiment_id, phase: 1, period, variant, day };
                *work.experiment_sums(place) += sums::Sums { exposures, clicked: exposures / 10, ..Default::default() };
            }
            work.commit().await.unwrap();
        }
    };
    add(0, 3, [1_000, 1_000]).await;
    add(1, 2, [200, 1_800]).await;
    let srm = shown(&it).await.primary.analysis.srm;
    assert_eq!((srm.is_alarm, &srm.observed), (false, &vec![1_200, 2_800]));
    add(1, 1, [1_500, 1_500]).await;
    add(0, 0, [10, 10]).await;
    let analysis = shown(&it).await.primary.analysis;
    let since = (today - TimeDelta::days(1)).and_time(NaiveTime::MIN).and_utc();
    assert!(analysis.srm.is_alarm);
    assert_eq!(analysis.verdict, Verdict::SampleRatioMismatch { since: Some(since) });
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_test_without_units_has_results_that_say_so_and_one_without_a_start_has_none(db: PgPool) {
    let it = begin(db, &design()).await;
    let shown = shown(&it).await;
    assert_eq!((shown.days.len(), shown.days[0].exposures.clone(), shown.planner.days_left), (1, vec![0, 0], None));
    assert!(matches!(shown.primary.analysis.verdict, Verdict::TooFewUnits { units: 0, .. }), "{:?}", shown.primary.analysis.verdict);
    assert_eq!(shown.planner.baseline, None);
    let text = serde_json::to_string(&shown).unwrap();
    assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), shown);

    let ask = |who: Principal, key: &'static str, phase| {
        let engine = it.it.engine.clone();
        async move { results(&engine, &who, key, phase).await.unwrap_err() }
    };
    assert!(matches!(ask(Principal::CommandLine, "cta", Some(2)).await, Error::NotFound { what } if what.contains("phase 2")));
    assert!(matches!(ask(Principal::CommandLine, "other", None).await, Error::NotFound { .. }));
    assert!(matches!(ask(Principal::Anonymous, "cta", None).await, Error::Unauthenticated));
    sqlx::query("update experiments set status = 'draft', phase = null").execute(&it.it.engine.db).await.unwrap();
    assert!(matches!(ask(Principal::CommandLine, "cta", None).await, Error::Conflict(reason) if reason.contains("never started")));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_test_whose_end_has_passed_is_over_though_nobody_stopped_it(db: PgPool) {
    let it = begin(db, &design()).await;
    let ending = Design { ends_at: Some(it.now() + TimeDelta::hours(1)), ..design() };
    sqlx::query("update experiment_phases set design = $1")
        .bind(serde_json::to_value(ending).unwrap())
        .execute(&it.it.engine.db)
        .await
        .unwrap();
    let clicks = |number: usize| i32::from(number % 10 < 2);
    let unit = |number| Unit { clicks: clicks(number), ..Unit::default() };
    let seen = (0..600).map(|number| Seen { variant: number % 2, day: it.now().date_naive(), unit: unit(number) });
    add(&it, &seen.collect::<Vec<_>>()).await;
    let verdict = shown(&it).await.primary.analysis.verdict;
    assert!(matches!(verdict, Verdict::KeepRunning { .. }), "{verdict:?}");
    it.it.engine.clock.advance(TimeDelta::hours(1));
    assert_eq!(shown(&it).await.primary.analysis.verdict, Verdict::Inconclusive { is_plan_reached: false });
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_long_phase_is_looked_at_on_some_evenings_and_always_on_the_last(db: PgPool) {
    let it = begin(db, &design()).await;
    let today = it.now().date_naive();
    let seen = (0..200).flat_map(|days_ago| {
        (0..2).map(move |variant| Seen { variant, day: today - TimeDelta::days(days_ago), unit: Unit { clicks: 1, ..Unit::default() } })
    });
    add(&it, &seen.collect::<Vec<_>>()).await;
    let days = shown(&it).await.days;
    let looked = days.iter().filter(|day| !day.means.is_empty() && day.lifts.len() == 1).count();
    assert_eq!((days.len(), looked, days[199].means.len()), (200, 67, 2));
    assert!(days.iter().all(|day| day.exposures == [1, 1]), "exposures are there for every day");
}

/// Exposures and clicked units of both variants on a day.
async fn put(it: &Fixture, days_ago: i64, variants: [(i64, i64); 2]) {
    let mut work = Work::begin(&it.it.engine).await.unwrap();
    for (variant, (exposures, clicked)) in (0..).zip(variants) {
        let day = it.now().date_naive() - TimeDelta::days(days_ago);
        let place = Place { experiment_id: it.experiment_id, phase: 1, period: 0, variant, day };
        *work.experiment_sums(place) += sums::Sums { exposures, clicked, ..Default::default() };
    }
    work.commit().await.unwrap();
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_an_evening_found_stays_found_though_its_figures_are_not_shown(db: PgPool) {
    let it = begin(db, &design()).await;
    // Of a hundred days every other one is shown, the last one among them.
    put(&it, 99, [(1, 0), (1, 0)]).await;
    put(&it, 49, [(4_999, 200), (4_999, 280)]).await;
    put(&it, 48, [(1_000, 90), (1_000, 20)]).await;
    put(&it, 0, [(10, 1), (10, 1)]).await;
    let shown = shown(&it).await;
    assert!(shown.days[50].means.is_empty() && !shown.days[51].means.is_empty());
    let comparison = &shown.primary.analysis.comparisons[0];
    assert!(comparison.smallest_p < 0.01 && comparison.always_valid.p > 0.5, "{comparison:?}");
    assert!(matches!(shown.primary.analysis.verdict, Verdict::Winner { .. }), "{:?}", shown.primary.analysis.verdict);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_mismatch_of_an_evening_stays_though_its_figures_are_not_shown(db: PgPool) {
    let it = begin(db, &design()).await;
    put(&it, 99, [(1, 0), (1, 0)]).await;
    put(&it, 49, [(1_000, 100), (100, 10)]).await;
    put(&it, 48, [(100, 10), (1_000, 100)]).await;
    put(&it, 0, [(10, 1), (10, 1)]).await;
    let shown = shown(&it).await;
    assert!(shown.days[50].means.is_empty() && !shown.primary.analysis.srm.is_alarm);
    let since = shown.days[50].day.and_time(NaiveTime::MIN).and_utc();
    assert_eq!(shown.primary.analysis.verdict, Verdict::SampleRatioMismatch { since: Some(since) });
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_weight_of_nothing_leaves_the_results_to_be_read(db: PgPool) {
    let it = begin(db, &Design { bandit: Some(Bandit { floor: 0.0 }), ..design() }).await;
    put(&it, 1, [(500, 5), (500, 200)]).await;
    sqlx::query("insert into experiment_weights values ($1, 1, 1, '{0, 1}', '{0, 1}', now())")
        .bind(it.experiment_id)
        .execute(&it.it.engine.db)
        .await
        .unwrap();
    let shown = shown(&it).await;
    assert!(matches!(shown.primary.analysis.verdict, Verdict::Winner { .. }), "{:?}", shown.primary.analysis.verdict);
    assert!(shown.planner.baseline.is_some());
    assert_eq!((shown.planner.needed_units, shown.planner.detectable_lift), (None, None));
}
