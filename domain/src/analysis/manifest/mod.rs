//! Manifests: what each ecosystem's own file says about a package and its dependencies.
//!
//! To add an ecosystem: a variant of [`Ecosystem`], a reader here, a rules file. A reader gets the text and answers a
//! [`Manifest`] or the reason why it cannot be read; it never guesses from text that it does not understand.

mod jvm;
mod npm;
mod other;
mod python;
mod rust;
mod xml;

use std::collections::BTreeMap;

use super::{
    Evidence, Finding, TechnologyKind, Usage,
    budget::{Budget, DEPENDENCIES_MAX},
    finding::clipped,
    rules::Ecosystem,
    tree::{File, Tree, folder},
};

pub use python::not_toml;

#[derive(Clone, Debug)]
pub struct Manifest {
    pub path: String,
    pub ecosystem: Ecosystem,
    /// At most [`DEPENDENCIES_MAX`].
    pub dependencies: Vec<Dependency>,
    /// There are more dependencies than that.
    has_more: bool,
    pub name: Option<String>,
    /// How it says that it is started, with the key that says so.
    pub start: Option<Stated>,
    pub has_build_script: bool,
    pub has_test_script: bool,
    /// It installs a command.
    pub installs_command: bool,
    /// Others can depend on it.
    pub is_importable: bool,
    /// It says what only a package for others has to say: addresses, keywords, classifiers.
    pub is_published: bool,
    /// It joins other packages and is none itself.
    pub is_workspace_root: bool,
    /// Named in the manifest itself: `packageManager`, `[tool.poetry]`.
    pub package_manager: Option<(&'static str, String)>,
}

/// A command and the key or line of the manifest that states it.
#[derive(Clone, Debug)]
pub struct Stated {
    pub command: String,
    pub evidence: Evidence,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub name: String,
    pub usage: Usage,
    pub at: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Key(String),
    Line(u32),
}

impl Dependency {
    pub fn evidence(&self, path: &str) -> Evidence {
        match &self.at {
            Place::Key(key) => Evidence::key(path, key.clone()),
            Place::Line(line) => Evidence::line(path, *line),
        }
    }
}

impl Manifest {
    pub fn new(path: &str, ecosystem: Ecosystem) -> Self {
        Self {
            path: path.to_owned(),
            ecosystem,
            dependencies: Vec::new(),
            has_more: false,
            name: None,
            start: None,
            has_build_script: false,
            has_test_script: false,
            installs_command: false,
            is_importable: false,
            is_published: false,
            is_workspace_root: false,
            package_manager: None,
        }
    }

    pub fn folder(&self) -> &str {
        folder(&self.path)
    }

    /// Notes a dependency at a key such as `dependencies.next`.
    fn depends(&mut self, name: &str, usage: Usage, key: impl Into<String>) {
        self.note(name, usage, Place::Key(clipped(&key.into())));
    }

    /// Notes a dependency at a line.
    fn depends_at(&mut self, name: &str, usage: Usage, line: u32) {
        self.note(name, usage, Place::Line(line));
    }

    fn note(&mut self, name: &str, usage: Usage, at: Place) {
        if self.has_room() {
            self.dependencies.push(Dependency { name: clipped(name), usage, at });
        } else {
            self.has_more = true;
        }
    }

    fn has_room(&self) -> bool {
        self.dependencies.len() < DEPENDENCIES_MAX
    }
}

/// Reads the manifests of the project as far as the budget lasts; the second part says which could not be read, and why.
pub fn read_all(tree: &Tree<'_>, budget: &mut Budget<'_>) -> (Vec<Manifest>, Vec<String>) {
    let mut manifests = Vec::new();
    let mut warnings = Vec::new();
    for file in &tree.files {
        let Some(reader) = reader(file) else { continue };
        if !budget.lasts() {
            break;
        }
        let Some(content) = file.content else {
            warnings.push(format!("{}: not read", file.path));
            continue;
        };
        // A byte order mark is no part of the text.
        match reader(file.path, content.trim_start_matches('\u{feff}')) {
            Ok(mut manifest) => {
                if file.auxiliary {
                    manifest.dependencies.iter_mut().for_each(|dependency| dependency.usage = Usage::Development);
                }
                if manifest.has_more {
                    budget.cut(format!("only the first {DEPENDENCIES_MAX} dependencies of {} were looked at", clipped(file.path)));
                }
                if !budget.takes(manifest.dependencies.len()) {
                    break;
                }
                manifest.name = manifest.name.as_deref().map(clipped);
                manifests.push(manifest);
            }
            Err(reason) => warnings.push(format!("{}: {reason}", file.path)),
        }
    }
    rust::inherit_features(&mut manifests);
    (manifests, warnings)
}

/// Whether a file is a manifest that we can read.
pub fn is_manifest(file: &File<'_>) -> bool {
    reader(file).is_some()
}

type Reader = fn(&str, &str) -> Result<Manifest, String>;

fn reader(file: &File<'_>) -> Option<Reader> {
    let name = file.name();
    Some(match name {
        "package.json" => npm::package_json,
        "deno.json" | "deno.jsonc" => npm::deno_json,
        "pyproject.toml" => python::pyproject,
        "Pipfile" => python::pipfile,
        "setup.py" => python::setup_py,
        "setup.cfg" => python::setup_cfg,
        "Cargo.toml" => rust::cargo_toml,
        "go.mod" => other::go_mod,
        "Gemfile" | "gems.rb" => other::gemfile,
        "composer.json" => other::composer_json,
        "pom.xml" => jvm::pom,
        "build.gradle" | "build.gradle.kts" => jvm::gradle,
        "libs.versions.toml" => jvm::version_catalog,
        "mix.exs" => other::mix_exs,
        "pubspec.yaml" => other::pubspec,
        _ if name.ends_with(".gemspec") => other::gemspec,
        _ if [".csproj", ".fsproj", ".vbproj"].iter().any(|end| name.ends_with(end)) => other::dotnet_project,
        _ if name.ends_with(".txt") && (name.contains("requirements") || file.folder().ends_with("requirements")) => python::requirements,
        _ => return None,
    })
}

/// Lock files and the package manager that writes each.
const LOCK_FILES: [(&str, &str); 19] = [
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
    ("yarn.lock", "yarn"),
    ("pnpm-lock.yaml", "pnpm"),
    ("bun.lockb", "bun"),
    ("bun.lock", "bun"),
    ("deno.lock", "deno"),
    ("poetry.lock", "poetry"),
    ("Pipfile.lock", "pipenv"),
    ("uv.lock", "uv"),
    ("pdm.lock", "pdm"),
    ("Cargo.lock", "cargo"),
    ("go.sum", "go"),
    ("Gemfile.lock", "bundler"),
    ("composer.lock", "composer"),
    ("gradle.lockfile", "gradle"),
    ("packages.lock.json", "nuget"),
    ("mix.lock", "mix"),
    ("pubspec.lock", "pub"),
];

/// The lock files of the project.
pub fn lock_files<'t>(tree: &'t Tree<'_>) -> impl Iterator<Item = &'t str> {
    tree.files.iter().filter(|file| !file.auxiliary && LOCK_FILES.iter().any(|(name, _)| *name == file.name())).map(|file| file.path)
}

/// The package managers, each once: by lock file, by what a manifest names, else the one that comes with the ecosystem.
pub fn package_managers(tree: &Tree<'_>, manifests: &[Manifest]) -> Vec<Finding> {
    let mut found: BTreeMap<&'static str, Vec<Evidence>> = BTreeMap::new();
    for file in tree.files.iter().filter(|file| !file.auxiliary) {
        if let Some((_, manager)) = LOCK_FILES.iter().find(|(name, _)| *name == file.name()) {
            found.entry(manager).or_default().push(Evidence::file(file.path));
        }
    }
    let main = manifests.iter().filter(|manifest| !super::tree::is_auxiliary(&manifest.path));
    for manifest in main.clone() {
        if let Some((manager, key)) = &manifest.package_manager {
            found.entry(manager).or_default().push(Evidence::key(&manifest.path, key.clone()));
        }
    }
    for manifest in main {
        let (usual, rivals): (&str, &[&str]) = match manifest.ecosystem {
            Ecosystem::Npm => ("npm", &["npm", "yarn", "pnpm", "bun", "deno"]),
            Ecosystem::Deno => ("deno", &["deno"]),
            Ecosystem::Python => ("pip", &["poetry", "pipenv", "uv", "pdm", "hatch"]),
            Ecosystem::Rust => ("cargo", &["cargo"]),
            Ecosystem::Go => ("go", &["go"]),
            Ecosystem::Ruby => ("bundler", &["bundler"]),
            Ecosystem::Php => ("composer", &["composer"]),
            Ecosystem::Java if manifest.path.ends_with("pom.xml") => ("maven", &["maven"]),
            Ecosystem::Java => ("gradle", &["gradle"]),
            Ecosystem::Dotnet => ("nuget", &["nuget"]),
            Ecosystem::Elixir => ("mix", &["mix"]),
            Ecosystem::Dart => ("pub", &["pub"]),
        };
        let is_requirements = manifest.path.ends_with(".txt");
        if is_requirements || !rivals.iter().any(|rival| found.contains_key(rival)) {
            found.entry(usual).or_default().push(Evidence::file(&manifest.path));
        }
    }
    found
        .into_iter()
        .map(|(manager, mut evidence)| {
            evidence.sort();
            evidence.dedup();
            evidence.truncate(4);
            let kind = TechnologyKind::PackageManager;
            Finding { id: manager.to_owned(), name: manager.to_owned(), kind, usage: Usage::Runtime, fills: Vec::new(), evidence }
        })
        .collect()
}
