//! What tools are for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a tool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Database,
    Hosting,
    Design,
    Auth,
    Monitoring,
    Ci,
    Email,
    Payments,
    Storage,
    Analytics,
    Search,
    Cache,
    Queue,
    Cms,
    Ai,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("category `{0}` is none that an analysis knows")]
pub struct UnknownCategory(pub String);

impl Category {
    /// As in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Hosting => "hosting",
            Self::Design => "design",
            Self::Auth => "auth",
            Self::Monitoring => "monitoring",
            Self::Ci => "ci",
            Self::Email => "email",
            Self::Payments => "payments",
            Self::Storage => "storage",
            Self::Analytics => "analytics",
            Self::Search => "search",
            Self::Cache => "cache",
            Self::Queue => "queue",
            Self::Cms => "cms",
            Self::Ai => "ai",
        }
    }

    const ALL: [Self; 15] = [
        Self::Database,
        Self::Hosting,
        Self::Design,
        Self::Auth,
        Self::Monitoring,
        Self::Ci,
        Self::Email,
        Self::Payments,
        Self::Storage,
        Self::Analytics,
        Self::Search,
        Self::Cache,
        Self::Queue,
        Self::Cms,
        Self::Ai,
    ];
}

/// As people say it: "hosted database".
impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "hosted database",
            Self::Hosting => "hosting",
            Self::Design => "design tool",
            Self::Auth => "sign-in",
            Self::Monitoring => "monitoring",
            Self::Ci => "continuous integration",
            Self::Email => "e-mail sending",
            Self::Payments => "payments",
            Self::Storage => "file storage",
            Self::Analytics => "analytics",
            Self::Search => "search",
            Self::Cache => "cache",
            Self::Queue => "job queue",
            Self::Cms => "content management",
            Self::Ai => "AI models",
        })
    }
}

impl Category {
    /// "a hosted database", but "hosting": not everything can be counted.
    pub fn with_article(self) -> String {
        match self {
            Self::Database | Self::Design | Self::Cache | Self::Queue => format!("a {self}"),
            _ => self.to_string(),
        }
    }
}

impl FromStr for Category {
    type Err = UnknownCategory;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|category| category.id() == text).ok_or_else(|| UnknownCategory(text.to_owned()))
    }
}
