//! Where a project runs: hosts that are there without a file of their own in the top folder, and those that only seem so.

use super::*;

fn hosts(files: &[(&str, &str)]) -> Vec<String> {
    let analysis = analyze(&project(files));
    let found: Vec<String> = analysis.filling(Category::Hosting).map(|finding| finding.id.clone()).collect();
    assert!(found.is_empty() || need(&analysis, Category::Hosting).is_none(), "{:?}", analysis.needs);
    found
}

const EXPRESS: (&str, &str) =
    ("package.json", r#"{ "name": "api", "private": true, "scripts": {"start": "node server.js"}, "dependencies": {"express": "5"} }"#);

fn express_with(path: &str, content: &str) -> Vec<String> {
    hosts(&[EXPRESS, ("server.js", "require('express')().listen(3000)"), (path, content)])
}

/// `npx sv create`, with the adapter of a host as its documentation installs it.
#[test]
fn an_adapter_among_the_development_dependencies_names_the_host() {
    for (package, host) in [("adapter-vercel", "vercel"), ("adapter-netlify", "netlify"), ("adapter-cloudflare", "cloudflare")] {
        let manifest = format!(
            r#"{{ "private": true, "devDependencies": {{"@sveltejs/kit": "2", "@sveltejs/{package}": "5", "svelte": "5", "vite": "6"}} }}"#
        );
        assert_eq!(hosts(&[("package.json", &manifest), ("src/routes/+page.svelte", "<p>hi</p>")]), [host]);
    }
    let auto = r#"{ "private": true, "devDependencies": {"@sveltejs/kit": "2", "@sveltejs/adapter-auto": "6"} }"#;
    assert!(hosts(&[("package.json", auto), ("src/routes/+page.svelte", "<p>hi</p>")]).is_empty());
    let pages = r#"{ "private": true, "dependencies": {"react": "19"}, "devDependencies": {"gh-pages": "6", "vite": "6"} }"#;
    assert_eq!(hosts(&[("package.json", pages), ("src/App.jsx", "export default 1")]), ["github-pages"]);
}

#[test]
fn a_cluster_is_seen_wherever_its_files_lie() {
    let workload = "# the API\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: api\n";
    assert_eq!(express_with("charts/api/Chart.yaml", "apiVersion: v2\nname: api\n"), ["kubernetes"]);
    assert_eq!(express_with("k8s/overlays/prod/kustomization.yaml", "resources: [../base]\n"), ["kubernetes"]);
    assert_eq!(express_with("k8s/api.yaml", workload), ["kubernetes"]);
    assert_eq!(express_with("config/deploy.yml", workload), ["kubernetes"], "it is Kamal's only if it says so");
    assert!(express_with("k8s/api.yaml", "apiVersion: v1\nkind: ConfigMap\n").is_empty());
    assert!(express_with("openapi.yaml", "openapi: 3.1.0\ninfo:\n  kind: Deployment\n").is_empty());
}

#[test]
fn a_workflow_deploys_by_an_action_or_by_a_command() {
    let workflow = |step: &str| format!("on: push\njobs:\n  deploy:\n    runs-on: ubuntu-latest\n    steps:\n      - {step}\n");
    let of = |step: &str| express_with(".github/workflows/deploy.yml", &workflow(step));
    assert_eq!(of("uses: aws-actions/amazon-ecs-deploy-task-definition@v2"), ["aws-ecs"]);
    assert_eq!(of("uses: Azure/webapps-deploy@v3"), ["azure"]);
    assert_eq!(of("run: flyctl deploy --remote-only"), ["fly"]);
    assert_eq!(of("run: npx --yes @railway/cli@latest up && railway up --service api"), ["railway"]);
    assert_eq!(of("run: npx vercel@latest deploy --prebuilt --prod --token=$TOKEN"), ["vercel"]);
    assert_eq!(of("run: kubectl -n shop apply -f k8s/"), ["kubernetes"]);
    assert!(of("run: npm ci && npm test").is_empty());
    assert!(of("run: echo \"run fly deploy yourself\"").is_empty());
    assert!(of("run: vercel dev").is_empty());
}

#[test]
fn a_host_of_files_is_none_for_a_server() {
    let text = "on: push\njobs:\n  docs:\n    steps:\n      - uses: actions/deploy-pages@v4\n";
    assert!(express_with(".github/workflows/docs.yml", text).is_empty());
    assert_eq!(hosts(&[("index.html", "<h1>Hello</h1>"), (".github/workflows/pages.yml", text)]), ["github-pages"]);
}

#[test]
fn scripts_and_pipelines_deploy_too() {
    let manifest = r#"{ "private": true, "scripts": {"start": "node server.js", "deploy": "npm run build && ./node_modules/.bin/wrangler deploy"},
        "dependencies": {"express": "5"} }"#;
    assert_eq!(hosts(&[("package.json", manifest)]), ["cloudflare"]);
    assert_eq!(express_with("Makefile", "deploy: build\n\tgcloud run deploy api \\\n\t  --image api\n"), ["cloud-run"]);
    assert_eq!(express_with("scripts/deploy.sh", "#!/bin/sh\n# fly deploy\nheroku container:release web\n"), ["heroku"]);
    assert_eq!(express_with(".gitlab-ci.yml", "deploy:\n  script:\n    - helm upgrade --install api ./chart\n"), ["kubernetes"]);
    let site = [("index.html", "<h1>Hello</h1>"), (".gitlab-ci.yml", "pages:\n  script: [make]\n  artifacts: { paths: [public] }\n")];
    assert_eq!(hosts(&site), ["gitlab-pages"]);
}

#[test]
fn infrastructure_as_code_names_the_host_and_the_database() {
    let text = "# resource \"heroku_app\" \"old\" {}\nresource \"aws_ecs_service\" \"api\" {\n  name = \"api\"\n}\nresource \"aws_db_instance\" \"db\" {}\n";
    assert_eq!(express_with("infra/main.tf", text), ["aws-ecs"]);
    let analysis = analyze(&project(&[EXPRESS, ("infra/main.tf", text)]));
    assert!(analysis.filling(Category::Database).any(|finding| finding.id == "aws-rds"));
    assert_eq!(express_with("infra/Pulumi.yaml", "name: api\nruntime: nodejs\n"), ["pulumi"]);
    let cdk = r#"{ "devDependencies": {"aws-cdk": "2"}, "dependencies": {"aws-cdk-lib": "2"} }"#;
    assert_eq!(express_with("infra/package.json", cdk), ["aws-cdk"]);
}

#[test]
fn a_function_on_lambda_is_hosted() {
    let manifest = "[package]\nname='f'\n[dependencies]\nlambda_http='0.14'\n";
    let files = [("Cargo.toml", manifest), ("src/main.rs", "fn main() {}")];
    assert_eq!(hosts(&files), ["aws-lambda"]);
    assert_eq!(analyze(&project(&files)).kind, ProjectKind::Functions);
}

#[test]
fn firebase_hosts_and_stores_what_its_file_sets_up() {
    let site = ("index.html", "<h1>Hello</h1>");
    assert_eq!(hosts(&[site, ("firebase.json", r#"{ "hosting": { "public": "." } }"#)]), ["firebase-hosting"]);
    let analysis = analyze(&project(&[site, ("firebase.json", r#"{ "hosting": { "public": "." } }"#)]));
    assert!(analysis.filling(Category::Database).next().is_none(), "a host of files keeps no data");
    let analysis = analyze(&project(&[site, ("firebase.json", r#"{ "firestore": { "rules": "firestore.rules" } }"#)]));
    assert!(analysis.filling(Category::Database).any(|finding| finding.id == "firestore"));
    assert!(analysis.filling(Category::Hosting).next().is_none());
}

/// What `rails new` writes: railties `kamal/deploy.yml.tt` of 8.0 and of 8.1.
#[test]
fn kamal_is_in_use_once_somebody_filled_it_in() {
    let gemfile = ("Gemfile", "source 'https://rubygems.org'\ngem 'rails', '~> 8.0.0'\ngem 'kamal', require: false\n");
    let with = |text: &str| hosts(&[gemfile, ("config.ru", "run Rails.application"), ("config/deploy.yml", text)]);
    let servers = "servers:\n  web:\n    - 192.168.0.1\n  # job:\n  #   hosts:\n  #     - 203.0.113.9\nproxy:\n  ssl: true\n  host: app.example.com\n";
    assert!(with(&format!("service: shop\nimage: your-user/shop\n{servers}")).is_empty());
    assert!(with(&format!("service: shop\nimage: shop\n{servers}registry:\n  server: localhost:5555\n")).is_empty());
    assert_eq!(with("service: shop\nimage: acme/shop\nservers:\n  web:\n    - 203.0.113.9\n"), ["kamal"]);
    assert_eq!(with("service: shop\nimage: acme/shop\nservers:\n  web:\n    hosts:\n      - 203.0.113.9: [eu]\n"), ["kamal"]);
    assert_eq!(with("service: shop\nimage: acme/shop\nservers: [<%= ENV['SERVER'] %>]\n"), ["kamal"]);
}

#[test]
fn variables_of_a_host_name_it() {
    for (variable, host) in
        [("RAILWAY_TOKEN", "railway"), ("VERCEL_URL", "vercel"), ("FLY_API_TOKEN", "fly"), ("NETLIFY_SITE_ID", "netlify")]
    {
        assert_eq!(express_with(".env.example", &format!("{variable}=\n")), [host]);
    }
    assert_eq!(express_with("nixpacks.toml", "[start]\ncmd = 'node server.js'\n"), ["nixpacks"]);
}
