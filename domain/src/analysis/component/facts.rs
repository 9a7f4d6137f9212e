//! What a part of the project is told by.

use std::collections::{BTreeMap, BTreeSet};

use super::StartCommand;
use crate::analysis::{
    TechnologyKind,
    lexer::{Comments, Token, tokens},
    manifest::Manifest,
    rules::{Ecosystem, Technology},
    tree::{File, file_name, folder},
};

pub struct Facts<'m> {
    pub technologies: BTreeMap<&'static str, &'static Technology>,
    pub folder: &'m str,
    pub ecosystem: Ecosystem,
    pub manifests: &'m [&'m Manifest],
    pub start: Option<StartCommand>,
    pub has_container: bool,
    pub exports_files: bool,
    /// Paths below the folder, relative to it, without tests and examples.
    pub paths: BTreeSet<&'m str>,
    /// Those of them that hold a program's main function, where the language tells.
    pub mains: Vec<&'m str>,
    /// The code answers requests with what comes with the language.
    pub listens: bool,
}

impl Facts<'_> {
    pub fn has(&self, id: &str) -> bool {
        self.technologies.contains_key(id)
    }

    pub fn frameworks(&self) -> impl Iterator<Item = &'static Technology> {
        self.technologies.values().copied().filter(|technology| technology.kind == TechnologyKind::Framework)
    }

    pub fn depends_on(&self, name: &str) -> bool {
        self.manifests.iter().flat_map(|manifest| &manifest.dependencies).any(|dependency| dependency.name == name)
    }

    /// Somebody wrote down how it runs.
    pub fn runs(&self) -> bool {
        self.start.as_ref().is_some_and(|start| start.stated) || self.has_container
    }

    /// It has a main function or installs a command.
    pub fn is_program(&self) -> bool {
        !self.mains.is_empty() || self.manifests.iter().any(|manifest| manifest.installs_command)
    }
}

/// Whether a file holds a program's main function; `path` is relative to the part's folder.
pub fn is_main(ecosystem: Ecosystem, path: &str, file: &File<'_>) -> bool {
    match ecosystem {
        Ecosystem::Rust => path == "src/main.rs" || path.starts_with("src/bin/"),
        Ecosystem::Go => is_go_main(path, file.content),
        _ => false,
    }
}

/// `package main`, but for what only the build runs: it is marked so, or lies in a folder of tools.
fn is_go_main(path: &str, content: Option<&str>) -> bool {
    let is_tool = folder(path).split('/').any(|name| name.starts_with('_') || matches!(name, "tools" | "hack" | "scripts"));
    if is_tool || !path.ends_with(".go") || path.ends_with("_test.go") {
        return false;
    }
    let Some(content) = content else { return file_name(path) == "main.go" };
    let mut in_comment = false;
    for line in content.lines().map(str::trim) {
        // The comment of a package often shows a program that uses it.
        if in_comment || line.starts_with("/*") {
            in_comment = !line.contains("*/");
        } else if line.starts_with("//go:build ignore") || line.starts_with("// +build ignore") {
            return false;
        } else if let Some(rest) = line.strip_prefix("package ") {
            return rest.split("//").next().is_some_and(|name| name.trim() == "main");
        }
    }
    false
}

/// Whether a file's code opens a port without any framework. Only Go's library is a server that people run as it is.
pub fn listens(ecosystem: Ecosystem, file: &File<'_>) -> bool {
    let content = file.content.unwrap_or_default();
    let may = ecosystem == Ecosystem::Go && (content.contains("ListenAndServe") || content.contains("grpc.NewServer"));
    may && tokens(content, Comments::Slashes).windows(3).any(|window| {
        matches!(
            window,
            [(_, Token::Symbol('.')), (_, Token::Word("ListenAndServe" | "ListenAndServeTLS")), (_, Token::Symbol('('))]
                | [(_, Token::Word("grpc")), (_, Token::Symbol('.')), (_, Token::Word("NewServer"))]
        )
    })
}
