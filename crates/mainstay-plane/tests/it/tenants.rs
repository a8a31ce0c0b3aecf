//! Limits of tenants: what is over them is refused and counted, and nobody else notices.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::{Catalog, Diagnostics};
use mainstay_ingest::otlp::OtlpBatch;
use mainstay_ingest::remote_write::{Receipt, Version};
use mainstay_ingest::{ScrapeBatch, SeriesSample, Sink as _};
use mainstay_kernel::testing::ManualClock;
use mainstay_kernel::{Clock as _, Labels, Reach, SampleValue};
use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::{IntakeError, Judged, NO_LIMIT, Reason, TenantLimits, TenantReport};
use mainstay_remote::write::{Entry, Families, Protocol, encode};
use mainstay_slo::Settings;

use crate::bench::changed;

struct Bench {
    clock: Arc<ManualClock>,
    telemetry: Telemetry,
    _directory: tempfile::TempDir,
}

/// The payments catalog with these limits.
fn judged(limits: &str) -> Judged {
    let document =
        format!("---\napiVersion: mainstay/v1\nkind: MetricsLimits\nmetadata: {{name: m}}\nspec:\n{limits}");
    let catalog: Arc<Catalog> = changed("platform.yaml", |text| format!("{text}{document}"));
    let mut diagnostics = Diagnostics::new();
    let judged = Judged::of(&catalog, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render_short());
    judged
}

impl Bench {
    fn new(limits: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let start: Timestamp = "2026-03-02T10:00:00Z".parse().expect("an instant");
        let clock = Arc::new(ManualClock::at(start));
        let path: &Path = directory.path();
        let (telemetry, _) =
            Telemetry::open(path, judged(limits), Settings::default(), clock.clone()).expect("it opens");
        Self {
            clock,
            telemetry,
            _directory: directory,
        }
    }

    fn samples(&self, labels: &[(&str, &str)], count: usize) -> Vec<SeriesSample> {
        let now_ms = self.clock.now().as_millisecond();
        let sample = |n: usize| SeriesSample {
            labels: Arc::new(
                labels
                    .iter()
                    .copied()
                    .chain([("__name__", "x"), ("n", &*n.to_string())])
                    .collect::<Labels>(),
            ),
            created_ms: None,
            t_ms: now_ms,
            value: SampleValue::Float(1.0),
            exemplars: Vec::new(),
        };
        (0..count).map(sample).collect()
    }

    /// Sends samples by remote write.
    fn send(&self, samples: Vec<SeriesSample>, tenant: Option<&str>) -> Receipt {
        let entry = |sample: SeriesSample| Entry {
            labels: sample.labels,
            created_ms: None,
            t_ms: sample.t_ms,
            value: sample.value,
        };
        let entries: Vec<Entry> = samples.into_iter().map(entry).collect();
        let body = encode(&entries, &Labels::new(), Protocol::V2, &Families::default());
        self.telemetry.receive(Version::V2, &body, tenant, 32 << 20)
    }

    fn report(&self, tenant: &str) -> TenantReport {
        let reports = self.telemetry.tenant_reports();
        let found = reports.into_iter().find(|report| report.tenant == tenant);
        found.unwrap_or_default()
    }

    fn pass_ms(&self, ms: i64) {
        self.clock.advance(SignedDuration::from_millis(ms));
    }
}

fn told(receipt: &Receipt) -> (u16, u64, Option<u64>) {
    (receipt.status(), receipt.samples, receipt.retry_after_s)
}

#[test]
fn a_tenant_over_its_rate_is_refused_whole_and_told_when_to_come_again() {
    let bench = Bench::new("  tenants: {a: {samples_per_s: 100, burst_samples: 200}}\n");
    let send = |tenant, count| bench.send(bench.samples(&[], count), Some(tenant));
    assert_eq!(told(&send("a", 150)), (204, 150, None));
    bench.pass_ms(100);
    // Sixty are left: of a hundred none is kept, nor any series of theirs made.
    let refused = bench.send(bench.samples(&[("of", "more")], 100), Some("a"));
    assert_eq!(told(&refused), (429, 0, Some(1)));
    assert!(
        refused.body().contains("more than 100 samples a second"),
        "{}",
        refused.body()
    );
    assert_eq!(told(&send("a", 60)), (204, 60, None));
    assert_eq!(told(&send("b", 5_000)), (204, 5_000, None));
    // What never fits is not to be tried again.
    assert_eq!(told(&send("a", 201)), (413, 0, None));
    bench.pass_ms(2_000);
    assert_eq!(told(&send("a", 200)), (204, 200, None));
    let report = bench.report("a");
    assert_eq!((report.series, report.samples), (200, 410));
    let refused: Vec<(Reason, u64)> = report.refused_samples.into_iter().collect();
    assert_eq!(refused, [(Reason::Rate, 100), (Reason::RequestSamples, 201)]);
    assert!(bench.report("b").refused_samples.is_empty());
}

#[test]
fn in_a_request_of_several_tenants_only_the_one_over_its_limit_is_refused() {
    let bench = Bench::new("  tenants: {a: {samples_per_s: 1, burst_samples: 10}}\n");
    let of = |tenant, count| bench.samples(&[("tenant", tenant)], count);
    let mixed = |a, b| {
        // Between one another, so that runs of tenants alternate.
        let (mut a, mut b) = (of("a", a).into_iter(), of("b", b).into_iter());
        let mut mixed = Vec::new();
        loop {
            let next: Vec<SeriesSample> = a.next().into_iter().chain(b.next()).collect();
            if next.is_empty() {
                return mixed;
            }
            mixed.extend(next);
        }
    };
    assert_eq!(told(&bench.send(mixed(10, 30), None)), (204, 40, None));
    bench.pass_ms(1_000);
    let receipt = bench.send(mixed(10, 30), None);
    // Its sender goes on with the others: a 429 would have it send all of them again and again.
    assert_eq!(told(&receipt), (400, 30, None));
    assert_eq!(receipt.refused.as_ref().map(|refused| refused.count), Some(10));
    assert_eq!(told(&bench.send(of("a", 10), None)), (429, 0, Some(9)));
    assert_eq!((bench.report("a").samples, bench.report("b").samples), (10, 60));
    assert_eq!(bench.report("a").refused_samples[&Reason::Rate], 20);
}

#[test]
fn series_and_labels_are_limited_by_tenant_and_a_new_catalog_changes_that() {
    let bench = Bench::new(
        "  default: {series: 5}\n  tenants: {a: {series: 3, label_names: 4, label_value_bytes: 6}}\n",
    );
    let send = |tenant: &'static str, labels: &[(&str, &str)], count| {
        let mut labels = labels.to_vec();
        labels.push(("tenant", tenant));
        told(&bench.send(bench.samples(&labels, count), Some(tenant)))
    };
    assert_eq!(send("a", &[], 4), (400, 3, None));
    assert_eq!(send("b", &[], 6), (400, 5, None));
    assert_eq!(send("a", &[("k", "v"), ("l", "w")], 1), (400, 0, None));
    assert_eq!(send("a", &[("k", "longer!")], 1), (400, 0, None));
    let refused = bench.report("a").refused_samples;
    assert_eq!((refused[&Reason::Series], refused[&Reason::Labels]), (1, 2));
    assert_eq!(bench.report("b").refused_samples[&Reason::Series], 1);

    bench
        .telemetry
        .reconfigure(judged("  tenants: {a: {series: 4}}\n"), bench.clock.now());
    bench.pass_ms(1_000);
    assert_eq!(send("a", &[], 5), (400, 4, None));
    assert_eq!(send("b", &[], 6), (204, 6, None));
}

#[test]
fn scrapes_and_otlp_keep_to_the_rate_too() {
    let bench = Bench::new("  tenants: {a: {samples_per_s: 10, burst_samples: 10}}\n");
    let scrape = |tenant, count| {
        bench.telemetry.accept(ScrapeBatch {
            job: "j".to_owned(),
            instance: "i".to_owned(),
            scrape_time_ms: bench.clock.now().as_millisecond(),
            samples: bench.samples(&[("tenant", tenant)], count),
            metadata: None,
            error: None,
        });
    };
    scrape("a", 8);
    scrape("a", 8);
    scrape("b", 100);
    assert_eq!((bench.report("a").samples, bench.report("b").samples), (8, 100));
    assert_eq!(bench.report("a").refused_samples[&Reason::Rate], 8);

    let otlp = |samples: Vec<SeriesSample>, tenant| {
        let points = (0..samples.len()).map(|at| at..at + 1).collect();
        let mut batch = OtlpBatch {
            samples,
            points,
            ..OtlpBatch::default()
        };
        let received = bench.telemetry.receive_otlp(&mut batch, tenant);
        (received, batch.rejected)
    };
    bench.pass_ms(200);
    let (refused, _) = otlp(bench.samples(&[], 8), Some("a"));
    assert!(
        matches!(&refused, Err(IntakeError::Overrun(overrun)) if overrun.retry_after_s() == Some(1)),
        "{refused:?}"
    );
    let mut mixed = bench.samples(&[("tenant", "a")], 8);
    mixed.extend(bench.samples(&[("tenant", "b")], 8));
    let (taken, rejected) = otlp(mixed, None);
    assert!(taken.is_ok());
    assert_eq!(rejected, 8);
    assert_eq!(bench.report("b").samples, 108);
    assert!(otlp(bench.samples(&[], 4), Some("a")).0.is_ok());
}

#[test]
fn whoever_hammers_beyond_its_limit_takes_nothing_from_another() {
    let bench = Bench::new("  tenants: {a: {samples_per_s: 1000, burst_samples: 1000, series: 500}}\n");
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let bench = &bench;
            scope.spawn(move || {
                for round in 0..50 {
                    let unique = format!("{worker}-{round}");
                    bench.send(bench.samples(&[("u", &unique)], 100), Some("a"));
                }
            });
        }
        for round in 0..50 {
            let unique = round.to_string();
            let receipt = bench.send(bench.samples(&[("u", &unique)], 100), Some("b"));
            assert_eq!(told(&receipt), (204, 100, None));
        }
    });
    let (a, b) = (bench.report("a"), bench.report("b"));
    assert_eq!((b.samples, b.series, b.refused_samples.len()), (5_000, 5_000, 0));
    assert_eq!((a.samples, a.series), (500, 500));
    // A thousand passed the bucket, of which five hundred found no room for their series.
    assert_eq!(
        (
            a.refused_samples[&Reason::Series],
            a.refused_samples[&Reason::Rate]
        ),
        (500, 9_000)
    );
}

#[test]
fn queries_of_a_tenant_are_limited_and_counted() {
    let bench = Bench::new(
        "  tenants:\n    a: {queries: 2, query_series: 7}\n    b: {query_series: 9, query_ms: 5}\n",
    );
    let [a, both] = ["a", "a|b"].map(|text| Reach::named(text).expect("tenants"));
    let first = bench.telemetry.begin_query(&a).expect("there is room");
    let second = bench.telemetry.begin_query(&both).expect("there is room");
    assert_eq!((second.limits.query_series, second.limits.query_ms), (7, 5));
    let refused = bench.telemetry.begin_query(&a).expect_err("it asks twice");
    assert_eq!((refused.tenant.as_str(), refused.limit), ("a", 2));
    assert!(
        bench
            .telemetry
            .begin_query(&Reach::named("b").expect("a tenant"))
            .is_ok()
    );
    first.ended_by(Reason::QueryBytes);
    drop(first);
    assert!(bench.telemetry.begin_query(&a).is_ok());
    drop(second);
    let report = bench.report("a");
    assert_eq!((report.queries, report.queries_now), (3, 0));
    let refused: Vec<(Reason, u64)> = report.refused_queries.into_iter().collect();
    assert_eq!(refused, [(Reason::Queries, 1), (Reason::QueryBytes, 1)]);
    // A name that was only asked for is no tenant.
    let nosuch = Reach::named("nosuch").expect("a tenant");
    assert!(bench.telemetry.begin_query(&nosuch).is_ok());
    let reports = bench.telemetry.tenant_reports();
    assert!(
        reports.iter().all(|report| report.tenant != "nosuch"),
        "{reports:?}"
    );
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[test]
fn the_guide_lists_every_limit_as_it_is() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/metrics-store.md");
    let guide = std::fs::read_to_string(guide).expect("it is committed");
    for limit in TenantLimits::TABLE {
        let default = match limit.default {
            NO_LIMIT => "none".to_owned(),
            number => grouped(number),
        };
        let row = format!("| `{}` | {default} | {} |\n", limit.name, limit.about);
        assert!(guide.contains(&row), "the guide has not: {row}");
    }
}
