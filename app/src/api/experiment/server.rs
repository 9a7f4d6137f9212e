//! What the pages of tests show, put together.

use std::collections::BTreeMap;

use domain::{
    SiteId,
    auth::Principal,
    experiment::{Design, Experiment, ExperimentKind, Metric, Results, Status},
};
use engine::{Engine, experiment::Filter};

use super::{ExperimentComparison, ExperimentDetail, ExperimentList, ExperimentQuery, ShipChoice};
use crate::{
    AppError,
    api::request::{invalid, origin, pages, read, read_page},
    components::{date_time, kind_word, metric_word, payload_words, percent_text, unit_word},
    panels::{self, Listed},
};

const PAGE_LENGTH: usize = 25;
/// Tests that are compared at once.
const COMPARED_MAX: usize = 10;

pub async fn list(engine: &Engine, who: &Principal, query: &ExperimentQuery) -> Result<ExperimentList, AppError> {
    let status = one_of("status", &query.status, &Status::ALL, Status::as_str)?;
    let kind = one_of("kind", &query.kind, &ExperimentKind::ALL, ExperimentKind::as_str)?;
    if query.search.len() > 200 || query.search.contains('\0') {
        return Err(invalid("search", "must be a text of at most 200 bytes"));
    }
    let page = read_page(&query.page)?;
    let filter = Filter { status: None, kind, search: query.search.clone() };
    let open = engine::experiment::list(engine, who, &filter).await?;
    let archived = engine::experiment::list(engine, who, &Filter { status: Some(Status::Archived), ..filter }).await?;
    let number = |status: Status| open.iter().chain(&archived).filter(|test| test.status == status).count();
    let counts = std::iter::once((None, open.len())).chain(Status::ALL.map(|status| (Some(status), number(status)))).collect();
    let is_unfiltered = kind.is_none() && query.search.trim().is_empty();
    let has_none = is_unfiltered && open.is_empty() && archived.is_empty();
    let chosen: Vec<Experiment> = match status {
        None => open,
        Some(status) => open.into_iter().chain(archived).filter(|test| test.status == status).collect(),
    };
    let count = i64::try_from(chosen.len()).unwrap_or(i64::MAX);
    let skipped = usize::try_from(page - 1).unwrap_or(usize::MAX).saturating_mul(PAGE_LENGTH);
    let mut tests = Vec::new();
    for experiment in chosen.into_iter().skip(skipped).take(PAGE_LENGTH) {
        let results = results_of(engine, who, &experiment, None).await?;
        tests.push(Listed { experiment, results });
    }
    Ok(ExperimentList {
        table: (!tests.is_empty()).then(|| panels::experiment_table(tests)),
        counts,
        has_none,
        count,
        page,
        pages: pages(count, i64::try_from(PAGE_LENGTH).unwrap_or(1)),
        holdout: percent_text(engine::experiment::holdout(engine, who).await?),
    })
}

/// Nothing for a test that never began.
async fn results_of(engine: &Engine, who: &Principal, experiment: &Experiment, phase: Option<i32>) -> Result<Option<Results>, AppError> {
    match experiment.phase {
        None => Ok(None),
        Some(_) => Ok(Some(engine::experiment::results(engine, who, &experiment.key, phase).await?)),
    }
}

pub async fn detail(engine: &Engine, who: &Principal, key: &str, metric: &str, phase: &str) -> Result<ExperimentDetail, AppError> {
    let metric = one_of("metric", metric, &Metric::ALL, Metric::as_str)?;
    let phase: Option<i32> = read("phase", phase)?;
    let experiment = engine::experiment::find(engine, who, key).await?;
    let results = results_of(engine, who, &experiment, phase).await?;
    let metric = metric.unwrap_or(experiment.design.primary_metric);
    let demo = engine::site::list(engine, who, None, 1).await?.first().map(|site| format!("{}/demo?site={}", origin(), site.site_id));
    let demo = demo_of(&experiment.design).or(demo);
    let names = names(engine, who, &experiment.design).await?;
    let latest = experiment.phase.as_ref().map_or(0, |phase| phase.number);
    let shown = results.as_ref().filter(|results| results.planner.units > 0);
    let words = match &results {
        Some(results) if phase.is_none() => choices(&experiment.design, Some(results)),
        _ => choices(&experiment.design, None),
    };
    Ok(ExperimentDetail {
        key: experiment.key.clone(),
        name: experiment.design.name.clone(),
        lead: lead(&experiment),
        status: experiment.status,
        phase: results.as_ref().map(|results| results.phase),
        phases: latest,
        metric: metric.as_str().to_owned(),
        metrics: metrics(&experiment.design),
        has_results: shown.is_some(),
        verdict: panels::verdict(&experiment, results.as_ref(), demo.as_deref()),
        results: shown.map(|results| panels::results(results, metric)).unwrap_or_default(),
        design: panels::design(&experiment, &names, demo.as_deref()),
        choices: words,
        shipped: experiment.shipped_variant,
    })
}

/// The demo page of a site that the test is for, if it is not for all.
fn demo_of(design: &Design) -> Option<String> {
    design.eligibility.site_ids.first().map(|site_id| format!("{}/demo?site={site_id}", origin()))
}

fn lead(experiment: &Experiment) -> String {
    let design = &experiment.design;
    let what = format!("{}, dealt by {}", kind_word(design.kind), unit_word(design.unit));
    let since = match (&experiment.phase, experiment.stopped_at) {
        (_, Some(stopped)) => format!(", stopped {}", date_time(stopped)),
        (Some(phase), None) => format!(", phase {} since {}", phase.number, date_time(phase.started_at)),
        (None, None) => ", not started".to_owned(),
    };
    format!("{what}{since}. Owner: {}", experiment.owner)
}

/// The primary metric first, then the guardrails, then the others.
fn metrics(design: &Design) -> Vec<(String, String)> {
    let is_rail = |metric: Metric| design.guardrails.iter().any(|rail| rail.metric == metric);
    let rank = |metric: &Metric| match *metric {
        metric if metric == design.primary_metric => 0,
        metric if is_rail(metric) => 1,
        _ => 2,
    };
    let mut metrics = Metric::ALL.to_vec();
    metrics.sort_by_key(rank);
    let label = |metric: Metric| match rank(&metric) {
        0 => format!("{} · primary", metric_word(metric)),
        1 => format!("{} · guardrail", metric_word(metric)),
        _ => metric_word(metric).to_owned(),
    };
    metrics.into_iter().map(|metric| (metric.as_str().to_owned(), label(metric))).collect()
}

fn choices(design: &Design, results: Option<&Results>) -> Vec<ShipChoice> {
    let result = |key: &str| {
        let comparison = results?.primary.analysis.comparisons.iter().find(|comparison| comparison.variant == key)?;
        let lift = comparison.difference.lift.map(|found| format!("lift {}", panels::lift(found.estimate)));
        let chance = comparison.beliefs.map(|beliefs| format!("{} to win", panels::chance(beliefs.chance_to_win)));
        let words: Vec<String> = lift.into_iter().chain(chance).collect();
        (!words.is_empty()).then(|| words.join(", "))
    };
    let choice = |(index, variant): (usize, &domain::experiment::Variant)| ShipChoice {
        key: variant.key.clone(),
        name: variant.name.clone(),
        shows: payload_words(&variant.payload),
        result: if index == 0 { Some("control".to_owned()) } else { result(&variant.key) },
    };
    design.variants.iter().enumerate().map(choice).collect()
}

/// Names of the partners and sites that a design speaks of.
async fn names(engine: &Engine, who: &Principal, design: &Design) -> Result<BTreeMap<String, String>, AppError> {
    let mut names = BTreeMap::new();
    if !design.eligibility.partner_ids.is_empty() {
        let partners = engine::partner::overview(engine, who).await?;
        names.extend(partners.into_iter().map(|partner| (partner.partner_id.to_string(), partner.display_name)));
    }
    for site_id in &design.eligibility.site_ids {
        // A site that is no more keeps its id.
        if let Ok(site) = engine::site::find(engine, who, *site_id).await {
            names.insert(site_id.to_string(), site.name);
        }
    }
    Ok(names)
}

pub async fn compare(engine: &Engine, who: &Principal, keys: &[String]) -> Result<ExperimentComparison, AppError> {
    if keys.len() > COMPARED_MAX {
        return Err(invalid("key", format!("{} tests: at most {COMPARED_MAX} are compared at once", keys.len())));
    }
    let all = engine::experiment::list(engine, who, &Filter::default()).await?;
    let begun: Vec<Experiment> = all.into_iter().filter(|test| test.phase.is_some()).collect();
    let mut tests = Vec::new();
    for key in keys {
        let experiment = match begun.iter().find(|test| test.key == *key) {
            Some(experiment) => experiment.clone(),
            None => engine::experiment::find(engine, who, key).await?,
        };
        if let Some(results) = results_of(engine, who, &experiment, None).await? {
            tests.push((experiment, results));
        }
    }
    Ok(ExperimentComparison {
        all: begun.into_iter().map(|test| (test.key, test.design.name)).collect(),
        table: (tests.len() >= 2).then(|| panels::comparison_table(tests)),
    })
}

fn one_of<T: Copy>(field: &str, text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<Option<T>, AppError> {
    if text.is_empty() {
        return Ok(None);
    }
    let known = all.iter().copied().find(|value| name(*value) == text);
    known.map(Some).ok_or_else(|| {
        invalid(field, format!("`{text}` is none of {}", all.iter().map(|value| name(*value)).collect::<Vec<_>>().join(", ")))
    })
}

/// The one of the newest sites that has this name.
pub async fn site_named(engine: &Engine, who: &Principal, name: &str) -> Result<SiteId, AppError> {
    let newest = engine::site::list(engine, who, None, engine::site::LIST_MAX).await?;
    let mut named = newest.into_iter().filter(|site| site.name == name);
    match (named.next(), named.next()) {
        (Some(site), None) => Ok(site.site_id),
        (None, _) => Err(invalid("site", format!("`{name}` is neither the id of a site nor the name of one of the newest"))),
        (Some(_), Some(_)) => Err(invalid("site", format!("several sites have the name `{name}`: choose one by its id"))),
    }
}
