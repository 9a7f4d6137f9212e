//! What a project lacks, how much, and why we say so.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Analysis, Evidence, Finding, ProjectKind};

/// What a tool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Database,
    Hosting,
    Design,
    Auth,
    Monitoring,
    Ci,
    Email,
    Payments,
    Storage,
    Analytics,
    Search,
    Cache,
    Queue,
    Cms,
    Ai,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("category `{0}` is none that an analysis knows")]
pub struct UnknownCategory(pub String);

impl Category {
    /// As in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Hosting => "hosting",
            Self::Design => "design",
            Self::Auth => "auth",
            Self::Monitoring => "monitoring",
            Self::Ci => "ci",
            Self::Email => "email",
            Self::Payments => "payments",
            Self::Storage => "storage",
            Self::Analytics => "analytics",
            Self::Search => "search",
            Self::Cache => "cache",
            Self::Queue => "queue",
            Self::Cms => "cms",
            Self::Ai => "ai",
        }
    }

    const ALL: [Self; 15] = [
        Self::Database,
        Self::Hosting,
        Self::Design,
        Self::Auth,
        Self::Monitoring,
        Self::Ci,
        Self::Email,
        Self::Payments,
        Self::Storage,
        Self::Analytics,
        Self::Search,
        Self::Cache,
        Self::Queue,
        Self::Cms,
        Self::Ai,
    ];
}

/// As people say it: "hosted database".
impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "hosted database",
            Self::Hosting => "hosting",
            Self::Design => "design tool",
            Self::Auth => "sign-in",
            Self::Monitoring => "monitoring",
            Self::Ci => "continuous integration",
            Self::Email => "e-mail sending",
            Self::Payments => "payments",
            Self::Storage => "file storage",
            Self::Analytics => "analytics",
            Self::Search => "search",
            Self::Cache => "cache",
            Self::Queue => "job queue",
            Self::Cms => "content management",
            Self::Ai => "AI models",
        })
    }
}

impl FromStr for Category {
    type Err = UnknownCategory;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|category| category.id() == text).ok_or_else(|| UnknownCategory(text.to_owned()))
    }
}

/// A category that nothing in the project fills.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Need {
    pub category: Category,
    /// 0 to 1: how much the project shows that it lacks this.
    pub strength: f64,
    /// A sentence to the developer.
    pub reason: String,
    pub evidence: Vec<Evidence>,
}

/// Evidence shown with a need.
const EVIDENCE_MAX: usize = 4;

/// Strongest first, then by category.
pub fn missing(analysis: &Analysis) -> Vec<Need> {
    let rules = [database, hosting, design, auth, monitoring, ci];
    let mut needs: Vec<Need> =
        rules.into_iter().filter_map(|rule| rule(analysis)).filter(|need| analysis.filling(need.category).next().is_none()).collect();
    needs.sort_by(|a, b| b.strength.total_cmp(&a.strength).then(a.category.cmp(&b.category)));
    needs
}

fn need(category: Category, strength: f64, reason: String, evidence: Vec<Evidence>) -> Option<Need> {
    let mut shown: Vec<Evidence> = Vec::new();
    for place in evidence {
        if shown.len() < EVIDENCE_MAX && !shown.contains(&place) {
            shown.push(place);
        }
    }
    Some(Need { category, strength, reason, evidence: shown })
}

/// An ORM or a database that nobody hosts is a need; a server without either may be one.
fn database(analysis: &Analysis) -> Option<Need> {
    if !(analysis.kind.has_server() || analysis.kind == ProjectKind::MobileApp || analysis.kind == ProjectKind::SinglePageApp) {
        return None;
    }
    let primary = primary_databases(analysis);
    let mut evidence = evidence_of(analysis.data_access.iter().chain(primary.iter().copied()));
    match (analysis.data_access.first(), primary.first()) {
        (Some(access), Some(database)) => need(
            Category::Database,
            0.95,
            format!("your project uses {} with {} and no hosted database", access.name, database.name),
            evidence,
        ),
        (Some(access), None) => {
            need(Category::Database, 0.9, format!("your project uses {} with no hosted database", access.name), evidence)
        }
        (None, Some(database)) => {
            need(Category::Database, 0.9, format!("your project uses {} and nothing says where it is hosted", database.name), evidence)
        }
        (None, None) if analysis.kind.has_server() => {
            evidence = evidence_of(analysis.frameworks.iter());
            need(Category::Database, 0.45, format!("your {} stores nothing yet", noun(analysis)), evidence)
        }
        (None, None) => need(
            Category::Database,
            0.25,
            format!("your {} has no place to store data", noun(analysis)),
            evidence_of(analysis.frameworks.iter()),
        ),
    }
}

/// The databases of record, without caches and search engines.
pub fn primary_databases(analysis: &Analysis) -> Vec<&Finding> {
    analysis
        .databases
        .iter()
        .filter(|database| super::rules::rules().technologies.get(&database.id).is_some_and(|technology| technology.primary))
        .collect()
}

fn hosting(analysis: &Analysis) -> Option<Need> {
    if !analysis.kind.is_deployed() {
        return None;
    }
    let container = analysis.deployment_readiness.part("container file").filter(|part| part.points > 0);
    match (container, &analysis.start_command) {
        (Some(part), _) if analysis.kind.has_server() => {
            need(Category::Hosting, 0.95, "your project has a container file and no host to run it".to_owned(), part.evidence.clone())
        }
        _ if analysis.is_static => {
            need(Category::Hosting, 0.6, format!("nothing says where your {} is hosted", noun(analysis)), first_evidence(analysis))
        }
        (_, Some(start)) => need(
            Category::Hosting,
            if start.stated { 0.85 } else { 0.8 },
            format!("your {} starts with `{}` and nothing says where it runs", noun(analysis), start.command),
            vec![start.evidence.clone()],
        ),
        _ => need(Category::Hosting, 0.75, format!("nothing says where your {} runs", noun(analysis)), first_evidence(analysis)),
    }
}

fn design(analysis: &Analysis) -> Option<Need> {
    let score = &analysis.design_needs;
    if score.value == 0 {
        return None;
    }
    let lacks: Vec<&str> =
        score.parts.iter().filter(|part| part.points > 0 && part.name != "pages").map(|part| part.name.as_str()).collect();
    let reason = if lacks.is_empty() {
        "your project has pages and no shared design file".to_owned()
    } else {
        format!("your project has pages but {}", lacks.iter().map(|name| format!("no {name}")).collect::<Vec<_>>().join(", "))
    };
    let evidence = score.part("pages").map(|part| part.evidence.clone()).unwrap_or_default();
    // At most 0.75: a project runs without a design file, but not without its database.
    need(Category::Design, 0.75 * f64::from(score.value) / 100.0, reason, evidence)
}

fn auth(analysis: &Analysis) -> Option<Need> {
    let has_users = analysis.kind == ProjectKind::FullStackApp || analysis.kind == ProjectKind::MobileApp;
    if !has_users && analysis.kind != ProjectKind::ApiService {
        return None;
    }
    let strength = if has_users && !analysis.data_access.is_empty() { 0.5 } else { 0.35 };
    need(Category::Auth, strength, format!("your {} has no sign-in", noun(analysis)), evidence_of(analysis.frameworks.iter()))
}

fn monitoring(analysis: &Analysis) -> Option<Need> {
    let strength = if analysis.kind.has_server() { 0.5 } else { 0.25 };
    analysis.kind.is_deployed().then(|| {
        need(Category::Monitoring, strength, format!("nobody is told when your {} fails", noun(analysis)), first_evidence(analysis))
    })?
}

fn ci(analysis: &Analysis) -> Option<Need> {
    let is_code = !matches!(analysis.kind, ProjectKind::Unknown | ProjectKind::Functions);
    is_code.then(|| need(Category::Ci, 0.4, "no tests run by themselves when the code changes".to_owned(), first_evidence(analysis)))?
}

/// "Next.js app", "API service".
fn noun(analysis: &Analysis) -> String {
    let described = analysis.kind.describe();
    let plain = described.strip_prefix("a ").or_else(|| described.strip_prefix("an ")).unwrap_or(described);
    let server = analysis
        .frameworks
        .iter()
        .find(|framework| super::rules::rules().technologies.get(&framework.id).is_some_and(|technology| technology.server));
    match (server, analysis.kind) {
        (Some(framework), ProjectKind::FullStackApp) => format!("{} app", framework.name),
        (Some(framework), ProjectKind::ApiService) => format!("{} service", framework.name),
        _ => plain.to_owned(),
    }
}

fn evidence_of<'f>(findings: impl Iterator<Item = &'f Finding>) -> Vec<Evidence> {
    findings.filter_map(|finding| finding.evidence.first().cloned()).take(EVIDENCE_MAX).collect()
}

fn first_evidence(analysis: &Analysis) -> Vec<Evidence> {
    let of_components = analysis.components.iter().filter_map(|component| component.evidence.first().cloned()).take(1).collect::<Vec<_>>();
    if of_components.is_empty() { evidence_of(analysis.frameworks.iter()) } else { of_components }
}
