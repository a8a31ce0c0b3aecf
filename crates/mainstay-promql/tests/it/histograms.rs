//! Native histograms of any shape: nothing panics, what comes out is a histogram, steps are instants.

use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA, Histogram, ResetHint};
use mainstay_promql::notation::histogram_text;
use mainstay_promql::{Limits, MemorySamples, SampleValue, Value, instant, parse, range};
use proptest::prelude::*;

const QUERIES: [&str; 40] = [
    "h",
    "h smoothed",
    "-h",
    "h + on (i) h offset 1m",
    "h - on (i) h offset 1m",
    "h * 3 / -2",
    "h / 0",
    "h == h",
    "h != on (i) h offset 2m",
    "h </ 1.5",
    "h >/ -0.3",
    "sum(h)",
    "avg by (i) (h)",
    "count_values(\"v\", h)",
    "topk(2, h)",
    "limitk(2, h)",
    "min(h)",
    "histogram_count(sum(h))",
    "histogram_avg(h)",
    "histogram_stddev(h)",
    "histogram_quantile(0.3, h)",
    "histogram_quantile(0.99, sum(h))",
    "histogram_quantiles(h, \"q\", 0, 0.5, 1)",
    "histogram_fraction(-1, 2, h)",
    "rate(h[5m])",
    "increase(h[3m])",
    "delta(h[5m])",
    "irate(h[5m])",
    "idelta(h[5m])",
    "increase(h[3m] anchored)",
    "rate(h[3m] smoothed)",
    "resets(h[7m])",
    "changes(h[7m])",
    "sum_over_time(h[4m])",
    "avg_over_time(h[4m])",
    "max_over_time(h[4m])",
    "last_over_time(h[4m])",
    "rate(h[6m:45s])",
    "histogram_sum(rate(h[5m]))",
    "scalar(h) + absent(h)",
];

fn spans() -> impl Strategy<Value = Vec<BucketSpan>> {
    let offset = prop_oneof![8 => -6..6_i32, 1 => any::<i32>()];
    prop::collection::vec(
        (offset, 0..4_u32).prop_map(|(offset, length)| BucketSpan { offset, length }),
        0..4,
    )
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        10 => (0..100_u32).prop_map(f64::from),
        1 => prop::sample::select(vec![0.0, -0.0, 1e308, f64::INFINITY, f64::NAN, 0.1]),
    ]
}

/// A histogram whose buckets are as many as its spans say, but nothing else need hold.
fn histogram() -> impl Strategy<Value = Histogram> {
    let schema = prop_oneof![6 => -4..=8_i32, 2 => Just(CUSTOM_BUCKETS_SCHEMA), 1 => any::<i32>()];
    let hint = prop::sample::select(vec![
        ResetHint::Unknown,
        ResetHint::Unknown,
        ResetHint::Reset,
        ResetHint::NotReset,
        ResetHint::Gauge,
    ]);
    let threshold = prop::sample::select(vec![
        0.0,
        0.0,
        1e-128,
        0.001,
        0.75,
        1.0,
        8.0,
        f64::INFINITY,
        f64::NAN,
    ]);
    let bounds = prop::sample::select(vec![
        vec![],
        vec![1.0],
        vec![1.0, 2.0],
        vec![0.5, 1.0, 5.0],
        vec![-1.0, 0.0],
    ]);
    (
        (schema, hint, threshold, bounds),
        (number(), number(), number()),
        (spans(), spans()),
        prop::collection::vec(number(), 24),
    )
        .prop_map(
            |((schema, reset_hint, zero_threshold, bounds), (count, sum, zero_count), sides, counts)| {
                let custom = schema == CUSTOM_BUCKETS_SCHEMA;
                let (positive_spans, negative_spans) = sides;
                let length =
                    |spans: &[BucketSpan]| spans.iter().map(|span| span.length as usize).sum::<usize>();
                let positive_buckets = counts[..length(&positive_spans)].to_vec();
                let negative_buckets = counts[12..12 + length(&negative_spans)].to_vec();
                Histogram {
                    reset_hint,
                    schema,
                    zero_threshold,
                    zero_count,
                    count,
                    sum,
                    positive_spans,
                    positive_buckets,
                    negative_spans,
                    negative_buckets,
                    custom_values: if custom { bounds } else { Vec::new() },
                }
            },
        )
}

fn store(values: &[Option<Result<Histogram, f64>>]) -> MemorySamples {
    let mut store = MemorySamples::new();
    let series =
        ["1", "2"].map(|i| -> Arc<Labels> { Arc::new([("__name__", "h"), ("i", i)].into_iter().collect()) });
    for (index, value) in values.iter().enumerate() {
        let at_ms = i64::try_from(index / 2).expect("few") * 30_000;
        match value {
            Some(Ok(histogram)) => store.append(&series[index % 2], at_ms, histogram.clone()),
            Some(Err(value)) => store.append(&series[index % 2], at_ms, *value),
            None => {}
        }
    }
    store
}

fn shown(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => format!("{:x}", value.to_bits()),
        SampleValue::Histogram(histogram) => format!("{:?}", histogram_text(histogram)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    /// Whatever a store hands out: a range query gives at every step what an instant query gives, and neither panics.
    #[test]
    fn any_histograms_are_evaluated_alike_at_steps_and_instants(
        values in prop::collection::vec(
            prop::option::weighted(0.85, prop_oneof![9 => histogram().prop_map(Ok), 1 => number().prop_map(Err)]),
            24..60,
        ),
        start_ms in 0_i64..300_000,
        step_ms in 10_000_i64..90_000,
    ) {
        let store = store(&values);
        let times: Vec<i64> = (0..8).map(|index| start_ms + index * step_ms).collect();
        for query in QUERIES {
            let expr = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
            let over = range(&expr, start_ms, times[7], step_ms, &store, &Limits::default());
            let mut alone = Vec::new();
            let mut failed = false;
            for at_ms in &times {
                match instant(&expr, *at_ms, &store, &Limits::default()).map(|outcome| outcome.value) {
                    Ok(Value::Vector(samples)) => alone.extend(
                        samples.iter().map(|s| (s.labels.to_string(), *at_ms, shown(&s.value))),
                    ),
                    Ok(other) => panic!("{query}: {other:?}"),
                    Err(_) => failed = true,
                }
            }
            let Ok(over) = over else {
                prop_assert!(failed, "{}", query);
                continue;
            };
            let Value::Matrix(series) = over.value else { panic!("a matrix") };
            let mut found = Vec::new();
            for s in &series {
                let floats = s.samples.iter().map(|(at, value)| (*at, SampleValue::Float(*value)));
                let histograms = s.histograms.iter().map(|(at, held)| (*at, SampleValue::Histogram(Arc::clone(held))));
                found.extend(floats.chain(histograms).map(|(at, value)| (s.labels.to_string(), at, shown(&value))));
            }
            alone.sort();
            found.sort();
            // Counts alone carry resets from sample to sample, which a query that begins later cannot see.
            if !query.starts_with("histogram_count") && !query.starts_with("histogram_sum") {
                prop_assert_eq!(&found, &alone, "{}", query);
            }
        }
    }

    /// Adding and taking away again leaves what was there, up to the finest that both can show.
    #[test]
    fn sums_are_undone_by_differences(a in small(), b in small()) {
        let text = |query: &str| {
            let mut store = MemorySamples::new();
            for (name, histogram) in [("a", &a), ("b", &b)] {
                let labels: Arc<Labels> = Arc::new([("__name__", name)].into_iter().collect());
                store.append(&labels, 0, histogram.clone());
            }
            let expr = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
            match instant(&expr, 0, &store, &Limits::default()).map(|outcome| outcome.value) {
                Ok(Value::Vector(samples)) => {
                    if let Some(SampleValue::Histogram(histogram)) = samples.first().map(|s| &s.value) {
                        assert!(
                            histogram.validate().is_ok() || query.contains('-'),
                            "{query}: {:?}",
                            histogram.validate()
                        );
                    }
                    samples.iter().map(|s| shown(&s.value)).collect::<Vec<_>>()
                }
                other => panic!("{query}: {other:?}"),
            }
        };
        // `b - b` is empty but has b's resolution and zero bucket.
        prop_assert_eq!(text("a + on () b - on () b"), text("a - on () (b - on () b)"));
        prop_assert_eq!(text("histogram_count(a + on () b)"), text("histogram_count(a) + on () histogram_count(b)"));
    }
}

/// A well-formed histogram of few whole counts.
fn small() -> impl Strategy<Value = Histogram> {
    let threshold = prop::sample::select(vec![0.0, 0.001, 0.5, 1.0]);
    (
        -2..=3_i32,
        threshold,
        0..5_u32,
        1..5_i32,
        prop::collection::vec(0..9_u32, 1..12),
    )
        .prop_map(|(schema, zero_threshold, zero_count, offset, counts)| {
            let counts: Vec<f64> = counts.into_iter().map(f64::from).collect();
            Histogram {
                schema,
                zero_threshold,
                zero_count: f64::from(zero_count),
                count: f64::from(zero_count) + counts.iter().sum::<f64>(),
                sum: 3.0,
                positive_spans: vec![BucketSpan {
                    offset: offset * 8,
                    length: u32::try_from(counts.len()).expect("few"),
                }],
                positive_buckets: counts,
                ..Histogram::default()
            }
        })
}
