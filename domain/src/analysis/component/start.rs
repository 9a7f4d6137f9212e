//! How a part of the project is started: as it says, else as is usual.

use serde::{Deserialize, Serialize};

use super::Facts;
use crate::analysis::{
    Evidence,
    manifest::Stated,
    rules::Ecosystem,
    surroundings::Surroundings,
    tree::{Tree, file_name, folder},
};

/// How the project is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartCommand {
    pub command: String,
    /// Written down in the project; otherwise it is what is usual for such a project.
    pub stated: bool,
    pub evidence: Evidence,
}

pub fn start_command(facts: &Facts<'_>, surroundings: &Surroundings) -> Option<StartCommand> {
    let stated = |start: &Stated| StartCommand { command: start.command.clone(), stated: true, evidence: start.evidence.clone() };
    let in_folder = |evidence: &Evidence| folder(&evidence.path) == facts.folder;
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
    match facts.ecosystem {
        Ecosystem::Npm => find("server.js").or_else(|| find("index.js")).map(|file| (file, format!("node {file}"))),
        Ecosystem::Python if facts.has("django") => find("manage.py").map(|file| (file, "python manage.py runserver".to_owned())),
        Ecosystem::Python if facts.has("fastapi") || facts.has("starlette") => {
            let file = find("main.py").or_else(|| find("app/main.py")).or_else(|| find("app.py")).or_else(|| package_main(facts))?;
            Some((file, format!("uvicorn {}:app", module(file))))
        }
        Ecosystem::Python => ["main.py", "app.py", "server.py"].into_iter().find_map(find).map(|file| (file, format!("python {file}"))),
        Ecosystem::Ruby => find("config.ru").map(|file| (file, if facts.has("rails") { "bin/rails server" } else { "rackup" }.to_owned())),
        Ecosystem::Php => find("artisan").map(|file| (file, "php artisan serve".to_owned())),
        Ecosystem::Rust => find("src/main.rs").map(|file| (file, "cargo run --release".to_owned())),
        Ecosystem::Go => go_main(facts).map(|file| match folder(file) {
            "" => (file, "go run .".to_owned()),
            package => (file, format!("go run ./{package}")),
        }),
        Ecosystem::Elixir if facts.has("phoenix") => find("mix.exs").map(|file| (file, "mix phx.server".to_owned())),
        _ => None,
    }
}

/// `shop/main.py` or `src/shop/main.py`.
fn package_main<'m>(facts: &Facts<'m>) -> Option<&'m str> {
    facts.paths.iter().copied().find(|path| {
        let package = path.strip_suffix("/main.py").map(|package| package.strip_prefix("src/").unwrap_or(package));
        package.is_some_and(|package| !package.contains('/'))
    })
}

/// `app/main.py` is `app.main`; of `src/shop/main.py` the package is installed and its `src` is no part of the name.
fn module(file: &str) -> String {
    let file = file.trim_end_matches(".py");
    let inside = file.strip_prefix("src/").filter(|rest| rest.contains('/')).unwrap_or(file);
    inside.replace('/', ".")
}

/// Of several programs the one at the top, else the one whose folder is called like a server.
fn go_main<'m>(facts: &Facts<'m>) -> Option<&'m str> {
    let rank = |path: &str| match folder(path) {
        "" => 0,
        folder if folder.starts_with("cmd/") && matches!(file_name(folder), "server" | "api" | "web" | "app") => 1,
        folder if folder.starts_with("cmd/") => 2,
        _ => 3,
    };
    facts.mains.iter().copied().min_by_key(|path| (rank(path), file_name(path) != "main.go", *path))
}

/// `npm run start` by the package manager that the project's lock file belongs to.
pub fn with_manager(start: Option<StartCommand>, tree: &Tree<'_>) -> Option<StartCommand> {
    let mut start = start?;
    if start.command == "npm run start" {
        let managers = [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun"), ("bun.lockb", "bun")];
        if let Some((_, manager)) = managers.iter().find(|(lock, _)| tree.find(lock).is_some()) {
            start.command = format!("{manager} run start");
        }
    }
    Some(start)
}
