//! Files for people who are signed in: statements for print and for machines, payouts for the bank.

use axum::{
    Extension, Router,
    extract::{Path, State},
    http::{HeaderName, header},
    response::IntoResponse,
    routing::get,
};
use domain::{
    PayoutId, StatementId,
    auth::Principal,
    statement::{payout_csv, to_csv, to_html, to_json},
};
use engine::{Engine, Error, payout, statement};

use crate::{problem::ApiResult, router::AppState};

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/statements/{id}/{file}", get(statement_file))
        .route("/payouts/open.csv", get(open_payouts))
        .route("/payouts/{id}/payout.csv", get(one_payout))
}

/// A whole statement as `statement.html` (to print), `statement.csv` or `statement.json`.
async fn statement_file(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path((id, file)): Path<(String, String)>,
) -> ApiResult<impl IntoResponse> {
    let unknown = || Error::not_found(format!("statement `{id}` as `{file}`"));
    let format = match file.as_str() {
        "statement.html" => Format::Html,
        "statement.csv" => Format::Csv,
        "statement.json" => Format::Json,
        _ => return Err(unknown().into()),
    };
    let id: StatementId = id.parse().map_err(|_| unknown())?;
    let whole = statement::export(&engine, &who, id).await?;
    let body = match format {
        Format::Html => to_html(&whole),
        Format::Csv => to_csv(&whole),
        Format::Json => to_json(&whole),
    };
    Ok(answer(format, &whole.number, body))
}

async fn open_payouts(State(engine): State<Engine>, Extension(who): Extension<Principal>) -> ApiResult<impl IntoResponse> {
    let rows = payout::rows(&engine, &who, None).await?;
    Ok(answer(Format::Csv, "open-payouts", payout_csv(&rows)))
}

async fn one_payout(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
) -> ApiResult<impl IntoResponse> {
    let id: PayoutId = id.parse().map_err(|_| Error::not_found(format!("payout `{id}`")))?;
    let rows = payout::rows(&engine, &who, Some(id)).await?;
    let name = rows.first().map_or_else(String::new, |row| row.reference.clone());
    Ok(answer(Format::Csv, &name, payout_csv(&rows)))
}

#[derive(Clone, Copy)]
enum Format {
    Html,
    Csv,
    Json,
}

/// Shown in the browser if it is a page, else saved under the name. Names are our own numbers and references, which need no quoting.
fn answer(format: Format, name: &str, body: String) -> impl IntoResponse + use<> {
    let (kind, ending, disposition) = match format {
        Format::Html => ("text/html; charset=utf-8", "html", "inline"),
        Format::Csv => ("text/csv; charset=utf-8", "csv", "attachment"),
        Format::Json => ("application/json", "json", "attachment"),
    };
    let headers: [(HeaderName, String); 3] = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("{disposition}; filename=\"{name}.{ending}\"")),
        // Its texts come from partners: no script of theirs may run, whatever they wrote.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'".to_owned()),
    ];
    (headers, body)
}
