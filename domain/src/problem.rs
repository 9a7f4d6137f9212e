//! One description of what went wrong, sent by every door alike (RFC 9457 problem details).

use serde::{Deserialize, Serialize};

/// `code` is stable and meant for programs, `title` says the kind, `detail` this case, `field` which input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", detail.as_deref().unwrap_or(title))]
pub struct Problem {
    pub code: String,
    pub title: String,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    pub fn new(status: u16, code: &str, title: &str) -> Self {
        Self { code: code.to_owned(), title: title.to_owned(), status, detail: None, field: None }
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}
