//! Files that were written to make the analysis endless, or its answer huge.

use super::*;

#[test]
fn a_manifest_has_a_bound_of_dependencies() {
    let lines = "a\n".repeat(20_000);
    let extras = format!("a[{}]", "b,".repeat(20_000));
    let features = format!("[dependencies]\n{} = {{ features = [{}] }}", "a".repeat(10_000), "'b',".repeat(20_000));
    for (path, text) in [("requirements.txt", &lines), ("requirements.txt", &extras), ("Cargo.toml", &features)] {
        let analysis = analyze(&project(&[(path, text)]));
        assert_eq!(analysis.partial, Some(format!("only the first 5000 dependencies of {path} were looked at")), "{path}");
        assert_eq!(analysis.complexity.part("dependencies").unwrap().reason, "5000 direct dependencies", "{path}");
    }
}

#[test]
fn all_manifests_together_have_one_too() {
    let lines = "a\n".repeat(5_000);
    let paths: Vec<String> = (0..30).map(|index| format!("{index}/requirements.txt")).collect();
    let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), lines.as_str())).collect();
    let analysis = analyze(&project(&files));
    assert_eq!(analysis.partial.as_deref(), Some("only the first 100000 dependencies were looked at"));
    assert_eq!(analysis.complexity.part("dependencies").unwrap().reason, "100000 direct dependencies");
}

#[test]
fn so_have_the_signs_of_technologies() {
    let lines = "S3_=\n".repeat(30_000);
    let analysis = analyze(&project(&[(".env.example", &lines)]));
    assert_eq!(analysis.partial.as_deref(), Some("only the first 20000 signs of technologies were looked at"));
    assert_eq!(ids(&analysis.services), ["amazon-s3"]);
}

#[test]
fn a_long_line_of_references_is_read_in_one_go() {
    let references = "<PackageReference Include=\"Npgsql\"/>".repeat(50_000);
    let analysis = analyze(&project(&[("a.csproj", &format!("<Project Sdk=\"Microsoft.NET.Sdk.Web\">\n{references}</Project>"))]));
    assert_eq!(analysis.databases[0].evidence, [Evidence::line("a.csproj", 2)]);
}

#[test]
fn an_analysis_ends_when_its_time_is_over() {
    let mut files = nextjs_with_prisma();
    files.extend(project(&[("Dockerfile", "FROM node\n")]));
    let whole = analyze(&files);
    let mut left = 0;
    let analysis = analyze_while(&files, &mut || {
        left += 1;
        left <= 1
    });
    assert_eq!(analysis.partial.as_deref(), Some("there was no time to analyse everything"));
    assert!(analysis.confidence < whole.confidence);
    assert_eq!(analyze_while(&files, &mut || true), whole);
}

#[test]
fn parts_are_looked_at_while_there_is_time() {
    let paths: Vec<String> = (0..30).map(|index| format!("{index}/requirements.txt")).collect();
    let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "flask\n")).collect();
    let mut asked = 0;
    assert_eq!(
        analyze_while(&project(&files), &mut || {
            asked += 1;
            true
        })
        .components
        .len(),
        30
    );
    let mut left = asked;
    let analysis = analyze_while(&project(&files), &mut || {
        left -= 1;
        left > 20
    });
    assert_eq!(analysis.partial.as_deref(), Some("there was no time to analyse everything"));
    assert!((1..30).contains(&analysis.components.len()), "{} components", analysis.components.len());
}

#[test]
fn a_part_names_some_of_its_manifests() {
    let paths: Vec<String> = (0..30).map(|index| format!("requirements-{index}.txt")).collect();
    let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "flask\n")).collect();
    let analysis = analyze(&project(&files));
    assert_eq!((analysis.components.len(), analysis.components[0].evidence.len()), (1, 8));
}

#[test]
fn sizes_that_nothing_can_have_do_not_overflow() {
    let file = |path: &str| SourceFile { path: path.into(), size: u64::MAX, content: None };
    let analysis = analyze(&["a.py", "b.py", "c.rs", "d.ts", "package.json"].map(file));
    assert_eq!(analysis.languages.len(), 3);
}

#[test]
fn what_is_shown_of_a_project_is_short() {
    let long = "x".repeat(500_000);
    let manifest = format!(r#"{{ "name": "{long}", "dependencies": {{"@supabase/{long}": "1", "next": "15"}} }}"#);
    let folder = long[..3_000].to_owned();
    let analysis = analyze(&project(&[
        ("package.json", &manifest),
        ("Procfile", &format!("web: node {long}")),
        ("Dockerfile", &format!("FROM node\nCMD {long}")),
        (".env.example", &format!("SUPABASE_{long}=1")),
        (&format!("{folder}/package.json"), "{ \"name\": "),
        (&format!("{folder}/compose.yml"), "services: { db: { image: postgres } }"),
        ("docker-compose.yml", &format!("services: {{ {long}: {{ image: postgres }} }}")),
    ]));
    assert!(analysis.start_command.as_ref().unwrap().command.starts_with("node xxx"));
    assert!(analysis.start_command.as_ref().unwrap().command.ends_with("x…"));
    let mut longest = 0;
    let mut places = 0;
    let value = serde_json::to_value(Analysis { components: Vec::new(), ..analysis }).unwrap();
    visit(&value, &mut |text| {
        longest = longest.max(text.chars().count());
        places += 1;
    });
    assert!(longest <= 300 && places > 20, "{longest} characters in one of {places} texts");
}

/// Every text of a value.
fn visit(value: &serde_json::Value, see: &mut dyn FnMut(&str)) {
    match value {
        serde_json::Value::String(text) => see(text),
        serde_json::Value::Array(list) => list.iter().for_each(|item| visit(item, see)),
        serde_json::Value::Object(fields) => fields.values().for_each(|item| visit(item, see)),
        _ => {}
    }
}
