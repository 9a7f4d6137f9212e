//! What keeps workers from waiting for each other crosswise, and one failure from stopping all others.

use std::pin::pin;

use futures::future::{Either, select};

use super::*;

/// 60,000,000,000,000,000 dollars: the most that it may earn fits into 64 bits of cents at 20 %, and not at 90 %.
const HUGE: &str = "60000000000000000.00";

impl Fixture {
    async fn raise_commission(&self) {
        sqlx::query("update partner_terms set commission_rate = 0.9 where partner_id = 'supabase'").execute(&self.engine.db).await.unwrap();
    }

    async fn is_someone_waiting(&self) -> bool {
        sqlx::query_scalar(
            "select exists (select from pg_locks where locktype = 'advisory' and not granted
                                                       and database = (select oid from pg_database where datname = current_database()))",
        )
        .fetch_one(&self.engine.db)
        .await
        .unwrap()
    }

    async fn ask_for_recheck(&self, id: ConversionId) {
        sqlx::query("insert into attribution_rechecks (conversion_id) values ($1)").bind(id).execute(&self.engine.db).await.unwrap();
    }
}

/// A unit of work that fails where it would have to wait for another.
async fn impatient(engine: &Engine) -> Work<'_> {
    let mut work = Work::begin(engine).await.unwrap();
    sqlx::query("set local lock_timeout = '1s'").execute(work.connection()).await.unwrap();
    work
}

fn of_customer(name: &str, session: SessionId) -> Claim {
    Claim { user_identifier: Some(name.to_owned()), ..by_session(session) }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_session_that_is_known_already_is_not_locked(db: PgPool) {
    let it = fixture(db).await;
    let session: SessionId = it.engine.new_id();
    it.sale("ord_1", "49.00", of_customer("cus_1", session)).await;
    let mut others = it.engine.db.begin().await.unwrap();
    sqlx::query("select from customer_sessions for update").fetch_one(&mut *others).await.unwrap();

    let mut work = impatient(&it.engine).await;
    let new = NewConversion {
        partner_id: supabase(),
        external_event_id: "ord_2".to_owned(),
        conversion_type: ConversionType::Renewal,
        occurred_at: it.now(),
        value: Money::parse("49.00", Currency::USD).unwrap(),
        claim: of_customer("cus_1", session),
    };
    conversion::record(&mut work, &new, Source::Webhook, None).await.unwrap();
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_recheck_waits_for_its_customer_before_it_holds_a_developer(db: PgPool) {
    let it = fixture(db).await;
    let session: SessionId = it.engine.new_id();
    it.click(0, it.now() - TimeDelta::hours(1), Some(session)).await;
    let (id, state) = it.sale("ord_1", "49.00", of_customer("cus_1", session)).await;
    assert_eq!(state, ConversionState::Attributed);
    it.ask_for_recheck(id).await;

    let mut others = impatient(&it.engine).await;
    lock_customer(&mut others, &supabase(), "cus_1").await.unwrap();
    let recheck = pin!(recheck_one(&it.engine));
    let waiting = pin!(async { while !it.is_someone_waiting().await {} });
    match select(recheck, waiting).await {
        Either::Left(_) => panic!("it did not wait for the customer"),
        Either::Right(((), recheck)) => {
            commission::lock_developer(&mut others, it.sites[0].link.developer_id).await.unwrap();
            others.commit().await.unwrap();
            assert!(recheck.await.unwrap());
        }
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_recheck_that_cannot_be_rated_says_why_and_keeps_no_other_waiting(db: PgPool) {
    let it = fixture(db).await;
    let token = || by_token(it.token(0, it.now() - TimeDelta::hours(1)));
    let (huge, _) = it.sale("ord_1", HUGE, token()).await;
    let (other, _) = it.sale("ord_2", "49.00", token()).await;
    it.raise_commission().await;
    it.ask_for_recheck(huge).await;
    it.ask_for_recheck(other).await;
    while recheck_one(&it.engine).await.unwrap() {}
    let (state, reason) = it.state(huge).await;
    assert_eq!(state, ConversionState::Attributed);
    assert!(reason.as_deref().unwrap_or_default().contains("does not fit into 64 bits"), "{reason:?}");
    assert_eq!(it.credits(other).await, [(it.sites[0].site_id, "1".to_owned(), 4410)]);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_retry_that_cannot_be_rated_says_why_and_keeps_no_other_waiting(db: PgPool) {
    let it = fixture(db).await;
    let sessions: [SessionId; 2] = std::array::from_fn(|_| it.engine.new_id());
    it.raise_commission().await;
    let (huge, _) = it.sale("ord_1", HUGE, by_session(sessions[0])).await;
    let (other, _) = it.sale("ord_2", "49.00", by_session(sessions[1])).await;
    for session in sessions {
        it.click(0, it.now() - TimeDelta::hours(1), Some(session)).await;
    }
    it.engine.clock.advance(TimeDelta::minutes(1));
    assert!(retry_one(&it.engine).await.unwrap() && retry_one(&it.engine).await.unwrap());
    assert!(!retry_one(&it.engine).await.unwrap());
    let (state, reason) = it.state(huge).await;
    assert_eq!(state, ConversionState::Unattributed);
    assert!(reason.as_deref().unwrap_or_default().contains("does not fit into 64 bits"), "{reason:?}");
    assert_eq!(it.credits(other).await, [(it.sites[0].site_id, "1".to_owned(), 4410)]);
    it.engine.clock.advance(TimeDelta::minutes(10));
    assert!(retry_one(&it.engine).await.unwrap());
}
