//! The parts of a project, what each is, and which of them says what the whole is.
//!
//! Every part is weighed; none wins for coming first in a list. Source bytes, a framework, a way to start and the top folder speak for
//! a part; having nothing but development dependencies speaks against it, and functions of a hosting platform never speak for the whole.

mod classify;
mod facts;
mod kind;
mod start;
mod verdict;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use kind::ProjectKind;
pub use start::StartCommand;
pub use verdict::judge;

use self::facts::Facts;
use super::{
    Evidence, TechnologyKind, Usage,
    budget::Budget,
    finding, language,
    manifest::Manifest,
    rules::{Ecosystem, Technology, rules},
    surroundings::Surroundings,
    tree::{File, Tree, file_name, is_below},
};

/// A part of the project: a folder and an ecosystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// The folder, `` for the top one.
    pub path: String,
    pub name: Option<String>,
    pub kind: ProjectKind,
    pub runtime: Option<String>,
    /// Ids of frameworks.
    pub frameworks: Vec<String>,
    pub evidence: Vec<Evidence>,
}

/// A project has a few parts, a collection of projects has thousands: of those only the topmost are looked at.
const COMPONENTS_MAX: usize = 100;
/// Manifests that are named as evidence of a component.
const EVIDENCE_MAX: usize = 8;

/// A component and what it was judged by.
pub struct Built {
    pub component: Component,
    weight: f64,
    start: Option<StartCommand>,
}

/// One component for each folder and ecosystem that has a manifest, and one for the language of most of the source if it has none. Only
/// the first one is built without time: it is the top folder's if that has any.
pub fn split(tree: &Tree<'_>, manifests: &[Manifest], surroundings: &Surroundings, budget: &mut Budget<'_>) -> Vec<Built> {
    let mut groups: BTreeMap<(&str, Ecosystem), Vec<&Manifest>> = BTreeMap::new();
    let only_auxiliary = manifests.iter().all(|manifest| super::tree::is_auxiliary(&manifest.path));
    for manifest in manifests.iter().filter(|manifest| only_auxiliary || !super::tree::is_auxiliary(&manifest.path)) {
        let folder = match file_name(&manifest.path) {
            // Lies in `gradle/` and belongs to the build above; requirements may have a folder of their own.
            "libs.versions.toml" => super::tree::folder(manifest.folder()),
            _ if manifest.folder().ends_with("requirements") => super::tree::folder(manifest.folder()),
            _ => manifest.folder(),
        };
        groups.entry((folder, manifest.ecosystem)).or_default().push(manifest);
    }
    if let Some(ecosystem) = main_ecosystem(tree)
        && !groups.keys().any(|(_, other)| *other == ecosystem)
    {
        groups.insert(("", ecosystem), Vec::new());
    }
    let mut keys: Vec<(&str, Ecosystem)> = groups.keys().copied().collect();
    keys.sort_by_key(|(folder, ecosystem)| (folder.matches('/').count(), *folder, *ecosystem));
    keys.truncate(COMPONENTS_MAX);
    groups.retain(|key, _| keys.contains(key));
    let mut built: Vec<Built> = Vec::new();
    for (key, manifests) in &groups {
        if !budget.lasts() && !built.is_empty() {
            break;
        }
        built.push(build(tree, surroundings, *key, manifests, &keys));
    }
    if let Some(generator) = generated_site(surroundings, &built) {
        built.push(generator);
    }
    weigh_documentation(&mut built);
    built.sort_by(|a, b| {
        (a.component.path.as_str(), a.component.runtime.as_deref()).cmp(&(b.component.path.as_str(), b.component.runtime.as_deref()))
    });
    built
}

/// The ecosystem of more than half of the source that belongs to any.
fn main_ecosystem(tree: &Tree<'_>) -> Option<Ecosystem> {
    const ALL: [Ecosystem; 10] = [
        Ecosystem::Npm,
        Ecosystem::Python,
        Ecosystem::Rust,
        Ecosystem::Go,
        Ecosystem::Ruby,
        Ecosystem::Php,
        Ecosystem::Java,
        Ecosystem::Dotnet,
        Ecosystem::Elixir,
        Ecosystem::Dart,
    ];
    let shares = language::shares(tree);
    let total = language::sum(shares.iter().map(|share| share.bytes));
    let bytes = |ecosystem: Ecosystem| {
        language::sum(shares.iter().filter(|share| ecosystem.languages().contains(&share.name.as_str())).map(|share| share.bytes))
    };
    ALL.into_iter().find(|ecosystem| bytes(*ecosystem) > total / 2)
}

fn build(
    tree: &Tree<'_>,
    surroundings: &Surroundings,
    (folder, ecosystem): (&str, Ecosystem),
    manifests: &[&Manifest],
    keys: &[(&str, Ecosystem)],
) -> Built {
    let nested: Vec<&str> = keys.iter().map(|(other, _)| *other).filter(|other| *other != folder && is_below(other, folder)).collect();
    let own = |path: &str| is_below(path, folder) && !nested.iter().any(|other| is_below(path, other));
    let mut technologies: BTreeMap<&'static str, &'static Technology> = BTreeMap::new();
    for manifest in manifests {
        for (id, usage, _) in finding::revealed(manifest) {
            if usage == Usage::Runtime {
                technologies.insert(id, &rules().technologies[id]);
            }
        }
    }
    for sign in surroundings.signs.iter().filter(|sign| sign.usage == Usage::Runtime && own(&sign.evidence.path)) {
        let technology = &rules().technologies[sign.technology];
        if technology.kind != TechnologyKind::Framework || sign.technology == "wordpress" && ecosystem == Ecosystem::Php {
            technologies.insert(sign.technology, technology);
        }
    }
    let files: Vec<(&str, &File<'_>)> = tree
        .files
        .iter()
        .filter(|file| !file.auxiliary && own(file.path))
        .map(|file| (file.path[folder.len()..].trim_start_matches('/'), file))
        .collect();
    let mut facts = Facts {
        technologies,
        folder,
        ecosystem,
        manifests,
        start: None,
        has_container: surroundings.container_files.iter().any(|(evidence, _)| own(&evidence.path)),
        exports_files: surroundings.static_export.iter().any(|evidence| own(&evidence.path)),
        paths: files.iter().map(|(path, _)| *path).collect(),
        mains: files.iter().filter(|(path, file)| facts::is_main(ecosystem, path, file)).map(|(path, _)| *path).collect(),
        listens: files.iter().any(|(_, file)| facts::listens(ecosystem, file)),
    };
    facts.start = start::start_command(&facts, surroundings);
    let kind = classify::kind(&facts);
    let share = source_share(tree, folder, ecosystem, keys);
    let frameworks: Vec<String> = facts
        .technologies
        .iter()
        .filter(|(_, technology)| technology.kind == TechnologyKind::Framework)
        .map(|(id, _)| (*id).to_owned())
        .collect();
    let component = Component {
        path: folder.to_owned(),
        name: manifests.iter().find_map(|manifest| manifest.name.clone()),
        kind,
        runtime: Some(runtime(&facts).to_owned()),
        frameworks,
        evidence: manifests.iter().take(EVIDENCE_MAX).map(|manifest| Evidence::file(&manifest.path)).collect(),
    };
    Built { component, weight: weight(&facts, kind, share), start: facts.start }
}

fn runtime(facts: &Facts<'_>) -> &'static str {
    let is_started_by = |program: &str| {
        facts.manifests.iter().filter_map(|manifest| manifest.start.as_ref()).any(|start| start.command.starts_with(program))
    };
    if facts.ecosystem == Ecosystem::Npm && (facts.technologies.contains_key("elysia") || is_started_by("bun ")) {
        "bun"
    } else {
        facts.ecosystem.runtime()
    }
}

/// The part of the project's source that is written for the ecosystem in this component and in none inside it.
fn source_share(tree: &Tree<'_>, folder: &str, ecosystem: Ecosystem, keys: &[(&str, Ecosystem)]) -> f64 {
    let nested: Vec<&str> = keys
        .iter()
        .filter(|(other, kind)| *kind == ecosystem && *other != folder && is_below(other, folder))
        .map(|(other, _)| *other)
        .collect();
    let (mut own, mut all) = (0_u64, 0_u64);
    for file in tree.files.iter().filter(|file| !file.auxiliary) {
        let Some(language) = file.language else { continue };
        all = all.saturating_add(file.size);
        let inside = is_below(file.path, folder) && !nested.iter().any(|other| is_below(file.path, other));
        if inside && ecosystem.languages().contains(&language) {
            own = own.saturating_add(file.size);
        }
    }
    language::ratio(own, all)
}

fn weight(facts: &Facts<'_>, kind: ProjectKind, share: f64) -> f64 {
    if kind == ProjectKind::Functions {
        return 0.0;
    }
    let framework = if facts.frameworks().any(|technology| technology.server || technology.mobile || technology.desktop) {
        1.0
    } else if facts.frameworks().any(|technology| technology.ui) {
        0.5
    } else {
        0.0
    };
    let is_for_development = !facts.manifests.is_empty()
        && framework == 0.0
        && facts.manifests.iter().all(|manifest| manifest.dependencies.iter().all(|dependency| dependency.usage == Usage::Development))
        && facts.manifests.iter().all(|manifest| !manifest.is_importable && !manifest.installs_command && manifest.start.is_none())
        && facts.ecosystem == Ecosystem::Npm;
    let top = if facts.folder.is_empty() { 0.2 } else { 0.0 };
    let starts = if facts.start.as_ref().is_some_and(|start| start.stated) { 0.2 } else { 0.0 };
    let weight = share + framework + top + starts;
    if is_for_development { weight * 0.2 } else { weight }
}

/// A site of documentation says what a project is only where there is nothing that it documents, however small the parts of that are.
fn weigh_documentation(built: &mut [Built]) {
    let is_documentation = |built: &Built| {
        built.component.kind == ProjectKind::StaticSite
            && built.component.frameworks.iter().any(|id| rules().technologies[id].documentation)
    };
    let is_documented = |built: &Built| {
        let kind = built.component.kind;
        !matches!(kind, ProjectKind::StaticSite | ProjectKind::Functions | ProjectKind::Unknown)
    };
    if built.iter().any(is_documented) {
        for site in built.iter_mut().filter(|built| is_documentation(built)) {
            site.weight = 0.0;
        }
    }
}

/// A site that a generator without a manifest makes, such as Hugo's; documentation beside a program is not what the project is.
fn generated_site(surroundings: &Surroundings, built: &[Built]) -> Option<Built> {
    let is_generator = |id: &str| {
        rules().technologies[id].generator && !built.iter().any(|other| other.component.frameworks.iter().any(|framework| framework == id))
    };
    let sign = surroundings.signs.iter().find(|sign| sign.usage == Usage::Runtime && is_generator(sign.technology))?;
    let component = Component {
        path: super::tree::folder(&sign.evidence.path).to_owned(),
        name: None,
        kind: ProjectKind::StaticSite,
        runtime: Some("static".to_owned()),
        frameworks: vec![sign.technology.to_owned()],
        evidence: vec![sign.evidence.clone()],
    };
    let weight = if rules().technologies[sign.technology].documentation { 0.0 } else { 1.0 };
    Some(Built { component, weight, start: None })
}
