//! Tests of the life of a test, and of what recommendations show meanwhile, on a real database.

use std::path::Path;

use domain::{
    SiteId,
    analysis::SourceFile,
    auth::{Principal, Role},
    experiment::{Design, Edit, Experiment, Reason, Status, Step},
    recommendation::Recommendations,
};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::*;
use crate::{
    Engine, Error, partner,
    recommendation::{Asker, Forced, for_site},
    site, testing,
};

const VISITOR: &str = "0123456789abcdef";
const WHO: Principal = Principal::CommandLine;

async fn fixture(db: PgPool) -> (Engine, SiteId) {
    let engine = testing::engine(db);
    partner::import_files(&engine, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../partners")).await.unwrap();
    let manifest = r#"{"dependencies":{"next":"15","@prisma/client":"6"},"scripts":{"start":"next start"}}"#;
    let files = [SourceFile { path: "package.json".into(), size: manifest.len() as u64, content: Some(manifest.into()) }];
    let analysis = domain::analysis::analyze(&files);
    let new = site::NewSite { name: "Shop".into(), url: None, user_ref: "user-1".into(), analysis };
    let site_id = site::create(&engine, &WHO, new).await.unwrap().site_id;
    (engine, site_id)
}

/// A test of the button's text for one partner, in which both variants show something.
fn design(partner_id: &str) -> Design {
    serde_json::from_value(json!({
        "name": "Shorter button",
        "kind": "cta",
        "variants": [
            { "key": "control", "name": "As it is", "weight": 0.5, "payload": { "type": "cta", "text": "Long text of {partner}" } },
            { "key": "short", "name": "Short", "weight": 0.5, "payload": { "type": "cta", "text": "Go" } },
        ],
        "primary_metric": "click_rate",
        "eligibility": { "partner_ids": [partner_id] },
        "currency": "USD",
    }))
    .unwrap()
}

async fn started(engine: &Engine, design: Design) -> Experiment {
    let created = create(engine, &WHO, None, design).await.unwrap();
    step(engine, &WHO, &created.key, Step::Start).await.unwrap()
}

async fn ask(engine: &Engine, site_id: SiteId, visitor: Option<&str>) -> Recommendations {
    for_site(engine, site_id, &Asker { visitor: visitor.map(str::to_owned), ..Asker::default() }).await.unwrap()
}

fn button<'r>(answer: &'r Recommendations, partner_id: &str) -> &'r str {
    &answer.offers.iter().find(|linked| linked.offer.partner_id.as_str() == partner_id).unwrap().offer.cta_text
}

async fn logged(engine: &Engine, answer: &Recommendations) -> (Option<String>, Option<Value>) {
    sqlx::query_as("select visitor, experiments from recommendations where recommendation_id = $1")
        .bind(answer.recommendation_id.0)
        .fetch_one(&engine.db)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_visitor_sees_the_variant_that_the_log_names(db: PgPool) {
    let (engine, site_id) = fixture(db).await;
    let experiment = started(&engine, design("supabase")).await;
    let answer = ask(&engine, site_id, Some(VISITOR)).await;
    let (visitor, experiments) = logged(&engine, &answer).await;
    assert_eq!(visitor.as_deref(), Some(VISITOR));
    let shown: Vec<Shown> = serde_json::from_value(experiments.unwrap()).unwrap();
    let [shown] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!((shown.experiment_id, shown.phase, shown.unit.as_str()), (experiment.experiment_id, 1, VISITOR));
    let expected = ["Long text of Supabase Database", "Go"][usize::try_from(shown.variant).unwrap()];
    assert_eq!(button(&answer, "supabase"), expected);
    assert_eq!(answer.variants[0].experiment, "shorter-button");
    assert!(answer.keeps_visitor);
    assert!(!button(&answer, "railway").contains("Go"), "another partner's offer is left alone");

    let again = ask(&engine, site_id, Some(VISITOR)).await;
    assert_eq!(button(&again, "supabase"), expected, "one unit sees one variant");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn who_asks_not_to_be_tracked_sees_no_test_of_visitors(db: PgPool) {
    let (engine, site_id) = fixture(db).await;
    let before = button(&ask(&engine, site_id, None).await, "supabase").to_owned();
    started(&engine, design("supabase")).await;
    let answer = ask(&engine, site_id, None).await;
    assert_eq!((button(&answer, "supabase"), logged(&engine, &answer).await), (before.as_str(), (None, None)));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_step_counts_at_once_in_another_process_too(db: PgPool) {
    let (engine, site_id) = fixture(db.clone()).await;
    let other = testing::engine(db);
    let before = button(&ask(&other, site_id, Some(VISITOR)).await, "supabase").to_owned();
    let key = started(&engine, design("supabase")).await.key;
    assert_ne!(button(&ask(&other, site_id, Some(VISITOR)).await, "supabase"), before);
    for (next, shows_the_test) in [(Step::Pause, false), (Step::Resume, true), (Step::Stop, false)] {
        step(&engine, &WHO, &key, next).await.unwrap();
        let answer = ask(&other, site_id, Some(VISITOR)).await;
        assert_eq!(button(&answer, "supabase") != before, shows_the_test, "{next:?}");
        assert_eq!(logged(&other, &answer).await.1.is_some(), shows_the_test, "{next:?}");
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_window_opens_and_closes_by_the_clock(db: PgPool) {
    let (engine, site_id) = fixture(db).await;
    let hour = chrono::Duration::hours(1);
    let now = engine.now();
    let before = button(&ask(&engine, site_id, Some(VISITOR)).await, "supabase").to_owned();
    started(&engine, Design { starts_at: Some(now + hour), ends_at: Some(now + hour * 2), ..design("supabase") }).await;
    let (mut seen, mut keeps_visitor) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let answer = ask(&engine, site_id, Some(VISITOR)).await;
        seen.push(button(&answer, "supabase") == before);
        keeps_visitor.push(answer.keeps_visitor);
        engine.clock.advance(hour);
    }
    assert_eq!(seen, [true, false, true]);
    assert_eq!(keeps_visitor, [true, true, false], "nobody needs the id once the test is over");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_look_at_a_variant_is_part_of_no_test(db: PgPool) {
    let (engine, site_id) = fixture(db).await;
    let created = create(&engine, &WHO, None, design("supabase")).await.unwrap();
    let look = |may_read: bool, variant: &str| Asker {
        visitor: Some(VISITOR.to_owned()),
        preview: vec![Forced { experiment: created.key.clone(), variant: variant.to_owned() }],
        may_read,
        ..Asker::default()
    };
    let answer = for_site(&engine, site_id, &look(true, "short")).await.unwrap();
    assert_eq!((button(&answer, "supabase"), logged(&engine, &answer).await.1), ("Go", None));
    for refused in [look(false, "short"), look(true, "shorter")] {
        assert!(matches!(for_site(&engine, site_id, &refused).await, Err(Error::Invalid { field, .. }) if field == "p4s_variant"));
    }
    step(&engine, &WHO, &created.key, Step::Start).await.unwrap();
    let answer = for_site(&engine, site_id, &look(false, "short")).await.unwrap();
    assert_eq!((button(&answer, "supabase"), logged(&engine, &answer).await.1), ("Go", None), "visitors may look at what runs");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_is_shipped_is_the_default_of_the_next_recommendation(db: PgPool) {
    let (engine, site_id) = fixture(db.clone()).await;
    let key = started(&engine, design("supabase")).await.key;
    assert!(matches!(ship(&engine, &WHO, &key, "nobody").await, Err(Error::Invalid { field, .. }) if field == "variant"));
    let shipped = ship(&engine, &WHO, &key, "short").await.unwrap();
    assert_eq!((shipped.status, shipped.shipped_variant.as_deref()), (Status::Stopped, Some("short")));
    let answer = ask(&engine, site_id, None).await;
    assert_eq!((button(&answer, "supabase"), logged(&engine, &answer).await.1), ("Go", None));
    assert_ne!(button(&answer, "railway"), "Go");
    let actions: Vec<String> =
        sqlx::query_scalar("select action from audit_entries where subject = 'experiment shorter-button' order by audit_entry_id")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(actions, ["experiment.created", "experiment.started", "experiment.shipped"]);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_was_tried_on_one_site_is_shipped_on_that_site_alone_until_a_later_decision_for_all(db: PgPool) {
    let (engine, site_id) = fixture(db).await;
    let manifest = r#"{"dependencies":{"next":"15","@prisma/client":"6"},"scripts":{"start":"next start"}}"#;
    let files = [SourceFile { path: "package.json".into(), size: manifest.len() as u64, content: Some(manifest.into()) }];
    let analysis = domain::analysis::analyze(&files);
    let new = site::NewSite { name: "Blog".into(), url: None, user_ref: "user-2".into(), analysis };
    let elsewhere = site::create(&engine, &WHO, new).await.unwrap().site_id;
    let mut narrow = design("supabase");
    narrow.eligibility.site_ids.insert(site_id);
    let key = started(&engine, narrow).await.key;
    ship(&engine, &WHO, &key, "short").await.unwrap();
    assert_eq!(button(&ask(&engine, site_id, None).await, "supabase"), "Go");
    assert_ne!(button(&ask(&engine, elsewhere, None).await, "supabase"), "Go");

    // What is shipped for all later counts for that site too, until it is taken back.
    let mut wide = Design { name: "For all".into(), ..design("supabase") };
    wide.variants[0].payload = domain::experiment::Payload::Unchanged;
    wide.variants[1].payload = domain::experiment::Payload::Cta { text: "Begin".into() };
    let key = started(&engine, wide).await.key;
    ship(&engine, &WHO, &key, "short").await.unwrap();
    assert_eq!(button(&ask(&engine, site_id, None).await, "supabase"), "Begin");
    assert_eq!(button(&ask(&engine, elsewhere, None).await, "supabase"), "Begin");
    ship(&engine, &WHO, &key, "control").await.unwrap();
    assert_eq!(button(&ask(&engine, site_id, None).await, "supabase"), "Go");
    assert_ne!(button(&ask(&engine, elsewhere, None).await, "supabase"), "Begin");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_decision_for_one_partner_gives_way_to_a_later_one_for_all(db: PgPool) {
    let (engine, site_id) = fixture(db).await;
    let key = started(&engine, design("supabase")).await.key;
    ship(&engine, &WHO, &key, "short").await.unwrap();
    let mut wide = Design { name: "For all".into(), ..design("supabase") };
    wide.eligibility.partner_ids.clear();
    wide.variants[1].payload = domain::experiment::Payload::Cta { text: "Begin".into() };
    let key = started(&engine, wide).await.key;
    ship(&engine, &WHO, &key, "short").await.unwrap();
    let answer = ask(&engine, site_id, None).await;
    assert_eq!((button(&answer, "supabase"), button(&answer, "railway")), ("Begin", "Begin"));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn shipping_what_changes_nothing_takes_back_what_the_test_shipped(db: PgPool) {
    let (engine, site_id) = fixture(db.clone()).await;
    let before = button(&ask(&engine, site_id, None).await, "supabase").to_owned();
    let mut unchanged = design("supabase");
    unchanged.variants[0].payload = domain::experiment::Payload::Unchanged;
    let key = started(&engine, unchanged).await.key;
    for (variant, text) in [("control", before.as_str()), ("short", "Go"), ("control", before.as_str())] {
        ship(&engine, &WHO, &key, variant).await.unwrap();
        assert_eq!(button(&ask(&engine, site_id, None).await, "supabase"), text, "{variant}");
    }
    let taken_back: Vec<Option<String>> =
        sqlx::query_scalar("select detail ->> 'taken_back' from audit_entries where action = 'experiment.shipped' order by audit_entry_id")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(taken_back, [None, None, Some("short".to_owned())]);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_ranking_weight_and_a_layout_change_the_list_as_a_whole(db: PgPool) {
    let (engine, site_id) = fixture(db).await;
    let whole = |kind: &str, payload: Value| -> Design {
        serde_json::from_value(json!({
            "name": format!("Test of {kind}"), "kind": kind, "unit": "site", "primary_metric": "click_rate", "currency": "USD",
            "variants": [
                { "key": "a", "name": "A", "weight": 0.5, "payload": payload },
                { "key": "b", "name": "B", "weight": 0.5, "payload": { "type": "unchanged" } },
            ],
        }))
        .unwrap()
    };
    let plain: Vec<f64> = ask(&engine, site_id, None).await.offers.iter().map(|linked| linked.offer.score).collect();
    for (kind, payload) in [
        ("ranking_weight", json!({ "type": "ranking_weight", "revenue_weight": 0.0 })),
        ("widget_layout", json!({ "type": "widget_layout", "layout": "compact" })),
    ] {
        let key = started(&engine, whole(kind, payload)).await.key;
        ship(&engine, &WHO, &key, "a").await.unwrap();
    }
    let answer = ask(&engine, site_id, None).await;
    assert_ne!(plain, answer.offers.iter().map(|linked| linked.offer.score).collect::<Vec<_>>());
    assert_eq!(answer.layout, Some(domain::experiment::WidgetLayout::Compact));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn two_tests_never_change_the_same_for_the_same_units(db: PgPool) {
    let (engine, _) = fixture(db).await;
    started(&engine, design("supabase")).await;
    let with_name = |name: &str, partner_id: &str| Design { name: name.to_owned(), ..design(partner_id) };
    let rival = create(&engine, &WHO, None, with_name("Rival", "supabase")).await.unwrap();
    let refused = step(&engine, &WHO, &rival.key, Step::Start).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(reason) if reason.contains("shorter-button")), "{refused}");
    started(&engine, with_name("Elsewhere", "railway")).await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn of_two_rivals_that_start_at_once_one_is_refused(db: PgPool) {
    let (engine, _) = fixture(db.clone()).await;
    let other = testing::engine(db);
    for round in 0..5 {
        let create = |name| create(&engine, &WHO, None, Design { name: format!("{name} {round}"), ..design("supabase") });
        let (one, two) = (create("One").await.unwrap().key, create("Two").await.unwrap().key);
        let (first, second) = tokio::join!(step(&engine, &WHO, &one, Step::Start), step(&other, &WHO, &two, Step::Start));
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        let winner = if first.is_ok() { one } else { two };
        step(&engine, &WHO, &winner, Step::Stop).await.unwrap();
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_end_does_not_move_into_the_time_of_another_test(db: PgPool) {
    let (engine, _) = fixture(db).await;
    let (hour, now) = (chrono::Duration::hours(1), engine.now());
    let first = Design { ends_at: Some(now + hour), ..design("supabase") };
    let key = started(&engine, first.clone()).await.key;
    started(&engine, Design { name: "Next".into(), starts_at: Some(now + hour), ..design("supabase") }).await;

    let longer = Design { ends_at: Some(now + hour * 2), ..first.clone() };
    let refused = edit(&engine, &WHO, &key, longer.clone(), false).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(reason) if reason.contains("`next`")), "{refused}");
    engine.clock.advance(hour * 3);
    let refused = edit(&engine, &WHO, &key, Design { ends_at: None, ..longer }, false).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    let renamed = Design { name: "Another name".into(), ..first };
    assert_eq!(edit(&engine, &WHO, &key, renamed, false).await.unwrap().edit, Some(Edit::Description), "it is over, and disturbs nobody");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_test_whose_end_has_passed_is_in_nobodys_way(db: PgPool) {
    let (engine, _) = fixture(db).await;
    let hour = chrono::Duration::hours(1);
    started(&engine, Design { ends_at: Some(engine.now() + hour), ..design("supabase") }).await;
    let next = create(&engine, &WHO, None, Design { name: "Next".into(), ..design("supabase") }).await.unwrap().key;
    assert!(matches!(step(&engine, &WHO, &next, Step::Start).await, Err(Error::Conflict(_))));
    engine.clock.advance(hour);
    step(&engine, &WHO, &next, Step::Start).await.unwrap();
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_running_test_changes_only_by_a_new_phase(db: PgPool) {
    let (engine, _) = fixture(db).await;
    let half = Design { traffic_allocation: 0.5, ..design("supabase") };
    let key = started(&engine, half.clone()).await.key;

    let renamed = Design { name: "Another name".into(), ..half.clone() };
    let done = edit(&engine, &WHO, &key, renamed.clone(), false).await.unwrap();
    assert_eq!((done.edit, done.moves.is_none()), (Some(Edit::Description), true));
    let more = Design { traffic_allocation: 1.0, ..renamed };
    let done = edit(&engine, &WHO, &key, more.clone(), false).await.unwrap();
    assert_eq!((done.edit, done.experiment.phase.unwrap().number), (Some(Edit::MoreTraffic), 1));

    let mut judged_otherwise = more.clone();
    judged_otherwise.plan.planned_units = 300;
    let refused = edit(&engine, &WHO, &key, judged_otherwise, false).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(reason) if reason.contains("new phase")), "{refused}");

    let mut other_text = more;
    other_text.variants[1].payload = domain::experiment::Payload::Cta { text: "Start".into() };
    let refused = edit(&engine, &WHO, &key, other_text.clone(), false).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(reason) if reason.contains("new phase")), "{refused}");
    let done = edit(&engine, &WHO, &key, other_text.clone(), true).await.unwrap();
    assert_eq!(done.edit, Some(Edit::NewPhase));
    let now = find(&engine, &WHO, &key).await.unwrap();
    let phase = now.phase.unwrap();
    assert_eq!((phase.number, phase.seed.as_str(), now.design), (2, "shorter-button:2", other_text));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn wrong_steps_designs_and_people_are_refused(db: PgPool) {
    let (engine, _) = fixture(db).await;
    let mut heavy = design("supabase");
    heavy.variants[0].weight = 0.9;
    let refused = create(&engine, &WHO, None, heavy).await.unwrap_err();
    assert!(matches!(&refused, Error::Invalid { field, .. } if field == "variants"), "{refused}");
    assert!(matches!(create(&engine, &WHO, Some("A b"), design("supabase")).await, Err(Error::Invalid { field, .. }) if field == "key"));
    let key = create(&engine, &WHO, None, design("supabase")).await.unwrap().key;
    assert!(matches!(create(&engine, &WHO, None, design("supabase")).await, Err(Error::Conflict(_))));
    assert!(matches!(step(&engine, &WHO, &key, Step::Pause).await, Err(Error::Conflict(_))));
    assert!(matches!(ship(&engine, &WHO, &key, "short").await, Err(Error::Conflict(_))));
    assert!(matches!(step(&engine, &WHO, "nothing", Step::Start).await, Err(Error::NotFound { .. })));

    let analyst = Principal::Operator { id: engine.new_id(), email: "ana@example.com".into(), role: Role::Analyst };
    assert!(find(&engine, &analyst, &key).await.is_ok());
    assert!(matches!(step(&engine, &analyst, &key, Step::Start).await, Err(Error::Forbidden(_))));
    assert!(matches!(find(&engine, &Principal::Anonymous, &key).await, Err(Error::Unauthenticated)));
    assert!(matches!(set_holdout(&engine, &WHO, 0.9).await, Err(Error::Invalid { .. })));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn each_test_says_why(db: PgPool) {
    let (engine, site_id) = fixture(db).await;
    let key = started(&engine, design("supabase")).await.key;
    let reason = async |visitor| why(&engine, &WHO, site_id, visitor).await.unwrap()[0].1.reason;
    assert_eq!(reason(Some(VISITOR)).await, Reason::Assigned);
    assert_eq!(reason(None).await, Reason::NoUnit);
    step(&engine, &WHO, &key, Step::Pause).await.unwrap();
    assert_eq!(reason(Some(VISITOR)).await, Reason::Paused);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_edit_of_what_was_seen_undoes_nothing_that_came_meanwhile(db: PgPool) {
    let (engine, _) = fixture(db).await;
    let some = |traffic: f64| Design { traffic_allocation: traffic, ..design("supabase") };
    let seen = started(&engine, some(0.5)).await;
    let key = seen.key.as_str();
    let seen_by_a = version(&seen).unwrap();
    assert_eq!(preview_edit(&engine, &WHO, key, &some(0.8)).await.unwrap().edit, Some(Edit::MoreTraffic), "nobody moves");
    // Against what B did, the same edit would deal everybody anew.
    let after_b = edit_as_seen(&engine, &WHO, key, some(1.0), &seen_by_a).await.unwrap().experiment;
    let refused = edit_as_seen(&engine, &WHO, key, some(0.8), &seen_by_a).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(reason) if reason.contains("meanwhile")), "{refused}");
    let stands = find(&engine, &WHO, key).await.unwrap();
    assert_eq!((stands.phase.as_ref().map(|phase| phase.number), stands.design.traffic_allocation), (Some(1), 1.0));

    let confirmed = edit_as_seen(&engine, &WHO, key, some(0.8), &version(&after_b).unwrap()).await.unwrap();
    assert_eq!((confirmed.edit, confirmed.experiment.phase.map(|phase| phase.number)), (Some(Edit::NewPhase), Some(2)));
    let stale = version(&after_b).unwrap();
    assert!(matches!(edit_as_seen(&engine, &WHO, key, some(1.0), &stale).await, Err(Error::Conflict(_))), "another phase is another test");
}
