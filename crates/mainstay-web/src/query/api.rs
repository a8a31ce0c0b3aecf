//! Prometheus' `query` and `query_range`.

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri, header};
use serde_json::json;

use super::parameters::{self, Given};
use crate::app::App;
use crate::request::Params;
use crate::view::{QueryAnswer, QueryError};

pub(super) async fn instant_get(State(app): State<App>, Params(given): Params<Given>) -> Response {
    answer(instant(&app, &given).await)
}

pub(super) async fn instant_post(State(app): State<App>, uri: Uri, body: Bytes) -> Response {
    answer(match from_form(&uri, &body) {
        Ok(given) => instant(&app, &given).await,
        Err(error) => Err(error),
    })
}

pub(super) async fn range_get(State(app): State<App>, Params(given): Params<Given>) -> Response {
    answer(range(&app, &given).await)
}

pub(super) async fn range_post(State(app): State<App>, uri: Uri, body: Bytes) -> Response {
    answer(match from_form(&uri, &body) {
        Ok(given) => range(&app, &given).await,
        Err(error) => Err(error),
    })
}

async fn instant(app: &App, given: &Given) -> Result<QueryAnswer, QueryError> {
    app.console.query(&parameters::instant(given, app.now())?).await
}

async fn range(app: &App, given: &Given) -> Result<QueryAnswer, QueryError> {
    app.console.query_range(&parameters::range(given)?).await
}

/// The fields of a form, and the parameters of the address where the form has none: as Go's `ParseForm`, which
/// Prometheus uses.
fn from_form(uri: &Uri, body: &Bytes) -> Result<Given, QueryError> {
    let bad = |error: String| QueryError::BadData(error);
    let Query(mut given) = Query::<Given>::try_from_uri(uri).map_err(|error| bad(error.body_text()))?;
    let text = std::str::from_utf8(body).map_err(|_| bad("the form is not UTF-8".to_owned()))?;
    // A form in a body is written exactly as a query in an address.
    let form_uri = Uri::builder()
        .path_and_query(format!("/?{text}"))
        .build()
        .map_err(|_| bad("the form is not application/x-www-form-urlencoded".to_owned()))?;
    let Query(fields) = Query::<Given>::try_from_uri(&form_uri).map_err(|error| bad(error.body_text()))?;
    given.extend(fields);
    Ok(given)
}

fn answer(result: Result<QueryAnswer, QueryError>) -> Response {
    let (status, body) = match result {
        Ok(answer) => {
            let mut body = json!({ "status": "success", "data": answer.to_prometheus() });
            if !answer.warnings.is_empty() {
                body["warnings"] = json!(answer.warnings);
            }
            (StatusCode::OK, body)
        }
        Err(error) => (
            StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            json!({ "status": "error", "errorType": error.error_type(), "error": error.to_string() }),
        ),
    };
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}
