//! Registering sites on a real database.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use domain::{ApiTokenId, analysis::SourceFile};
use sqlx::PgPool;
use uuid::Uuid;

use super::*;
use crate::testing;

pub(super) async fn engine(db: PgPool) -> Engine {
    let engine = testing::engine(db);
    partner::import_files(&engine, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../partners")).await.unwrap();
    engine
}

pub(crate) fn new_site() -> NewSite {
    let manifest = r#"{"dependencies":{"next":"15","@prisma/client":"6"}}"#;
    let files = [SourceFile { path: "package.json".into(), size: manifest.len() as u64, content: Some(manifest.into()) }];
    NewSite {
        name: "Shop".into(),
        url: Some("https://shop.example/".into()),
        user_ref: "user-1".into(),
        analysis: domain::analysis::analyze(&files),
    }
}

pub(super) fn machine(scopes: &[&str]) -> Principal {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    Principal::Machine { id: ApiTokenId(Uuid::nil()), name: "generator".into(), scopes, partner_id: None }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_site_gets_a_code_and_an_alias_for_each_active_partner(db: PgPool) {
    let engine = engine(db).await;
    let site = create(&engine, &machine(&["sites:write"]), new_site()).await.unwrap();
    assert_eq!(site.links.iter().map(|link| link.partner_id.as_str()).collect::<Vec<_>>(), ["figma", "railway", "supabase"]);
    for link in &site.links {
        let code: ReferralCode = link.referral_code.parse().unwrap();
        assert_eq!(
            (code.user.as_str(), code.site.as_str()),
            (user_hash("user-1", &engine.keys.hash_salt).as_str(), site_hash(site.site_id, &engine.keys.hash_salt).as_str())
        );
        let found = referral_code::find(&engine, &link.alias).await.unwrap();
        assert_eq!((found.site_id, found.project_type.as_str()), (site.site_id, "full_stack_app"));
    }
    let again = find(&engine, &Principal::CommandLine, site.site_id).await.unwrap();
    assert_eq!(again, site);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn two_sites_of_one_developer_share_the_developer(db: PgPool) {
    let engine = engine(db).await;
    let first = create(&engine, &Principal::CommandLine, new_site()).await.unwrap();
    let second = create(&engine, &Principal::CommandLine, NewSite { url: None, ..new_site() }).await.unwrap();
    assert_eq!(first.developer_id, second.developer_id);
    assert_ne!(first.site_id, second.site_id);
    let listed = list(&engine, &Principal::CommandLine, None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|site| site.site_id).collect::<Vec<_>>(), [second.site_id, first.site_id]);
    assert_eq!(listed[0].kind.as_deref(), Some("full_stack_app"));
    assert_eq!(list(&engine, &Principal::CommandLine, Some(listed[0].created_at), 10).await.unwrap().len(), 1);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_partner_that_joins_later_gets_its_code_when_the_site_is_read(db: PgPool) {
    let engine = engine(db.clone()).await;
    sqlx::query("update partners set active = false where partner_id = 'figma'").execute(&db).await.unwrap();
    let site = create(&engine, &Principal::CommandLine, new_site()).await.unwrap();
    assert_eq!(site.links.len(), 2);
    sqlx::query("update partners set active = true where partner_id = 'figma'").execute(&db).await.unwrap();
    assert_eq!(find(&engine, &Principal::CommandLine, site.site_id).await.unwrap().links.len(), 3);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn who_lacks_the_scope_changes_nothing(db: PgPool) {
    let engine = engine(db).await;
    assert!(matches!(create(&engine, &Principal::Anonymous, new_site()).await, Err(Error::Unauthenticated)));
    assert!(matches!(create(&engine, &machine(&["clicks:write"]), new_site()).await, Err(Error::Forbidden(_))));
    assert!(matches!(find(&engine, &Principal::Anonymous, engine.new_id()).await, Err(Error::Unauthenticated)));
    assert!(list(&engine, &Principal::CommandLine, None, 10).await.unwrap().is_empty());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_field_that_is_out_of_bounds_is_named(db: PgPool) {
    let engine = engine(db).await;
    let cases = [
        ("name", NewSite { name: "  ".into(), ..new_site() }),
        ("name", NewSite { name: "x".repeat(201), ..new_site() }),
        ("user_ref", NewSite { user_ref: "a\nb".into(), ..new_site() }),
        ("url", NewSite { url: Some("javascript:alert(1)".into()), ..new_site() }),
        ("url", NewSite { url: Some("shop".into()), ..new_site() }),
    ];
    for (expected, new) in cases {
        let error = create(&engine, &Principal::CommandLine, new).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid { field, .. } if field == expected), "{error}");
    }
    assert!(matches!(list(&engine, &Principal::CommandLine, None, 0).await, Err(Error::Invalid { .. })));
    assert!(matches!(find(&engine, &Principal::CommandLine, engine.new_id()).await, Err(Error::NotFound { .. })));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_nul_in_an_analysis_is_left_out(db: PgPool) {
    let engine = engine(db).await;
    let mut new = new_site();
    new.analysis.warnings.push("a\0b".into());
    let site = create(&engine, &Principal::CommandLine, new).await.unwrap();
    let found = find(&engine, &Principal::CommandLine, site.site_id).await.unwrap();
    assert_eq!(found.analysis.unwrap().warnings, ["ab"]);
}
