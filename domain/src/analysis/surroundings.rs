//! What stands around the code: containers, variables, pipelines, schemas, the files of hosts, links to designs.

mod container;
mod database;
mod hosting;
mod pipeline;
mod variables;

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::{
    Evidence, Usage,
    budget::{Budget, SIGNS_MAX},
    lexer::{Comments, Token, setting, tokens},
    manifest::{self, Stated},
    rules::{Names, rules},
    tree::{File, Tree, folder, is_documentation},
};

pub use variables::is_variables;

/// A technology that is shown by something other than a manifest.
#[derive(Clone, Debug)]
pub struct Sign {
    pub technology: &'static str,
    pub usage: Usage,
    pub evidence: Evidence,
}

#[derive(Debug, Default)]
pub struct Surroundings {
    /// At most [`SIGNS_MAX`].
    pub signs: Vec<Sign>,
    /// Container files, each with the command that it starts if it names one.
    pub container_files: Vec<(Evidence, Option<Stated>)>,
    /// `web:` in a Procfile.
    pub procfile_web: Option<Stated>,
    /// Files that name the environment's variables without their values.
    pub variable_files: Vec<Evidence>,
    pub health_check: Option<Evidence>,
    /// A framework that could serve is told to write files instead.
    pub static_export: Vec<Evidence>,
    pub figma_links: Vec<Evidence>,
    pub token_files: Vec<Evidence>,
}

/// Reads the tree as far as the budget lasts; what cannot be read goes to `warnings`.
pub fn read(tree: &Tree<'_>, budget: &mut Budget<'_>, warnings: &mut Vec<String>) -> Surroundings {
    let mut found = Surroundings::default();
    known_files(tree, budget, &mut found);
    for file in &tree.files {
        let Some(content) = file.content else { continue };
        if !budget.lasts() {
            break;
        }
        if let Err(reason) = read_file(file, content, &mut found) {
            warnings.push(format!("{}: {reason}", file.path));
        }
        links_and_health(file, content, &mut found);
    }
    if found.signs.len() >= SIGNS_MAX {
        budget.cut(format!("only the first {SIGNS_MAX} signs of technologies were looked at"));
    }
    found
}

/// Reads a file as its name tells; the error says why it cannot be read.
fn read_file(file: &File<'_>, content: &str, found: &mut Surroundings) -> Result<(), String> {
    let lower = file.name().to_ascii_lowercase();
    match file.name() {
        "Procfile" if !file.auxiliary => pipeline::procfile(file, content, found),
        "package.json" => pipeline::package_scripts(file, content, found),
        "firebase.json" => return hosting::firebase(file, content, found),
        "wrangler.toml" | "wrangler.json" | "wrangler.jsonc" => return hosting::wrangler(file, content, found),
        "database.yml" if file.path.ends_with("config/database.yml") => database::rails_database(file, content, found),
        name if is_kamal(name) && file.folder().rsplit('/').next() == Some("config") => {
            if !hosting::kamal(file, content, found) {
                hosting::cluster(file, content, found);
            }
        }
        ".gitlab-ci.yml" => pipeline::gitlab(file, content, found),
        _ if container::is_container_file(&lower) => container::container_file(file, content, found),
        _ if container::is_compose(&lower) => return container::compose(file, content, found),
        _ if file.path.starts_with(".github/workflows/") && is_yaml(&lower) => return pipeline::workflow(file, content, found),
        _ if is_variables(&lower) => variables::variables(file, content, found),
        _ if pipeline::is_script(&lower) => pipeline::script(file, content, found),
        _ if lower.ends_with(".prisma") => database::prisma(file, content, found),
        _ if lower.ends_with(".tf") => hosting::terraform(file, content, found),
        _ if is_yaml(&lower) => hosting::cluster(file, content, found),
        _ if lower.ends_with(".py") && file.path.contains("settings") && content.contains("django.db.backends") => {
            database::django(file, content, found);
        }
        _ => static_export(file, content, found),
    }
    Ok(())
}

/// `deploy.yml`, or `deploy.staging.yml` for one destination.
fn is_kamal(name: &str) -> bool {
    name.starts_with("deploy.") && name.ends_with(".yml")
}

fn is_yaml(name: &str) -> bool {
    name.ends_with(".yml") || name.ends_with(".yaml")
}

fn yaml(content: &str) -> Result<Value, String> {
    serde_saphyr::from_str(content).map_err(|error| {
        let text = error.to_string();
        format!("not valid YAML: {}", text.lines().next().unwrap_or_default())
    })
}

impl Surroundings {
    fn sign(&mut self, file: &File<'_>, technology: &'static str, usage: Usage, evidence: Evidence) {
        let usage = if file.auxiliary { Usage::Development } else { usage };
        if self.signs.len() < SIGNS_MAX {
            self.signs.push(Sign { technology, usage, evidence });
        }
    }

    fn signs_of(&mut self, file: &File<'_>, names: &'static Names, name: &str, usage: Usage, evidence: &Evidence) {
        for technology in names.find(name) {
            self.sign(file, technology, usage, evidence.clone());
        }
    }
}

/// Files and folders whose being there is enough.
fn known_files(tree: &Tree<'_>, budget: &mut Budget<'_>, found: &mut Surroundings) {
    let names = &rules().surroundings.files;
    // A tool's own file stands where a part of the project begins; elsewhere the name is chance.
    let starts: BTreeSet<&str> =
        tree.files.iter().filter(|file| manifest::is_manifest(file) || file.name() == "Dockerfile").map(|file| file.folder()).collect();
    for key in names.keys().take_while(|_| budget.lasts()) {
        let anywhere = key.strip_prefix("**/");
        let fits = |file: &&File<'_>| -> bool {
            let path = file.path;
            if let Some(name) = anywhere {
                return file.name() == name;
            }
            match key.strip_suffix('/') {
                Some(folder) => path.starts_with(key) || path.contains(&format!("/{folder}/")),
                None if !key.contains('/') && !key.starts_with('.') => {
                    file.name() == key && (file.folder().is_empty() || starts.contains(file.folder()))
                }
                None => path == key || path.strip_suffix(key).is_some_and(|before| before.ends_with('/')),
            }
        };
        let is_folder = key.ends_with('/');
        let limit = if is_folder { 1 } else { 4 };
        for file in tree.files.iter().filter(fits).take(limit) {
            found.signs_of(file, names, key, Usage::Runtime, &Evidence::file(file.path));
        }
    }
    for file in tree.files.iter().filter(|file| !file.auxiliary) {
        let name = file.name().to_ascii_lowercase();
        let is_tokens = name.ends_with(".tokens.json")
            || matches!(name.as_str(), "tokens.json" | "design-tokens.json" | "tokens.css" | "design-tokens.css");
        if is_tokens || file.path.contains("design-tokens/") {
            found.token_files.push(Evidence::file(file.path));
        }
        if name == "_config.yml"
            && budget.lasts()
            && tree.below(file.folder()).any(|other| other.path.contains("_layouts/") || other.path.contains("_posts/"))
        {
            found.sign(file, "jekyll", Usage::Runtime, Evidence::file(file.path));
        }
    }
    found.token_files.truncate(8);
}

/// Settings that make a framework write files instead of serving.
fn static_export(file: &File<'_>, content: &str, found: &mut Surroundings) {
    let Some(stem) = file.name().split('.').next() else { return };
    let is_config = file.name().starts_with(&format!("{stem}.config."));
    let (setting_name, value) = match stem {
        "next" if is_config => ("output", Token::Text("export")),
        "nuxt" | "react-router" if is_config => ("ssr", Token::Word("false")),
        _ => return,
    };
    if let Some(line) = setting(&tokens(content, Comments::Slashes), setting_name, value) {
        found.static_export.push(Evidence::line(file.path, line));
    }
}

/// Routes that say that the program lives, and links to designs.
fn links_and_health(file: &File<'_>, content: &str, found: &mut Surroundings) {
    if found.figma_links.len() < 4 && is_prose(file.name()) && content.contains("figma.com/") {
        for (number, line) in (1..).zip(content.lines()).filter(|(_, line)| line.contains("figma.com/")) {
            if line.split(|c: char| c.is_whitespace() || "\"'`()<>[]".contains(c)).any(is_figma_file) {
                let evidence = Evidence::line(file.path, number);
                // Where a project keeps its documentation it also says which design it follows.
                let usage = if file.auxiliary && !is_documentation(file.path) { Usage::Development } else { Usage::Runtime };
                found.signs.push(Sign { technology: "figma", usage, evidence: evidence.clone() });
                found.figma_links.push(evidence);
                break;
            }
        }
    }
    if found.health_check.is_some() || file.auxiliary || file.language.is_none() {
        return;
    }
    if ["health", "healthz", "healthcheck", "readyz"].contains(&super::tree::file_name(folder(file.path))) && file.path.contains("api/") {
        found.health_check = Some(Evidence::file(file.path));
    } else if content.contains("health") {
        let comments = if file.path.ends_with(".py") || file.path.ends_with(".rb") { Comments::Hash } else { Comments::Slashes };
        let is_route = |text: &str| {
            let last = text.trim_matches('/').rsplit('/').next().unwrap_or_default();
            text.contains('/') && matches!(last, "health" | "healthz" | "healthcheck" | "health_check" | "health-check") && text.len() < 40
        };
        let route = tokens(content, comments).into_iter().find(|(_, token)| matches!(token, Token::Text(text) if is_route(text)));
        found.health_check = route.map(|(line, _)| Evidence::line(file.path, line));
    }
}

/// Where people link designs: documents, and the stories of components. In other code an address may be anything.
fn is_prose(name: &str) -> bool {
    [".md", ".mdx", ".txt", ".rst", ".html"].iter().any(|end| name.ends_with(end)) || name.contains(".stories.") || name.contains(".figma.")
}

/// A file, a design or a prototype at Figma, not its home page.
fn is_figma_file(word: &str) -> bool {
    Url::parse(word.trim_end_matches([',', '.', ';'])).is_ok_and(|url| {
        let is_figma = url.host_str().is_some_and(|host| host == "figma.com" || host.ends_with(".figma.com"));
        is_figma && ["/file/", "/design/", "/proto/", "/board/"].iter().any(|kind| url.path().starts_with(kind))
    })
}

#[cfg(test)]
mod tests;
