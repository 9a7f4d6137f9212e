//! `pom.xml`, `build.gradle(.kts)`, version catalogues. Names are `group:artifact`.

use toml::{Table, Value};

use super::{
    Ecosystem, Manifest, Usage,
    python::not_toml,
    xml::{self, Lines},
};
use crate::analysis::lexer::{Comments, Token, tokens};

/// Dependencies and the parent; a `${property}` in a group or an artifact stays as it is.
pub fn pom(path: &str, text: &str) -> Result<Manifest, String> {
    let document = xml::parse(text)?;
    let lines = Lines::of(text);
    let mut manifest = Manifest::new(path, Ecosystem::Java);
    let project = document.root_element();
    let child = |node: roxmltree::Node<'_, '_>, name: &str| -> Option<String> {
        node.children().find(|child| child.has_tag_name(name) || child.tag_name().name() == name)?.text().map(|text| text.trim().to_owned())
    };
    manifest.name = child(project, "artifactId");
    manifest.is_workspace_root = project.children().any(|node| node.tag_name().name() == "modules");
    for node in project.descendants().filter(|node| matches!(node.tag_name().name(), "dependency" | "parent" | "plugin")) {
        let is_managed =
            node.ancestors().take(12).any(|ancestor| matches!(ancestor.tag_name().name(), "dependencyManagement" | "pluginManagement"));
        let (Some(group), Some(artifact)) = (child(node, "groupId"), child(node, "artifactId")) else { continue };
        if is_managed {
            continue;
        }
        let usage = match (child(node, "scope").as_deref(), child(node, "optional").as_deref()) {
            (Some("test"), _) => Usage::Development,
            (_, Some("true")) => Usage::Optional,
            _ => Usage::Runtime,
        };
        manifest.depends_at(&format!("{group}:{artifact}"), usage, lines.at(node.range().start));
    }
    Ok(manifest)
}

/// A program: only `configuration "group:artifact:version"`, `group: "g", name: "a"` and `id "plugin"` are read.
pub fn gradle(path: &str, text: &str) -> Result<Manifest, String> {
    let mut manifest = Manifest::new(path, Ecosystem::Java);
    let tokens = tokens(text, Comments::Slashes);
    for (index, (line, token)) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let after: Vec<Token<'_>> =
            tokens[index + 1..].iter().map(|(_, token)| *token).filter(|token| !matches!(token, Token::Symbol('('))).take(7).collect();
        if *word == "id" {
            if let Some(Token::Text(plugin)) = after.first() {
                manifest.installs_command |= *plugin == "application";
                manifest.is_importable |= *plugin == "java-library";
                manifest.depends_at(&format!("{plugin}:plugin"), Usage::Runtime, *line);
            }
            continue;
        }
        let usage = match *word {
            "implementation" | "api" | "runtimeOnly" | "compile" | "compileOnly" | "runtime" => Usage::Runtime,
            "testImplementation"
            | "testRuntimeOnly"
            | "testCompile"
            | "androidTestImplementation"
            | "annotationProcessor"
            | "kapt"
            | "ksp"
            | "developmentOnly" => Usage::Development,
            _ => continue,
        };
        match after.as_slice() {
            [Token::Text(coordinates), ..] => {
                let mut parts = coordinates.splitn(3, ':');
                if let (Some(group), Some(artifact)) = (parts.next(), parts.next()) {
                    manifest.depends_at(&format!("{group}:{artifact}"), usage, *line);
                }
            }
            [
                Token::Word("group"),
                Token::Symbol(':' | '='),
                Token::Text(group),
                Token::Symbol(','),
                Token::Word("name"),
                Token::Symbol(':' | '='),
                Token::Text(artifact),
            ] => {
                manifest.depends_at(&format!("{group}:{artifact}"), usage, *line);
            }
            _ => {}
        }
    }
    Ok(manifest)
}

/// `gradle/libs.versions.toml`: what it lists is taken as used.
pub fn version_catalog(path: &str, text: &str) -> Result<Manifest, String> {
    let root: Table = text.parse().map_err(|error: toml::de::Error| not_toml(&error))?;
    let mut manifest = Manifest::new(path, Ecosystem::Java);
    // It belongs to the build in the folder above and is no package of its own.
    manifest.is_workspace_root = true;
    for (alias, library) in root.get("libraries").and_then(Value::as_table).into_iter().flatten() {
        let part = |key: &str| library.get(key).and_then(Value::as_str);
        let name = part("module").or(library.as_str()).map(str::to_owned).or_else(|| Some(format!("{}:{}", part("group")?, part("name")?)));
        let Some(name) = name else { continue };
        let name: Vec<&str> = name.splitn(3, ':').take(2).collect();
        let usage =
            if name.iter().any(|part| part.contains("test") || part.contains("junit")) { Usage::Development } else { Usage::Runtime };
        manifest.depends(&name.join(":"), usage, format!("libraries.{alias}"));
    }
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
    fn a_pom_is_read_without_comments_and_managed_versions() {
        let text = r#"<project xmlns="http://maven.apache.org/POM/4.0.0"><artifactId>shop</artifactId>
<parent><groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter-parent</artifactId></parent>
<dependencyManagement><dependencies><dependency><groupId>io.sentry</groupId><artifactId>sentry</artifactId></dependency></dependencies></dependencyManagement>
<dependencies><!-- <dependency><groupId>a</groupId><artifactId>b</artifactId></dependency> -->
<dependency><groupId>org.postgresql</groupId><artifactId>postgresql</artifactId></dependency>
<dependency><groupId>com.h2database</groupId><artifactId>h2</artifactId><scope>test</scope></dependency></dependencies></project>"#;
        let manifest = pom("pom.xml", text).unwrap();
        assert_eq!(manifest.name.as_deref(), Some("shop"));
        let expected = [
            ("org.springframework.boot:spring-boot-starter-parent", Usage::Runtime),
            ("org.postgresql:postgresql", Usage::Runtime),
            ("com.h2database:h2", Usage::Development),
        ];
        assert_eq!(found(&manifest), expected);
        assert!(pom("pom.xml", "<project>").unwrap_err().starts_with("not valid XML"));
    }

    #[test]
    fn gradle_is_read_in_both_dialects() {
        let text = "plugins { id(\"org.springframework.boot\") version \"3\" }\ndependencies {\n // implementation 'x:y:1'\n implementation 'org.postgresql:postgresql:42'\n testImplementation(\"com.h2database:h2\")\n runtimeOnly group: 'io.lettuce', name: 'lettuce-core'\n}";
        let expected = [
            ("org.springframework.boot:plugin", Usage::Runtime),
            ("org.postgresql:postgresql", Usage::Runtime),
            ("com.h2database:h2", Usage::Development),
            ("io.lettuce:lettuce-core", Usage::Runtime),
        ];
        assert_eq!(found(&gradle("build.gradle", text).unwrap()), expected);
    }

    #[test]
    fn a_version_catalogue_names_modules_in_three_ways() {
        let text = "[libraries]\na = { module = 'io.ktor:ktor-server-core', version = '3' }\nb = { group = 'org.postgresql', name = 'postgresql' }\nc = 'io.sentry:sentry:7'\n";
        let names: Vec<String> =
            version_catalog("gradle/libs.versions.toml", text).unwrap().dependencies.into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["io.ktor:ktor-server-core", "org.postgresql:postgresql", "io.sentry:sentry"]);
    }
}
