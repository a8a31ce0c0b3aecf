//! A real Prometheus as the sender: what it scrapes is what it writes to us.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use mainstay_ingest::exposition::{Format, HistogramForm};
use mainstay_ingest::remote_write::{Request, Version, decompress, negotiate};
use mainstay_ingest::{Scrape, ScrapeFormats, ScrapeLoop, ScrapeTarget};
use mainstay_kernel::SampleValue;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::client_model;
use crate::environment;
use crate::http::{self, Answer};

/// Starts the Prometheus that is installed, with this configuration; `None` if there is none.
fn prometheus(dir: &std::path::Path, config: &str, flags: &[&str]) -> Option<Child> {
    std::fs::write(dir.join("prometheus.yml"), config).expect("written");
    let spawned = Command::new("prometheus")
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg("--web.listen-address=127.0.0.1:0")
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    match spawned {
        Ok(child) => Some(child),
        Err(error) => {
            let required = environment("MAINSTAY_CONFORMANCE_REQUIRED").is_some_and(|value| value == "1");
            assert!(!required, "a Prometheus is required: {error}");
            println!("skipped: no Prometheus: {error}");
            None
        }
    }
}

const EXPOSED: &str = r##"# TYPE requests_total counter
requests_total{code="200",path="/a b\\c"} 12345.5
requests_total{code="500",path="\"é\"\n"} -1.5e9
# TYPE odd gauge
odd{x="nan"} NaN
odd{x="inf"} -Inf
odd{x="small"} 4.9e-324
# TYPE latency histogram
latency_bucket{le="0.5"} 1
latency_bucket{le="+Inf"} 3
latency_sum 7.25
latency_count 3
"##;

#[tokio::test]
async fn what_a_real_prometheus_scrapes_is_what_it_writes_to_us() {
    let target = http::serve(|_| Answer::ok("text/plain; version=0.0.4", EXPOSED)).await;
    let (sender, mut requests) = mpsc::unbounded_channel();
    let receiver = http::serve(move |request| {
        // The test may have seen enough.
        let _ = sender.send(request.clone());
        Answer::status(204)
    })
    .await;
    let dir = tempfile::tempdir().expect("a directory");
    let config = format!(
        "global: {{scrape_interval: 1s, external_labels: {{site: east}}}}\n\
         scrape_configs: [{{job_name: t, static_configs: [{{targets: ['{target}']}}]}}]\n\
         remote_write: [{{url: 'http://{receiver}/w', queue_config: {{batch_send_deadline: 200ms}},\
         metadata_config: {{send_interval: 1s}}}}]\n"
    );
    let Some(_running) = prometheus(dir.path(), &config, &[]) else {
        return;
    };
    let mut found: BTreeMap<String, f64> = BTreeMap::new();
    let mut families = Vec::new();
    let mut buffer = Vec::new();
    while found.len() < 13 || families.len() < 3 {
        let request = timeout(Duration::from_secs(60), requests.recv())
            .await
            .expect("a request in time")
            .expect("serving");
        let version = negotiate(request.header("content-type"), request.header("content-encoding"));
        assert_eq!(version, Ok(Version::V1));
        decompress(&request.body, 1 << 20, &mut buffer).expect("unpacks");
        let request = Request::parse(Version::V1, &buffer).expect("reads");
        for series in request.series() {
            let series = series.expect("reads");
            let labels = series.labels().expect("good");
            assert_eq!(labels.get("instance"), Some(target.as_str()));
            let own = labels.filtered(|name| name != "instance");
            for sample in series.samples() {
                let sample = sample.expect("reads");
                assert!(sample.t_ms > 1_600_000_000_000, "{sample:?}");
                found.insert(own.to_string(), sample.value);
            }
        }
        for metadata in request.metadata() {
            let metadata = metadata.expect("reads");
            families.push(format!("{} {:?}", metadata.family, metadata.kind));
        }
    }
    let of = |series: &str| {
        let labels = if series.contains('{') {
            series.replacen('{', "{job=\"t\", site=\"east\", ", 1)
        } else {
            format!("{series}{{job=\"t\", site=\"east\"}}")
        };
        // Labels are sorted by name.
        let mut pairs: Vec<&str> = labels[labels.find('{').expect("has") + 1..labels.len() - 1]
            .split(", ")
            .collect();
        pairs.sort_unstable();
        let sorted = format!(
            "{}{{{}}}",
            &labels[..labels.find('{').expect("has")],
            pairs.join(", ")
        );
        *found
            .get(&sorted)
            .unwrap_or_else(|| panic!("{sorted} is not in {found:#?}"))
    };
    for (series, value) in [
        (r#"requests_total{code="200", path="/a b\\c"}"#, 12345.5),
        (r#"requests_total{code="500", path="\"é\"\n"}"#, -1.5e9),
        (r#"odd{x="inf"}"#, f64::NEG_INFINITY),
        (r#"odd{x="small"}"#, 5e-324),
        (r#"latency_bucket{le="0.5"}"#, 1.0),
        (r#"latency_bucket{le="+Inf"}"#, 3.0),
        ("latency_sum", 7.25),
        ("latency_count", 3.0),
        ("up", 1.0),
        ("scrape_samples_scraped", 9.0),
    ] {
        assert_eq!(of(series).to_bits(), f64::to_bits(value), "{series}");
    }
    assert!(of(r#"odd{x="nan"}"#).is_nan());
    families.sort();
    families.dedup();
    assert_eq!(
        families,
        ["latency Histogram", "odd Gauge", "requests_total Counter"]
    );
}

#[tokio::test]
async fn a_protobuf_exposition_brings_us_what_it_brings_a_real_prometheus() {
    let content_type =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let target = http::serve(|_| Answer::ok(content_type, client_model::exposition())).await;
    let (sender, mut requests) = mpsc::unbounded_channel();
    let receiver = http::serve(move |request| {
        // The test may have seen enough.
        let _ = sender.send(request.body.clone());
        Answer::status(204)
    })
    .await;
    let dir = tempfile::tempdir().expect("a directory");
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: t, static_configs: [{{targets: ['{target}']}}]}}]\n\
         remote_write: [{{url: 'http://{receiver}/w', send_native_histograms: true, send_exemplars: true,\
         queue_config: {{batch_send_deadline: 200ms}}}}]\n"
    );
    let flags = ["--enable-feature=native-histograms,exemplar-storage"];
    let Some(_running) = prometheus(dir.path(), &config, &flags) else {
        return;
    };
    let scraped = ScrapeTarget {
        formats: ScrapeFormats {
            histograms: HistogramForm::Native,
            ..ScrapeFormats::default()
        },
        ..ScrapeTarget::new("t", &target, "")
    };
    let answer = Scrape {
        format: Format::Protobuf,
        body: client_model::exposition().into(),
    };
    let batch = ScrapeLoop::new(Arc::new(scraped)).on_result(1, Duration::ZERO, Ok(answer));
    assert_eq!(batch.error, None);
    let report = |name: &str| name == "up" || name.starts_with("scrape_");
    let mut ours: BTreeMap<String, SampleValue> = BTreeMap::new();
    let mut our_exemplars: BTreeSet<String> = BTreeSet::new();
    for sample in batch
        .samples
        .iter()
        .filter(|sample| !report(sample.labels.metric_name()))
    {
        ours.insert(sample.labels.to_string(), sample.value.clone());
        // This Prometheus (2.42) does not know those of native histograms yet.
        if sample.value.float().is_some() {
            let dated = sample.exemplars.iter().filter(|exemplar| exemplar.t_ms.is_some());
            our_exemplars.extend(dated.map(|exemplar| format!("{exemplar:?}")));
        }
    }
    let mut theirs: BTreeMap<String, SampleValue> = BTreeMap::new();
    let mut their_exemplars: BTreeSet<String> = BTreeSet::new();
    let mut buffer = Vec::new();
    while theirs.len() < ours.len() || their_exemplars.len() < our_exemplars.len() {
        let body = timeout(Duration::from_secs(60), requests.recv())
            .await
            .expect("a request in time")
            .expect("serving");
        decompress(&body, 1 << 20, &mut buffer).expect("unpacks");
        let request = Request::parse(Version::V1, &buffer).expect("reads");
        for series in request.series() {
            let series = series.expect("reads");
            let labels = series.labels().expect("good");
            if report(labels.metric_name()) {
                continue;
            }
            for sample in series.samples() {
                theirs.insert(labels.to_string(), sample.expect("reads").value.into());
            }
            for sample in series.histograms() {
                let histogram = Arc::new(sample.expect("reads").histogram);
                theirs.insert(labels.to_string(), SampleValue::Histogram(histogram));
            }
            for exemplar in series.exemplars() {
                let exemplar = exemplar.expect("reads");
                // That without a time of its own gets that of the scrape.
                if exemplar.labels.get("trace_id") != Some("t2") {
                    their_exemplars.insert(format!("{exemplar:?}"));
                }
            }
        }
    }
    assert_eq!(ours, theirs);
    assert_eq!(our_exemplars, their_exemplars);
}
