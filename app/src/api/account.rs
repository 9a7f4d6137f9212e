//! One's own account, and, for owners, everyone who may sign in.

use chrono::{DateTime, Utc};
use domain::auth::Role;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// What somebody sees of their own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDetail {
    pub created_at: DateTime<Utc>,
    /// Browsers that are signed in.
    pub sessions: i64,
    /// Somebody else gave the password, and knows it.
    pub password_is_temporary: bool,
    /// The fewest characters of a password.
    pub password_chars_min: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRow {
    pub email: String,
    pub role: Role,
    pub created_at: DateTime<Utc>,
    pub last_signed_in_at: Option<DateTime<Utc>>,
    /// Browsers that are signed in.
    pub sessions: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct People {
    pub people: Vec<PersonRow>,
    /// The e-mail that has just been refused, to be mended.
    pub typed: String,
    /// A password that has just been made, shown this once.
    pub made: Option<MadePassword>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadePassword {
    pub email: String,
    pub password: String,
}

#[server]
pub async fn show_account() -> Result<AccountDetail, AppError> {
    let (engine, who) = super::backend().await?;
    let account = engine::operator::account(&engine, &who).await?;
    Ok(AccountDetail {
        created_at: account.created_at,
        sessions: account.sessions,
        password_is_temporary: account.password_is_temporary,
        password_chars_min: engine::operator::PASSWORD_CHARS_MIN,
    })
}

/// Changes one's own password; other browsers are signed out.
#[server]
pub async fn change_password(present_password: String, new_password: String, repeated_password: String) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    if new_password != repeated_password {
        return Err(super::request::invalid("repeated_password", "the two new passwords differ"));
    }
    let token = super::auth::session_token().unwrap_or_default();
    engine::operator::change_password(&engine, &who, &token, &present_password, &new_password, super::auth::address()).await?;
    super::request::lead_plain_form_to("/account?done=password-changed");
    Ok(())
}

/// Ends all of one's own sessions, this one too.
#[server]
pub async fn sign_out_everywhere() -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    engine::operator::sign_out_everywhere(&engine, &who).await?;
    super::auth::set_session_cookie("", 0);
    leptos_axum::redirect("/sign-in");
    Ok(())
}

#[server]
pub async fn list_people() -> Result<People, AppError> {
    let (engine, who) = super::backend().await?;
    let people = engine::operator::list(&engine, &who).await?.into_iter().map(|person| PersonRow {
        email: person.email,
        role: person.role,
        created_at: person.created_at,
        last_signed_in_at: person.last_signed_in_at,
        sessions: person.sessions,
    });
    let (people, typed) = (people.collect(), super::request::take_draft(PERSON_DRAFT, PAGE).unwrap_or_default());
    Ok(People { people, typed, made: super::request::take_draft(MADE_PASSWORD, PAGE) })
}

/// Adds somebody with a password that is made and shown once.
#[server]
pub async fn add_person(email: String, role: Role) -> Result<MadePassword, AppError> {
    let (engine, who) = super::backend().await?;
    let password = engine::secret::new_token("");
    let new = engine::operator::NewOperator { email: &email, password: &password, role, password_is_temporary: true };
    let added = engine::operator::create(&engine, &who, new).await;
    added.inspect_err(|_| super::request::keep_draft(PERSON_DRAFT, PAGE, &email))?;
    Ok(hand_over(email, password))
}

/// Gives somebody a new password, which is made and shown once, and signs them out everywhere.
#[server]
pub async fn reset_password(email: String) -> Result<MadePassword, AppError> {
    let (engine, who) = super::backend().await?;
    let password = engine::secret::new_token("");
    engine::operator::set_password(&engine, &who, &email, &password).await?;
    Ok(hand_over(email, password))
}

#[server]
pub async fn set_person_role(email: String, role: Role) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    engine::operator::set_role(&engine, &who, &email, role).await?;
    super::request::lead_plain_form_to(&format!("{PAGE}?done=person-role"));
    Ok(())
}

#[server]
pub async fn remove_person(email: String) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    engine::operator::remove(&engine, &who, &email).await?;
    super::request::lead_plain_form_to(&format!("{PAGE}?done=person-removed"));
    Ok(())
}

#[cfg(feature = "ssr")]
const PAGE: &str = "/people";
#[cfg(feature = "ssr")]
const PERSON_DRAFT: &str = "person";
#[cfg(feature = "ssr")]
const MADE_PASSWORD: &str = "made_password";

/// For a plain form, a password that was made travels to the page that follows in a cookie of that page alone.
#[cfg(feature = "ssr")]
fn hand_over(email: String, password: String) -> MadePassword {
    let made = MadePassword { email: email.trim().to_lowercase(), password };
    super::request::keep_draft(MADE_PASSWORD, PAGE, &made);
    super::request::lead_plain_form_to(PAGE);
    made
}
