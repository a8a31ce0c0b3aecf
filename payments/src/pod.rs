//! What every pod of every service has: identity, metrics, health, logs, discovery, graceful shutdown.

use crate::{
    client::Services,
    clock,
    discovery::{self, Topology},
    error::{Error, Result},
    log::Logger,
    metrics::{DURATION_BUCKETS_SECONDS, Format, Registry},
    version::Version,
};
use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use std::{
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::Instant,
};

/// How long a pod that was told to stop may take to answer what it has taken.
const DRAIN: Duration = Duration::from_secs(8);

/// Who a pod is; the supervisor passes it in the environment.
#[derive(Clone, Debug, clap::Args)]
pub struct PodArgs {
    /// Name of the pod.
    #[arg(long, env = "PAYD_POD")]
    pub pod: String,
    /// Name of the cell.
    #[arg(long, env = "PAYD_CELL")]
    pub cell: String,
    /// Version of the service, from the image tag.
    #[arg(long, env = "PAYD_VERSION")]
    pub version: String,
    /// Address to listen on; port 0 takes a free one and prints it.
    #[arg(long, env = "PAYD_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// URL of the supervisor, for discovery.
    #[arg(long, env = "PAYD_DISCOVERY")]
    pub discovery: String,
    /// Memory limit of the container, in bytes.
    #[arg(long, env = "PAYD_MEMORY_LIMIT_BYTES", default_value_t = 512 << 20)]
    pub memory_limit_bytes: u64,
    /// Exit when standard input closes, that is, with the parent process.
    #[arg(long)]
    pub exit_with_parent: bool,
}

/// A running pod.
pub(crate) struct Pod {
    pub(crate) args: PodArgs,
    pub(crate) version: Version,
    pub(crate) metrics: Registry,
    pub(crate) log: Arc<Logger>,
    pub(crate) topology: watch::Receiver<Arc<Topology>>,
    ready: AtomicBool,
}

impl Pod {
    /// Starts discovery and the metrics that every pod has. Not ready yet.
    pub(crate) fn start(service: &'static str, args: PodArgs) -> Result<Arc<Self>> {
        let version: Version = args.version.parse().map_err(Error::Usage)?;
        if args.exit_with_parent {
            on_parent_gone(|| std::process::exit(0));
        }
        let log = Arc::new(Logger::new(service, &args.pod, &args.cell));
        let topology = discovery::follow(args.discovery.clone(), args.cell.clone(), Arc::clone(&log));
        let metrics = Registry::default();
        process_metrics(&metrics, &args);
        Ok(Arc::new(Self {
            args,
            version,
            metrics,
            log,
            topology,
            ready: AtomicBool::new(false),
        }))
    }

    /// Calls to the other services of the cell.
    pub(crate) fn services(&self) -> Services {
        Services::new(self.topology.clone())
    }

    /// Waits until the supervisor has told where everything is.
    pub(crate) async fn topology_known(&self) -> Arc<Topology> {
        let mut topology = self.topology.clone();
        match topology.wait_for(|t| t.generation > 0).await {
            Ok(known) => Arc::clone(&known),
            Err(_) => Arc::default(),
        }
    }

    /// Request counters and durations of this pod, around the routes of its role.
    pub(crate) fn measured(&self, router: Router) -> Router {
        let measure = Measure {
            requests: self.metrics.counters(
                "http_requests_total",
                "Requests that this pod answered.",
                &["method", "route", "status"],
            ),
            durations: self.metrics.histograms(
                "http_request_duration_seconds",
                "Time to answer a request.",
                &["method", "route"],
                DURATION_BUCKETS_SECONDS,
            ),
        };
        router.layer(middleware::from_fn_with_state(measure, measured))
    }

    /// Serves until SIGTERM, then drains.
    pub(crate) async fn serve(self: Arc<Self>, router: Router) -> Result<()> {
        let address = &self.args.listen;
        let refused = |source| Error::Listen {
            address: address.clone(),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        announce(&serde_json::json!({ "listening": listener.local_addr().map_err(refused)? }));
        let router = router.merge(
            Router::new()
                .route("/metrics", get(exposition))
                .route("/healthz", get(|| async { "ok" }))
                .route("/readyz", get(readyz))
                .with_state(Arc::clone(&self)),
        );
        self.ready.store(true, Ordering::Relaxed);
        self.log.info("started");
        let (stop, mut stopped) = watch::channel(false);
        let pod = Arc::clone(&self);
        tokio::spawn(async move {
            terminated().await;
            pod.ready.store(false, Ordering::Relaxed);
            pod.log.info("stopping");
            stop.send_replace(true);
            tokio::time::sleep(DRAIN).await;
            pod.log.warn(
                "stopped",
                &"requests were still running when the drain time ended",
            );
            std::process::exit(1);
        });
        let graceful = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), router)
            .with_graceful_shutdown(graceful)
            .await
            .map_err(|source| Error::System {
                what: "serving HTTP",
                source,
            })?;
        self.log.info("stopped");
        Ok(())
    }
}

/// Resolves on SIGTERM or SIGINT.
pub(crate) async fn terminated() {
    let Ok(mut term) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    let Ok(mut interrupt) = signal(SignalKind::interrupt()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Calls `gone` when standard input closes: the parent holds its other end, so the kernel closes it however the
/// parent dies.
pub(crate) fn on_parent_gone(gone: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while !matches!(std::io::stdin().read(&mut buffer), Ok(0) | Err(_)) {}
        gone();
    });
}

/// One JSON line on standard output, for the parent.
pub(crate) fn announce(line: &serde_json::Value) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

async fn readyz(State(pod): State<Arc<Pod>>) -> StatusCode {
    if pod.ready.load(Ordering::Relaxed) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

async fn exposition(State(pod): State<Arc<Pod>>, headers: HeaderMap) -> Response {
    let format = Format::negotiate(&headers);
    (
        [(header::CONTENT_TYPE, format.content_type())],
        pod.metrics.render(format),
    )
        .into_response()
}

#[derive(Clone)]
struct Measure {
    requests: crate::metrics::Counters,
    durations: crate::metrics::Histograms,
}

async fn measured(State(measure): State<Measure>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = matched.as_ref().map_or("other", MatchedPath::as_str);
    measure
        .requests
        .with(&[method.as_str(), route, response.status().as_str()])
        .increment();
    measure
        .durations
        .with(&[method.as_str(), route])
        .observe(began.elapsed().as_secs_f64());
    response
}

fn process_metrics(metrics: &Registry, args: &PodArgs) {
    let started = metrics
        .gauges(
            "process_start_time_seconds",
            "When the process started, Unix time.",
            &[],
        )
        .with(&[]);
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of this century are exact in an f64"
    )]
    started.set(clock::unix_ms() as f64 / 1000.0);
    let pod = &[args.pod.as_str()];
    let limit = metrics
        .gauges(
            "container_spec_memory_limit_bytes",
            "Memory limit of the container.",
            &["pod"],
        )
        .with(pod);
    #[expect(clippy::cast_precision_loss, reason = "memory sizes are exact in an f64")]
    limit.set(args.memory_limit_bytes as f64);
    let usage = metrics
        .gauges(
            "container_memory_usage_bytes",
            "Resident memory of the pod.",
            &["pod"],
        )
        .with(pod);
    metrics.on_collect(move || usage.set(resident_bytes().unwrap_or_default()));
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()? * 1024.0)
}
