//! Three scores from 0 to 100, each the sum of its parts, so that a reader can see what makes it.

use serde::{Deserialize, Serialize};

use super::{
    Analysis, Category, Evidence, ProjectKind, language,
    manifest::{self, Manifest},
    rules::rules,
    surroundings::Surroundings,
    tree::Tree,
};

/// 0 to 100.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    pub value: u8,
    pub parts: Vec<Part>,
}

/// What a score is made of: `points` of at most `of`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    pub points: u8,
    pub of: u8,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

impl Score {
    fn of(parts: Vec<Part>) -> Self {
        let sum: u32 = parts.iter().map(|part| u32::from(part.points)).sum();
        Self { value: u8::try_from(sum.min(100)).unwrap_or(100), parts }
    }

    pub fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }
}

fn part(name: &str, points: u8, of: u8, reason: impl Into<String>, evidence: Vec<Evidence>) -> Part {
    Part { name: name.to_owned(), points: points.min(of), of, reason: reason.into(), evidence: evidence.into_iter().take(4).collect() }
}

/// Points for an amount on a logarithmic scale: none for 0, all from `full` on. The tenth file weighs more than the thousandth.
fn logarithmic(amount: u64, full: u64, of: u8) -> u8 {
    let steps = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX)).ln_1p();
    let points = (steps(amount) / steps(full)).min(1.0) * f64::from(of);
    (0..=of).rev().find(|whole| f64::from(*whole) <= points).unwrap_or(0)
}

/// Size 35, dependencies 25, services and databases 20, components 10, languages 10.
pub fn complexity(tree: &Tree<'_>, manifests: &[Manifest], analysis: &Analysis) -> Score {
    let shares = language::shares(tree);
    let bytes = language::sum(shares.iter().map(|share| share.bytes));
    let files: u64 = shares.iter().map(|share| u64::from(share.files)).sum();
    let dependencies: u64 = manifests.iter().map(|manifest| manifest.dependencies.len() as u64).sum();
    let services = (analysis.services.len() + analysis.databases.len()) as u64;
    let components = analysis.components.len() as u64;
    let languages = shares.iter().filter(|share| share.share >= 0.02).count() as u64;
    let per_manifest = manifests.iter().map(|manifest| Evidence::file(&manifest.path)).collect();
    // Full marks: 10 MB of source, 300 dependencies, 20 services, 30 components, 6 languages.
    Score::of(vec![
        part("size", logarithmic(bytes / 1024, 10_240, 35), 35, format!("{} kB of source in {files} files", bytes / 1024), Vec::new()),
        part("dependencies", logarithmic(dependencies, 300, 25), 25, format!("{dependencies} direct dependencies"), per_manifest),
        part("services", logarithmic(services, 20, 20), 20, format!("{services} services and databases"), Vec::new()),
        part("components", logarithmic(components.saturating_sub(1), 30, 10), 10, format!("{components} components"), Vec::new()),
        part("languages", logarithmic(languages.saturating_sub(1), 5, 10), 10, format!("{languages} languages of 2 % or more"), Vec::new()),
    ])
}

/// Start command 20, container file 20, CI 15, variables 15, lock file 10, health check 10, host 10. What a kind of project does not
/// need counts as done.
pub fn deployment_readiness(tree: &Tree<'_>, manifests: &[Manifest], surroundings: &Surroundings, analysis: &Analysis) -> Score {
    let serves_files = analysis.is_static;
    let all = |of: u8, yes: bool| if yes { of } else { 0 };
    let start = match &analysis.start_command {
        _ if serves_files => part("start command", 20, 20, "not needed: files are served as they are", Vec::new()),
        Some(start) if start.stated => part("start command", 20, 20, format!("`{}`", start.command), vec![start.evidence.clone()]),
        Some(start) => {
            part("start command", 12, 20, format!("not written down; `{}` is usual", start.command), vec![start.evidence.clone()])
        }
        None => part("start command", 0, 20, "none found", Vec::new()),
    };
    let containers: Vec<Evidence> = surroundings.container_files.iter().map(|(evidence, _)| evidence.clone()).collect();
    let container = if serves_files && containers.is_empty() {
        part("container file", 20, 20, "not needed: files are served as they are", Vec::new())
    } else {
        part(
            "container file",
            all(20, !containers.is_empty()),
            20,
            if containers.is_empty() { "none found" } else { "there is one" },
            containers,
        )
    };
    let ci: Vec<Evidence> = analysis.filling(Category::Ci).flat_map(|finding| finding.evidence.clone()).collect();
    let variables = surroundings.variable_files.clone();
    let needs_variables = analysis.kind.has_server() || !analysis.services.is_empty();
    let variables = if variables.is_empty() && !needs_variables {
        part("variables", 15, 15, "none needed, as far as we see", variables)
    } else {
        part(
            "variables",
            all(15, !variables.is_empty()),
            15,
            if variables.is_empty() { "no example of the variables" } else { "an example names them" },
            variables,
        )
    };
    let locks: Vec<Evidence> = manifest::lock_files(tree).map(Evidence::file).collect();
    let lock = if manifests.is_empty() {
        part("lock file", 10, 10, "no packages to lock", locks)
    } else {
        part("lock file", all(10, !locks.is_empty()), 10, if locks.is_empty() { "none found" } else { "versions are locked" }, locks)
    };
    let health = match &surroundings.health_check {
        _ if serves_files => part("health check", 10, 10, "not needed: files are served as they are", Vec::new()),
        Some(evidence) => part("health check", 10, 10, "there is one", vec![evidence.clone()]),
        None => part("health check", 0, 10, "none found", Vec::new()),
    };
    let hosts: Vec<Evidence> = analysis.filling(Category::Hosting).flat_map(|finding| finding.evidence.clone()).collect();
    Score::of(vec![
        start,
        container,
        part("continuous integration", all(15, !ci.is_empty()), 15, if ci.is_empty() { "none found" } else { "there is some" }, ci),
        variables,
        lock,
        health,
        part("host", all(10, !hosts.is_empty()), 10, if hosts.is_empty() { "none configured" } else { "configured" }, hosts),
    ])
}

/// 0 without pages. Pages 40, no component library 20, no design tokens 15, no component workshop 10, no linked design file 15.
pub fn design_needs(tree: &Tree<'_>, surroundings: &Surroundings, analysis: &Analysis) -> Score {
    let pages = pages(tree, analysis);
    if pages.is_empty() || matches!(analysis.kind, ProjectKind::Library | ProjectKind::CommandLineTool | ProjectKind::Infrastructure) {
        return Score::of(vec![part("pages", 0, 40, "no pages found", Vec::new())]);
    }
    let used = |test: fn(&super::rules::Technology) -> bool| -> Vec<Evidence> {
        let found = analysis.design.iter().filter(|finding| rules().technologies.get(&finding.id).is_some_and(test));
        found.flat_map(|finding| finding.evidence.clone()).collect()
    };
    let workshop: Vec<Evidence> = analysis
        .design
        .iter()
        .filter(|finding| matches!(finding.id.as_str(), "storybook" | "ladle" | "histoire"))
        .flat_map(|finding| finding.evidence.clone())
        .collect();
    let mut tokens = used(|technology| technology.tokens);
    tokens.extend(surroundings.token_files.iter().cloned());
    let files: Vec<Evidence> =
        analysis.services.iter().filter(|service| service.id == "figma").flat_map(|service| service.evidence.clone()).collect();
    let lacking = |name: &str, of: u8, found: Vec<Evidence>| {
        part(name, if found.is_empty() { of } else { 0 }, of, if found.is_empty() { "none found" } else { "there is one" }, found)
    };
    Score::of(vec![
        part("pages", 40, 40, "people see this project", pages),
        lacking("component library", 20, used(|technology| technology.component_library)),
        lacking("design tokens", 15, tokens),
        lacking("component workshop", 10, workshop),
        lacking("linked design file", 15, files),
    ])
}

/// What shows that there are pages: a framework for them, else templates and HTML.
fn pages(tree: &Tree<'_>, analysis: &Analysis) -> Vec<Evidence> {
    let is_ui = |id: &str| rules().technologies.get(id).is_some_and(|technology| technology.ui);
    let by_framework: Vec<Evidence> = analysis
        .frameworks
        .iter()
        .filter(|framework| is_ui(&framework.id))
        .filter_map(|framework| framework.evidence.first().cloned())
        .collect();
    if !by_framework.is_empty() {
        return by_framework;
    }
    let is_page = |path: &str| [".html", ".htm", ".erb", ".twig", ".cshtml", ".razor", ".blade.php"].iter().any(|end| path.ends_with(end));
    tree.files.iter().filter(|file| !file.auxiliary && is_page(file.path)).map(|file| Evidence::file(file.path)).take(4).collect()
}
