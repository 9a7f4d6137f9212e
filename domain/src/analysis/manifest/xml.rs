//! XML as `pom.xml` and .NET projects write it.

/// The parser compares each attribute of an element with all before it, and copies the namespaces of an element into each one inside:
/// a file that is made of them alone takes minutes or all the memory there is. No manifest has as many.
const ATTRIBUTES_MAX: usize = 1_000;
const NAMESPACES_MAX: usize = 100;

/// # Errors
/// The reason, if it is no XML or nothing that a manifest would be.
pub fn parse(text: &str) -> Result<roxmltree::Document<'_>, String> {
    // No `<` can stand in an attribute, so that each piece holds one element's attributes at most.
    let has_many_attributes = text.split('<').any(|element| element.matches('=').count() > ATTRIBUTES_MAX);
    if has_many_attributes || text.matches("xmlns").count() > NAMESPACES_MAX {
        return Err("more attributes than a manifest has".to_owned());
    }
    roxmltree::Document::parse(text).map_err(|error| format!("not valid XML: {error}"))
}

/// Where the lines of a text end, so that the line of a place is found without counting from the start each time.
pub struct Lines(Vec<usize>);

impl Lines {
    pub fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of a byte, from 1.
    pub fn at(&self, byte: usize) -> u32 {
        u32::try_from(self.0.partition_point(|end| *end < byte) + 1).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_counted_from_one_and_ends_with_its_newline() {
        let lines = Lines::of("a\n\nbc");
        assert_eq!([0, 1, 2, 3, 4].map(|byte| lines.at(byte)), [1, 1, 2, 3, 3]);
    }

    #[test]
    fn what_would_take_the_parser_minutes_is_refused() {
        let attributes: String = (0..2_000).map(|index| format!(" a{index}=''")).collect();
        assert!(parse(&format!("<project{attributes}/>")).is_err());
        let nested: String = (0..200).map(|index| format!("<a xmlns:n{index}='x'>")).collect();
        assert!(parse(&nested).is_err());
        assert!(parse("<project xmlns='x' a='1'><b c='2'/></project>").is_ok());
    }
}
