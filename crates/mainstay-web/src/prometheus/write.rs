//! Remote write: samples that others send.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, StatusCode, header};

use super::tenant::Within;
use crate::app::App;
use crate::error::WebError;
use crate::guard::Caller;
use crate::view::WriteRequest;

pub(super) async fn write(
    State(app): State<App>,
    caller: Caller,
    within: Within,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, WebError> {
    let request = as_it_came(&headers, within, body);
    let written = app.console.write(&caller.principal, request).await?;
    let status = StatusCode::from_u16(written.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let counts = written.counts.map(|(name, count)| (name, count.to_string()));
    let mut response = (status, counts, written.problem).into_response();
    tell_when(&mut response, written.retry_after_s);
    Ok(response)
}

/// Says when to try again, if that is known.
pub(super) fn tell_when(response: &mut Response, retry_after_s: Option<u64>) {
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
}

/// What is sent, and what it says it is.
pub(super) fn as_it_came(headers: &HeaderMap, Within(reach): Within, body: Bytes) -> WriteRequest {
    let text = |name: HeaderName| Some(headers.get(name)?.to_str().unwrap_or("?").to_owned());
    WriteRequest {
        content_type: text(header::CONTENT_TYPE),
        content_encoding: text(header::CONTENT_ENCODING),
        body,
        reach,
    }
}
