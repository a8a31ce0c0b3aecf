//! OTLP metrics over HTTP, as <https://opentelemetry.io/docs/specs/otlp/#otlphttp> has it.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};

use super::tenant::Within;
use super::write::{as_it_came, tell_when};
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
const RETRY_AFTER_S: u64 = 5;

pub(super) async fn metrics(
    State(app): State<App>,
    caller: Caller,
    within: Within,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, WebError> {
    let request = as_it_came(&headers, within, body);
    let OtlpAnswer {
        status,
        content_type,
        body,
        problem,
        retry_after_s,
    } = app.console.write_otlp(&caller.principal, request).await?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = [(header::CONTENT_TYPE, content_type)];
    let when = retry_after_s.or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_S));
    let mut response = (status, content_type, body).into_response();
    tell_when(&mut response, when);
    if let Some(problem) = problem {
        response.extensions_mut().insert(Problem(problem));
    }
    Ok(response)
}
