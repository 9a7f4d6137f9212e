//! What server functions ask of the request that they serve.

use axum::http::{
    HeaderValue, Method,
    header::{self, ACCEPT},
    request::Parts,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::Problem;
use leptos::prelude::*;
use leptos_axum::ResponseOptions;
use serde::{Serialize, de::DeserializeOwned};

use crate::AppError;

/// `https://host`, as the visitor reached us; behind a proxy as the proxy says.
pub fn origin() -> String {
    let Some(parts) = use_context::<Parts>() else { return String::new() };
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let is_host = |host: &&str| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    let host = text("x-forwarded-host").or_else(|| text("host")).filter(is_host).unwrap_or("127.0.0.1:3000");
    let proto = text("x-forwarded-proto").filter(|proto| *proto == "https").unwrap_or("http");
    format!("{proto}://{host}")
}

/// Whether a browser sent a form by itself, before or without our script. It is then answered by a redirect.
pub fn is_plain_form() -> bool {
    let Some(parts) = use_context::<Parts>() else { return false };
    let accepts_html = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"));
    parts.method == Method::POST && accepts_html
}

/// Leads a plain form on to a page. Without this it would go back to where it came from, with an earlier error still in the URL.
pub fn lead_plain_form_to(path: &str) {
    if is_plain_form() {
        leptos_axum::redirect(path);
    }
}

/// A cookie of the request.
pub fn cookie(name: &str) -> Option<String> {
    let parts = use_context::<Parts>()?;
    let headers = parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = headers.flat_map(|header| header.split("; ")).filter_map(|cookie| cookie.split_once('='));
    cookies.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// Sets a cookie that no script and no other site sees; 0 seconds remove it. The value must be of visible ASCII without `;`.
fn set_cookie(name: &str, value: &str, path: &str, max_age_seconds: u32) {
    append_cookie(name, value, &format!("Path={path}; Max-Age={max_age_seconds}; HttpOnly; SameSite=Strict"));
}

/// Sets a cookie. Where the visitor came by https, it goes back by nothing else: passwords and secrets travel in cookies.
pub fn append_cookie(name: &str, value: &str, attributes: &str) {
    let Some(response) = use_context::<ResponseOptions>() else { return };
    let secure = if origin().starts_with("https:") { "; Secure" } else { "" };
    if let Ok(value) = HeaderValue::from_str(&format!("{name}={value}; {attributes}{secure}")) {
        response.append_header(header::SET_COOKIE, value);
    }
}

/// Browsers keep cookies of up to 4 kB; nobody types that much into one of our forms.
const DRAFT_BYTES_MAX: usize = 2_500;
/// Long enough for the page that follows at once.
const DRAFT_SECONDS: u32 = 60;

/// Lets a refused plain form come back with what was typed, or a secret that it made be shown this once: it travels to `page` in a cookie of
/// that page alone.
pub fn keep_draft(form: &str, page: &str, typed: &impl Serialize) {
    let Ok(json) = serde_json::to_vec(typed) else { return };
    if is_plain_form() && json.len() <= DRAFT_BYTES_MAX {
        set_cookie(&format!("draft_{form}"), &URL_SAFE_NO_PAD.encode(json), page, DRAFT_SECONDS);
    }
}

/// What [`keep_draft`] kept for the page that is asked for; its cookie is removed.
pub fn take_draft<Typed: DeserializeOwned>(form: &str, page: &str) -> Option<Typed> {
    let name = format!("draft_{form}");
    let json = URL_SAFE_NO_PAD.decode(cookie(&name)?).ok()?;
    set_cookie(&name, "", page, 0);
    serde_json::from_slice(&json).ok()
}

/// A value of a query or a form; nothing for an empty text.
pub fn read<T: std::str::FromStr<Err: ToString>>(field: &str, text: &str) -> Result<Option<T>, AppError> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|error: T::Err| invalid(field, error.to_string())) }
}

/// The page of a list that a query asks for, from 1.
pub fn read_page(text: &str) -> Result<i64, AppError> {
    match read::<i64>("page", text)? {
        None => Ok(1),
        // A million pages are more than anybody turns, and keep the offset small.
        Some(page @ 1..=1_000_000) => Ok(page),
        Some(page) => Err(invalid("page", format!("`{page}` must be from 1 to 1000000"))),
    }
}

/// Pages that so many rows take.
pub fn pages(count: i64, page_length: i64) -> i64 {
    count.max(0).saturating_add(page_length - 1) / page_length
}

/// Leads a plain form back to the list that it was sent from, with the list's query, and says what was done.
pub fn lead_back(list: &str, query: &str, done: &str) {
    let ours = query.len() <= 500 && query.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\"<>\\".contains(&byte));
    let query = if ours && !query.is_empty() { format!("{query}&") } else { String::new() };
    lead_plain_form_to(&format!("{list}?{query}done={done}"));
}

/// An input of a form that could not be read. The status of a plain form's answer is left alone: it is a redirect.
pub fn invalid(field: &str, reason: impl ToString) -> AppError {
    if !is_plain_form()
        && let Some(response) = use_context::<ResponseOptions>()
    {
        response.set_status(axum::http::StatusCode::UNPROCESSABLE_ENTITY);
    }
    AppError(Problem::new(422, "invalid", "invalid input").detail(reason.to_string()).field(field))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use axum::http::Request;

    use super::*;

    /// What `serve` does, and the cookies that its answer sets.
    fn serving<T>(request: axum::http::request::Builder, serve: impl FnOnce() -> T) -> (T, Vec<String>) {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let response = ResponseOptions::default();
        let served = Owner::new().with(|| {
            provide_context(parts);
            provide_context(response.clone());
            serve()
        });
        let answer = response.0.read().unwrap();
        let cookies = answer.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
        (served, cookies)
    }

    fn plain_form() -> axum::http::request::Builder {
        Request::post("/people").header(ACCEPT, "text/html")
    }

    #[test]
    fn what_a_plain_form_keeps_arrives_once_on_the_page_that_follows() {
        let made = ("whsec_a:b=".to_owned(), 2);
        let ((), kept) = serving(plain_form(), || keep_draft("secret", "/people", &made));
        let [kept] = kept.as_slice() else { panic!("{kept:?}") };
        let (cookie, attributes) = kept.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/people; Max-Age=60; HttpOnly; SameSite=Strict");

        let page = Request::get("/people").header(header::COOKIE, cookie);
        let (taken, removed) = serving(page, || take_draft::<(String, i32)>("secret", "/people"));
        assert_eq!(taken, Some(made));
        assert_eq!(removed, ["draft_secret=; Path=/people; Max-Age=0; HttpOnly; SameSite=Strict"]);
        assert_eq!(serving(plain_form(), || take_draft::<String>("secret", "/people")), (None, Vec::new()));
        let by_script = serving(Request::post("/people").header(ACCEPT, "application/json"), || keep_draft("secret", "/people", &1));
        assert_eq!(by_script, ((), Vec::new()));
    }

    #[test]
    fn cookies_of_who_came_by_https_go_back_by_nothing_else() {
        let behind_tls = plain_form().header("x-forwarded-proto", "https");
        let ((), cookies) = serving(behind_tls, || keep_draft("secret", "/people", &1));
        assert!(matches!(cookies.as_slice(), [cookie] if cookie.ends_with("; SameSite=Strict; Secure")), "{cookies:?}");
    }
}
