//! Words, texts and symbols of source code, with comments dropped: enough to read declarations in files that are programs
//! (`Gemfile`, `build.gradle`, `setup.py`, `next.config.js`, `schema.prisma`) without running them.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    Word(&'a str),
    /// The inside of a quoted text, escapes as they stand.
    Text(&'a str),
    Symbol(char),
}

/// How comments begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comments {
    /// `#` to the end of the line.
    Hash,
    /// `//` to the end of the line, `/* */`.
    Slashes,
}

/// The tokens with their line numbers, from 1.
pub fn tokens(text: &str, comments: Comments) -> Vec<(u32, Token<'_>)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' if comments == Comments::Hash => line_length(rest),
            '/' if comments == Comments::Slashes && rest.starts_with("//") => line_length(rest),
            '/' if comments == Comments::Slashes && rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' | '\'' | '`' => {
                let (inside, length) = quoted(rest, first);
                tokens.push((line, Token::Text(inside)));
                length
            }
            _ if is_word(first) => {
                let length = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
                tokens.push((line, Token::Word(&rest[..length])));
                length
            }
            _ => {
                if !first.is_whitespace() {
                    tokens.push((line, Token::Symbol(first)));
                }
                first.len_utf8()
            }
        };
        line += newlines(&rest[..length]);
        rest = &rest[length..];
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn line_length(rest: &str) -> usize {
    rest.find('\n').unwrap_or(rest.len())
}

fn newlines(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX)
}

/// The inside of a quoted text and its length with the quotes. `"` and `'` end with the line at the latest, unless tripled.
fn quoted(rest: &str, quote: char) -> (&str, usize) {
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    if quote != '`' && rest.starts_with(&triple) {
        return match rest[3..].find(&triple) {
            Some(end) => (&rest[3..3 + end], end + 6),
            None => (&rest[3..], rest.len()),
        };
    }
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' if quote != '`' => return (&rest[1..index], index),
            _ if c == quote => return (&rest[1..index], index + 1),
            _ => {}
        }
    }
    (&rest[1..], rest.len())
}

/// The line on which a property is set to a value, as in `output: 'export'` or `ssr = false`.
pub fn setting(tokens: &[(u32, Token<'_>)], name: &str, value: Token<'_>) -> Option<u32> {
    tokens.windows(3).find_map(|window| {
        let [(line, key), (_, Token::Symbol(':' | '=')), (_, found)] = window else { return None };
        let is_key = matches!(key, Token::Word(text) | Token::Text(text) if *text == name);
        (is_key && *found == value).then_some(*line)
    })
}

/// JSON without the comments and trailing commas that `tsconfig.json` and its like may hold.
pub fn plain_json(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for (_, token) in tokens(text, Comments::Slashes) {
        match token {
            Token::Symbol(close @ ('}' | ']')) => {
                if plain.ends_with(',') {
                    plain.pop();
                }
                plain.push(close);
            }
            Token::Text(inside) => {
                plain.push('"');
                plain.push_str(inside);
                plain.push('"');
            }
            // Numbers with sign, point and exponent come in pieces that may touch.
            Token::Word(word) => plain.push_str(word),
            Token::Symbol(symbol) => plain.push(symbol),
        }
    }
    plain
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn comments_are_no_tokens() {
        assert_eq!(tokens("# gem 'rails'\ngem 'rack' # web", Comments::Hash), [(2, Token::Word("gem")), (2, Token::Text("rack"))]);
        assert_eq!(tokens("/* a\n b */ x // y\nz", Comments::Slashes), [(2, Token::Word("x")), (3, Token::Word("z"))]);
    }

    #[test]
    fn a_comment_sign_inside_a_text_belongs_to_the_text() {
        assert_eq!(tokens("'a # b'", Comments::Hash), [(1, Token::Text("a # b"))]);
        assert_eq!(tokens(r#""https://x" "\"//""#, Comments::Slashes), [(1, Token::Text("https://x")), (1, Token::Text(r#"\"//"#))]);
    }

    #[test]
    fn a_text_that_is_not_closed_ends_with_its_line() {
        assert_eq!(tokens("don't\nx", Comments::Hash), [(1, Token::Word("don")), (1, Token::Text("t")), (2, Token::Word("x"))]);
        assert_eq!(tokens("\"\"\"a\nb", Comments::Hash), [(1, Token::Text("a\nb"))]);
    }

    #[test]
    fn a_setting_is_found_with_its_line() {
        let config = tokens("// output: 'export'\nmodule.exports = {\n  output: 'export',\n}", Comments::Slashes);
        assert_eq!(setting(&config, "output", Token::Text("export")), Some(3));
        assert_eq!(setting(&config, "output", Token::Text("standalone")), None);
    }

    #[test]
    fn json_with_comments_becomes_json() {
        let value: serde_json::Value =
            serde_json::from_str(&plain_json("{ // c\n \"a\": [1.5e3, -2,], /* d */ \"b\": \"x//y\", }")).unwrap();
        assert_eq!(value, serde_json::json!({ "a": [1500.0, -2], "b": "x//y" }));
    }

    proptest! {
        #[test]
        fn any_text_has_tokens(text in ".{0,200}") {
            tokens(&text, Comments::Hash);
            tokens(&text, Comments::Slashes);
        }
    }
}
