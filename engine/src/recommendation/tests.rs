//! Recommendations and impressions on a real database.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use domain::{analysis::SourceFile, auth::Principal, site::Site};
use sqlx::PgPool;

use super::*;
use crate::testing;

mod experiments;

async fn fixture(db: PgPool) -> (Engine, Site) {
    let engine = testing::engine(db);
    partner::import_files(&engine, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../partners")).await.unwrap();
    let manifest = r#"{"dependencies":{"next":"15","@prisma/client":"6"},"scripts":{"start":"next start"}}"#;
    let files = [SourceFile { path: "package.json".into(), size: manifest.len() as u64, content: Some(manifest.into()) }];
    let analysis = domain::analysis::analyze(&files);
    let new = site::NewSite { name: "Shop".into(), url: None, user_ref: "user-1".into(), analysis };
    let site = site::create(&engine, &Principal::CommandLine, new).await.unwrap();
    (engine, site)
}

async fn impressions_counted(db: &PgPool) -> i64 {
    sqlx::query_scalar("select coalesce(sum(impressions), 0)::bigint from hourly_counts").fetch_one(db).await.unwrap()
}

fn ids(names: &[&str]) -> Vec<PartnerId> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_site_is_offered_every_partner_with_links_that_lead_to_it(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    let answer = for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
    assert_eq!((answer.offers.len(), answer.model_version.as_str()), (3, "prior-1"));
    for LinkedOffer { offer, link } in &answer.offers {
        let alias = &site.links.iter().find(|link| link.partner_id == offer.partner_id).unwrap().alias;
        assert_eq!(*link, format!("/r/{alias}?rid={}", answer.recommendation_id));
    }
    let (version, logged): (String, Value) =
        sqlx::query_as("select model_version, offers from recommendations where recommendation_id = $1")
            .bind(answer.recommendation_id)
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!((version.as_str(), &logged[0]["partner_id"]), ("prior-1", &json!(answer.offers[0].offer.partner_id)));

    let text = serde_json::to_string(&answer.for_visitors()).unwrap();
    assert!(text.contains("\"recommendationId\"") && text.contains("with no hosted database"));
    assert!(!text.contains("revenue") && !text.contains("probability"), "visitors see no figures of ours");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn each_answer_is_a_recommendation_of_its_own(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    let asker = Asker::default();
    let (first, second) = tokio::join!(for_site(&engine, site.site_id, &asker), for_site(&engine, site.site_id, &asker));
    assert_ne!(first.unwrap().recommendation_id, second.unwrap().recommendation_id);
    let logged: i64 = sqlx::query_scalar("select count(*) from recommendations").fetch_one(&db).await.unwrap();
    assert_eq!(logged, 2);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_partner_that_is_switched_off_or_has_no_terms_is_not_offered(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    sqlx::query("update partners set active = false where partner_id = 'figma'").execute(&db).await.unwrap();
    sqlx::query("delete from partner_terms where partner_id = 'railway'").execute(&db).await.unwrap();
    let answer = for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
    assert_eq!(answer.offers.iter().map(|linked| linked.offer.partner_id.as_str()).collect::<Vec<_>>(), ["supabase"]);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_impression_counts_once_however_often_it_is_reported(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    let answer = for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
    let id = answer.recommendation_id;
    assert_eq!(record_impressions(&engine, id, &ids(&["supabase", "railway", "supabase"])).await.unwrap(), 2);
    assert_eq!(record_impressions(&engine, id, &ids(&["railway", "figma"])).await.unwrap(), 1);
    assert_eq!(record_impressions(&engine, id, &ids(&["railway", "figma"])).await.unwrap(), 0);
    assert_eq!(impressions_counted(&db).await, 3);
    let positions: Vec<(String, i16)> =
        sqlx::query_as("select partner_id, position from impressions order by position").fetch_all(&db).await.unwrap();
    let offered: Vec<String> = answer.offers.iter().map(|linked| linked.offer.partner_id.to_string()).collect();
    assert_eq!(positions.into_iter().map(|(partner, _)| partner).collect::<Vec<_>>(), offered);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_unknown_recommendation_or_partner_is_refused_and_nothing_is_noted(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    let id = for_site(&engine, site.site_id, &Asker::default()).await.unwrap().recommendation_id;
    let error = record_impressions(&engine, id, &ids(&["supabase", "stranger"])).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid { reason, .. } if reason.contains("`stranger`")), "{error}");
    assert!(matches!(record_impressions(&engine, engine.new_id(), &ids(&["supabase"])).await, Err(Error::NotFound { .. })));
    assert!(matches!(record_impressions(&engine, RecommendationId(Uuid::nil()), &ids(&["supabase"])).await, Err(Error::NotFound { .. })));
    assert_eq!(impressions_counted(&db).await, 0);
    assert!(matches!(for_site(&engine, engine.new_id(), &Asker::default()).await, Err(Error::NotFound { .. })));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_site_without_analysis_has_no_recommendations_yet(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    sqlx::query("update sites set analysis = null").execute(&db).await.unwrap();
    assert!(matches!(for_site(&engine, site.site_id, &Asker::default()).await, Err(Error::Conflict(_))));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn history_moves_the_expectation_in_the_payout_currency_alone(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    let revenue = |answer: &Recommendations| {
        let found = answer.offers.iter().find(|linked| linked.offer.partner_id.as_str() == "supabase").unwrap();
        found.offer.expected_revenue_minor
    };
    let before = for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
    for (currency, value) in [("USD", 10_000_000_i64), ("JPY", 900_000_000)] {
        sqlx::query("insert into hourly_money (hour, partner_id, currency, shard, value_minor) values (date_trunc('hour', now()), 'supabase', $1, 0, $2)")
            .bind(currency)
            .bind(value)
            .execute(&db)
            .await
            .unwrap();
    }
    sqlx::query("insert into hourly_counts (hour, partner_id, shard, clicks, conversions) values (date_trunc('hour', now()), 'supabase', 0, 1000, 500)")
        .execute(&db)
        .await
        .unwrap();
    assert_eq!(
        revenue(&for_site(&engine, site.site_id, &Asker::default()).await.unwrap()),
        revenue(&before),
        "what was ranked lately is kept for 10 s"
    );
    engine.recommender.forget();
    let after = for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
    // At most 200.00 of value each, whatever the yen.
    assert!(revenue(&after) > revenue(&before) && revenue(&after) <= 20_000, "{} {}", revenue(&before), revenue(&after));
}
