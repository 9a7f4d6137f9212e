//! Exchange rates as operators see them.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// Both as HTML, see `panels`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatesView {
    /// The newest rate of each currency.
    pub rates: String,
    /// The conversions that wait for one.
    pub waiting: String,
}

#[server]
pub async fn show_exchange_rates() -> Result<RatesView, AppError> {
    let (engine, who) = super::backend().await?;
    let rates = engine::exchange::latest(&engine, &who).await?;
    let (waiting, total) = engine::exchange::waiting(&engine, &who).await?;
    Ok(RatesView { rates: crate::panels::rate_table(rates), waiting: crate::panels::waiting_for_rates(waiting, total) })
}
