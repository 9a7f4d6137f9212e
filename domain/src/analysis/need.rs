//! What a project lacks, how much, and why we say so.

use serde::{Deserialize, Serialize};

use super::{Analysis, Category, Evidence, Finding, ProjectKind, rules::rules, servers};

/// A category that nothing in the project fills.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Need {
    pub category: Category,
    /// 0 to 1: how much the project shows that it lacks this.
    pub strength: f64,
    /// A sentence to the developer.
    pub reason: String,
    pub evidence: Vec<Evidence>,
    /// Of a need of a database: the ids of those that the project has and nobody hosts, as far as it shows which. Analyses of earlier
    /// versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engines: Option<Vec<String>>,
}

/// Evidence shown with a need.
const EVIDENCE_MAX: usize = 4;

/// A database that is a file: beside a server it can grow into any other, on a phone or in a browser it stays where it is.
pub const FILE_DATABASE: &str = "sqlite";

/// Says what a project, or a part of it, lacks of one category; whether something fills it is asked afterwards.
type Rule = fn(&Analysis) -> Option<Need>;

/// Strongest first, then by category. `containers` are all container files of the project.
pub fn missing(analysis: &Analysis, containers: &[Evidence]) -> Vec<Need> {
    let of_the_whole: [Rule; 4] = [design, auth, monitoring, ci];
    let of_a_server: [Rule; 2] = [database, hosting];
    let servers = servers::servers(analysis, containers);
    let mut needs: Vec<Need> = of_the_whole
        .into_iter()
        .filter_map(|rule| unmet(analysis, rule))
        .chain(of_a_server.into_iter().filter_map(|rule| strongest(&servers, rule)))
        .collect();
    needs.sort_by(|a, b| b.strength.total_cmp(&a.strength).then(a.category.cmp(&b.category)));
    needs
}

fn unmet(analysis: &Analysis, rule: Rule) -> Option<Need> {
    rule(analysis).filter(|need| analysis.filling(need.category).next().is_none())
}

/// What one of the servers lacks most; of equals the first one's.
fn strongest(servers: &[Analysis], rule: Rule) -> Option<Need> {
    let needs = servers.iter().filter_map(|server| unmet(server, rule));
    needs.reduce(|best, other| if other.strength > best.strength { other } else { best })
}

fn need(category: Category, strength: f64, reason: String, evidence: Vec<Evidence>) -> Option<Need> {
    let mut shown: Vec<Evidence> = Vec::new();
    for place in evidence {
        if shown.len() < EVIDENCE_MAX && !shown.contains(&place) {
            shown.push(place);
        }
    }
    Some(Need { category, strength, reason, evidence: shown, engines: None })
}

/// An ORM or a database that nobody hosts is a need; a server without either may be one.
fn database(analysis: &Analysis) -> Option<Need> {
    if !(analysis.kind.has_server() || analysis.kind == ProjectKind::MobileApp || analysis.kind == ProjectKind::SinglePageApp) {
        return None;
    }
    let (files, primary): (Vec<&Finding>, Vec<&Finding>) =
        analysis.databases_of_record().partition(|database| database.id == FILE_DATABASE);
    let need = match (analysis.data_access.first(), primary.is_empty()) {
        (_, true) if !files.is_empty() => file_database(analysis, &files),
        (None, true) => no_database(analysis),
        (access, _) => unhosted_database(access, &primary),
    };
    let engines = if primary.is_empty() { files } else { primary };
    need.map(|need| Need { engines: Some(engines.into_iter().map(|engine| engine.id.clone()).collect()), ..need })
}

fn unhosted_database(access: Option<&Finding>, primary: &[&Finding]) -> Option<Need> {
    let names = joined_names(primary);
    let (strength, reason) = match access {
        Some(access) if primary.is_empty() => (0.9, format!("your project uses {} with no hosted database", access.name)),
        Some(access) => (0.95, format!("your project uses {} with {names} and no hosted database", access.name)),
        None => (0.9, format!("your project uses {names} and nothing says where it is hosted")),
    };
    need(Category::Database, strength, reason, evidence_of(access.into_iter().chain(primary.iter().copied())))
}

/// Weaker than any other database that nobody hosts: many a project needs no more than a file, ever.
fn file_database(analysis: &Analysis, files: &[&Finding]) -> Option<Need> {
    let reason = format!("your project keeps its data in {}, a file that only one machine has", joined_names(files));
    analysis.kind.has_server().then(|| need(Category::Database, 0.45, reason, evidence_of(files.iter().copied())))?
}

/// Nothing shows a database: told by the frameworks alone.
fn no_database(analysis: &Analysis) -> Option<Need> {
    let stores = |framework: &&Finding| rules().technologies.get(&framework.id).is_some_and(|technology| technology.stores);
    let (strength, reason) = if let Some(framework) = analysis.frameworks.iter().find(stores) {
        (0.6, format!("{} keeps its data in a database and nothing says where that is hosted", framework.name))
    } else if analysis.kind.has_server() {
        (0.45, format!("your {} stores nothing yet", noun(analysis)))
    } else {
        (0.25, format!("your {} has no place to store data", noun(analysis)))
    };
    need(Category::Database, strength, reason, evidence_of(analysis.frameworks.iter()))
}

/// "MySQL and PostgreSQL".
fn joined_names(findings: &[&Finding]) -> String {
    findings.iter().map(|finding| finding.name.as_str()).collect::<Vec<_>>().join(" and ")
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
    need(
        Category::Auth,
        strength,
        format!("your {} has no sign-in that we know of", noun(analysis)),
        evidence_of(analysis.frameworks.iter()),
    )
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
    let server =
        analysis.frameworks.iter().find(|framework| rules().technologies.get(&framework.id).is_some_and(|technology| technology.server));
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
