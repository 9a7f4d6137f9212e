//! Sites that change, on a real database.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use domain::analysis::{ProjectKind, analyze};
use serde_json::Value;
use sqlx::PgPool;

use super::*;
use crate::{
    recommendation::{Asker, for_site},
    referral_code,
    site::{
        create, find, list, overview,
        tests::{engine, machine, new_site},
    },
};

/// As the release of November 2026 stored it. It is never written anew: every later version reads it.
const OLD: &str = include_str!("analysis-of-2026-11.json");

async fn kind_at_a_click(engine: &Engine, site: &Site) -> String {
    referral_code::find(engine, &site.links[0].alias).await.unwrap().project_type.clone()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_site_that_is_analysed_again_keeps_its_id_and_links_and_gets_other_offers_at_once(db: PgPool) {
    let (here, elsewhere) = (engine(db.clone()).await, crate::testing::engine(db));
    let who = machine(&["sites:write"]);
    let site = create(&here, &who, new_site()).await.unwrap();
    let fitting = async || {
        let offers = for_site(&here, site.site_id, &Asker::default()).await.unwrap().offers;
        offers.iter().filter(|linked| linked.offer.down_ranked.is_none()).count()
    };
    assert!(fitting().await > 0);
    for engine in [&here, &elsewhere] {
        assert_eq!(kind_at_a_click(engine, &site).await, "full_stack_app");
    }

    let changed = analyse(&here, &who, site.site_id, &analyze(&[])).await.unwrap();
    assert_eq!((changed.site_id, &changed.links), (site.site_id, &site.links));
    assert_eq!(changed.analysis.unwrap().kind, ProjectKind::Unknown);
    assert!(changed.analysed_at > site.analysed_at);
    assert_eq!(fitting().await, 0);
    assert_eq!(kind_at_a_click(&here, &site).await, "unknown");
    // What every process does every two seconds.
    referral_code::forget_changed(&elsewhere).await.unwrap();
    assert_eq!(kind_at_a_click(&elsewhere, &site).await, "unknown");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_analysis_of_an_earlier_version_is_still_read(db: PgPool) {
    let engine = engine(db.clone()).await;
    let site = create(&engine, &Principal::CommandLine, new_site()).await.unwrap();
    let stored: Value = serde_json::from_str(OLD).unwrap();
    let mut earlier = stored.clone();
    earlier.as_object_mut().unwrap().retain(|field, _| ["kind", "data_access", "needs"].contains(&field.as_str()));
    for json in [stored, earlier] {
        sqlx::query("update sites set analysis = $1").bind(json).execute(&db).await.unwrap();
        let analysis = find(&engine, &Principal::CommandLine, site.site_id).await.unwrap().analysis.unwrap();
        assert_eq!((analysis.kind, analysis.data_access[0].name.as_str()), (ProjectKind::FullStackApp, "Prisma"));
        assert!(!analysis.needs.is_empty());
    }
    sqlx::query("update sites set analysis = '{\"kind\": 1}'").execute(&db).await.unwrap();
    assert_eq!(find(&engine, &Principal::CommandLine, site.site_id).await.unwrap().analysis, None, "until it is analysed again");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_sites_name_and_address_can_be_corrected(db: PgPool) {
    let engine = engine(db.clone()).await;
    let who = machine(&["sites:write"]);
    let site = create(&engine, &who, new_site()).await.unwrap();
    let named = Change { name: Some(" Store ".to_owned()), ..Change::default() };
    let changed = edit(&engine, &who, site.site_id, &named).await.unwrap();
    assert_eq!(changed, Site { name: "Store".to_owned(), ..site.clone() });
    let nowhere = Change { url: Some(None), ..Change::default() };
    assert_eq!(edit(&engine, &who, site.site_id, &nowhere).await.unwrap().url, None);
    let audited: i64 = sqlx::query_scalar("select count(*) from audit_entries where action = 'site.changed'").fetch_one(&db).await.unwrap();
    assert_eq!(audited, 2);

    let wrong = Change { url: Some(Some("javascript:alert(1)".to_owned())), ..Change::default() };
    assert!(matches!(edit(&engine, &who, site.site_id, &wrong).await, Err(Error::Invalid { field, .. }) if field == "url"));
    assert!(matches!(edit(&engine, &who, engine.new_id(), &named).await, Err(Error::NotFound { .. })));
    let stranger = machine(&["clicks:write"]);
    assert!(matches!(edit(&engine, &stranger, site.site_id, &named).await, Err(Error::Forbidden(_))));
    assert!(matches!(analyse(&engine, &stranger, site.site_id, &analyze(&[])).await, Err(Error::Forbidden(_))));
    assert!(matches!(analyse(&engine, &who, engine.new_id(), &analyze(&[])).await, Err(Error::NotFound { .. })));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_retired_site_shows_no_offers_until_it_is_brought_back_and_its_links_go_on(db: PgPool) {
    let engine = engine(db).await;
    let who = Principal::CommandLine;
    let site = create(&engine, &who, new_site()).await.unwrap();
    for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
    let archived = |archived| Change { archived: Some(archived), ..Change::default() };
    let retired = edit(&engine, &who, site.site_id, &archived(true)).await.unwrap();
    assert!(retired.archived_at.is_some());
    assert_eq!(edit(&engine, &who, site.site_id, &archived(true)).await.unwrap(), retired, "a second time changes nothing");
    assert!(matches!(for_site(&engine, site.site_id, &Asker::default()).await, Err(Error::Conflict(reason)) if reason.contains("retired")));
    assert!(referral_code::find(&engine, &site.links[0].alias).await.is_ok());
    assert!(list(&engine, &who, None, 10).await.unwrap().is_empty());
    assert!(overview(&engine, &who, None, 10).await.unwrap()[0].archived, "operators find it");

    edit(&engine, &who, site.site_id, &archived(false)).await.unwrap();
    for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
}
