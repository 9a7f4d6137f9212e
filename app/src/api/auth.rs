//! Signing in and out, and who is signed in.

use domain::auth::Role;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// The person that looks at the pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    pub email: String,
    pub role: Role,
}

impl Viewer {
    pub fn may_operate(&self) -> bool {
        self.role >= Role::Operator
    }

    pub fn may_manage_people(&self) -> bool {
        self.role == Role::Owner
    }
}

/// The signal that [`App`](crate::App) keeps of who is signed in.
pub fn use_viewer() -> Signal<Option<Viewer>> {
    use_context::<RwSignal<Option<Viewer>>>().map_or_else(|| Signal::stored(None), Into::into)
}

/// Who sent the request that is being rendered; in the browser the server's answer is used in its place.
///
/// Redirects a visitor who is not signed in from any page but the sign-in page.
pub fn viewer_of_request() -> Option<Viewer> {
    #[cfg(feature = "ssr")]
    {
        let viewer = viewer(&principal());
        if viewer.is_none() {
            redirect_to_sign_in();
        }
        viewer
    }
    #[cfg(not(feature = "ssr"))]
    None
}

/// The path to go to after signing in: only paths of this site, so that the link cannot lead elsewhere.
pub fn local_path(next: &str) -> &str {
    let local =
        next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\n', '\r', '\t']) && !next.starts_with("/sign-in");
    if local { next } else { "/" }
}

/// Signs in with e-mail and password, sets the session cookie and leads to `next`, or to the account page if the password is to be changed.
#[server]
pub async fn sign_in(email: String, password: String, next: String) -> Result<Viewer, AppError> {
    let (engine, _) = super::backend().await?;
    let (operator, token) = engine::operator::sign_in(&engine, &email, &password, address()).await?;
    set_session_cookie(&token, engine::operator::SESSION_DAYS * 24 * 60 * 60);
    leptos_axum::redirect(if operator.password_is_temporary { "/account" } else { local_path(&next) });
    Ok(Viewer { email: operator.email, role: operator.role })
}

/// Ends the session.
#[server]
pub async fn sign_out() -> Result<(), AppError> {
    let (engine, _) = super::backend().await?;
    if let Some(token) = session_token() {
        engine::operator::sign_out(&engine, &token).await?;
    }
    set_session_cookie("", 0);
    leptos_axum::redirect("/sign-in");
    Ok(())
}

#[cfg(feature = "ssr")]
mod server {
    use std::net::{IpAddr, Ipv4Addr};

    use axum::http::{StatusCode, header, request::Parts};
    use domain::auth::Principal;
    use leptos::prelude::*;
    use leptos_axum::ResponseOptions;

    use super::Viewer;
    use crate::api::request::append_cookie;

    /// Where a request came from: the server's middleware leaves it there, for limits on guessing.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct VisitorAddress(pub IpAddr);

    /// Who asks, as the server's middleware found out; anonymous if it did not say.
    pub fn principal() -> Principal {
        use_context::<Parts>().and_then(|parts| parts.extensions.get::<Principal>().cloned()).unwrap_or(Principal::Anonymous)
    }

    pub fn viewer(principal: &Principal) -> Option<Viewer> {
        match principal {
            Principal::Operator { email, role, .. } => Some(Viewer { email: email.clone(), role: *role }),
            _ => None,
        }
    }

    pub fn redirect_to_sign_in() {
        let Some(parts) = use_context::<Parts>() else { return };
        let path = parts.uri.path();
        if path == "/sign-in" {
            return;
        }
        let asked = parts.uri.path_and_query().map_or(path, |asked| asked.as_str());
        let next = if asked == "/" { String::new() } else { format!("?next={}", leptos_router::location::Url::escape(asked)) };
        leptos_axum::redirect(&format!("/sign-in{next}"));
        // Also for programs, which do not ask for HTML and would get the status of a page.
        if let Some(response) = use_context::<ResponseOptions>() {
            response.set_status(StatusCode::FOUND);
        }
    }

    /// The token in the request's session cookie.
    pub fn session_token() -> Option<String> {
        let parts = use_context::<Parts>()?;
        let cookies = parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let prefix = format!("{}=", engine::operator::SESSION_COOKIE);
        cookies.flat_map(|header| header.split("; ")).find_map(|cookie| cookie.strip_prefix(&prefix)).map(str::to_owned)
    }

    /// Where the request came from, as the server's middleware found out; all that it did not say of count as one.
    pub fn address() -> IpAddr {
        let found = use_context::<Parts>().and_then(|parts| parts.extensions.get::<VisitorAddress>().copied());
        found.map_or(Ipv4Addr::UNSPECIFIED.into(), |VisitorAddress(address)| address)
    }

    /// Lax, so that a link from outside finds the session, but a form of another site does not.
    pub fn set_session_cookie(token: &str, max_age_seconds: i64) {
        append_cookie(engine::operator::SESSION_COOKIE, token, &format!("Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Lax"));
    }
}

#[cfg(feature = "ssr")]
pub use server::VisitorAddress;
#[cfg(feature = "ssr")]
pub(super) use server::{address, principal, session_token, set_session_cookie};
#[cfg(feature = "ssr")]
use server::{redirect_to_sign_in, viewer};

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn after_signing_in_only_paths_of_this_site_are_followed() {
        assert_eq!(local_path("/partners/supabase?tab=terms"), "/partners/supabase?tab=terms");
        for foreign in
            ["", "https://example.com", "//example.com", "/\\example.com", "/\t/example.com", "javascript:alert(1)", "/sign-in?next=/"]
        {
            assert_eq!(local_path(foreign), "/");
        }
    }
}
