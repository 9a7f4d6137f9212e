//! `/demo`: a site as project4site would generate it from a project, with the widget embedded as any site owner would.
//!
//! It is served under a strict Content-Security-Policy, so that the widget proves each time that it needs no exception. A site's page is
//! for everybody who has its id, as the site itself is; which sites there are, only our people are told.

use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use domain::{
    SiteId,
    analysis::Analysis,
    auth::Principal,
    recommendation::masked_command,
    site::{Site, SiteSummary},
};
use engine::{Engine, Error, site};
use serde::Deserialize;

use crate::{
    api::{base_url, embed_line},
    html::{capitalised, escape, fill},
    problem::ApiError,
};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// Sites that the page offers to switch to.
const OTHERS_MAX: i64 = 8;
const STACK_MAX: usize = 12;

#[derive(Deserialize)]
pub struct DemoQuery {
    site: Option<String>,
}

/// Shows the site that the query names, else the newest to who is signed in; says how to add one if there is none.
pub async fn show(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Query(query): Query<DemoQuery>,
    headers: HeaderMap,
) -> Response {
    match page(&engine, &who, query.site.as_deref(), &base_url(&headers)).await {
        Ok((status, page)) => {
            (status, [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
        }
        Err(error) => ApiError::from(error).into_response(),
    }
}

pub async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=300")], include_str!("demo/style.css"))
}

async fn page(engine: &Engine, who: &Principal, asked: Option<&str>, base_url: &str) -> engine::Result<(StatusCode, String)> {
    let newest = if who.may_read() { site::list(engine, who, None, OTHERS_MAX).await? } else { Vec::new() };
    let id = match asked {
        None if !who.may_read() => return Ok((StatusCode::UNAUTHORIZED, SIGN_IN.page())),
        None => newest.first().map(|site| site.site_id),
        Some(text) => text.parse::<SiteId>().ok(),
    };
    let Some(id) = id else { return Ok(nothing(asked)) };
    // The page shows of a site what its own pages would, so that the server asks in its own name.
    match site::find(engine, &Principal::CommandLine, id).await {
        Ok(site) => Ok((StatusCode::OK, landing(&site, &newest, base_url))),
        Err(Error::NotFound { .. }) => Ok(nothing(asked)),
        Err(error) => Err(error),
    }
}

fn nothing(asked: Option<&str>) -> (StatusCode, String) {
    match asked {
        Some(_) => (StatusCode::NOT_FOUND, UNKNOWN.page()),
        None => (StatusCode::OK, NONE_YET.page()),
    }
}

/// A page in place of a site's.
struct Empty {
    title: &'static str,
    lead: &'static str,
    /// What can be done, as HTML.
    actions: &'static str,
}

const SIGN_IN: Empty = Empty {
    title: "Sign in to see your sites",
    lead: "Without signing in, a site is shown to those who have its own demo address, with the site’s id in it.",
    actions: r#"<p class="hero__actions"><a class="button" href="/sign-in">Sign in</a></p>"#,
};
const UNKNOWN: Empty = Empty {
    title: "There is no such site",
    lead: "It may have been mistyped. Leave the address’s query out to see the newest site.",
    actions: ADD,
};
const NONE_YET: Empty = Empty {
    title: "No site yet",
    lead: "Add a project, and this page shows the site that project4site would make of it, with the offers that fit.",
    actions: ADD,
};
const ADD: &str = include_str!("demo/add.html");

impl Empty {
    fn page(&self) -> String {
        fill(include_str!("demo/empty.html"), &[("title", self.title), ("lead", self.lead), ("actions", self.actions)])
    }
}

fn landing(site: &Site, newest: &[SiteSummary], base_url: &str) -> String {
    let name = escape(&site.name);
    let initial = escape(&site.name.chars().next().unwrap_or('P').to_uppercase().to_string());
    let site_id = site.site_id.to_string();
    let analysis = site.analysis.as_ref();
    let source = site.url.as_deref().filter(|url| url.starts_with("https://") || url.starts_with("http://")).map(escape);
    let source_link = source.as_ref().map(|url| format!(r#"<a href="{url}" rel="noopener">Source</a>"#)).unwrap_or_default();
    let read_source =
        source.map(|url| format!(r#"<a class="button button--quiet" href="{url}" rel="noopener">Read the source</a>"#)).unwrap_or_default();
    fill(
        include_str!("demo/page.html"),
        &[
            ("name", &name),
            ("initial", &initial),
            ("site", &site_id),
            ("kind", &analysis.map_or_else(String::new, |analysis| escape(&capitalised(without_article(analysis.kind.describe()))))),
            ("lead", &escape(&lead(analysis))),
            ("actions", &format!(r##"<a class="button" href="#next">Take it further</a>{read_source}"##)),
            ("source_link", &source_link),
            ("command", &command(analysis)),
            ("stack", &stack(analysis)),
            ("languages", &languages(analysis)),
            ("widget", &escape(&format!("{base_url}/widget.js"))),
            ("embed", &escape(&embed_line(base_url, site.site_id))),
            ("others", &other_sites(newest, site.site_id)),
        ],
    )
}

/// "A full-stack app built with Next.js and Prisma."
fn lead(analysis: Option<&Analysis>) -> String {
    let Some(analysis) = analysis else { return "A project that was not analysed yet.".to_owned() };
    let names: Vec<&str> = analysis
        .frameworks
        .iter()
        .chain(&analysis.databases)
        .chain(&analysis.data_access)
        .take(3)
        .map(|found| found.name.as_str())
        .collect();
    let kind = capitalised(analysis.kind.describe());
    match names[..] {
        [] => match analysis.languages.first() {
            Some(language) => format!("{kind}, written in {}.", language.name),
            None => format!("{kind}."),
        },
        [only] => format!("{kind}, built with {only}."),
        [ref others @ .., last] => format!("{kind}, built with {} and {last}.", others.join(", ")),
    }
}

fn command(analysis: Option<&Analysis>) -> String {
    let start = analysis.and_then(|analysis| analysis.start_command.as_ref());
    start
        .map(|start| format!(r#"<pre class="command" tabindex="0"><code>$ {}</code></pre>"#, escape(&masked_command(&start.command))))
        .unwrap_or_default()
}

fn stack(analysis: Option<&Analysis>) -> String {
    let found = analysis.into_iter().flat_map(Analysis::in_use).take(STACK_MAX);
    let items: Vec<String> = found
        .map(|finding| {
            let file = finding.evidence.first().and_then(|evidence| evidence.path.rsplit('/').next());
            let place = file.map(|file| format!("<small>{}</small>", escape(file))).unwrap_or_default();
            format!("<li>{}{place}</li>", escape(&finding.name))
        })
        .collect();
    if items.is_empty() { "<li>Nothing that needs naming</li>".to_owned() } else { items.concat() }
}

fn languages(analysis: Option<&Analysis>) -> String {
    let shares: Vec<String> = analysis
        .into_iter()
        .flat_map(|analysis| &analysis.languages)
        .take(4)
        .map(|language| format!("{} {:.0} %", escape(&language.name), language.share * 100.0))
        .collect();
    if shares.is_empty() { String::new() } else { format!(r#"<p class="languages">{}</p>"#, shares.join(" · ")) }
}

fn other_sites(newest: &[SiteSummary], this: SiteId) -> String {
    let others = newest.iter().filter(|site| site.site_id != this);
    let links: Vec<String> = others.map(|site| format!(r#"<a href="/demo?site={}">{}</a>"#, site.site_id, escape(&site.name))).collect();
    if links.is_empty() { String::new() } else { format!("<p>Other sites: {}</p>", links.join(" · ")) }
}

fn without_article(words: &str) -> &str {
    words.strip_prefix("a ").or_else(|| words.strip_prefix("an ")).unwrap_or(words)
}

#[cfg(test)]
mod tests {
    use domain::analysis::{SourceFile, analyze};

    use super::*;

    #[test]
    fn words_become_headings() {
        assert_eq!(capitalised(without_article("an API service")), "API service");
        assert_eq!(capitalised("a library"), "A library");
    }

    fn site(name: &str, analysis: Option<Analysis>) -> Site {
        Site {
            site_id: SiteId(uuid::Uuid::nil()),
            developer_id: uuid::Uuid::nil().into(),
            name: name.to_owned(),
            url: Some("javascript:alert(1)".to_owned()),
            created_at: chrono::DateTime::UNIX_EPOCH,
            archived_at: None,
            analysed_at: None,
            analysis,
            links: Vec::new(),
        }
    }

    #[test]
    fn markup_in_a_name_stays_text() {
        let page = landing(&site("<script>alert(1)</script>", None), &[], "http://127.0.0.1:3000");
        assert!(!page.contains("javascript:"), "only web addresses become links");
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(!page.contains("{{"), "every place is filled");
    }

    #[test]
    fn folders_and_secrets_of_a_project_are_not_on_its_page() {
        let files = [
            ("secret-plan/package.json", r#"{"dependencies":{"express":"5"}}"#),
            ("secret-plan/Procfile", "web: API_KEY=hunter2 node server.js"),
        ];
        let files = files.map(|(path, text)| SourceFile { path: path.into(), size: text.len() as u64, content: Some(text.into()) });
        let page = landing(&site("Shop", Some(analyze(&files))), &[], "http://127.0.0.1:3000");
        assert!(page.contains("<li>Express<small>package.json</small>"), "{page}");
        assert!(page.contains("API_KEY=… node server.js"), "{page}");
        assert!(!page.contains("hunter2") && !page.contains("secret-plan"), "{page}");
    }

    #[test]
    fn the_pages_without_a_site_say_what_to_do() {
        for (empty, action) in [(SIGN_IN, "/sign-in"), (UNKNOWN, "/sites"), (NONE_YET, "orchestrator sites add")] {
            let page = empty.page();
            assert!(page.contains(empty.title) && page.contains(action) && !page.contains("{{"), "{page}");
        }
    }
}
