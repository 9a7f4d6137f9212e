//! What is lacking where a project has several programs, and what its database is.

use super::*;

const DOCKERFILE: &str = "FROM node:22\nCMD [\"node\", \"index.js\"]\n";
const EXPRESS: &str =
    r#"{ "private": true, "scripts": {"start": "node index.js"}, "dependencies": {"express": "5", "@prisma/client": "6"} }"#;
const NEXT: &str = r#"{ "private": true, "dependencies": {"next": "15", "react": "19"} }"#;

#[test]
fn a_server_beside_a_mobile_app_lacks_a_host() {
    let screen = "export default () => <Text>hello</Text>;\n".repeat(50);
    let analysis = analyze(&project(&[
        ("mobile/package.json", r#"{ "private": true, "dependencies": {"expo": "52", "react-native": "0.76", "expo-sqlite": "15"} }"#),
        ("mobile/App.tsx", &screen),
        ("server/package.json", EXPRESS),
        ("server/index.js", "require('express')"),
        ("server/prisma/schema.prisma", "datasource db { provider = \"postgresql\" }"),
        ("server/Dockerfile", DOCKERFILE),
    ]));
    assert_eq!(analysis.kind, ProjectKind::MobileApp);
    let hosting = need(&analysis, Category::Hosting).unwrap();
    assert_eq!(hosting.reason, "your project has a container file and no host to run it");
    assert_eq!(hosting.evidence[0].path, "server/Dockerfile");
    let database = need(&analysis, Category::Database).unwrap();
    assert_eq!(
        (database.reason.as_str(), database.engines.as_deref()),
        ("your project uses Prisma with PostgreSQL and no hosted database", Some(&["postgresql".to_owned()][..]))
    );
}

#[test]
fn the_host_of_one_server_is_none_for_the_other() {
    let mut files = project(&[
        ("apps/web/package.json", NEXT),
        ("apps/web/app/page.tsx", "export default () => <p>hello</p>"),
        ("apps/web/vercel.json", "{}"),
        ("apps/api/requirements.txt", "fastapi\nasyncpg\n"),
        ("apps/api/main.py", "from fastapi import FastAPI\napp = FastAPI()\n"),
        ("apps/api/Dockerfile", "FROM python:3.13\nCMD [\"uvicorn\", \"main:app\"]\n"),
    ]);
    let analysis = analyze(&files);
    let hosting = need(&analysis, Category::Hosting).unwrap();
    assert_eq!(hosting.evidence[0].path, "apps/api/Dockerfile");
    assert_eq!(need(&analysis, Category::Database).unwrap().reason, "your project uses PostgreSQL and nothing says where it is hosted");

    files.extend(project(&[("apps/api/fly.toml", "app = 'x'")]));
    assert!(need(&analyze(&files), Category::Hosting).is_none(), "both have a host now");
}

#[test]
fn the_fifth_service_has_its_container_file_too() {
    let settings = ["a/fly.toml", "b/render.yaml", "c/railway.toml", "d/vercel.json"];
    let services = ["a", "b", "c", "d", "e"].map(|name| ["package.json", "index.js", "Dockerfile"].map(|file| format!("{name}/{file}")));
    let contents = [EXPRESS, "require('express')", DOCKERFILE];
    let files = services.iter().flat_map(|paths| paths.iter().map(String::as_str).zip(contents));
    let files: Vec<(&str, &str)> = files.chain(settings.map(|path| (path, "{}"))).collect();
    let hosting = need(&analyze(&project(&files)), Category::Hosting).unwrap().clone();
    assert_eq!(hosting.reason, "your project has a container file and no host to run it");
    assert_eq!(hosting.evidence, [Evidence::file("e/Dockerfile")]);
}

#[test]
fn what_lies_above_all_servers_counts_for_each() {
    let analysis = analyze(&project(&[
        ("package.json", r#"{ "private": true, "workspaces": ["web", "api"] }"#),
        ("render.yaml", "services: []"),
        ("web/package.json", NEXT),
        ("web/app/page.tsx", "export default () => <p>hello</p>"),
        ("api/package.json", EXPRESS),
        ("api/index.js", "require('express')"),
    ]));
    assert!(need(&analysis, Category::Hosting).is_none());
    assert_eq!(need(&analysis, Category::Database).unwrap().reason, "your project uses Prisma with no hosted database");
}

#[test]
fn the_documentation_of_a_library_needs_no_host_and_no_database() {
    let analysis = analyze(&project(&[
        ("Cargo.toml", "[package]\nname='x'\n[lib]\n"),
        ("src/lib.rs", &"pub fn f() {}\n".repeat(200)),
        ("website/package.json", r#"{ "private": true, "dependencies": {"@docusaurus/core": "3"} }"#),
        ("website/src/index.tsx", "export default () => <p/>"),
    ]));
    assert_eq!(analysis.kind, ProjectKind::Library);
    assert!(need(&analysis, Category::Hosting).is_none() && need(&analysis, Category::Database).is_none());
}

#[test]
fn a_framework_that_keeps_data_never_stores_nothing() {
    let reason = |files: &[(&str, &str)]| need(&analyze(&project(files)), Category::Database).unwrap().reason.clone();
    let hosted = "keeps its data in a database and nothing says where that is hosted";
    assert_eq!(reason(&[("requirements.txt", "Django==5\n"), ("manage.py", "import django")]), format!("Django {hosted}"));
    let strapi = r#"{ "private": true, "scripts": {"start": "strapi start"}, "dependencies": {"@strapi/strapi": "5"} }"#;
    assert_eq!(reason(&[("package.json", strapi)]), format!("Strapi {hosted}"));
    let drupal = r#"{ "type": "project", "require": {"drupal/core-recommended": "^11"} }"#;
    assert_eq!(reason(&[("composer.json", drupal), ("web/index.php", "<?php")]), format!("Drupal {hosted}"));
}

#[test]
fn a_file_for_development_does_not_hide_the_database_of_production() {
    let settings =
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3'}}\nPRODUCTION = {'ENGINE': 'django.db.backends.postgresql'}\n";
    let analysis = analyze(&project(&[("requirements.txt", "Django==5\n"), ("manage.py", ""), ("shop/settings.py", settings)]));
    let database = need(&analysis, Category::Database).unwrap();
    assert_eq!((database.reason.as_str(), database.strength), ("your project uses PostgreSQL and nothing says where it is hosted", 0.9));
}
