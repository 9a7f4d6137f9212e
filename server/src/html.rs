//! Small pages that stand outside the app: templates with `{{name}}` in them.

use std::fmt::Write;

pub use domain::export::escape_html as escape;

/// Reasons begin in lower case, as other texts of the domain do; a reader gets a beginning.
pub fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Puts values, which are HTML already, in the place of `{{name}}`. A value is never searched again; a name without a value stays.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let Some((name, tail)) = after.split_once("}}") else {
            page.push_str("{{");
            rest = after;
            continue;
        };
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => page.push_str(value),
            None => {
                let _ = write!(page, "{{{{{name}}}}}");
            }
        }
        rest = tail;
    }
    page.push_str(rest);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_text_stays_text() {
        assert_eq!(escape(r#"<a href="x" title='y'>&"#), "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;");
    }

    #[test]
    fn a_reason_begins_with_a_capital() {
        assert_eq!(capitalised("your project"), "Your project");
        assert_eq!(capitalised(""), "");
    }

    #[test]
    fn a_value_is_not_searched_again() {
        assert_eq!(fill("<p>{{a}} {{b}} {{c}}</p>{{", &[("a", "{{b}}"), ("b", "2")]), "<p>{{b}} 2 {{c}}</p>{{");
    }
}
