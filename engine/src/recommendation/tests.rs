//! Recommendations and impressions on a real database.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use domain::{analysis::SourceFile, auth::Principal, recommendation::VisitorOffer, site::Site};
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
    assert_eq!((answer.offers.len(), answer.model_version.as_str()), (3, "prior-2"));
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
    assert_eq!((version.as_str(), &logged[0]["partner_id"]), ("prior-2", &json!(answer.offers[0].offer.partner_id)));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn visitors_see_what_fits_and_neither_our_figures_nor_the_projects_insides(db: PgPool) {
    let (engine, _) = fixture(db).await;
    let files = [
        ("apps/secret-plan/package.json", r#"{"dependencies":{"express":"5","@prisma/client":"6"}}"#),
        ("apps/secret-plan/Procfile", "web: API_KEY=hunter2 node server.js --token=hunter3\n"),
        ("design/tokens.json", "https://www.figma.com/file/abc"),
    ];
    let files = files.map(|(path, text)| SourceFile { path: path.into(), size: text.len() as u64, content: Some(text.into()) });
    let new = site::NewSite { name: "Private".into(), url: None, user_ref: "u".into(), analysis: domain::analysis::analyze(&files) };
    let site = site::create(&engine, &Principal::CommandLine, new).await.unwrap();
    let answer = for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
    let ours = serde_json::to_string(&answer.offers.iter().map(VisitorOffer::whole).collect::<Vec<_>>()).unwrap();
    assert!(ours.contains("hunter2") && ours.contains("apps/secret-plan/package.json"), "{ours}");
    let public: Vec<VisitorOffer> = answer.offers.iter().filter_map(VisitorOffer::public).collect();
    let text = serde_json::to_string(&public).unwrap();
    assert!(text.contains("with no hosted database") && text.contains("\"package.json dependencies.@prisma/client\""), "{text}");
    for inside in ["hunter", "secret-plan", "revenue", "probability", "score"] {
        assert!(!text.contains(inside), "{inside}: {text}");
    }
    assert!(public.len() < answer.offers.len() && public.iter().all(|offer| offer.down_ranked.is_none()), "{text}");
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
async fn what_was_never_recommended_counts_nothing_and_does_not_drop_the_rest_of_a_report(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    let id = for_site(&engine, site.site_id, &Asker::default()).await.unwrap().recommendation_id;
    assert_eq!(record_impressions(&engine, engine.new_id(), &ids(&["supabase"])).await.unwrap(), 0);
    assert_eq!(record_impressions(&engine, RecommendationId(Uuid::nil()), &ids(&["supabase"])).await.unwrap(), 0);
    assert_eq!(record_impressions(&engine, id, &ids(&["stranger"])).await.unwrap(), 0);
    assert_eq!(impressions_counted(&db).await, 0);
    assert_eq!(record_impressions(&engine, id, &ids(&["stranger", "supabase"])).await.unwrap(), 1);
    assert_eq!(impressions_counted(&db).await, 1);
    assert!(matches!(for_site(&engine, engine.new_id(), &Asker::default()).await, Err(Error::NotFound { .. })));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_site_without_analysis_has_no_recommendations_yet(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    sqlx::query("update sites set analysis = null").execute(&db).await.unwrap();
    assert!(matches!(for_site(&engine, site.site_id, &Asker::default()).await, Err(Error::Conflict(_))));
}

/// What Supabase had in this hour: clicks, conversions, those without a click, and commissions.
async fn happened(db: &PgPool, (clicks, conversions, unattributed): (i64, i64, i64), commissions: &[(&str, i64)]) {
    sqlx::query(
        "insert into hourly_counts (hour, partner_id, shard, clicks, conversions, conversions_unattributed)
         values (date_trunc('hour', now()), 'supabase', 0, $1, $2, $3)",
    )
    .bind(clicks)
    .bind(conversions)
    .bind(unattributed)
    .execute(db)
    .await
    .unwrap();
    for (currency, commission_minor) in commissions {
        sqlx::query(
            "insert into hourly_money (hour, partner_id, currency, shard, commission_minor, rated)
             values (date_trunc('hour', now()), 'supabase', $1, 0, $2, $3)",
        )
        .bind(currency)
        .bind(commission_minor)
        .bind(conversions - unattributed)
        .execute(db)
        .await
        .unwrap();
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn sales_without_a_click_and_refunded_ones_raise_no_partner(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    let expect = async |counts: (i64, i64, i64), commission_minor: i64| {
        sqlx::query("truncate hourly_counts, hourly_money").execute(&db).await.unwrap();
        happened(&db, counts, &[("USD", commission_minor)]).await;
        engine.recommender.forget();
        let answer = for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
        let supabase = answer.offers.into_iter().find(|linked| linked.offer.partner_id.as_str() == "supabase").unwrap().offer;
        (supabase.conversion_probability.mean, supabase.expected_revenue_minor)
    };
    assert_eq!(expect((200, 1006, 1000), 3000).await, expect((200, 6, 0), 3000).await);
    let (kept, refunded) = (expect((200, 40, 0), 20_000).await, expect((200, 40, 0), 0).await);
    assert!(refunded.1 < kept.1 && refunded.0.total_cmp(&kept.0).is_eq(), "{kept:?} {refunded:?}");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn history_moves_the_expectation_in_the_payout_currency_alone(db: PgPool) {
    let (engine, site) = fixture(db.clone()).await;
    let revenue = |answer: &Recommendations| {
        let found = answer.offers.iter().find(|linked| linked.offer.partner_id.as_str() == "supabase").unwrap();
        found.offer.expected_revenue_minor
    };
    let before = for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
    happened(&db, (1000, 500, 0), &[("USD", 2_000_000), ("JPY", 180_000_000)]).await;
    assert_eq!(
        revenue(&for_site(&engine, site.site_id, &Asker::default()).await.unwrap()),
        revenue(&before),
        "what was ranked lately is kept for 10 s"
    );
    engine.recommender.forget();
    let after = for_site(&engine, site.site_id, &Asker::default()).await.unwrap();
    // At most 40.00 of commission each, whatever the yen.
    assert!(revenue(&after) > revenue(&before) && revenue(&after) <= 4_000, "{} {}", revenue(&before), revenue(&after));
}
