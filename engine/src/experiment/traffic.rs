//! What the units of a design did lately, which its plan begins with.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    auth::Principal,
    experiment::{Design, Traffic, UnitKind},
    id::{uuid_v7, uuid_v7_time},
};
use uuid::Uuid;

use super::require_read;
use crate::{Engine, Result, recommendation};

/// A whole week, since its days differ.
const DAYS: i64 = 7;
/// The latest impressions that are looked at: less than a second's work. Where a week has more, they tell enough in less.
const IMPRESSIONS_MAX: i64 = 200_000;

/// What the units that a design is for did in the last week. Nobody is taken off by holdout, group or traffic allocation, which are no
/// matter of what units do.
///
/// A unit counts if it saw an offer that the test could change, or followed one. A visitor who has no id does not count, and one whose id no
/// test keeps counts anew on each page.
///
/// # Errors
/// Refuses who may not read.
pub async fn traffic(engine: &Engine, who: &Principal, design: &Design) -> Result<Traffic> {
    require_read(who)?;
    let now = engine.now();
    let partner_ids: Option<Vec<String>> = if design.kind.is_of_offers() {
        let offered = recommendation::offered(engine, None).await?;
        Some(recommendation::concerned(design, &offered).iter().map(ToString::to_string).collect())
    } else {
        None
    };
    let site_ids: Vec<Uuid> = design.eligibility.site_ids.iter().map(|id| id.0).collect();
    let segments: Vec<String> = design.eligibility.segments.iter().map(|kind| kind.id().to_owned()).collect();
    let Window { after, since } = window(engine, now).await?;
    let row = sqlx::query!(
        r#"with seen as (
               select case when $3 then i.site_id::text else r.visitor end as unit
               from impressions i
               join recommendations r using (recommendation_id, recommended_at)
               join sites s on s.site_id = i.site_id
               where i.recommendation_id > $1 and i.recommended_at >= $2
                 and ($4::text[] is null or i.partner_id = any($4))
                 and ($5::uuid[] = '{}' or i.site_id = any($5))
                 and ($6::text[] = '{}' or s.analysis ->> 'kind' = any($6))
           ), clicked as (
               select case when $3 then k.site_id::text else r.visitor end as unit, k.click_id
               from clicks k
               join recommendations r using (recommendation_id, site_id)
               join sites s using (site_id)
               where k.click_id > $1 and k.clicked_at >= $2 and k.counted and r.recommendation_id > $1 and r.recommended_at >= $2
                 and ($4::text[] is null or k.partner_id = any($4))
                 and ($5::uuid[] = '{}' or k.site_id = any($5))
                 and ($6::text[] = '{}' or s.analysis ->> 'kind' = any($6))
           ), bought as (
               select k.unit, coalesce(jsonb_array_length(m.receipt -> 'metrics'), 0) > 0 as has_success
               from conversions c
               join attributions using (conversion_id)
               join clicked k using (click_id)
               left join commissions m using (conversion_id)
               where c.occurred_at >= $2 and not (c.value_minor > 0 and c.reversed_minor = c.value_minor)
           ), units as (
               select sum(clicks) as clicks, bool_or(has_converted) as has_converted, bool_or(has_success) as has_success
               from (
                   select distinct unit, 0 as clicks, false as has_converted, false as has_success from seen
                   union all
                   select unit, 1, false, false from clicked
                   union all
                   select unit, 0, true, has_success from bought
               ) as done
               where unit is not null
               group by unit
           )
           select count(*) as "units!", count(*) filter (where clicks > 0) as "clicked!", count(*) filter (where has_converted) as "converted!",
                  count(*) filter (where has_success) as "succeeded!", coalesce(sum(clicks), 0)::bigint as "clicks!",
                  coalesce(sum(clicks * clicks), 0)::bigint as "clicks_squares!"
           from units"#,
        after,
        since,
        design.unit == UnitKind::Site,
        partner_ids.as_deref(),
        &site_ids,
        &segments,
    )
    .fetch_one(&engine.db)
    .await?;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(Traffic {
        days: (now - since).as_seconds_f64() / 86_400.0,
        units: count(row.units),
        clicked: count(row.clicked),
        converted: count(row.converted),
        succeeded: count(row.succeeded),
        clicks: count(row.clicks),
        clicks_squares: count(row.clicks_squares),
    })
}

/// What is looked at. Ids of recommendations and clicks carry their time, so that the primary keys lead to the latest.
struct Window {
    after: Uuid,
    since: DateTime<Utc>,
}

async fn window(engine: &Engine, now: DateTime<Utc>) -> Result<Window> {
    let since = now - TimeDelta::days(DAYS);
    let after = uuid_v7(since, [0; 10]);
    let too_many = sqlx::query_scalar!(
        "select recommendation_id
         from impressions
         where recommendation_id > $1 and recommended_at >= $2
         order by recommendation_id desc
         offset $3
         limit 1",
        after,
        since,
        IMPRESSIONS_MAX,
    )
    .fetch_optional(&engine.db)
    .await?;
    let narrowed = too_many.and_then(|id| Some(Window { after: id, since: uuid_v7_time(id)? }));
    Ok(narrowed.unwrap_or(Window { after, since }))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use chrono::TimeDelta;
    use domain::experiment::{Eligibility, ExperimentKind};
    use serde_json::json;
    use sqlx::PgPool;

    use super::*;
    use crate::{
        Error,
        experiment::fixture::{Fixture, begin, design, supabase},
        recommendation::record_impressions,
    };

    async fn ask(place: &Fixture, design: &Design) -> Traffic {
        traffic(&place.it.engine, &Principal::CommandLine, design).await.unwrap()
    }

    /// Somebody sees the offer of a partner on a site.
    async fn see(place: &Fixture, site: usize, visitor: Option<&str>, partner: &str) -> domain::RecommendationId {
        let id = place.give(site, visitor, &[]).await;
        record_impressions(&place.it.engine, id, &[partner.parse().unwrap()]).await.unwrap();
        id
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn units_count_once_and_only_where_the_design_could_change_what_they_see(db: PgPool) {
        let place = begin(db, &design()).await;
        let (here, elsewhere) = (place.it.links[0].site_id, place.it.links[1].site_id);
        see(&place, 1, Some("visitor-of-long-ago"), "supabase").await;
        place.it.engine.clock.advance(TimeDelta::days(8));
        for (site, visitor, partner) in [
            (0, Some("visitor-1"), "supabase"),
            (0, Some("visitor-1"), "supabase"),
            (0, Some("visitor-2"), "supabase"),
            (0, Some("visitor-3"), "figma"),
            (0, None, "supabase"),
            (1, Some("visitor-4"), "figma"),
        ] {
            see(&place, site, visitor, partner).await;
        }
        sqlx::query("update sites set analysis = '{\"kind\": \"api_service\"}' where site_id = $1")
            .bind(elsewhere)
            .execute(&place.it.engine.db)
            .await
            .unwrap();

        let of = |eligibility: Eligibility| Design { eligibility, ..design() };
        let for_all = ask(&place, &design()).await;
        assert_eq!((for_all.units, for_all.days), (4, 7.0));
        assert_eq!(ask(&place, &of(Eligibility { partner_ids: [supabase()].into(), ..Eligibility::default() })).await.units, 2);
        assert_eq!(ask(&place, &of(Eligibility { site_ids: [here].into(), ..Eligibility::default() })).await.units, 3);
        let segments = [domain::analysis::ProjectKind::ApiService].into();
        assert_eq!(ask(&place, &of(Eligibility { segments, ..Eligibility::default() })).await.units, 1);

        let by_site = Design { unit: UnitKind::Site, kind: ExperimentKind::RankingWeight, ..design() };
        assert_eq!(ask(&place, &by_site).await.units, 2, "sites, whoever their visitors are");
        let nobody = place.it.engine.new_id();
        assert_eq!(ask(&place, &of(Eligibility { site_ids: [nobody].into(), ..Eligibility::default() })).await.units, 0);
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn what_units_did_counts_for_the_partners_of_the_design_alone(db: PgPool) {
        let place = begin(db, &design()).await;
        let first = see(&place, 0, Some("visitor-1"), "supabase").await;
        let second = see(&place, 0, Some("visitor-1"), "supabase").await;
        see(&place, 0, Some("visitor-2"), "supabase").await;
        let clicks = [place.click(0, first).await, place.click(0, second).await];
        place.it.engine.clock.advance(TimeDelta::minutes(10));
        place.sell("ord_1", "100.00", "USD", json!({ "click_id": place.token(&clicks[1]) })).await;
        place.settle().await;

        let found = ask(&place, &design()).await;
        assert_eq!((found.units, found.clicked, found.converted, found.succeeded), (2, 1, 1, 0));
        assert_eq!((found.clicks, found.clicks_squares), (2, 4));
        let partner_ids = ["figma".parse().unwrap()].into();
        let of_figma = Design { eligibility: Eligibility { partner_ids, ..Eligibility::default() }, ..design() };
        assert_eq!(ask(&place, &of_figma).await, Traffic { days: 7.0, ..Traffic::default() });

        place.refund("refund_1", "ord_1", None).await;
        place.settle().await;
        assert_eq!(ask(&place, &design()).await.converted, 0, "all of it was taken back");
        assert!(matches!(traffic(&place.it.engine, &Principal::Anonymous, &design()).await, Err(Error::Unauthenticated)));
    }
}
