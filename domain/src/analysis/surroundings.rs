//! What stands around the code: containers, variables, CI, schemas, links to designs.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::{
    Evidence, Usage,
    lexer::{Comments, Token, setting, tokens},
    manifest::{self, Stated},
    rules::{Names, rules},
    tree::{File, Tree, folder},
};

/// A technology that is shown by something other than a manifest.
#[derive(Clone, Debug)]
pub struct Sign {
    pub technology: &'static str,
    pub usage: Usage,
    pub evidence: Evidence,
}

#[derive(Debug, Default)]
pub struct Surroundings {
    pub signs: Vec<Sign>,
    /// Container files, each with the command that it starts if it names one.
    pub container_files: Vec<(Evidence, Option<Stated>)>,
    /// Services in compose files.
    pub compose_services: Vec<Evidence>,
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

/// Reads the whole tree; what cannot be read goes to `warnings`.
pub fn read(tree: &Tree<'_>, warnings: &mut Vec<String>) -> Surroundings {
    let mut found = Surroundings::default();
    known_files(tree, &mut found);
    for file in &tree.files {
        let Some(content) = file.content else { continue };
        let name = file.name();
        let lower = name.to_ascii_lowercase();
        if lower == "dockerfile" || lower == "containerfile" || lower.starts_with("dockerfile.") || lower.ends_with(".dockerfile") {
            container_file(file, content, &mut found);
        } else if is_compose(&lower) {
            note_unreadable(file, compose(file, content, &mut found), warnings);
        } else if file.path.starts_with(".github/workflows/") && is_yaml(&lower) {
            note_unreadable(file, workflow(file, content, &mut found), warnings);
        } else if name == "Procfile" && !file.auxiliary {
            procfile(file, content, &mut found);
        } else if is_variables(&lower) {
            variables(file, content, &mut found);
        } else if lower.ends_with(".prisma") {
            prisma(file, content, &mut found);
        } else if lower.ends_with(".py") && file.path.contains("settings") && content.contains("django.db.backends") {
            providers(file, &tokens(content, Comments::Hash), &mut found);
        } else if file.path.ends_with("config/database.yml") {
            rails_database(file, content, &mut found);
        } else {
            static_export(file, content, &mut found);
        }
        links_and_health(file, content, &mut found);
    }
    found
}

impl Surroundings {
    fn sign(&mut self, file: &File<'_>, technology: &'static str, usage: Usage, evidence: Evidence) {
        let usage = if file.auxiliary { Usage::Development } else { usage };
        self.signs.push(Sign { technology, usage, evidence });
    }

    fn signs_of(&mut self, file: &File<'_>, names: &'static Names, name: &str, usage: Usage, evidence: &Evidence) {
        for technology in names.find(name) {
            self.sign(file, technology, usage, evidence.clone());
        }
    }
}

fn note_unreadable(file: &File<'_>, outcome: Result<(), String>, warnings: &mut Vec<String>) {
    if let Err(reason) = outcome {
        warnings.push(format!("{}: {reason}", file.path));
    }
}

/// Files and folders whose being there is enough.
fn known_files(tree: &Tree<'_>, found: &mut Surroundings) {
    let names = &rules().surroundings.files;
    // A tool's own file stands where a part of the project begins; elsewhere the name is chance.
    let starts: BTreeSet<&str> =
        tree.files.iter().filter(|file| manifest::is_manifest(file) || file.name() == "Dockerfile").map(|file| file.folder()).collect();
    for key in names.keys() {
        let fits = |file: &&File<'_>| -> bool {
            let path = file.path;
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
            && tree.below(file.folder()).any(|other| other.path.contains("_layouts/") || other.path.contains("_posts/"))
        {
            found.sign(file, "jekyll", Usage::Runtime, Evidence::file(file.path));
        }
    }
    found.token_files.truncate(8);
}

/// The instructions of a container file, with lines that end in `\` joined; the number is of the first line.
fn instructions(content: &str) -> Vec<(u32, String)> {
    let mut joined: Vec<(u32, String)> = Vec::new();
    let mut continues = false;
    for (number, line) in (1..).zip(content.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (text, goes_on) = line.strip_suffix('\\').map_or((line, false), |text| (text, true));
        match joined.last_mut().filter(|_| continues) {
            Some((_, instruction)) => {
                instruction.push(' ');
                instruction.push_str(text.trim());
            }
            None => joined.push((number, text.trim().to_owned())),
        }
        continues = goes_on;
    }
    joined
}

fn container_file(file: &File<'_>, content: &str, found: &mut Surroundings) {
    let mut command = None;
    let mut entry = None;
    for (line, instruction) in instructions(content) {
        let Some((word, rest)) = instruction.split_once(char::is_whitespace) else { continue };
        let stated = || Some(Stated { command: shell_form(rest.trim()), evidence: Evidence::line(file.path, line) });
        match word.to_ascii_uppercase().as_str() {
            // Each stage begins anew.
            "FROM" => (command, entry) = (None, None),
            "CMD" => command = stated(),
            "ENTRYPOINT" => entry = stated(),
            "HEALTHCHECK" if !rest.trim().eq_ignore_ascii_case("none") && !file.auxiliary => {
                found.health_check.get_or_insert(Evidence::line(file.path, line));
            }
            _ => {}
        }
    }
    if !file.auxiliary {
        found.container_files.push((Evidence::file(file.path), command.or(entry)));
    }
}

/// `["node", "server.js"]` as `node server.js`.
fn shell_form(command: &str) -> String {
    serde_json::from_str::<Vec<String>>(command).map_or_else(|_| command.to_owned(), |words| words.join(" "))
}

fn is_yaml(name: &str) -> bool {
    name.ends_with(".yml") || name.ends_with(".yaml")
}

fn is_compose(name: &str) -> bool {
    is_yaml(name) && (name.starts_with("docker-compose") || name.starts_with("compose."))
}

fn yaml(content: &str) -> Result<Value, String> {
    serde_saphyr::from_str(content).map_err(|error| {
        let text = error.to_string();
        format!("not valid YAML: {}", text.lines().next().unwrap_or_default())
    })
}

fn compose(file: &File<'_>, content: &str, found: &mut Surroundings) -> Result<(), String> {
    let value = yaml(content)?;
    for (name, service) in value["services"].as_object().into_iter().flatten() {
        if !file.auxiliary {
            found.compose_services.push(Evidence::key(file.path, format!("services.{name}")));
        }
        if let Some(image) = service["image"].as_str() {
            let evidence = Evidence::key(file.path, format!("services.{name}.image"));
            found.signs_of(file, &rules().surroundings.images, &image_name(image), Usage::Runtime, &evidence);
        }
        if !service["healthcheck"].is_null() && !service["build"].is_null() && !file.auxiliary {
            found.health_check.get_or_insert(Evidence::key(file.path, format!("services.{name}.healthcheck")));
        }
    }
    Ok(())
}

/// An image's name without registry, tag and digest: `ghcr.io/a/b:1@sha256:..` is `a/b`, `${DB:-postgres:16}` is `postgres`.
fn image_name(image: &str) -> String {
    let image = image.strip_prefix("${").and_then(|rest| rest.split_once(":-")).map_or(image, |(_, default)| default.trim_end_matches('}'));
    let image = image.split('@').next().unwrap_or(image);
    let start_of_name = image.rfind('/').map_or(0, |slash| slash + 1);
    let image = image[start_of_name..].find(':').map_or(image, |colon| &image[..start_of_name + colon]);
    let without_registry = match image.split_once('/') {
        Some((registry, rest)) if registry.contains(['.', ':']) || registry == "localhost" => rest,
        _ => image,
    };
    without_registry.strip_prefix("library/").unwrap_or(without_registry).to_owned()
}

fn workflow(file: &File<'_>, content: &str, found: &mut Surroundings) -> Result<(), String> {
    let value = yaml(content)?;
    for (job_name, job) in value["jobs"].as_object().into_iter().flatten() {
        for (name, service) in job["services"].as_object().into_iter().flatten() {
            let image = service["image"].as_str().or(service.as_str()).unwrap_or_default();
            let evidence = Evidence::key(file.path, format!("jobs.{job_name}.services.{name}"));
            found.signs_of(file, &rules().surroundings.images, &image_name(image), Usage::Development, &evidence);
        }
        for uses in job["steps"].as_array().into_iter().flatten().filter_map(|step| step["uses"].as_str()) {
            let action = uses.split('@').next().unwrap_or(uses);
            let evidence = Evidence::key(file.path, format!("jobs.{job_name}.steps: {action}"));
            found.signs_of(file, &rules().surroundings.actions, action, Usage::Runtime, &evidence);
        }
    }
    Ok(())
}

fn procfile(file: &File<'_>, content: &str, found: &mut Surroundings) {
    for (number, line) in (1..).zip(content.lines()) {
        if let Some(("web", command)) = line.split_once(':').map(|(process, command)| (process.trim(), command.trim()))
            && found.procfile_web.is_none()
        {
            found.procfile_web = Some(Stated { command: command.to_owned(), evidence: Evidence::line(file.path, number) });
        }
    }
}

fn is_variables(name: &str) -> bool {
    (name.starts_with(".env") || name.ends_with(".env") || name.starts_with("env.")) && !name.ends_with(".ts") && !name.ends_with(".js")
}

/// Names of variables, and of an address its scheme and the end of its host. No value is kept.
fn variables(file: &File<'_>, content: &str, found: &mut Surroundings) {
    let name = file.name();
    let is_sample = ["example", "sample", "template", "dist", "defaults"].iter().any(|word| name.contains(word));
    if is_sample && !file.auxiliary {
        found.variable_files.push(Evidence::file(file.path));
    }
    let usage = if name.contains("test") { Usage::Development } else { Usage::Runtime };
    let around = &rules().surroundings;
    for (number, line) in (1..).zip(content.lines()) {
        let line = line.trim();
        let Some((variable, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=') else { continue };
        let variable = variable.trim();
        if variable.is_empty() || !variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let evidence = Evidence { path: file.path.to_owned(), line: Some(number), key: Some(variable.to_owned()) };
        found.signs_of(file, &around.variables, variable, usage, &evidence);
        let value = value.trim().trim_matches(['"', '\'']);
        if variable == "DB_CONNECTION" {
            found.signs_of(file, &around.providers, value, usage, &evidence);
        }
        if let Some((scheme, rest)) = value.split_once("://") {
            found.signs_of(
                file,
                &around.schemes,
                scheme.split('+').next().filter(|_| scheme != "mongodb+srv").unwrap_or(scheme),
                usage,
                &evidence,
            );
            let host = Url::parse(value).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| host_of(rest));
            if let Some(service) = around.hosts.find_suffix(&host) {
                found.sign(file, service, usage, evidence);
            }
        }
    }
}

/// The host of what is no proper URL, such as `user:[password]@db.example.com:5432/x`.
fn host_of(rest: &str) -> String {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.split(':').next().unwrap_or_default().to_ascii_lowercase()
}

/// `provider = "postgresql"` of a data source, not the provider of a generator.
fn prisma(file: &File<'_>, content: &str, found: &mut Surroundings) {
    found.sign(file, "prisma", Usage::Runtime, Evidence::file(file.path));
    let tokens = tokens(content, Comments::Slashes);
    let Some(start) = tokens
        .windows(3)
        .position(|window| matches!(window, [(_, Token::Word("datasource")), (_, Token::Word(_)), (_, Token::Symbol('{'))]))
    else {
        return;
    };
    let end = tokens[start..].iter().position(|(_, token)| *token == Token::Symbol('}')).map_or(tokens.len(), |length| start + length);
    for window in tokens[start..end].windows(3) {
        if let [(line, Token::Word("provider")), (_, Token::Symbol('=')), (_, Token::Text(provider))] = window {
            found.signs_of(file, &rules().surroundings.providers, provider, Usage::Runtime, &Evidence::line(file.path, *line));
        }
    }
}

fn providers(file: &File<'_>, tokens: &[(u32, Token<'_>)], found: &mut Surroundings) {
    for (line, token) in tokens {
        if let Token::Text(text) = token {
            found.signs_of(file, &rules().surroundings.providers, text, Usage::Runtime, &Evidence::line(file.path, *line));
        }
    }
}

/// A template of YAML: what stands in `<%= %>` is left out, and if the rest is no YAML nothing is said.
fn rails_database(file: &File<'_>, content: &str, found: &mut Surroundings) {
    let mut plain = String::with_capacity(content.len());
    for (index, piece) in content.split("<%").enumerate() {
        plain.push_str(if index == 0 { piece } else { piece.split_once("%>").map_or("", |(_, after)| after) });
    }
    let Ok(value) = yaml(&plain) else { return };
    for environment in ["default", "production"] {
        let adapter = value[environment]["adapter"].as_str().unwrap_or_default();
        let evidence = Evidence::key(file.path, format!("{environment}.adapter"));
        found.signs_of(file, &rules().surroundings.providers, adapter, Usage::Runtime, &evidence);
    }
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
                found.sign(file, "figma", Usage::Runtime, evidence.clone());
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
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::analysis::SourceFile;

    fn surroundings_of(path: &str, content: &str) -> (Surroundings, Vec<String>) {
        let files = [SourceFile { path: path.into(), size: content.len() as u64, content: Some(content.into()) }];
        let mut warnings = Vec::new();
        let found = read(&Tree::new(&files), &mut warnings);
        (found, warnings)
    }

    fn technologies(path: &str, content: &str) -> Vec<&'static str> {
        surroundings_of(path, content).0.signs.into_iter().map(|sign| sign.technology).collect()
    }

    #[test]
    fn an_image_is_named_without_registry_tag_and_digest() {
        for image in [
            "postgres",
            "postgres:16-alpine",
            "docker.io/library/postgres:16",
            "localhost:5000/postgres@sha256:ab",
            "${IMAGE:-postgres:15}",
        ] {
            assert_eq!(image_name(image), "postgres", "{image}");
        }
        assert_eq!(image_name("ghcr.io/getmeili/meilisearch:v1"), "getmeili/meilisearch");
    }

    #[test]
    fn compose_images_reveal_databases_but_comments_do_not() {
        let text =
            "services:\n  db: &db\n    image: \"postgres:16\"\n  cache: { image: redis:7 }\n  web:\n    build: .\n    # image: mysql\n";
        assert_eq!(technologies("docker-compose.yml", text), ["redis", "postgresql"]);
    }

    #[test]
    fn a_broken_compose_file_is_a_warning() {
        let (found, warnings) = surroundings_of("compose.yaml", "services: [\n");
        assert!(found.signs.is_empty());
        assert!(warnings[0].starts_with("compose.yaml: not valid YAML"), "{warnings:?}");
    }

    #[test]
    fn workflows_with_the_key_on_are_read() {
        let text = "on:\n  push:\n    branches: [main]\njobs:\n  deploy:\n    services: { db: { image: 'postgres:16' } }\n    steps:\n      - uses: actions/checkout@v4\n      - uses: superfly/flyctl-actions/setup-flyctl@master\n";
        let (found, warnings) = surroundings_of(".github/workflows/ci.yml", text);
        assert!(warnings.is_empty(), "{warnings:?}");
        let signs: Vec<_> = found.signs.iter().map(|sign| (sign.technology, sign.usage)).collect();
        assert_eq!(signs, [("github-actions", Usage::Runtime), ("postgresql", Usage::Development), ("fly", Usage::Runtime)]);
    }

    #[test]
    fn variables_tell_by_name_scheme_and_host_and_keep_no_value() {
        let text = "# STRIPE_KEY=x\nDATABASE_URL=\"postgresql://me:secret@ep-x.eu.aws.neon.tech/db\"\nexport CLERK_SECRET_KEY=sk_live_abc\nnot a line\n";
        let (found, _) = surroundings_of(".env.example", text);
        let signs: Vec<_> = found.signs.iter().map(|sign| sign.technology).collect();
        assert_eq!(signs, ["postgresql", "neon", "clerk"]);
        assert!(!format!("{found:?}").contains("secret@") && !format!("{found:?}").contains("sk_live"));
    }

    #[test]
    fn laravel_names_its_database_in_a_variable() {
        assert_eq!(technologies(".env.example", "DB_CONNECTION=pgsql\nDB_HOST=127.0.0.1\n"), ["postgresql"]);
    }

    #[test]
    fn a_file_of_a_host_counts_only_where_a_part_of_the_project_begins() {
        assert_eq!(technologies("railway.toml", ""), ["railway"]);
        assert!(technologies("partners/railway.toml", "").is_empty());
    }

    #[test]
    fn a_prisma_schema_tells_its_data_source_and_not_its_generator() {
        let text = "generator client { provider = \"prisma-client-js\" }\n// provider = \"mysql\"\ndatasource db {\n  provider = \"postgresql\"\n  url = env(\"DATABASE_URL\")\n}\n";
        let (found, _) = surroundings_of("prisma/schema.prisma", text);
        let sign = found.signs.iter().find(|sign| sign.technology == "postgresql").unwrap();
        assert_eq!(sign.evidence, Evidence::line("prisma/schema.prisma", 4));
    }

    #[test]
    fn the_last_stage_of_a_container_file_says_how_it_starts() {
        let text = "FROM node:22 AS build\nCMD echo no\nFROM node:22\nHEALTHCHECK --interval=5s \\\n  CMD curl localhost\nCMD [\"node\", \"server.js\"]\n";
        let (found, _) = surroundings_of("Dockerfile", text);
        assert_eq!(found.container_files[0].1.as_ref().unwrap().command, "node server.js");
        assert_eq!(found.health_check, Some(Evidence::line("Dockerfile", 4)));
    }

    #[test]
    fn only_links_to_designs_count_as_figma() {
        assert_eq!(technologies("README.md", "[Design](https://www.figma.com/design/abc/App?node-id=1)."), ["figma"]);
        assert!(technologies("README.md", "Made like https://www.figma.com/ and https://figma.com.evil.example/design/x").is_empty());
    }

    #[test]
    fn a_health_route_is_a_text_in_the_code_and_not_a_comment() {
        assert!(surroundings_of("src/main.rs", "// \"/healthz\"\nlet health = 1;").0.health_check.is_none());
        assert!(surroundings_of("src/main.rs", "router.route(\"/healthz\", get(health))").0.health_check.is_some());
    }
}
