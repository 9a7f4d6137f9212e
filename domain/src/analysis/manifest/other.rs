//! Go, Ruby, PHP, .NET, Elixir and Dart.

use serde_json::Value;

use super::{
    Ecosystem, Manifest, Usage,
    xml::{self, Lines},
};
use crate::analysis::lexer::{Comments, Token, tokens};

/// Tokens of a statement that are looked at: no dependency is declared in more, and hostile lines must not cost more.
const STATEMENT_MAX: usize = 60;

/// `require` lines and blocks; what is `// indirect` is not the project's own choice.
pub fn go_mod(path: &str, text: &str) -> Result<Manifest, String> {
    let mut manifest = Manifest::new(path, Ecosystem::Go);
    let mut block = "";
    for (number, line) in (1..).zip(text.lines()) {
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        let words: Vec<&str> = code.split_ascii_whitespace().collect();
        let required = match words.as_slice() {
            ["module", name] => {
                manifest.name = Some((*name).trim_matches('"').to_owned());
                continue;
            }
            [directive, "("] => {
                block = directive;
                continue;
            }
            [")"] => {
                block = "";
                continue;
            }
            ["require" | "tool", module, ..] => module,
            [module, _] if block == "require" => module,
            _ => continue,
        };
        if comment.trim() != "indirect" {
            manifest.depends_at(without_major(required.trim_matches('"')), Usage::Runtime, number);
        }
    }
    if manifest.name.is_none() { Err("no module line".to_owned()) } else { Ok(manifest) }
}

/// `github.com/jackc/pgx/v5` is a version of `github.com/jackc/pgx`.
fn without_major(module: &str) -> &str {
    match module.rsplit_once("/v") {
        Some((base, version)) if !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => module,
    }
}

/// A program: only `gem "name"` at the start of a statement is read, with the group that it stands in.
pub fn gemfile(path: &str, text: &str) -> Result<Manifest, String> {
    let mut manifest = Manifest::new(path, Ecosystem::Ruby);
    // What each open block is: a group for development, or anything else. How many are of the former is counted, not searched each time.
    let mut blocks: Vec<bool> = Vec::new();
    let mut development_blocks = 0_usize;
    let tokens = tokens(text, Comments::Hash);
    let mut start = 0;
    for (index, (line, token)) in tokens.iter().enumerate() {
        let is_first = index == 0 || tokens[index - 1].0 < *line;
        if is_first {
            start = index;
        }
        let statement = || tokens[index..].iter().take(STATEMENT_MAX).take_while(|(other, _)| other == line).map(|(_, token)| *token);
        match token {
            Token::Word("gem") if is_first => {
                let Some(Token::Text(name)) = statement().skip(1).find(|token| *token != Token::Symbol('(')) else { continue };
                let in_statement =
                    statement().any(|token| matches!(token, Token::Word("group" | "groups"))) && names_development(statement());
                let usage = if in_statement || development_blocks > 0 { Usage::Development } else { Usage::Runtime };
                manifest.depends_at(name, usage, *line);
            }
            Token::Word("do") => {
                let header = tokens[start..index].iter().take(STATEMENT_MAX).map(|(_, token)| *token);
                let is_development = matches!(tokens[start].1, Token::Word("group")) && names_development(header);
                development_blocks += usize::from(is_development);
                blocks.push(is_development);
            }
            Token::Word("if" | "unless" | "case" | "begin" | "def" | "class" | "module" | "while") if is_first => blocks.push(false),
            Token::Word("end") => development_blocks -= usize::from(blocks.pop() == Some(true)),
            _ => {}
        }
    }
    Ok(manifest)
}

fn names_development<'a>(mut statement: impl Iterator<Item = Token<'a>>) -> bool {
    statement.any(|token| matches!(token, Token::Word("development" | "test" | "ci") | Token::Text("development" | "test")))
}

/// `spec.add_dependency "name"` and its development kin.
pub fn gemspec(path: &str, text: &str) -> Result<Manifest, String> {
    let mut manifest = Manifest::new(path, Ecosystem::Ruby);
    manifest.is_importable = true;
    let tokens = tokens(text, Comments::Hash);
    for (index, (line, token)) in tokens.iter().enumerate() {
        let usage = match token {
            Token::Word("add_dependency" | "add_runtime_dependency") => Usage::Runtime,
            Token::Word("add_development_dependency") => Usage::Development,
            Token::Word("executables") => {
                manifest.installs_command = true;
                continue;
            }
            _ => continue,
        };
        if let Some((_, Token::Text(name))) = tokens[index + 1..].iter().find(|(_, token)| *token != Token::Symbol('(')) {
            manifest.depends_at(name, usage, *line);
        }
    }
    Ok(manifest)
}

pub fn composer_json(path: &str, text: &str) -> Result<Manifest, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))?;
    let mut manifest = Manifest::new(path, Ecosystem::Php);
    manifest.name = value["name"].as_str().map(str::to_owned);
    for (group, usage) in [("require", Usage::Runtime), ("require-dev", Usage::Development), ("suggest", Usage::Optional)] {
        for (name, _) in value[group].as_object().into_iter().flatten() {
            manifest.depends(name, usage, format!("{group}.{name}"));
        }
    }
    // Composer takes a package for a library unless it says otherwise, but only one with a name can be required by others.
    manifest.is_importable =
        value["type"].as_str().map_or(manifest.name.is_some(), |kind| kind == "library") && value["autoload"].is_object();
    manifest.is_published = value["type"].is_string();
    manifest.installs_command = value["bin"].is_array() || value["bin"].is_string();
    Ok(manifest)
}

/// The SDK counts as a dependency `sdk:NAME`, since it tells a web project from the others.
pub fn dotnet_project(path: &str, text: &str) -> Result<Manifest, String> {
    let document = xml::parse(text)?;
    let lines = Lines::of(text);
    let mut manifest = Manifest::new(path, Ecosystem::Dotnet);
    let is_test =
        document.descendants().any(|node| node.attribute("Include").is_some_and(|include| include.starts_with("Microsoft.NET.Test.Sdk")));
    let usage = if is_test { Usage::Development } else { Usage::Runtime };
    if let Some(sdk) = document.root_element().attribute("Sdk") {
        manifest.depends(&format!("sdk:{sdk}"), usage, "Project.Sdk");
    }
    for node in document.descendants().filter(|node| node.tag_name().name() == "PackageReference") {
        if let Some(name) = node.attribute("Include") {
            manifest.depends_at(name, usage, lines.at(node.range().start));
        }
    }
    let output = document.descendants().find(|node| node.tag_name().name() == "OutputType").and_then(|node| node.text());
    manifest.installs_command = !is_test && output.is_some_and(|output| output.trim().eq_ignore_ascii_case("exe"));
    // These two make a program without being told to.
    let makes_program = document.root_element().attribute("Sdk").is_some_and(|sdk| {
        let name = sdk.split('/').next().unwrap_or(sdk);
        matches!(name, "Microsoft.NET.Sdk.Web" | "Microsoft.NET.Sdk.Worker" | "Microsoft.NET.Sdk.BlazorWebAssembly")
    });
    manifest.is_importable = !is_test && output.is_none() && !makes_program;
    Ok(manifest)
}

/// A program: only tuples `{:name, ...}` are read; `only: :dev` and `only: [:dev, :test]` are for development.
pub fn mix_exs(path: &str, text: &str) -> Result<Manifest, String> {
    let mut manifest = Manifest::new(path, Ecosystem::Elixir);
    let tokens = tokens(text, Comments::Hash);
    for (index, window) in tokens.windows(4).enumerate() {
        let [(line, Token::Symbol('{')), (_, Token::Symbol(':')), (_, Token::Word(name)), (_, Token::Symbol(','))] = window else {
            continue;
        };
        let tuple: Vec<Token<'_>> = tokens[index + 3..]
            .iter()
            .take(STATEMENT_MAX)
            .map(|(_, token)| *token)
            .take_while(|token| *token != Token::Symbol('}'))
            .collect();
        let only: Vec<Token<'_>> = tuple.iter().copied().skip_while(|token| *token != Token::Word("only")).collect();
        let is_development = !only.is_empty() && !only.contains(&Token::Word("prod"));
        manifest.depends_at(name, if is_development { Usage::Development } else { Usage::Runtime }, *line);
    }
    Ok(manifest)
}

pub fn pubspec(path: &str, text: &str) -> Result<Manifest, String> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| format!("not valid YAML: {error}"))?;
    let mut manifest = Manifest::new(path, Ecosystem::Dart);
    manifest.name = value["name"].as_str().map(str::to_owned);
    for (group, usage) in [("dependencies", Usage::Runtime), ("dev_dependencies", Usage::Development)] {
        for (name, _) in value[group].as_object().into_iter().flatten() {
            manifest.depends(name, usage, format!("{group}.{name}"));
        }
    }
    manifest.installs_command = value["executables"].is_object();
    manifest.is_importable = value["publish_to"].as_str() != Some("none");
    manifest.is_published = manifest.is_importable && ["homepage", "repository"].iter().any(|key| value[*key].is_string());
    Ok(manifest)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn found(manifest: &Manifest) -> Vec<(&str, Usage)> {
        manifest.dependencies.iter().map(|dependency| (dependency.name.as_str(), dependency.usage)).collect()
    }

    #[test]
    fn indirect_go_modules_are_not_the_projects_choice() {
        let text = "module example.com/a\ngo 1.24\nrequire github.com/jackc/pgx/v5 v5.1.0\nrequire (\n\tgithub.com/gin-gonic/gin v1.9.0\n\tgithub.com/lib/pq v1.0.0 // indirect\n)\n";
        let expected = [("github.com/jackc/pgx", Usage::Runtime), ("github.com/gin-gonic/gin", Usage::Runtime)];
        assert_eq!(found(&go_mod("go.mod", text).unwrap()), expected);
        assert!(go_mod("go.mod", "hello").is_err());
    }

    #[test]
    fn a_comment_in_a_gemfile_makes_no_rails_project() {
        let text = "source 'https://rubygems.org'\n# gem 'rails'\ngem 'sinatra'\ngroup :development, :test do\n  gem 'sqlite3' if true\n  platforms :ruby do\n    gem 'pry'\n  end\nend\ngem \"pg\"\ngem 'rake', group: :test\n";
        let expected = [
            ("sinatra", Usage::Runtime),
            ("sqlite3", Usage::Development),
            ("pry", Usage::Development),
            ("pg", Usage::Runtime),
            ("rake", Usage::Development),
        ];
        assert_eq!(found(&gemfile("Gemfile", text).unwrap()), expected);
    }

    #[test]
    fn a_mix_file_tells_what_is_only_for_development() {
        let text = "defp deps do\n [ {:phoenix, \"~> 1.7\"}, {:credo, \"~> 1\", only: [:dev, :test]}, # {:x, 1}\n {:postgrex, \">= 0.0.0\"} ]\nend";
        let expected = [("phoenix", Usage::Runtime), ("credo", Usage::Development), ("postgrex", Usage::Runtime)];
        assert_eq!(found(&mix_exs("mix.exs", text).unwrap()), expected);
    }

    #[test]
    fn a_web_sdk_and_packages_are_read_from_a_dotnet_project() {
        let text =
            "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><ItemGroup><PackageReference Include=\"Npgsql\" Version=\"8\"/></ItemGroup></Project>";
        let expected = [("sdk:Microsoft.NET.Sdk.Web", Usage::Runtime), ("Npgsql", Usage::Runtime)];
        assert_eq!(found(&dotnet_project("a.csproj", text).unwrap()), expected);
    }

    #[test]
    fn a_pubspec_is_yaml() {
        let text = "name: app\ndependencies:\n  flutter:\n    sdk: flutter\ndev_dependencies:\n  lints: ^3.0.0\n";
        assert_eq!(found(&pubspec("pubspec.yaml", text).unwrap()), [("flutter", Usage::Runtime), ("lints", Usage::Development)]);
        assert!(pubspec("pubspec.yaml", "a: [").unwrap_err().starts_with("not valid YAML"));
    }
}
