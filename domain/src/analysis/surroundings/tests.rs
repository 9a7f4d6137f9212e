#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::{container::image_name, *};
use crate::analysis::SourceFile;

fn surroundings_of(path: &str, content: &str) -> (Surroundings, Vec<String>) {
    let files = [SourceFile { path: path.into(), size: content.len() as u64, content: Some(content.into()) }];
    let mut warnings = Vec::new();
    let found = read(&Tree::new(&files), &mut Budget::new(&mut || true), &mut warnings);
    (found, warnings)
}

fn technologies(path: &str, content: &str) -> Vec<&'static str> {
    surroundings_of(path, content).0.signs.into_iter().map(|sign| sign.technology).collect()
}

#[test]
fn an_image_is_named_without_registry_tag_and_digest() {
    for image in
        ["postgres", "postgres:16-alpine", "docker.io/library/postgres:16", "localhost:5000/postgres@sha256:ab", "${IMAGE:-postgres:15}"]
    {
        assert_eq!(image_name(image), "postgres", "{image}");
    }
    assert_eq!(image_name("ghcr.io/getmeili/meilisearch:v1"), "getmeili/meilisearch");
}

#[test]
fn compose_images_reveal_databases_but_comments_do_not() {
    let text = "services:\n  db: &db\n    image: \"postgres:16\"\n  cache: { image: redis:7 }\n  web:\n    build: .\n    # image: mysql\n";
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
fn a_command_of_one_word_is_the_program_and_no_other_word() {
    let of = |command: &str| technologies("package.json", &format!(r#"{{ "scripts": {{"do": "{command}"}} }}"#));
    for command in
        ["surge dist", "npm run build && npx --yes surge@latest dist", "SURGE_TOKEN=x pnpm dlx surge", "pnpm exec surge", "yarn surge"]
    {
        assert_eq!(of(command), ["surge"], "{command}");
    }
    for command in ["vitest run src/surge", "cd packages/surge", "npm install surge", "yarn add surge", "node surge.js"] {
        assert!(of(command).is_empty(), "{command}");
    }
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
