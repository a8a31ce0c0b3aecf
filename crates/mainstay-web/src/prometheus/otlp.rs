//! OTLP metrics over HTTP, as <https://opentelemetry.io/docs/specs/otlp/#otlphttp> has it.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::write::as_it_came;
use crate::app::App;
use crate::error::WebError;
use crate::guard::Caller;
use crate::view::OtlpAnswer;

/// Where exporters send.
pub(crate) const PATH: &str = "/api/v1/otlp/v1/metrics";

/// Why a request was refused, for who reads another encoding than the body's: an extension of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Problem(pub(crate) String);

/// After how many seconds a sender may try again what could not be taken.
const RETRY_AFTER_S: &str = "5";

pub(super) async fn metrics(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, WebError> {
    let request = as_it_came(&headers, body);
    let OtlpAnswer {
        status,
        content_type,
        body,
        problem,
    } = app.console.write_otlp(&caller.principal, request).await?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = [(header::CONTENT_TYPE, content_type)];
    let again = (status == StatusCode::SERVICE_UNAVAILABLE)
        .then_some((header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S)));
    let again: HeaderMap = again.into_iter().collect();
    let mut response = (status, content_type, again, body).into_response();
    if let Some(problem) = problem {
        response.extensions_mut().insert(Problem(problem));
    }
    Ok(response)
}
