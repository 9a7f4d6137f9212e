//! Text that goes out in files: what must be escaped, once for every export.

/// Text for HTML, in elements and in quoted attributes.
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// One line of text for Markdown: what would be read as markup is escaped, line breaks become spaces.
pub fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '!' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            // An entity such as `&lt;` would be read as its character.
            '&' => escaped.push_str("&amp;"),
            '\r' | '\n' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    // A list begins with `-`, `+` or `1.` at the start of a line only.
    if escaped.starts_with(['-', '+']) {
        escaped.insert(0, '\\');
    }
    escaped
}

/// Text for a CSV cell that no spreadsheet takes for a formula: a leading `=`, `+`, `-`, `@`, tab or line break gets an apostrophe
/// before it (<https://owasp.org/www-community/attacks/CSV_Injection>). Quoting is the writer's business.
pub fn guard_cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text.to_owned() }
}

/// Rows as CSV ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180): CRLF, quotes where needed). Cells are written as they are; guard
/// those that hold foreign text.
pub fn csv<R, C>(rows: R) -> String
where
    R: IntoIterator,
    R::Item: IntoIterator<Item = C>,
    C: AsRef<[u8]>,
{
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).flexible(true).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("writing to memory cannot fail, and rows may differ in length");
    }
    let bytes = writer.into_inner().expect("flushing to memory cannot fail");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_keeps_no_markup() {
        assert_eq!(escape_html(r#"<b a='"'>&"#), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
        assert_eq!(escape_html("plain ü"), "plain ü");
    }

    #[test]
    fn markdown_keeps_no_markup_and_no_line_break() {
        assert_eq!(escape_markdown("a|b *c*\n# d"), "a\\|b \\*c\\* \\# d");
        assert_eq!(escape_markdown("- item"), "\\- item");
        assert_eq!(escape_markdown("<script>&lt;"), "\\<script\\>&amp;lt;");
    }

    #[test]
    fn a_formula_is_guarded_and_quoted() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(guard_cell(formula), format!("'{formula}"));
        }
        assert_eq!(guard_cell("a=1"), "a=1");
        assert_eq!(csv([vec!["a,b".to_owned(), guard_cell("=\"x\"")], vec!["c".to_owned()]]), "\"a,b\",\"'=\"\"x\"\"\"\r\nc\r\n");
    }
}
