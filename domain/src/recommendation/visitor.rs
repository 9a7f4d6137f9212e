//! Offers as JSON, whole for our own people and with less for everybody else: who has the id of a site, which stands in its pages, sees
//! what fits it and why, but no folder, no variable and no secret of a project that may be private.

use serde::{Deserialize, Serialize};

use super::{LinkedOffer, Urgency};
use crate::{PartnerId, analysis::Evidence};

/// An offer without our figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VisitorOffer {
    pub partner_id: PartnerId,
    pub partner_name: String,
    pub category: String,
    pub positioning: String,
    pub cta_text: String,
    pub url: String,
    pub reasons: Vec<VisitorReason>,
    pub urgency: Urgency,
    pub down_ranked: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorReason {
    pub text: String,
    /// `package.json dependencies.next`, `Dockerfile:3`.
    pub evidence: Vec<String>,
}

impl VisitorOffer {
    /// With the whole reasons, for our own people.
    pub fn whole(LinkedOffer { offer, link }: &LinkedOffer) -> Self {
        let reason = |reason: &super::Reason| VisitorReason {
            text: reason.text.clone(),
            evidence: reason.evidence.iter().map(ToString::to_string).collect(),
        };
        Self {
            partner_id: offer.partner_id.clone(),
            partner_name: offer.display_name.clone(),
            category: offer.category.clone(),
            positioning: offer.positioning.clone(),
            cta_text: offer.cta_text.clone(),
            url: link.clone(),
            reasons: offer.reasons.iter().map(reason).collect(),
            urgency: offer.urgency,
            down_ranked: offer.down_ranked.clone(),
        }
    }

    /// As everybody may see it; nothing if it does not fit, since its reasons tell what the project has.
    pub fn public(linked: &LinkedOffer) -> Option<Self> {
        if linked.offer.down_ranked.is_some() {
            return None;
        }
        let reasons = linked.offer.reasons.iter().map(|reason| VisitorReason {
            text: with_masked_command(&reason.text),
            evidence: reason.evidence.iter().map(public_place).collect(),
        });
        Some(Self { reasons: reasons.collect(), ..Self::whole(linked) })
    }
}

/// A place in the code without its folders. Of a file of variables only the name is told, not which ones it sets.
fn public_place(place: &Evidence) -> String {
    let name = place.path.rsplit('/').next().unwrap_or_default();
    let key = place.key.clone().filter(|_| !name.starts_with(".env"));
    Evidence { path: name.to_owned(), line: place.line, key }.to_string()
}

/// A sentence whose command, which stands in backticks, is [masked](masked_command).
fn with_masked_command(text: &str) -> String {
    match (text.find('`'), text.rfind('`')) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}{}", &text[..=start], masked_command(&text[start + 1..end]), &text[end..])
        }
        _ => text.to_owned(),
    }
}

/// A command without what may be secret in it: `API_KEY=… gunicorn --token=… app:main`.
///
/// Cut are the values of variables and flags, addresses with a scheme or an account, and whatever follows a word that announces a secret, up
/// to the next flag. Rather too much is cut than too little.
pub fn masked_command(command: &str) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut rest = command.trim_start();
    let mut hides = false;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| letter.is_whitespace() || letter == '=').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        hides = hides && !word.starts_with('-');
        let value = after.strip_prefix('=');
        if let Some(value) = value {
            rest = behind_value(value);
        }
        match value {
            _ if hides => {}
            Some(_) => shown.push(format!("{word}=…")),
            None if is_address(word) => shown.push("…".to_owned()),
            None => {
                shown.push(word.to_owned());
                hides = announces_secret(word);
                shown.extend(hides.then(|| "…".to_owned()));
            }
        }
        rest = rest.trim_start();
    }
    shown.join(" ")
}

/// What stands behind a value that ends at its closing quote, or at the next white space.
fn behind_value(text: &str) -> &str {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    let unquoted = match quote {
        Some(quote) => text[1..].split_once(quote).map_or("", |(_, behind)| behind),
        None => text,
    };
    unquoted.find(char::is_whitespace).map_or("", |end| &unquoted[end..])
}

fn is_address(word: &str) -> bool {
    word.contains("://") || (word.contains(':') && word.contains('@'))
}

/// `--token`, `-api-key`, `Authorization:`, `Bearer`.
fn announces_secret(word: &str) -> bool {
    const SECRETS: [&str; 7] = ["token", "secret", "passw", "pwd", "key", "auth", "credential"];
    let word = word.trim_matches(['"', '\'']).to_ascii_lowercase();
    let announces = word.starts_with('-') || word.ends_with(':');
    word == "bearer" || (announces && SECRETS.iter().any(|secret| word.contains(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_a_command_are_not_shown() {
        for (command, shown) in [
            ("npm start", "npm start"),
            ("gunicorn --workers 4 app.wsgi:application", "gunicorn --workers 4 app.wsgi:application"),
            ("API_KEY=abc  gunicorn app", "API_KEY=… gunicorn app"),
            (r#"API_KEY="a b" PORT='3 0' node server.js"#, "API_KEY=… PORT=… node server.js"),
            (r#"sh -c "API_KEY=abc gunicorn app""#, r#"sh -c "API_KEY=… gunicorn app""#),
            ("serve --token=abc --port=80", "serve --token=… --port=…"),
            ("serve --token abc --port 80", "serve --token … --port 80"),
            ("serve --token 'a b", "serve --token …"),
            ("serve --secret A=b c", "serve --secret …"),
            ("web postgres://me:pw@db/x", "web …"),
            ("web me:pw@db", "web …"),
            (r#"curl -H "Authorization: Bearer abc" x"#, r#"curl -H "Authorization: …"#),
            ("node auth-server.js", "node auth-server.js"),
            (r#"KEY="never closed"#, "KEY=…"),
            ("KEY=", "KEY=…"),
            ("", ""),
        ] {
            assert_eq!(masked_command(command), shown, "{command}");
        }
    }

    #[test]
    fn only_what_stands_in_backticks_is_masked() {
        let text = "your API service starts with `A=b run `x` C=d` and nothing says where it runs, A=b";
        assert_eq!(with_masked_command(text), "your API service starts with `A=… run `x` C=…` and nothing says where it runs, A=b");
        assert_eq!(with_masked_command("one ` alone A=b"), "one ` alone A=b");
    }

    #[test]
    fn a_place_is_told_without_its_folders_and_variables() {
        let place = |path, key: &str| public_place(&Evidence::key(path, key));
        assert_eq!(place("services/billing/package.json", "dependencies.pg"), "package.json dependencies.pg");
        assert_eq!(place("deploy/.env.production", "DATABASE_URL"), ".env.production");
        assert_eq!(public_place(&Evidence::line("a/b/Dockerfile", 3)), "Dockerfile:3");
    }
}
