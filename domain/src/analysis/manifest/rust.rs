//! `Cargo.toml`. A feature that reveals a database is noted as a dependency `crate[feature]`.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::{Dependency, Ecosystem, Manifest, Place, Usage, python::not_toml};
use crate::analysis::finding::clipped;

pub fn cargo_toml(path: &str, text: &str) -> Result<Manifest, String> {
    let root: Table = text.parse().map_err(|error: toml::de::Error| not_toml(&error))?;
    let mut manifest = Manifest::new(path, Ecosystem::Rust);
    let package = root.get("package").and_then(Value::as_table);
    manifest.name = package.and_then(|package| package.get("name")).and_then(Value::as_str).map(str::to_owned);
    manifest.is_workspace_root = root.contains_key("workspace") && package.is_none();
    manifest.installs_command = root.contains_key("bin");
    manifest.is_importable = root.contains_key("lib");

    let on = switched_on(&root);
    read(&mut manifest, &root, "", &on);
    for (target, tables) in root.get("target").and_then(Value::as_table).into_iter().flatten() {
        if let Some(tables) = tables.as_table() {
            read(&mut manifest, tables, &format!("target.{target}."), &on);
        }
    }
    // Not used by itself, only by the members that inherit it.
    let shared = root.get("workspace").and_then(|workspace| workspace.get("dependencies")).and_then(Value::as_table);
    for (name, value) in shared.into_iter().flatten() {
        let name = clipped(name);
        for feature in features(value) {
            manifest.depends(&format!("workspace:{name}[{feature}]"), Usage::Optional, format!("workspace.dependencies.{name}.features"));
        }
    }
    Ok(manifest)
}

/// What is switched on by default, and in the server that cargo-leptos builds: features, `dep:crate` and `crate/feature`.
fn switched_on(root: &Table) -> BTreeSet<&str> {
    let features = root.get("features").and_then(Value::as_table);
    let leptos = root.get("package").and_then(|package| package.get("metadata")?.get("leptos")?.get("bin-features"));
    let mut open: Vec<&str> = strings(leptos).collect();
    open.push("default");
    let mut on = BTreeSet::new();
    while let Some(name) = open.pop() {
        if on.insert(name) {
            open.extend(strings(features.and_then(|features| features.get(name))));
        }
    }
    on
}

fn read(manifest: &mut Manifest, tables: &Table, prefix: &str, on: &BTreeSet<&str>) {
    let groups = [("dependencies", Usage::Runtime), ("dev-dependencies", Usage::Development), ("build-dependencies", Usage::Development)];
    for (group, usage) in groups {
        for (key, value) in tables.get(group).and_then(Value::as_table).into_iter().flatten() {
            let name = &clipped(value.get("package").and_then(Value::as_str).unwrap_or(key));
            let of_crate = format!("{key}/");
            let switched = || on.range(of_crate.as_str()..).map_while(|name| name.strip_prefix(of_crate.as_str()));
            let is_on = on.contains(key.as_str()) || on.contains(format!("dep:{key}").as_str()) || switched().next().is_some();
            let is_optional = value.get("optional").and_then(Value::as_bool) == Some(true) && !is_on;
            let usage = if is_optional && usage == Usage::Runtime { Usage::Optional } else { usage };
            let place = clipped(&format!("{prefix}{group}.{key}"));
            for feature in switched() {
                manifest.depends(&format!("{name}[{feature}]"), usage, place.clone());
            }
            for feature in features(value) {
                manifest.depends(&format!("{name}[{feature}]"), usage, format!("{place}.features"));
            }
            if value.get("workspace").and_then(Value::as_bool) == Some(true) {
                manifest.depends(&format!("{name}[workspace]"), usage, place.clone());
            }
            manifest.depends(name, usage, place);
        }
    }
}

fn features(dependency: &Value) -> impl Iterator<Item = &str> {
    strings(dependency.get("features"))
}

fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Gives each member of a workspace the features of the dependencies that it inherits.
pub fn inherit_features(manifests: &mut [Manifest]) {
    let mut shared: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for dependency in manifests.iter().filter(|manifest| manifest.ecosystem == Ecosystem::Rust).flat_map(|manifest| &manifest.dependencies)
    {
        if let Some((name, feature)) = dependency.name.strip_prefix("workspace:").and_then(|rest| rest.split_once('[')) {
            shared.entry(name.to_owned()).or_default().push(feature.trim_end_matches(']').to_owned());
        }
    }
    for manifest in manifests.iter_mut().filter(|manifest| manifest.ecosystem == Ecosystem::Rust) {
        let inherits: Vec<Dependency> =
            manifest.dependencies.iter().filter(|dependency| dependency.name.ends_with("[workspace]")).cloned().collect();
        for dependency in inherits {
            let name = dependency.name.trim_end_matches("[workspace]");
            let Place::Key(key) = &dependency.at else { continue };
            for feature in shared.get(name).into_iter().flatten() {
                if !manifest.has_room() {
                    break;
                }
                manifest.depends(&format!("{name}[{feature}]"), dependency.usage, key.clone());
            }
        }
        manifest.dependencies.retain(|dependency| !dependency.name.ends_with("[workspace]") && !dependency.name.starts_with("workspace:"));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_member_inherits_the_features_of_its_workspace() {
        let root = cargo_toml(
            "Cargo.toml",
            "[workspace]\nmembers=['a']\n[workspace.dependencies]\nsqlx={version='0.9',features=['postgres']}\naxum='0.8'",
        )
        .unwrap();
        let member =
            cargo_toml("a/Cargo.toml", "[package]\nname='a'\n[dependencies]\nsqlx.workspace=true\n[dev-dependencies]\ninsta='1'").unwrap();
        let mut manifests = [root, member];
        inherit_features(&mut manifests);
        assert!(manifests[0].is_workspace_root && manifests[0].dependencies.is_empty(), "what no member uses is not used");
        let found: Vec<_> = manifests[1].dependencies.iter().map(|d| (d.name.as_str(), d.usage)).collect();
        assert_eq!(found, [("sqlx", Usage::Runtime), ("insta", Usage::Development), ("sqlx[postgres]", Usage::Runtime)]);
    }

    #[test]
    fn an_optional_dependency_counts_if_a_default_feature_or_the_server_of_leptos_needs_it() {
        let text = "[package]\nname='a'\n[dependencies]\naxum={version='0.8',optional=true}\nsqlx={version='0.8',optional=true}\nredis={version='1',optional=true}\n[features]\ndefault=['store']\nstore=['sqlx/postgres']\nssr=['dep:axum']\n[package.metadata.leptos]\nbin-features=['ssr']\n";
        let manifest = cargo_toml("Cargo.toml", text).unwrap();
        let found: Vec<_> = manifest.dependencies.iter().map(|d| (d.name.as_str(), d.usage)).collect();
        let expected = [("axum", Usage::Runtime), ("redis", Usage::Optional), ("sqlx[postgres]", Usage::Runtime), ("sqlx", Usage::Runtime)];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_renamed_dependency_is_known_by_its_package() {
        let manifest = cargo_toml(
            "Cargo.toml",
            "[dependencies]\nweb = { package = 'axum', version = '0.8' }\ndb = { package = 'sqlx', version = '0.9', optional = true }",
        )
        .unwrap();
        let found: Vec<_> = manifest.dependencies.iter().map(|d| (d.name.as_str(), d.usage)).collect();
        assert_eq!(found, [("sqlx", Usage::Optional), ("axum", Usage::Runtime)]);
    }
}
