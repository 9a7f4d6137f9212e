//! The knowledge of the analysis, read from `rules/*.toml` at its first use.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use super::{Category, TechnologyKind};

/// Where packages come from; each has its own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecosystem {
    Npm,
    Deno,
    Python,
    Rust,
    Go,
    Ruby,
    Php,
    Java,
    Dotnet,
    Elixir,
    Dart,
}

impl Ecosystem {
    /// What runs its code.
    pub fn runtime(self) -> &'static str {
        match self {
            Self::Npm => "node",
            Self::Deno => "deno",
            Self::Python => "python",
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Ruby => "ruby",
            Self::Php => "php",
            Self::Java => "java",
            Self::Dotnet => "dotnet",
            Self::Elixir => "elixir",
            Self::Dart => "dart",
        }
    }

    /// The languages that are written for it.
    pub fn languages(self) -> &'static [&'static str] {
        match self {
            Self::Npm => &["JavaScript", "TypeScript", "Vue", "Svelte", "Astro", "MDX", "CoffeeScript"],
            Self::Deno => &["TypeScript", "JavaScript"],
            Self::Python => &["Python", "Jupyter Notebook"],
            Self::Rust => &["Rust"],
            Self::Go => &["Go"],
            Self::Ruby => &["Ruby", "Haml", "Slim"],
            Self::Php => &["PHP", "Twig"],
            Self::Java => &["Java", "Kotlin", "Scala", "Groovy", "Clojure"],
            Self::Dotnet => &["C#", "F#", "Visual Basic .NET", "Razor"],
            Self::Elixir => &["Elixir"],
            Self::Dart => &["Dart"],
        }
    }
}

/// What a technology is and does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Technology {
    pub name: String,
    #[serde(skip, default = "unset_kind")]
    pub kind: TechnologyKind,
    #[serde(default)]
    pub ui: bool,
    #[serde(default)]
    pub server: bool,
    #[serde(default)]
    pub mobile: bool,
    #[serde(default)]
    pub desktop: bool,
    #[serde(default)]
    pub data: bool,
    #[serde(default)]
    pub generator: bool,
    #[serde(default)]
    pub documentation: bool,
    #[serde(default)]
    pub build: bool,
    #[serde(default)]
    pub deploys: bool,
    #[serde(default)]
    pub files_only: bool,
    #[serde(default)]
    pub primary: bool,
    #[serde(default)]
    pub stores: bool,
    #[serde(default)]
    pub component_library: bool,
    #[serde(default)]
    pub tokens: bool,
    #[serde(default)]
    pub fills: Vec<Category>,
    #[serde(default)]
    pub means: Vec<String>,
}

fn unset_kind() -> TechnologyKind {
    TechnologyKind::Library
}

/// Names to technologies; a name that ends in `*` stands for all that begin so.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Names(BTreeMap<String, OneOrMore>);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Names {
    /// The technologies that a name reveals: those of the exact name and those of each prefix that fits.
    pub fn find<'n>(&'n self, name: &str) -> impl Iterator<Item = &'n str> + use<'n> {
        let exact = self.0.get(name);
        let prefixes: Vec<_> =
            self.0.iter().filter(|(key, _)| key.strip_suffix('*').is_some_and(|prefix| name.starts_with(prefix))).collect();
        exact
            .into_iter()
            .chain(prefixes.into_iter().map(|(_, found)| found))
            .flat_map(|found| match found {
                OneOrMore::One(one) => std::slice::from_ref(one),
                OneOrMore::More(more) => more,
            })
            .map(String::as_str)
    }

    /// The technology of the longest key that the name ends with, at the border of a domain label.
    pub fn find_suffix(&self, host: &str) -> Option<&str> {
        let labels = host.match_indices('.').map(|(index, _)| &host[index + 1..]);
        std::iter::once(host).chain(labels).find_map(|suffix| self.find(suffix).next())
    }

    #[cfg(test)]
    fn values(&self) -> impl Iterator<Item = &str> {
        self.0.keys().flat_map(|key| self.find(key))
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EcosystemFile {
    packages: Names,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherFile {
    nuget: Names,
    hex: Names,
    #[serde(rename = "pub")]
    dart: Names,
    deno: Names,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurroundingsFile {
    pub files: Names,
    pub images: Names,
    pub variables: Names,
    pub actions: Names,
    pub schemes: Names,
    pub hosts: Names,
    pub providers: Names,
    pub commands: Names,
    pub resources: Names,
    pub bindings: Names,
    pub firebase: Names,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguagesFile {
    extensions: BTreeMap<String, Vec<String>>,
    names: BTreeMap<String, Vec<String>>,
    interpreters: BTreeMap<String, Vec<String>>,
}

pub struct Languages {
    pub by_extension: BTreeMap<String, String>,
    pub by_name: BTreeMap<String, String>,
    pub by_interpreter: BTreeMap<String, String>,
}

pub struct Rules {
    pub technologies: BTreeMap<String, Technology>,
    pub surroundings: SurroundingsFile,
    pub languages: Languages,
    packages: BTreeMap<Ecosystem, Names>,
}

impl Rules {
    pub fn packages(&self, ecosystem: Ecosystem) -> &Names {
        &self.packages[&ecosystem]
    }

    /// The technologies that a package reveals. Deno takes packages of npm too, as `npm:express`.
    pub fn package<'r>(&'r self, ecosystem: Ecosystem, name: &str) -> impl Iterator<Item = &'r str> + use<'r> {
        match name.strip_prefix("npm:") {
            Some(name) if ecosystem == Ecosystem::Deno => self.packages(Ecosystem::Npm).find(name),
            _ => self.packages(ecosystem).find(name),
        }
    }
}

/// The rules, parsed once.
pub fn rules() -> &'static Rules {
    static RULES: LazyLock<Rules> = LazyLock::new(load);
    &RULES
}

fn load() -> Rules {
    let other: OtherFile = parse("other.toml", include_str!("rules/other.toml"));
    let ecosystem = |name: &str, text: &str| parse::<EcosystemFile>(name, text).packages;
    let packages = BTreeMap::from([
        (Ecosystem::Npm, ecosystem("npm.toml", include_str!("rules/npm.toml"))),
        (Ecosystem::Python, ecosystem("python.toml", include_str!("rules/python.toml"))),
        (Ecosystem::Rust, ecosystem("rust.toml", include_str!("rules/rust.toml"))),
        (Ecosystem::Go, ecosystem("go.toml", include_str!("rules/go.toml"))),
        (Ecosystem::Ruby, ecosystem("ruby.toml", include_str!("rules/ruby.toml"))),
        (Ecosystem::Php, ecosystem("php.toml", include_str!("rules/php.toml"))),
        (Ecosystem::Java, ecosystem("java.toml", include_str!("rules/java.toml"))),
        (Ecosystem::Deno, other.deno),
        (Ecosystem::Dotnet, other.nuget),
        (Ecosystem::Elixir, other.hex),
        (Ecosystem::Dart, other.dart),
    ]);
    let languages: LanguagesFile = parse("languages.toml", include_str!("rules/languages.toml"));
    Rules {
        technologies: technologies(),
        surroundings: parse("surroundings.toml", include_str!("rules/surroundings.toml")),
        languages: Languages {
            by_extension: invert(languages.extensions),
            by_name: invert(languages.names),
            by_interpreter: invert(languages.interpreters),
        },
        packages,
    }
}

fn technologies() -> BTreeMap<String, Technology> {
    let by_kind: BTreeMap<TechnologyKind, BTreeMap<String, Technology>> =
        parse("technologies.toml", include_str!("rules/technologies.toml"));
    let with_kind = |(kind, list): (TechnologyKind, BTreeMap<String, Technology>)| {
        list.into_iter().map(move |(id, technology)| (id, Technology { kind, ..technology }))
    };
    by_kind.into_iter().flat_map(with_kind).collect()
}

fn parse<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> T {
    toml::from_str(text).unwrap_or_else(|error| panic!("the built-in rules {name} are read by a test: {error}"))
}

fn invert(lists: BTreeMap<String, Vec<String>>) -> BTreeMap<String, String> {
    lists.into_iter().flat_map(|(language, keys)| keys.into_iter().map(move |key| (key, language.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What the rules and their companions name.
    fn named(rules: &Rules) -> impl Iterator<Item = &str> {
        let around = &rules.surroundings;
        let names = rules.packages.values().chain([
            &around.files,
            &around.images,
            &around.variables,
            &around.actions,
            &around.schemes,
            &around.hosts,
            &around.providers,
            &around.commands,
            &around.resources,
            &around.bindings,
            &around.firebase,
        ]);
        let means = rules.technologies.values().flat_map(|technology| technology.means.iter().map(String::as_str));
        names.flat_map(Names::values).chain(means)
    }

    #[test]
    fn every_rule_names_a_technology_that_exists() {
        for id in named(rules()) {
            assert!(rules().technologies.contains_key(id), "no technology `{id}`");
        }
    }

    #[test]
    fn every_technology_is_revealed_by_some_rule() {
        // The job `pages` of a pipeline has no rule of its own.
        let named: BTreeSet<&str> = named(rules()).chain(["gitlab-pages"]).collect();
        let unknown: Vec<&String> = rules().technologies.keys().filter(|id| !named.contains(id.as_str())).collect();
        assert!(unknown.is_empty(), "nothing reveals {unknown:?}");
    }

    #[test]
    fn actions_are_written_as_they_are_looked_up() {
        assert!(rules().surroundings.actions.keys().all(|key| !key.bytes().any(|byte| byte.is_ascii_uppercase())));
    }

    #[test]
    fn a_name_finds_its_exact_rule_and_its_prefixes() {
        let npm = rules().packages(Ecosystem::Npm);
        assert_eq!(npm.find("@supabase/ssr").collect::<Vec<_>>(), ["supabase"]);
        assert_eq!(npm.find("supabase-lookalike").count(), 0);
        let java = rules().packages(Ecosystem::Java);
        let found: Vec<_> = java.find("org.springframework.boot:spring-boot-starter-data-jpa").collect();
        assert_eq!(found, ["hibernate", "spring-boot"]);
    }

    #[test]
    fn a_host_is_found_by_its_end_at_a_dot() {
        let hosts = &rules().surroundings.hosts;
        assert_eq!(hosts.find_suffix("ep-cool-1.eu-central-1.aws.neon.tech"), Some("neon"));
        assert_eq!(hosts.find_suffix("notneon.tech"), None);
    }
}
