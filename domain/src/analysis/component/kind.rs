//! The kinds of projects, and their names.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectKind {
    /// Pages and a server.
    FullStackApp,
    /// Answers requests, shows no pages.
    ApiService,
    /// Pages that run in the browser alone.
    SinglePageApp,
    StaticSite,
    MobileApp,
    DesktopApp,
    CommandLineTool,
    Library,
    /// Components or tokens that other projects build on.
    DesignSystem,
    DataProject,
    Infrastructure,
    /// Runs on, with no framework that we know.
    Worker,
    /// Functions that a hosting platform calls.
    Functions,
    #[default]
    Unknown,
}

impl ProjectKind {
    pub const ALL: [Self; 14] = [
        Self::FullStackApp,
        Self::ApiService,
        Self::SinglePageApp,
        Self::StaticSite,
        Self::MobileApp,
        Self::DesktopApp,
        Self::CommandLineTool,
        Self::Library,
        Self::DesignSystem,
        Self::DataProject,
        Self::Infrastructure,
        Self::Worker,
        Self::Functions,
        Self::Unknown,
    ];

    /// Somebody has to run it somewhere.
    pub fn is_deployed(self) -> bool {
        matches!(self, Self::FullStackApp | Self::ApiService | Self::SinglePageApp | Self::StaticSite | Self::Worker)
    }

    pub fn has_server(self) -> bool {
        matches!(self, Self::FullStackApp | Self::ApiService | Self::Worker)
    }

    /// In words: "a full-stack app".
    pub fn describe(self) -> &'static str {
        match self {
            Self::FullStackApp => "a full-stack app",
            Self::ApiService => "an API service",
            Self::SinglePageApp => "a single-page app",
            Self::StaticSite => "a static site",
            Self::MobileApp => "a mobile app",
            Self::DesktopApp => "a desktop app",
            Self::CommandLineTool => "a command line tool",
            Self::Library => "a library",
            Self::DesignSystem => "a design system",
            Self::DataProject => "a data project",
            Self::Infrastructure => "infrastructure code",
            Self::Worker => "a program that keeps running",
            Self::Functions => "serverless functions",
            Self::Unknown => "a project of unknown kind",
        }
    }

    /// As in JSON: `full_stack_app`.
    pub fn id(self) -> &'static str {
        match self {
            Self::FullStackApp => "full_stack_app",
            Self::ApiService => "api_service",
            Self::SinglePageApp => "single_page_app",
            Self::StaticSite => "static_site",
            Self::MobileApp => "mobile_app",
            Self::DesktopApp => "desktop_app",
            Self::CommandLineTool => "command_line_tool",
            Self::Library => "library",
            Self::DesignSystem => "design_system",
            Self::DataProject => "data_project",
            Self::Infrastructure => "infrastructure",
            Self::Worker => "worker",
            Self::Functions => "functions",
            Self::Unknown => "unknown",
        }
    }
}
