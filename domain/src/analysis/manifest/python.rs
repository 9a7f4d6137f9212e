//! `requirements.txt`, `pyproject.toml`, `Pipfile`, `setup.py`, `setup.cfg`.

use toml::{Table, Value};

use super::{Ecosystem, Manifest, Usage};
use crate::analysis::{
    finding::clipped,
    lexer::{Comments, Token, tokens},
};

/// One requirement a line; options, URLs and comments are passed over.
pub fn requirements(path: &str, text: &str) -> Result<Manifest, String> {
    let mut manifest = Manifest::new(path, Ecosystem::Python);
    let usage =
        if ["dev", "test", "lint", "doc", "ci"].iter().any(|word| words(path).any(|part| part == *word || part == format!("{word}s"))) {
            Usage::Development
        } else {
            Usage::Runtime
        };
    for (number, line) in (1..).zip(text.lines()) {
        for name in names(line) {
            manifest.depends_at(&name, usage, number);
        }
    }
    Ok(manifest)
}

fn words(path: &str) -> impl Iterator<Item = &str> {
    path.split(['/', '-', '_', '.'])
}

/// The tables of PEP 621, PEP 735, Poetry, PDM and uv.
pub fn pyproject(path: &str, text: &str) -> Result<Manifest, String> {
    let root: Table = text.parse().map_err(|error: toml::de::Error| not_toml(&error))?;
    let mut manifest = Manifest::new(path, Ecosystem::Python);
    let project = table(&root, "project");
    let poetry = table(&root, "tool").and_then(|tool| table(tool, "poetry"));

    if let Some(project) = project {
        manifest.name = project.get("name").and_then(Value::as_str).map(str::to_owned);
        list(&mut manifest, project.get("dependencies"), Usage::Runtime, "project.dependencies");
        groups(&mut manifest, table(project, "optional-dependencies"), Usage::Optional, "project.optional-dependencies");
    }
    groups(&mut manifest, table(&root, "dependency-groups"), Usage::Development, "dependency-groups");
    if let Some(poetry) = poetry {
        manifest.name = manifest.name.or_else(|| poetry.get("name").and_then(Value::as_str).map(str::to_owned));
        manifest.package_manager = Some(("poetry", "tool.poetry".to_owned()));
        poetry_list(&mut manifest, table(poetry, "dependencies"), Usage::Runtime, "tool.poetry.dependencies");
        poetry_list(&mut manifest, table(poetry, "dev-dependencies"), Usage::Development, "tool.poetry.dev-dependencies");
        for (name, group) in table(poetry, "group").into_iter().flatten() {
            let list = group.as_table().and_then(|group| table(group, "dependencies"));
            let usage = if name == "main" { Usage::Runtime } else { Usage::Development };
            poetry_list(&mut manifest, list, usage, &format!("tool.poetry.group.{name}.dependencies"));
        }
    }
    if let Some(tool) = table(&root, "tool") {
        for manager in ["uv", "pdm", "hatch"] {
            if tool.contains_key(manager) && manifest.package_manager.is_none() {
                manifest.package_manager = Some((manager, format!("tool.{manager}")));
            }
        }
    }
    let scripts = |owner: Option<&Table>| owner.and_then(|owner| table(owner, "scripts")).is_some_and(|scripts| !scripts.is_empty());
    manifest.installs_command = scripts(project) || scripts(poetry);
    manifest.is_importable = root.contains_key("build-system") && manifest.name.is_some();
    let tells_others = ["classifiers", "keywords", "urls", "homepage", "repository", "documentation"];
    manifest.is_published = [project, poetry].into_iter().flatten().any(|table| tells_others.iter().any(|key| table.contains_key(*key)));
    Ok(manifest)
}

pub fn pipfile(path: &str, text: &str) -> Result<Manifest, String> {
    let root: Table = text.parse().map_err(|error: toml::de::Error| not_toml(&error))?;
    let mut manifest = Manifest::new(path, Ecosystem::Python);
    manifest.package_manager = Some(("pipenv", "packages".to_owned()));
    poetry_list(&mut manifest, table(&root, "packages"), Usage::Runtime, "packages");
    poetry_list(&mut manifest, table(&root, "dev-packages"), Usage::Development, "dev-packages");
    Ok(manifest)
}

/// A program: only texts in the lists of `install_requires`, `extras_require` and `tests_require` are read.
pub fn setup_py(path: &str, text: &str) -> Result<Manifest, String> {
    let mut manifest = Manifest::new(path, Ecosystem::Python);
    manifest.is_importable = true;
    let tokens = tokens(text, Comments::Hash);
    let mut index = 0;
    while let Some((_, token)) = tokens.get(index) {
        index += 1;
        let usage = match token {
            Token::Word("install_requires") => Usage::Runtime,
            Token::Word("extras_require") => Usage::Optional,
            Token::Word("tests_require" | "setup_requires") => Usage::Development,
            Token::Word("classifiers" | "keywords" | "url" | "project_urls") => {
                manifest.is_published = true;
                continue;
            }
            Token::Word("console_scripts") | Token::Text("console_scripts") => {
                manifest.installs_command = true;
                continue;
            }
            _ => continue,
        };
        if !matches!(tokens.get(index), Some((_, Token::Symbol('=')))) {
            continue;
        }
        index = read_list(&mut manifest, &tokens, index + 1, usage);
    }
    Ok(manifest)
}

/// Notes the texts of a list or of the lists in a dictionary; the answer is where it ends.
fn read_list(manifest: &mut Manifest, tokens: &[(u32, Token<'_>)], start: usize, usage: Usage) -> usize {
    let mut depth = 0_u32;
    for (index, (line, token)) in tokens.iter().enumerate().skip(start) {
        let is_key = matches!(tokens.get(index + 1), Some((_, Token::Symbol(':'))));
        match token {
            Token::Symbol('[' | '{' | '(') => depth += 1,
            Token::Symbol(']' | '}' | ')') => depth = depth.saturating_sub(1),
            Token::Text(requirement) if depth > 0 && !is_key => {
                names(requirement).into_iter().for_each(|name| manifest.depends_at(&name, usage, *line));
            }
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len()
}

/// An INI file: the indented lines below `install_requires =` in `[options]`.
pub fn setup_cfg(path: &str, text: &str) -> Result<Manifest, String> {
    let mut manifest = Manifest::new(path, Ecosystem::Python);
    let (mut section, mut key) = ("", "");
    for (number, line) in (1..).zip(text.lines()) {
        let is_indented = line.starts_with([' ', '\t']);
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|_| !is_indented) {
            (section, key) = (name, "");
            continue;
        }
        let mut value = trimmed;
        if !is_indented {
            let Some((name, rest)) = trimmed.split_once('=') else { continue };
            (key, value) = (name.trim(), rest.trim());
        }
        let usage = match (section, key) {
            ("options", "install_requires") => Usage::Runtime,
            ("options.extras_require", _) => Usage::Optional,
            ("options", "tests_require") => Usage::Development,
            _ => {
                manifest.installs_command |= section == "options.entry_points" && key == "console_scripts";
                manifest.is_importable |= section == "metadata";
                manifest.is_published |= section == "metadata" && matches!(key, "classifiers" | "keywords" | "url" | "project_urls");
                continue;
            }
        };
        names(value).into_iter().for_each(|name| manifest.depends_at(&name, usage, number));
    }
    Ok(manifest)
}

/// The package of a PEP 508 requirement, and `package[extra]` for each extra; nothing for what is no requirement.
fn names(requirement: &str) -> Vec<String> {
    let requirement = requirement.split(" #").next().unwrap_or("").trim();
    let end = requirement.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(requirement.len());
    let (name, rest) = requirement.split_at(end);
    // Each extra would repeat the name.
    let name = clipped(name);
    let rest = rest.trim_start();
    let follows = rest.is_empty() || rest.starts_with(['[', '=', '<', '>', '!', '~', ';', '@', '(', ',', '\\']);
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !follows {
        return Vec::new();
    }
    let name = normalised(&name);
    let extras = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or("", |(extras, _)| extras);
    let with_extras =
        extras.split(',').map(str::trim).filter(|extra| !extra.is_empty()).map(|extra| format!("{name}[{}]", normalised(extra)));
    let with_extras: Vec<String> = with_extras.collect();
    std::iter::once(name).chain(with_extras).collect()
}

/// As [PEP 503](https://peps.python.org/pep-0503/#normalized-names) says: lower case, runs of `-`, `_` and `.` are one `-`.
fn normalised(name: &str) -> String {
    let parts: Vec<&str> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-").to_ascii_lowercase()
}

fn table<'t>(owner: &'t Table, key: &str) -> Option<&'t Table> {
    owner.get(key)?.as_table()
}

fn list(manifest: &mut Manifest, values: Option<&Value>, usage: Usage, key: &str) {
    for requirement in values.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        // Behind `@` stands an address, which may hold a password.
        let shown = requirement.split(['@', ';']).next().unwrap_or_default().trim();
        let place = clipped(&format!("{key}: {shown}"));
        for name in names(requirement) {
            manifest.depends(&name, usage, place.as_str());
        }
    }
}

fn groups(manifest: &mut Manifest, groups: Option<&Table>, usage: Usage, key: &str) {
    for (name, group) in groups.into_iter().flatten() {
        list(manifest, Some(group), usage, &format!("{key}.{name}"));
    }
}

fn poetry_list(manifest: &mut Manifest, dependencies: Option<&Table>, usage: Usage, key: &str) {
    for (name, value) in dependencies.into_iter().flatten().filter(|(name, _)| *name != "python") {
        let is_optional = value.as_table().and_then(|value| value.get("optional")).and_then(Value::as_bool) == Some(true);
        let usage = if is_optional && usage == Usage::Runtime { Usage::Optional } else { usage };
        let package = clipped(&normalised(name));
        let place = clipped(&format!("{key}.{name}"));
        let extras = value.as_table().and_then(|value| value.get("extras")).and_then(Value::as_array);
        for extra in extras.into_iter().flatten().filter_map(Value::as_str) {
            manifest.depends(&format!("{package}[{}]", normalised(extra)), usage, place.as_str());
        }
        manifest.depends(&package, usage, place);
    }
}

pub fn not_toml(error: &toml::de::Error) -> String {
    format!("not valid TOML: {}", error.message())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn found(manifest: &Manifest) -> Vec<(&str, Usage)> {
        manifest.dependencies.iter().map(|dependency| (dependency.name.as_str(), dependency.usage)).collect()
    }

    #[test]
    fn a_requirement_has_a_name_and_extras() {
        assert_eq!(names("Psycopg[binary,pool]>=3 ; python_version > '3.8'"), ["psycopg", "psycopg[binary]", "psycopg[pool]"]);
        assert_eq!(names("typing_extensions==4.1  # django"), ["typing-extensions"]);
        assert_eq!(names("pkg @ https://example.com/x.whl"), ["pkg"]);
        for none in ["# django", "-r base.txt", "--index-url https://x", "", "git+https://x/y.git", "django is nice"] {
            assert!(names(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn requirements_for_development_are_told_by_their_file() {
        assert_eq!(found(&requirements("requirements.txt", "Django==5\n# flask\n").unwrap()), [("django", Usage::Runtime)]);
        assert_eq!(found(&requirements("requirements/dev.txt", "pytest").unwrap()), [("pytest", Usage::Development)]);
        assert_eq!(found(&requirements("requirements-test.txt", "pytest").unwrap()), [("pytest", Usage::Development)]);
    }

    #[test]
    fn the_tables_of_a_pyproject_are_told_apart() {
        let text = "[project]\nname='a'\ndependencies=['FastAPI[all]>=0.1']\n[project.optional-dependencies]\npg=['asyncpg']\n[dependency-groups]\ndev=['flask', {include-group='x'}]\n";
        let expected =
            [("fastapi", Usage::Runtime), ("fastapi[all]", Usage::Runtime), ("asyncpg", Usage::Optional), ("flask", Usage::Development)];
        assert_eq!(found(&pyproject("pyproject.toml", text).unwrap()), expected);
        let text = "[tool.poetry]\nname='a'\n[tool.poetry.dependencies]\npython='^3'\ndjango={version='5',extras=['argon2']}\n[tool.poetry.group.dev.dependencies]\nflask='*'\n";
        let expected = [("django[argon2]", Usage::Runtime), ("django", Usage::Runtime), ("flask", Usage::Development)];
        assert_eq!(found(&pyproject("pyproject.toml", text).unwrap()), expected);
        assert!(pyproject("pyproject.toml", "[project").unwrap_err().starts_with("not valid TOML"));
    }

    #[test]
    fn a_requirement_is_shown_without_its_address_and_its_marker() {
        let text = "[project]\nname='a'\ndependencies=['psycopg[binary] @ git+https://x:ghp_SECRET@github.com/a/b', 'flask>=2; python_version > \"3.8\"']\n";
        let manifest = pyproject("pyproject.toml", text).unwrap();
        let places: Vec<String> = manifest.dependencies.iter().map(|dependency| dependency.evidence("p").to_string()).collect();
        let psycopg = "p project.dependencies: psycopg[binary]";
        assert_eq!(places, [psycopg, psycopg, "p project.dependencies: flask>=2"]);
    }

    #[test]
    fn setup_py_is_read_without_its_comments_and_never_run() {
        let text = "# install_requires=['rails']\nsetup(install_requires=[\n 'flask>=2', # 'django'\n 'redis'], extras_require={'dev': ['pytest']})";
        assert_eq!(
            found(&setup_py("setup.py", text).unwrap()),
            [("flask", Usage::Runtime), ("redis", Usage::Runtime), ("pytest", Usage::Optional)]
        );
    }

    #[test]
    fn setup_cfg_lists_by_indentation() {
        let text = "[metadata]\nname = x\n[options]\ninstall_requires =\n    flask>=2\n    redis\npackages = find:\n[options.extras_require]\ndev = pytest\n";
        assert_eq!(
            found(&setup_cfg("setup.cfg", text).unwrap()),
            [("flask", Usage::Runtime), ("redis", Usage::Runtime), ("pytest", Usage::Optional)]
        );
    }
}
