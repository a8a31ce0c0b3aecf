//! Queries over times whose samples are not kept any more: what records tell is what the samples told, and where it is
//! not, the answer says so.

use std::sync::Arc;

use mainstay_kernel::histogram::{BucketSpan, Histogram};
use mainstay_kernel::{Labels, STALE_NAN};
use mainstay_plane::telemetry::StoreSamples;
use mainstay_promql::{Level, Limits, Outcome, Value, instant, parse, range};
use mainstay_series::{HistogramSample, Options, Row, Store};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const START_MS: i64 = 20_000 * DAY_MS;
const DAYS: i64 = 6;
const END_MS: i64 = START_MS + DAYS * DAY_MS;

fn float(number: i64) -> f64 {
    f64::from(i32::try_from(number).expect("small"))
}

/// A counter that falls at times, a gauge of quarters, a series that ends, and a native histogram, a sample a minute,
/// 7 s behind it.
fn filled(store: &Store) {
    let name = |name: &str| Labels::from_iter([("__name__", name.to_owned())]);
    let [counter, gauge, ends, latency] = ["requests_total", "level", "ends_total", "latency"].map(name);
    for hour in 0..DAYS * 24 {
        let (mut rows, mut histograms) = (Vec::new(), Vec::new());
        for minute in hour * 60..(hour + 1) * 60 {
            let t_ms = START_MS + minute * MINUTE_MS + 7_000;
            let mut row = |labels, value| {
                rows.push(Row {
                    labels,
                    created_ms: None,
                    t_ms,
                    value,
                });
            };
            row(&counter, float(minute % 1_000 * 3));
            row(&gauge, float(minute % 61) / 4.0 - 3.0);
            match minute {
                0..30 => row(&ends, float(minute)),
                30 => row(&ends, STALE_NAN),
                _ => {}
            }
            let count = float(minute % 1_003);
            let histogram = Histogram {
                schema: 1,
                count: count * 3.0,
                sum: count * 0.5,
                positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
                positive_buckets: vec![count, count * 2.0],
                ..Histogram::default()
            };
            histograms.push(HistogramSample {
                series: store.series_ref(&latency).expect("a series"),
                t_ms,
                value: Arc::new(histogram),
            });
        }
        let now_ms = START_MS + (hour + 1) * HOUR_MS;
        store.append_rows(&rows, now_ms).expect("appended");
        store.append_histograms(&histograms, now_ms).expect("appended");
    }
}

fn at(store: &Arc<Store>, query: &str, at_ms: i64) -> Outcome {
    let expr = parse(query).expect("a query");
    instant(
        &expr,
        at_ms,
        &StoreSamples::new(Arc::clone(store)),
        &Limits::default(),
    )
    .expect("evaluates")
}

fn over(store: &Arc<Store>, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Outcome {
    let expr = parse(query).expect("a query");
    let samples = StoreSamples::new(Arc::clone(store));
    range(&expr, start_ms, end_ms, step_ms, &samples, &Limits::default()).expect("evaluates")
}

/// What the annotations of a level say.
fn said(outcome: &Outcome, level: Level) -> String {
    let said = outcome.annotations.iter().filter(|note| note.level == level);
    said.map(|note| note.message.clone())
        .collect::<Vec<_>>()
        .join("\n")
}

fn values(outcome: &Outcome) -> Vec<(i64, f64)> {
    match &outcome.value {
        Value::Vector(samples) => samples
            .iter()
            .map(|sample| (sample.at_ms, sample.value.float().expect("a number")))
            .collect(),
        Value::Matrix(series) => series
            .iter()
            .flat_map(|series| series.samples.iter().copied())
            .collect(),
        other => panic!("neither vector nor matrix: {other:?}"),
    }
}

fn bits(outcome: &Outcome) -> Vec<(i64, u64)> {
    let bits = |(at_ms, value): (i64, f64)| (at_ms, value.to_bits());
    values(outcome).into_iter().map(bits).collect()
}

#[test]
fn beyond_the_retention_of_samples_queries_are_answered_and_what_is_not_exact_is_marked() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options {
        retention_ms: DAY_MS,
        retention_5m_ms: 3 * DAY_MS,
        retention_1h_ms: 30 * DAY_MS,
        ..Options::default()
    };
    let store = Arc::new(Store::open(dir.path(), options).expect("opens").0);
    filled(&store);
    let told = [
        "rate(requests_total[%])",
        "increase(requests_total[%])",
        "resets(requests_total[%])",
        "changes(level[%])",
        "count_over_time(level[%])",
        "min_over_time(level[%])",
        "max_over_time(level[%])",
        "first_over_time(level[%])",
        "sum_over_time(requests_total[%])",
        "avg_over_time(requests_total[%])",
        "increase(ends_total[%])",
    ];
    let ranges = ["30m", "2h", "1d", "6d"];
    let queries: Vec<String> = told
        .iter()
        .flat_map(|query| ranges.map(|range| query.replace('%', range)))
        .collect();
    let ends = [DAY_MS, 2 * DAY_MS + 3 * HOUR_MS, DAYS * DAY_MS].map(|after| START_MS + after);
    // Half an hour is no slice of an hour: such a window is exact only where minutes are kept.
    let is_exact = |query: &str, end_ms: i64| !query.contains("30m") || end_ms > START_MS + 2 * DAY_MS;
    let ask = || -> Vec<_> {
        let ask = |query: &String| ends.map(|end_ms| bits(&at(&store, query, end_ms)));
        queries.iter().map(ask).collect()
    };
    let steps = |query: &str| {
        over(
            &store,
            query,
            START_MS + DAY_MS,
            END_MS - 3 * HOUR_MS,
            5 * HOUR_MS,
        )
    };
    let moving = |query: &str| bits(&steps(&query.replace('%', "1d")));
    let sum = |end_ms: i64| values(&at(&store, "sum_over_time(level[1d])", end_ms));
    let latency = |end_ms: i64| {
        let query = "histogram_count(increase(latency[1d]))";
        bits(&at(&store, query, end_ms))
    };
    let (before, moved) = (ask(), told.map(moving));
    let (sums, latencies) = (ends.map(sum), ends.map(latency));
    let done = store.maintain(END_MS).expect("maintained");
    assert!(done.days_condensed >= 5, "{done:?}");

    for ((query, before), now) in queries.iter().zip(before).zip(ask()) {
        for ((before, now), end_ms) in before.into_iter().zip(now).zip(ends) {
            if is_exact(query, end_ms) {
                assert_eq!(now, before, "{query} at {end_ms}");
                assert_eq!(said(&at(&store, query, end_ms), Level::Warning), "");
            } else {
                let said = said(&at(&store, query, end_ms), Level::Info);
                assert!(
                    now.is_empty() || said.contains("known to 1h only"),
                    "{query}: {said}"
                );
            }
        }
    }
    for (query, before) in told.iter().zip(moved) {
        assert_eq!(moving(query), before, "{query}, moving on");
    }
    for (end_ms, before) in ends.into_iter().zip(sums) {
        let close = |(a, b): (&(i64, f64), (i64, f64))| (a.1 - b.1).abs() <= 1e-12 * b.1.abs();
        let now = sum(end_ms);
        assert!(
            now.len() == 1 && now.iter().zip(before).all(close),
            "sums are rounded"
        );
    }
    assert_eq!(
        ends.map(latency),
        latencies,
        "resets of native histograms are kept"
    );

    // A window that snaps says nothing; one that cuts a record does.
    let snapped = at(&store, "increase(requests_total[1d])", START_MS + 4 * DAY_MS);
    assert!(!said(&snapped, Level::Info).contains("known to"), "{snapped:?}");
    let cut = at(
        &store,
        "increase(requests_total[1d])",
        START_MS + 4 * DAY_MS + MINUTE_MS,
    );
    assert!(said(&cut, Level::Info).contains("known to 5m only"), "{cut:?}");

    // What summaries do not tell goes by the last sample of each record, and says so.
    let median = at(
        &store,
        "quantile_over_time(0.5, level[1d])",
        START_MS + 3 * DAY_MS,
    );
    assert_eq!(values(&median).len(), 1);
    assert!(
        said(&median, Level::Info).contains("the last sample of each"),
        "{median:?}"
    );
    let recent = at(&store, "quantile_over_time(0.5, level[1h])", END_MS);
    assert_eq!(said(&recent, Level::Info), "");

    // What begins before everything that is kept.
    let partial = at(&store, "count_over_time(level[40d])", END_MS);
    assert_eq!(values(&partial)[0].1.to_bits(), float(DAYS * 24 * 60).to_bits());
    assert!(
        said(&partial, Level::Warning).contains("before what is kept, which is 30d"),
        "{partial:?}"
    );

    // Graphs have no gaps, whichever tier they go through; a series that ended has ended.
    let graph = over(
        &store,
        "level",
        START_MS + 2 * HOUR_MS,
        END_MS - HOUR_MS,
        7 * MINUTE_MS,
    );
    let steps = (END_MS - START_MS - 3 * HOUR_MS) / (7 * MINUTE_MS) + 1;
    assert_eq!(values(&graph).len(), usize::try_from(steps).expect("few"));
    assert!(said(&graph, Level::Info).contains("records of up to 1h"));
    let ended = at(&store, "ends_total", START_MS + HOUR_MS);
    assert_eq!(values(&ended), [], "stale markers are kept");
}
