//! Beside a real Prometheus: the same samples and the same requests give the same answers. What differs on purpose is
//! named where it is compared.

mod query;
mod rule;
mod select;
mod tool;

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use mainstay_kernel::Labels;
use serde_json::Value;

use crate::grafana::fill;
use crate::harness::{PATIENCE, Reply, Server, encoded, http, quiet_catalog};

const STEP_S: i64 = 15;
const STEPS: i64 = 240;

/// A server of the Prometheus family that is installed here, over a directory of its own.
pub(crate) struct Peer {
    child: Child,
    pub(crate) address: String,
    _directory: tempfile::TempDir,
}

impl Peer {
    /// A Prometheus; `None` if there is none and none is required. `LISTEN` in its configuration is its own address.
    pub(crate) fn prometheus(directory: tempfile::TempDir, config: &str) -> Option<Self> {
        Self::prometheus_at(directory, config, free_port())
    }

    pub(crate) fn prometheus_at(directory: tempfile::TempDir, config: &str, port: u16) -> Option<Self> {
        Self::prometheus_with(directory, config, port, &[])
    }

    /// One that keeps samples for so long.
    pub(crate) fn prometheus_keeping(directory: tempfile::TempDir, config: &str, time: &str) -> Option<Self> {
        let keeping = format!("--storage.tsdb.retention.time={time}");
        Self::prometheus_with(directory, config, free_port(), &[&keeping])
    }

    fn prometheus_with(
        directory: tempfile::TempDir,
        config: &str,
        port: u16,
        options: &[&str],
    ) -> Option<Self> {
        let storage = format!("--storage.tsdb.path={}", directory.path().join("data").display());
        let options = [&[&storage, "--web.enable-remote-write-receiver"], options].concat();
        Self::start("prometheus", directory, config, port, &options)
    }

    /// An Alertmanager; `None` if there is none and none is required.
    pub(crate) fn alertmanager(directory: tempfile::TempDir, config: &str) -> Option<Self> {
        let storage = format!("--storage.path={}", directory.path().join("data").display());
        let options = [&storage, "--cluster.listen-address="];
        Self::start(
            "prometheus-alertmanager",
            directory,
            config,
            free_port(),
            &options,
        )
    }

    fn start(
        program: &str,
        directory: tempfile::TempDir,
        config: &str,
        port: u16,
        options: &[&str],
    ) -> Option<Self> {
        let listen = format!("127.0.0.1:{port}");
        let file = directory.path().join("config.yml");
        std::fs::write(&file, config.replace("LISTEN", &listen)).expect("written");
        let spawned = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--web.listen-address={listen}"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) => {
                assert!(!required(), "{program} is required: {error}");
                println!("skipped: no {program}: {error}");
                return None;
            }
        };
        let started = Self {
            child,
            address: format!("http://{listen}"),
            _directory: directory,
        };
        let since = Instant::now();
        while std::net::TcpStream::connect(&listen).is_err()
            || http(&started.address, "/-/ready", None, "").status != 200
        {
            assert!(since.elapsed() < PATIENCE, "{program} is not ready");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Some(started)
    }
}

/// Whether what others made must be there.
pub(crate) fn required() -> bool {
    std::env::var_os("MAINSTAY_CONFORMANCE_REQUIRED").is_some_and(|value| value == "1")
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0");
    let address = listener.and_then(|listener| listener.local_addr());
    address.expect("a free port").port()
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The samples of both: counters with a reset, a classic histogram, odd values and odd labels.
fn samples(base_s: i64) -> Vec<(Labels, i64, f64)> {
    let mut all = Vec::new();
    let mut add = |labels: &[(&str, &str)], step: i64, value: f64| {
        let at_ms = (base_s + step * STEP_S) * 1_000;
        all.push((Labels::from_iter(labels.iter().copied()), at_ms, value));
    };
    #[expect(clippy::cast_precision_loss, reason = "they are small")]
    for step in 0..STEPS {
        let count = step as f64;
        for (cell, status, per_step) in [
            ("cell-1", "200", 30.0),
            ("cell-1", "500", 0.1),
            ("cell-2", "200", 7.5),
        ] {
            let since_reset = if cell == "cell-2" && step >= 100 {
                count - 100.0
            } else {
                count
            };
            let labels = [
                ("__name__", "http_requests_total"),
                ("job", "api"),
                ("instance", "h:1"),
                ("cell", cell),
                ("status", status),
            ];
            add(&labels, step, since_reset * per_step);
        }
        for (le, share) in [("0.1", 0.5), ("0.5", 0.9), ("+Inf", 1.0)] {
            let labels = [("__name__", "latency_seconds_bucket"), ("job", "api"), ("le", le)];
            add(&labels, step, (count * 10.0 * share).floor());
        }
        add(
            &[("__name__", "temperature"), ("room", "a\"b\\c\n<é>")],
            step,
            (count / 10.0).sin(),
        );
        for (kind, value) in [
            ("nan", f64::NAN),
            ("inf", f64::INFINITY),
            ("minus_inf", f64::NEG_INFINITY),
            ("minus_zero", -0.0),
            ("e20", 1e20),
            ("e21", 1e21),
            ("minus_1.5e300", -1.5e300),
            ("e_minus_6", 1e-6),
            ("e_minus_7", 1e-7),
            ("tie", 667_082_108_456_853.0 + 0.25),
            ("other_tie", 667_082_108_456_853.0 + 0.75),
            ("e16", 1.234e16),
            ("small", 1.2345e-6),
            ("least", 5e-324),
            ("sum", 0.1 + 0.2),
            ("beyond_whole", 9_007_199_254_740_993.0),
        ] {
            add(&[("__name__", "odd"), ("kind", kind)], step, value);
        }
    }
    all
}

/// The samples as OpenMetrics, with times.
fn openmetrics(samples: &[(Labels, i64, f64)]) -> String {
    let mut sorted: Vec<&(Labels, i64, f64)> = samples.iter().collect();
    sorted.sort_by(|a, b| (a.0.metric_name(), &a.0, a.1).cmp(&(b.0.metric_name(), &b.0, b.1)));
    let mut text = String::new();
    for (labels, at_ms, value) in sorted {
        let pairs: Vec<String> = labels
            .iter()
            .filter(|(name, _)| *name != "__name__")
            .map(|(name, value)| {
                let value = value
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n");
                format!("{name}=\"{value}\"")
            })
            .collect();
        let value = if value.is_infinite() {
            if *value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
        } else {
            format!("{value:e}")
        };
        writeln!(
            text,
            "{}{{{}}} {value} {}",
            labels.metric_name(),
            pairs.join(","),
            at_ms / 1_000
        )
        .expect("a String takes everything");
    }
    text + "# EOF\n"
}

/// Both servers over the same samples.
struct Pair {
    ours: Server,
    theirs: Peer,
    base_s: i64,
    _catalog: tempfile::TempDir,
}

impl Pair {
    fn start() -> Option<Self> {
        let base_s = (jiff::Timestamp::now().as_second() / 60 - 70) * 60;
        let samples = samples(base_s);
        let theirs = tempfile::tempdir().expect("a directory");
        let file = theirs.path().join("samples.om");
        std::fs::write(&file, openmetrics(&samples)).expect("written");
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .arg(&file)
            .arg(theirs.path().join("data"))
            .output();
        if let Ok(made) = made {
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        let theirs = Peer::prometheus(theirs, "")?;
        let data = tempfile::tempdir().expect("a directory");
        fill(data.path(), &samples);
        let catalog = quiet_catalog();
        let ours = Server::start_with(data, catalog.path().to_str().expect("text"));
        Some(Self {
            ours,
            theirs,
            base_s,
            _catalog: catalog,
        })
    }

    /// Asks both, by address or by form.
    fn asked(&self, path: &str, parameters: &[(&str, &str)], by_form: bool) -> [Reply; 2] {
        let parameters = encoded(parameters);
        [&self.ours.address, &self.theirs.address].map(|server| {
            if by_form {
                http(server, path, Some(&parameters), "")
            } else {
                http(server, &format!("{path}?{parameters}"), None, "")
            }
        })
    }

    /// Asks both, and finds the same status and, after `mend` on each, the same JSON.
    fn same(&self, path: &str, parameters: &[(&str, &str)], by_form: bool, mend: fn(&mut Value)) {
        let [ours, theirs] = self.asked(path, parameters, by_form);
        assert_eq!(
            ours.status, theirs.status,
            "{path} {parameters:?}: {ours:?} {theirs:?}"
        );
        let [ours, theirs] = [ours, theirs].map(|reply| {
            let mut json = reply.json();
            mend(&mut json);
            json
        });
        assert_eq!(
            ours, theirs,
            "{path} {parameters:?}: ours is left, Prometheus' right"
        );
    }
}

/// Where two answers differ first.
fn difference(ours: &Value, theirs: &Value) -> Option<String> {
    let below = |place: &dyn std::fmt::Display, ours, theirs| {
        difference(ours, theirs).map(|difference| format!("{place}.{difference}"))
    };
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            let mut pairs = ours.iter().zip(theirs).enumerate();
            pairs.find_map(|(index, (ours, theirs))| below(&index, ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) if ours.keys().eq(theirs.keys()) => {
            let mut pairs = ours.iter().zip(theirs.values());
            pairs.find_map(|((name, ours), theirs)| below(name, ours, theirs))
        }
        _ => (ours != theirs).then(|| format!("ours is {ours}, Prometheus' is {theirs}")),
    }
}

/// As it is.
fn exactly(_: &mut Value) {}

/// Vectors that the expression does not sort come in any order.
fn in_any_order(json: &mut Value) {
    if let Some(result) = json["data"]["result"].as_array_mut() {
        result.sort_by_key(|series| series["metric"].to_string());
    }
}

/// What is wrong is said in other words where it is the parser or the evaluation that says it; what kind of failure it
/// is, is the same.
fn any_words(json: &mut Value) {
    if let Some(error) = json.get_mut("error") {
        *error = Value::Null;
    }
}
