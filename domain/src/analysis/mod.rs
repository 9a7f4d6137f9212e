//! What a project is, uses and lacks, told from its files by rules, with the evidence for each statement.
//!
//! [`analyze`] is a pure function over a list of files; reading folders and archives safely is `engine::analysis`. The knowledge
//! stands as data in `rules/*.toml`; manifests are parsed, never searched as text, so that a name in a comment or in a README is no
//! evidence. To add a technology: one line in `technologies.toml`, and one line in each ecosystem that can reveal it.
//!
//! What has no answer says so: an unreadable manifest becomes a warning and lowers the confidence; the analysis never fails. Nor does it
//! take longer than its caller wants, whatever the files hold.

mod budget;
mod category;
mod component;
mod finding;
mod language;
mod lexer;
mod manifest;
mod need;
mod rules;
mod score;
mod servers;
mod surroundings;
mod tree;

use serde::{Deserialize, Serialize};

use self::budget::Budget;

pub use category::{Category, UnknownCategory};
pub use component::{Component, ProjectKind, StartCommand};
pub use finding::{Evidence, Finding, TechnologyKind, Usage};
pub use language::LanguageShare;
pub use need::{FILE_DATABASE, Need};
pub use score::{Part, Score};
pub use surroundings::is_variables;
pub use tree::{is_skipped, is_vendored};

/// A file of the project. `content` is absent if it was not read: too big, not text, or beyond the bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Relative to the project's top folder, with `/` between its parts.
    pub path: String,
    /// Bytes on disk, whatever part of it was read.
    pub size: u64,
    #[serde(default)]
    pub content: Option<String>,
}

/// All that is said about a project. Sites keep it as JSON: what a version before this one did not say yet is read as nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Analysis {
    pub kind: ProjectKind,
    /// What builds or runs it: `node`, `python`, `rust`, ...; `static` if nothing does; none if it cannot be told.
    pub runtime: Option<String>,
    /// Everything that is served can be served as files.
    pub is_static: bool,
    pub start_command: Option<StartCommand>,
    /// Greatest share first; the shares sum to 1 unless there are none.
    pub languages: Vec<LanguageShare>,
    pub frameworks: Vec<Finding>,
    pub databases: Vec<Finding>,
    /// ORMs and query builders.
    pub data_access: Vec<Finding>,
    pub services: Vec<Finding>,
    /// Component libraries, style frameworks, design tokens.
    pub design: Vec<Finding>,
    pub libraries: Vec<Finding>,
    /// What is used in development, in tests, or only if somebody asks for it.
    pub development: Vec<Finding>,
    pub package_managers: Vec<Finding>,
    /// The parts of the project that have a manifest of their own, the top folder first.
    pub components: Vec<Component>,
    pub complexity: Score,
    pub deployment_readiness: Score,
    pub design_needs: Score,
    /// What is missing, strongest first.
    pub needs: Vec<Need>,
    /// 0 to 1: how far the files allowed an answer.
    pub confidence: f64,
    /// What could not be read, and why.
    pub warnings: Vec<String>,
    /// Why the analysis does not cover the whole project, if it does not.
    pub partial: Option<String>,
}

impl Analysis {
    /// The technologies in use that meet a need.
    pub fn filling(&self, category: Category) -> impl Iterator<Item = &Finding> {
        self.in_use().filter(move |finding| finding.fills.contains(&category))
    }

    /// Everything in use at run time, whatever its kind.
    pub fn in_use(&self) -> impl Iterator<Item = &Finding> {
        [&self.frameworks, &self.databases, &self.data_access, &self.services, &self.design, &self.libraries].into_iter().flatten()
    }

    /// The databases of record, without caches and search engines.
    pub fn databases_of_record(&self) -> impl Iterator<Item = &Finding> {
        self.databases.iter().filter(|database| database_of_record(&database.id).is_some())
    }

    /// Says that the project was not read to its end; the confidence falls by a tenth. The first reason stays.
    pub fn stopped_early(&mut self, reason: String) {
        if self.partial.is_none() {
            self.confidence = (self.confidence - 0.1).max(0.0);
            self.partial = Some(reason);
        }
    }
}

/// More warnings than these tell nothing new.
const WARNINGS_MAX: usize = 40;

/// Analyses a project, however long it takes. The order of the files does not matter.
pub fn analyze(files: &[SourceFile]) -> Analysis {
    analyze_while(files, &mut || true)
}

/// Analyses a project for as long as `has_time` says so; it is asked before each file. What was not reached by then is left out, and the
/// analysis says that it is partial.
pub fn analyze_while(files: &[SourceFile], has_time: &mut dyn FnMut() -> bool) -> Analysis {
    let mut budget = Budget::new(has_time);
    let tree = tree::Tree::new(files);
    let languages = language::shares(&tree);
    let (manifests, mut warnings) = manifest::read_all(&tree, &mut budget);
    let surroundings = surroundings::read(&tree, &mut budget, &mut warnings);
    warnings.sort();
    warnings.truncate(WARNINGS_MAX);

    let mut findings = finding::collect(&manifests, &surroundings, &mut budget);
    let components = component::split(&tree, &manifests, &surroundings, &mut budget);
    let verdict = component::judge(&tree, &components, &surroundings);
    if verdict.kind.has_server() {
        finding::leave_hosts_of_programs(&mut findings);
    }

    let of = |kind: TechnologyKind| -> Vec<Finding> {
        findings.iter().filter(|finding| finding.kind == kind && finding.usage == Usage::Runtime).cloned().collect()
    };
    let mut analysis = Analysis {
        kind: verdict.kind,
        runtime: verdict.runtime,
        is_static: verdict.is_static,
        start_command: verdict.start_command.map(|start| StartCommand { command: finding::clipped(&start.command), ..start }),
        languages,
        frameworks: of(TechnologyKind::Framework),
        databases: of(TechnologyKind::Database),
        data_access: of(TechnologyKind::DataAccess),
        services: of(TechnologyKind::Service),
        design: of(TechnologyKind::Design),
        libraries: of(TechnologyKind::Library),
        development: findings.iter().filter(|finding| finding.usage != Usage::Runtime).cloned().collect(),
        package_managers: manifest::package_managers(&tree, &manifests),
        components: components.into_iter().map(|built| built.component).collect(),
        complexity: Score::default(),
        deployment_readiness: Score::default(),
        design_needs: Score::default(),
        needs: Vec::new(),
        confidence: 0.0,
        warnings: warnings.iter().map(|warning| finding::clipped(warning)).collect(),
        partial: None,
    };
    analysis.complexity = score::complexity(&tree, &manifests, &analysis);
    analysis.deployment_readiness = score::deployment_readiness(&tree, &manifests, &surroundings, &analysis);
    analysis.design_needs = score::design_needs(&tree, &surroundings, &analysis);
    let containers: Vec<Evidence> = surroundings.container_files.iter().map(|(evidence, _)| evidence.clone()).collect();
    analysis.needs = need::missing(&analysis, &containers);
    analysis.confidence = confidence(&analysis, manifests.is_empty());
    if let Some(reason) = budget.partial {
        analysis.stopped_early(reason);
    }
    analysis
}

/// A framework that answers requests, by its id.
pub fn is_server_framework(id: &str) -> bool {
    rules::rules().technologies.get(id).is_some_and(|technology| technology.server && technology.kind == TechnologyKind::Framework)
}

/// The name of a database of record, by its id.
pub fn database_of_record(id: &str) -> Option<&'static str> {
    rules::rules().technologies.get(id).filter(|technology| technology.primary).map(|technology| technology.name.as_str())
}

/// 0.95 less what stands in the way: each unreadable manifest 0.15, no manifest 0.25, no kind 0.3; never below 0.05.
fn confidence(analysis: &Analysis, no_manifest: bool) -> f64 {
    let unreadable = analysis.warnings.len().min(3);
    let mut confidence = 0.95 - 0.15 * f64::from(u8::try_from(unreadable).unwrap_or(3));
    if no_manifest && analysis.kind != ProjectKind::StaticSite {
        confidence -= 0.25;
    }
    if analysis.kind == ProjectKind::Unknown {
        confidence -= 0.3;
    }
    confidence.max(0.05)
}

#[cfg(test)]
mod tests;
