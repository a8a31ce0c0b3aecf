//! The supervisor: runs the pods of the Kubernetes manifests as child processes, once per cell.
//!
//! Rolling updates, revisions, rollback, probes and restarts with back-off behave as a cluster's would, as far as
//! one machine goes. Pods end with the supervisor however it ends: each holds the other end of a pipe.

mod cluster;
mod control;
mod lifecycle;
mod manifest;
mod process;
mod rollout;
mod spool;

pub(crate) use spool::write_durably;

use crate::{
    error::{Error, Result},
    log::Logger,
    pod::{announce, on_parent_gone, terminated},
    store,
};
use axum::serve::ListenerExt;
use cluster::{Cluster, Launch};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;

/// How often pods are looked at when nothing reports a change.
const RECONCILE: Duration = Duration::from_millis(250);
/// How long the pods may take to end when the supervisor is stopped.
const STOP: Duration = Duration::from_secs(15);

/// Options of the supervisor.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Directory of the Kubernetes manifests.
    #[arg(long, default_value = "deploy")]
    manifests: PathBuf,
    /// Cells to run, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    cells: Vec<String>,
    /// Directory for databases, logs, the event spool and what was deployed.
    #[arg(long)]
    data: PathBuf,
    /// Address of the control API; port 0 takes a free one and prints it.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Where the gateway of a cell listens, as CELL=ADDRESS; a free port when it is not given.
    #[arg(long = "gateway", value_name = "CELL=ADDRESS", value_parser = pair)]
    gateways: Vec<(String, String)>,
    /// Where change records go (CloudEvents over HTTP); without it they stay in the spool.
    #[arg(long, value_name = "URL")]
    events: Option<String>,
    /// Where it goes what becomes of payments (batches of CloudEvents over HTTP); without it nowhere.
    #[arg(long, value_name = "URL")]
    completions: Option<String>,
    /// Bearer token for the change records and what becomes of payments.
    #[arg(long, env = "PAYD_EVENTS_TOKEN", hide_env_values = true)]
    events_token: Option<String>,
    /// Arguments between the executable and the role, such as `payd` when this is a subcommand of another program.
    #[arg(long, value_name = "ARGUMENT")]
    pod_prefix: Vec<String>,
    /// Exit when standard input closes, that is, with the parent process.
    #[arg(long)]
    exit_with_parent: bool,
}

/// Parses `KEY=VALUE`.
pub(crate) fn pair(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!(
            "{text:?} is not CELL=ADDRESS, such as cell-1=127.0.0.1:8081"
        )),
    }
}

/// The database of a cell.
fn database(data: &Path, cell: &str) -> PathBuf {
    data.join(format!("{cell}.db"))
}

/// The directory of the pods' logs.
fn logs(data: &Path) -> PathBuf {
    data.join("logs")
}

pub(crate) async fn run(options: Options) -> Result<()> {
    if options.exit_with_parent {
        on_parent_gone(|| std::process::exit(0));
    }
    if options
        .listen
        .parse::<std::net::SocketAddr>()
        .is_ok_and(|address| !address.ip().is_loopback())
    {
        let listen = &options.listen;
        return Err(Error::Usage(format!(
            "--listen {listen}: the control API has no authentication, keep it on loopback"
        )));
    }
    let log = Arc::new(Logger::new("supervisor", "supervisor", "all"));
    let manifests = manifest::Manifests::read(&options.manifests)?;
    for warning in &manifests.warnings {
        log.warn("manifest", warning);
    }
    let logs = logs(&options.data);
    std::fs::create_dir_all(&logs).map_err(Error::file(&logs))?;
    for cell in &options.cells {
        store::create(&database(&options.data, cell)).await?;
    }
    let refused = |source| Error::Listen {
        address: options.listen.clone(),
        source,
    };
    let listener = TcpListener::bind(&options.listen).await.map_err(refused)?;
    let url = format!("http://{}", listener.local_addr().map_err(refused)?);
    let spool = spool::Spool::open(options.data.join("events"))?;
    if let Some(events) = &options.events {
        spool.send_to(events.clone(), options.events_token.clone(), Arc::clone(&log));
    }
    if let Some(url) = &options.completions {
        for cell in &options.cells {
            let receiver = lifecycle::Receiver {
                url: url.clone(),
                token: options.events_token.clone(),
            };
            lifecycle::tell(cell, &options.data, receiver, Arc::clone(&log));
        }
    }
    let launch = Launch {
        program: std::env::current_exe().map_err(|source| Error::System {
            what: "finding this executable",
            source,
        })?,
        prefix: options.pod_prefix.clone(),
        data: std::path::absolute(&options.data).map_err(Error::file(&options.data))?,
        discovery: url.clone(),
        gateway_listen: options.gateways.iter().cloned().collect::<BTreeMap<_, _>>(),
    };
    let cluster = Cluster::new(&options.cells, &manifests, launch, spool, Arc::clone(&log))?;
    let changed = Arc::clone(&cluster.changed);
    let cluster = Arc::new(Mutex::new(cluster));
    let served = control::router(Arc::clone(&cluster));
    tokio::spawn(async move {
        axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), served).await
    });
    announce(&serde_json::json!({ "control": url }));
    log.info("started");
    let mut stop = std::pin::pin!(terminated());
    loop {
        control::lock(&cluster).reconcile();
        tokio::select! {
            () = &mut stop => break,
            () = changed.notified() => {}
            () = tokio::time::sleep(RECONCILE) => {}
        }
    }
    log.info("stopping");
    let all_ended = async {
        while !control::lock(&cluster).stop() {
            let _ = tokio::time::timeout(RECONCILE, changed.notified()).await;
        }
    };
    if tokio::time::timeout(STOP, all_ended).await.is_err() {
        log.warn("stopped", &"pods were still running and are killed");
    }
    Ok(())
}
