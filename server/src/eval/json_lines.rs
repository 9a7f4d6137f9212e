//! Reading files of JSON lines, with errors that name the file, the line and the field.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::Path,
};

use serde::de::{DeserializeOwned, IgnoredAny};

use super::input::{Malformed, open};

/// Hands every line to `take`, and returns their number. Fields that are not among `fields` are noted on standard error and not read.
///
/// # Errors
/// The first line that is no object of that form, or that `take` refuses; an empty line is none.
pub fn for_each<T: DeserializeOwned>(
    path: &Path,
    fields: &[&str],
    mut take: impl FnMut(T) -> Result<(), Refused>,
) -> Result<usize, Malformed> {
    let file = path.display().to_string();
    let mut unread = BTreeSet::new();
    let mut count = 0;
    for text in BufReader::new(open(path)?).lines() {
        let text = text.map_err(|source| Malformed::File { file: file.clone(), source })?;
        count += 1;
        let line = count as u64;
        let mut read = || {
            let names: BTreeMap<String, IgnoredAny> = serde_json::from_str(&text).map_err(|error| Refused::row(&error))?;
            unread.extend(names.into_keys().filter(|name| !fields.contains(&name.as_str())));
            take(serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(&text)).map_err(Refused::field)?)
        };
        read().map_err(|refused: Refused| refused.at(&file, line))?;
    }
    for name in unread {
        eprintln!("note: {file}: field `{name}` is not read");
    }
    Ok(count)
}

/// What is wrong with a line: the field as a path (`weights[1]`), empty for the line as a whole.
pub struct Refused {
    pub field: String,
    pub what: String,
}

impl Refused {
    /// Each line is a document of its own, whose only line is of no interest.
    fn row(error: &serde_json::Error) -> Self {
        Self { field: String::new(), what: error.to_string().replace(" at line 1 column ", " at column ") }
    }

    fn field(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let field = error.path().to_string();
        Self { field: if field == "." { String::new() } else { field }, ..Self::row(error.inner()) }
    }

    fn at(self, file: &str, line: u64) -> Malformed {
        let (file, Self { field, what }) = (file.to_owned(), self);
        if field.is_empty() { Malformed::Line { file, line, what } } else { Malformed::Field { file, line, field, what } }
    }
}
