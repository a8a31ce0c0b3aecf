//! payment-service: takes payment initiations, answers for payments and balances.
//!
//! Every request reads through the bounded reader pool; the wait of its read query depends on the release.

use super::answer::{Problem, json, parse, raw_json, text};
use crate::{
    client::{Call, CallError, Services, TRACEPARENT},
    deadline,
    error::Result,
    log::{About, Level},
    model::{self, Initiation, Payment, service},
    pod::{Pod, PodArgs},
    store::{self, Reader, ReaderPool, StoreError, Writer, payments::Stored},
};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path as UrlPath, State},
    http::{HeaderMap, Method, StatusCode},
    response::Response,
    routing::{get, post},
};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Options of payment-service.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pod: PodArgs,
    /// The cell's database.
    #[arg(long, env = "PAYD_DB")]
    db: PathBuf,
    /// Size of this pod's share of the cell's 20 reader connections.
    #[arg(long, env = "PAYD_POOL_MAX", default_value_t = 10)]
    pool_max: u16,
}

struct App {
    pod: Arc<Pod>,
    readers: ReaderPool,
    writer: Writer,
    services: Services,
    /// Keys of the payments that are being accepted by this pod right now.
    in_flight: Mutex<BTreeSet<(String, String)>>,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let pod = Pod::start(service::PAYMENT, options.pod)?;
    let app = Arc::new(App {
        readers: ReaderPool::open(&options.db, options.pool_max, service::PAYMENT, &pod.metrics),
        writer: Writer::open(&options.db).await?,
        services: pod.services(),
        in_flight: Mutex::default(),
        pod: Arc::clone(&pod),
    });
    let router = Router::new()
        .route("/v1/payments", post(initiate))
        .route("/v1/payments/{id}", get(show))
        .route("/v1/accounts/{id}/balance", get(balance))
        .layer(DefaultBodyLimit::max(model::MAX_BODY_BYTES))
        .with_state(app);
    let router = pod.measured(router);
    pod.serve(router).await
}

impl App {
    /// Borrows a reader and waits for as long as this release's query plan takes, holding the connection. The wait
    /// stands for the database's own work, so it costs no CPU here.
    async fn reader(&self) -> std::result::Result<Reader, StoreError> {
        let reader = self.readers.acquire().await?;
        tokio::time::sleep(self.pod.version.read_query_wait()).await;
        Ok(reader)
    }

    /// Logs what the service itself is to blame for.
    fn blame(&self, headers: &HeaderMap, problem: Problem) -> Problem {
        if problem.status.is_server_error() {
            let trace = text(headers, TRACEPARENT);
            let about = About {
                trace_id: trace.split('-').nth(1).unwrap_or_default(),
                tenant: text(headers, model::TENANT),
            };
            self.pod
                .log
                .write(Level::Error, about, "request failed", Some(&problem.detail));
        }
        problem
    }
}

/// Frees the key however the request ends.
struct InFlight<'a> {
    app: &'a App,
    key: (String, String),
}

impl<'a> InFlight<'a> {
    fn enter(app: &'a App, tenant: &str, key: &str) -> Option<Self> {
        let key = (tenant.to_owned(), key.to_owned());
        let new = app
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.clone());
        new.then_some(Self { app, key })
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.app
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

async fn initiate(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> std::result::Result<Response, Problem> {
    app.initiate(&headers, &body)
        .await
        .map_err(|problem| app.blame(&headers, problem))
}

impl App {
    async fn initiate(&self, headers: &HeaderMap, body: &[u8]) -> std::result::Result<Response, Problem> {
        let deadline = deadline::of(headers, deadline::DEFAULT);
        let tenant = text(headers, model::TENANT);
        let key = text(headers, model::IDEMPOTENCY_KEY);
        if tenant.is_empty() {
            return Err(Problem::bad_request("header x-tenant is missing"));
        }
        if key.is_empty() || key.len() > 128 {
            return Err(Problem::bad_request(
                "header idempotency-key must have 1 to 128 characters",
            ));
        }
        let initiation: Initiation = parse(body)?;
        if let Some(fault) = initiation.fault() {
            return Err(Problem::bad_request(fault));
        }
        let Some(_in_flight) = InFlight::enter(self, tenant, key) else {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "a request with this idempotency-key is in flight",
            ));
        };
        let request_hash = model::request_hash(body);
        let mut reader = self.reader().await?;
        let known = store::payments::stored(&mut reader, tenant, key).await?;
        drop(reader);
        if let Some(stored) = known {
            return repeated(&stored, &request_hash);
        }
        self.participant(&initiation.creditor.agent, headers, deadline)
            .await?;
        let payment_id = model::payment_id(tenant, key);
        let response = serde_json::json!({ "payment_id": payment_id, "status": "accepted" }).to_string();
        let payment = Payment {
            payment_id,
            tenant: tenant.to_owned(),
            traceparent: text(headers, TRACEPARENT).to_owned(),
            initiation,
        };
        let answer = Stored {
            request_hash: request_hash.clone(),
            status_code: 202,
            response,
        };
        let stored = store::payments::accept(&self.writer, payment, key.to_owned(), answer).await?;
        repeated(&stored, &request_hash)
    }

    /// Asks clearing whether the creditor's bank can be reached, so that nobody is promised what cannot be sent.
    async fn participant(
        &self,
        agent: &str,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> std::result::Result<(), Problem> {
        let call = Call::new(
            service::CLEARING,
            Method::GET,
            format!("/v1/participants/{agent}"),
            deadline - Duration::from_millis(100),
        )
        .trace(text(headers, TRACEPARENT));
        let refused = |status, detail: &dyn std::fmt::Display| {
            Err(Problem::new(
                status,
                format!("clearing-adapter: participant {agent}: {detail}"),
            ))
        };
        match self.services.call(&call).await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => refused(
                StatusCode::UNPROCESSABLE_ENTITY,
                &"the creditor's bank takes no part",
            ),
            Ok(answer) => refused(StatusCode::BAD_GATEWAY, &answer.status),
            Err(error @ CallError::Deadline(_)) => refused(StatusCode::GATEWAY_TIMEOUT, &error),
            Err(error) => refused(StatusCode::BAD_GATEWAY, &error),
        }
    }
}

/// The stored answer to the same request; another request under the same key is refused.
fn repeated(stored: &Stored, request_hash: &str) -> std::result::Result<Response, Problem> {
    if stored.request_hash == request_hash {
        let status = StatusCode::from_u16(stored.status_code).unwrap_or(StatusCode::ACCEPTED);
        Ok(raw_json(status, stored.response.clone()))
    } else {
        Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "this idempotency-key was used for another request",
        ))
    }
}

async fn show(
    State(app): State<Arc<App>>,
    UrlPath(id): UrlPath<String>,
    headers: HeaderMap,
) -> std::result::Result<Response, Problem> {
    let find = async {
        let mut reader = app.reader().await?;
        store::payments::view(&mut reader, text(&headers, model::TENANT), &id).await
    };
    match find.await {
        Ok(Some(view)) => Ok(json(StatusCode::OK, &view)),
        Ok(None) => Err(Problem::not_found("no such payment of this tenant")),
        Err(error) => Err(app.blame(&headers, error.into())),
    }
}

async fn balance(
    State(app): State<Arc<App>>,
    UrlPath(id): UrlPath<String>,
    headers: HeaderMap,
) -> std::result::Result<Response, Problem> {
    let find = async {
        let mut reader = app.reader().await?;
        store::ledger::balance(&mut reader, text(&headers, model::TENANT), &id).await
    };
    match find.await {
        Ok(Some(balance)) => Ok(json(StatusCode::OK, &balance)),
        Ok(None) => Err(Problem::not_found("no such account of this tenant")),
        Err(error) => Err(app.blame(&headers, error.into())),
    }
}
