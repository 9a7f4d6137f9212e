//! What the tests share: a place with servers and a site, and a client with an API token.

use bench::place::{Place, Process, free_address};
use domain::{SiteId, analysis::SourceFile, auth::Principal};
use engine::{Engine, api_token, site};
use serde_json::{Value, json};

/// A place with its services, which end with the thread that starts it: hence outside of the runtime.
pub fn with_place<F: AsyncFnOnce(&Place, &Engine)>(name: &str, test: F) {
    let place = Place::start(name, env!("CARGO_BIN_EXE_orchestrator").into()).expect("a private Postgres and Redis");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let engine = place.engine().await.expect("a database with the schema");
        test(&place, &engine).await;
    });
}

/// A site of a project that Supabase fits.
pub async fn add_site(engine: &Engine) -> SiteId {
    let manifest = r#"{"dependencies":{"next":"15","@prisma/client":"6"},"scripts":{"start":"next start"}}"#;
    let files = [SourceFile { path: "package.json".into(), size: manifest.len() as u64, content: Some(manifest.into()) }];
    let new = site::NewSite { name: "Shop".into(), url: None, user_ref: "user-1".into(), analysis: domain::analysis::analyze(&files) };
    site::create(engine, &Principal::CommandLine, new).await.expect("a site").site_id
}

/// A test of the button's text of Supabase, in which both variants show something of their own.
pub fn button_test(key: &str, unit: &str) -> Value {
    json!({
        "key": key,
        "name": "Shorter button",
        "hypothesis": "Fewer words are followed more often.",
        "kind": "cta",
        "unit": unit,
        "variants": [
            { "key": "control", "name": "Long", "weight": 0.5, "payload": { "type": "cta", "text": "Create it with {partner} now" } },
            { "key": "short", "name": "Short", "weight": 0.5, "payload": { "type": "cta", "text": "Go" } },
        ],
        "primaryMetric": "click_rate",
        "eligibility": { "partnerIds": ["supabase"] },
        "currency": "USD",
    })
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// What the two variants of [`button_test`] show.
pub const TEXTS: [&str; 2] = ["Create it with Supabase Database now", "Go"];

/// An answer of a server.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The status and the field that a problem names.
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["field"].as_str().unwrap_or_default())
    }

    /// What Supabase's offer says on its button.
    pub fn button(&self) -> &str {
        let offers = self.body["offers"].as_array().expect("offers");
        let offer = offers.iter().find(|offer| offer["partnerId"] == "supabase").expect("Supabase is offered");
        offer["ctaText"].as_str().expect("a text")
    }
}

/// Somebody who calls a server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    /// Somebody with a browser: what bots see counts nothing.
    pub fn anonymous(address: &str) -> Self {
        let http = reqwest::Client::builder().user_agent(BROWSER).build().expect("a client");
        Self { http, base: format!("http://{address}"), token: None }
    }

    /// A machine with a token of these scopes.
    pub async fn machine(engine: &Engine, address: &str, scopes: &[&str]) -> Self {
        let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        let token = api_token::create(engine, &Principal::CommandLine, "the tests", &scopes, None).await.expect("a token");
        Self { token: Some(token), ..Self::anonymous(address) }
    }

    /// Of its server.
    pub fn address(&self) -> String {
        self.base.trim_start_matches("http://").to_owned()
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("the server answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[], Some(body)).await
    }

    /// A step of a test, which must be possible.
    pub async fn step(&self, key: &str, step: &str) -> Value {
        let answer = self.post(&format!("/api/v1/experiments/{key}/{step}"), &json!({})).await;
        assert_eq!(answer.status, 200, "{step}: {answer:?}");
        answer.body
    }

    /// Writes a test down and starts it.
    pub async fn start(&self, design: &Value) {
        let created = self.post("/api/v1/experiments", design).await;
        assert_eq!(created.status, 201, "{created:?}");
        self.step(design["key"].as_str().expect("a key"), "start").await;
    }

    /// What is recommended, with a query such as `visitor=…`.
    pub async fn offers(&self, site_id: SiteId, query: &str) -> Answer {
        self.get(&format!("/api/v1/sites/{site_id}/recommendations?{query}")).await
    }
}

/// One server, and a machine that may do everything with tests.
pub async fn serve(place: &Place, engine: &Engine) -> (Process, Client) {
    let address = free_address().expect("a free port");
    let server = place.serve(&address).await.expect("the server starts");
    let client = Client::machine(engine, &address, &["experiments:write", "sites:write"]).await;
    (server, client)
}

pub async fn count(engine: &Engine, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&engine.db).await.expect("a number")
}
