//! Tests: the list, one with its results, its log, its life, and which variants a unit has. The editor is apart.

mod editor;
mod form;
#[cfg(feature = "ssr")]
mod planner;
#[cfg(feature = "ssr")]
mod read;

use domain::experiment::{Status, Step};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

pub use editor::*;
pub use form::{DesignForm, VariantForm};

use crate::AppError;

/// The query of the list, as it stands in the URL; empty texts do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExperimentQuery {
    pub status: String,
    pub kind: String,
    pub search: String,
    pub page: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentList {
    /// HTML, see `panels`; nothing if no test fits.
    pub table: Option<String>,
    /// How many there are of each status under the other filters; without a status, of all but the archived.
    pub counts: Vec<(Option<Status>, usize)>,
    /// There is no test at all, whatever the filters.
    pub has_none: bool,
    pub count: i64,
    pub page: i64,
    pub pages: i64,
    /// In per cent.
    pub holdout: String,
}

/// One test with what can be done about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentDetail {
    pub key: String,
    pub name: String,
    pub lead: String,
    pub status: Status,
    /// The phase shown, and all there are; empty for a draft.
    pub phase: Option<i32>,
    pub phases: i32,
    /// The metric shown.
    pub metric: String,
    /// What the metric can be switched to, as (value, label).
    pub metrics: Vec<(String, String)>,
    /// Whether there is anything to show the results of.
    pub has_results: bool,
    /// HTML, see `panels`: the verdict and its warnings, the results, and the design.
    pub verdict: String,
    pub results: String,
    pub design: String,
    /// What can be shipped: key, name, what it shows, and how it does.
    pub choices: Vec<ShipChoice>,
    pub shipped: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipChoice {
    pub key: String,
    pub name: String,
    pub shows: String,
    pub result: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentLog {
    pub name: String,
    /// HTML, see `panels`; nothing if there is no entry.
    pub table: Option<String>,
    /// The cursor of older ones.
    pub next: Option<String>,
}

/// What all running and paused tests say of one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitAnswer {
    pub site: String,
    /// HTML, see `panels`; nothing if no test runs.
    pub table: Option<String>,
}

/// Tests side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentComparison {
    /// Key and name of all that can be compared.
    pub all: Vec<(String, String)>,
    /// HTML, see `panels`; nothing before two are chosen.
    pub table: Option<String>,
}

/// The newest first, 25 a page.
#[server]
pub async fn list_experiments(query: ExperimentQuery) -> Result<ExperimentList, AppError> {
    let (engine, who) = super::backend().await?;
    server::list(&engine, &who, &query).await
}

/// One test. An empty metric is the primary one, an empty phase the latest.
#[server]
pub async fn find_experiment(key: String, metric: String, phase: String) -> Result<ExperimentDetail, AppError> {
    let (engine, who) = super::backend().await?;
    server::detail(&engine, &who, &key, &metric, &phase).await
}

/// Starts, pauses, resumes, stops or archives a test.
#[server]
pub async fn step_experiment(key: String, step: Step) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    engine::experiment::step(&engine, &who, &key, step).await?;
    let done = match step {
        Step::Start => "experiment-started",
        Step::Pause => "experiment-paused",
        Step::Resume => "experiment-resumed",
        Step::Stop => "experiment-stopped",
        Step::Archive => "experiment-archived",
    };
    super::request::lead_plain_form_to(&format!("/experiments/{key}?done={done}"));
    Ok(())
}

/// Stops a test, if it runs, and makes a variant the default. Nothing is chosen for whoever asks.
#[server]
pub async fn ship_experiment(key: String, #[server(default)] variant: String) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    if variant.is_empty() {
        return Err(super::request::invalid("variant", "choose what to ship"));
    }
    engine::experiment::ship(&engine, &who, &key, &variant).await?;
    super::request::lead_plain_form_to(&format!("/experiments/{key}?done=experiment-shipped"));
    Ok(())
}

/// Sets the share of all units, in per cent, that no test reaches.
#[server]
pub async fn set_experiment_holdout(share: String) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let typed = share.trim().trim_end_matches('%').trim_end().replace(',', ".");
    let number = typed.parse::<f64>().ok().filter(|number| (0.0..=50.0).contains(number));
    let number = number.ok_or_else(|| super::request::invalid("share", format!("`{typed}` must be a number from 0 to 50")))?;
    engine::experiment::set_holdout(&engine, &who, number / 100.0).await?;
    super::request::lead_plain_form_to("/experiments?done=experiment-holdout");
    Ok(())
}

/// What was done to a test, the newest first.
#[server]
pub async fn find_experiment_log(key: String, before: String) -> Result<ExperimentLog, AppError> {
    let (engine, who) = super::backend().await?;
    let experiment = engine::experiment::find(&engine, &who, &key).await?;
    let subject = format!("experiment {}", experiment.key);
    let before = super::request::read("before", &before)?;
    let filter = engine::audit::Filter { search: subject.clone(), before, ..Default::default() };
    let page = engine::audit::list(&engine, &who, &filter).await?;
    // The search also finds tests whose key begins with this one's.
    let mut entries: Vec<_> = page.entries.into_iter().filter(|entry| entry.subject == subject).collect();
    // The whole first design is on the test's page, as far as no edit changed it, and edits say what was before.
    entries.iter_mut().filter_map(|entry| entry.detail.as_object_mut()).for_each(|detail| _ = detail.remove("design"));
    Ok(ExperimentLog {
        name: experiment.design.name,
        table: (!entries.is_empty()).then(|| crate::panels::audit_table(entries)),
        next: page.next.map(|next| next.to_string()),
    })
}

/// Id and name of the newest sites, to be chosen from where a site is asked for.
#[server]
pub async fn list_newest_sites() -> Result<Vec<(String, String)>, AppError> {
    let (engine, who) = super::backend().await?;
    let sites = engine::site::list(&engine, &who, None, engine::site::LIST_MAX).await?;
    Ok(sites.into_iter().map(|site| (site.site_id.to_string(), site.name)).collect())
}

/// Which variants a visitor of a site has, and why. The site goes by its id or, if it is one of the newest, by its name. Without a visitor the answer is for one who asks not to be tracked.
#[server]
pub async fn find_unit(site: String, visitor: String) -> Result<Option<UnitAnswer>, AppError> {
    let (engine, who) = super::backend().await?;
    let site = site.trim();
    if site.is_empty() {
        return Ok(None);
    }
    let site_id = match site.parse() {
        Ok(site_id) => site_id,
        Err(_) => server::site_named(&engine, &who, site).await?,
    };
    let visitor = visitor.trim();
    if visitor.len() > 200 || visitor.contains(char::is_control) {
        return Err(super::request::invalid("visitor", "must be a text of at most 200 bytes"));
    }
    let site = engine::site::find(&engine, &who, site_id).await?;
    let answers = engine::experiment::why(&engine, &who, site_id, Some(visitor).filter(|visitor| !visitor.is_empty())).await?;
    let table = (!answers.is_empty()).then(|| crate::panels::unit_table(answers));
    Ok(Some(UnitAnswer { site: site.name, table }))
}

/// The chosen tests side by side; without a choice, only what can be chosen.
#[server]
pub async fn compare_experiments(#[server(default)] keys: Vec<String>) -> Result<ExperimentComparison, AppError> {
    let (engine, who) = super::backend().await?;
    server::compare(&engine, &who, &keys).await
}

#[cfg(feature = "ssr")]
mod server;
