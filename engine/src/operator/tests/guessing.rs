//! Limits on guessing, and what is noted of it.

use std::{
    net::Ipv6Addr,
    time::{Duration, Instant},
};

use futures::future::join_all;

use super::{
    super::guard::{self, Limit},
    *,
};

async fn with_operator(db: PgPool) -> (Engine, String) {
    let engine = crate::testing::engine(db);
    let email = new_email();
    create(&engine, &Principal::CommandLine, &email, PASSWORD, Role::Owner).await.unwrap();
    (engine, email)
}

async fn fail(engine: &Engine, email: &str, times: i64) {
    for _ in 0..times {
        let refusal = sign_in(engine, email, "wrong", HERE).await.unwrap_err();
        assert!(matches!(refusal, Error::Invalid { .. }), "{refusal}");
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn after_ten_wrong_tries_even_the_right_password_has_to_wait_but_not_elsewhere(db: PgPool) {
    let (engine, email) = with_operator(db).await;
    fail(&engine, &email, Limit::EmailFromHere.max()).await;
    assert!(matches!(sign_in(&engine, &email, PASSWORD, HERE).await, Err(Error::Forbidden(_))));
    sign_in(&engine, &email, PASSWORD, ELSEWHERE).await.unwrap();
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn tries_that_come_at_once_count_each_other(db: PgPool) {
    let (engine, email) = with_operator(db).await;
    let tries = join_all((0..40).map(|_| sign_in(&engine, &email, "wrong", HERE))).await;
    let looked_at = tries.iter().filter(|tried| !matches!(tried, Err(Error::Forbidden(_)))).count();
    assert_eq!(looked_at, 10, "{tries:?}");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn hammering_one_e_mail_shuts_out_neither_it_elsewhere_nor_others_here(db: PgPool) {
    let (engine, email) = with_operator(db).await;
    for _ in 0..Limit::Email.max() + Limit::Here.max() {
        let _ = guard::begin(&engine, &email, HERE).await;
    }
    assert!(guard::begin(&engine, &email, HERE).await.is_err());
    assert!(guard::begin(&engine, &email, ELSEWHERE).await.is_ok());
    assert!(guard::begin(&engine, &new_email(), HERE).await.is_ok());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn many_e_mails_from_one_network_end_at_a_limit(db: PgPool) {
    let (engine, _) = with_operator(db).await;
    // A customer's /48 has many networks.
    let network = |subnet: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 7, subnet, 0, 0, 0, 1));
    for subnet in 0..50 {
        assert!(guard::begin(&engine, &new_email(), network(subnet)).await.is_ok(), "{subnet}");
    }
    let refusal = async |subnet| guard::begin(&engine, &new_email(), network(subnet)).await.err().unwrap();
    assert_eq!(refusal(50).await, guard::Refusal { limit: Limit::Here, is_first: true });
    assert_eq!(refusal(51).await, guard::Refusal { limit: Limit::Here, is_first: false });
    assert!(guard::begin(&engine, &new_email(), HERE).await.is_ok());
    let others = Ipv6Addr::new(0x2001, 0xdb8, 8, 0, 0, 0, 0, 1);
    assert!(guard::begin(&engine, &new_email(), others.into()).await.is_ok());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn addresses_of_version_4_are_places_of_their_own_whatever_socket_they_came_by(db: PgPool) {
    let (engine, email) = with_operator(db).await;
    let mapped = |address: IpAddr| match address {
        IpAddr::V4(address) => IpAddr::V6(address.to_ipv6_mapped()),
        address => address,
    };
    fail(&engine, &email, Limit::EmailFromHere.max()).await;
    assert!(guard::begin(&engine, &email, mapped(HERE)).await.is_err());
    assert!(guard::begin(&engine, &email, mapped(ELSEWHERE)).await.is_ok());
}

#[tokio::test]
async fn while_redis_hangs_a_try_waits_for_it_once_and_goes_on() {
    let (engine, _silent) = crate::testing::engine_of_silence();
    let asked_at = Instant::now();
    assert!(guard::begin(&engine, "ada@example.com", HERE).await.is_ok());
    assert!(asked_at.elapsed() < Duration::from_secs(2), "{:?}", asked_at.elapsed());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn one_e_mail_from_very_many_places_ends_at_a_limit(db: PgPool) {
    let (engine, email) = with_operator(db).await;
    for place in 0..20_u8 {
        for _ in 0..Limit::EmailFromHere.max() {
            assert!(guard::begin(&engine, &email, [198, 51, 100, place].into()).await.is_ok(), "{place}");
        }
    }
    assert_eq!(guard::begin(&engine, &email, HERE).await.err().unwrap().limit, Limit::Email);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn signing_in_forgives_the_wrong_tries_before_it(db: PgPool) {
    let (engine, email) = with_operator(db).await;
    for _ in 0..2 {
        fail(&engine, &email, Limit::EmailFromHere.max() - 1).await;
        sign_in(&engine, &email, PASSWORD, HERE).await.unwrap();
    }
}

/// Whoever finds an open browser must not guess the password there.
#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn tries_to_change_a_password_count_as_well(db: PgPool) {
    let (engine, email) = with_operator(db).await;
    let (operator, token) = sign_in(&engine, &email, PASSWORD, HERE).await.unwrap();
    let change = async |present| change_password(&engine, &operator.principal(), &token, present, "another horse battery", HERE).await;
    for _ in 0..Limit::EmailFromHere.max() {
        assert!(matches!(change("wrong").await, Err(Error::Invalid { field, .. }) if field == "present_password"));
    }
    assert!(matches!(change(PASSWORD).await, Err(Error::Forbidden(_))));
    let by_nobody = ["operator.sign_in_failed", "operator.sign_in_failed", "operator.sign_in_refused"];
    let mut expected = by_nobody.map(|action| ("anonymous".to_owned(), action.to_owned())).to_vec();
    expected.push((email, "operator.sign_in".to_owned()));
    expected.sort();
    assert_eq!(noted(&engine, 4).await, expected);
}

/// The first entries, sorted: those of failed tries are written in tasks of their own.
async fn noted(engine: &Engine, least: usize) -> Vec<(String, String)> {
    let all = async {
        loop {
            let noted = audited(engine).await;
            if noted.len() >= least {
                return noted;
            }
        }
    };
    let mut noted = tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
    noted.sort();
    noted
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn failed_tries_and_the_first_refusal_are_noted_but_not_each(db: PgPool) {
    let (engine, email) = with_operator(db).await;
    fail(&engine, &email, Limit::EmailFromHere.max()).await;
    for _ in 0..5 {
        assert!(matches!(sign_in(&engine, &email, PASSWORD, HERE).await, Err(Error::Forbidden(_))));
    }
    let expected = ["operator.sign_in_failed", "operator.sign_in_failed", "operator.sign_in_refused"];
    assert_eq!(noted(&engine, 3).await, expected.map(|action| ("anonymous".to_owned(), action.to_owned())));
    let subjects: Vec<String> = sqlx::query_scalar("select distinct subject from audit_entries").fetch_all(&engine.db).await.unwrap();
    assert_eq!(subjects, [format!("operator {email}")]);
}

#[test]
fn what_was_typed_as_an_unknown_e_mail_is_not_kept() {
    assert_eq!(session::noted_subject(None), "an unknown e-mail");
    assert_eq!(session::noted_subject(Some("ada@example.com")), "operator ada@example.com");
}
