//! The dashboard's figures and charts.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// What the dashboard shows; each part is HTML that was rendered on the server, see `panels`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dashboard {
    /// `14:03:22 UTC`
    pub as_of: String,
    /// The code of the main currency.
    pub currency: String,
    pub key_figures: String,
    pub commission: Chart,
    pub funnel: Chart,
    pub conversions: String,
    /// What the partners are ordered by.
    pub partners_hint: String,
    pub partners: String,
    pub health: String,
}

/// A drawing with its numbers as a table; without a table, the drawing says that there is nothing to draw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chart {
    pub drawing: String,
    pub table: Option<String>,
}

/// The dashboard of a range, given as the page's own query.
#[server]
pub async fn find_dashboard(range: String) -> Result<Dashboard, AppError> {
    use domain::{Problem, dashboard::Range};

    let range = Range::from_query(&range)
        .map_err(|error| Problem::new(422, "invalid", "invalid input").field("range").detail(error.to_string()))?;
    let (engine, who) = super::backend().await?;
    Ok(crate::panels::dashboard(engine::dashboard::metrics(&engine, &who, range).await?))
}
