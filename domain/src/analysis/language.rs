//! Languages by bytes, without what was vendored, generated or minified.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    rules::rules,
    tree::{File, Tree},
};

/// A language's part of the project's source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageShare {
    pub name: String,
    pub bytes: u64,
    pub files: u32,
    /// 0 to 1, of the bytes of all languages.
    pub share: f64,
}

/// Greatest first, then by name.
pub fn shares(tree: &Tree<'_>) -> Vec<LanguageShare> {
    let counted = count(tree.files.iter().filter(|file| !file.auxiliary));
    // A project that is all tests, examples or documentation is described by them.
    let counted = if counted.is_empty() { count(tree.files.iter()) } else { counted };
    let total = sum(counted.values().map(|(bytes, _)| *bytes));
    let mut shares: Vec<LanguageShare> = counted
        .into_iter()
        .map(|(name, (bytes, files))| LanguageShare { name: name.to_owned(), bytes, files, share: ratio(bytes, total) })
        .collect();
    shares.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    shares
}

fn count<'f, 'a: 'f>(files: impl Iterator<Item = &'f File<'a>>) -> BTreeMap<&'static str, (u64, u32)> {
    let mut counted: BTreeMap<&'static str, (u64, u32)> = BTreeMap::new();
    for file in files.filter(|file| file.size > 0 && !is_generated(file)) {
        if let Some(language) = file.language {
            let entry = counted.entry(language).or_default();
            entry.0 = entry.0.saturating_add(file.size);
            entry.1 += 1;
        }
    }
    counted
}

/// Of sizes, which are what an archive claims: they may add up to more than there can be.
pub fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

#[expect(clippy::cast_precision_loss, reason = "a share needs three digits, not sixteen")]
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The language of a file by its name, its extension or its first line; `None` for data, prose and what is unknown.
pub fn of(file: &File<'_>) -> Option<&'static str> {
    let languages = &rules().languages;
    let name = file.name();
    if let Some(language) = languages.by_name.get(name) {
        return Some(language);
    }
    if name.starts_with("Dockerfile.") {
        return Some("Dockerfile");
    }
    let Some((_, extension)) = name.rsplit_once('.') else { return by_first_line(file.content?) };
    let extension = extension.to_ascii_lowercase();
    let start = file.content.map_or("", |content| content.trim_start());
    match extension.as_str() {
        // Qt keeps translations in XML files of this extension.
        "ts" if start.starts_with("<?xml") || start.starts_with("<!DOCTYPE TS") => None,
        "h" => Some(if ["class ", "namespace ", "template", "std::"].iter().any(|word| start.contains(word)) { "C++" } else { "C" }),
        "m" if start.starts_with('%') || start.starts_with("function") => Some("MATLAB"),
        other => languages.by_extension.get(other).map(String::as_str),
    }
}

fn by_first_line(content: &str) -> Option<&'static str> {
    let line = content.lines().next()?.strip_prefix("#!")?;
    let mut words = line.split_ascii_whitespace().filter(|word| !word.starts_with('-'));
    let program = words.next()?.rsplit('/').next()?;
    let program = if program == "env" { words.next()? } else { program };
    rules().languages.by_interpreter.get(program).map(String::as_str)
}

/// Written by a machine, or copied from elsewhere: minified files and well-known libraries that are kept beside the source.
fn is_generated(file: &File<'_>) -> bool {
    let name = file.name().to_ascii_lowercase();
    let marked = [".min.", ".bundle.", "-min.", ".generated.", ".pb.", "_pb2.", ".g.dart", ".designer.cs", ".d.ts"];
    let copied = [
        "jquery",
        "bootstrap",
        "font-awesome",
        "fontawesome",
        "modernizr",
        "normalize",
        "require.js",
        "d3.js",
        "d3.v",
        "lodash.js",
        "underscore.js",
        "three.js",
    ];
    marked.iter().any(|mark| name.contains(mark)) || copied.iter().any(|start| name.starts_with(start)) || has_machine_lines(file)
}

/// Lines of a thousand bytes on average are not typed by people.
fn has_machine_lines(file: &File<'_>) -> bool {
    let is_script = [".js", ".mjs", ".cjs", ".css"].iter().any(|end| file.path.ends_with(end));
    is_script && file.content.is_some_and(|content| content.len() > 20_000 && content.len() / content.lines().count().max(1) > 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::SourceFile;

    fn share_names(files: &[(&str, u64, Option<&str>)]) -> Vec<(String, u64)> {
        let files: Vec<SourceFile> = files
            .iter()
            .map(|(path, size, content)| SourceFile { path: (*path).into(), size: *size, content: content.map(Into::into) })
            .collect();
        shares(&Tree::new(&files)).into_iter().map(|share| (share.name, share.bytes)).collect()
    }

    #[test]
    fn a_vendored_file_does_not_decide_the_language() {
        let found = share_names(&[
            ("src/app.py", 900, None),
            ("vendor/huge.js", 359_000, None),
            ("static/jquery-3.7.1.js", 280_000, None),
            ("static/app.min.js", 90_000, None),
            ("README.md", 50_000, None),
            ("data.json", 70_000, None),
        ]);
        assert_eq!(found, [("Python".to_owned(), 900)]);
    }

    #[test]
    fn a_first_line_tells_the_language_of_a_file_without_extension() {
        let found = share_names(&[
            ("bin/tool", 30, Some("#!/usr/bin/env python3\n")),
            ("bin/run", 20, Some("#!/bin/sh -e\n")),
            ("LICENSE", 1000, Some("MIT")),
        ]);
        assert_eq!(found, [("Python".to_owned(), 30), ("Shell".to_owned(), 20)]);
    }

    #[test]
    fn a_translation_of_qt_is_not_typescript() {
        assert_eq!(
            share_names(&[("i18n/de.ts", 500, Some("<?xml version=\"1.0\"?><!DOCTYPE TS>")), ("src/main.cpp", 20, None)]),
            [("C++".to_owned(), 20)]
        );
    }
}
