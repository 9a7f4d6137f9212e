//! The multi-touch report of the whole programme, which pays nobody.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// What the URL asks for, as typed. Empty texts ask for the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributionReportQuery {
    /// `partner` or `site`.
    pub channel: String,
    /// `conversions` or `value`.
    pub measure: String,
    /// Of the values.
    pub currency: String,
    /// The first and the last day.
    pub from: String,
    pub to: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributionReport {
    /// The query with what was left open filled in.
    pub query: AttributionReportQuery,
    /// The currencies of the period's conversions.
    pub currencies: Vec<String>,
    /// HTML, see `panels`.
    pub report: String,
}

#[server]
pub async fn find_attribution_report(query: AttributionReportQuery) -> Result<AttributionReport, AppError> {
    let (engine, who) = super::backend().await?;
    let by_value = match query.measure.as_str() {
        "" | "conversions" => false,
        "value" => true,
        other => return Err(super::request::invalid("measure", format!("`{other}` is neither conversions nor value"))),
    };
    let AttributionReportQuery { channel, currency, from, to, .. } = &query;
    let question = engine::multitouch::Question::read(channel, from, to, currency, engine.now())?;
    let report = engine::multitouch::report(&engine, &who, question).await?;

    let last_moment = report.period.to - chrono::Duration::microseconds(1);
    let query = AttributionReportQuery {
        channel: report.by.to_string(),
        measure: if by_value { "value" } else { "conversions" }.to_owned(),
        currency: report.value.currency.to_string(),
        from: report.period.from.date_naive().to_string(),
        to: last_moment.date_naive().to_string(),
    };
    let currencies = report.currencies.iter().map(|(currency, _)| currency.to_string()).collect();
    let file =
        format!("/reports/attribution.csv?channel={}&currency={}&from={}&to={}", query.channel, query.currency, query.from, query.to);
    Ok(AttributionReport { query, currencies, report: crate::panels::attribution_report(report, by_value, file) })
}
