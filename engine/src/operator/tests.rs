//! Signing in, against a real database and Redis.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod guessing;
mod managing;

use std::net::{IpAddr, Ipv4Addr};

use chrono::Duration;
use sqlx::PgPool;

use super::*;

const PASSWORD: &str = "correct horse battery";
/// Each test hashes addresses with a key of its own, so that they may share one.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

/// Unlike any other run's, since failed tries are counted in a shared Redis.
fn new_email() -> String {
    format!("ada-{:016x}@example.com", rand::random::<u64>())
}

async fn create(engine: &Engine, who: &Principal, email: &str, password: &str, role: Role) -> Result<OperatorId> {
    super::create(engine, who, NewOperator { email, password, role, password_is_temporary: false }).await
}

fn problem_field(error: &Error) -> Option<String> {
    domain::Problem::from(match error {
        Error::Invalid { field, reason } => Error::invalid(field.clone(), reason),
        other => Error::Conflict(other.to_string()),
    })
    .field
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_session_lasts_until_it_is_signed_out(db: PgPool) {
    let engine = crate::testing::engine(db);
    let email = new_email();
    let id = create(&engine, &Principal::CommandLine, &format!(" {} ", email.to_uppercase()), PASSWORD, Role::Operator).await.unwrap();
    assert_eq!(count(&engine).await.unwrap(), 1);

    let (operator, token) = sign_in(&engine, &email.to_uppercase(), PASSWORD, HERE).await.unwrap();
    assert_eq!(operator, Operator { id, email: email.clone(), role: Role::Operator, password_is_temporary: false });
    let who = authenticate(&engine, &token).await.unwrap();
    assert_eq!(who, Some(Principal::Operator { id, email, role: Role::Operator }));

    sign_out(&engine, &token).await.unwrap();
    sign_out(&engine, &token).await.unwrap();
    assert_eq!(authenticate(&engine, &token).await.unwrap(), None);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_session_ends_after_14_days(db: PgPool) {
    let engine = crate::testing::engine(db);
    let email = new_email();
    create(&engine, &Principal::CommandLine, &email, PASSWORD, Role::Analyst).await.unwrap();
    let (_, token) = sign_in(&engine, &email, PASSWORD, HERE).await.unwrap();
    engine.clock.advance(Duration::days(SESSION_DAYS) - Duration::minutes(1));
    assert!(authenticate(&engine, &token).await.unwrap().is_some());
    engine.clock.advance(Duration::minutes(1));
    assert_eq!(authenticate(&engine, &token).await.unwrap(), None);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_wrong_password_and_an_unknown_e_mail_are_answered_alike(db: PgPool) {
    let engine = crate::testing::engine(db);
    let email = new_email();
    create(&engine, &Principal::CommandLine, &email, PASSWORD, Role::Owner).await.unwrap();
    let wrong = sign_in(&engine, &email, "correct horse batterz", HERE).await.unwrap_err();
    let unknown = sign_in(&engine, &new_email(), PASSWORD, HERE).await.unwrap_err();
    assert_eq!(wrong.to_string(), unknown.to_string());
    assert_eq!(problem_field(&wrong).as_deref(), Some("password"));
    assert_eq!(authenticate(&engine, "").await.unwrap(), None);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn short_passwords_and_bad_e_mails_are_refused_by_field(db: PgPool) {
    let engine = crate::testing::engine(db);
    for email in ["", "ada", "@example.com", "ada@", "a da@example.com", &format!("{}@example.com", "a".repeat(250))] {
        let error = create(&engine, &Principal::CommandLine, email, PASSWORD, Role::Owner).await.unwrap_err();
        assert_eq!(problem_field(&error).as_deref(), Some("email"), "{email}");
    }
    for password in ["", "elevenchars", "ä".repeat(11).as_str(), "x".repeat(1025).as_str()] {
        let error = create(&engine, &Principal::CommandLine, "ada@example.com", password, Role::Owner).await.unwrap_err();
        assert_eq!(problem_field(&error).as_deref(), Some("password"), "{password}");
    }
    assert_eq!(count(&engine).await.unwrap(), 0);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_e_mail_belongs_to_one_operator_whatever_its_case(db: PgPool) {
    let engine = crate::testing::engine(db);
    create(&engine, &Principal::CommandLine, "ada@example.com", PASSWORD, Role::Owner).await.unwrap();
    let error = create(&engine, &Principal::CommandLine, "Ada@Example.com", PASSWORD, Role::Analyst).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_database_holds_neither_password_nor_token(db: PgPool) {
    let engine = crate::testing::engine(db.clone());
    let email = new_email();
    create(&engine, &Principal::CommandLine, &email, PASSWORD, Role::Owner).await.unwrap();
    let (_, token) = sign_in(&engine, &email, PASSWORD, HERE).await.unwrap();
    let hash: String = sqlx::query_scalar("select password_hash from operators").fetch_one(&db).await.unwrap();
    let digest: Vec<u8> = sqlx::query_scalar("select token_digest from operator_sessions").fetch_one(&db).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$") && !hash.contains(PASSWORD), "{hash}");
    assert_ne!(hex::encode(digest), token);
}

async fn audited(engine: &Engine) -> Vec<(String, String)> {
    sqlx::query_as("select actor, action from audit_entries where action <> 'operator.create' order by audit_entry_id")
        .fetch_all(&engine.db)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn signing_in_and_out_leaves_a_trace(db: PgPool) {
    let engine = crate::testing::engine(db);
    let email = new_email();
    create(&engine, &Principal::CommandLine, &email, PASSWORD, Role::Analyst).await.unwrap();
    let (_, token) = sign_in(&engine, &email, PASSWORD, HERE).await.unwrap();
    sign_out(&engine, &token).await.unwrap();
    sign_out(&engine, &token).await.unwrap();
    let expected = ["operator.sign_in", "operator.sign_out"].map(|action| (email.clone(), action.to_owned()));
    assert_eq!(audited(&engine).await, expected);
}

/// Somebody's password is changed while a sign-in with the old one is under way.
#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_password_that_was_right_a_moment_ago_opens_no_session(db: PgPool) {
    let engine = crate::testing::engine(db.clone());
    let email = new_email();
    let id = create(&engine, &Principal::CommandLine, &email, PASSWORD, Role::Owner).await.unwrap();
    let hash: String = sqlx::query_scalar("select password_hash from operators").fetch_one(&db).await.unwrap();
    set_password(&engine, &Principal::CommandLine, &email, "another horse battery").await.unwrap();
    let operator = Operator { id, email, role: Role::Owner, password_is_temporary: false };
    assert_eq!(session::open(&engine, &operator, &hash).await.unwrap(), None);
    assert_eq!(sqlx::query_scalar::<_, i64>("select count(*) from operator_sessions").fetch_one(&db).await.unwrap(), 0);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_the_installation_wrote_down_can_be_compared(db: PgPool) {
    let engine = crate::testing::engine(db);
    let email = new_email();
    create(&engine, &Principal::CommandLine, &email, PASSWORD, Role::Owner).await.unwrap();
    assert!(has_password(&engine, &email.to_uppercase(), PASSWORD).await.unwrap());
    assert!(!has_password(&engine, &email, "another horse battery").await.unwrap());
    assert!(!has_password(&engine, &new_email(), PASSWORD).await.unwrap());
}
