//! Events of one customer that are recorded at the same time.

use chrono::TimeDelta;
use domain::{
    PartnerId,
    conversion::{Claim, ConversionType, NewConversion, Source},
    money::{Currency, Money},
};
use futures::future::{Either, select};
use sqlx::PgPool;

use super::record;
use crate::{
    Engine, attribution,
    click::{Visit, follow},
    clock,
    success::tests::it,
    work::Work,
};

async fn is_someone_waiting(engine: &Engine) -> bool {
    sqlx::query_scalar(
        "select exists (select from pg_locks where locktype = 'advisory' and not granted
                                                   and database = (select oid from pg_database where datname = current_database()))",
    )
    .fetch_one(&engine.db)
    .await
    .unwrap()
}

/// The first names click and customer, the second only the customer; neither is committed when the other begins.
#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_renewal_recorded_at_the_same_time_as_the_first_sale_finds_its_click(db: PgPool) {
    let it = it(db).await;
    let (engine, now) = (&it.engine, it.engine.now());
    let visit = Visit { user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), ..Visit::default() };
    let click = clock::at(now - TimeDelta::hours(2), follow(engine, &it.links[0].referral_code, visit)).await.unwrap();
    let partner_id: PartnerId = it.partner_id.clone();
    let sale = |id: &str, minutes_ago, click_token| NewConversion {
        partner_id: partner_id.clone(),
        external_event_id: id.to_owned(),
        conversion_type: ConversionType::Sale,
        occurred_at: now - TimeDelta::minutes(minutes_ago),
        value: Money::new(4900, Currency::USD),
        claim: Claim { click_token, user_identifier: Some("customer-1".to_owned()), ..Claim::default() },
    };
    let (first, renewal) = (sale("first", 60, click.click_token), sale("renewal", 30, None));

    let mut first_work = Work::begin(engine).await.unwrap();
    record(&mut first_work, &first, Source::Webhook, None).await.unwrap();
    let second = Box::pin(async {
        let mut work = Work::begin(engine).await.unwrap();
        record(&mut work, &renewal, Source::Webhook, None).await.unwrap();
        work.commit().await.unwrap();
    });
    let blocked = Box::pin(async { while !is_someone_waiting(engine).await {} });
    match select(second, blocked).await {
        Either::Left(_) => first_work.commit().await.unwrap(),
        Either::Right((_, second)) => {
            first_work.commit().await.unwrap();
            second.await;
        }
    }
    while attribution::recheck_one(engine).await.unwrap() {}

    let attributed: Vec<String> = sqlx::query_scalar(
        "select external_event_id from conversions join attributions using (conversion_id) where state = 'attributed' order by 1",
    )
    .fetch_all(&engine.db)
    .await
    .unwrap();
    assert_eq!(attributed, ["first", "renewal"]);
}
