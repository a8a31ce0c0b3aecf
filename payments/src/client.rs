//! HTTP between the services: keep-alive, round robin over ready pods, deadlines, another pod when one is gone.

use crate::{deadline, discovery::Topology};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// The HTTP client of one process.
pub(crate) type Http = Client<HttpConnector, Full<Bytes>>;

/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// How many pods are tried for one call.
const ATTEMPTS: usize = 3;

/// Trace header (W3C trace context).
pub(crate) const TRACEPARENT: &str = "traceparent";

/// A client with keep-alive.
pub(crate) fn http() -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(1)));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector)
}

/// Why a call has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// No pod was there to take it: it was certainly not done.
    #[error("no pod of {0} takes connections")]
    Unsent(String),
    /// It was sent and the connection broke: it may have been done.
    #[error("connection to {0} broke: {1}")]
    Broken(String, String),
    /// It was sent and the deadline passed: it may have been done.
    #[error("{0} did not answer before the deadline")]
    Deadline(String),
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// One call to a service. Every call between services is idempotent: by its method, or by a key that it carries.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) service: &'static str,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) deadline: Instant,
}

impl Call {
    pub(crate) fn new(service: &'static str, method: Method, path: String, deadline: Instant) -> Self {
        Self {
            service,
            method,
            path,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            deadline,
        }
    }

    pub(crate) fn json(mut self, body: &impl serde::Serialize) -> Self {
        self.body = serde_json::to_vec(body).unwrap_or_default().into();
        self.headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    pub(crate) fn trace(mut self, traceparent: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(traceparent) {
            self.headers.insert(TRACEPARENT, value);
        }
        self
    }
}

/// Told about every request that goes out, by pod.
pub(crate) type OnSend = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Calls services of the pod's own cell.
#[derive(Clone)]
pub(crate) struct Services {
    http: Http,
    topology: watch::Receiver<Arc<Topology>>,
    next: Arc<AtomicUsize>,
    on_send: Option<OnSend>,
}

impl Services {
    pub(crate) fn new(topology: watch::Receiver<Arc<Topology>>) -> Self {
        Self {
            http: http(),
            topology,
            next: Arc::default(),
            on_send: None,
        }
    }

    pub(crate) fn on_send(mut self, on_send: OnSend) -> Self {
        self.on_send = Some(on_send);
        self
    }

    pub(crate) async fn call(&self, call: &Call) -> Result<Answer, CallError> {
        let name = || call.service.to_owned();
        match tokio::time::timeout_at(call.deadline, self.try_pods(call)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Deadline(name())),
        }
    }

    async fn try_pods(&self, call: &Call) -> Result<Answer, CallError> {
        let topology = self.topology.borrow().clone();
        let pods = topology.services.get(call.service).map_or(&[][..], Vec::as_slice);
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut failure = CallError::Unsent(call.service.to_owned());
        for attempt in 0..ATTEMPTS.min(pods.len().max(1) + 1) {
            let Some(pod) = pods.get((first + attempt) % pods.len().max(1)) else {
                break;
            };
            if let Some(on_send) = &self.on_send {
                on_send(call.service, &pod.pod);
            }
            match send(&self.http, call, &pod.address).await {
                Ok(answer) => return Ok(answer),
                Err((sent, error)) if sent => failure = CallError::Broken(pod.pod.clone(), error),
                // An earlier attempt that broke after sending stays the verdict: it may have been done.
                Err(_) => {}
            }
        }
        Err(failure)
    }
}

async fn send(http: &Http, call: &Call, address: &str) -> Result<Answer, (bool, String)> {
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(format!("http://{address}{}", call.path));
    if let Some(headers) = request.headers_mut() {
        headers.extend(
            call.headers
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        headers.insert(
            deadline::HEADER,
            HeaderValue::from(deadline::remaining_ms(call.deadline)),
        );
    }
    let request = request
        .body(Full::new(call.body.clone()))
        .map_err(|e| (false, e.to_string()))?;
    let response = http
        .request(request)
        .await
        .map_err(|e| (!e.is_connect(), describe(&e)))?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES)
        .collect()
        .await
        .map_err(|e| (true, e.to_string()))?
        .to_bytes();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// A GET outside the cell's services whose answer is JSON.
pub(crate) async fn get_json<T: serde::de::DeserializeOwned>(
    http: &Http,
    uri: &str,
    timeout: Duration,
) -> Result<T, String> {
    let answer = request(http, Method::GET, uri, &[], Bytes::new(), timeout).await?;
    if !answer.status.is_success() {
        return Err(format!("{uri}: {}", answer.status));
    }
    serde_json::from_slice(&answer.body).map_err(|e| format!("{uri}: {e}"))
}

/// A request outside the cell's services.
pub(crate) async fn request(
    http: &Http,
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    body: Bytes,
    timeout: Duration,
) -> Result<Answer, String> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).map_err(|e| format!("{uri}: {e}"))?;
    let exchange = async {
        let (parts, body) = http
            .request(request)
            .await
            .map_err(|e| format!("{uri}: {}", describe(&e)))?
            .into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(|e| format!("{uri}: {e}"))?
            .to_bytes();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    };
    tokio::time::timeout(timeout, exchange)
        .await
        .map_err(|_| format!("{uri}: no answer in {timeout:?}"))?
}
