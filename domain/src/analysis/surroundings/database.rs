//! Files that name the database: Prisma's schema, Django's settings, Rails' `database.yml`.

use super::{Surroundings, yaml};
use crate::analysis::{
    Evidence, Usage,
    lexer::{Comments, Token, tokens},
    rules::rules,
    tree::File,
};

/// `provider = "postgresql"` of a data source, not the provider of a generator.
pub fn prisma(file: &File<'_>, content: &str, found: &mut Surroundings) {
    found.sign(file, "prisma", Usage::Runtime, Evidence::file(file.path));
    let tokens = tokens(content, Comments::Slashes);
    let Some(start) = tokens
        .windows(3)
        .position(|window| matches!(window, [(_, Token::Word("datasource")), (_, Token::Word(_)), (_, Token::Symbol('{'))]))
    else {
        return;
    };
    let end = tokens[start..].iter().position(|(_, token)| *token == Token::Symbol('}')).map_or(tokens.len(), |length| start + length);
    for window in tokens[start..end].windows(3) {
        if let [(line, Token::Word("provider")), (_, Token::Symbol('=')), (_, Token::Text(provider))] = window {
            found.signs_of(file, &rules().surroundings.providers, provider, Usage::Runtime, &Evidence::line(file.path, *line));
        }
    }
}

/// The engines that Django's settings name.
pub fn django(file: &File<'_>, content: &str, found: &mut Surroundings) {
    for (line, token) in tokens(content, Comments::Hash) {
        if let Token::Text(text) = token {
            found.signs_of(file, &rules().surroundings.providers, text, Usage::Runtime, &Evidence::line(file.path, line));
        }
    }
}

/// A template of YAML: what stands in `<%= %>` is left out, and if the rest is no YAML nothing is said.
pub fn rails_database(file: &File<'_>, content: &str, found: &mut Surroundings) {
    let Ok(value) = yaml(&without_code(content, "")) else { return };
    for environment in ["default", "production"] {
        let adapter = value[environment]["adapter"].as_str().unwrap_or_default();
        let evidence = Evidence::key(file.path, format!("{environment}.adapter"));
        found.signs_of(file, &rules().surroundings.providers, adapter, Usage::Runtime, &evidence);
    }
}

/// A template of YAML as YAML: `output` stands for what its `<%= %>` would write.
pub fn without_code(template: &str, output: &str) -> String {
    let mut pieces = template.split("<%");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        plain.push_str(if piece.starts_with('=') { output } else { "" });
        plain.push_str(piece.split_once("%>").map_or("", |(_, after)| after));
    }
    plain
}
