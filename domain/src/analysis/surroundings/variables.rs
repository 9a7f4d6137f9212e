//! Files that name the environment's variables.

use url::Url;

use super::Surroundings;
use crate::analysis::{Evidence, Usage, rules::rules, tree::File};

/// What build tools put before a variable that the browser or the phone may see.
const PUBLIC: [&str; 10] =
    ["NEXT_PUBLIC_", "EXPO_PUBLIC_", "NUXT_PUBLIC_", "NUXT_", "PUBLIC_", "REACT_APP_", "VITE_", "VUE_APP_", "NG_APP_", "GATSBY_"];

/// By a name in lower case: `.env.local`, `prod.env`, `env.example`.
pub fn is_variables(name: &str) -> bool {
    (name.starts_with(".env") || name.ends_with(".env") || name.starts_with("env.")) && !name.ends_with(".ts") && !name.ends_with(".js")
}

/// Names of variables, and of an address its scheme and the end of its host. No value is kept.
pub fn variables(file: &File<'_>, content: &str, found: &mut Surroundings) {
    let name = file.name();
    let is_sample = ["example", "sample", "template", "dist", "defaults"].iter().any(|word| name.contains(word));
    if is_sample && !file.auxiliary {
        found.variable_files.push(Evidence::file(file.path));
    }
    let usage = if name.contains("test") { Usage::Development } else { Usage::Runtime };
    let around = &rules().surroundings;
    for (number, line) in (1..).zip(content.lines()) {
        let line = line.trim();
        let Some((variable, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=') else { continue };
        let variable = variable.trim();
        if variable.is_empty() || !variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let evidence = Evidence { line: Some(number), ..Evidence::key(file.path, variable) };
        let plain = PUBLIC.iter().find_map(|prefix| variable.strip_prefix(prefix)).unwrap_or(variable);
        found.signs_of(file, &around.variables, plain, usage, &evidence);
        let value = value.trim().trim_matches(['"', '\'']);
        if variable == "DB_CONNECTION" {
            found.signs_of(file, &around.providers, value, usage, &evidence);
        }
        if let Some((scheme, rest)) = value.split_once("://") {
            found.signs_of(
                file,
                &around.schemes,
                scheme.split('+').next().filter(|_| scheme != "mongodb+srv").unwrap_or(scheme),
                usage,
                &evidence,
            );
            let host = Url::parse(value).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| host_of(rest));
            if let Some(service) = around.hosts.find_suffix(&host) {
                found.sign(file, service, usage, evidence);
            }
        }
    }
}

/// The host of what is no proper URL, such as `user:[password]@db.example.com:5432/x`.
fn host_of(rest: &str) -> String {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.split(':').next().unwrap_or_default().to_ascii_lowercase()
}
