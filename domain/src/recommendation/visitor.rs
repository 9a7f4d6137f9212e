//! Offers as JSON, whole for our own people and with less for everybody else: who has the id of a site, which stands in its pages, sees
//! what fits it and why, but no folder, no variable and no secret of a project that may be private.

use serde::{Deserialize, Serialize};

use super::{LinkedOffer, Urgency};
use crate::{
    PartnerId,
    analysis::{Evidence, is_variables},
};

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

/// A place in the code without its folders. Of a file of variables only the name is told, not which ones it sets, and of a key with an
/// address nothing: analyses of earlier versions kept addresses with their passwords.
fn public_place(place: &Evidence) -> String {
    let name = place.path.rsplit('/').next().unwrap_or_default();
    let hides_key = |key: &String| key.contains("://") || name.starts_with(".env") || is_variables(&name.to_ascii_lowercase());
    let key = place.key.clone().filter(|key| !hides_key(key));
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
        hides = hides && !rest.starts_with('-');
        if hides {
            rest = behind_word(rest).trim_start();
            continue;
        }
        let (word, after) = rest.split_at(end_of_name(rest));
        rest = after;
        if let Some(value) = after.strip_prefix('=') {
            shown.push(format!("{word}=…"));
            rest = behind_value(value);
        } else if is_address(word) {
            shown.push("…".to_owned());
        } else {
            shown.push(word.to_owned());
            hides = announces_secret(word);
        }
        if hides {
            shown.push("…".to_owned());
            rest = behind_secret(word, rest);
        }
        rest = rest.trim_start();
    }
    shown.join(" ")
}

/// Where a word ends, or the name of a variable or a flag.
fn end_of_name(text: &str) -> usize {
    text.find(|letter: char| letter.is_whitespace() || letter == '=').unwrap_or(text.len())
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

/// What stands behind a value, or behind a variable with its value.
fn behind_word(text: &str) -> &str {
    let value = text[end_of_name(text)..].strip_prefix('=').filter(|_| !text.starts_with(['"', '\'']));
    behind_value(value.unwrap_or(text))
}

/// What stands behind the value that a word announces. Where a quote opens with the word, the value ends with it: `"X-Key: a -b"`.
fn behind_secret<'c>(word: &str, after: &'c str) -> &'c str {
    let quote = word.chars().next().filter(|first| matches!(first, '"' | '\''));
    match quote.filter(|quote| !word[1..].contains(*quote)) {
        Some(quote) => after.split_once(quote).map_or("", |(_, behind)| behind),
        None => behind_word(after.trim_start()),
    }
}

fn is_address(word: &str) -> bool {
    word.contains("://") || (word.contains(':') && word.contains('@'))
}

/// `--token`, `-api-key`, `Authorization:`, `Bearer`; `-p`, `-a` and `-u`, by which many programs take a password or an account.
fn announces_secret(word: &str) -> bool {
    const SECRETS: [&str; 8] = ["token", "secret", "pass", "pwd", "key", "auth", "credential", "dsn"];
    let word = word.trim_matches(['"', '\'']);
    if matches!(word, "-p" | "-a" | "-u") {
        return true;
    }
    let word = word.to_ascii_lowercase();
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
            ("serve --pass hunter2 --passphrase 'a b' --port 80", "serve --pass … --passphrase … --port 80"),
            ("redis-server --requirepass hunter2", "redis-server --requirepass …"),
            ("serve --sentry-dsn abc", "serve --sentry-dsn …"),
            ("mysql -u root -p hunter2 shop", "mysql -u … -p …"),
            ("redis-cli -a hunter2", "redis-cli -a …"),
            ("serve --token 'abc -def' --port 80", "serve --token … --port 80"),
            ("serve --token -abc", "serve --token …"),
            ("serve --secret x A='b -c' 'd -e' --port 80", "serve --secret … --port 80"),
            ("curl -H 'Authorization: Bearer abc -def' --silent", "curl -H 'Authorization: … --silent"),
            ("celery -A shop worker", "celery -A shop worker"),
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
        let place = |path: &str, key: &str| public_place(&Evidence::key(path, key));
        assert_eq!(place("services/billing/package.json", "dependencies.pg"), "package.json dependencies.pg");
        assert_eq!(place("deploy/.env.production", "DATABASE_URL"), ".env.production");
        for file in [".env.ts", "prod.env", "env.example", "Prod.ENV"] {
            assert_eq!(place(&format!("deploy/{file}"), "DATABASE_URL"), file);
        }
        let address = "project.dependencies: psycopg[binary] @ git+https://x:ghp_SECRET@github.com/a/b";
        assert_eq!(place("api/pyproject.toml", address), "pyproject.toml");
        assert_eq!(place("api/pyproject.toml", "project.dependencies: flask>=2"), "pyproject.toml project.dependencies: flask>=2");
        assert_eq!(public_place(&Evidence::line("a/b/Dockerfile", 3)), "Dockerfile:3");
    }
}
