//! Indicators that are no counters, through the way in: native histograms counted as they come, expressions sampled by the
//! rules and counted as what they record; both go on over a restart.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_kernel::histogram::BucketSpan;
use mainstay_kernel::testing::ManualClock;
use mainstay_kernel::{Clock, Histogram, Labels};
use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::Judged;
use mainstay_series::Row;
use mainstay_slo::{Counts, Settings, Status};

const SLOS: &str = r#"apiVersion: openslo/v1
kind: SLO
metadata: {name: latency, annotations: {mainstay/group-by: cell}}
spec:
  service: api-gateway
  indicator:
    metadata: {name: latency}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: prometheus, spec: {query: 'histogram_fraction(0, 0.5, latency_seconds) * histogram_count(latency_seconds)'}}}
        total: {metricSource: {type: prometheus, spec: {query: histogram_count(latency_seconds)}}}
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{target: 0.95}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: depth, annotations: {mainstay/group-by: cell}}
spec:
  service: api-gateway
  indicator:
    metadata: {name: depth}
    spec:
      thresholdMetric: {metricSource: {type: prometheus, spec: {query: 'max by (cell) (queue_depth) + 0'}}}
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{target: 0.9, op: lte, value: 100}]
"#;

struct Bench {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    steps: u64,
}

impl Bench {
    fn new() -> Self {
        let start: Timestamp = "2026-03-02T10:00:00Z".parse().expect("a timestamp");
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            clock: Arc::new(ManualClock::at(start)),
            steps: 0,
        }
    }

    fn open(&self) -> Telemetry {
        let (documents, mut diagnostics) = Documents::from_texts([("slo.yaml", SLOS)]);
        let catalog = Catalog::build(documents, &mut diagnostics);
        let mut of_slos = Diagnostics::new();
        let judged = Judged::of(&catalog, &mut of_slos);
        assert_eq!(judged.slos.objectives().len(), 2, "{}", of_slos.render_short());
        let (telemetry, _) =
            Telemetry::open(self.dir.path(), judged, Settings::default(), self.clock.clone())
                .expect("it opens");
        telemetry
    }

    /// Five seconds, after which ten requests have been answered, nine of them in time, and the queue is so deep.
    fn step(&mut self, telemetry: &Telemetry, depth: f64) {
        self.clock.advance(SignedDuration::from_secs(5));
        self.steps += 1;
        let now = self.clock.now();
        let t_ms = now.as_millisecond();
        let series = |name: &str| Labels::from_iter([("__name__", name), ("cell", "c1"), ("instance", "a")]);
        let histogram = Arc::new(Histogram {
            zero_threshold: 1e-128,
            count: (10 * self.steps) as f64,
            positive_spans: vec![BucketSpan {
                offset: -1,
                length: 2,
            }],
            positive_buckets: vec![(9 * self.steps) as f64, self.steps as f64],
            ..Histogram::default()
        });
        let latency = series("latency_seconds");
        let stored = telemetry.append_histograms([(&latency, None, t_ms, &histogram)].into_iter());
        assert_eq!(stored.expect("written").stored, 1);
        let queue = series("queue_depth");
        let row = Row {
            labels: &queue,
            created_ms: None,
            t_ms,
            value: depth,
        };
        assert_eq!(telemetry.append(&[row]).expect("written").stored, 1);
        let found = telemetry.evaluate(now);
        assert!(found.failures.is_empty(), "{:?}", found.failures);
    }

    fn counts(&self, telemetry: &Telemetry, slo: &str) -> Counts {
        let group = Labels::from_iter([("cell", "c1")]);
        let status: Option<Status> =
            telemetry
                .slos()
                .status(&slo.parse().expect("a name"), &group, self.clock.now());
        status.expect("the objective").budget.counts
    }
}

#[test]
fn histograms_and_expressions_are_counted_over_a_restart() {
    let mut bench = Bench::new();
    let telemetry = bench.open();
    for step in 0..24 {
        bench.step(&telemetry, if step < 18 { 40.0 } else { 400.0 });
    }
    // The first sample of a histogram that says no start is a base line.
    assert_eq!(
        bench.counts(&telemetry, "latency"),
        Counts { bad: 23, total: 230 }
    );
    let sampled = bench.counts(&telemetry, "depth");
    assert!(sampled.total >= 22, "{sampled:?}");
    // A group of rules has a phase of its own.
    assert!((5..=6).contains(&sampled.bad), "{sampled:?}");
    // Killed: nothing is written down but what was acknowledged.
    drop(telemetry);
    let telemetry = bench.open();
    assert_eq!(
        bench.counts(&telemetry, "latency"),
        Counts { bad: 23, total: 230 }
    );
    assert_eq!(bench.counts(&telemetry, "depth"), sampled);
    for _ in 0..4 {
        bench.step(&telemetry, 40.0);
    }
    assert_eq!(
        bench.counts(&telemetry, "latency"),
        Counts { bad: 27, total: 270 }
    );
    assert!((5..=6).contains(&bench.counts(&telemetry, "depth").bad));
}

#[test]
fn damaged_counts_are_put_aside_and_counted_anew() {
    let mut bench = Bench::new();
    let telemetry = bench.open();
    for step in 0..30 {
        bench.step(&telemetry, if step < 20 { 40.0 } else { 400.0 });
    }
    let counted = bench.counts(&telemetry, "depth");
    telemetry.checkpoint().expect("written");
    drop(telemetry);
    let file = bench.dir.path().join("counts.slo");
    let mut bytes = std::fs::read(&file).expect("the counts");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&file, &bytes).expect("damaged");
    let telemetry = bench.open();
    assert_eq!(
        bench.counts(&telemetry, "depth"),
        counted,
        "from the samples that are kept"
    );
    let names = std::fs::read_dir(bench.dir.path()).expect("a directory");
    let names: Vec<String> = names
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    assert!(
        names.iter().any(|name| name.starts_with("counts.damaged-")),
        "{names:?}"
    );
    bench.step(&telemetry, 40.0);
    assert_eq!(bench.counts(&telemetry, "depth").total, counted.total + 1);
    telemetry.checkpoint().expect("written");
    drop(telemetry);
    let telemetry = bench.open();
    assert_eq!(bench.counts(&telemetry, "depth").total, counted.total + 1);
}
