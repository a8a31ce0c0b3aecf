//! Latency from classic histograms: the threshold is the edge of a bucket, or nothing is said and the edges are named.

use mainstay_kernel::Labels;
use mainstay_slo::selector::parse_event_count;
use mainstay_slo::{Counters, Events, Marked, RawSample, Settings, SloEngine, StatusValue};

use crate::fixture::{T0, at, catalog, indicator, labels, objective, slo};

const INTERVAL_MS: i64 = 15_000;

fn latency_engine(threshold: &str) -> SloEngine {
    let mut indicator = indicator(&["cell"]);
    let selectors = |query: &str| parse_event_count(query).expect("an event count").selectors;
    indicator.events = Events::Counters(Counters {
        marked: Marked::Good,
        marked_by: selectors(&format!("latency_seconds_bucket{{le={threshold:?}}}")),
        total: selectors("latency_seconds_count"),
    });
    let settings = Settings {
        scrape_interval_ms: INTERVAL_MS,
        ..Settings::default()
    };
    SloEngine::new(catalog(indicator, objective(&["cell"])), settings, at(T0))
}

/// One scrape of a pod in a cell that has answered `count` requests, nine of ten within a second.
fn scrape(engine: &mut SloEngine, pod: &str, edges: &[&str], t_ms: i64, count: u64) {
    let series = |name: &str| labels(&[("__name__", name), ("cell", "c1"), ("pod", pod)]);
    let mut samples: Vec<(Labels, u64)> = edges
        .iter()
        .map(|edge| {
            let within: f64 = edge.parse().expect("a number");
            let good = if within >= 1.0 { count * 9 / 10 } else { count / 2 };
            (series("latency_seconds_bucket").with("le", *edge), good)
        })
        .collect();
    samples.push((series("latency_seconds_bucket").with("le", "+Inf"), count));
    samples.push((series("latency_seconds_count"), count));
    for (labels, value) in &samples {
        engine.count(&RawSample {
            labels,
            t_ms,
            value: *value as f64,
            created_ms: Some(T0),
        });
    }
}

#[test]
fn the_bucket_is_found_however_its_edge_is_written() {
    for edge in ["1", "1.0"] {
        let mut engine = latency_engine("1.00");
        for step in 1..=10 {
            scrape(
                &mut engine,
                "a",
                &["0.5", edge],
                T0 + step * INTERVAL_MS,
                step as u64 * 100,
            );
        }
        let now = at(T0 + 10 * INTERVAL_MS);
        let status = engine
            .status(&slo(), &labels(&[("cell", "c1")]), now)
            .expect("a status");
        assert_eq!(
            (status.budget.counts.bad, status.budget.counts.total),
            (100, 1_000)
        );
        assert_eq!(status.missing_edge, None);
    }
}

#[test]
fn a_threshold_that_is_no_edge_is_unknown_and_names_the_edges() {
    let mut engine = latency_engine("0.2");
    let mut fired = Vec::new();
    for step in 1..=20 {
        let t_ms = T0 + step * INTERVAL_MS;
        scrape(&mut engine, "a", &["0.1", "0.5", "1.0"], t_ms, step as u64 * 100);
        fired.extend(engine.evaluate(at(t_ms)).alerts);
    }
    let now = at(T0 + 20 * INTERVAL_MS);
    let status = engine
        .status(&slo(), &labels(&[("cell", "c1")]), now)
        .expect("a status");
    assert_eq!(status.value, StatusValue::Unknown);
    assert_eq!(
        status.budget.counts.bad, 0,
        "no event is called bad for want of a bucket"
    );
    let missing = status.missing_edge.expect("an edge is missing").to_string();
    assert!(
        missing.contains(r#"latency_seconds_bucket{le="0.2"}"#) && missing.contains("0.1, 0.5, 1.0, +Inf"),
        "{missing}"
    );
    let [alert] = fired.as_slice() else {
        panic!("one alert, and it is blindness: {fired:?}")
    };
    let words = alert.alert.annotations.get("description").expect("a description");
    assert!(words.contains("0.1, 0.5, 1.0"), "{words}");
}

#[test]
fn one_pod_without_the_bucket_makes_its_group_unknown_and_spends_nothing() {
    let mut engine = latency_engine("0.5");
    for step in 1..=10 {
        let t_ms = T0 + step * INTERVAL_MS;
        scrape(&mut engine, "a", &["0.5", "1"], t_ms, step as u64 * 100);
        scrape(&mut engine, "b", &["0.25", "1"], t_ms, step as u64 * 100);
    }
    let group = labels(&[("cell", "c1")]);
    let now = at(T0 + 10 * INTERVAL_MS);
    let status = engine.status(&slo(), &group, now).expect("a status");
    assert_eq!(status.value, StatusValue::Unknown);
    assert_eq!(
        (status.budget.counts.bad, status.budget.counts.total),
        (500, 1_000)
    );
    // The next release has the bucket.
    scrape(&mut engine, "b", &["0.5", "1"], T0 + 11 * INTERVAL_MS, 1_000);
    let status = engine.status(&slo(), &group, now).expect("a status");
    assert_eq!(status.missing_edge, None);
    assert_eq!(status.value, StatusValue::Breached, "by what was counted");
}

#[test]
fn what_is_missing_is_found_again_after_a_restart() {
    let mut engine = latency_engine("0.2");
    for step in 1..=4 {
        scrape(&mut engine, "a", &["0.1", "0.5"], T0 + step * INTERVAL_MS, 100);
    }
    let mut indicator = indicator(&["cell"]);
    indicator.events = engine.indicators().next().expect("one").events.clone();
    let catalog = catalog(indicator, objective(&["cell"]));
    let now = at(T0 + 5 * INTERVAL_MS);
    let settings = Settings {
        scrape_interval_ms: INTERVAL_MS,
        ..Settings::default()
    };
    let again = SloEngine::from_bytes(&engine.to_bytes(), catalog, settings, now).expect("reads");
    let status = again
        .status(&slo(), &labels(&[("cell", "c1")]), now)
        .expect("a status");
    assert!(status.missing_edge.is_some());
    assert_eq!(status.value, StatusValue::Unknown);
}
