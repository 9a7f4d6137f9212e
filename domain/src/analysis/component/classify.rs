//! What kind a part of the project is of.

use super::{Facts, ProjectKind};
use crate::analysis::rules::Ecosystem;

pub fn kind(facts: &Facts<'_>) -> ProjectKind {
    let is_library = is_library(facts);
    // A package that installs a command and says no way to start is a tool, even if it can serve.
    let is_tool = facts.ecosystem == Ecosystem::Npm && facts.is_program() && !facts.runs();
    if is_called_by_a_host(facts) {
        ProjectKind::Functions
    } else if facts.frameworks().any(|technology| technology.mobile) && !is_library {
        ProjectKind::MobileApp
    } else if is_desktop(facts) && !is_library {
        ProjectKind::DesktopApp
    } else if serves(facts) && !is_library && !is_tool {
        server(facts)
    } else if is_library {
        library(facts)
    } else if is_rendered_by_a_server(facts) {
        ProjectKind::FullStackApp
    } else if facts.frameworks().any(|technology| technology.generator && technology.ui) {
        ProjectKind::StaticSite
    } else if shows_pages(facts) && !is_tool {
        ProjectKind::SinglePageApp
    } else {
        program(facts)
    }
}

/// Lies in a host's folder for functions, or speaks to a host that starts it for each event.
fn is_called_by_a_host(facts: &Facts<'_>) -> bool {
    let path = format!("{}/", facts.folder);
    let lies_there = ["supabase/functions/", "netlify/functions/", "netlify/edge-functions/"].iter().any(|folder| path.contains(folder));
    let has_runtime = facts.has("aws-lambda") || facts.has("azure-functions");
    // A library of .NET or Java is what such a host loads; elsewhere a program is.
    let is_loaded = facts.is_program() || matches!(facts.ecosystem, Ecosystem::Dotnet | Ecosystem::Java);
    lies_there || has_runtime && is_loaded && !serves(facts)
}

fn is_desktop(facts: &Facts<'_>) -> bool {
    let has_shell = || facts.paths.iter().any(|path| path.ends_with("tauri.conf.json")) || facts.ecosystem == Ecosystem::Rust;
    facts.frameworks().any(|technology| technology.desktop) && (facts.has("electron") || has_shell())
}

/// By a framework; or with what comes with the language, unless it reads a command line, for a tool may serve its own figures.
fn serves(facts: &Facts<'_>) -> bool {
    facts.frameworks().any(|technology| technology.server) || facts.listens && !facts.has("command-line")
}

fn shows_pages(facts: &Facts<'_>) -> bool {
    facts.frameworks().any(|technology| technology.ui && !technology.documentation)
        || facts.paths.iter().any(|path| path.ends_with(".cshtml") || path.ends_with(".razor"))
}

fn server(facts: &Facts<'_>) -> ProjectKind {
    let writes_files = facts.exports_files || facts.depends_on("@sveltejs/adapter-static");
    match (shows_pages(facts), writes_files) {
        (true, true) => ProjectKind::StaticSite,
        (true, false) => ProjectKind::FullStackApp,
        (false, _) => ProjectKind::ApiService,
    }
}

fn library(facts: &Facts<'_>) -> ProjectKind {
    let has_workshop = ["storybook", "ladle", "histoire", "style-dictionary"].iter().any(|id| facts.has(id));
    if shows_pages(facts) && has_workshop { ProjectKind::DesignSystem } else { ProjectKind::Library }
}

fn is_rendered_by_a_server(facts: &Facts<'_>) -> bool {
    let adapters = ["@astrojs/node", "@astrojs/vercel", "@astrojs/netlify", "@astrojs/cloudflare"];
    facts.has("astro") && adapters.iter().any(|adapter| facts.depends_on(adapter))
}

/// Others depend on it, and nothing says that it runs by itself.
fn is_library(facts: &Facts<'_>) -> bool {
    let is_importable = facts.manifests.iter().any(|manifest| manifest.is_importable);
    let is_published = facts.manifests.iter().any(|manifest| manifest.is_published);
    match facts.ecosystem {
        Ecosystem::Rust => !facts.is_program() && (is_importable || facts.paths.contains("src/lib.rs")),
        Ecosystem::Go => !facts.is_program(),
        _ if facts.runs() || !is_importable => false,
        // A framework may install a command too.
        Ecosystem::Python if is_published && serves(facts) => !has_entry(facts),
        _ if facts.is_program() => false,
        // Tools give every project what a package needs; what answers requests and is not published is run.
        Ecosystem::Python | Ecosystem::Dart => !has_entry(facts) && (is_published || !serves(facts)),
        Ecosystem::Php => is_published || !has_entry(facts) && !serves(facts),
        _ => true,
    }
}

/// Where a server of the language begins by custom.
fn has_entry(facts: &Facts<'_>) -> bool {
    let entries: &[&str] = match facts.ecosystem {
        Ecosystem::Python => &["manage.py", "main.py", "app.py", "server.py", "wsgi.py", "asgi.py", "app/main.py", "src/main.py"],
        Ecosystem::Php => &["index.php", "public/index.php", "web/index.php"],
        Ecosystem::Dart => &["lib/main.dart"],
        _ => &[],
    };
    entries.iter().any(|entry| facts.paths.contains(entry))
}

/// What neither shows pages nor answers requests.
fn program(facts: &Facts<'_>) -> ProjectKind {
    let has_notebook = || facts.paths.iter().any(|path| path.ends_with(".ipynb"));
    if facts.has("aws-cdk") || facts.has("pulumi") {
        ProjectKind::Infrastructure
    } else if facts.is_program() {
        if keeps_running(facts) { ProjectKind::Worker } else { ProjectKind::CommandLineTool }
    } else if facts.technologies.values().any(|technology| technology.data) || has_notebook() {
        ProjectKind::DataProject
    } else if facts.runs() || facts.depends_on("sdk:Microsoft.NET.Sdk.Worker") {
        ProjectKind::Worker
    } else if facts.ecosystem == Ecosystem::Php && ["index.php", "public/index.php"].iter().any(|page| facts.paths.contains(page)) {
        ProjectKind::FullStackApp
    } else if facts.ecosystem == Ecosystem::Npm
        && ["index.html", "public/index.html", "src/index.html"].iter().any(|page| facts.paths.contains(page))
    {
        ProjectKind::StaticSite
    } else {
        ProjectKind::Unknown
    }
}

/// Compiled programs are services as often as tools: a container or a stated start tells the one, a command line parser the other.
fn keeps_running(facts: &Facts<'_>) -> bool {
    let is_compiled = matches!(facts.ecosystem, Ecosystem::Go | Ecosystem::Rust | Ecosystem::Dotnet | Ecosystem::Java);
    is_compiled && facts.runs() && !facts.has("command-line")
}
