//! What runs by itself or at a command: workflows, pipelines, scripts, a Procfile. Their deploy commands name the host.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Surroundings, container::image_name, yaml};
use crate::analysis::{Evidence, Usage, finding::clipped, manifest::Stated, rules::rules, tree::File};

/// Commands of one script and words of one command that are looked at: no script has more, and hostile ones must not cost more.
const COMMANDS_MAX: usize = 1_000;
const WORDS_MAX: usize = 60;

/// A workflow of GitHub.
pub fn workflow(file: &File<'_>, content: &str, found: &mut Surroundings) -> Result<(), String> {
    let value = yaml(content)?;
    for (job_name, job) in value["jobs"].as_object().into_iter().flatten() {
        // Each step would repeat it.
        let job_name = clipped(job_name);
        for (name, service) in job["services"].as_object().into_iter().flatten() {
            let image = service["image"].as_str().or(service.as_str()).unwrap_or_default();
            let evidence = Evidence::key(file.path, format!("jobs.{job_name}.services.{name}"));
            found.signs_of(file, &rules().surroundings.images, &image_name(image), Usage::Development, &evidence);
        }
        for step in job["steps"].as_array().into_iter().flatten() {
            if let Some(uses) = step["uses"].as_str() {
                let action = uses.split('@').next().unwrap_or(uses);
                let evidence = Evidence::key(file.path, format!("jobs.{job_name}.steps: {action}"));
                found.signs_of(file, &rules().surroundings.actions, &action.to_ascii_lowercase(), Usage::Runtime, &evidence);
            }
            if let Some(script) = step["run"].as_str() {
                commands(file, script, |command| Evidence::key(file.path, format!("jobs.{job_name}.steps: {command}")), found);
            }
        }
    }
    Ok(())
}

/// A pipeline of GitLab, where the job `pages` publishes a site. Its tags make some of them no YAML that we can read.
pub fn gitlab(file: &File<'_>, content: &str, found: &mut Surroundings) {
    let Ok(value) = yaml(content) else { return };
    for (name, job) in value.as_object().into_iter().flatten() {
        let script = match &job["script"] {
            Value::String(script) => script.clone(),
            Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
            _ => continue,
        };
        if name == "pages" {
            found.sign(file, "gitlab-pages", Usage::Runtime, Evidence::key(file.path, "pages"));
        }
        commands(file, &script, |_| Evidence::key(file.path, format!("{name}.script")), found);
    }
}

/// The scripts of a `package.json`; whether it can be read is said where its dependencies are read.
pub fn package_scripts(file: &File<'_>, content: &str, found: &mut Surroundings) {
    let value: Value = serde_json::from_str(content).unwrap_or_default();
    for (name, script) in value["scripts"].as_object().into_iter().flatten() {
        commands(file, script.as_str().unwrap_or_default(), |_| Evidence::key(file.path, format!("scripts.{name}")), found);
    }
}

/// A Makefile and its kin, and shell scripts that are called after what they do.
pub fn is_script(name: &str) -> bool {
    matches!(name, "makefile" | "justfile") || name.ends_with(".sh") && name.contains("deploy")
}

pub fn script(file: &File<'_>, content: &str, found: &mut Surroundings) {
    for (number, line) in (1..).zip(content.lines()).take(COMMANDS_MAX) {
        commands(file, line, |_| Evidence::line(file.path, number), found);
    }
}

/// Notes the technologies whose commands a script holds.
fn commands(file: &File<'_>, script: &str, evidence: impl Fn(&str) -> Evidence, found: &mut Surroundings) {
    let names = &rules().surroundings.commands;
    let script = script.replace("\\\n", " ");
    let mut seen = BTreeSet::new();
    for command in script.split(['\n', ';', '|', '&']).take(COMMANDS_MAX) {
        let words: Vec<&str> = command.split_whitespace().take(WORDS_MAX).map(bare).collect();
        let says_nothing = words.first().is_none_or(|first| first.starts_with('#') || matches!(*first, "echo" | "@echo"));
        if !says_nothing {
            seen.extend(names.keys().filter(|key| is_called(key, &words)));
        }
    }
    for key in seen {
        found.signs_of(file, names, key, Usage::Runtime, &evidence(key));
    }
}

/// A word without quotes, the path before a program, and the version behind a package.
fn bare(word: &str) -> &str {
    let word = word.trim_matches(['"', '\'', '`', '(', ')']);
    let word = word.rsplit('/').next().unwrap_or(word);
    word.split_once('@').map_or(word, |(name, _)| if name.is_empty() { word } else { name })
}

/// Whether the words of a command hold those of a rule in their order: `vercel --prod` in `npx vercel deploy --prebuilt --prod`. A rule of
/// one word has to be the program, since such a word may be anything: `vitest run src/surge`.
fn is_called(rule: &str, words: &[&str]) -> bool {
    if !rule.contains(' ') {
        return program(words) == Some(rule);
    }
    let mut words = words.iter();
    rule.split(' ').all(|wanted| words.any(|word| *word == wanted))
}

/// What a command starts: its first word behind variables, flags and what runs packages.
fn program<'w>(words: &[&'w str]) -> Option<&'w str> {
    let runs_packages = |word: &str| matches!(word, "npx" | "bunx" | "npm" | "yarn" | "pnpm" | "exec" | "dlx");
    words.iter().copied().find(|word| !(word.starts_with('-') || word.contains('=') || runs_packages(word)))
}

pub fn procfile(file: &File<'_>, content: &str, found: &mut Surroundings) {
    for (number, line) in (1..).zip(content.lines()) {
        if let Some(("web", command)) = line.split_once(':').map(|(process, command)| (process.trim(), command.trim()))
            && found.procfile_web.is_none()
        {
            found.procfile_web = Some(Stated { command: command.to_owned(), evidence: Evidence::line(file.path, number) });
        }
    }
}
