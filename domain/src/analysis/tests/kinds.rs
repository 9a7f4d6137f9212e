//! What a project is, as the generators of each ecosystem lay it out.

use super::*;

fn kind(files: &[(&str, &str)]) -> ProjectKind {
    analyze(&project(files)).kind
}

/// `dotnet new webapi`, `worker` and `classlib`.
#[test]
fn a_web_project_of_dotnet_is_a_program_without_saying_so() {
    let project_file =
        |sdk: &str| format!("<Project Sdk=\"{sdk}\"><PropertyGroup><TargetFramework>net9.0</TargetFramework></PropertyGroup></Project>");
    let of = |sdk: &str, program: &str| kind(&[("Shop.Api/Shop.Api.csproj", &project_file(sdk)), ("Shop.Api/Program.cs", program)]);
    let web = "var app = WebApplication.CreateBuilder(args).Build(); app.MapGet(\"/\", () => \"hi\"); app.Run();";
    assert_eq!(of("Microsoft.NET.Sdk.Web", web), ProjectKind::ApiService);
    assert_eq!(of("Microsoft.NET.Sdk.Worker", "Host.CreateApplicationBuilder(args).Build().Run();"), ProjectKind::Worker);
    assert_eq!(of("Microsoft.NET.Sdk", "namespace Shop; public class Price {}"), ProjectKind::Library);
}

/// `poetry new`, `uv init --package`.
#[test]
fn a_python_server_in_a_package_is_no_library() {
    let manifest = "[project]\nname='shop'\nversion='0.1.0'\nrequires-python='>=3.12'\ndependencies=['fastapi>=0.115']\n[build-system]\nrequires=['poetry-core>=2.0.0']\n";
    let code = "from fastapi import FastAPI\napp = FastAPI()\n";
    for (path, command) in [("shop/main.py", "uvicorn shop.main:app"), ("src/shop/main.py", "uvicorn shop.main:app")] {
        let analysis = analyze(&project(&[("pyproject.toml", manifest), (path, code)]));
        assert_eq!(analysis.kind, ProjectKind::ApiService, "{path}");
        assert_eq!(analysis.start_command.unwrap().command, command);
    }
    let flask =
        "[tool.poetry]\nname='shop'\n[tool.poetry.dependencies]\npython='^3.12'\nflask='^3'\n[build-system]\nrequires=['poetry-core']\n";
    assert_eq!(kind(&[("pyproject.toml", flask), ("shop/__init__.py", "from flask import Flask\n")]), ProjectKind::ApiService);

    let extension = "[project]\nname='flask-shop'\ndependencies=['flask']\nclassifiers=['Framework :: Flask']\n[build-system]\nrequires=['flit_core']\n";
    assert_eq!(kind(&[("pyproject.toml", extension), ("src/flask_shop/__init__.py", "import flask\n")]), ProjectKind::Library);
    let with_command = format!("{extension}[project.scripts]\nflask-shop='flask_shop:main'\n");
    assert_eq!(kind(&[("pyproject.toml", &with_command), ("src/flask_shop/__init__.py", "import flask\n")]), ProjectKind::Library);
}

const GO_MOD: &str = "module example.com/shop\n\ngo 1.24\n\nrequire github.com/jackc/pgx/v5 v5.7.0\n";

#[test]
fn a_go_service_is_told_from_a_tool() {
    let listens = "package main\n\nimport \"net/http\"\n\nfunc main() { http.ListenAndServe(\":8080\", nil) }\n";
    let works = "package main\n\nfunc main() { for { work() } } // no http.ListenAndServe here\n";
    let container = ("Dockerfile", "FROM golang:1.24\nRUN go build -o /app ./cmd/api\nCMD [\"/app\"]\n");
    assert_eq!(kind(&[("go.mod", GO_MOD), ("cmd/api/api.go", listens)]), ProjectKind::ApiService);
    assert_eq!(kind(&[("go.mod", GO_MOD), ("cmd/api/api.go", works), container]), ProjectKind::Worker);
    assert_eq!(kind(&[("go.mod", GO_MOD), ("cmd/api/api.go", works)]), ProjectKind::CommandLineTool);
    let tool = "module example.com/tool\nrequire github.com/spf13/cobra v1.8.0\n";
    assert_eq!(kind(&[("go.mod", tool), ("main.go", listens), container]), ProjectKind::CommandLineTool);
}

#[test]
fn a_go_program_is_started_by_its_package() {
    let main = "// Command api serves.\npackage main // api\n\nfunc main() {}\n";
    let files = [("go.mod", GO_MOD), ("cmd/api/api.go", main), ("cmd/migrate/main.go", main), ("internal/domain.go", "package internal\n")];
    let start = analyze(&project(&files)).start_command.unwrap();
    assert_eq!((start.command.as_str(), start.evidence.path.as_str()), ("go run ./cmd/api", "cmd/api/api.go"));
}

#[test]
fn what_only_the_build_runs_makes_no_go_program() {
    let generator = "//go:build ignore\n\npackage main\n\nfunc main() {}\n";
    let tool = "package main\n\nfunc main() {}\n";
    let files = [
        ("go.mod", GO_MOD),
        ("shop.go", "package shop\n"),
        ("gen.go", generator),
        ("tools/gen/main.go", tool),
        ("doc.go", "/*\nPackage shop sells.\n\n\tpackage main\n*/\npackage shop\n"),
        ("domain.go", "package shop\n"),
    ];
    assert_eq!(kind(&files), ProjectKind::Library);
}

/// hyper, tonic and the like are no frameworks, but a container says that the program stays.
#[test]
fn a_rust_program_in_a_container_keeps_running() {
    let manifest = "[package]\nname='grpc'\n[dependencies]\ntonic='0.12'\nprost='0.13'\n";
    let files = [("Cargo.toml", manifest), ("src/main.rs", "fn main() {}"), ("Dockerfile", "FROM rust:1.85\nCMD [\"grpc\"]\n")];
    assert_eq!(kind(&files), ProjectKind::Worker);
    assert_eq!(kind(&files[..2]), ProjectKind::CommandLineTool);
}

/// slim/Slim-Skeleton, which names no type.
#[test]
fn a_php_app_is_a_library_only_if_it_says_so() {
    let manifest = |kind: &str| {
        format!(r#"{{ "name": "acme/shop", {kind} "require": {{"slim/slim": "^4.10"}}, "autoload": {{"psr-4": {{"App\\": "src/"}}}} }}"#)
    };
    let code = ("src/Application/Actions/Action.php", "<?php namespace App;");
    assert_eq!(kind(&[("composer.json", &manifest("")), code, ("public/index.php", "<?php")]), ProjectKind::ApiService);
    assert_eq!(kind(&[("composer.json", &manifest(r#""type": "library","#)), code]), ProjectKind::Library);
    let plain = r#"{ "name": "acme/money", "autoload": {"psr-4": {"Acme\\": "src/"}} }"#;
    assert_eq!(kind(&[("composer.json", plain), ("src/Money.php", "<?php")]), ProjectKind::Library);
}

/// `dart create -t server-shelf`.
#[test]
fn a_dart_server_is_no_library() {
    let manifest = "name: server\ndescription: A server app.\nversion: 1.0.0\ndependencies:\n  shelf: ^1.4.0\n  shelf_router: ^1.1.0\n";
    assert_eq!(kind(&[("pubspec.yaml", manifest), ("bin/server.dart", "void main() {}")]), ProjectKind::ApiService);
}

#[test]
fn a_container_for_development_says_nothing_of_how_the_project_runs() {
    let manifest = ("pyproject.toml", "[project]\nname='x'\n[build-system]\nrequires=['hatchling']\n");
    let code = ("src/x/__init__.py", "pass\n");
    let container = "FROM python:3.13\nHEALTHCHECK CMD true\nCMD [\"pytest\"]\n";
    for path in
        [".devcontainer/Dockerfile", ".github/actions/check/Dockerfile", "ci/Dockerfile", "Dockerfile.test", "docker/dev.Dockerfile"]
    {
        let analysis = analyze(&project(&[manifest, code, (path, container)]));
        assert_eq!(analysis.kind, ProjectKind::Library, "{path}");
        assert!(need(&analysis, Category::Hosting).is_none(), "{path}");
        assert_eq!(analysis.deployment_readiness.part("container file").unwrap().points, 0, "{path}");
    }
    let compose = (".devcontainer/docker-compose.yml", "services:\n  db:\n    image: postgres:17\n");
    let analysis = analyze(&project(&[manifest, code, compose]));
    assert!(analysis.databases.is_empty() && analysis.development.iter().any(|finding| finding.id == "postgresql"));
}

/// `cargo leptos new`, from leptos-rs/start-axum.
#[test]
fn a_leptos_app_with_a_server_of_its_own_is_no_static_site() {
    let manifest = r#"
[package]
name = "shop"
[lib]
crate-type = ["cdylib", "rlib"]
[dependencies]
axum = { version = "0.8", optional = true }
leptos = { version = "0.8" }
leptos_axum = { version = "0.8", optional = true }
tokio = { version = "1", features = ["rt-multi-thread"], optional = true }
[features]
hydrate = ["leptos/hydrate"]
ssr = ["dep:axum", "dep:tokio", "dep:leptos_axum", "leptos/ssr"]
[package.metadata.leptos]
output-name = "shop"
bin-features = ["ssr"]
lib-features = ["hydrate"]
"#;
    let files = [("Cargo.toml", manifest), ("src/main.rs", "#[cfg(feature = \"ssr\")] fn main() {}"), ("src/lib.rs", "pub mod app;")];
    let analysis = analyze(&project(&files));
    assert_eq!((analysis.kind, analysis.is_static), (ProjectKind::FullStackApp, false));
    assert_eq!(ids(&analysis.frameworks), ["axum", "leptos"]);
}

/// `dx new`, with and without a server.
#[test]
fn dioxus_has_a_server_if_its_feature_says_so() {
    let manifest = |features: &str| {
        format!(
            "[package]\nname='shop'\n[dependencies]\ndioxus={{version='0.7',features=[{features}]}}\n[features]\ndefault=['web']\nweb=['dioxus/web']\n"
        )
    };
    let main = ("src/main.rs", "fn main() { dioxus::launch(App); }");
    assert_eq!(kind(&[("Cargo.toml", &manifest("'router', 'fullstack'")), main]), ProjectKind::FullStackApp);
    assert_eq!(kind(&[("Cargo.toml", &manifest("'router'")), main]), ProjectKind::SinglePageApp);
}

#[test]
fn deno_takes_packages_from_npm_and_by_address() {
    let hono = r#"{ "imports": { "hono": "npm:hono@^4.6", "pg": "npm:pg@^8", "@prisma/client": "npm:@prisma/client@^6" },
        "tasks": { "start": "deno run --allow-net main.ts" } }"#;
    let analysis = analyze(&project(&[("deno.json", hono), ("main.ts", "import { Hono } from 'hono'")]));
    assert_eq!((analysis.kind, analysis.runtime.as_deref()), (ProjectKind::ApiService, Some("deno")));
    assert_eq!((ids(&analysis.databases), ids(&analysis.data_access)), (vec!["postgresql"], vec!["prisma"]));
    let fresh = r#"{ "imports": { "$fresh/": "https://deno.land/x/fresh@1.7.3/", "preact": "https://esm.sh/preact@10.22.0" } }"#;
    let analysis = analyze(&project(&[("deno.json", fresh), ("routes/index.tsx", "export default () => <p/>")]));
    assert_eq!((analysis.kind, ids(&analysis.frameworks)), (ProjectKind::FullStackApp, vec!["fresh", "preact"]));
}

const DOCUSAURUS: &str = r#"{ "name": "website", "private": true, "scripts": {"start": "docusaurus start", "build": "docusaurus build"},
    "dependencies": {"@docusaurus/core": "3.6.0", "@docusaurus/preset-classic": "3.6.0", "react": "19.0.0"} }"#;

#[test]
fn a_site_of_documentation_does_not_speak_for_what_it_documents() {
    let library = r#"{ "name": "@x/a", "exports": "./index.js" }"#;
    let mut files = vec![
        ("package.json", r#"{ "private": true, "workspaces": ["packages/*", "website"] }"#),
        ("website/package.json", DOCUSAURUS),
        (
            "website/src/pages/index.js",
            "export default function Home() { return 'a page that is rather longer than each of the packages' }",
        ),
    ];
    let packages =
        ["packages/a", "packages/b", "packages/c", "packages/d"].map(|path| [format!("{path}/package.json"), format!("{path}/index.js")]);
    for [manifest, code] in &packages {
        files.extend([(manifest.as_str(), library), (code.as_str(), "export {}")]);
    }
    assert_eq!(kind(&files), ProjectKind::Library);
    assert_eq!(kind(&files[1..3]), ProjectKind::StaticSite, "alone it is what the project is");
}

/// A Cargo workspace like that of ripgrep: the program is what its crates are for.
#[test]
fn the_crates_of_a_program_do_not_outvote_it() {
    let library = "[package]\nname='part'\n[lib]\n";
    let code = "pub fn f() {}\n".repeat(20);
    let mut files = vec![("Cargo.toml", "[package]\nname='rg'\n[workspace]\nmembers=['crates/*']\n"), ("src/main.rs", code.as_str())];
    let crates = ["a", "b", "c"].map(|name| [format!("crates/{name}/Cargo.toml"), format!("crates/{name}/src/lib.rs")]);
    for [manifest, source] in &crates {
        files.extend([(manifest.as_str(), library), (source.as_str(), code.as_str())]);
    }
    assert_eq!(kind(&files), ProjectKind::CommandLineTool);
}

/// `create-react-native-library`, `flutter create --template=package` and `flutter create`.
#[test]
fn a_library_for_phones_is_no_app() {
    let package = r#"{ "name": "react-native-x", "exports": "./lib/index.js", "files": ["lib"], "peerDependencies": {"react": "*", "react-native": "*"} }"#;
    assert_eq!(kind(&[("package.json", package), ("src/index.tsx", "export {}")]), ProjectKind::Library);
    let manifest = "name: x\nversion: 0.0.1\nhomepage: https://x.example\ndependencies:\n  flutter:\n    sdk: flutter\n";
    assert_eq!(kind(&[("pubspec.yaml", manifest), ("lib/x.dart", "class X {}")]), ProjectKind::Library);
    assert_eq!(kind(&[("pubspec.yaml", manifest), ("lib/main.dart", "void main() {}")]), ProjectKind::MobileApp);
}

/// `cdk init app --language typescript`.
#[test]
fn a_cdk_app_is_infrastructure() {
    let manifest = r#"{ "name": "infra", "bin": {"infra": "bin/infra.js"}, "devDependencies": {"aws-cdk": "2", "typescript": "5"},
        "dependencies": {"aws-cdk-lib": "2", "constructs": "^10"} }"#;
    assert_eq!(kind(&[("package.json", manifest), ("cdk.json", "{}"), ("bin/infra.ts", "new App()")]), ProjectKind::Infrastructure);
}
