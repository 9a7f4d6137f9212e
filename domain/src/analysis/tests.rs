//! Whole projects, as they look in real repositories, and the mistakes that other detectors are known for.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bounds;
mod hosts;
mod kinds;
mod needs;
mod services;

use proptest::prelude::*;

use super::*;

fn project(files: &[(&str, &str)]) -> Vec<SourceFile> {
    files
        .iter()
        .map(|(path, content)| SourceFile { path: (*path).into(), size: content.len() as u64, content: Some((*content).into()) })
        .collect()
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.id.as_str()).collect()
}

fn need(analysis: &Analysis, category: Category) -> Option<&Need> {
    analysis.needs.iter().find(|need| need.category == category)
}

pub fn nextjs_with_prisma() -> Vec<SourceFile> {
    project(&[
        (
            "package.json",
            r#"{ "name": "shop", "private": true, "scripts": {"dev": "next dev", "build": "next build", "start": "next start"},
                 "dependencies": {"next": "15.0.0", "react": "19.0.0", "@prisma/client": "6.0.0", "stripe": "17.0.0"},
                 "devDependencies": {"prisma": "6.0.0", "typescript": "5.6.0", "better-sqlite3": "11.0.0"} }"#,
        ),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n"),
        ("prisma/schema.prisma", "datasource db {\n  provider = \"postgresql\"\n  url = env(\"DATABASE_URL\")\n}\n"),
        ("app/page.tsx", "export default function Page() { return <main>Shop</main> }"),
        (".env.example", "DATABASE_URL=postgresql://localhost:5432/shop\nSTRIPE_SECRET_KEY=\n"),
        ("README.md", "Deploy it to Vercel or Netlify, use Supabase and MongoDB."),
    ])
}

#[test]
fn nextjs_with_prisma_lacks_a_hosted_database_and_says_why() {
    let analysis = analyze(&nextjs_with_prisma());
    assert_eq!(analysis.kind, ProjectKind::FullStackApp);
    assert_eq!(analysis.runtime.as_deref(), Some("node"));
    assert!(!analysis.is_static);
    assert_eq!(ids(&analysis.frameworks), ["nextjs", "react"]);
    assert_eq!(ids(&analysis.databases), ["postgresql"]);
    assert_eq!(ids(&analysis.data_access), ["prisma"]);
    assert_eq!(ids(&analysis.services), ["stripe"], "what only the README names is no evidence");
    assert_eq!(ids(&analysis.package_managers), ["pnpm"]);
    assert_eq!(analysis.start_command.as_ref().unwrap().command, "pnpm run start");

    let database = need(&analysis, Category::Database).unwrap();
    assert_eq!(database.reason, "your project uses Prisma with PostgreSQL and no hosted database");
    assert_eq!(database.evidence[0].to_string(), "package.json dependencies.@prisma/client");
    assert!(need(&analysis, Category::Hosting).is_some() && need(&analysis, Category::Payments).is_none());
}

#[test]
fn development_dependencies_are_told_apart() {
    let analysis = analyze(&nextjs_with_prisma());
    let sqlite = analysis.development.iter().find(|finding| finding.id == "sqlite").unwrap();
    assert_eq!((sqlite.usage, sqlite.evidence[0].key.as_deref()), (Usage::Development, Some("devDependencies.better-sqlite3")));
}

#[test]
fn django_in_a_container_is_an_app_that_is_ready_but_for_a_host() {
    let analysis = analyze(&project(&[
        ("requirements.txt", "Django==5.1\npsycopg2-binary>=2.9 # postgres\ngunicorn==23.0\n# flask\n"),
        ("manage.py", "#!/usr/bin/env python\nimport django\n"),
        ("shop/settings.py", "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql'}}\n"),
        ("shop/templates/index.html", "<h1>Shop</h1>"),
        ("package.json", r#"{ "devDependencies": {"tailwindcss": "3"} }"#),
        ("Dockerfile", "FROM python:3.13\nCOPY . .\nCMD [\"gunicorn\", \"shop.wsgi\"]\n"),
    ]));
    assert_eq!((analysis.kind, analysis.runtime.as_deref()), (ProjectKind::FullStackApp, Some("python")));
    assert_eq!(ids(&analysis.frameworks), ["django"]);
    assert_eq!(ids(&analysis.databases), ["postgresql"]);
    let start = analysis.start_command.as_ref().unwrap();
    assert_eq!((start.command.as_str(), start.stated, start.evidence.to_string().as_str()), ("gunicorn shop.wsgi", true, "Dockerfile:3"));
    let hosting = need(&analysis, Category::Hosting).unwrap();
    assert_eq!(hosting.reason, "your project has a container file and no host to run it");
    assert!(need(&analysis, Category::Auth).is_none(), "Django signs people in");
    assert_eq!(analysis.deployment_readiness.value, 40, "{:?}", analysis.deployment_readiness);
}

#[test]
fn a_static_site_needs_no_database() {
    let analysis = analyze(&project(&[
        ("index.html", "<!doctype html><link rel=stylesheet href=style.css><h1>Hello</h1>"),
        ("style.css", "h1 { color: teal }"),
        ("script.js", "console.log('mongodb://localhost, next, express')"),
    ]));
    assert_eq!((analysis.kind, analysis.is_static, analysis.start_command.is_none()), (ProjectKind::StaticSite, true, true));
    assert!(analysis.databases.is_empty() && need(&analysis, Category::Database).is_none(), "{:?}", analysis.needs);
    assert!(need(&analysis, Category::Hosting).is_some());
}

#[test]
fn an_axum_service_is_an_api_with_its_database() {
    let analysis = analyze(&project(&[
        (
            "Cargo.toml",
            "[package]\nname='api'\n[dependencies]\naxum='0.8'\nsqlx={version='0.9',features=['postgres','runtime-tokio']}\n[dev-dependencies]\nrusqlite='0.3'\n",
        ),
        ("Cargo.lock", "version = 4\n"),
        ("src/main.rs", "#[tokio::main]\nasync fn main() { Router::new().route(\"/healthz\", get(ok)); }"),
        ("compose.yaml", "services:\n  db:\n    image: postgres:17\n"),
    ]));
    assert_eq!((analysis.kind, analysis.runtime.as_deref()), (ProjectKind::ApiService, Some("rust")));
    assert_eq!(
        (ids(&analysis.frameworks), ids(&analysis.databases), ids(&analysis.data_access)),
        (vec!["axum"], vec!["postgresql"], vec!["sqlx"])
    );
    let evidence: Vec<String> = analysis.databases[0].evidence.iter().map(ToString::to_string).collect();
    assert_eq!(evidence, ["Cargo.toml dependencies.sqlx.features", "compose.yaml services.db.image"]);
    let start = analysis.start_command.unwrap();
    assert_eq!((start.command.as_str(), start.stated), ("cargo run --release", false));
    assert_eq!(analysis.design_needs.value, 0, "it has no pages");
}

/// coollabsio/coolify#10177.
#[test]
fn a_monorepo_with_supabase_functions_is_not_deno() {
    let analysis = analyze(&project(&[
        ("package.json", r#"{ "name": "root", "private": true, "workspaces": ["apps/*"], "devDependencies": {"turbo": "2"} }"#),
        ("pnpm-workspace.yaml", "packages: ['apps/*']\n"),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n"),
        (
            "apps/web/package.json",
            r#"{ "name": "web", "private": true, "dependencies": {"nuxt": "3", "@supabase/supabase-js": "2"}, "scripts": {"start": "nuxt start"} }"#,
        ),
        ("apps/web/app.vue", "<template><p>hi</p></template>"),
        ("supabase/config.toml", "project_id = \"x\"\n"),
        ("supabase/functions/deno.json", "{ \"imports\": {} }"),
        ("supabase/functions/hello/index.ts", "Deno.serve(() => new Response('a rather long function, longer than the page itself'))"),
    ]));
    assert_eq!((analysis.kind, analysis.runtime.as_deref()), (ProjectKind::FullStackApp, Some("node")));
    let functions = analysis.components.iter().find(|component| component.path == "supabase/functions").unwrap();
    assert_eq!((functions.kind, functions.runtime.as_deref()), (ProjectKind::Functions, Some("deno")));
    assert!(analysis.filling(Category::Database).any(|finding| finding.id == "supabase"));
    assert!(need(&analysis, Category::Database).is_none());
}

/// BerriAI/litellm#10839, redhat-developer/alizer#188.
#[test]
fn a_package_json_for_tools_does_not_make_a_node_project() {
    let python = analyze(&project(&[
        ("pyproject.toml", "[project]\nname='proxy'\ndependencies=['fastapi','redis']\n[build-system]\nrequires=['hatchling']\n"),
        ("package.json", r#"{ "dependencies": {"react-copy-to-clipboard": "5"}, "devDependencies": {"prettier": "3"} }"#),
        ("app/main.py", "from fastapi import FastAPI\napp = FastAPI()\n"),
    ]));
    assert_eq!((python.kind, python.runtime.as_deref()), (ProjectKind::ApiService, Some("python")));
    let php = analyze(&project(&[
        ("composer.json", r#"{ "type": "project", "require": {"php": "^8.2", "laravel/framework": "^11"} }"#),
        ("package.json", r#"{ "private": true, "devDependencies": {"vite": "5", "vue": "3", "laravel-vite-plugin": "1"} }"#),
        ("artisan", "#!/usr/bin/env php\n<?php require 'vendor/autoload.php';"),
        ("app/Models/User.php", "<?php class User extends Model {}"),
        (
            "resources/js/app.js",
            "import { createApp } from 'vue'; createApp({}).mount('#app'); // longer than all the PHP of this little project together, by far",
        ),
    ]));
    assert_eq!((php.kind, php.runtime.as_deref()), (ProjectKind::FullStackApp, Some("php")));
    assert!(ids(&php.frameworks).contains(&"laravel"));
}

/// railwayapp/railpack#735.
#[test]
fn a_server_framework_among_development_dependencies_is_not_a_static_site() {
    let analysis = analyze(&project(&[
        (
            "package.json",
            r#"{ "private": true, "devDependencies": {"@tanstack/react-start": "1", "react": "19", "vite": "6"}, "scripts": {"start": "node .output/server/index.mjs"} }"#,
        ),
        ("src/router.tsx", "export const router = 1"),
    ]));
    assert_eq!((analysis.kind, analysis.is_static), (ProjectKind::FullStackApp, false));
}

#[test]
fn a_framework_that_exports_files_is_a_static_site() {
    let mut files = nextjs_with_prisma();
    let config = "/** output: 'standalone' */\nexport default {\n  output: 'export',\n}\n";
    files.extend(project(&[("next.config.mjs", config)]));
    assert_eq!((analyze(&files).kind, analyze(&files).is_static), (ProjectKind::StaticSite, true));
}

/// aws-amplify/amplify-hosting#4028, railwayapp/nixpacks#237.
#[test]
fn a_page_and_a_server_in_two_folders_are_one_full_stack_app() {
    let analysis = analyze(&project(&[
        ("frontend/package.json", r#"{ "private": true, "dependencies": {"react": "19"}, "devDependencies": {"vite": "6"} }"#),
        ("frontend/src/App.tsx", "export const App = () => <p>hello hello hello hello hello hello</p>"),
        ("backend/requirements.txt", "flask\npymongo\n"),
        ("backend/app.py", "from flask import Flask\n"),
    ]));
    assert_eq!((analysis.kind, analysis.runtime.as_deref(), analysis.is_static), (ProjectKind::FullStackApp, Some("python"), false));
    assert_eq!(
        analysis.components.iter().map(|c| (c.path.as_str(), c.kind)).collect::<Vec<_>>(),
        [("backend", ProjectKind::ApiService), ("frontend", ProjectKind::SinglePageApp),]
    );
}

#[test]
fn libraries_tools_and_design_systems_are_told_from_apps() {
    let kind = |files: &[(&str, &str)]| analyze(&project(files)).kind;
    let library = r#"{ "name": "x", "exports": "./index.js", "dependencies": {"express": "5"} }"#;
    assert_eq!(kind(&[("package.json", library), ("index.js", "export {}")]), ProjectKind::Library);
    let tool = r#"{ "name": "x", "bin": {"x": "cli.js"}, "dependencies": {"commander": "12"} }"#;
    assert_eq!(kind(&[("package.json", tool), ("cli.js", "#!/usr/bin/env node")]), ProjectKind::CommandLineTool);
    let system =
        r#"{ "name": "@x/ui", "exports": "./index.js", "peerDependencies": {"react": "*"}, "devDependencies": {"@storybook/react": "8"} }"#;
    assert_eq!(kind(&[("package.json", system), ("src/Button.tsx", "export {}")]), ProjectKind::DesignSystem);
    assert_eq!(kind(&[("go.mod", "module example.com/x\n"), ("x.go", "package x")]), ProjectKind::Library);
    assert_eq!(
        kind(&[("Cargo.toml", "[package]\nname='x'\n[dependencies]\nclap='4'"), ("src/main.rs", "fn main() {}")]),
        ProjectKind::CommandLineTool
    );
    assert_eq!(
        kind(&[
            ("pyproject.toml", "[project]\nname='x'\n[build-system]\nrequires=[]"),
            ("mkdocs.yml", "site_name: x"),
            ("x/core.py", "pass")
        ]),
        ProjectKind::Library
    );
    assert_eq!(kind(&[("main.tf", "resource \"a\" \"b\" {}")]), ProjectKind::Infrastructure);
    assert_eq!(kind(&[("notes.txt", "hello")]), ProjectKind::Unknown);
    assert_eq!(kind(&[]), ProjectKind::Unknown);
}

#[test]
fn manifests_of_tests_and_examples_do_not_speak_for_the_project() {
    let analysis = analyze(&project(&[
        ("Cargo.toml", "[package]\nname='x'\n[lib]\n"),
        ("src/lib.rs", "pub fn f() {}"),
        ("examples/web/package.json", r#"{ "dependencies": {"next": "15", "mongoose": "8"} }"#),
        ("tests/fixtures/app/requirements.txt", "django\n"),
        ("node_modules/express/package.json", r#"{ "dependencies": {"pg": "8"} }"#),
    ]));
    assert_eq!((analysis.kind, analysis.runtime.as_deref()), (ProjectKind::Library, Some("rust")));
    assert!(analysis.frameworks.is_empty() && analysis.databases.is_empty());
    assert!(analysis.development.iter().any(|finding| finding.id == "mongodb"));
    assert!(!analysis.development.iter().any(|finding| finding.id == "postgresql"), "what others wrote is not read at all");
}

#[test]
fn what_a_published_package_is_tried_with_does_not_make_it_an_app() {
    let tool = analyze(&project(&[
        (
            "package.json",
            r#"{ "name": "create-x", "bin": {"create-x": "dist/index.js"}, "scripts": {"build": "tsup"}, "devDependencies": {"next": "15", "react": "19"} }"#,
        ),
        ("cli/index.ts", "console.log('copying')"),
        ("template/base/package.json", r#"{ "dependencies": {"next": "15", "pg": "8"} }"#),
        ("template/base/prisma/schema.prisma", "datasource db { provider = \"mysql\" }"),
    ]));
    assert_eq!(tool.kind, ProjectKind::CommandLineTool);
    assert!(tool.databases.is_empty() && tool.frameworks.is_empty(), "{:?}", tool.frameworks);
    let server_tool = r#"{ "bin": {"x": "x.js"}, "dependencies": {"fastify": "5", "commander": "12"} }"#;
    assert_eq!(analyze(&project(&[("package.json", server_tool), ("x.js", "#!/usr/bin/env node")])).kind, ProjectKind::CommandLineTool);
}

#[test]
fn an_unreadable_manifest_lowers_the_confidence_and_is_named() {
    let whole = analyze(&nextjs_with_prisma());
    let mut files = nextjs_with_prisma();
    files.extend(project(&[("api/package.json", "{ \"name\": \"api\", "), ("docker-compose.yml", "services: [")]));
    let analysis = analyze(&files);
    assert_eq!(analysis.kind, ProjectKind::FullStackApp);
    assert!(analysis.confidence < whole.confidence);
    assert!(analysis.warnings[0].starts_with("api/package.json: not valid JSON"), "{:?}", analysis.warnings);
    assert!(analysis.warnings[1].starts_with("docker-compose.yml: not valid YAML"));
}

#[test]
fn a_hosted_service_fills_its_need() {
    let mut files = nextjs_with_prisma();
    files.extend(project(&[
        ("vercel.json", "{}"),
        (".env.production.example", "DATABASE_URL=postgres://u:p@ep-a-b.eu-west-1.aws.neon.tech/db\n"),
    ]));
    let analysis = analyze(&files);
    assert_eq!(ids(&analysis.services), ["neon", "stripe", "vercel"]);
    assert!(need(&analysis, Category::Database).is_none() && need(&analysis, Category::Hosting).is_none());
}

#[test]
fn an_analysis_survives_json() {
    let analysis = analyze(&nextjs_with_prisma());
    let text = serde_json::to_string(&analysis).unwrap();
    assert_eq!(serde_json::from_str::<Analysis>(&text).unwrap(), analysis);
    assert!(text.contains("\"kind\":\"full_stack_app\""));
}

#[test]
fn a_project_that_was_not_read_to_its_end_says_so() {
    let mut analysis = analyze(&nextjs_with_prisma());
    let before = analysis.confidence;
    analysis.stopped_early("more than 20000 files".into());
    assert!(analysis.confidence < before && analysis.partial.is_some());
}

fn any_file() -> impl Strategy<Value = SourceFile> {
    let path = prop::sample::select(vec![
        "package.json",
        "apps/a/package.json",
        "requirements.txt",
        "Cargo.toml",
        "go.mod",
        "Gemfile",
        "composer.json",
        "pom.xml",
        "build.gradle",
        "mix.exs",
        "docker-compose.yml",
        "Dockerfile",
        ".env.example",
        "prisma/schema.prisma",
        "src/main.rs",
        "index.html",
        ".github/workflows/ci.yml",
        "setup.cfg",
        "pubspec.yaml",
        "a.csproj",
        "config/database.yml",
        "next.config.js",
        "wrangler.toml",
        "firebase.json",
        "config/deploy.yml",
        "infra/main.tf",
        "k8s/api.yaml",
        "cmd/api/api.go",
        "deno.json",
    ]);
    let content = prop_oneof![
        ".{0,60}",
        prop::sample::select(vec![
            "{\"dependencies\":{\"next\":\"1\",\"pg\":\"1\"}}",
            "django\nflask",
            "[package]\nname='a'\n[dependencies]\naxum='1'",
            "module a\nrequire github.com/lib/pq v1",
            "gem 'rails'\ngroup :test do\n",
            "<project><dependency><groupId>a</groupId></dependency></project>",
            "services:\n  db:\n    image: postgres\n",
            "FROM a\\\n",
            "A=postgres://x",
            "datasource db { provider = \"mysql\" }",
            "{",
            "[",
            "a: &a\n  b: *a\n",
            "implementation(\"a:b\")",
            "{:phoenix, 1}",
        ])
        .prop_map(str::to_owned),
    ];
    (path, prop::option::of(content), 0_u64..5000).prop_map(|(path, content, size)| SourceFile { path: path.into(), size, content })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_the_files_does_not_matter(files in prop::collection::vec(any_file(), 0..12), seed in any::<u64>()) {
        let mut shuffled = files.clone();
        let count = shuffled.len().max(1);
        for index in 0..shuffled.len() {
            shuffled.swap(index, usize::try_from(seed.rotate_left(u32::try_from(index).unwrap()) % count as u64).unwrap());
        }
        prop_assert_eq!(analyze(&files), analyze(&shuffled));
    }

    #[test]
    fn every_finding_has_evidence_and_every_score_is_the_sum_of_its_parts(files in prop::collection::vec(any_file(), 0..12)) {
        let analysis = analyze(&files);
        prop_assert!(analysis.in_use().chain(&analysis.development).all(|finding| !finding.evidence.is_empty()));
        for score in [&analysis.complexity, &analysis.deployment_readiness, &analysis.design_needs] {
            prop_assert_eq!(u32::from(score.value), score.parts.iter().map(|part| u32::from(part.points)).sum::<u32>());
            prop_assert!(score.value <= 100);
        }
        let total: f64 = analysis.languages.iter().map(|language| language.share).sum();
        prop_assert!(analysis.languages.is_empty() || (total - 1.0).abs() < 1e-9);
        prop_assert!((0.0..=1.0).contains(&analysis.confidence));
    }
}
