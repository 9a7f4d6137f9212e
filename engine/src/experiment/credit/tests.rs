//! From what is seen, clicked and bought to the sums that results are read from.

use chrono::TimeDelta;
use domain::{
    RecommendationId, SessionId, SuccessEventId,
    analysis::SourceFile,
    auth::{Principal, Role},
    experiment::{Bandit, Design, Step},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use sqlx::PgPool;

use super::{CountedClick, conversions, credit_clicks, credit_since, purge};
use crate::{
    click::{self, Click},
    clock, exchange,
    experiment::{
        self, Shown, bandit,
        fixture::{Fixture, begin, design, supabase},
    },
    partner,
    recommendation::{Asker, Forced, for_site, record_impressions},
    site, success, testing,
};

fn counted(clicks: &[Click]) -> Vec<CountedClick> {
    clicks.iter().filter_map(CountedClick::of).collect()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_unit_is_exposed_once_however_often_and_at_once_its_widgets_report(db: PgPool) {
    let it = begin(db, &design()).await;
    let given: Vec<RecommendationId> =
        futures::future::join_all((0..8).map(|_| async { it.give(0, Some("v1"), &[it.shown("v1", 1)]).await })).await;
    let reports = given.iter().chain(&given).map(|id| async { record_impressions(&it.it.engine, *id, &[supabase()]).await.unwrap() });
    futures::future::join_all(reports).await;
    assert_eq!(it.number("select count(*) from experiment_exposures").await, 1);
    assert_eq!(it.number("select sum(exposures)::bigint from experiment_sums").await, 1);
    it.assert_sums_are_those_of_the_rows().await;
    let announced = it.it.engine.clicks.metrics.take_experiments();
    assert_eq!((announced.contains(&it.experiment_id), it.it.engine.clicks.metrics.take_experiments().len()), (true, 0));

    // Another phase counts anew.
    sqlx::query("insert into experiment_phases select experiment_id, 2, 'cta-2', design, started_at from experiment_phases")
        .execute(&it.it.engine.db)
        .await
        .unwrap();
    let other = Shown { phase: 2, ..it.shown("v1", 0) };
    let id = it.give(0, Some("v1"), &[other]).await;
    record_impressions(&it.it.engine, id, &[supabase()]).await.unwrap();
    assert_eq!(it.number("select count(*) from experiment_exposures").await, 2);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_unit_that_a_bandit_moves_counts_once_and_for_what_it_saw_first(db: PgPool) {
    let it = begin(db, &design()).await;
    let first = it.give(0, Some("v1"), &[it.shown("v1", 0)]).await;
    record_impressions(&it.it.engine, first, &[supabase()]).await.unwrap();
    let moved = Shown { period: 1, propensity: 0.9, ..it.shown("v1", 1) };
    let second = it.give(0, Some("v1"), &[moved]).await;
    record_impressions(&it.it.engine, second, &[supabase()]).await.unwrap();
    let clicks = [it.click(0, first).await, it.click(0, second).await];
    credit_clicks(&it.it.engine, &counted(&clicks)).await.unwrap();
    it.it.engine.clock.advance(TimeDelta::minutes(10));
    it.sell("ord_1", "100.00", "USD", json!({ "click_id": it.token(&clicks[1]) })).await;
    it.settle().await;

    assert_eq!(it.number("select count(*) from experiment_exposures where (period, variant, propensity) = (0, 0, 0.5)").await, 1);
    assert_eq!(it.number("select count(*) from experiment_exposures").await, 1);
    assert_eq!(it.unit("v1").await, Some((2, 1, 0, 2000)), "the clicks of both periods, and the sale");
    it.assert_sums_are_those_of_the_rows().await;
    let results = experiment::results(&it.it.engine, &Principal::CommandLine, "cta", None).await.unwrap();
    assert_eq!(results.primary.analysis.srm.observed, [1, 0], "a unit counts in the period in which it was first exposed");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn only_who_sees_an_offer_that_the_test_changes_is_exposed(db: PgPool) {
    let it = begin(db, &design()).await;
    let of_supabase = Shown { partner_ids: vec![supabase()], ..it.shown("v1", 0) };
    let id = it.give(0, Some("v1"), &[of_supabase]).await;
    record_impressions(&it.it.engine, id, &["figma".parse().unwrap()]).await.unwrap();
    assert_eq!(it.unit("v1").await, None);
    record_impressions(&it.it.engine, id, &[supabase()]).await.unwrap();
    assert_eq!(it.unit("v1").await, Some((0, 0, 0, 0)));
    // Previews, and visitors who ask not to be tracked, are logged without tests.
    let id = it.give(0, None, &[]).await;
    record_impressions(&it.it.engine, id, &[supabase()]).await.unwrap();
    credit_clicks(&it.it.engine, &counted(&[it.click(0, id).await])).await.unwrap();
    assert_eq!(it.number("select count(*) from experiment_exposures").await, 1);
    assert_eq!(it.number("select count(*) from unit_clicks").await, 1, "the site's alone");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_phase_that_is_over_takes_only_those_who_were_given_it_before(db: PgPool) {
    let it = begin(db, &design()).await;
    let before = it.give(0, Some("v1"), &[it.shown("v1", 0)]).await;
    it.it.engine.clock.advance(TimeDelta::minutes(1));
    sqlx::query("update experiment_phases set ended_at = $1").bind(it.now()).execute(&it.it.engine.db).await.unwrap();
    it.it.engine.clock.advance(TimeDelta::minutes(1));
    let after = it.give(0, Some("v2"), &[it.shown("v2", 1)]).await;
    for id in [before, after] {
        record_impressions(&it.it.engine, id, &[supabase()]).await.unwrap();
    }
    assert_eq!((it.unit("v1").await.is_some(), it.unit("v2").await.is_some()), (true, false));
    // Nor does a click, and it is credited to nobody.
    let clicks = [it.click(0, after).await];
    credit_clicks(&it.it.engine, &counted(&clicks)).await.unwrap();
    assert_eq!((it.unit("v2").await, it.number("select sum(clicks)::bigint from experiment_exposures").await), (None, 0));
    it.assert_sums_are_those_of_the_rows().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_click_is_credited_once_by_two_instances_that_look_at_it_twice(db: PgPool) {
    let it = begin(db.clone(), &design()).await;
    let other = testing::engine(db);
    let mut clicks = Vec::new();
    for visitor in ["v1", "v2", "v3"] {
        let id = it.give(0, Some(visitor), &[it.shown(visitor, 1)]).await;
        for _ in 0..5 {
            clicks.push(it.click(0, id).await);
        }
    }
    let (forth, back) = (counted(&clicks), counted(&clicks).into_iter().rev().collect::<Vec<_>>());
    let since = it.now() - TimeDelta::hours(1);
    let (a, b, c, d) = tokio::join!(
        credit_clicks(&it.it.engine, &forth),
        credit_clicks(&other, &back),
        credit_since(&other, since),
        credit_since(&it.it.engine, since),
    );
    assert_eq!(a.unwrap() + b.unwrap() + c.unwrap() + d.unwrap(), 15);
    assert_eq!(credit_since(&other, since).await.unwrap(), 0);
    for visitor in ["v1", "v2", "v3"] {
        assert_eq!(it.unit(visitor).await, Some((5, 0, 0, 0)), "exposed by the click, and each counted once");
    }
    assert_eq!(it.number("select sum(clicks)::bigint from unit_clicks").await, 30, "for the visitors and for their site");
    it.assert_sums_are_those_of_the_rows().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_redirect_hands_its_click_over_and_the_drain_credits_its_own(db: PgPool) {
    let it = begin(db, &design()).await;
    let id = it.give(0, Some("v1"), &[it.shown("v1", 1)]).await;
    let alias = it.it.links[0].alias.clone();
    let visit =
        click::Visit { user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), ..Default::default() };
    click::follow(&it.it.engine, &alias, click::Visit { recommendation_id: Some(id), ..visit }).await.unwrap();
    let mut handed = it.it.engine.clicks.store.handover.take().unwrap();
    let clicks = handed.try_recv().unwrap();
    assert_eq!((clicks.len(), clicks[0].recommendation_id), (1, id));
    credit_clicks(&it.it.engine, &clicks).await.unwrap();
    assert_eq!(it.unit("v1").await, Some((1, 0, 0, 0)));

    let late = it.new_click(0, id, None);
    for _ in 0..2 {
        it.it.engine.clicks.store.insert_late(&it.it.engine, std::slice::from_ref(&late)).await.unwrap();
    }
    assert_eq!(it.unit("v1").await, Some((2, 0, 0, 0)));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_click_that_names_the_recommendation_of_another_site_or_is_not_counted_is_credited_to_nobody(db: PgPool) {
    let it = begin(db, &design()).await;
    let id = it.give(0, Some("v1"), &[it.shown("v1", 1)]).await;
    let foreign = it.click(1, id).await;
    let unknown = it.click(0, it.it.engine.new_id()).await;
    let repeat = Click { counted: false, ..it.new_click(0, id, None) };
    click::insert_history(&it.it.engine, std::slice::from_ref(&repeat)).await.unwrap();
    assert_eq!(counted(std::slice::from_ref(&repeat)), []);
    credit_clicks(&it.it.engine, &counted(&[foreign, unknown])).await.unwrap();
    credit_since(&it.it.engine, it.now() - TimeDelta::hours(1)).await.unwrap();
    assert_eq!((it.unit("v1").await, it.number("select count(*) from unit_clicks").await), (None, 0));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn clicks_of_the_four_weeks_before_are_the_covariate_and_are_forgotten_later(db: PgPool) {
    let it = begin(db, &design()).await;
    for (days_ago, clicks) in [(29, 100), (28, 10), (1, 2), (0, 1)] {
        sqlx::query("insert into unit_clicks values ('v1', $1, $2)")
            .bind(it.now().date_naive() - TimeDelta::days(days_ago))
            .bind(clicks)
            .execute(&it.it.engine.db)
            .await
            .unwrap();
    }
    let id = it.give(0, Some("v1"), &[it.shown("v1", 1)]).await;
    credit_clicks(&it.it.engine, &counted(&[it.click(0, id).await, it.click(0, id).await])).await.unwrap();
    assert_eq!(it.number("select clicks_before::bigint from experiment_exposures").await, 12);
    it.assert_sums_are_those_of_the_rows().await;
    let it = &it;
    let forgets_after = |days| async move {
        it.it.engine.clock.advance(TimeDelta::days(days));
        purge(&it.it.engine).await.unwrap();
        (it.number("select count(*) from experiment_clicks").await, it.number("select count(*) from unit_clicks").await)
    };
    assert_eq!(forgets_after(6).await, (2, 5));
    assert_eq!(forgets_after(2).await, (0, 5));
    assert_eq!(forgets_after(60).await, (0, 0));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_cannot_be_credited_keeps_no_other_waiting(db: PgPool) {
    let it = begin(db, &design()).await;
    let mut clicks = Vec::new();
    for visitor in ["v1", "v2", "v3"] {
        let id = it.give(0, Some(visitor), &[it.shown(visitor, 1)]).await;
        clicks.push(it.click(0, id).await);
    }
    // A row of the log that nobody can read.
    sqlx::query("update recommendations set experiments = '[{}]' where visitor = 'v2'").execute(&it.it.engine.db).await.unwrap();
    assert_eq!(credit_since(&it.it.engine, it.now() - TimeDelta::hours(1)).await.unwrap(), 2);
    it.it.engine.clock.advance(TimeDelta::minutes(10));
    for (id, click) in [("ord_1", &clicks[1]), ("ord_2", &clicks[0])] {
        it.sell(id, "100.00", "USD", json!({ "click_id": it.token(click) })).await;
    }
    it.settle().await;
    assert_eq!(it.number("select count(*) from experiment_rechecks").await, 0);
    assert_eq!(it.unit("v1").await, Some((1, 1, 0, 2000)));
    assert_eq!((it.unit("v2").await, it.unit("v3").await), (None, Some((1, 0, 0, 0))));
    it.assert_sums_are_those_of_the_rows().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn no_click_is_to_blame_for_a_table_that_is_missing(db: PgPool) {
    let it = begin(db.clone(), &design()).await;
    let id = it.give(0, Some("v1"), &[it.shown("v1", 1)]).await;
    let clicks = counted(&[it.click(0, id).await, it.click(0, id).await]);
    sqlx::query("alter table unit_clicks rename to unit_clicks_elsewhere").execute(&db).await.unwrap();
    assert!(credit_clicks(&it.it.engine, &clicks).await.unwrap_err().is_of_database());
    sqlx::query("alter table unit_clicks_elsewhere rename to unit_clicks").execute(&db).await.unwrap();
    assert_eq!(credit_clicks(&it.it.engine, &clicks).await.unwrap(), 2);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_sale_that_comes_after_the_stop_counts_and_a_full_refund_takes_it_back(db: PgPool) {
    let it = begin(db, &design()).await;
    let id = it.give(0, Some("v1"), &[it.shown("v1", 1)]).await;
    let click = it.click(0, id).await;
    it.it.engine.clock.advance(TimeDelta::minutes(10));
    sqlx::query("update experiment_phases set ended_at = $1").bind(it.now()).execute(&it.it.engine.db).await.unwrap();
    sqlx::query("update experiments set status = 'stopped'").execute(&it.it.engine.db).await.unwrap();
    // The worker may be faster than the click's own crediting.
    it.sell("ord_1", "100.00", "USD", json!({ "click_id": it.token(&click) })).await;
    it.settle().await;
    assert_eq!(it.unit("v1").await, Some((0, 1, 0, 2000)));
    credit_since(&it.it.engine, it.now() - TimeDelta::hours(1)).await.unwrap();
    it.refund("ref_1", "ord_1", Some("40.00")).await;
    it.settle().await;
    assert_eq!(it.unit("v1").await, Some((1, 1, 0, 1200)));
    it.assert_sums_are_those_of_the_rows().await;
    it.refund("ref_2", "ord_1", None).await;
    it.settle().await;
    assert_eq!(it.unit("v1").await, Some((1, 0, 0, 0)));
    assert_eq!(it.number("select count(*) from experiment_conversions").await, 0);
    it.assert_sums_are_those_of_the_rows().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_success_counts_once_it_is_verified_and_no_more_once_it_is_rejected(db: PgPool) {
    let it = begin(db, &design()).await;
    let id = it.give(0, Some("v1"), &[it.shown("v1", 1)]).await;
    let click = it.click(0, id).await;
    it.it.engine.clock.advance(TimeDelta::minutes(10));
    for sale in ["ord_1", "ord_2"] {
        it.sell(sale, "100.00", "USD", json!({ "click_id": it.token(&click) })).await;
    }
    let success = it.it.submitted(&it.it.deployment("s1")).await;
    it.settle().await;
    assert_eq!(it.unit("v1").await, Some((0, 2, 0, 4000)), "it waits");
    it.it.verify(success.success_event_id).await;
    it.settle().await;
    // × 1.5 and the bonus, for both sales: only one of them is told to the browsers, and both are credited.
    let (clicks, conversions, successes, commission) = it.unit("v1").await.unwrap();
    assert_eq!((clicks, conversions, successes), (0, 2, 2));
    assert!(commission >= 6000, "{commission}");
    success::reject(&it.it.engine, &success::tests::operator(Role::Operator), success.success_event_id, "made up").await.unwrap();
    it.settle().await;
    assert_eq!(it.unit("v1").await, Some((0, 2, 0, 4000)));
    it.assert_sums_are_those_of_the_rows().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn commission_in_another_currency_waits_for_the_rate_of_its_day(db: PgPool) {
    let mut euros = design();
    euros.currency = "EUR".parse().unwrap();
    let it = begin(db, &euros).await;
    let id = it.give(0, Some("v1"), &[it.shown("v1", 1)]).await;
    let click = it.click(0, id).await;
    it.it.engine.clock.advance(TimeDelta::minutes(10));
    it.sell("ord_1", "100.00", "USD", json!({ "click_id": it.token(&click) })).await;
    it.settle().await;
    assert_eq!(it.unit("v1").await, Some((0, 1, 0, 0)), "a conversion, whose worth is not known yet");
    assert_eq!(it.number("select count(*) from experiment_conversions where waits_for_rate").await, 1);

    let day = it.now().date_naive();
    exchange::import(&it.it.engine, &Principal::CommandLine, &format!("Date,USD\n{day},1.2500\n")).await.unwrap();
    it.settle().await;
    assert_eq!(it.unit("v1").await, Some((0, 1, 0, 1600)));
    assert_eq!(it.number("select count(*) from experiment_conversions where waits_for_rate").await, 0);
    assert_eq!(conversions::release(&it.it.engine).await.unwrap(), 0);
    it.sell("ord_2", "10.01", "USD", json!({ "click_id": it.token(&click) })).await;
    it.settle().await;
    assert_eq!(it.unit("v1").await, Some((0, 2, 0, 1760)), "with a rate it counts at once");
    it.assert_sums_are_those_of_the_rows().await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn without_any_test_nothing_is_looked_at_again(db: PgPool) {
    let it = begin(db, &design()).await;
    for table in ["experiment_weights", "experiment_phases", "experiments"] {
        sqlx::query(sqlx::AssertSqlSafe(format!("delete from {table}"))).execute(&it.it.engine.db).await.unwrap();
    }
    it.it.sell("ord_1").await;
    assert_eq!(it.number("select count(*) from commissions").await, 1);
    assert_eq!(it.number("select count(*) from experiment_rechecks").await, 0);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_is_credited_out_of_order_leaves_every_evening_possible(db: PgPool) {
    let it = begin(db, &design()).await;
    let id = it.give(0, Some("v1"), &[it.shown("v1", 1)]).await;
    let early = it.new_click(0, id, None);
    it.it.engine.clock.advance(TimeDelta::days(2));
    let late = it.new_click(0, id, None);
    it.it.engine.clock.advance(TimeDelta::days(-1));
    for click in [&late, &early] {
        credit_clicks(&it.it.engine, &counted(std::slice::from_ref(click))).await.unwrap();
    }
    // By the clicks' own days the first evening would have a click of a unit that nobody had seen yet.
    let days: Vec<(i64, i64)> = sqlx::query_as(
        "select sum(sum(exposures)) over (order by day)::bigint, sum(sum(clicks)) over (order by day)::bigint from experiment_sums group by day order by day",
    )
    .fetch_all(&it.it.engine.db)
    .await
    .unwrap();
    assert_eq!(days, [(1, 2)]);
    experiment::results(&it.it.engine, &Principal::CommandLine, "cta", None).await.unwrap();
    it.assert_sums_are_those_of_the_rows().await;
}

/// A site that can be offered something, and a bandit that runs on it.
async fn begin_on_a_site(engine: &crate::Engine) -> (domain::site::Site, String) {
    partner::import_files(engine, std::path::Path::new("../partners")).await.unwrap();
    let manifest = r#"{"dependencies":{"next":"15","@prisma/client":"6"}}"#;
    let files = [SourceFile { path: "package.json".into(), size: manifest.len() as u64, content: Some(manifest.into()) }];
    let analysis = domain::analysis::analyze(&files);
    let new = site::NewSite { name: "Shop".into(), url: None, user_ref: "user-1".into(), analysis };
    let site = site::create(engine, &Principal::CommandLine, new).await.unwrap();
    let design = Design { bandit: Some(Bandit { floor: 0.05 }), ..design() };
    let key = experiment::create(engine, &Principal::CommandLine, None, design).await.unwrap().key;
    experiment::step(engine, &Principal::CommandLine, &key, Step::Start).await.unwrap();
    (site, key)
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn from_the_offer_to_the_results_and_back_to_the_weights_of_the_next_offers(db: PgPool) {
    let engine = testing::engine(db.clone());
    let (site, key) = begin_on_a_site(&engine).await;
    let mut handed = engine.clicks.store.handover.take().unwrap();
    let shown = || experiment::results(&engine, &Principal::CommandLine, &key, None);
    let browser = Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
    let ask = |visitor: Option<String>, preview| {
        let engine = engine.clone();
        async move { for_site(&engine, site.site_id, &Asker { visitor, preview, may_read: true, ..Asker::default() }).await.unwrap() }
    };
    for number in 0..240 {
        let answer = ask(Some(format!("visitor-number-{number}")), Vec::new()).await;
        record_impressions(&engine, answer.recommendation_id, &[supabase()]).await.unwrap();
        if answer.variants[0].variant == "try-it" {
            let link = answer.offers.iter().find(|linked| linked.offer.partner_id == supabase()).unwrap();
            let alias = link.link.trim_start_matches("/r/").split('?').next().unwrap();
            let visit = click::Visit { user_agent: browser, recommendation_id: Some(answer.recommendation_id), ..Default::default() };
            click::follow(&engine, alias, visit).await.unwrap();
            credit_clicks(&engine, &handed.try_recv().unwrap()).await.unwrap();
        }
    }
    let forced = Forced { experiment: key.clone(), variant: "try-it".to_owned() };
    for answer in [ask(None, Vec::new()).await, ask(Some("visitor-number-900".into()), vec![forced]).await] {
        record_impressions(&engine, answer.recommendation_id, &[supabase()]).await.unwrap();
    }
    let [control, variant] = &shown().await.unwrap().variants[..] else { panic!() };
    assert_eq!(control.exposures + variant.exposures, 240, "neither a preview nor who asks not to be tracked");
    assert_eq!((control.clicked, variant.clicked), (0, variant.exposures));

    engine.clock.advance(TimeDelta::minutes(11));
    assert_eq!(bandit::reweigh_due(&engine).await.unwrap(), 1);
    let mut seen = [0, 0];
    for number in 1_000..1_060 {
        let answer = ask(Some(format!("visitor-number-{number}")), Vec::new()).await;
        let logged: sqlx::types::Json<Vec<Shown>> =
            sqlx::query_scalar("select experiments from recommendations where recommendation_id = $1")
                .bind(answer.recommendation_id)
                .fetch_one(&db)
                .await
                .unwrap();
        let variant = usize::try_from(logged[0].variant).unwrap();
        assert_eq!(logged[0].period, 1);
        assert!((logged[0].propensity - [0.05, 0.95][variant]).abs() < 1e-3, "{logged:?}");
        seen[variant] += 1;
    }
    assert!(seen[1] > 45, "{seen:?}");
}

/// What a unit must have by the clicks, attributions and reversals themselves: visitor, clicks, conversions, commission.
const TRUTH: &str = "
    with led as (
        select k.click_id, k.counted, s ->> 'unit' as unit
        from clicks k
        join recommendations r on r.recommendation_id = k.recommendation_id and r.site_id = k.site_id,
        jsonb_array_elements(r.experiments) s
    )
    select unit,
           count(distinct click_id) filter (where counted) as clicks,
           count(distinct conversion_id) as conversions,
           coalesce(sum(commission_minor), 0)::bigint as commission_minor
    from led
    left join (
        select a.click_id, a.conversion_id, a.commission_minor
        from attributions a join conversions c using (conversion_id)
        where not (c.value_minor > 0 and c.reversed_minor = c.value_minor)
    ) sold using (click_id)
    group by unit
    order by unit";

/// The step before which the test stops; the rest is what comes late.
const STOP: u32 = 110;

struct History {
    it: Fixture,
    others: [crate::Engine; 2],
    rng: StdRng,
    sessions: Vec<SessionId>,
    given: Vec<(usize, RecommendationId)>,
    clicks: Vec<Click>,
    sales: u32,
    successes: Vec<SuccessEventId>,
}

impl History {
    fn pick(&mut self, length: usize) -> Option<usize> {
        (length > 0).then(|| self.rng.random_range(0..length))
    }

    async fn step(&mut self, number: u32) {
        match self.rng.random_range(0..16) {
            0..4 => {
                let (visitor, site) = (self.rng.random_range(0..9_u8), self.rng.random_range(0..2));
                let name = format!("v{visitor}-{site}");
                // Half way, a bandit moves everybody.
                let (period, variant) = (i32::from(number >= STOP / 2), i16::from(visitor % 2));
                let shown = [Shown { period, ..self.it.shown(&name, if period == 0 { variant } else { 1 - variant }) }];
                let shown = if number < STOP { &shown[..] } else { &[] };
                let id = self.it.give(site, Some(&name), shown).await;
                self.given.push((site, id));
                if self.rng.random_bool(0.6) {
                    let [a, b] = &self.others;
                    let seen = [supabase()];
                    let (a, b) = tokio::join!(record_impressions(a, id, &seen), record_impressions(b, id, &seen));
                    assert_eq!(a.unwrap() + b.unwrap(), 1);
                }
            }
            4..8 => {
                let Some(index) = self.pick(self.given.len()) else { return };
                let (site, id) = self.given[index];
                let session = self.pick(self.sessions.len()).map(|session| self.sessions[session]);
                let click = Click { counted: self.rng.random_bool(0.9), ..self.it.new_click(site, id, session) };
                // Some come by way of the fallback, after what they led to.
                if self.rng.random_bool(0.7) {
                    click::insert_history(&self.it.it.engine, std::slice::from_ref(&click)).await.unwrap();
                }
                if self.rng.random_bool(0.25) {
                    let counted = counted(std::slice::from_ref(&click));
                    let (a, b) = tokio::join!(credit_clicks(&self.others[0], &counted), credit_clicks(&self.others[1], &counted));
                    a.and(b).unwrap();
                    self.it.it.engine.clicks.store.insert_late(&self.it.it.engine, std::slice::from_ref(&click)).await.unwrap();
                }
                self.clicks.push(click);
            }
            8..11 => {
                let Some(index) = self.pick(self.clicks.len()) else { return };
                let click = &self.clicks[index];
                let claim = match click.session_id {
                    Some(session) if number.is_multiple_of(2) => json!({ "click_id": self.it.token(click), "session_id": session }),
                    _ => json!({ "click_id": self.it.token(click) }),
                };
                let amount = format!("{}.{:02}", self.rng.random_range(1..400), self.rng.random_range(0..100));
                self.it.sell(&format!("ord_{}", self.sales), &amount, "USD", claim).await;
                self.sales += 1;
            }
            11..13 => {
                let Some(sale) = self.pick(self.sales as usize) else { return };
                let amount = self.rng.random_bool(0.6).then(|| format!("{}.00", self.rng.random_range(1..60)));
                self.it.refund(&format!("ref_{number}"), &format!("ord_{sale}"), amount.as_deref()).await;
            }
            13 => {
                let listed = self.it.it.submitted(&self.it.it.deployment(&format!("s{number}"))).await;
                self.successes.push(listed.success_event_id);
            }
            14 => {
                let Some(index) = self.pick(self.successes.len()) else { return };
                let (who, id) = (success::tests::operator(Role::Operator), self.successes[index]);
                // A second decision of the same kind is a conflict, and changes nothing.
                let _ = if self.rng.random_bool(0.5) {
                    success::verify(&self.it.it.engine, &who, id, None).await
                } else {
                    success::reject(&self.it.it.engine, &who, id, "no").await
                };
            }
            _ => {
                let [a, b] = &self.others;
                let (a, b) = tokio::join!(conversions::recheck_one(a), conversions::recheck_one(b));
                a.and(b).unwrap();
                credit_since(&self.it.it.engine, self.it.now() - TimeDelta::hours(6)).await.unwrap();
            }
        }
    }
}

async fn a_random_history(db: PgPool, seed: u64) {
    let it = begin(db.clone(), &design()).await;
    sqlx::query("update partner_terms set attribution_model = 'linear', attribution_window_hours = 240, attribution_minimum_seconds = 0")
        .execute(&db)
        .await
        .unwrap();
    let began_at = it.now();
    for (unit, clicks) in [("v1-0", 3), ("v2-1", 7), ("v4-0", 1)] {
        let day = began_at.date_naive() - TimeDelta::days(3);
        sqlx::query("insert into unit_clicks values ($1, $2, $3)").bind(unit).bind(day).bind(clicks).execute(&db).await.unwrap();
    }
    let sessions = (0..4).map(|_| it.it.engine.new_id()).collect();
    let others = [testing::engine(db.clone()), testing::engine(db.clone())];
    let rng = StdRng::seed_from_u64(seed);
    let mut history = History { it, others, rng, sessions, given: Vec::new(), clicks: Vec::new(), sales: 0, successes: Vec::new() };
    for number in 0..160 {
        let now = began_at + TimeDelta::minutes(20) * i32::try_from(number).unwrap();
        if number == STOP {
            sqlx::query("update experiment_phases set ended_at = $1").bind(now).execute(&db).await.unwrap();
        }
        clock::at(now, history.step(number)).await;
    }
    let History { it, clicks, .. } = &history;
    clock::at(began_at + TimeDelta::minutes(20 * 160), async {
        for click in clicks {
            it.it.engine.clicks.store.insert_late(&it.it.engine, std::slice::from_ref(click)).await.unwrap();
        }
        it.settle().await;
        credit_since(&it.it.engine, began_at - TimeDelta::hours(1)).await.unwrap();
    })
    .await;
    it.assert_sums_are_those_of_the_rows().await;
    let truth: Vec<(String, i64, i64, i64)> = sqlx::query_as(TRUTH).fetch_all(&db).await.unwrap();
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "select unit, clicks::bigint, conversions::bigint, commission_minor from experiment_exposures
         where unit in (select s ->> 'unit' from clicks join recommendations r using (recommendation_id), jsonb_array_elements(r.experiments) s)
               and clicks + conversions > 0
         order by unit",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!(rows, truth.into_iter().filter(|row| row.1 + row.2 > 0).collect::<Vec<_>>(), "seed {seed}");
    assert!(rows.iter().map(|row| row.2).sum::<i64>() > 5, "seed {seed} sells too little to show anything");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn sums_and_rows_are_what_a_random_history_makes_them_in_any_order(db: PgPool) {
    a_random_history(db, 1).await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn sums_and_rows_are_what_a_second_random_history_makes_them(db: PgPool) {
    a_random_history(db, 2).await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn sums_and_rows_are_what_a_third_random_history_makes_them(db: PgPool) {
    a_random_history(db, 3).await;
}
