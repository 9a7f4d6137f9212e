//! Technologies that a project uses, each with the places that show it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Category,
    budget::Budget,
    manifest::{Dependency, Manifest},
    rules::{Technology, rules},
    surroundings::Surroundings,
    tree::is_auxiliary,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TechnologyKind {
    Framework,
    Database,
    DataAccess,
    Service,
    Design,
    Library,
    PackageManager,
}

/// When a technology is needed; the least is the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// The running project needs it.
    Runtime,
    /// Whoever uses the project brings it: a peer dependency, an extra, a feature.
    Optional,
    /// Building, testing, examples.
    Development,
}

/// Where a statement comes from: a file, with the line or the key in it if one can be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Characters that are kept of a path, a key, a name or a command: they are stored, and shown to strangers as reasons.
const TEXT_MAX: usize = 200;

/// A text of the project, cut with `…` if it is too long to be kept.
pub fn clipped(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some(_) => text.chars().take(TEXT_MAX - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

impl Evidence {
    pub fn file(path: &str) -> Self {
        Self { path: clipped(path), line: None, key: None }
    }

    pub fn line(path: &str, line: u32) -> Self {
        Self { line: Some(line), ..Self::file(path) }
    }

    pub fn key(path: &str, key: impl AsRef<str>) -> Self {
        Self { key: Some(clipped(key.as_ref())), ..Self::file(path) }
    }
}

/// `package.json dependencies.next`, `Gemfile:3`.
impl std::fmt::Display for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.key, self.line) {
            (Some(key), _) => write!(f, "{} {key}", self.path),
            (None, Some(line)) => write!(f, "{}:{line}", self.path),
            (None, None) => f.write_str(&self.path),
        }
    }
}

/// A technology in use. Its `evidence` is never empty and is of the strongest usage found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable and lower-case: `nextjs`, `postgresql`.
    pub id: String,
    pub name: String,
    pub kind: TechnologyKind,
    pub usage: Usage,
    /// The needs that it meets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fills: Vec<Category>,
    pub evidence: Vec<Evidence>,
}

/// More places than these show nothing new.
const EVIDENCE_MAX: usize = 8;

/// Joins all that manifests and surroundings reveal, by id.
pub fn collect(manifests: &[Manifest], surroundings: &Surroundings, budget: &mut Budget<'_>) -> Vec<Finding> {
    let mut seen: BTreeMap<&str, Vec<(Usage, Evidence)>> = BTreeMap::new();
    for manifest in manifests {
        if !budget.lasts() {
            break;
        }
        for (id, usage, dependency) in revealed(manifest) {
            seen.entry(id).or_default().push((usage, dependency.evidence(&manifest.path)));
        }
    }
    for sign in &surroundings.signs {
        for id in with_meant(sign.technology) {
            seen.entry(id).or_default().push((sign.usage, sign.evidence.clone()));
        }
    }
    let mut findings: Vec<Finding> = seen.into_iter().map(|(id, places)| finding(id, places)).collect();
    findings.sort_by(|a, b| (a.usage, &a.id).cmp(&(b.usage, &b.id)));
    findings
}

/// A host that only keeps files runs no server: what lies there is the documentation, or the pages in front of it.
pub fn leave_hosts_of_programs(findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| rules().technologies[finding.id.as_str()].files_only) {
        finding.fills.retain(|category| *category != Category::Hosting);
    }
}

/// The technologies that a manifest's dependencies reveal, with those that come along.
pub fn revealed(manifest: &Manifest) -> impl Iterator<Item = (&'static str, Usage, &Dependency)> {
    let is_auxiliary = is_auxiliary(&manifest.path);
    manifest.dependencies.iter().flat_map(move |dependency| {
        let names: Vec<&'static str> = rules().package(manifest.ecosystem, &dependency.name).collect();
        names.into_iter().flat_map(move |id| {
            let usage = if is_auxiliary { Usage::Development } else { usage_of(manifest, &rules().technologies[id], dependency.usage) };
            with_meant(id).map(move |id| (id, usage, dependency))
        })
    })
}

fn with_meant(id: &'static str) -> impl Iterator<Item = &'static str> {
    std::iter::once(id).chain(rules().technologies[id].means.iter().map(String::as_str))
}

/// What decides how the project is built, or brings it to its host, counts though only the build needs it, unless the package is published:
/// then it is what its authors try it with. A framework of pages that a package leaves to its user is still what the package is for; a database is not.
fn usage_of(manifest: &Manifest, technology: &Technology, usage: Usage) -> Usage {
    let is_framework = technology.kind == TechnologyKind::Framework;
    let is_published = manifest.is_importable || manifest.installs_command;
    match usage {
        Usage::Development if technology.build && !(is_framework && is_published) => Usage::Runtime,
        Usage::Development if technology.deploys && !is_published => Usage::Runtime,
        Usage::Optional if is_framework && technology.ui => Usage::Runtime,
        other => other,
    }
}

fn finding(id: &str, mut places: Vec<(Usage, Evidence)>) -> Finding {
    places.sort();
    places.dedup();
    let usage = places[0].0;
    let technology = &rules().technologies[id];
    Finding {
        id: id.to_owned(),
        name: technology.name.clone(),
        kind: technology.kind,
        usage,
        fills: technology.fills.clone(),
        evidence: places.into_iter().filter(|(found, _)| *found == usage).map(|(_, evidence)| evidence).take(EVIDENCE_MAX).collect(),
    }
}
