//! The project's files in a fixed order, without what others wrote and without what machines wrote.

use super::SourceFile;

/// Folders that hold what others wrote, or what a build made.
const SKIPPED: [&str; 27] = [
    "node_modules",
    "bower_components",
    "jspm_packages",
    "vendor",
    "third_party",
    "third-party",
    "dist",
    "target",
    "out",
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    "site-packages",
    "__pycache__",
    ".tox",
    ".next",
    ".nuxt",
    ".output",
    ".svelte-kit",
    ".turbo",
    ".cache",
    "coverage",
    ".terraform",
    "Pods",
    ".yarn",
];

/// Folders whose manifests and code are not what the project runs.
const AUXILIARY: [&str; 29] = [
    ".devcontainer",
    "test",
    "tests",
    "__tests__",
    "spec",
    "specs",
    "testing",
    "fixtures",
    "__fixtures__",
    "testdata",
    "test-data",
    "examples",
    "example",
    "samples",
    "sample",
    "demo",
    "demos",
    "benchmark",
    "benchmarks",
    "bench",
    "docs",
    "doc",
    "e2e",
    "end2end",
    "cypress",
    "playground",
    "playgrounds",
    "templates-test",
    "__mocks__",
];

/// The files of a project, sorted by path; each path once.
pub struct Tree<'a> {
    pub files: Vec<File<'a>>,
}

#[derive(Clone, Copy)]
pub struct File<'a> {
    pub path: &'a str,
    pub size: u64,
    pub content: Option<&'a str>,
    /// Lies in a folder for tests, examples or documentation.
    pub auxiliary: bool,
    pub language: Option<&'static str>,
}

impl<'a> Tree<'a> {
    pub fn new(files: &'a [SourceFile]) -> Self {
        let mut kept: Vec<File<'a>> = files.iter().map(File::new).filter(|file| !file.path.is_empty() && !is_skipped(file.path)).collect();
        if kept.iter().all(|file| !file.path.contains('/')) {
            // A published package often holds its manifest and a build, nothing else: then the build is all there is to read.
            kept = files.iter().map(File::new).filter(|file| !file.path.is_empty() && !is_vendored(file.path)).collect();
        }
        kept.sort_by(|a, b| (a.path, a.size, a.content).cmp(&(b.path, b.size, b.content)));
        kept.dedup_by(|later, earlier| later.path == earlier.path);
        Self { files: kept }
    }

    pub fn find(&self, path: &str) -> Option<&File<'a>> {
        self.files.binary_search_by(|file| file.path.cmp(path)).ok().map(|index| &self.files[index])
    }

    /// The files below a folder; all of them below ``.
    pub fn below<'t>(&'t self, folder: &'t str) -> impl Iterator<Item = &'t File<'a>> {
        self.files.iter().filter(move |file| is_below(file.path, folder))
    }
}

impl<'a> File<'a> {
    fn new(file: &'a SourceFile) -> Self {
        let path = file.path.strip_prefix("./").unwrap_or(&file.path).trim_start_matches('/');
        let mut new = Self { path, size: file.size, content: file.content.as_deref(), auxiliary: is_auxiliary(path), language: None };
        new.language = super::language::of(&new);
        new
    }

    pub fn name(&self) -> &'a str {
        file_name(self.path)
    }

    /// The folder that the file lies in, `` for the top one.
    pub fn folder(&self) -> &'a str {
        folder(self.path)
    }
}

pub fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

pub fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn folders(path: &str) -> impl Iterator<Item = &str> {
    folder(path).split('/')
}

/// Lies in a folder that others wrote or a build made.
pub fn is_skipped(path: &str) -> bool {
    folders(path).any(|name| SKIPPED.contains(&name))
}

/// Lies in a folder of other people's packages: never part of the project.
pub fn is_vendored(path: &str) -> bool {
    folders(path).any(|name| matches!(name, "node_modules" | "bower_components" | "vendor" | ".git" | "site-packages"))
}

pub fn is_auxiliary(path: &str) -> bool {
    folders(path).any(|name| AUXILIARY.contains(&name)) || is_template(path)
}

/// Lies in a folder for documentation, and in none for tests or examples.
pub fn is_documentation(path: &str) -> bool {
    let mut names = folders(path).filter(|name| AUXILIARY.contains(name)).peekable();
    names.peek().is_some() && names.all(|name| matches!(name, "docs" | "doc"))
}

/// A manifest that a generator copies into new projects; pages may be called templates too and are the project's own.
fn is_template(path: &str) -> bool {
    let name = file_name(path);
    let is_settings = [".json", ".toml", ".prisma", ".yml", ".yaml", ".xml", ".mod", ".lock"].iter().any(|end| name.ends_with(end));
    let is_settings =
        is_settings || name.starts_with(".env") || name.starts_with("Dockerfile") || name.starts_with("requirements") || name == "Gemfile";
    is_settings && folders(path).any(|folder| matches!(folder, "template" | "templates" | "skeleton" | "boilerplate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_skipped() {
        assert!(is_skipped("node_modules/react/package.json"));
        assert!(is_skipped("apps/web/vendor/jquery.js"));
        assert!(!is_skipped("src/vendors/list.ts"), "only the whole name of a folder counts");
        assert!(!is_skipped("vendor"), "a file may have that name");
    }

    #[test]
    fn below_means_below_the_whole_name() {
        assert!(is_below("apps/web/a.ts", "apps/web"));
        assert!(!is_below("apps/web2/a.ts", "apps/web"));
        assert!(is_below("a.ts", ""));
    }
}
