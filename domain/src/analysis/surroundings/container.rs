//! Container files and compose files.

use super::{Surroundings, yaml};
use crate::analysis::{
    Evidence, Usage,
    manifest::Stated,
    rules::rules,
    tree::{File, folder},
};

pub fn is_container_file(name: &str) -> bool {
    matches!(name, "dockerfile" | "containerfile") || name.starts_with("dockerfile.") || name.ends_with(".dockerfile")
}

pub fn is_compose(name: &str) -> bool {
    (name.ends_with(".yml") || name.ends_with(".yaml")) && (name.starts_with("docker-compose") || name.starts_with("compose."))
}

/// Made for developers, tests or a build server, so that it says nothing of how the project runs: `ci/Dockerfile`, `Dockerfile.test`.
fn is_for_development(file: &File<'_>) -> bool {
    let folders = [".github", ".gitlab", ".circleci", ".buildkite", ".ci", "ci", "dev"];
    let words = ["test", "tests", "ci", "dev", "devel", "development", "devcontainer", "local", "debug", "lint"];
    let name = file.name().to_ascii_lowercase();
    file.auxiliary
        || folder(file.path).split('/').any(|name| folders.contains(&name))
        || name.split(['.', '-', '_']).any(|word| words.contains(&word))
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

pub fn container_file(file: &File<'_>, content: &str, found: &mut Surroundings) {
    if is_for_development(file) {
        return;
    }
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
            "HEALTHCHECK" if !rest.trim().eq_ignore_ascii_case("none") => {
                found.health_check.get_or_insert(Evidence::line(file.path, line));
            }
            _ => {}
        }
    }
    found.container_files.push((Evidence::file(file.path), command.or(entry)));
}

/// `["node", "server.js"]` as `node server.js`.
fn shell_form(command: &str) -> String {
    serde_json::from_str::<Vec<String>>(command).map_or_else(|_| command.to_owned(), |words| words.join(" "))
}

pub fn compose(file: &File<'_>, content: &str, found: &mut Surroundings) -> Result<(), String> {
    let value = yaml(content)?;
    let usage = if file.name().contains("test") { Usage::Development } else { Usage::Runtime };
    for (name, service) in value["services"].as_object().into_iter().flatten() {
        if let Some(image) = service["image"].as_str() {
            let evidence = Evidence::key(file.path, format!("services.{name}.image"));
            found.signs_of(file, &rules().surroundings.images, &image_name(image), usage, &evidence);
        }
        if !service["healthcheck"].is_null() && !service["build"].is_null() && !file.auxiliary {
            found.health_check.get_or_insert(Evidence::key(file.path, format!("services.{name}.healthcheck")));
        }
    }
    Ok(())
}

/// An image's name without registry, tag and digest: `ghcr.io/a/b:1@sha256:..` is `a/b`, `${DB:-postgres:16}` is `postgres`.
pub fn image_name(image: &str) -> String {
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
