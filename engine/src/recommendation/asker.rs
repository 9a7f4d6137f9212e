//! Who asks for offers.

use std::str::FromStr;

use crate::Error;

/// Random ids of visitors are at least this long, so that nobody guesses another's.
const VISITOR_CHARS_MIN: usize = 16;
const VISITOR_CHARS_MAX: usize = 64;

/// What is known of who asks. The default is somebody of whom nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The visitor's random id, as the widget keeps it. Absent for those who ask not to be tracked: no test deals by visitor for them.
    pub visitor: Option<String>,
    /// Variants to be shown instead of what is assigned. Such an answer is part of no test.
    pub preview: Vec<Forced>,
    /// The page lays the offers out by itself, whatever the answer says, so that a test of the layout would change nothing there.
    pub fixed_layout: bool,
    /// Whether tests may be looked at that visitors do not see yet, or not any more.
    pub may_read: bool,
}

/// `test:variant`, by their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    pub experiment: String,
    pub variant: String,
}

impl FromStr for Forced {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (experiment, variant) = text
            .split_once(':')
            .filter(|(experiment, variant)| !experiment.is_empty() && !variant.is_empty())
            .ok_or_else(|| Error::invalid("p4s_variant", format!("`{text}` must be a test and a variant, as in `button-text:short`")))?;
        Ok(Self { experiment: experiment.to_owned(), variant: variant.to_owned() })
    }
}

impl Asker {
    /// Reads the visitor's id.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless it is 16 to 64 of letters, digits, `-` and `_`.
    pub fn visitor(text: &str) -> Result<String, Error> {
        let is_id = (VISITOR_CHARS_MIN..=VISITOR_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !is_id {
            return Err(Error::invalid("visitor", "must be 16 to 64 letters, digits, - or _"));
        }
        Ok(text.to_owned())
    }

    /// Reads how far the page leaves the layout to the answer: `fixed` or, if it does, nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another word.
    pub fn fixed_layout(text: &str) -> Result<bool, Error> {
        match text {
            "fixed" => Ok(true),
            "" => Ok(false),
            other => Err(Error::invalid("layout", format!("`{other}` must be `fixed`, or be left out"))),
        }
    }

    /// Reads `test:variant,test:variant`; an empty text is none.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the part that is none.
    pub fn previews(text: &str) -> Result<Vec<Forced>, Error> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect()
    }
}
