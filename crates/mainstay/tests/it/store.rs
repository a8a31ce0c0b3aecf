//! The store of samples through a running server: native histograms and long windows across restarts, deletion.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use mainstay_kernel::histogram::BucketSpan;
use mainstay_kernel::{Histogram, Labels, SampleValue};
use mainstay_remote::write::{Entry, Families, Protocol, encode};
use mainstay_series::{Options, Store};
use serde_json::{Value, json};

use crate::harness::{Server, encoded, http, quiet_catalog};
use crate::told;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// A label that nothing else in the files looks like.
const MARKER: &str = "customer-4711-erase-me";

struct Place {
    catalog: tempfile::TempDir,
    server: Server,
}

impl Place {
    fn start() -> Self {
        let catalog = quiet_catalog();
        let server = on(&catalog, tempfile::tempdir().expect("a directory"));
        Self { catalog, server }
    }

    /// Stops the server, has everything that is old enough written into files, and starts it again.
    fn restart(self) -> Self {
        let data = self.server.stop();
        let options = Options {
            retention_ms: 31 * DAY_MS,
            ..Options::default()
        };
        let (store, _) = Store::open(&data.path().join("series"), options).expect("it opens");
        store
            .maintain(Timestamp::now().as_millisecond())
            .expect("maintained");
        drop(store);
        Self {
            server: on(&self.catalog, data),
            catalog: self.catalog,
        }
    }

    fn write(&self, samples: impl Iterator<Item = (Labels, i64, SampleValue)>) {
        let entries: Vec<Entry> = samples
            .map(|(labels, t_ms, value)| Entry {
                labels: Arc::new(labels),
                created_ms: None,
                t_ms,
                value,
            })
            .collect();
        let body = encode(&entries, &Labels::new(), Protocol::V2, &Families::default());
        let authority = self.server.address.strip_prefix("http://").expect("an address");
        let mut stream = TcpStream::connect(authority).expect("it listens");
        let head = format!(
            "POST /api/v1/write HTTP/1.0\r\nHost: {authority}\r\nContent-Type: {}\r\nContent-Encoding: snappy\r\n\
             Content-Length: {}\r\n\r\n",
            Protocol::V2.content_type(),
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(&body).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(
            answer.starts_with("HTTP/1.0 204") || answer.starts_with("HTTP/1.1 204"),
            "{answer}"
        );
    }

    /// The result of an instant query.
    fn query(&self, query: &str, at_ms: i64) -> Value {
        let time = format!("{}.{:03}", at_ms / 1000, at_ms % 1000);
        let form = encoded(&[("query", query), ("time", &time)]);
        let mut answer = http(&self.server.address, "/api/v1/query", Some(&form), "").json();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"]["result"].take()
    }

    fn get(&self, path: &str) -> Value {
        http(&self.server.address, path, None, "").json()["data"].take()
    }
}

fn on(catalog: &tempfile::TempDir, data: tempfile::TempDir) -> Server {
    let catalog = catalog.path().display().to_string();
    Server::start_for(data, &catalog, &["--metrics-retention-days", "31"])
}

fn named(name: &str, pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().chain([("__name__", name)]).collect()
}

#[test]
fn native_histograms_come_back_as_they_were_sent_after_a_restart_too() {
    let place = Place::start();
    let now_ms = Timestamp::now().as_millisecond();
    let at = |count: u32| Histogram {
        schema: 0,
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 2.0 + 3.0 * f64::from(count),
        sum: 18.5 * f64::from(count),
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
        positive_buckets: vec![f64::from(count), 2.0 * f64::from(count)],
        ..Histogram::default()
    };
    // From six hours ago on: most of them are in files after the restart.
    let begin_ms = now_ms - 360 * 60_000;
    place.write((0u32..=360).map(|minute| {
        let value = SampleValue::Histogram(Arc::new(at(minute + 1)));
        (
            named("latency", &[]),
            begin_ms + i64::from(minute) * 60_000,
            value,
        )
    }));
    let look = |place: &Place, minute: i64| {
        let found = place.query("latency", begin_ms + minute * 60_000);
        found[0]["histogram"][1].clone()
    };
    let expected = |n: i64| {
        json!({
            "count": (2 + 3 * n).to_string(),
            "sum": (18.5 * n as f64).to_string(),
            "buckets": [
                [3, "-0.001", "0.001", "2"],
                [0, "0.5", "1", n.to_string()],
                [0, "1", "2", (2 * n).to_string()],
            ],
        })
    };
    let derived = |place: &Place| {
        let count = place.query("histogram_count(increase(latency[6h]))", now_ms);
        let quantile = place.query("histogram_quantile(0.5, latency)", now_ms);
        (count, quantile)
    };
    assert_eq!(look(&place, 360), expected(361));
    assert_eq!(look(&place, 5), expected(6));
    let before = derived(&place);
    assert_ne!(before.0, json!([]));
    let place = place.restart();
    assert_eq!(look(&place, 360), expected(361));
    assert_eq!(look(&place, 5), expected(6));
    assert_eq!(derived(&place), before);
    let files = std::fs::read_dir(place.server.data.path().join("series/blocks")).expect("listable");
    assert!(files.count() > 0, "a part of it is in files");
}

#[test]
fn a_window_of_thirty_days_over_written_history() {
    let place = Place::start();
    let end_ms = Timestamp::now().as_millisecond() - 60_000;
    let step_ms = 30 * 60_000;
    let count = 30 * 48;
    for half in ["a", "b"] {
        place.write((0..count).map(|step: i64| {
            let t_ms = end_ms - (count - 1 - step) * step_ms;
            let value = SampleValue::Float((10_000 + 7 * step) as f64);
            (named("requests_total", &[("half", half)]), t_ms, value)
        }));
    }
    let look = |place: &Place| {
        let value = |query: &str| -> f64 {
            let found = place.query(query, end_ms);
            let text = found[0]["value"][1]
                .as_str()
                .unwrap_or_else(|| panic!("{query}: {found}"));
            text.parse().expect("a number")
        };
        // Extrapolated by the one step that lies before the first sample: seven for each of the samples.
        let increase = value("sum(increase(requests_total[30d]))");
        assert!((increase - (2 * 7 * count) as f64).abs() < 1e-6, "{increase}");
        assert_eq!(
            value("sum(count_over_time(requests_total[30d]))"),
            (2 * count) as f64
        );
        assert_eq!(
            value("max(max_over_time(requests_total[30d]))"),
            (10_000 + 7 * (count - 1)) as f64
        );
        assert_eq!(value("min(min_over_time(requests_total[30d]))"), 10_000.0);
    };
    look(&place);
    let place = place.restart();
    let files = std::fs::read_dir(place.server.data.path().join("series/blocks")).expect("listable");
    assert!(files.count() >= 29, "a file a day");
    look(&place);
}

fn holds(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).expect("listable").any(|entry| {
        let file = std::fs::read(entry.expect("an entry").path()).expect("readable");
        file.windows(bytes.len()).any(|part| part == bytes)
    })
}

#[test]
fn deleted_samples_are_gone_for_good_and_who_deleted_them_is_recorded() {
    let place = Place::start();
    let now_ms = Timestamp::now().as_millisecond();
    let begin_ms = now_ms - 600 * 60_000;
    for (name, who) in [("kept", "everybody"), ("gone", MARKER)] {
        place.write((0..600).map(|minute: i64| {
            let value = SampleValue::Float(minute as f64);
            (named(name, &[("who", who)]), begin_ms + minute * 60_000, value)
        }));
    }
    let place = place.restart();
    let blocks = place.server.data.path().join("series/blocks");
    assert!(holds(&blocks, MARKER.as_bytes()), "it is in files");
    let counted = |place: &Place, name: &str| {
        let found = place.query(&format!("count_over_time({name}[12h])"), now_ms);
        found[0]["value"][1].as_str().map(str::to_owned)
    };

    // Nobody agreed: nothing goes.
    let selector = format!("gone{{who=\"{MARKER}\"}}");
    let output = place.server.ask(&["metrics", "delete", "--match", &selector]);
    assert_eq!(output.status.code(), Some(8), "{}", told(&output));
    assert!(
        told(&output).contains("600 samples of 1 series would go"),
        "{}",
        told(&output)
    );
    assert_eq!(counted(&place, "gone").as_deref(), Some("600"));

    // A part, then all.
    let until = Timestamp::from_millisecond(begin_ms + 99 * 60_000)
        .expect("a time")
        .to_string();
    let part = ["metrics", "delete", "--match", "gone", "--end", &until, "--yes"];
    assert_eq!(place.server.json(&part), json!({"series": 1, "samples": 100}));
    assert_eq!(counted(&place, "gone").as_deref(), Some("500"));
    let all = place
        .server
        .told(&["metrics", "delete", "--match", &selector, "--yes"]);
    assert_eq!(all, "Deleted 500 samples of 1 series.\n");
    let gone = |place: &Place| {
        assert_eq!(counted(place, "gone"), None);
        assert_eq!(counted(place, "kept").as_deref(), Some("600"));
        assert_eq!(place.get("/api/v1/label/who/values"), json!(["everybody"]));
        assert_eq!(place.get("/api/v1/series?match%5B%5D=gone"), json!([]));
    };
    gone(&place);
    let changes = place.get("/api/v1/changes").to_string();
    assert!(
        changes.contains("deleted 500 samples of 1 series: gone"),
        "{changes}"
    );

    let place = place.restart();
    gone(&place);
    place.server.told(&["metrics", "clean"]);
    let blocks = place.server.data.path().join("series/blocks");
    assert!(!holds(&blocks, MARKER.as_bytes()), "no file names it any more");
    gone(&place);

    // What comes now is seen.
    place.write(
        [(
            named("gone", &[("who", "another")]),
            now_ms,
            SampleValue::Float(5.0),
        )]
        .into_iter(),
    );
    assert_eq!(counted(&place, "gone").as_deref(), Some("1"));

    let name = place.server.told(&["metrics", "snapshot"]);
    let snapshot = place
        .server
        .data
        .path()
        .join("series/snapshots")
        .join(name.trim());
    let (copy, _) = Store::open(&snapshot, Options::default()).expect("a copy is a store");
    assert_eq!(copy.stats().series, 2);
    let name = place.server.told(&["metrics", "snapshot", "--skip-head"]);
    assert!(
        !place
            .server
            .data
            .path()
            .join("series/snapshots")
            .join(name.trim())
            .join("wal")
            .exists()
    );
    // Whatever selects everything is refused.
    let output = place.server.ask(&["metrics", "delete", "--match", "{}", "--yes"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
}
