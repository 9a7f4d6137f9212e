//! The parts of a project, what each is, and which of them says what the whole is.
//!
//! Every part is weighed; none wins for coming first in a list. Source bytes, a framework, a way to start and the top folder speak for
//! a part; having nothing but development dependencies speaks against it, and functions of a hosting platform never speak for the whole.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Evidence, TechnologyKind, Usage, finding, language,
    manifest::{Manifest, Stated},
    rules::{Ecosystem, Technology, rules},
    surroundings::Surroundings,
    tree::{Tree, file_name, is_below},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectKind {
    /// Pages and a server.
    FullStackApp,
    /// Answers requests, shows no pages.
    ApiService,
    /// Pages that run in the browser alone.
    SinglePageApp,
    StaticSite,
    MobileApp,
    DesktopApp,
    CommandLineTool,
    Library,
    /// Components or tokens that other projects build on.
    DesignSystem,
    DataProject,
    Infrastructure,
    /// Runs on, with no framework that we know.
    Worker,
    /// Functions that a hosting platform calls.
    Functions,
    Unknown,
}

impl ProjectKind {
    pub const ALL: [Self; 14] = [
        Self::FullStackApp,
        Self::ApiService,
        Self::SinglePageApp,
        Self::StaticSite,
        Self::MobileApp,
        Self::DesktopApp,
        Self::CommandLineTool,
        Self::Library,
        Self::DesignSystem,
        Self::DataProject,
        Self::Infrastructure,
        Self::Worker,
        Self::Functions,
        Self::Unknown,
    ];

    /// Somebody has to run it somewhere.
    pub fn is_deployed(self) -> bool {
        matches!(self, Self::FullStackApp | Self::ApiService | Self::SinglePageApp | Self::StaticSite | Self::Worker)
    }

    pub fn has_server(self) -> bool {
        matches!(self, Self::FullStackApp | Self::ApiService | Self::Worker)
    }

    /// In words: "a full-stack app".
    pub fn describe(self) -> &'static str {
        match self {
            Self::FullStackApp => "a full-stack app",
            Self::ApiService => "an API service",
            Self::SinglePageApp => "a single-page app",
            Self::StaticSite => "a static site",
            Self::MobileApp => "a mobile app",
            Self::DesktopApp => "a desktop app",
            Self::CommandLineTool => "a command line tool",
            Self::Library => "a library",
            Self::DesignSystem => "a design system",
            Self::DataProject => "a data project",
            Self::Infrastructure => "infrastructure code",
            Self::Worker => "a program that keeps running",
            Self::Functions => "serverless functions",
            Self::Unknown => "a project of unknown kind",
        }
    }

    /// As in JSON: `full_stack_app`.
    pub fn id(self) -> &'static str {
        match self {
            Self::FullStackApp => "full_stack_app",
            Self::ApiService => "api_service",
            Self::SinglePageApp => "single_page_app",
            Self::StaticSite => "static_site",
            Self::MobileApp => "mobile_app",
            Self::DesktopApp => "desktop_app",
            Self::CommandLineTool => "command_line_tool",
            Self::Library => "library",
            Self::DesignSystem => "design_system",
            Self::DataProject => "data_project",
            Self::Infrastructure => "infrastructure",
            Self::Worker => "worker",
            Self::Functions => "functions",
            Self::Unknown => "unknown",
        }
    }
}

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

/// How the project is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartCommand {
    pub command: String,
    /// Written down in the project; otherwise it is what is usual for such a project.
    pub stated: bool,
    pub evidence: Evidence,
}

/// A project has a few parts, a collection of projects has thousands: of those only the topmost are looked at.
const COMPONENTS_MAX: usize = 100;

/// A component and what it was judged by.
pub struct Built {
    pub component: Component,
    pub weight: f64,
    start: Option<StartCommand>,
}

pub struct Verdict {
    pub kind: ProjectKind,
    pub runtime: Option<String>,
    pub is_static: bool,
    pub start_command: Option<StartCommand>,
}

/// One component for each folder and ecosystem that has a manifest, and one for the language of most of the source if it has none.
pub fn split(tree: &Tree<'_>, manifests: &[Manifest], surroundings: &Surroundings) -> Vec<Built> {
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
    let mut built: Vec<Built> = groups.iter().map(|(key, manifests)| build(tree, surroundings, *key, manifests, &keys)).collect();
    if let Some(generator) = generated_site(surroundings, &built) {
        built.push(generator);
    }
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
    let total: u64 = shares.iter().map(|share| share.bytes).sum();
    let bytes = |ecosystem: Ecosystem| -> u64 {
        shares.iter().filter(|share| ecosystem.languages().contains(&share.name.as_str())).map(|share| share.bytes).sum()
    };
    ALL.into_iter().find(|ecosystem| bytes(*ecosystem) * 2 > total)
}

/// What a component is told by.
struct Facts<'m> {
    technologies: BTreeMap<&'static str, &'static Technology>,
    folder: &'m str,
    ecosystem: Ecosystem,
    manifests: &'m [&'m Manifest],
    start: Option<StartCommand>,
    has_container: bool,
    exports_files: bool,
    /// Paths below the folder, relative to it, without tests and examples.
    paths: BTreeSet<&'m str>,
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
    let paths: BTreeSet<&str> = tree
        .files
        .iter()
        .filter(|file| !file.auxiliary && own(file.path))
        .map(|file| file.path[folder.len()..].trim_start_matches('/'))
        .collect();
    let mut facts = Facts {
        technologies,
        folder,
        ecosystem,
        manifests,
        start: None,
        has_container: surroundings.container_files.iter().any(|(evidence, _)| own(&evidence.path)),
        exports_files: surroundings.static_export.iter().any(|evidence| own(&evidence.path)),
        paths,
    };
    facts.start = start_command(&facts, surroundings);
    let kind = kind(&facts);
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
        evidence: manifests.iter().map(|manifest| Evidence::file(&manifest.path)).collect(),
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
    let any = |test: fn(&Technology) -> bool| {
        facts.technologies.values().any(|technology| technology.kind == TechnologyKind::Framework && test(technology))
    };
    let framework = if any(|technology| technology.server || technology.mobile || technology.desktop) {
        1.0
    } else if any(|technology| technology.ui) {
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

fn kind(facts: &Facts<'_>) -> ProjectKind {
    let frameworks = || facts.technologies.values().filter(|technology| technology.kind == TechnologyKind::Framework);
    let has = |id: &str| facts.technologies.contains_key(id);
    let depends_on =
        |name: &str| facts.manifests.iter().flat_map(|manifest| &manifest.dependencies).any(|dependency| dependency.name == name);
    let path = format!("{}/", facts.folder);
    if ["supabase/functions/", "netlify/functions/", "netlify/edge-functions/"].iter().any(|functions| path.contains(functions)) {
        return ProjectKind::Functions;
    }
    if frameworks().any(|technology| technology.mobile) {
        return ProjectKind::MobileApp;
    }
    if frameworks().any(|technology| technology.desktop)
        && (has("electron") || facts.paths.iter().any(|path| path.ends_with("tauri.conf.json")) || facts.ecosystem == Ecosystem::Rust)
    {
        return ProjectKind::DesktopApp;
    }
    let is_library = is_library(facts);
    let ui = frameworks().any(|technology| technology.ui)
        || facts.paths.iter().any(|path| path.ends_with(".cshtml") || path.ends_with(".razor"));
    let writes_files = facts.exports_files || depends_on("@sveltejs/adapter-static");
    // A package that installs a command and says no way to start is a tool, even if it can serve.
    let runs = facts.start.as_ref().is_some_and(|start| start.stated) || facts.has_container;
    let is_tool = facts.ecosystem == Ecosystem::Npm && is_program(facts) && !runs;
    if frameworks().any(|technology| technology.server) && !is_library && !is_tool {
        return match (ui, writes_files) {
            (true, true) => ProjectKind::StaticSite,
            (true, false) => ProjectKind::FullStackApp,
            (false, _) => ProjectKind::ApiService,
        };
    }
    if is_library {
        let shows_components = ui && ["storybook", "ladle", "histoire", "style-dictionary"].iter().any(|id| has(id));
        return if shows_components { ProjectKind::DesignSystem } else { ProjectKind::Library };
    }
    if has("astro")
        && ["@astrojs/node", "@astrojs/vercel", "@astrojs/netlify", "@astrojs/cloudflare"].iter().any(|adapter| depends_on(adapter))
    {
        return ProjectKind::FullStackApp;
    }
    if frameworks().any(|technology| technology.generator && technology.ui) {
        return ProjectKind::StaticSite;
    }
    if ui && !is_tool {
        return ProjectKind::SinglePageApp;
    }
    if is_program(facts) {
        return ProjectKind::CommandLineTool;
    }
    if facts.technologies.values().any(|technology| technology.data)
        || facts.paths.iter().filter(|path| path.ends_with(".ipynb")).count() > 0
    {
        return ProjectKind::DataProject;
    }
    if facts.start.as_ref().is_some_and(|start| start.stated) || facts.has_container {
        return ProjectKind::Worker;
    }
    if facts.ecosystem == Ecosystem::Php && (facts.paths.contains("index.php") || facts.paths.contains("public/index.php")) {
        return ProjectKind::FullStackApp;
    }
    if facts.ecosystem == Ecosystem::Npm
        && ["index.html", "public/index.html", "src/index.html"].iter().any(|page| facts.paths.contains(page))
    {
        return ProjectKind::StaticSite;
    }
    ProjectKind::Unknown
}

/// Others depend on it, and nothing says that it runs by itself.
fn is_library(facts: &Facts<'_>) -> bool {
    let runs = facts.start.as_ref().is_some_and(|start| start.stated) || facts.has_container;
    let has = |path: &str| facts.paths.contains(path);
    match facts.ecosystem {
        Ecosystem::Rust => !is_program(facts) && (facts.manifests.iter().any(|manifest| manifest.is_importable) || has("src/lib.rs")),
        Ecosystem::Go => !is_program(facts),
        Ecosystem::Python => {
            let entries = ["manage.py", "main.py", "app.py", "server.py", "wsgi.py", "asgi.py", "app/main.py", "src/main.py"];
            let has_entry = entries.iter().any(|entry| has(entry));
            facts.manifests.iter().any(|manifest| manifest.is_importable) && !runs && !has_entry && !is_program(facts)
        }
        _ => facts.manifests.iter().any(|manifest| manifest.is_importable) && !runs && !is_program(facts),
    }
}

/// It has a main function or installs a command.
fn is_program(facts: &Facts<'_>) -> bool {
    let any = |test: &dyn Fn(&str) -> bool| facts.paths.iter().any(|path| test(path));
    facts.manifests.iter().any(|manifest| manifest.installs_command)
        || match facts.ecosystem {
            Ecosystem::Rust => any(&|path| path == "src/main.rs" || path.starts_with("src/bin/")),
            Ecosystem::Go => any(&|path| path.ends_with("main.go")),
            _ => false,
        }
}

fn start_command(facts: &Facts<'_>, surroundings: &Surroundings) -> Option<StartCommand> {
    let stated = |start: &Stated| StartCommand { command: start.command.clone(), stated: true, evidence: start.evidence.clone() };
    let in_folder = |evidence: &Evidence| super::tree::folder(&evidence.path) == facts.folder;
    if let Some(web) = surroundings.procfile_web.as_ref().filter(|web| in_folder(&web.evidence)) {
        return Some(stated(web));
    }
    if let Some(start) = facts.manifests.iter().find_map(|manifest| manifest.start.as_ref()) {
        let command = match facts.ecosystem {
            Ecosystem::Npm => "npm run start".to_owned(),
            Ecosystem::Deno => "deno task start".to_owned(),
            _ => start.command.clone(),
        };
        return Some(StartCommand { command, stated: true, evidence: start.evidence.clone() });
    }
    let container =
        surroundings.container_files.iter().filter(|(evidence, _)| in_folder(evidence)).find_map(|(_, command)| command.as_ref());
    if let Some(command) = container {
        return Some(stated(command));
    }
    let (file, command) = usual_start(facts)?;
    let path = if facts.folder.is_empty() { file.to_owned() } else { format!("{}/{file}", facts.folder) };
    Some(StartCommand { command, stated: false, evidence: Evidence::file(&path) })
}

/// What is usual for such a project: the file that shows it, and the command.
fn usual_start<'m>(facts: &Facts<'m>) -> Option<(&'m str, String)> {
    let find = |name: &str| facts.paths.get(name).copied();
    let serves = |id: &str| facts.technologies.contains_key(id);
    match facts.ecosystem {
        Ecosystem::Npm => find("server.js").or_else(|| find("index.js")).map(|file| (file, format!("node {file}"))),
        Ecosystem::Python if serves("django") => find("manage.py").map(|file| (file, "python manage.py runserver".to_owned())),
        Ecosystem::Python if serves("fastapi") || serves("starlette") => {
            let file = find("main.py").or_else(|| find("app/main.py")).or_else(|| find("app.py"))?;
            Some((file, format!("uvicorn {}:app", file.trim_end_matches(".py").replace('/', "."))))
        }
        Ecosystem::Python => ["main.py", "app.py", "server.py"].into_iter().find_map(find).map(|file| (file, format!("python {file}"))),
        Ecosystem::Ruby => find("config.ru").map(|file| (file, if serves("rails") { "bin/rails server" } else { "rackup" }.to_owned())),
        Ecosystem::Php => find("artisan").map(|file| (file, "php artisan serve".to_owned())),
        Ecosystem::Rust => find("src/main.rs").map(|file| (file, "cargo run --release".to_owned())),
        Ecosystem::Go => {
            let file = find("main.go")
                .or_else(|| facts.paths.iter().copied().find(|path| path.starts_with("cmd/") && path.ends_with("/main.go")))?;
            let package = super::tree::folder(file);
            Some((file, if package.is_empty() { "go run .".to_owned() } else { format!("go run ./{package}") }))
        }
        Ecosystem::Elixir if serves("phoenix") => find("mix.exs").map(|file| (file, "mix phx.server".to_owned())),
        _ => None,
    }
}

/// A site that a generator without a manifest makes, such as Hugo's; documentation beside a program is not what the project is.
fn generated_site(surroundings: &Surroundings, built: &[Built]) -> Option<Built> {
    let is_generator = |id: &str| {
        rules().technologies[id].generator && !built.iter().any(|other| other.component.frameworks.iter().any(|framework| framework == id))
    };
    let sign = surroundings.signs.iter().find(|sign| sign.usage == Usage::Runtime && is_generator(sign.technology))?;
    let is_documentation = matches!(sign.technology, "mkdocs" | "sphinx" | "docusaurus" | "vitepress" | "vuepress");
    let component = Component {
        path: super::tree::folder(&sign.evidence.path).to_owned(),
        name: None,
        kind: ProjectKind::StaticSite,
        runtime: Some("static".to_owned()),
        frameworks: vec![sign.technology.to_owned()],
        evidence: vec![sign.evidence.clone()],
    };
    Some(Built { component, weight: if is_documentation { 0.05 } else { 1.0 }, start: None })
}

/// What the whole project is: what its weightiest part is, unless parts complete each other.
pub fn judge(tree: &Tree<'_>, components: &[Built], surroundings: &Surroundings) -> Verdict {
    let main = components.iter().filter(|built| built.component.kind != ProjectKind::Unknown).max_by(|a, b| by_weight(a, b));
    let Some(main) = main.or_else(|| components.iter().max_by(|a, b| by_weight(a, b))) else {
        return without_components(tree);
    };
    let other = |kinds: &[ProjectKind]| {
        components.iter().filter(|built| kinds.contains(&built.component.kind) && built.weight > 0.25).max_by(|a, b| by_weight(a, b))
    };
    let pages = other(&[ProjectKind::SinglePageApp, ProjectKind::StaticSite]);
    let server = other(&[ProjectKind::FullStackApp, ProjectKind::ApiService]);
    let (kind, leader) = match (main.component.kind, pages, server) {
        (ProjectKind::SinglePageApp | ProjectKind::StaticSite, _, Some(server)) => (ProjectKind::FullStackApp, server),
        (ProjectKind::ApiService, Some(pages), _) if pages.component.kind == ProjectKind::SinglePageApp => {
            (ProjectKind::FullStackApp, main)
        }
        (ProjectKind::Unknown, ..) => (without_components(tree).kind, main),
        (kind, ..) => (kind, main),
    };
    let is_static = matches!(kind, ProjectKind::StaticSite | ProjectKind::SinglePageApp);
    let start_command = if is_static && !leader.start.as_ref().is_some_and(|start| start.stated) { None } else { leader.start.clone() };
    let start_command = start_command.or_else(|| {
        let web = surroundings.procfile_web.as_ref()?;
        Some(StartCommand { command: web.command.clone(), stated: true, evidence: web.evidence.clone() })
    });
    Verdict { kind, runtime: leader.component.runtime.clone(), is_static, start_command: with_manager(start_command, tree) }
}

fn by_weight(a: &Built, b: &Built) -> std::cmp::Ordering {
    // Of equals the one whose path comes first wins, so that the order of the files does not matter.
    a.weight
        .total_cmp(&b.weight)
        .then_with(|| b.component.path.cmp(&a.component.path))
        .then_with(|| b.component.runtime.cmp(&a.component.runtime))
}

/// `npm run start` by the package manager that the project's lock file belongs to.
fn with_manager(start: Option<StartCommand>, tree: &Tree<'_>) -> Option<StartCommand> {
    let mut start = start?;
    if start.command == "npm run start" {
        let managers = [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun"), ("bun.lockb", "bun")];
        if let Some((_, manager)) = managers.iter().find(|(lock, _)| tree.find(lock).is_some()) {
            start.command = format!("{manager} run start");
        }
    }
    Some(start)
}

/// A project without any manifest, told by its files alone.
fn without_components(tree: &Tree<'_>) -> Verdict {
    let shares = language::shares(tree);
    let kind = match shares.first().map(|share| share.name.as_str()) {
        Some("HTML" | "CSS" | "SCSS" | "JavaScript" | "TypeScript") if shares.iter().any(|share| share.name == "HTML") => {
            ProjectKind::StaticSite
        }
        Some("HCL" | "Nix" | "Dockerfile") => ProjectKind::Infrastructure,
        Some("Jupyter Notebook" | "R" | "Julia") => ProjectKind::DataProject,
        _ => ProjectKind::Unknown,
    };
    let is_static = kind == ProjectKind::StaticSite;
    Verdict { kind, runtime: is_static.then(|| "static".to_owned()), is_static, start_command: None }
}
