//! Managing people and one's own account.

use super::*;

const NEW_PASSWORD: &str = "another horse battery";

struct Somebody {
    email: String,
    who: Principal,
    token: String,
}

async fn somebody(engine: &Engine, role: Role) -> Somebody {
    let email = new_email();
    create(engine, &Principal::CommandLine, &email, PASSWORD, role).await.unwrap();
    let (operator, token) = sign_in(engine, &email, PASSWORD, HERE).await.unwrap();
    Somebody { email, who: operator.principal(), token }
}

async fn is_signed_in(engine: &Engine, token: &str) -> bool {
    authenticate(engine, token).await.unwrap().is_some()
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn only_owners_manage_people(db: PgPool) {
    let engine = crate::testing::engine(db);
    let operator = somebody(&engine, Role::Operator).await;
    let (who, email) = (&operator.who, operator.email.as_str());
    let refusals = [
        create(&engine, who, "eve@example.com", PASSWORD, Role::Owner).await.map(drop),
        list(&engine, who).await.map(drop),
        set_password(&engine, who, email, NEW_PASSWORD).await,
        set_role(&engine, who, email, Role::Owner).await,
        remove(&engine, who, email).await,
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Err(Error::Forbidden(_))), "{refusal:?}");
    }
    let owner = somebody(&engine, Role::Owner).await;
    assert_eq!(list(&engine, &owner.who).await.unwrap().len(), 2);
    assert!(matches!(list(&engine, &Principal::Anonymous).await, Err(Error::Unauthenticated)));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn another_password_ends_the_sessions_and_the_old_one(db: PgPool) {
    let engine = crate::testing::engine(db);
    let Somebody { email, token, .. } = somebody(&engine, Role::Operator).await;
    let short = set_password(&engine, &Principal::CommandLine, &email, "short").await;
    assert!(matches!(short, Err(Error::Invalid { field, .. }) if field == "password"));
    set_password(&engine, &Principal::CommandLine, &format!(" {} ", email.to_uppercase()), NEW_PASSWORD).await.unwrap();
    assert!(!is_signed_in(&engine, &token).await);
    assert!(matches!(sign_in(&engine, &email, PASSWORD, HERE).await, Err(Error::Invalid { .. })));
    let (operator, _) = sign_in(&engine, &email, NEW_PASSWORD, HERE).await.unwrap();
    assert!(operator.password_is_temporary);
    let unknown = set_password(&engine, &Principal::CommandLine, "nobody@example.com", NEW_PASSWORD).await;
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_role_holds_at_once_and_who_is_removed_is_signed_out(db: PgPool) {
    let engine = crate::testing::engine(db);
    let owner = somebody(&engine, Role::Owner).await;
    let other = somebody(&engine, Role::Analyst).await;
    set_role(&engine, &owner.who, &other.email, Role::Operator).await.unwrap();
    assert!(authenticate(&engine, &other.token).await.unwrap().unwrap().may_operate());
    set_role(&engine, &owner.who, &other.email, Role::Operator).await.unwrap();

    remove(&engine, &owner.who, &other.email).await.unwrap();
    assert!(!is_signed_in(&engine, &other.token).await);
    assert!(matches!(sign_in(&engine, &other.email, PASSWORD, ELSEWHERE).await, Err(Error::Invalid { .. })));
    assert!(matches!(remove(&engine, &owner.who, &other.email).await, Err(Error::NotFound { .. })));
    let actions: Vec<String> = sqlx::query_scalar("select action from audit_entries where subject = $1 order by audit_entry_id")
        .bind(format!("operator {}", other.email))
        .fetch_all(&engine.db)
        .await
        .unwrap();
    assert_eq!(actions, ["operator.create", "operator.sign_in", "operator.set_role", "operator.remove"], "the second change was none");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_only_owner_stays(db: PgPool) {
    let engine = crate::testing::engine(db);
    let owner = somebody(&engine, Role::Owner).await;
    let other = somebody(&engine, Role::Operator).await;
    assert!(matches!(remove(&engine, &owner.who, &owner.email).await, Err(Error::Conflict(_))));
    assert!(matches!(set_role(&engine, &owner.who, &owner.email, Role::Analyst).await, Err(Error::Conflict(_))));
    set_role(&engine, &owner.who, &other.email, Role::Owner).await.unwrap();
    let both = tokio::join!(remove(&engine, &owner.who, &other.email), remove(&engine, &owner.who, &owner.email));
    assert!(both.0.is_ok() != both.1.is_ok(), "{both:?}");
    assert_eq!(count(&engine).await.unwrap(), 1);
}

/// The session that the new one would be shown in would end with the old one.
#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn nobody_makes_themself_a_password_that_they_will_not_see(db: PgPool) {
    let engine = crate::testing::engine(db);
    let owner = somebody(&engine, Role::Owner).await;
    let own = set_password(&engine, &owner.who, &owner.email.to_uppercase(), NEW_PASSWORD).await;
    assert!(matches!(own, Err(Error::Conflict(_))), "{own:?}");
    assert!(is_signed_in(&engine, &owner.token).await);
    sign_in(&engine, &owner.email, PASSWORD, HERE).await.unwrap();
    let other = somebody(&engine, Role::Owner).await;
    set_password(&engine, &owner.who, &other.email, NEW_PASSWORD).await.unwrap();
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn changing_ones_own_password_ends_ones_other_sessions(db: PgPool) {
    let engine = crate::testing::engine(db);
    let Somebody { email, who, token } = somebody(&engine, Role::Analyst).await;
    let (_, other) = sign_in(&engine, &email, PASSWORD, ELSEWHERE).await.unwrap();
    let stranger = somebody(&engine, Role::Analyst).await;
    assert_eq!(account(&engine, &who).await.unwrap().sessions, 2);
    let change = async |present, new| change_password(&engine, &who, &token, present, new, HERE).await;

    assert!(matches!(change("wrong", NEW_PASSWORD).await, Err(Error::Invalid { field, .. }) if field == "present_password"));
    assert!(matches!(change(PASSWORD, "short").await, Err(Error::Invalid { field, .. }) if field == "new_password"));
    assert!(is_signed_in(&engine, &other).await);
    change(PASSWORD, NEW_PASSWORD).await.unwrap();
    assert!(is_signed_in(&engine, &token).await && !is_signed_in(&engine, &other).await);
    assert!(is_signed_in(&engine, &stranger.token).await);
    sign_in(&engine, &email, NEW_PASSWORD, HERE).await.unwrap();
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_password_that_others_know_is_asked_for_until_it_is_ones_own(db: PgPool) {
    let engine = crate::testing::engine(db);
    let Somebody { email, who, .. } = somebody(&engine, Role::Analyst).await;
    assert!(!account(&engine, &who).await.unwrap().password_is_temporary);
    set_password(&engine, &Principal::CommandLine, &email, NEW_PASSWORD).await.unwrap();
    let (_, token) = sign_in(&engine, &email, NEW_PASSWORD, HERE).await.unwrap();
    assert!(account(&engine, &who).await.unwrap().password_is_temporary);
    let same = change_password(&engine, &who, &token, NEW_PASSWORD, NEW_PASSWORD, HERE).await;
    assert!(matches!(same, Err(Error::Invalid { field, .. }) if field == "new_password"));
    assert!(account(&engine, &who).await.unwrap().password_is_temporary);
    change_password(&engine, &who, &token, NEW_PASSWORD, PASSWORD, HERE).await.unwrap();
    assert!(!account(&engine, &who).await.unwrap().password_is_temporary);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn signing_out_everywhere_ends_all_of_ones_own_sessions(db: PgPool) {
    let engine = crate::testing::engine(db);
    let Somebody { email, who, token } = somebody(&engine, Role::Analyst).await;
    let (_, other) = sign_in(&engine, &email, PASSWORD, ELSEWHERE).await.unwrap();
    let stranger = somebody(&engine, Role::Analyst).await;
    sign_out_everywhere(&engine, &who).await.unwrap();
    assert!(!is_signed_in(&engine, &token).await && !is_signed_in(&engine, &other).await);
    assert!(is_signed_in(&engine, &stranger.token).await);
    assert!(matches!(sign_out_everywhere(&engine, &Principal::Anonymous).await, Err(Error::Unauthenticated)));
    assert!(matches!(account(&engine, &Principal::CommandLine).await, Err(Error::Forbidden(_))));
}
