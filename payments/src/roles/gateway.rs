//! gateway: one per cell, where clients come in and where the service level is measured.
//!
//! Every client request is counted exactly once, before the last byte of its answer is handed to the connection,
//! whatever becomes of it. The gateway outlives the pods behind it, so the counts do too.

mod sli;

use super::answer::{Problem, json, text};
use crate::{
    client::{Call, CallError, Services, TRACEPARENT},
    discovery::Topology,
    error::Result,
    model::{self, service},
    pod::{Pod, PodArgs},
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sli::{Route, Sli};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// Requests that may be under way at a time; what comes on top is shed with 429.
const MAX_IN_FLIGHT: usize = 1000;

/// Options of the gateway.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pod: PodArgs,
    /// How long a request may take, in milliseconds; clients must wait longer than that.
    #[arg(long, env = "PAYD_DEADLINE_MS", default_value_t = 2000)]
    deadline_ms: u64,
}

struct App {
    pod: Arc<Pod>,
    services: Services,
    sli: Arc<Sli>,
    deadline: Duration,
    trace: Traces,
    slots: Semaphore,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let pod = Pod::start(service::GATEWAY, options.pod)?;
    let topology = pod.topology_known().await;
    let sli = Arc::new(Sli::declare(&pod.metrics, topology.tenants_of(&pod.args.cell)));
    let upstream = pod.metrics.counters(
        "gateway_upstream_requests_total",
        "Requests that were sent to a pod, repeated ones included.",
        &["upstream_service", "upstream_pod"],
    );
    let sent = upstream.clone();
    let app = Arc::new(App {
        services: pod.services().on_send(Arc::new(move |service, pod| {
            sent.with(&[service, pod]).increment()
        })),
        sli: Arc::clone(&sli),
        deadline: Duration::from_millis(options.deadline_ms),
        trace: Traces::new(),
        slots: Semaphore::new(MAX_IN_FLIGHT),
        pod: Arc::clone(&pod),
    });
    let (mut changes, cell) = (pod.topology.clone(), pod.args.cell.clone());
    tokio::spawn(async move {
        // Series exist at 0 before the first request can be counted in them.
        loop {
            let topology = changes.borrow_and_update().clone();
            sli.add_tenants(topology.tenants_of(&cell));
            for pod in topology.services.get(service::PAYMENT).into_iter().flatten() {
                upstream.with(&[service::PAYMENT, &pod.pod]);
            }
            if changes.changed().await.is_err() {
                break;
            }
        }
    });
    let router = Router::new()
        .route("/v1/routes", get(routes))
        .fallback(handle)
        .with_state(app);
    pod.serve(router).await
}

/// Where the tenants of this cell live, for clients. Not part of the service level.
async fn routes(State(app): State<Arc<App>>) -> Response {
    let topology = app.pod.topology.borrow().clone();
    let here: std::collections::BTreeMap<_, _> = topology
        .tenants
        .iter()
        .filter(|(_, route)| route.cell == app.pod.args.cell)
        .collect();
    json(StatusCode::OK, &here)
}

async fn handle(State(app): State<Arc<App>>, request: Request) -> Response {
    let began = Instant::now();
    let tenant = text(request.headers(), model::TENANT).to_owned();
    let route = Route::of(request.method(), request.uri().path());
    // Counts 499 when this future is dropped, which is what happens when the client goes away.
    let mut measured = app.sli.begin(&tenant, route, began);
    let response = match app.answer(request, &tenant, route, began + app.deadline).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    measured.end(response.status());
    response
}

impl App {
    async fn answer(
        &self,
        request: Request,
        tenant: &str,
        route: Route,
        deadline: Instant,
    ) -> std::result::Result<Response, Problem> {
        let Ok(_slot) = self.slots.try_acquire() else {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "the gateway is at its limit, try again later",
            ));
        };
        let (parts, body) = request.into_parts();
        if route == Route::Other {
            return Err(Problem::not_found("no such resource"));
        }
        self.check_route(&self.pod.topology.borrow().clone(), tenant, &parts.headers)?;
        let body = match tokio::time::timeout_at(
            deadline,
            Limited::new(body, model::MAX_BODY_BYTES).collect(),
        )
        .await
        {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error));
            }
            Ok(Err(error)) => return Err(Problem::bad_request(error)),
            Err(_) => {
                return Err(Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "the request's body did not arrive",
                ));
            }
        };
        let path = parts
            .uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string);
        let mut call = Call::new(service::PAYMENT, parts.method, path, deadline);
        call.body = body;
        for name in [
            model::TENANT,
            model::IDEMPOTENCY_KEY,
            header::CONTENT_TYPE.as_str(),
        ] {
            if let (Some(value), Ok(name)) = (parts.headers.get(name), header::HeaderName::try_from(name)) {
                call.headers.insert(name, value.clone());
            }
        }
        let trace = parts
            .headers
            .get(TRACEPARENT)
            .cloned()
            .unwrap_or_else(|| self.trace.next());
        call.headers.insert(TRACEPARENT, trace);
        match self.services.call(&call).await {
            Ok(answer) => {
                let mut response = Response::new(Body::from(answer.body));
                *response.status_mut() = route.known_status(answer.status);
                if let Some(kind) = answer.headers.get(header::CONTENT_TYPE) {
                    response.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
                }
                Ok(response)
            }
            Err(error) => {
                let status = match error {
                    CallError::Unsent(_) => StatusCode::SERVICE_UNAVAILABLE,
                    CallError::Broken(..) => StatusCode::BAD_GATEWAY,
                    CallError::Deadline(_) => StatusCode::GATEWAY_TIMEOUT,
                };
                self.pod.log.error("payment-service did not answer", &error);
                Err(Problem::new(status, error))
            }
        }
    }

    /// A request must come for a tenant of this cell, from a client that knows its current route.
    fn check_route(
        &self,
        topology: &Topology,
        tenant: &str,
        headers: &HeaderMap,
    ) -> std::result::Result<(), Problem> {
        let Some(route) = topology.tenants.get(tenant) else {
            return Err(Problem::bad_request("header x-tenant must name a tenant"));
        };
        if route.cell != self.pod.args.cell {
            let detail = format!("tenant {tenant} lives in {} (epoch {})", route.cell, route.epoch);
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
        }
        match text(headers, model::ROUTE_EPOCH).parse::<u64>() {
            Ok(epoch) if epoch == route.epoch => Ok(()),
            Ok(epoch) => {
                let detail = format!(
                    "route epoch {epoch} of {tenant} is stale, it is {} now",
                    route.epoch
                );
                Err(Problem::new(StatusCode::CONFLICT, detail))
            }
            Err(_) => Err(Problem::bad_request(
                "header x-route-epoch must carry the epoch of the tenant's route",
            )),
        }
    }
}

/// Trace contexts for requests that come without one: a random start, then a permutation of a counter.
struct Traces {
    seed: [u64; 2],
    count: AtomicU64,
}

impl Traces {
    fn new() -> Self {
        let mut bytes = [0; 16];
        // Without entropy traces of two gateways may share ids, which harms nobody.
        let _ = getrandom::fill(&mut bytes);
        let value = u128::from_le_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        Self {
            seed: [value as u64, (value >> 64) as u64],
            count: AtomicU64::new(1),
        }
    }

    fn next(&self) -> HeaderValue {
        let count = self
            .count
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let text = format!(
            "00-{:016x}{:016x}-{:016x}-01",
            self.seed[0],
            self.seed[1] ^ count,
            count | 1
        );
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

/// Methods and paths that clients use; everything else is one route.
impl Route {
    fn of(method: &Method, path: &str) -> Self {
        let mut parts = path.trim_start_matches('/').split('/');
        match (
            method.as_str(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) {
            ("POST", Some("v1"), Some("payments"), None, None, None) => Self::Initiate,
            ("GET", Some("v1"), Some("payments"), Some(_), None, None) => Self::Payment,
            ("GET", Some("v1"), Some("accounts"), Some(_), Some("balance"), None) => Self::Balance,
            _ => Self::Other,
        }
    }
}
