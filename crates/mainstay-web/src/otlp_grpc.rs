//! OTLP metrics over gRPC, `opentelemetry.proto.collector.metrics.v1.MetricsService/Export`, on a listener of its own.
//!
//! gRPC is HTTP/2 with five bytes before a message and the outcome in trailers
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>). A call becomes the request that OTLP over HTTP would
//! have been and goes through the same router: who may, how large, how long and what becomes of it is decided there once,
//! and the HTTP status of its answer says which code the call ends with.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut as _, BytesMut};
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::error::WebError;
use crate::prometheus::{OTLP_METRICS, Problem};
use crate::serve::{HEAD_MAX_BYTES, HEAD_TIMEOUT, accept, until_closed};

/// How many connections may be open at a time; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;
/// How many calls one of them may have under way.
const CALLS_MAX: u32 = 16;
/// How long a connection may be open without a call; exporters call once a minute.
const IDLE: Duration = Duration::from_secs(300);
/// How much of a call may be on its way here before any of it was read; twice that for a connection.
const WINDOW_BYTES: u32 = 1 << 20;
/// After how many seconds a sender may try again, if the answer does not say so itself.
const RETRY_AFTER_S: u64 = 5;
/// How much of a refusal is told.
const MESSAGE_MAX_BYTES: usize = 1 << 10;
/// How long an answer may be.
const ANSWER_MAX_BYTES: usize = 1 << 20;

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const GRPC: &str = "application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Serves calls until `shutdown` is done, then lets those under way end; `router` is the whole web. HTTP/2 without TLS and
/// without an upgrade, as exporters speak it. Check the address with [`check_bind`](crate::check_bind) before binding the
/// listener.
pub async fn serve_otlp_grpc(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) {
    accept(listener, MAX_CONNECTIONS, shutdown, |stream, closed| {
        let calls = Arc::new(AtomicUsize::new(0));
        let (router, begun) = (router.clone(), Arc::clone(&calls));
        let service = service_fn(move |request| {
            begun.fetch_add(1, Ordering::Relaxed);
            let answer = answer(router.clone(), request);
            async { Ok::<_, std::convert::Infallible>(answer.await) }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(CALLS_MAX)
            .max_header_list_size(u32::try_from(HEAD_MAX_BYTES).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES * 2)
            .keep_alive_interval(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        async move {
            let (closing, to_close) = watch::channel(());
            let mut serving = pin!(until_closed(connection, to_close));
            tokio::select! {
                () = serving.as_mut() => return,
                () = told_or_idle(closed, &calls) => {}
            }
            closing.send_replace(());
            serving.await;
        }
    })
    .await;
}

/// Until all connections are to close, or this one had no call for long.
async fn told_or_idle(mut closed: watch::Receiver<()>, calls: &AtomicUsize) {
    let mut before = 0;
    while tokio::time::timeout(IDLE, closed.changed()).await.is_err() {
        let begun = calls.load(Ordering::Relaxed);
        if begun == before {
            return;
        }
        before = begun;
    }
}

/// How a call ends.
struct Status {
    code: u32,
    message: String,
    /// After how many seconds it may be tried again.
    retry_after_s: Option<u64>,
}

impl Status {
    const INVALID_ARGUMENT: u32 = 3;
    const DEADLINE_EXCEEDED: u32 = 4;
    const PERMISSION_DENIED: u32 = 7;
    const RESOURCE_EXHAUSTED: u32 = 8;
    const UNIMPLEMENTED: u32 = 12;
    const INTERNAL: u32 = 13;
    const UNAVAILABLE: u32 = 14;
    const UNAUTHENTICATED: u32 = 16;

    fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_s: None,
        }
    }

    /// What an answer of the router means. An exporter tries again after `UNAVAILABLE`, and after `RESOURCE_EXHAUSTED` if it
    /// is told when (<https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling>): what is too large never gets smaller.
    fn of(status: StatusCode, headers: &HeaderMap, message: String) -> Self {
        let said_s = headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let (code, retry_after_s) = match status {
            StatusCode::UNAUTHORIZED => (Self::UNAUTHENTICATED, None),
            StatusCode::FORBIDDEN => (Self::PERMISSION_DENIED, None),
            StatusCode::REQUEST_TIMEOUT => (Self::DEADLINE_EXCEEDED, None),
            StatusCode::PAYLOAD_TOO_LARGE => (Self::RESOURCE_EXHAUSTED, None),
            StatusCode::TOO_MANY_REQUESTS => (Self::RESOURCE_EXHAUSTED, said_s.or(Some(RETRY_AFTER_S))),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => (Self::UNIMPLEMENTED, None),
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                (Self::UNAVAILABLE, said_s)
            }
            status if status.is_client_error() => (Self::INVALID_ARGUMENT, None),
            _ => (Self::INTERNAL, None),
        };
        Self {
            code,
            message,
            retry_after_s,
        }
    }

    /// `google.rpc.Status`, with `google.rpc.RetryInfo` in its details.
    fn details(&self, retry_after_s: u64) -> Vec<u8> {
        let delay = [&[1 << 3][..], &varint(retry_after_s)].concat();
        let any = [
            field(1, b"type.googleapis.com/google.rpc.RetryInfo"),
            field(2, &field(1, &delay)),
        ]
        .concat();
        let code = [&[1 << 3][..], &varint(self.code.into())].concat();
        [code, field(2, self.message.as_bytes()), field(3, &any)].concat()
    }

    /// A call that ends without a message: its trailers are all there is.
    fn into_response(mut self) -> Response<Body> {
        self.message
            .truncate(self.message.floor_char_boundary(MESSAGE_MAX_BYTES));
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(GRPC));
        headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(GRPC_STATUS, self.code.into());
        let mut put = |name, value: &str| {
            // Both are ASCII by now.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        put(GRPC_MESSAGE, &percent_encoded(&self.message));
        if let Some(retry_after_s) = self.retry_after_s {
            put(GRPC_DETAILS, &STANDARD_NO_PAD.encode(self.details(retry_after_s)));
        }
        response
    }
}

async fn answer(router: Router, request: Request<Incoming>) -> Response<Body> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let is_grpc = content_type
        .and_then(|text| text.strip_prefix(GRPC))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']));
    if !is_grpc || request.method() != Method::POST {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    match export(router, request).await {
        Ok(message) => {
            let mut framed = BytesMut::with_capacity(message.len() + 5);
            framed.put_u8(0);
            framed.put_u32(u32::try_from(message.len()).unwrap_or_default());
            framed.put(message);
            let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from(0))]);
            let body = Full::new(framed.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
            let mut response = Response::new(Body::new(body));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(GRPC));
            headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        Err(status) => status.into_response(),
    }
}

/// Has the router answer the call's message.
async fn export(router: Router, request: Request<Incoming>) -> Result<Bytes, Status> {
    let (parts, body) = request.into_parts();
    if parts.uri.path() != EXPORT {
        let text = format!("{} is not served here: {EXPORT} is", parts.uri.path());
        return Err(Status::new(Status::UNIMPLEMENTED, text));
    }
    let begun = tokio::time::timeout(HEAD_TIMEOUT, Message::begin(body));
    let message = begun
        .await
        .unwrap_or_else(|_| Err(Status::new(Status::DEADLINE_EXCEEDED, "no message arrived")))?;
    let mut headers = parts.headers;
    let packed_with = headers.remove(GRPC_ENCODING);
    headers.remove(header::CONTENT_ENCODING);
    if message.is_packed {
        if packed_with.as_ref().is_none_or(|name| name != "gzip") {
            let text = "the message is packed in a way that is not known here: gzip is";
            return Err(Status::new(Status::UNIMPLEMENTED, text));
        }
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-protobuf"),
    );
    headers.insert(header::CONTENT_LENGTH, message.left_bytes.into());
    if let Some(host) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(host.as_str())
    {
        headers.insert(header::HOST, host);
    }
    let mut inner = Request::new(message.into_body());
    *inner.method_mut() = Method::POST;
    *inner.uri_mut() = http::Uri::from_static(OTLP_METRICS);
    *inner.headers_mut() = headers;
    let Ok(response) = router.oneshot(inner).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_MAX_BYTES)
        .await
        .map_err(|error| Status::new(Status::INTERNAL, error.to_string()))?;
    if parts.status == StatusCode::OK {
        return Ok(body);
    }
    let problem = parts.extensions.get().map(|Problem(text)| text.clone());
    let refused = || {
        parts
            .extensions
            .get()
            .map(|error: &WebError| error.message.clone())
    };
    let message = problem.or_else(refused).unwrap_or_default();
    Err(Status::of(parts.status, &parts.headers, message))
}

/// The one message of a call, of which the head has been read.
struct Message {
    body: Incoming,
    /// What came with the head.
    held: Bytes,
    /// How long it is, but for what was handed on.
    left_bytes: u64,
    is_packed: bool,
}

impl Message {
    async fn begin(mut body: Incoming) -> Result<Self, Status> {
        let broken = |text: String| Status::new(Status::INVALID_ARGUMENT, text);
        let mut read = BytesMut::new();
        loop {
            if let Some(([flag, length @ ..], held)) = read.split_first_chunk::<5>() {
                let is_packed = match flag {
                    0 => false,
                    1 => true,
                    other => {
                        return Err(broken(format!(
                            "{other} does not say whether a message is packed"
                        )));
                    }
                };
                return Ok(Self {
                    held: Bytes::copy_from_slice(held),
                    left_bytes: u32::from_be_bytes(*length).into(),
                    is_packed,
                    body,
                });
            }
            match body.frame().await {
                Some(Ok(frame)) => read.extend(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(broken(error.to_string())),
                None => return Err(broken("a call has one message; this one has none".to_owned())),
            }
        }
    }

    /// The next part of it; nothing at its end, which must be where it was said to be.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let wrong = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text);
        let mut part = std::mem::take(&mut self.held);
        while part.is_empty() {
            part = match self.body.frame().await {
                Some(frame) => frame.map_err(io::Error::other)?.into_data().unwrap_or_default(),
                None if self.left_bytes == 0 => return Ok(None),
                None => return Err(wrong("the message ends before its length")),
            };
        }
        self.left_bytes = self
            .left_bytes
            .checked_sub(part.len() as u64)
            .ok_or_else(|| wrong("a call has one message; there is more"))?;
        Ok(Some(part))
    }

    fn into_body(self) -> Body {
        Body::from_stream(stream::try_unfold(self, |mut message| async move {
            let part = message.next().await?;
            Ok::<_, io::Error>(part.map(|part| (part, message)))
        }))
    }
}

/// A field of protobuf that has a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(content.len() as u64), content].concat()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A text as `grpc-message` has it: printable ASCII but `%`, everything else in hexadecimal.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_again_says_when() {
        let of = |status: u16, retry: Option<&'static str>| {
            let headers = retry.map(|after| (header::RETRY_AFTER, HeaderValue::from_static(after)));
            let status = StatusCode::from_u16(status).expect("a status");
            let status = Status::of(status, &headers.into_iter().collect(), String::new());
            (status.code, status.retry_after_s)
        };
        assert_eq!(of(400, None), (Status::INVALID_ARGUMENT, None));
        assert_eq!(of(401, None), (Status::UNAUTHENTICATED, None));
        assert_eq!(of(403, None), (Status::PERMISSION_DENIED, None));
        assert_eq!(of(413, Some("9")), (Status::RESOURCE_EXHAUSTED, None));
        assert_eq!(of(429, None), (Status::RESOURCE_EXHAUSTED, Some(RETRY_AFTER_S)));
        assert_eq!(of(429, Some("9")), (Status::RESOURCE_EXHAUSTED, Some(9)));
        assert_eq!(of(503, Some("9")), (Status::UNAVAILABLE, Some(9)));
        assert_eq!(of(500, None), (Status::INTERNAL, None));
    }

    #[test]
    fn details_are_a_status_with_a_delay() {
        let status = Status {
            code: 8,
            message: "full".to_owned(),
            retry_after_s: Some(300),
        };
        let type_url = b"type.googleapis.com/google.rpc.RetryInfo";
        let expected = [
            &b"\x08\x08\x12\x04full\x1a\x31\x0a\x28"[..],
            type_url,
            b"\x12\x05\x0a\x03\x08\xac\x02",
        ]
        .concat();
        assert_eq!(status.details(300), expected);
        let response = status.into_response();
        assert_eq!(response.headers()[GRPC_STATUS], "8");
        assert_eq!(response.headers()[GRPC_DETAILS], STANDARD_NO_PAD.encode(expected));
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encoded("50 % of \"é\"\n"), "50 %25 of \"%C3%A9\"%0A");
    }
}
