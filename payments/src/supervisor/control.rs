//! The supervisor's HTTP API: what runs, what is wanted, discovery for the pods, targets for the scraper.

use super::{
    cluster::{Changed, Cluster, Refusal, Revision, Service},
    process::signal,
};
use crate::roles::answer::{Problem, json, parse};
use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
    routing::{get, post, put},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long discovery holds a question that has no news.
const LONG_POLL: Duration = Duration::from_secs(10);

pub(super) type Shared = Arc<Mutex<Cluster>>;

pub(super) fn lock(cluster: &Shared) -> MutexGuard<'_, Cluster> {
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn router(cluster: Shared) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/v1/deployments", get(deployments))
        .route("/v1/deployments/{cell}/{service}/image", post(image))
        .route("/v1/deployments/{cell}/{service}/undo", post(undo))
        .route("/v1/deployments/{cell}/{service}/restart", post(restart))
        .route("/v1/deployments/{cell}/{service}/scale", post(scale))
        .route("/v1/pods", get(pods))
        .route("/v1/pods/{pod}/kill", post(kill))
        .route("/v1/targets", get(targets))
        .route("/v1/cells", get(cells))
        .route("/v1/routes/{tenant}", put(move_tenant))
        .route("/v1/discovery/{cell}", get(discovery))
        .with_state(cluster)
}

type Answer = Result<Response, Problem>;

/// Ready when every deployment runs what is wanted of it.
async fn readyz(State(cluster): State<Shared>) -> StatusCode {
    let ready = lock(&cluster).services.values().all(Service::rolled_out);
    if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

#[derive(Serialize)]
struct DeploymentView<'a> {
    cell: &'a str,
    service: &'a str,
    version: &'a str,
    revision: u64,
    replicas: usize,
    ready: usize,
    /// Every pod runs the wanted revision and is ready.
    rolled_out: bool,
    revisions: &'a [Revision],
}

impl<'a> From<&'a Service> for DeploymentView<'a> {
    fn from(service: &'a Service) -> Self {
        Self {
            cell: &service.cell,
            service: &service.manifest.service,
            version: service.version(),
            revision: service.revision(),
            replicas: service.replicas,
            ready: service.ready(),
            rolled_out: service.rolled_out(),
            revisions: &service.revisions,
        }
    }
}

async fn deployments(State(cluster): State<Shared>) -> Response {
    let cluster = lock(&cluster);
    json(
        StatusCode::OK,
        &cluster
            .services
            .values()
            .map(DeploymentView::from)
            .collect::<Vec<_>>(),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    version: String,
    summary: Option<String>,
}

async fn image(
    State(cluster): State<Shared>,
    Path((cell, service)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let wanted: Image = parse(&body)?;
    let mut cluster = lock(&cluster);
    let changed = cluster.deploy(&cell, &service, &wanted.version, wanted.summary);
    changed_answer(&cluster, &cell, &service, changed)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Undo {
    to_revision: Option<u64>,
}

async fn undo(
    State(cluster): State<Shared>,
    Path((cell, service)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let wanted: Undo = if body.is_empty() {
        Undo::default()
    } else {
        parse(&body)?
    };
    let mut cluster = lock(&cluster);
    let changed = cluster.undo(&cell, &service, wanted.to_revision);
    changed_answer(&cluster, &cell, &service, changed)
}

async fn restart(State(cluster): State<Shared>, Path((cell, service)): Path<(String, String)>) -> Answer {
    let mut cluster = lock(&cluster);
    let changed = cluster.restart(&cell, &service);
    changed_answer(&cluster, &cell, &service, changed)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    replicas: usize,
}

async fn scale(
    State(cluster): State<Shared>,
    Path((cell, service)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let wanted: Scale = parse(&body)?;
    let mut cluster = lock(&cluster);
    let changed = cluster.scale(&cell, &service, wanted.replicas);
    changed_answer(&cluster, &cell, &service, changed)
}

#[derive(Serialize)]
struct ChangedView<'a> {
    #[serde(flatten)]
    deployment: DeploymentView<'a>,
    /// The change record's id; absent when there was nothing to change.
    event_id: Option<String>,
}

fn changed_answer(cluster: &Cluster, cell: &str, service: &str, changed: Changed) -> Answer {
    let event_id = changed.map_err(problem)?;
    match cluster.services.get(&(cell.to_owned(), service.to_owned())) {
        Some(service) => Ok(json(
            StatusCode::OK,
            &ChangedView {
                deployment: service.into(),
                event_id,
            },
        )),
        None => Err(Problem::not_found("no such deployment")),
    }
}

fn problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NotFound(what) => Problem::not_found(what),
        Refusal::Invalid(what) => Problem::bad_request(what),
        Refusal::Failed(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

#[derive(Serialize)]
struct PodView<'a> {
    pod: &'a str,
    cell: &'a str,
    service: &'a str,
    version: &'a str,
    revision: u64,
    pid: Option<u32>,
    address: Option<String>,
    ready: bool,
    stopping: bool,
    restarts: u32,
}

async fn pods(State(cluster): State<Shared>) -> Response {
    let cluster = lock(&cluster);
    let views = cluster.services.values().flat_map(|service| {
        service.pods.iter().map(|pod| {
            let status = pod.process.status();
            PodView {
                pod: &pod.name,
                cell: &service.cell,
                service: &service.manifest.service,
                version: &pod.version,
                revision: pod.revision,
                pid: status.pid,
                address: status.address,
                ready: status.ready,
                stopping: status.stopping,
                restarts: status.restarts,
            }
        })
    });
    json(StatusCode::OK, &views.collect::<Vec<_>>())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kill {
    signal: Option<String>,
}

/// Sends a signal to a pod: KILL unless the body says TERM, STOP or CONT. It is started again by itself.
async fn kill(State(cluster): State<Shared>, Path(name): Path<String>, body: Bytes) -> Answer {
    let wanted: Kill = if body.is_empty() {
        Kill::default()
    } else {
        parse(&body)?
    };
    let number = match wanted.signal.as_deref() {
        None | Some("KILL") => rustix::process::Signal::KILL,
        Some("TERM") => rustix::process::Signal::TERM,
        Some("STOP") => rustix::process::Signal::STOP,
        Some("CONT") => rustix::process::Signal::CONT,
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "signal {other:?} is none of KILL, TERM, STOP, CONT"
            )));
        }
    };
    let cluster = lock(&cluster);
    let pod = cluster
        .services
        .values()
        .flat_map(|service| &service.pods)
        .find(|pod| pod.name == name);
    let Some(pod) = pod else {
        return Err(Problem::not_found(format!("no pod {name}")));
    };
    match pod.process.status().pid {
        Some(pid) if signal(pid, number) => Ok(json(
            StatusCode::OK,
            &serde_json::json!({ "pod": name, "pid": pid }),
        )),
        _ => Err(Problem::new(
            StatusCode::CONFLICT,
            format!("pod {name} is not running"),
        )),
    }
}

#[derive(Serialize)]
struct Target<'a> {
    targets: [String; 1],
    labels: BTreeMap<&'static str, &'a str>,
}

/// Prometheus HTTP service discovery: every pod that has an address, also those that are down right now.
async fn targets(State(cluster): State<Shared>) -> Response {
    let cluster = lock(&cluster);
    let targets = cluster.services.values().flat_map(|service| {
        service.pods.iter().filter_map(|pod| {
            let labels = BTreeMap::from([
                ("job", service.manifest.service.as_str()),
                ("cell", service.cell.as_str()),
                ("pod", pod.name.as_str()),
                ("version", pod.version.as_str()),
            ]);
            Some(Target {
                targets: [pod.process.status().address?],
                labels,
            })
        })
    });
    json(StatusCode::OK, &targets.collect::<Vec<_>>())
}

/// The cells with the URL of their gateway.
async fn cells(State(cluster): State<Shared>) -> Response {
    let cluster = lock(&cluster);
    let gateways: BTreeMap<&str, Option<String>> = cluster
        .topologies
        .iter()
        .map(|(cell, topology)| {
            let topology = topology.borrow();
            let gateway = topology
                .services
                .get(crate::model::service::GATEWAY)
                .and_then(|pods| pods.first());
            (
                cell.as_str(),
                gateway.map(|endpoint| format!("http://{}", endpoint.address)),
            )
        })
        .collect();
    json(StatusCode::OK, &gateways)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    cell: String,
}

/// Routes a tenant to a cell; its epoch grows, so that requests under the old route are refused.
async fn move_tenant(State(cluster): State<Shared>, Path(tenant): Path<String>, body: Bytes) -> Answer {
    let wanted: Move = parse(&body)?;
    let mut cluster = lock(&cluster);
    cluster.move_tenant(&tenant, &wanted.cell).map_err(problem)?;
    Ok(json(StatusCode::OK, &cluster.routes.get(&tenant)))
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn discovery(
    State(cluster): State<Shared>,
    Path(cell): Path<String>,
    Query(after): Query<After>,
) -> Answer {
    let subscribed = lock(&cluster)
        .topologies
        .get(&cell)
        .map(tokio::sync::watch::Sender::subscribe);
    let Some(mut topology) = subscribed else {
        return Err(Problem::not_found(format!("no cell {cell}")));
    };
    // A generation from another life of the supervisor is news in either direction.
    let news = topology.wait_for(|t| t.generation > 0 && t.generation != after.after);
    let _ = tokio::time::timeout(LONG_POLL, news).await.map(drop);
    let known = Arc::clone(&topology.borrow());
    Ok(json(StatusCode::OK, &*known))
}
