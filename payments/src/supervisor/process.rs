//! One pod as a child process: start, probe, restart with back-off, stop gracefully.

use crate::{client, log::Logger};
use bytes::Bytes;
use http::Method;
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::{Notify, watch},
    time::Instant,
};

/// Largest log file of a pod, in bytes; beyond it the file is moved to `.1` and starts anew.
const MAX_LOG_BYTES: u64 = 16 << 20;
/// How long callers have to hear that a pod is going, before it is told.
const LEAVE: Duration = Duration::from_millis(150);
/// How long a pod may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// Longest pause before a pod that keeps crashing is started again.
const MAX_BACK_OFF: Duration = Duration::from_secs(5);
/// A pod that ran this long has not crashed at its start.
const STABLE: Duration = Duration::from_secs(10);
/// Pause between probes while a pod starts.
const STARTING: Duration = Duration::from_millis(50);

/// An HTTP probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) path: String,
    pub(super) period: Duration,
    pub(super) timeout: Duration,
    pub(super) failure_threshold: u32,
}

/// How to run a pod.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    /// Where it must listen; `None` lets it choose.
    pub(super) listen: Option<String>,
    pub(super) log_file: PathBuf,
    pub(super) readiness: Option<Probe>,
    pub(super) liveness: Option<Probe>,
}

/// How a pod stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) pid: Option<u32>,
    pub(super) address: Option<String>,
    pub(super) ready: bool,
    pub(super) restarts: u32,
    pub(super) stopping: bool,
    pub(super) ended: bool,
}

/// A pod under supervision.
#[derive(Clone)]
pub(super) struct Process {
    status: Arc<Mutex<Status>>,
    changed: Arc<Notify>,
    stop: watch::Sender<bool>,
}

impl Process {
    /// Starts the pod; `changed` is told about every change of its status.
    pub(super) fn start(spec: Spec, changed: Arc<Notify>, log: Arc<Logger>) -> Self {
        let process = Self {
            status: Arc::default(),
            changed,
            stop: watch::Sender::new(false),
        };
        tokio::spawn(keep_running(process.clone(), spec, log));
        process
    }

    pub(super) fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes it out of service, then ends it.
    pub(super) fn stop(&self) {
        self.update(|status| {
            status.stopping = true;
            status.ready = false;
        });
        self.stop.send_replace(true);
    }

    fn update(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let before = status.clone();
        change(&mut status);
        if *status != before {
            self.changed.notify_one();
        }
    }
}

async fn keep_running(process: Process, mut spec: Spec, log: Arc<Logger>) {
    let http = client::http();
    let mut stop = process.stop.subscribe();
    let mut crashes = 0;
    let fixed = spec.listen.is_some();
    while !*stop.borrow() {
        let began = Instant::now();
        match spawn(&spec) {
            Ok(mut child) => {
                process.update(|status| status.pid = child.id());
                let reason = supervise(&process, &mut child, &mut spec, fixed, &http, &mut stop).await;
                let pod = spec.environment.get("PAYD_POD").map_or("?", String::as_str);
                if let Some(reason) = reason {
                    log.warn("pod ended, will be restarted", &format!("{pod}: {reason}"));
                }
            }
            Err(error) => log.error("pod cannot be started", &error),
        }
        let stopping = *stop.borrow();
        process.update(|status| {
            status.pid = None;
            status.ready = false;
            status.restarts += u32::from(!stopping);
        });
        if stopping {
            break;
        }
        crashes = if began.elapsed() > STABLE { 0 } else { crashes + 1 };
        let pause = Duration::from_millis(250)
            .saturating_mul(1 << (crashes as u32).min(6))
            .min(MAX_BACK_OFF);
        let _ = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
    }
    process.update(|status| status.ended = true);
}

/// Watches one run of the pod until it has ended. Says why when nobody asked for it.
async fn supervise(
    process: &Process,
    child: &mut Child,
    spec: &mut Spec,
    fixed: bool,
    http: &client::Http,
    stop: &mut watch::Receiver<bool>,
) -> Option<String> {
    // Held until the pod has ended: `wait` would close it, and the pod ends with its standard input.
    let _lifeline = child.stdin.take();
    let mut lines = child.stdout.take().map(|out| BufReader::new(out).lines());
    let ended = tokio::select! {
        ended = child.wait() => Some(ended),
        () = serve(process, spec, lines.as_mut(), http) => None,
        _ = stop.wait_for(|stop| *stop) => None,
    };
    if let Some(ended) = ended {
        if !fixed && !process.status().ready {
            // It may be the port that keeps it from starting.
            spec.listen = None;
        }
        return Some(ended.map_or_else(|e| e.to_string(), |status| status.to_string()));
    }
    let asked = *stop.borrow();
    if asked {
        tokio::time::sleep(LEAVE).await;
        if let Some(pid) = child.id() {
            signal(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(GRACE, child.wait()).await.is_ok() {
            return None;
        }
    }
    let _ = child.kill().await;
    (!asked).then(|| "liveness probe failed".to_owned())
}

/// Probes the pod; returns when it must be killed.
async fn serve(
    process: &Process,
    spec: &mut Spec,
    lines: Option<&mut tokio::io::Lines<BufReader<tokio::process::ChildStdout>>>,
    http: &client::Http,
) {
    let Some(lines) = lines else {
        return std::future::pending().await;
    };
    let address = loop {
        let Ok(Some(line)) = lines.next_line().await else {
            return std::future::pending().await;
        };
        let listening = serde_json::from_str::<serde_json::Value>(&line).ok();
        if let Some(address) = listening.as_ref().and_then(|v| v["listening"].as_str()) {
            break address.to_owned();
        }
    };
    // After a crash it comes back where its callers and scrapers know it.
    spec.listen = Some(address.clone());
    process.update(|status| status.address = Some(address.clone()));
    tokio::join!(
        watch_readiness(process, spec, &address, http),
        async {
            // Standard output must be read to the end, else the pod would block on it.
            while let Ok(Some(_)) = lines.next_line().await {}
            std::future::pending::<()>().await;
        },
        async {
            watch_liveness(spec, &address, http).await;
        }
    );
}

async fn watch_readiness(process: &Process, spec: &Spec, address: &str, http: &client::Http) {
    let Some(probe) = &spec.readiness else {
        process.update(|status| status.ready = true);
        return std::future::pending().await;
    };
    let mut failures = 0;
    loop {
        if succeeds(http, address, probe).await {
            failures = 0;
            process.update(|status| status.ready = !status.stopping);
        } else {
            failures += 1;
            if failures >= probe.failure_threshold {
                process.update(|status| status.ready = false);
            }
        }
        rotate(&spec.log_file);
        tokio::time::sleep(if process.status().ready {
            probe.period
        } else {
            STARTING
        })
        .await;
    }
}

async fn watch_liveness(spec: &Spec, address: &str, http: &client::Http) {
    let Some(probe) = &spec.liveness else {
        return std::future::pending().await;
    };
    let mut failures = 0;
    while failures < probe.failure_threshold {
        tokio::time::sleep(probe.period).await;
        failures = if succeeds(http, address, probe).await {
            0
        } else {
            failures + 1
        };
    }
}

async fn succeeds(http: &client::Http, address: &str, probe: &Probe) -> bool {
    let uri = format!("http://{address}{}", probe.path);
    let answer = client::request(http, Method::GET, &uri, &[], Bytes::new(), probe.timeout).await;
    answer.is_ok_and(|answer| answer.status.is_success())
}

fn spawn(spec: &Spec) -> std::io::Result<Child> {
    let log = open_log(&spec.log_file)?;
    Command::new(&spec.program)
        .args(&spec.arguments)
        .arg("--exit-with-parent")
        .env_remove("PAYD_EVENTS_TOKEN")
        .envs(&spec.environment)
        .env("PAYD_LISTEN", spec.listen.as_deref().unwrap_or("127.0.0.1:0"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
}

fn open_log(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The pod keeps writing to the same open file, so its content is copied away rather than the file renamed.
fn rotate(path: &Path) {
    if path.metadata().is_ok_and(|m| m.len() > MAX_LOG_BYTES)
        && std::fs::copy(path, path.with_extension("log.1")).is_ok()
    {
        let _ = OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|file| file.set_len(0));
    }
}

/// Sends a signal to a process that we started.
pub(super) fn signal(pid: u32, signal: rustix::process::Signal) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok())
}
