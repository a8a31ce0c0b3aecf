//! Beside a real Prometheus: the same samples and the same requests give the same answers. What differs on purpose is
//! named where it is compared.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use mainstay_kernel::Labels;
use serde_json::{Value, json};

use crate::grafana::fill;
use crate::harness::{PATIENCE, Reply, Server, encoded, http, quiet_catalog};

const STEP_S: i64 = 15;
const STEPS: i64 = 240;

/// The Prometheus that is installed, over a directory.
pub(crate) struct Prometheus {
    child: Child,
    pub(crate) address: String,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    /// `None` if there is none and none is required. `LISTEN` in its configuration is its own address.
    pub(crate) fn start(directory: tempfile::TempDir, config: &str) -> Option<Self> {
        let file = directory.path().join("prometheus.yml");
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let config = config.replace("LISTEN", &format!("127.0.0.1:{port}"));
        std::fs::write(&file, config).expect("written");
        let spawned = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.enable-remote-write-receiver")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) => {
                let required =
                    std::env::var_os("MAINSTAY_CONFORMANCE_REQUIRED").is_some_and(|value| value == "1");
                assert!(!required, "a Prometheus is required: {error}");
                println!("skipped: no Prometheus: {error}");
                return None;
            }
        };
        let started = Self {
            child,
            address: format!("http://127.0.0.1:{port}"),
            _directory: directory,
        };
        let since = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
            || http(&started.address, "/-/ready", None, "").status != 200
        {
            assert!(since.elapsed() < PATIENCE, "Prometheus is not ready");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Some(started)
    }
}

impl Drop for Prometheus {
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
    theirs: Prometheus,
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
        let theirs = Prometheus::start(theirs, "")?;
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

/// Version 3 computes rates in another order of multiplications, so that their last digits differ.
fn to_the_last_digits(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(to_the_last_digits),
        Value::Object(fields) => fields.values_mut().for_each(to_the_last_digits),
        Value::String(text) => {
            if let Ok(value) = text.parse::<f64>() {
                *text = format!("{value:.12e}");
            }
        }
        _ => {}
    }
}

/// Version 2.42 begins some failures with a capital.
fn lower_case(json: &mut Value) {
    if let Some(Value::String(error)) = json.get_mut("error") {
        *error = error.to_lowercase();
    }
}

#[test]
fn queries_are_answered_as_by_prometheus() {
    let Some(pair) = Pair::start() else { return };
    // Off the grid of samples: version 2.42 counts a sample at the left end of a window in, as version 3 does not.
    let at = |step: i64| (pair.base_s + step * STEP_S + 7).to_string();
    let (now, early, late) = (at(230), at(20), at(150));
    for (query, mend) in [
        ("1+1", exactly as fn(&mut Value)),
        ("1e21", exactly),
        ("-1/0", exactly),
        ("\"te<x>t\\n\"", exactly),
        ("http_requests_total", in_any_order),
        ("odd", in_any_order),
        ("-odd", in_any_order),
        ("temperature", exactly),
        ("nothing_like_this", exactly),
        ("temperature[61s]", exactly),
        ("http_requests_total{status!~\"5..\"}[2m:30s]", in_any_order),
        ("sum(rate(http_requests_total[5m]))", to_the_last_digits),
        ("sum by (cell) (increase(http_requests_total[30m]))", in_any_order),
        ("sort_desc(sum by (cell) (http_requests_total))", exactly),
        ("topk(2, http_requests_total)", exactly),
        ("count_values(\"value\", odd)", in_any_order),
        (
            "histogram_quantile(0.95, rate(latency_seconds_bucket[10m]))",
            exactly,
        ),
        ("quantile_over_time(0.5, temperature[10m])", exactly),
        (
            "label_replace(temperature, \"x\", \"$1\", \"room\", \"(.)(.|\n)*\")",
            exactly,
        ),
        ("http_requests_total offset 30m", in_any_order),
        ("time() - timestamp(temperature)", exactly),
        ("absent(nothing_like_this{a=\"b\"})", exactly),
        ("sum(", any_words),
        ("", any_words),
        ("rate(temperature)", any_words),
        ("http_requests_total / on (job) http_requests_total", any_words),
    ] {
        for by_form in [false, true] {
            pair.same(
                "/api/v1/query",
                &[("query", query), ("time", &now)],
                by_form,
                mend,
            );
        }
    }
    for (query, mend) in [
        ("1", exactly as fn(&mut Value)),
        ("temperature", exactly),
        ("odd", exactly),
        ("rate(http_requests_total[5m])", to_the_last_digits),
        (
            "sum by (status) (rate(http_requests_total[1m]))",
            to_the_last_digits,
        ),
        ("max_over_time(temperature[5m:1m])", exactly),
        ("temperature > 0.5", exactly),
        ("nothing_like_this", exactly),
        ("temperature[5m]", any_words),
        ("\"text\"", any_words),
    ] {
        for step in ["60", "1m30s", "15.5"] {
            let parameters = [
                ("query", query),
                ("start", &early),
                ("end", &late),
                ("step", step),
            ];
            pair.same("/api/v1/query_range", &parameters, step == "60", mend);
        }
    }
}

#[test]
fn wrong_parameters_are_refused_in_the_words_of_prometheus() {
    let Some(pair) = Pair::start() else { return };
    let query = ("query", "up");
    let range = |start, end, step| [query, ("start", start), ("end", end), ("step", step)];
    for parameters in [
        range("", "1", "1"),
        range("0", "tomorrow", "1"),
        range("0", "1", ""),
        range("0", "1", "0"),
        range("0", "1", "-5s"),
        range("0", "1", "-5"),
        range("0", "1", "1h1h"),
        range("0", "1", "1e100"),
        range("2", "1", "1"),
        range("0", "11001", "1"),
        range("0", "11000", "1"),
        range("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "1m"),
        range("NaN", "1", "1m"),
    ] {
        // Go takes NaN for the year 1970 minus 292 million: no answer can be the same.
        if parameters[1].1 != "NaN" {
            pair.same("/api/v1/query_range", &parameters, false, exactly);
        }
    }
    for parameters in [
        [query, ("time", "noon")],
        [query, ("timeout", "soon")],
        [query, ("time", "1e10")],
        [query, ("time", "2026-11-24T10:00:00.123Z")],
    ] {
        pair.same("/api/v1/query", &parameters, true, lower_case);
    }
    pair.same("/api/v1/series", &[], false, exactly);
    pair.same(
        "/api/v1/series",
        &[("match[]", "up"), ("start", "a")],
        false,
        lower_case,
    );
    pair.same("/api/v1/labels", &[("end", "b")], true, lower_case);
    // What selects everything is refused; the parser says it in other words.
    pair.same("/api/v1/series", &[("match[]", "{}")], false, any_words);
    pair.same(
        "/api/v1/labels",
        &[("match[]", "{job=~\".*\"}")],
        false,
        any_words,
    );
    pair.same("/api/v1/rules", &[("type", "both")], false, exactly);
}

#[test]
fn series_labels_and_states_are_those_of_prometheus() {
    let Some(pair) = Pair::start() else { return };
    let (start, end) = (pair.base_s.to_string(), (pair.base_s + 3_000).to_string());
    let range = [("start", start.as_str()), ("end", end.as_str())];
    for selectors in [
        &["http_requests_total"][..],
        &["{job=\"api\"}"],
        &["odd{kind=~\"e.*\"}", "temperature", "odd{kind=\"e21\"}"],
        &["nothing_like_this"],
        &["{__name__=~\".*_total\",cell!=\"cell-1\"}"],
    ] {
        let selectors: Vec<(&str, &str)> = selectors.iter().map(|selector| ("match[]", *selector)).collect();
        for times in [&range[..], &[], &[("start", "1000"), ("end", "2000")]] {
            let parameters = [&selectors[..], times].concat();
            pair.same("/api/v1/series", &parameters, true, |json| {
                // Of one selector, series come in the order of Prometheus' index.
                if let Some(series) = json["data"].as_array_mut() {
                    series.sort_by_key(Value::to_string);
                }
            });
            pair.same("/api/v1/labels", &parameters, false, exactly);
            for label in ["__name__", "kind", "room", "nothing"] {
                pair.same(
                    &format!("/api/v1/label/{label}/values"),
                    &parameters,
                    false,
                    exactly,
                );
            }
        }
    }
    pair.same("/api/v1/labels", &range, false, exactly);
    pair.same("/api/v1/label/__name__/values", &range, false, exactly);
    pair.same("/api/v1/label/cell/values", &[], false, exactly);

    pair.same("/api/v1/query_exemplars", &[("query", "odd")], true, exactly);
    pair.same("/api/v1/metadata", &[], false, exactly);
    pair.same("/api/v1/targets/metadata", &[], false, exactly);
    pair.same("/api/v1/alerts", &[], false, exactly);
    pair.same("/api/v1/rules", &[], false, exactly);
    pair.same("/api/v1/alertmanagers", &[], false, exactly);
    pair.same("/api/v1/targets", &[], false, |json| {
        // Since version 2.48 there are counts too.
        if let Some(data) = json["data"].as_object_mut() {
            data.remove("droppedTargetCounts");
        }
    });
    for path in ["buildinfo", "config", "flags", "runtimeinfo", "tsdb", "walreplay"] {
        let [ours, theirs] = pair.asked(&format!("/api/v1/status/{path}"), &[], false);
        assert_eq!((ours.status, theirs.status), (200, 200), "{path}");
        // What a program is, is its own; but a client that reads it finds the same kind of thing.
        let kind = |reply: &Reply| reply.json()["data"].is_object();
        assert_eq!(kind(&ours), kind(&theirs), "{path}");
    }
    for path in ["/-/healthy", "/-/ready"] {
        assert!(
            pair.asked(path, &[], false)
                .iter()
                .all(|reply| reply.status == 200)
        );
    }
}

/// Every rule that others published, laid out.
#[test]
fn expressions_are_laid_out_as_by_prometheus() {
    let Some(pair) = Pair::start() else { return };
    let Some(folder) = conformance("rules") else {
        return;
    };
    let mut queries = Vec::new();
    collect(&folder, &mut queries);
    assert!(queries.len() > 500, "{}", queries.len());
    let laid_out = |reply: &Reply| reply.json()["data"].as_str().map(str::to_owned);
    for query in &queries {
        let [ours, theirs] = pair.asked("/api/v1/format_query", &[("query", query)], true);
        if theirs.status == 200 {
            // Version 2.42 writes no blank between a keyword and its labels, and counts the line without it.
            let plain = |text: Option<String>| text.map(|text| text.split_whitespace().collect::<String>());
            assert_eq!(plain(laid_out(&ours)), plain(laid_out(&theirs)), "{query}");
        }
    }
}

fn conformance(folder: &str) -> Option<std::path::PathBuf> {
    let root = std::env::var_os("MAINSTAY_CONFORMANCE")?;
    Some(Path::new(&root).join(folder))
}

/// The expressions of all rule files below a folder.
fn collect(folder: &Path, queries: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, queries);
        } else if let Ok(text) = std::fs::read_to_string(&path)
            && let Ok(file) = mainstay_rules::RuleFile::parse("rules.yml", &text)
        {
            let rules = file.groups.into_iter().flat_map(|group| group.rules);
            queries.extend(rules.map(|rule| rule.query));
        }
    }
}

/// The rules of a file stand in both; what they are and how they stand is the same.
#[test]
fn rules_and_alerts_stand_as_in_prometheus() {
    const RULES: &str = r#"
groups:
  - name: b
    interval: 1s
    limit: 7
    rules:
      - record: two
        expr: 1  +  1
        labels: {team: x}
      - alert: Always
        expr: vector(0.25) > 0.1
        labels: {severity: high, at: "{{ $value }}"}
        annotations: {summary: "it is {{ $value }}"}
      - alert: Soon
        expr: vector(3)
        for: 1h
        keep_firing_for: 5m
      - alert: Never
        expr: sum by(a)(two) > 5
  - name: a
    interval: 1s
    rules:
      - record: fails
        expr: two * on () group_left () (two or vector(1))
"#;
    let theirs = tempfile::tempdir().expect("a directory");
    std::fs::write(theirs.path().join("test.yml"), RULES).expect("written");
    let config = "global: {evaluation_interval: 1s}\nrule_files: [test.yml]\n";
    let Some(theirs) = Prometheus::start(theirs, config) else {
        return;
    };
    let catalog = quiet_catalog();
    std::fs::create_dir(catalog.path().join("rules")).expect("a folder");
    std::fs::write(catalog.path().join("rules/test.yml"), RULES).expect("written");
    let data = tempfile::tempdir().expect("a directory");
    let ours = Server::start_with(data, catalog.path().to_str().expect("text"));
    let mended = |server: &str, path: &str| {
        let since = Instant::now();
        loop {
            let reply = http(server, path, None, "");
            // Until what holds fires, and what fails has failed.
            let has = |text| reply.body.contains(text);
            if has("\"state\":\"firing\"")
                && has("\"state\":\"pending\"")
                && (path != "/api/v1/rules" || has("\"health\":\"err\""))
            {
                let mut json = reply.json();
                mend_rules(&mut json);
                return json;
            }
            assert!(since.elapsed() < PATIENCE, "{reply:?}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    };
    for path in ["/api/v1/rules", "/api/v1/rules?type=alert", "/api/v1/alerts"] {
        assert_eq!(
            mended(&ours.address, path),
            mended(&theirs.address, path),
            "{path}"
        );
    }
    let recording = |server: &str| {
        let mut json = http(server, "/api/v1/rules?type=record", None, "").json();
        mend_rules(&mut json);
        json
    };
    assert_eq!(
        difference(&recording(&ours.address), &recording(&theirs.address)),
        None
    );
}

/// Leaves out when something happened and how long it took, and what newer versions of Prometheus say in addition.
fn mend_rules(json: &mut Value) {
    match json {
        Value::Array(items) => {
            // Since version 2.54 groups without any wanted rule are left out.
            items.retain(|item| item.get("rules") != Some(&json!([])));
            items.iter_mut().for_each(mend_rules);
        }
        Value::Object(fields) => {
            for name in ["activeAt", "evaluationTime", "lastEvaluation"] {
                if let Some(value) = fields.get_mut(name) {
                    *value = Value::Null;
                }
            }
            // The paths of files are each server's own.
            if let Some(file) = fields.get_mut("file") {
                *file = "test.yml".into();
            }
            // Why a rule fails is said in the words of the evaluation.
            if let Some(error) = fields.get_mut("lastError") {
                *error = Value::Null;
            }
            // Since version 2.54 recording rules have labels even where there are none.
            if fields.get("labels") == Some(&json!({})) && fields.get("type") == Some(&json!("recording")) {
                fields.remove("labels");
            }
            // Version 2.42 writes no blank between a keyword and its labels.
            if let Some(Value::String(query)) = fields.get_mut("query") {
                query.retain(|c| c != ' ');
            }
            fields.values_mut().for_each(mend_rules);
        }
        _ => {}
    }
}

/// Debian's promtool prints the same, whichever server it asks; with a token as password too.
#[test]
fn promtool_prints_the_same() {
    let Some(pair) = Pair::start() else { return };
    let at = |step: i64| (pair.base_s + step * STEP_S + 7).to_string();
    let (now, early, late) = (at(230), at(20), at(60));
    let range = ["--start", &early, "--end", &late];
    let told = |server: &str, arguments: &[&str]| {
        let (options, operands): (Vec<&str>, Vec<&str>) = match arguments.split_last() {
            Some((last, options)) if !last.starts_with("--match") => (options.to_vec(), vec![last]),
            _ => (arguments.to_vec(), Vec::new()),
        };
        let output = Command::new("promtool")
            .arg("query")
            .args(options)
            .arg(server)
            .args(operands)
            .output()
            .expect("promtool stands beside Prometheus");
        let mut lines: Vec<String> = String::from_utf8(output.stdout)
            .expect("text")
            .lines()
            .map(str::to_owned)
            .collect();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        lines.sort();
        lines
    };
    let series = |selector: &'static str| [&["series", selector][..], &range].concat();
    let labels = [&["labels"][..], &range, &["kind"]].concat();
    let steps = [
        &["range", "--step=60s"][..],
        &range,
        &["rate(http_requests_total[5m])"],
    ]
    .concat();
    let questions: [Vec<&str>; 7] = [
        vec!["instant", "--time", &now, "http_requests_total"],
        vec!["instant", "--time", &now, "odd"],
        vec!["instant", "--time", &now, "sum(rate(http_requests_total[5m]))"],
        vec!["instant", "--time", &now, "temperature[61s]"],
        steps,
        [&labels[..]].concat(),
        vec!["labels", "cell"],
    ];
    for question in &questions {
        let [ours, theirs] = [&pair.ours.address, &pair.theirs.address].map(|server| told(server, question));
        assert!(!ours.is_empty(), "{question:?}");
        assert_eq!(ours, theirs, "{question:?}");
    }
    for selector in ["--match=odd", "--match={job=\"api\"}"] {
        let mut question = series(selector);
        // The selector stands last, and no operand after it.
        question.rotate_left(0);
        let arguments = [&question[..1], &question[2..], &question[1..2]].concat();
        let [ours, theirs] =
            [&pair.ours.address, &pair.theirs.address].map(|server| told(server, &arguments));
        assert!(!ours.is_empty(), "{arguments:?}");
        assert_eq!(ours, theirs, "{arguments:?}");
    }
}
