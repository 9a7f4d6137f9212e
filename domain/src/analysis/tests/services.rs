//! Services that a project has already: its data, its sign-in, its designs.

use super::*;

fn filled(files: &[(&str, &str)], category: Category) -> Vec<String> {
    let analysis = analyze(&project(files));
    let found: Vec<String> = analysis.filling(category).map(|finding| finding.id.clone()).collect();
    assert!(found.is_empty() || need(&analysis, category).is_none(), "{:?}", analysis.needs);
    found
}

/// `npm create hono`, then D1 with Drizzle as their documentation says.
#[test]
fn cloudflare_keeps_what_its_settings_bind() {
    let manifest = r#"{ "name": "shop", "private": true, "scripts": {"dev": "wrangler dev"}, "dependencies": {"hono": "4", "drizzle-orm": "0.40"},
        "devDependencies": {"wrangler": "4", "drizzle-kit": "0.30"} }"#;
    let code = ("src/index.ts", "import { Hono } from 'hono'\nexport default new Hono()");
    let toml = "name = \"shop\"\nmain = \"src/index.ts\"\n[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"shop\"\n[[r2_buckets]]\nbinding = \"FILES\"\n";
    let files = [("package.json", manifest), code, ("wrangler.toml", toml)];
    assert_eq!(filled(&files, Category::Database), ["cloudflare-d1"]);
    assert_eq!(filled(&files, Category::Storage), ["cloudflare-r2"]);
    let json = r#"{ // settings
        "name": "shop", "env": { "production": { "d1_databases": [{ "binding": "DB", }], "kv_namespaces": [{ "binding": "KV" }] } } }"#;
    let files = [("package.json", manifest), code, ("wrangler.jsonc", json)];
    assert_eq!(
        (filled(&files, Category::Database), filled(&files, Category::Cache)),
        (vec!["cloudflare-d1".into()], vec!["cloudflare-kv".into()])
    );
    let analysis = analyze(&project(&[("package.json", manifest), code, ("wrangler.toml", "name = ")]));
    assert!(analysis.warnings[0].starts_with("wrangler.toml: not valid TOML"), "{:?}", analysis.warnings);
}

#[test]
fn users_of_supabase_are_known_in_every_ecosystem() {
    let gradle = "plugins { id(\"com.android.application\") }\ndependencies { implementation(\"io.github.jan-tennert.supabase:postgrest-kt:3.0.0\") }\n";
    let dotnet = "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><ItemGroup><PackageReference Include=\"Supabase\" Version=\"1.1.1\"/></ItemGroup></Project>";
    for (path, content) in [
        ("build.gradle.kts", gradle),
        ("Shop.csproj", dotnet),
        ("Cargo.toml", "[package]\nname='shop'\n[dependencies]\nsupabase-client-sdk='0.2'\n"),
        ("Gemfile", "gem 'rails'\ngem 'supabase-rb'\n"),
        ("composer.json", r#"{ "require": {"supabase/supabase-php": "^0.0.3"} }"#),
        ("package.json", r#"{ "dependencies": {"@nuxtjs/supabase": "1"} }"#),
        (".env.example", "EXPO_PUBLIC_SUPABASE_URL=\n"),
        (".env.example", "NUXT_PUBLIC_SUPABASE_KEY=\n"),
        (".env.example", "REACT_APP_SUPABASE_URL=\n"),
    ] {
        assert_eq!(filled(&[(path, content)], Category::Database), ["supabase"], "{path}");
    }
}

#[test]
fn sign_in_made_by_hand_is_sign_in() {
    for (path, content) in [
        ("package.json", r#"{ "dependencies": {"express": "5", "jsonwebtoken": "9"} }"#),
        ("package.json", r#"{ "dependencies": {"express": "5", "bcryptjs": "2"} }"#),
        ("requirements.txt", "fastapi\npasslib[bcrypt]\n"),
        ("Gemfile", "gem 'rails'\ngem 'bcrypt', '~> 3.1.7'\n"),
        ("composer.json", r#"{ "type": "project", "require": {"laravel/framework": "^12"} }"#),
        ("Cargo.toml", "[package]\nname='a'\n[dependencies]\naxum='0.8'\nargon2='0.5'\n"),
        ("go.mod", "module a\nrequire (\n\tgithub.com/gin-gonic/gin v1.10.0\n\tgithub.com/golang-jwt/jwt/v5 v5.2.0\n)\n"),
    ] {
        assert_eq!(filled(&[(path, content)], Category::Auth).len(), 1, "{content}");
    }
    let analysis = analyze(&project(&[("package.json", r#"{ "scripts": {"start": "node ."}, "dependencies": {"express": "5"} }"#)]));
    assert_eq!(need(&analysis, Category::Auth).unwrap().reason, "your Express service has no sign-in that we know of");
    assert_eq!([Category::Hosting, Category::Database].map(Category::with_article), ["hosting", "a hosted database"]);
}

#[test]
fn a_link_to_a_design_counts_in_the_documentation_and_not_in_an_example() {
    let link = "The screens: https://www.figma.com/design/abc/Shop?node-id=1\n";
    let of = |path: &str| filled(&[("index.html", "<h1>Hello</h1>"), (path, link)], Category::Design);
    assert_eq!(of("docs/design.md"), ["figma"]);
    assert_eq!(of("docs/ui/screens.md"), ["figma"]);
    assert!(of("examples/docs/design.md").is_empty());
}
