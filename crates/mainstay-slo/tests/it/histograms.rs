//! Latency from native histograms: every observation is an event, and what a threshold within a bucket leaves unknown is
//! stated.

use mainstay_catalog::{Documents, Platform};
use mainstay_kernel::Histogram;
use mainstay_kernel::histogram::BucketSpan;
use mainstay_slo::{Counts, Events, Settings, SloCatalog, SloEngine, StatusValue, spec};

use crate::fixture::{T0, at, labels};

const INTERVAL_MS: i64 = 15_000;

fn catalog(threshold: &str) -> SloCatalog {
    let text = format!(
        r#"apiVersion: openslo/v1
kind: SLO
metadata: {{name: latency, annotations: {{mainstay/group-by: cell}}}}
spec:
  service: gateway
  indicator:
    metadata: {{name: latency}}
    spec:
      ratioMetric:
        counter: true
        good: {{metricSource: {{type: prometheus, spec: {{query: 'histogram_fraction(0, {threshold}, latency_seconds) * histogram_count(latency_seconds)'}}}}}}
        total: {{metricSource: {{type: prometheus, spec: {{query: histogram_count(latency_seconds)}}}}}}
  budgetingMethod: Occurrences
  timeWindow: [{{duration: 30d, isRolling: true}}]
  objectives: [{{target: 0.95}}]
"#
    );
    let (documents, mut diagnostics) = Documents::from_texts([("slo.yaml", text.as_str())]);
    let catalog = spec::load(&documents, &Platform::default(), &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render_short());
    assert!(matches!(catalog.indicators()[0].events, Events::Histograms(_)));
    catalog
}

fn settings() -> Settings {
    Settings {
        scrape_interval_ms: INTERVAL_MS,
        ..Settings::default()
    }
}

/// Buckets (1/8, 1/4], (1/4, 1/2], (1/2, 1] of schema 0.
fn histogram(counts: [u64; 3]) -> Histogram {
    Histogram {
        zero_threshold: 1e-128,
        count: counts.iter().sum::<u64>() as f64,
        positive_spans: vec![BucketSpan {
            offset: -2,
            length: 3,
        }],
        positive_buckets: counts.map(|count| count as f64).to_vec(),
        ..Histogram::default()
    }
}

fn feed(engine: &mut SloEngine, steps: std::ops::RangeInclusive<u64>) {
    let series = labels(&[("__name__", "latency_seconds"), ("cell", "c1"), ("instance", "a")]);
    for step in steps {
        let t_ms = T0 + step as i64 * INTERVAL_MS;
        let series = engine.watch(&series).expect("it is watched");
        let sample = histogram([70 * step, 20 * step, 10 * step]);
        engine
            .on_histogram(series, t_ms, &sample, Some(T0))
            .expect("it is counted");
        engine.advance_to(step);
    }
}

fn standing(engine: &SloEngine) -> mainstay_slo::Status {
    let slo = "latency".parse().expect("a name");
    let now = at(T0 + 20 * INTERVAL_MS);
    engine
        .status(&slo, &labels(&[("cell", "c1")]), now)
        .expect("a status")
}

#[test]
fn at_the_edge_of_a_bucket_the_count_is_the_truth() {
    let mut engine = SloEngine::new(catalog("0.5"), settings(), at(T0));
    feed(&mut engine, 1..=20);
    let status = standing(&engine);
    assert_eq!(
        status.budget.counts,
        Counts {
            bad: 200,
            total: 2_000
        }
    );
    assert_eq!(status.value, StatusValue::Breached);
    assert!(status.doubt.is_none());
}

#[test]
fn within_a_bucket_nothing_is_called_good_that_may_not_be() {
    let mut engine = SloEngine::new(catalog("0.3"), settings(), at(T0));
    feed(&mut engine, 1..=20);
    let status = standing(&engine);
    assert_eq!(
        status.budget.counts,
        Counts {
            bad: 600,
            total: 2_000
        }
    );
    assert_eq!(
        status.doubt.missed_marked, 400,
        "those between a quarter and a half"
    );
}

#[test]
fn a_restart_of_the_engine_counts_on() {
    let mut engine = SloEngine::new(catalog("0.5"), settings(), at(T0));
    feed(&mut engine, 1..=10);
    let bytes = engine.to_bytes();
    let mut again =
        SloEngine::from_bytes(&bytes, catalog("0.5"), settings(), at(T0 + 10 * INTERVAL_MS)).expect("reads");
    assert_eq!(again.to_bytes(), bytes);
    feed(&mut engine, 11..=20);
    feed(&mut again, 11..=20);
    assert_eq!(again.to_bytes(), engine.to_bytes());
    assert_eq!(
        standing(&again).budget.counts,
        Counts {
            bad: 200,
            total: 2_000
        }
    );
}

#[test]
fn what_cannot_be_a_part_is_said_where_it_stands() {
    for (good, word) in [
        (
            "histogram_fraction(0, 0.2, other) * histogram_count(other)",
            "no part",
        ),
        ("histogram_fraction(0, 0.2, latency_seconds)", "'*'"),
        ("latency_seconds_count", "histogram_count"),
    ] {
        let text = format!(
            r#"apiVersion: openslo/v1
kind: SLI
metadata: {{name: latency}}
spec:
  ratioMetric:
    counter: true
    good: {{metricSource: {{type: prometheus, spec: {{query: '{good}'}}}}}}
    total: {{metricSource: {{type: prometheus, spec: {{query: histogram_count(latency_seconds)}}}}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {{name: latency}}
spec:
  service: gateway
  indicatorRef: latency
  budgetingMethod: Occurrences
  timeWindow: [{{duration: 30d, isRolling: true}}]
  objectives: [{{target: 0.95}}]
"#
        );
        let (documents, mut diagnostics) = Documents::from_texts([("slo.yaml", text.as_str())]);
        let catalog = spec::load(&documents, &Platform::default(), &mut diagnostics);
        let said = diagnostics.render_short();
        assert!(catalog.objectives().is_empty(), "{good}");
        assert!(
            said.contains("slo.yaml:") && said.contains(word),
            "{good}: {said}"
        );
    }
}
