//! `package.json`, `deno.json`: lenient with values of a wrong type, since a field that is off does not spoil the others.

use serde_json::Value;

use super::{Ecosystem, Evidence, Manifest, Stated, Usage};
use crate::analysis::lexer;

pub fn package_json(path: &str, text: &str) -> Result<Manifest, String> {
    let value = object(text)?;
    let mut manifest = Manifest::new(path, Ecosystem::Npm);
    manifest.name = value["name"].as_str().map(str::to_owned);
    let groups = [
        ("dependencies", Usage::Runtime),
        ("peerDependencies", Usage::Optional),
        ("optionalDependencies", Usage::Optional),
        ("devDependencies", Usage::Development),
    ];
    for (group, usage) in groups {
        for name in keys(&value[group]) {
            manifest.depends(name, usage, format!("{group}.{name}"));
        }
    }
    let scripts = &value["scripts"];
    manifest.start = scripts["start"]
        .as_str()
        .filter(|command| !command.trim().is_empty())
        .map(|command| Stated { command: command.to_owned(), evidence: Evidence::key(path, "scripts.start") });
    manifest.has_build_script = scripts["build"].is_string();
    // What `npm init` writes is no test.
    manifest.has_test_script = scripts["test"].as_str().is_some_and(|command| !command.contains("no test specified"));
    manifest.installs_command = value["bin"].is_string() || value["bin"].is_object();
    // `npm init` writes `main` into every package; the others are written by who means to publish.
    let has_entry = ["module", "exports", "types", "files", "publishConfig"].iter().any(|key| !value[*key].is_null());
    manifest.is_importable = has_entry && value["private"] != Value::Bool(true);
    manifest.is_workspace_root = value["workspaces"].is_array() || value["workspaces"].is_object();
    manifest.package_manager = value["packageManager"].as_str().and_then(|named| {
        let name = named.split('@').next()?;
        let known = ["npm", "yarn", "pnpm", "bun"].into_iter().find(|manager| *manager == name)?;
        Some((known, "packageManager".to_owned()))
    });
    Ok(manifest)
}

/// Its imports name packages as `npm:express@4`, `jsr:@oak/oak@^17` or by an address.
pub fn deno_json(path: &str, text: &str) -> Result<Manifest, String> {
    let value = object(&lexer::plain_json(text))?;
    let mut manifest = Manifest::new(path, Ecosystem::Deno);
    manifest.name = value["name"].as_str().map(str::to_owned);
    manifest.is_importable = !value["exports"].is_null();
    manifest.is_workspace_root = !value["workspace"].is_null();
    if let Some(command) = value["tasks"]["start"].as_str() {
        manifest.start = Some(Stated { command: command.to_owned(), evidence: Evidence::key(path, "tasks.start") });
    }
    if let Some(imports) = value["imports"].as_object() {
        for (alias, target) in imports {
            if let Some(package) = target.as_str().and_then(deno_package) {
                manifest.depends(&package, Usage::Runtime, format!("imports.{alias}"));
            }
        }
    }
    if !value["deploy"].is_null() {
        manifest.depends("deploy", Usage::Runtime, "deploy");
    }
    Ok(manifest)
}

/// `npm:express` of npm's packages, `@oak/oak` of JSR's, `deno.land/x/oak` of the older ones; nothing for the project's own files.
fn deno_package(target: &str) -> Option<String> {
    let (scheme, rest) = target.split_once(':')?;
    let rest = rest.trim_start_matches('/').trim_start_matches('*');
    let (source, package) = match (scheme, rest.split_once('/')) {
        ("npm", _) => ("npm:", rest),
        ("https", Some(("esm.sh" | "cdn.skypack.dev", package))) => ("npm:", package.trim_start_matches('*')),
        _ => ("", rest),
    };
    // A name may begin with `@`; the next one begins the version, and what follows is a path inside the package.
    let end = package.char_indices().skip(1).find(|(_, c)| *c == '@').map_or(package.len(), |(index, _)| index);
    Some(format!("{source}{}", &package[..end]))
}

fn object(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))?;
    if value.is_object() { Ok(value) } else { Err("not a JSON object".to_owned()) }
}

fn keys(value: &Value) -> impl Iterator<Item = &str> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.as_str())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn development_and_peer_dependencies_are_told_apart() {
        let text = r#"{ "dependencies": {"next": "15"}, "devDependencies": {"vite": "5"}, "peerDependencies": {"react": "*"} }"#;
        let manifest = package_json("package.json", text).unwrap();
        let found: Vec<_> = manifest.dependencies.iter().map(|d| (d.name.as_str(), d.usage)).collect();
        assert_eq!(found, [("next", Usage::Runtime), ("react", Usage::Optional), ("vite", Usage::Development)]);
    }

    #[test]
    fn a_field_of_a_wrong_type_does_not_spoil_the_others() {
        let manifest = package_json("package.json", r#"{ "name": 7, "dependencies": {"pg": "8"}, "scripts": [], "bin": null }"#).unwrap();
        assert_eq!(manifest.dependencies.len(), 1);
        assert!(manifest.name.is_none() && manifest.start.is_none() && !manifest.installs_command);
    }

    #[test]
    fn what_is_no_json_object_is_refused_with_its_reason() {
        assert!(package_json("package.json", "{ \"name\": ").unwrap_err().starts_with("not valid JSON: EOF"));
        assert_eq!(package_json("package.json", "[]").unwrap_err(), "not a JSON object");
    }

    #[test]
    fn deno_imports_tell_their_source_and_lose_their_version() {
        let text = r#"{ // tools
            "imports": { "a": "jsr:@oak/oak@^17", "b": "npm:express@4", "c": "./x.ts", "d": "https://deno.land/x/fresh@1.7.3/",
                "e": "https://esm.sh/*@supabase/supabase-js@2.4" } }"#;
        let manifest = deno_json("deno.jsonc", text).unwrap();
        let expected = ["@oak/oak", "npm:express", "deno.land/x/fresh", "npm:@supabase/supabase-js"];
        assert_eq!(manifest.dependencies.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), expected);
    }
}
