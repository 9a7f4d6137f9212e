//! Files that tell a host or a cloud what to run: their content says whether they do.

use std::iter;

use serde_json::Value;
use toml::Table;

use super::{Surroundings, database::without_code, yaml};
use crate::analysis::{Evidence, Usage, lexer::plain_json, manifest::not_toml, rules::rules, tree::File};

/// A workload for a cluster: `apiVersion`, and a kind that keeps a program running, each at the start of a line.
pub fn cluster(file: &File<'_>, content: &str, found: &mut Surroundings) {
    let is_workload = |line: &str| {
        let kind = line.strip_prefix("kind:").map(|kind| kind.trim().trim_matches(['"', '\'']));
        kind.is_some_and(|kind| matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet" | "CronJob"))
    };
    if content.lines().any(|line| line.starts_with("apiVersion:"))
        && let Some((number, _)) = (1..).zip(content.lines()).find(|(_, line)| is_workload(line))
    {
        found.sign(file, "kubernetes", Usage::Runtime, Evidence::line(file.path, number));
    }
}

/// `resource "aws_ecs_service" "web" {`, as every formatter writes it.
pub fn terraform(file: &File<'_>, content: &str, found: &mut Surroundings) {
    for (number, line) in (1..).zip(content.lines()) {
        let kind = line.trim_start().strip_prefix("resource").and_then(|rest| rest.trim_start().strip_prefix('"'));
        if let Some((kind, _)) = kind.and_then(|rest| rest.split_once('"')) {
            found.signs_of(file, &rules().surroundings.resources, kind, Usage::Runtime, &Evidence::line(file.path, number));
        }
    }
}

/// `firebase.json`: which of Firebase's services it sets up.
pub fn firebase(file: &File<'_>, content: &str, found: &mut Surroundings) -> Result<(), String> {
    let settings = json(content)?;
    let names = &rules().surroundings.firebase;
    for key in names.keys().filter(|key| !settings[*key].is_null()) {
        found.signs_of(file, names, key, Usage::Runtime, &Evidence::key(file.path, key));
    }
    Ok(())
}

/// `wrangler.toml`, `.json` or `.jsonc`: what Cloudflare keeps for the project, in any of its environments.
pub fn wrangler(file: &File<'_>, content: &str, found: &mut Surroundings) -> Result<(), String> {
    let settings = if file.name().ends_with(".toml") { toml(content)? } else { json(content)? };
    let environments = settings["env"].as_object().into_iter().flatten().map(|(_, environment)| environment);
    let names = &rules().surroundings.bindings;
    for part in iter::once(&settings).chain(environments) {
        for key in names.keys().filter(|key| !part[*key].is_null()) {
            found.signs_of(file, names, key, Usage::Runtime, &Evidence::key(file.path, key));
        }
    }
    Ok(())
}

/// `config/deploy.yml` and those of single destinations, if somebody filled them in: what `rails new` and `kamal init` write names an
/// image of `your-user` and servers of 192.168.0.0/24, which are no place. Says whether they are.
pub fn kamal(file: &File<'_>, content: &str, found: &mut Surroundings) -> bool {
    let Ok(settings) = yaml(&without_code(content, "filled-in")) else { return false };
    let image = settings["image"].as_str().unwrap_or_default();
    let is_sample_image = ["your-user/", "my-user/"].iter().any(|user| image.starts_with(user));
    let has_server = servers(&settings["servers"]).iter().any(|server| !server.is_empty() && !server.starts_with("192.168.0."));
    let is_filled_in = has_server && !is_sample_image;
    if is_filled_in {
        found.sign(file, "kamal", Usage::Runtime, Evidence::key(file.path, "servers"));
    }
    is_filled_in
}

/// A list of servers, or one for each role, with or without tags and settings.
fn servers(value: &Value) -> Vec<&str> {
    match value {
        Value::String(server) => vec![server],
        Value::Array(list) => list.iter().flat_map(server).collect(),
        Value::Object(roles) => {
            let lists = roles.values().map(|role| if role["hosts"].is_null() { role } else { &role["hosts"] });
            lists.filter_map(Value::as_array).flatten().flat_map(server).collect()
        }
        _ => Vec::new(),
    }
}

/// `10.0.0.1`, or `10.0.0.1: [tag]`.
fn server(value: &Value) -> Vec<&str> {
    let tagged = value.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    value.as_str().into_iter().chain(tagged).collect()
}

fn json(content: &str) -> Result<Value, String> {
    serde_json::from_str(&plain_json(content)).map_err(|error| format!("not valid JSON: {error}"))
}

fn toml(content: &str) -> Result<Value, String> {
    let table: Table = content.parse().map_err(|error: toml::de::Error| not_toml(&error))?;
    serde_json::to_value(table).map_err(|error| format!("not valid TOML: {error}"))
}
