//! A platform of real processes, gone with the test.

use crate::http::{Answer, get, post, request};
use payments::loadgen::Report;
use serde_json::{Value, json};
use sqlx::Connection;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

/// How long the tests wait for anything.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Platform {
    pub(crate) control: String,
    /// Taken when the platform is killed, to start another on it.
    data: Option<tempfile::TempDir>,
    pub(crate) supervisor: Child,
    _lifeline: ChildStdin,
}

/// Waits until `check` has a value.
pub(crate) fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the query counts in a cell's database.
pub(crate) fn count(db: &Path, query: &'static str) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(db)
            .read_only(true);
        let mut connection = sqlx::SqliteConnection::connect_with(&options)
            .await
            .expect("a connection");
        sqlx::query_scalar(query)
            .fetch_one(&mut connection)
            .await
            .expect("a count")
    })
}

fn payd() -> Command {
    Command::new(env!("CARGO_BIN_EXE_payd"))
}

fn first_line(child: &mut Child) -> Value {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped"))
        .read_line(&mut line)
        .expect("a line");
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
}

impl Platform {
    pub(crate) fn start(cells: &str) -> Self {
        Self::start_with(cells, &[])
    }

    pub(crate) fn start_with(cells: &str, arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), cells, arguments)
    }

    /// Starts it on the data of an earlier one.
    pub(crate) fn start_in(data: tempfile::TempDir, cells: &str, arguments: &[&str]) -> Self {
        let mut supervisor = payd()
            .args([
                "supervisor",
                "--exit-with-parent",
                "--cells",
                cells,
                "--manifests",
            ])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy"))
            .arg("--data")
            .arg(data.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("supervisor starts");
        let control = first_line(&mut supervisor)["control"]
            .as_str()
            .expect("the control URL")
            .to_owned();
        let lifeline = supervisor.stdin.take().expect("piped");
        let platform = Self {
            control,
            data: Some(data),
            supervisor,
            _lifeline: lifeline,
        };
        platform.rolled_out();
        platform
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.as_ref().expect("not killed").path()
    }

    /// Kills the supervisor as hard as it gets and leaves the data.
    pub(crate) fn kill(mut self) -> tempfile::TempDir {
        self.data.take().expect("not killed before")
    }

    /// Waits until every deployment runs what is wanted.
    pub(crate) fn rolled_out(&self) {
        eventually("every deployment to be rolled out", || {
            (get(&format!("{}/readyz", self.control)).status == 200).then_some(())
        });
    }

    pub(crate) fn gateway(&self, cell: &str) -> String {
        let cells = get(&format!("{}/v1/cells", self.control)).json();
        cells[cell].as_str().expect("a gateway").to_owned()
    }

    pub(crate) fn db(&self, cell: &str) -> PathBuf {
        self.data().join(format!("{cell}.db"))
    }

    pub(crate) fn pods(&self, service: &str) -> Vec<Value> {
        let Value::Array(pods) = get(&format!("{}/v1/pods", self.control)).json() else {
            panic!("a list")
        };
        pods.into_iter()
            .filter(|pod| service.is_empty() || pod["service"] == service)
            .collect()
    }

    pub(crate) fn signal(&self, pod: &Value, signal: &str) -> Answer {
        let name = pod["pod"].as_str().expect("a name");
        post(
            &format!("{}/v1/pods/{name}/kill", self.control),
            &json!({ "signal": signal }).to_string(),
        )
    }

    /// Changes a deployment: `image`, `undo`, `restart` or `scale`.
    pub(crate) fn change(&self, cell: &str, service: &str, verb: &str, body: Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = post(
            &format!("{}/v1/deployments/{cell}/{service}/{verb}", self.control),
            &body,
        );
        assert_eq!(answer.status, 200, "{verb} {service}: {}", answer.text);
        answer.json()
    }

    /// Changes it and waits for the pods.
    pub(crate) fn change_and_wait(&self, cell: &str, service: &str, verb: &str, body: Value) -> Value {
        let changed = self.change(cell, service, verb, body);
        self.rolled_out();
        changed
    }

    /// Every sample of a metric of the pod, by its labels as they are written.
    pub(crate) fn samples(address: &str, metric: &str) -> BTreeMap<String, f64> {
        let text = get(&format!("http://{address}/metrics")).text;
        let of_metric = text
            .lines()
            .filter_map(|line| line.strip_prefix(metric)?.strip_prefix('{'));
        of_metric
            .filter_map(|rest| {
                let (labels, value) = rest.rsplit_once("} ")?;
                Some((labels.to_owned(), value.parse().ok()?))
            })
            .collect()
    }

    /// The books, once every accepted payment has ended.
    pub(crate) fn audited(&self, cell: &str) -> payments::audit::Finding {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        eventually("every accepted payment to end", || {
            let finding = runtime
                .block_on(payments::audit::audit(&self.db(cell), true))
                .expect("an audit");
            (finding.open == 0).then_some(finding)
        })
    }

    /// Starts the load generator against one cell.
    pub(crate) fn load(&self, cell: &str, rps: u32, payments_rps: u32) -> Load {
        let report = self
            .data()
            .join(format!("report-{rps}-{payments_rps}-{}.json", std::process::id()));
        let mut child = payd()
            .args([
                "loadgen",
                "--exit-with-parent",
                "--gateway",
                &format!("{cell}={}", self.gateway(cell)),
            ])
            .args([
                "--rps",
                &rps.to_string(),
                "--payments-rps",
                &payments_rps.to_string(),
                "--report",
            ])
            .arg(&report)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("loadgen starts");
        first_line(&mut child);
        Load {
            lifeline: child.stdin.take(),
            child,
            report,
        }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // As hard as it gets: the pods must end by themselves.
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

/// A running load generator.
pub(crate) struct Load {
    child: Child,
    lifeline: Option<ChildStdin>,
    report: PathBuf,
}

impl Load {
    /// What it has seen so far.
    pub(crate) fn so_far(&self) -> Report {
        eventually("a report", || {
            serde_json::from_slice(&std::fs::read(&self.report).ok()?).ok()
        })
    }

    /// Waits until so many requests have ended.
    pub(crate) fn until_total(&self, total: u64) -> Report {
        eventually("requests to end", || {
            Some(self.so_far()).filter(|report| report.total >= total)
        })
    }

    /// Stops it by closing its standard input, as a parent's death would.
    pub(crate) fn stop(mut self) -> Report {
        drop(self.lifeline.take());
        assert!(self.child.wait().expect("loadgen ends").success());
        let report = self.so_far();
        assert!(report.finished && report.in_flight == 0, "{report:?}");
        report
    }
}

/// A client of one tenant.
pub(crate) struct Client {
    pub(crate) gateway: String,
    pub(crate) tenant: &'static str,
    pub(crate) epoch: &'static str,
}

impl Client {
    pub(crate) fn get(&self, path: &str) -> Answer {
        let headers = [("x-tenant", self.tenant), ("x-route-epoch", self.epoch)];
        request("GET", &format!("{}{path}", self.gateway), &headers, "").expect("an answer")
    }

    pub(crate) fn pay(&self, key: &str, payment: &Value) -> Answer {
        let headers = [
            ("x-tenant", self.tenant),
            ("x-route-epoch", self.epoch),
            ("idempotency-key", key),
            ("content-type", "application/json"),
        ];
        request(
            "POST",
            &format!("{}/v1/payments", self.gateway),
            &headers,
            &payment.to_string(),
        )
        .expect("an answer")
    }

    /// Waits until the payment has ended.
    pub(crate) fn ended(&self, accepted: &Answer) -> Value {
        assert_eq!(accepted.status, 202, "{}", accepted.text);
        let id = accepted.json()["payment_id"].as_str().expect("an id").to_owned();
        eventually("the payment to end", || {
            let shown = self.get(&format!("/v1/payments/{id}"));
            (shown.status == 200 && shown.json()["status"] != "accepted").then(|| shown.json())
        })
    }

    pub(crate) fn available_minor(&self, account: &str) -> i64 {
        let answer = self.get(&format!("/v1/accounts/{account}/balance"));
        answer.json()["available_minor"]
            .as_i64()
            .unwrap_or_else(|| panic!("a balance: {}", answer.text))
    }
}

/// A payment of 12.34 from the tenant's first account.
pub(crate) fn payment(tenant: &str) -> Value {
    json!({
        "msg_id": "MSG-1", "end_to_end_id": "E2E-1", "amount_minor": 1234, "currency": "ZAR",
        "debtor": { "name": "Thandi Traders", "account": format!("{tenant}-0001") },
        "creditor": { "name": "Sipho Supplies", "account": "0000000107", "agent": "SBZAZAJJ" },
    })
}
