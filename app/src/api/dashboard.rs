//! The dashboard's figures and charts.

use domain::dashboard::Metrics;
#[cfg(feature = "ssr")]
use domain::dashboard::Range;
use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// Figures, and the charts drawn from them as SVG; a chart without data is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dashboard {
    pub metrics: Metrics,
    pub revenue_chart: Option<String>,
    pub funnel_chart: Option<String>,
}

/// The dashboard of a range, given as the page's own query.
#[server(input = GetUrl)]
pub async fn find_dashboard(range: String) -> Result<Dashboard, AppError> {
    let range = Range::from_query(&range)
        .map_err(|error| domain::Problem::new(422, "invalid", "invalid input").field("range").detail(error.to_string()))?;
    let (engine, who) = super::backend().await?;
    let metrics = engine::dashboard::metrics(&engine, &who, range).await?;
    Ok(Dashboard { revenue_chart: crate::charts::revenue(&metrics), funnel_chart: crate::charts::funnel(&metrics.counts.now), metrics })
}
