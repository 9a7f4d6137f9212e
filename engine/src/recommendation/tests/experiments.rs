//! What tests have to do with an answer: which of them are part of it, and what is kept of visitors for them.

use chrono::Duration;
use domain::experiment::{Design, Reason, Step, WidgetLayout};

use super::*;
use crate::experiment::{create, step, why};

const WHO: Principal = Principal::CommandLine;
const VISITOR: &str = "0123456789abcdef";

/// A test of `kind`, the control of which shows what is shown without it.
fn design(kind: &str, unit: &str, payload: Value) -> Design {
    serde_json::from_value(json!({
        "name": kind,
        "kind": kind,
        "unit": unit,
        "variants": [
            { "key": "control", "name": "As it is", "weight": 0.5, "payload": { "type": "unchanged" } },
            { "key": "b", "name": "Otherwise", "weight": 0.5, "payload": payload },
        ],
        "primary_metric": "click_rate",
        "currency": "USD",
    }))
    .unwrap()
}

async fn start(engine: &Engine, design: Design) -> String {
    let key = create(engine, &WHO, None, design).await.unwrap().key;
    step(engine, &WHO, &key, Step::Start).await.unwrap();
    key
}

async fn exposures(db: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from experiment_exposures").fetch_one(db).await.unwrap()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn visitors_keep_their_ids_while_a_test_is_paused(db: PgPool) {
    let (engine, site) = fixture(db).await;
    let asker = Asker { visitor: Some(VISITOR.to_owned()), ..Asker::default() };
    let is_kept = async || for_site(&engine, site.site_id, &asker).await.unwrap().keeps_visitor;
    let ends_at = Some(engine.now() + Duration::hours(1));
    let key = start(&engine, Design { ends_at, ..design("cta", "visitor", json!({ "type": "cta", "text": "Go" })) }).await;
    step(&engine, &WHO, &key, Step::Pause).await.unwrap();
    assert!(is_kept().await, "who comes back after the pause is still the same");
    engine.clock.advance(Duration::hours(1));
    assert!(!is_kept().await, "a paused test ends, too");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn nothing_is_kept_for_a_test_that_was_stopped_while_paused(db: PgPool) {
    let (engine, site) = fixture(db).await;
    let key = start(&engine, design("cta", "visitor", json!({ "type": "cta", "text": "Go" }))).await;
    for next in [Step::Pause, Step::Stop] {
        step(&engine, &WHO, &key, next).await.unwrap();
    }
    assert!(!for_site(&engine, site.site_id, &Asker::default()).await.unwrap().keeps_visitor);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_page_that_says_the_layout_itself_is_in_no_test_of_it(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    start(&engine, design("widget_layout", "site", json!({ "type": "widget_layout", "layout": "compact" }))).await;
    let fixed = Asker { fixed_layout: Asker::fixed_layout("fixed").unwrap(), ..Asker::default() };
    let answer = for_site(&engine, site.site_id, &fixed).await.unwrap();
    assert_eq!((answer.variants.len(), answer.layout), (0, None));
    record_impressions(&engine, answer.recommendation_id, &ids(&["supabase"])).await.unwrap();
    assert_eq!(exposures(&db).await, 0, "nobody saw a variant");

    let open = for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
    assert_eq!(open.variants.len(), 1);
    assert_eq!(open.layout, (open.variants[0].variant == "b").then_some(WidgetLayout::Compact));
    record_impressions(&engine, open.recommendation_id, &ids(&["supabase"])).await.unwrap();
    assert_eq!(exposures(&db).await, 1);
}

#[test]
fn the_word_for_a_layout_of_the_page_is_fixed() {
    assert!(!Asker::fixed_layout("").unwrap());
    for wrong in ["compact", "FIXED", "true"] {
        let error = Asker::fixed_layout(wrong).unwrap_err();
        assert!(matches!(&error, Error::Invalid { field, .. } if field == "layout"), "{wrong}: {error}");
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_test_of_a_way_that_no_offered_partner_has_is_for_nobody_and_says_so(db: PgPool) {
    let (engine, site) = fixture(db).await;
    let mut of_the_way = design("integration_method", "visitor", json!({ "type": "integration_method", "method": "api_redirect" }));
    of_the_way.eligibility.partner_ids.insert("railway".parse().unwrap());
    let key = start(&engine, of_the_way).await;
    let asker = Asker { visitor: Some(VISITOR.to_owned()), ..Asker::default() };
    assert!(for_site(&engine, site.site_id, &asker).await.unwrap().variants.is_empty(), "Railway has a deep link alone");
    let reason = async |visitor| {
        let (_, assignment) = why(&engine, &WHO, site.site_id, visitor).await.unwrap().remove(0);
        assert_eq!((assignment.variant, assignment.bucket), (None, None));
        assignment.reason
    };
    assert_eq!(reason(Some(VISITOR)).await, Reason::NotEligible);
    assert_eq!(reason(None).await, Reason::NoUnit, "what comes first is the answer");
    step(&engine, &WHO, &key, Step::Pause).await.unwrap();
    assert_eq!(reason(Some(VISITOR)).await, Reason::Paused);
}
